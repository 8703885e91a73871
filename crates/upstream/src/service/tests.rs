use std::time::Duration;

use gatewright_core::{
    AnyIdentified, CallBody, CredentialForm, CredentialOwner, Decision, Identity, Outcome, Party,
    ReferenceId, Route, Secret, Subject, SystemClock, Timestamp, authenticate, authorize,
    engine_fn, resolver_fn,
};
use gatewright_test_support::{Answer, FakeServer, RawServer, Recorded, modern_request};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::*;
use crate::target::{EraSetting, Timeouts};

const SESSION: &str = "upstream-session";

async fn permit(request: Request<Bytes>) -> Request<Permitted> {
    let route = Route::single("s", "https://gw.example/mcp/s").unwrap();
    let (mut parts, body) = request.into_parts();
    parts.extensions.insert(route.clone());
    let resolver = resolver_fn(|_| {
        Outcome::Identified(Box::new(Identity::user(Party::new(Subject::new(
            "i", "ann",
        )))))
    });
    let ann = authenticate(&resolver, &AnyIdentified, &SystemClock, &parts)
        .await
        .unwrap();
    let call = CallBody::parse(&route, &parts, body, &Default::default()).unwrap();
    let engine = engine_fn(|_, _| Decision::allow(["all"]));
    parts.extensions.get_or_insert_with(UpstreamAuth::none);
    Request::from_parts(parts, authorize(&engine, &ann, call).await.unwrap())
}

fn under(auth: UpstreamAuth, mut request: Request<Bytes>) -> Request<Bytes> {
    request.extensions_mut().insert(auth);
    request
}

fn credential(form: CredentialForm, secret: &str) -> UpstreamAuth {
    UpstreamAuth::new(
        CredentialOwner::Shared,
        1,
        form,
        Secret::new(secret.to_owned()),
    )
}

fn in_header(name: &'static str) -> CredentialForm {
    CredentialForm::Header {
        name: http::HeaderName::from_static(name),
        prefix: String::new(),
    }
}

fn modern() -> Request<Bytes> {
    modern_request(
        "http://gw.example/mcp/s",
        Some("token"),
        7,
        "tools/call",
        json!({"name": "echo", "arguments": {}}),
    )
}

fn legacy(message: &Value) -> Request<Bytes> {
    gatewright_test_support::legacy_request("http://gw.example/mcp/s", None, Some(SESSION), message)
}

fn call() -> Value {
    json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "echo", "arguments": {}}})
}

fn upstream(server: &RawServer, era: EraSetting) -> Upstream {
    let timeouts = Timeouts {
        first_byte: Duration::from_millis(200),
        idle: Duration::from_millis(200),
        ..Timeouts::default()
    };
    let target = Target::new(server.url("/mcp").parse().unwrap())
        .with_era(era)
        .with_timeouts(timeouts)
        .with_max_response(10_000);
    Upstream::new(target, &Egress::builder().development(true).build())
}

async fn relay(
    server: &RawServer,
    request: Request<Bytes>,
) -> (http::StatusCode, HeaderMap, String) {
    let era = if request.headers()["mcp-protocol-version"] == "2026-07-28" {
        EraSetting::Modern
    } else {
        EraSetting::Legacy
    };
    let answer = upstream(server, era)
        .oneshot(permit(request).await)
        .await
        .unwrap();
    let (parts, body) = answer.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (
        parts.status,
        parts.headers,
        String::from_utf8_lossy(&body).into_owned(),
    )
}

async fn answering(answer: impl Fn(&Recorded) -> Answer + Send + Sync + 'static) -> RawServer {
    RawServer::start(answer).await
}

#[tokio::test]
async fn a_good_answer_passes_byte_for_byte() {
    let text =
        r#"{ "jsonrpc":"2.0","id":7, "x":1.50,"result":{"resultType":"complete","content":[]} }"#;
    let server = answering(move |_| {
        Answer::bytes(200, "application/json", text).header("set-cookie", "a=b")
    })
    .await;
    let (status, headers, body) = relay(&server, modern()).await;
    assert_eq!((status.as_u16(), body.as_str()), (200, text));
    assert!(!headers.contains_key("set-cookie"));
    let seen = &server.requests()[0];
    assert_eq!(seen.header("mcp-name"), "echo");
    assert!(!seen.headers.contains_key("authorization"));
}

#[tokio::test]
async fn answers_that_break_the_protocol_become_an_error_with_the_calls_id() {
    let other = json!({"jsonrpc": "2.0", "id": 8, "result": {"planted": 1}}).to_string();
    let request = json!({"jsonrpc": "2.0", "id": 7, "method": "planted"}).to_string();
    let large =
        json!({"jsonrpc": "2.0", "id": 7, "result": {"planted": "x".repeat(20_000)}}).to_string();
    for (answer, code) in [
        (Answer::bytes(200, "application/json", "planted"), 5503),
        (Answer::bytes(200, "text/html", "planted"), 5503),
        (Answer::bytes(200, "application/json", other.clone()), 5503),
        (Answer::bytes(200, "application/json", request), 5503),
        (Answer::bytes(200, "application/json", large.clone()), 5503),
        (Answer::status(202), 5503),
        (
            Answer::status(307).header("location", "http://planted.example"),
            5503,
        ),
        (
            Answer::status(401).header("www-authenticate", "planted"),
            5502,
        ),
        (Answer::bytes(403, "application/json", other.clone()), 5502),
        (Answer::bytes(500, "text/plain", "planted"), 5502),
        (Answer::never(), 5504),
        (Answer::event_stream([format!("data: {other}\n\n")]), 5503),
        (Answer::event_stream(["data: planted\n\n"]), 5503),
        (Answer::event_stream([format!("data: {large}\n\n")]), 5503),
        (Answer::event_stream([": nothing follows\n\n"]), 5503),
        (Answer::event_stream([": it breaks\n\n"]).breaking(), 5502),
        (Answer::event_stream([": it hangs\n\n"]).hanging(), 5504),
        (
            Answer::event_stream([
                r#"data: {"jsonrpc":"2.0","id":1,"method":"roots/list"}"#,
                "\n\n",
            ]),
            5503,
        ),
    ] {
        let shown = format!("{answer:?}");
        let server = answering(move |_| answer.clone()).await;
        let (status, headers, body) = relay(&server, modern()).await;
        let stream = headers["content-type"] == "text/event-stream";
        assert!(stream || status.is_server_error(), "{shown}");
        let message = if stream {
            body.rsplit("data: ").next().unwrap()
        } else {
            &body
        };
        let message: Value = serde_json::from_str(message.trim()).unwrap();
        assert_eq!(
            (&message["id"], &message["error"]["code"]),
            (&json!(7), &json!(code)),
            "{shown}"
        );
        assert!(
            !body.contains("planted") && !format!("{headers:?}").contains("planted"),
            "{shown}: {body}"
        );
    }
}

#[tokio::test]
async fn an_error_of_the_server_passes() {
    let error =
        json!({"jsonrpc": "2.0", "id": 7, "error": {"code": -32601, "message": "no"}}).to_string();
    let text = error.clone();
    let server = answering(move |_| Answer::bytes(404, "application/json", text.clone())).await;
    let (status, _, body) = relay(&server, modern()).await;
    assert_eq!((status.as_u16(), body), (404, error));
}

#[tokio::test]
async fn a_server_that_is_not_there_is_said_to_be_unreachable() {
    let target = Target::new("http://127.0.0.1:9/mcp".parse().unwrap());
    let upstream = Upstream::new(target, &Egress::builder().development(true).build());
    let answer = upstream.oneshot(permit(modern()).await).await.unwrap();
    assert_eq!(answer.status(), 502);
}

#[tokio::test]
async fn an_address_that_is_not_allowed_is_not_reached() {
    let server = answering(|_| Answer::status(200)).await;
    let target = Target::new(server.url("/mcp").parse().unwrap());
    let upstream = Upstream::new(target, &Egress::builder().build());
    let answer = upstream.oneshot(permit(modern()).await).await.unwrap();
    assert_eq!(answer.status(), 502);
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn eras_are_probed_once_and_told_apart() {
    let server = FakeServer::start_legacy().await;
    let target = Target::new(server.url().parse().unwrap());
    let upstream = Upstream::new(target, &Egress::builder().development(true).build());
    let answer = upstream
        .clone()
        .oneshot(permit(modern()).await)
        .await
        .unwrap();
    assert_eq!(answer.status(), 400);
    let body: Value = serde_json::from_slice(answer.body().known().unwrap()).unwrap();
    assert_eq!(body["error"]["code"], 4406);

    let raw = answering(|request| match request.json()["method"].as_str() {
        Some("server/discover") => {
            Answer::result(request, &json!({"supportedVersions": ["2026-07-28"]}))
        }
        _ => Answer::result(request, &json!({})),
    })
    .await;
    let probing = self::upstream(&raw, EraSetting::Probe);
    for _ in 0..3 {
        assert_eq!(
            probing
                .clone()
                .oneshot(permit(modern()).await)
                .await
                .unwrap()
                .status(),
            200
        );
    }
    assert_eq!(raw.requests().len(), 4);
}

#[tokio::test]
async fn initialize_at_a_modern_only_server_names_its_versions() {
    let server = FakeServer::start_modern().await;
    let target = Target::new(server.url().parse().unwrap());
    let upstream = Upstream::new(target, &Egress::builder().development(true).build());
    let initialize = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}});
    let answer = upstream
        .oneshot(permit(legacy(&initialize)).await)
        .await
        .unwrap();
    let body = String::from_utf8_lossy(answer.body().known().unwrap()).into_owned();
    assert!(
        body.contains("2026-07-28") && body.contains("\"error\""),
        "{body}"
    );
}

#[tokio::test]
async fn session_statuses_pass() {
    let server = answering(|_| Answer::bytes(404, "text/plain", "planted")).await;
    let (status, _, body) = relay(&server, legacy(&call())).await;
    assert_eq!((status.as_u16(), body.as_str()), (404, ""));
    let server = answering(|_| Answer::status(405).header("allow", "POST")).await;
    let get = Request::get("http://gw.example/mcp/s").header("mcp-protocol-version", "2025-11-25");
    let (status, headers, _) = relay(&server, get.body(Bytes::new()).unwrap()).await;
    assert_eq!(
        (status.as_u16(), headers["allow"].to_str().unwrap()),
        (405, "POST")
    );
    let server = answering(|_| Answer::status(202)).await;
    let note = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    assert_eq!(relay(&server, legacy(&note)).await.0, 202);
}

#[tokio::test]
async fn a_legacy_call_whose_stream_can_be_taken_up_again_is_not_cancelled() {
    let server = answering(|request| match request.json()["method"].as_str() {
        Some("tools/call") => Answer::event_stream(["id: 1\ndata:\n\n"]).hanging(),
        _ => Answer::status(202),
    })
    .await;
    let upstream = upstream(&server, EraSetting::Legacy);
    let answer = upstream
        .clone()
        .oneshot(permit(legacy(&call())).await)
        .await;
    let mut body = answer.unwrap().into_body();
    let frame = body.frame().await.unwrap().unwrap();
    assert!(frame.data_ref().unwrap().starts_with(b"id: 1"));
    drop(body);
    // A cancellation would be one of these.
    upstream.tasks().close();
    upstream.tasks().wait().await;
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_legacy_call_that_nobody_waits_for_is_cancelled() {
    for answer in [
        Answer::event_stream([": working\n\n"]).hanging(),
        Answer::never(),
    ] {
        let server = answering(move |request| match request.json()["method"].as_str() {
            Some("tools/call") => answer.clone(),
            _ => Answer::status(202),
        })
        .await;
        let upstream = upstream(&server, EraSetting::Legacy);
        let mut call = Box::pin(upstream.clone().oneshot(permit(legacy(&call())).await));
        let answered = tokio::time::timeout(Duration::from_millis(60), &mut call).await;
        drop(answered);
        drop(call);
        server.received(2).await;
        let cancelled = server.requests()[1].json();
        assert_eq!(cancelled["method"], "notifications/cancelled");
        assert_eq!(cancelled["params"]["requestId"], 7);
        assert_eq!(server.requests()[1].header("mcp-session-id"), SESSION);
    }
}

#[tokio::test]
async fn nothing_goes_up_before_it_is_known_as_whom() {
    let server = answering(|request| Answer::result(request, &json!({}))).await;
    let mut request = permit(modern()).await;
    request.extensions_mut().remove::<UpstreamAuth>();
    let answer = upstream(&server, EraSetting::Probe)
        .oneshot(request)
        .await
        .unwrap();
    assert_eq!(answer.status(), 500);
    let body = String::from_utf8_lossy(answer.body().known().unwrap()).into_owned();
    assert!(
        body.contains("no UpstreamAuth above the upstream layer"),
        "{body}"
    );
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn the_credential_goes_up_and_the_clients_does_not() {
    let server = answering(|request| Answer::result(request, &json!({}))).await;
    let auth = credential(CredentialForm::default(), "planted");
    let draft = Draft::new(ReferenceId::random(), Timestamp::from_secs(0));
    let mut request = under(auth, modern());
    request.extensions_mut().insert(draft.clone());
    assert_eq!(relay(&server, request).await.0, 200);
    let sent: Vec<_> = server.requests()[0]
        .headers
        .get_all("authorization")
        .iter()
        .cloned()
        .collect();
    assert_eq!(sent, ["Bearer planted"]);
    assert_eq!(
        draft.read(|fields| fields.credential.clone()).as_deref(),
        Some("shared")
    );
    assert!(!format!("{:?}", draft.read(Clone::clone)).contains("planted"));
}

#[tokio::test]
async fn a_server_that_answers_nobody_without_a_credential_is_probed_with_it() {
    let server = answering(|request| {
        if request
            .headers
            .get("x-api-key")
            .is_none_or(|key| key != "good")
        {
            return Answer::status(401);
        }
        match request.json()["method"].as_str() {
            Some("server/discover") => {
                Answer::result(request, &json!({"supportedVersions": ["2026-07-28"]}))
            }
            _ => Answer::result(request, &json!({})),
        }
    })
    .await;
    let upstream = upstream(&server, EraSetting::Probe);
    let call = async |secret: &str| {
        let auth = credential(in_header("x-api-key"), secret);
        let request = permit(under(auth, modern())).await;
        let answer = upstream.clone().oneshot(request).await.unwrap();
        answer.status().as_u16()
    };
    // The first caller's key is refused: that says nothing of the server, nor of the next one's.
    assert_eq!(call("bad").await, 502);
    assert_eq!(call("good").await, 200);
    assert_eq!(call("good").await, 200);
    assert_eq!(server.requests().len(), 4);
}

#[tokio::test]
async fn a_credential_that_cannot_go_where_its_form_says_stops_the_call() {
    let server = answering(|request| Answer::result(request, &json!({}))).await;
    let variable = "API_KEY".to_owned();
    for (form, secret) in [
        (CredentialForm::Environment { variable }, "planted"),
        (in_header("mcp-session-id"), "planted"),
        (in_header("mcp-param-key"), "planted"),
        (in_header("traceparent"), "planted"),
        (in_header("host"), "planted"),
        (in_header("content-length"), "planted"),
        (in_header("proxy-authorization"), "planted"),
        (CredentialForm::default(), "planted\r\nx-admin: 1"),
    ] {
        let shown = format!("{form:?}");
        let request = under(credential(form, secret), modern());
        let (status, _, body) = relay(&server, request).await;
        assert!(status.is_server_error(), "{shown}: {status}");
        assert!(!body.contains("planted"), "{shown}: {body}");
    }
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn a_redirect_takes_the_credential_nowhere() {
    let elsewhere = answering(|request| Answer::result(request, &json!({}))).await;
    let location = elsewhere.url("/mcp");
    let server = answering(move |_| Answer::status(307).header("location", &location)).await;
    let auth = credential(CredentialForm::default(), "planted");
    assert_eq!(relay(&server, under(auth, modern())).await.0, 502);
    assert!(elsewhere.requests().is_empty());
}

#[tokio::test]
async fn a_cancellation_carries_the_credential_of_its_call() {
    let server = answering(|request| match request.json()["method"].as_str() {
        Some("tools/call") => Answer::never(),
        _ => Answer::status(202),
    })
    .await;
    let auth = credential(in_header("x-api-key"), "planted");
    let request = permit(under(auth, legacy(&call()))).await;
    let upstream = upstream(&server, EraSetting::Legacy);
    let mut waiting = Box::pin(upstream.clone().oneshot(request));
    let answered = tokio::time::timeout(Duration::from_millis(60), &mut waiting).await;
    drop(answered);
    drop(waiting);
    server.received(2).await;
    assert_eq!(server.requests()[1].header("x-api-key"), "planted");
}
