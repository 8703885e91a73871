//! Messages pass as they are: both eras, streams, sessions, cancellation.

use gatewright_test_support::{
    Answer, FakeServer, RawServer, legacy_request, message, modern_request,
};
use http::{Request, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::{Value, json};

use crate::bed::{Bed, STAFF_ECHOES};

fn initialize(version: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": version, "capabilities": {"elicitation": {}}, "clientInfo": {"name": "test", "version": "1"},
    }})
}

async fn session(bed: &Bed, server: &str, token: &str) -> String {
    let request = legacy_request(
        &bed.url(server),
        Some(token),
        None,
        &initialize("2025-11-25"),
    );
    let answer = bed.client.send(request).await;
    assert_eq!(answer.status(), StatusCode::OK, "{answer:?}");
    let session = answer.headers()["mcp-session-id"]
        .to_str()
        .unwrap()
        .to_owned();
    let done = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    let request = legacy_request(&bed.url(server), Some(token), Some(&session), &done);
    assert_eq!(
        bed.client.send(request).await.status(),
        StatusCode::ACCEPTED
    );
    session
}

fn call(id: i64, tool: &str, arguments: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": tool, "arguments": arguments}})
}

#[tokio::test]
async fn a_modern_call_is_answered() {
    let server = FakeServer::start().await;
    let bed = Bed::start(&[("tools", server.url())], STAFF_ECHOES).await;
    let token = bed.token("ann", "tools").sign();
    let answer = bed
        .tool("tools", &token, "echo", json!({"text": "hello"}))
        .await;
    assert!(answer.to_string().contains("hello"), "{answer}");
    let discovered = message(
        &bed.call("tools", &token, "server/discover", json!({}))
            .await,
    );
    assert!(
        discovered["result"]["supportedVersions"].is_array(),
        "{discovered}"
    );
}

#[tokio::test]
async fn a_legacy_session_is_relayed() {
    let server = FakeServer::start_legacy().await;
    let bed = Bed::start(&[("tools", server.url())], STAFF_ECHOES).await;
    let token = bed.token("ann", "tools").sign();
    let session = session(&bed, "tools", &token).await;
    let request = legacy_request(
        &bed.url("tools"),
        Some(&token),
        Some(&session),
        &call(1, "echo", &json!({"text": "hello"})),
    );
    let answer = message(&bed.client.send(request).await);
    assert!(answer.to_string().contains("hello"), "{answer}");

    let end = Request::delete(bed.url("tools"))
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .header("mcp-session-id", &session);
    assert!(
        bed.client
            .send(end.body("".into()).unwrap())
            .await
            .status()
            .is_success()
    );
    let request = legacy_request(
        &bed.url("tools"),
        Some(&token),
        Some(&session),
        &call(2, "echo", &json!({"text": "x"})),
    );
    assert_eq!(
        bed.client.send(request).await.status(),
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn a_session_of_somebody_else_is_not_found() {
    let server = FakeServer::start_legacy().await;
    let bed = Bed::start(
        &[("tools", server.url()), ("twin", server.url())],
        &format!("{STAFF_ECHOES}[[agents]]\nid = 'bot'\n"),
    )
    .await;
    let session = session(&bed, "tools", &bed.token("ann", "tools").sign()).await;
    let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}});
    let send = async |server: &str, token: String| {
        let request = legacy_request(&bed.url(server), Some(&token), Some(&session), &list);
        bed.client.send(request).await.status()
    };
    assert_eq!(
        send("tools", bed.token("ben", "tools").sign()).await,
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        send("twin", bed.token("ann", "twin").sign()).await,
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        send("tools", bed.token("ann", "tools").act("bot").sign()).await,
        StatusCode::NOT_FOUND
    );
    // A fresh token of the same person continues it.
    assert_eq!(
        send("tools", bed.token("ann", "tools").claim("jti", "2").sign()).await,
        StatusCode::OK
    );
}

#[tokio::test]
async fn eras_that_do_not_meet_are_told_so() {
    let legacy = FakeServer::start_legacy().await;
    let modern = FakeServer::start_modern().await;
    let bed = Bed::start(
        &[("old", legacy.url()), ("new", modern.url())],
        STAFF_ECHOES,
    )
    .await;
    let answer = bed
        .call(
            "old",
            &bed.token("ann", "old").sign(),
            "server/discover",
            json!({}),
        )
        .await;
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    let code = message(&answer)["error"]["code"].as_i64().unwrap();
    assert!(
        ![-32020, -32021, -32022].contains(&code),
        "a modern code would keep clients from falling back"
    );

    let token = bed.token("ann", "new").sign();
    let request = legacy_request(
        &bed.url("new"),
        Some(&token),
        None,
        &initialize("2025-11-25"),
    );
    let answer = message(&bed.client.send(request).await);
    assert!(
        answer["error"].to_string().contains("2026-07-28"),
        "{answer}"
    );
}

#[tokio::test]
async fn events_pass_one_by_one_and_byte_for_byte() {
    let server = FakeServer::start().await;
    let bed = Bed::start(&[("tools", server.url())], STAFF_ECHOES).await;
    let token = bed.token("ann", "tools").sign();
    let params = json!({"name": "slow", "arguments": {}, "_meta": {"progressToken": "p"}});
    let request = modern_request(&bed.url("tools"), Some(&token), 1, "tools/call", params);
    // `slow` reports progress and never ends: a stream that were held back would show nothing.
    let mut answer = bed.client.open(request).await;
    let mut text = String::new();
    while !text.contains("notifications/progress") {
        let frame = answer.body_mut().frame().await.unwrap().unwrap();
        text += &String::from_utf8_lossy(frame.data_ref().unwrap());
    }
    drop(answer);
    // And closing the stream is the cancellation (2026-07-28).
    server.cancelled(1).await;
    assert!(server.calls() == 1);
}

#[tokio::test]
async fn a_result_of_10_mib_passes() {
    let server = FakeServer::start().await;
    let bed = Bed::start(&[("tools", server.url())], STAFF_ECHOES).await;
    let token = bed.token("ann", "tools").sign();
    let answer = bed
        .tool("tools", &token, "big", json!({"size": 10 * 1024 * 1024}))
        .await;
    assert!(answer["result"].to_string().len() > 10 * 1024 * 1024);
}

#[tokio::test]
async fn what_we_do_not_know_is_relayed_only_where_the_server_opts_in() {
    let upstream = RawServer::start(|request| {
        if request.json()["method"] == "server/discover" {
            return Answer::result(
                request,
                &json!({"supportedVersions": ["2026-07-28"], "capabilities": {}}),
            );
        }
        let body = r#"{"jsonrpc":"2.0", "id":7, "x":1.50,"result":{"resultType":"complete"}}"#;
        Answer::bytes(200, "application/json", body)
    })
    .await;
    let organisation = format!(
        "[[servers]]\nname = 'open'\nurl = '{}'\nunknown_methods = 'relay'\n{STAFF_ECHOES}\n[[roles]]\nname = 'own'\n\
         [[roles.permissions]]\nservers = ['open', 'shut']\nmethods = ['acme/*']\n[[grants]]\nrole = 'own'\ngroup = 'staff'\n",
        upstream.url("/mcp")
    );
    let bed = Bed::start(&[("shut", upstream.url("/mcp"))], &organisation).await;
    let shut = bed
        .call(
            "shut",
            &bed.token("ann", "shut").sign(),
            "acme/do",
            json!({}),
        )
        .await;
    assert_eq!(message(&shut)["error"]["code"], -32601);
    let open = bed
        .call(
            "open",
            &bed.token("ann", "open").sign(),
            "acme/do",
            json!({"x": 1.50}),
        )
        .await;
    assert_eq!(
        open.body(),
        r#"{"jsonrpc":"2.0", "id":7, "x":1.50,"result":{"resultType":"complete"}}"#
    );
    let other = bed
        .call(
            "open",
            &bed.token("ann", "open").sign(),
            "other/do",
            json!({}),
        )
        .await;
    assert_eq!(message(&other)["error"]["code"], 4403);
}

#[tokio::test]
async fn requests_of_a_server_reach_the_client_only_under_policy() {
    let server = FakeServer::start_legacy().await;
    let closed = STAFF_ECHOES.replace("server_requests = [\"*\"]", "");
    for (organisation, reaches) in [(STAFF_ECHOES.to_owned(), true), (closed, false)] {
        let bed = Bed::start(&[("tools", server.url())], &organisation).await;
        let token = bed.token("ann", "tools").sign();
        let session = session(&bed, "tools", &token).await;
        let request = legacy_request(
            &bed.url("tools"),
            Some(&token),
            Some(&session),
            &call(1, "ask", &json!({})),
        );
        let mut answer = bed.client.open(request).await;
        let mut text = String::new();
        while let Some(frame) = answer.body_mut().frame().await {
            text += &String::from_utf8_lossy(frame.unwrap().data_ref().unwrap());
            if text.contains("elicitation/create") || text.contains("\"id\":1") {
                break;
            }
        }
        assert_eq!(text.contains("elicitation/create"), reaches, "{text}");
    }
}
