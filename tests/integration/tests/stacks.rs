//! Stacks that somebody wires wrongly: what the compiler cannot see refuses at run time (invariant 3).

use bytes::Bytes;
use gatewright_core::{
    AnswerBody, CallKind, Decision, Identity, Outcome, Party, Permitted, Route, Subject, engine_fn,
    resolver_fn,
};
use gatewright_identity::{IdentityLayer, RouteLayer};
use gatewright_mcp::EnvelopeLayer;
use gatewright_policy::PolicyLayer;
use http::{HeaderValue, Request, Response, StatusCode, header::CONTENT_TYPE};
use http_body_util::{BodyExt, Full};
use std::convert::Infallible;
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};

async fn upstream(request: Request<Permitted>) -> Result<Response<AnswerBody>, Infallible> {
    let (content_type, body) = match request.body().call().kind() {
        CallKind::Stream => ("text/event-stream", ": reached\n\n"),
        CallKind::EndSession => ("application/json", ""),
        _ => ("application/json", REACHED),
    };
    let mut answer = Response::new(AnswerBody::full(Bytes::from_static(body.as_bytes())));
    let content_type = HeaderValue::from_static(content_type);
    answer.headers_mut().insert(CONTENT_TYPE, content_type);
    Ok(answer)
}

const REACHED: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"content":[],"reached":true}}"#;

fn requests() -> Vec<Request<Full<Bytes>>> {
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"}}"#;
    let post = Request::post("/mcp").header("content-type", "application/json");
    vec![
        post.body(Full::from(body)).unwrap(),
        Request::get("/mcp").body(Full::default()).unwrap(),
        Request::delete("/mcp").body(Full::default()).unwrap(),
    ]
}

async fn answers<S, B>(stack: S) -> Vec<(StatusCode, String)>
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>, Error = Infallible> + Clone,
    B: BodyExt<Data = Bytes>,
{
    let mut answers = Vec::new();
    for request in requests() {
        let Ok(answer) = stack.clone().oneshot(request).await;
        let status = answer.status();
        let Ok(body) = answer.into_body().collect().await else {
            panic!("the body breaks")
        };
        answers.push((
            status,
            String::from_utf8_lossy(&body.to_bytes()).into_owned(),
        ));
    }
    answers
}

#[tokio::test]
async fn a_stack_without_route_or_identity_refuses_every_call() {
    let route = || RouteLayer::new(Route::single("s", "https://a/mcp").unwrap());
    let identity = || {
        IdentityLayer::new(resolver_fn(|_| {
            Outcome::Identified(Box::new(Identity::user(Party::new(Subject::new(
                "own", "ann",
            )))))
        }))
    };
    let policy = || PolicyLayer::new(engine_fn(|_, _| Decision::allow(["all"])));
    let without_route = ServiceBuilder::new()
        .layer(identity())
        .layer(EnvelopeLayer::new())
        .layer(policy())
        .service(service_fn(upstream));
    let without_identity = ServiceBuilder::new()
        .layer(route())
        .layer(EnvelopeLayer::new())
        .layer(policy())
        .service(service_fn(upstream));
    let complete = ServiceBuilder::new()
        .layer(route())
        .layer(identity())
        .layer(EnvelopeLayer::new())
        .layer(policy())
        .service(service_fn(upstream));
    for (status, body) in answers(without_route)
        .await
        .into_iter()
        .chain(answers(without_identity).await)
    {
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
        assert!(body.contains("5500"), "{body}");
    }
    let reached = answers(complete).await;
    let statuses: Vec<u16> = reached.iter().map(|(status, _)| status.as_u16()).collect();
    assert_eq!(statuses, [200, 200, 200]);
    let bodies: Vec<&str> = reached.iter().map(|(_, body)| body.as_str()).collect();
    assert_eq!(bodies, [REACHED, ": reached\n\n", ""]);
}
