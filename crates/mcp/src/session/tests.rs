use std::convert::Infallible;

use gatewright_core::{
    AnyIdentified, Identity, ManualClock, OpenError, Outcome, Party, Refused, SealError, Subject,
    Timestamp, authenticate, resolver_fn,
};
use tower::{ServiceBuilder, ServiceExt, service_fn};

use super::*;

/// Writes everything into the text, so that tests see what is bound.
struct Plain;

impl Sealer for Plain {
    fn seal(
        &self,
        purpose: Purpose,
        bound: &[&str],
        expires: Timestamp,
        plaintext: &[u8],
    ) -> Result<String, SealError> {
        let text = String::from_utf8_lossy(plaintext);
        Ok(format!(
            "{}~{}~{}~{text}",
            purpose.name(),
            bound.join("~"),
            expires.millis()
        ))
    }

    fn open(
        &self,
        purpose: Purpose,
        bound: &[&str],
        now: Timestamp,
        sealed: &str,
    ) -> Result<Vec<u8>, OpenError> {
        let rest = sealed
            .strip_prefix(&format!("{}~{}~", purpose.name(), bound.join("~")))
            .ok_or(OpenError)?;
        let (expires, text) = rest.split_once('~').ok_or(OpenError)?;
        let expires = Timestamp::from_millis(expires.parse().map_err(|_no_number| OpenError)?);
        if expires <= now {
            Err(OpenError)
        } else {
            Ok(text.into())
        }
    }
}

struct Broken;

impl Sealer for Broken {
    fn seal(&self, _: Purpose, _: &[&str], _: Timestamp, _: &[u8]) -> Result<String, SealError> {
        Err(SealError("no key".to_owned()))
    }

    fn open(&self, _: Purpose, _: &[&str], _: Timestamp, _: &str) -> Result<Vec<u8>, OpenError> {
        Err(OpenError)
    }
}

fn clock() -> ManualClock {
    ManualClock::at(Timestamp::from_secs(1_000))
}

fn layer() -> SessionLayer {
    SessionLayer::new(Arc::new(Plain)).with_clock(clock())
}

const LIST: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;

async fn request(
    user: &'static str,
    server: &str,
    body: &str,
    session: Option<&str>,
) -> Request<CallBody> {
    let route = Route::single(server, "https://a/mcp").unwrap();
    let mut request = Request::post("/mcp").extension(route.clone());
    if let Some(session) = session {
        request = request.header("mcp-session-id", session);
    }
    let (mut parts, ()) = request.body(()).unwrap().into_parts();
    let resolver = resolver_fn(move |_| {
        Outcome::Identified(Box::new(Identity::user(Party::new(Subject::new(
            "idp", user,
        )))))
    });
    let principal = authenticate(&resolver, &AnyIdentified, &clock(), &parts)
        .await
        .unwrap();
    let call = CallBody::parse(
        &route,
        &parts,
        Bytes::from(body.to_owned()),
        &Default::default(),
    )
    .unwrap();
    parts.extensions.insert(principal);
    Request::from_parts(parts, call)
}

/// A server that answers with the session id it got, in the body, and gives the one it is told.
async fn send(
    layer: SessionLayer,
    gives: Option<&'static str>,
    request: Request<CallBody>,
) -> Response<AnswerBody> {
    let below = service_fn(move |request: Request<CallBody>| async move {
        let got = request
            .headers()
            .get("mcp-session-id")
            .map_or(Bytes::new(), |id| Bytes::copy_from_slice(id.as_bytes()));
        let mut answer = Response::new(AnswerBody::full(got));
        if let Some(gives) = gives {
            answer
                .headers_mut()
                .insert("mcp-session-id", HeaderValue::from_static(gives));
        }
        Ok::<_, Infallible>(answer)
    });
    ServiceBuilder::new()
        .layer(layer)
        .service(below)
        .oneshot(request)
        .await
        .unwrap()
}

async fn open(user: &'static str) -> String {
    let answer = send(
        layer(),
        Some("inner-1"),
        request(user, "s", LIST, None).await,
    )
    .await;
    answer.headers()["mcp-session-id"]
        .to_str()
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn the_owner_reaches_the_session_of_the_server() {
    let sealed = open("ann").await;
    assert_ne!(sealed, "inner-1");
    let answer = send(
        layer(),
        None,
        request("ann", "s", LIST, Some(&sealed)).await,
    )
    .await;
    assert_eq!(answer.body().known(), Some(b"inner-1".as_slice()));
}

#[tokio::test]
async fn everybody_else_gets_the_answer_for_sessions_that_do_not_exist() {
    let sealed = open("ann").await;
    let mut answers = Vec::new();
    for (user, server, session) in [
        ("ben", "s", sealed.as_str()),
        ("ann", "other", &sealed),
        ("ann", "s", "inner-1"),
        ("ann", "s", "rubbish"),
    ] {
        let answer = send(
            layer(),
            None,
            request(user, server, LIST, Some(session)).await,
        )
        .await;
        assert_eq!(answer.status(), 404, "{user} {server} {session}");
        answers.push(answer.body().known().unwrap().to_vec());
    }
    answers.dedup();
    assert_eq!(answers.len(), 1);
}

#[tokio::test]
async fn a_response_is_not_answered_by_the_id_of_the_servers_request() {
    let response = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;
    for (body, answered) in [(LIST, true), (response, false)] {
        let answer = send(
            layer(),
            None,
            request("ann", "s", body, Some("rubbish")).await,
        )
        .await;
        let shown = String::from_utf8_lossy(answer.body().known().unwrap()).into_owned();
        assert_eq!(shown.contains(r#""id":1"#), answered, "{shown}");
    }
}

#[tokio::test]
async fn a_session_id_ends_with_its_lifetime() {
    let time = clock();
    let layer = layer()
        .with_clock(time.clone())
        .with_lifetime(Duration::from_secs(60));
    let sealed = open("ann").await.replace("87400000", "1060000");
    time.advance(Duration::from_secs(59));
    let answer = send(
        layer.clone(),
        None,
        request("ann", "s", LIST, Some(&sealed)).await,
    )
    .await;
    assert_eq!(answer.status(), 200);
    time.advance(Duration::from_secs(1));
    let answer = send(layer, None, request("ann", "s", LIST, Some(&sealed)).await).await;
    assert_eq!(answer.status(), 404);
}

#[tokio::test]
async fn two_session_ids_are_none() {
    let sealed = open("ann").await;
    let mut twice = request("ann", "s", LIST, Some(&sealed)).await;
    twice
        .headers_mut()
        .append("mcp-session-id", HeaderValue::from_static("inner-2"));
    assert_eq!(send(layer(), None, twice).await.status(), 404);
}

#[tokio::test]
async fn initialize_and_modern_calls_carry_no_session_further() {
    let initialize = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}"#;
    let answer = send(
        layer(),
        None,
        request("ann", "s", initialize, Some("x")).await,
    )
    .await;
    assert_eq!(answer.body().known(), Some(b"".as_slice()));
}

#[tokio::test]
async fn an_id_that_no_server_may_give_is_not_passed_on() {
    for bad in ["with space", ""] {
        let answer = send(layer(), Some(bad), request("ann", "s", LIST, None).await).await;
        assert_eq!(answer.status(), 502, "{bad:?}");
    }
}

#[tokio::test]
async fn a_sealer_that_does_not_work_refuses() {
    let broken = SessionLayer::new(Arc::new(Broken)).with_clock(clock());
    let answer = send(
        broken,
        Some("inner-1"),
        request("ann", "s", LIST, None).await,
    )
    .await;
    assert_eq!(answer.status(), 500);
    assert_eq!(
        answer.extensions().get::<Refused>().unwrap().code,
        "unsealed"
    );
}

#[tokio::test]
async fn without_a_principal_nothing_is_opened() {
    let mut request = request("ann", "s", LIST, None).await;
    request.extensions_mut().remove::<Principal>();
    assert_eq!(send(layer(), None, request).await.status(), 500);
}
