use std::convert::Infallible;

use futures_util::stream;
use gatewright_core::{ReferenceId, Refused, Timestamp};
use http_body::Frame;
use http_body_util::{Full, StreamBody};
use serde_json::Value;
use tower::{ServiceBuilder, ServiceExt, service_fn};

use super::*;

const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"}}"#;

fn full(text: &'static str) -> Full<Bytes> {
    Full::from(text)
}

fn request(method: &str) -> http::request::Builder {
    Request::builder()
        .method(method)
        .header("content-type", "application/json")
        .extension(Route::single("s", "https://a/mcp").unwrap())
}

async fn send<B>(layer: EnvelopeLayer, request: Request<B>) -> Response<AnswerBody>
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    let below = service_fn(|request: Request<CallBody>| async move {
        let kind = request.body().call().kind().name();
        Ok::<_, Infallible>(Response::new(AnswerBody::full(Bytes::from_static(
            kind.as_bytes(),
        ))))
    });
    ServiceBuilder::new()
        .layer(layer)
        .service(below)
        .oneshot(request)
        .await
        .unwrap()
}

async fn post(body: &'static str) -> Response<AnswerBody> {
    send(
        EnvelopeLayer::new(),
        request("POST").body(full(body)).unwrap(),
    )
    .await
}

fn json(answer: &Response<AnswerBody>) -> Value {
    serde_json::from_slice(answer.body().known().unwrap()).unwrap()
}

#[tokio::test]
async fn each_kind_of_call_goes_on() {
    for (method, body, kind) in [
        ("POST", CALL, "request"),
        (
            "POST",
            r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
            "notification",
        ),
        (
            "POST",
            r#"{"jsonrpc":"2.0","id":1,"result":{}}"#,
            "response",
        ),
        ("GET", "", "stream"),
        ("DELETE", "", "end-session"),
    ] {
        let request = request(method).body(full(body)).unwrap();
        let answer = send(EnvelopeLayer::new(), request).await;
        assert_eq!(
            answer.body().known(),
            Some(kind.as_bytes()),
            "{method} {body}"
        );
        assert_eq!(
            answer.extensions().get::<Standing>().is_some(),
            kind == "stream"
        );
    }
}

#[tokio::test]
async fn a_malformed_body_is_refused_with_its_code() {
    for (body, status, code) in [
        ("{", 400, -32700),
        ("[]", 400, -32600),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call"}"#,
            400,
            -32602,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#,
            400,
            -32600,
        ),
    ] {
        let answer = post(body).await;
        assert_eq!(answer.status(), status, "{body}");
        assert_eq!(json(&answer)["error"]["code"], code, "{body}");
    }
    assert_eq!(
        json(&post(r#"{"jsonrpc":"2.0","id":"x","method":"tools/call"}"#).await)["id"],
        "x"
    );
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_announced_or_not() {
    let layer = EnvelopeLayer::new().with_limits(Limits {
        max_bytes: 10,
        max_depth: 8,
    });
    let announced = request("POST").body(full(CALL)).unwrap();
    assert_eq!(send(layer, announced).await.status(), 413);
    let frames = CALL
        .as_bytes()
        .chunks(7)
        .map(|chunk| Ok::<_, Infallible>(Frame::data(Bytes::from(chunk))));
    let chunked = StreamBody::new(stream::iter(frames.collect::<Vec<_>>()));
    assert_eq!(
        send(layer, request("POST").body(chunked).unwrap())
            .await
            .status(),
        413
    );
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_comes_is_refused() {
    let never = StreamBody::new(stream::pending::<Result<Frame<Bytes>, Infallible>>());
    let answer = send(EnvelopeLayer::new(), request("POST").body(never).unwrap()).await;
    assert_eq!(answer.status(), 408);
}

#[tokio::test]
async fn a_body_that_breaks_is_refused() {
    let broken = stream::iter([Err::<Frame<Bytes>, _>(std::io::Error::other("reset"))]);
    let request = request("POST").body(StreamBody::new(broken)).unwrap();
    assert_eq!(send(EnvelopeLayer::new(), request).await.status(), 400);
}

#[tokio::test]
async fn other_content_types_are_refused() {
    for content_type in [
        "text/plain",
        "application/json-seq",
        "",
        "multipart/form-data",
    ] {
        let mut request = request("POST").body(full(CALL)).unwrap();
        request
            .headers_mut()
            .insert("content-type", content_type.parse().unwrap());
        assert_eq!(
            send(EnvelopeLayer::new(), request).await.status(),
            415,
            "{content_type}"
        );
    }
    let mut fine = request("POST").body(full(CALL)).unwrap();
    fine.headers_mut().insert(
        "content-type",
        "Application/JSON; charset=utf-8".parse().unwrap(),
    );
    assert_eq!(send(EnvelopeLayer::new(), fine).await.status(), 200);
}

#[tokio::test]
async fn only_what_excludes_every_answer_is_not_acceptable() {
    for (accept, status) in [
        ("*/*", 200),
        ("application/json, text/event-stream", 200),
        ("text/event-stream;q=0.9", 200),
        ("text/html", 406),
    ] {
        let request = request("POST")
            .header("accept", accept)
            .body(full(CALL))
            .unwrap();
        assert_eq!(
            send(EnvelopeLayer::new(), request).await.status(),
            status,
            "{accept}"
        );
    }
}

#[tokio::test]
async fn another_http_method_is_not_allowed_and_the_answer_says_which_are() {
    let answer = send(EnvelopeLayer::new(), request("PUT").body(full("")).unwrap()).await;
    assert_eq!(answer.status(), 405);
    assert_eq!(answer.headers()["allow"], "GET, POST, DELETE");
}

#[tokio::test]
async fn without_a_route_nothing_is_read() {
    let request = Request::post("/").body(full(CALL)).unwrap();
    let answer = send(EnvelopeLayer::new(), request).await;
    assert_eq!(answer.status(), 500);
    assert_eq!(
        answer.extensions().get::<Refused>().unwrap().code,
        "miswired"
    );
}

#[tokio::test]
async fn the_draft_learns_the_call_or_the_refusal() {
    let draft = Draft::new(ReferenceId::random(), Timestamp::from_secs(0));
    let fine = request("POST")
        .extension(draft.clone())
        .body(full(CALL))
        .unwrap();
    send(EnvelopeLayer::new(), fine).await;
    draft.read(|fields| assert_eq!(fields.call.as_ref().unwrap().target(), Some("a")));

    let draft = Draft::new(ReferenceId::random(), Timestamp::from_secs(0));
    let bad = request("POST")
        .extension(draft.clone())
        .body(full("{"))
        .unwrap();
    send(EnvelopeLayer::new(), bad).await;
    let refused = draft.read(|fields| fields.refusal.as_ref().unwrap().refused);
    assert_eq!(refused.code, "malformed");
}
