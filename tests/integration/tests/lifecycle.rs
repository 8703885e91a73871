//! Over time: disabling, expiry, reload, drain, the log.

use std::time::Duration;

use gatewright_test_support::{Answer, FakeServer, RawServer, legacy_request, modern_request};
use http::{Request, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::json;

use crate::bed::{Bed, STAFF_ECHOES, everything_in};

/// An upstream whose standing streams say one thing and stay open.
async fn standing() -> RawServer {
    RawServer::start(|request| match request.json()["method"].as_str() {
        Some("initialize") => Answer::result(
            request,
            &json!({"protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": {"name": "raw", "version": "1"}}),
        )
        .header("mcp-session-id", "upstream-session"),
        Some("server/discover") => Answer::result(request, &json!({"supportedVersions": ["2026-07-28"], "capabilities": {}})),
        Some("notifications/initialized") => Answer::status(202),
        Some("tools/call") => Answer::event_stream([": working\n\n"]).hanging(),
        Some("subscriptions/listen") => Answer::event_stream([
            "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/subscriptions/acknowledged\",\"params\":{}}\n\n",
        ])
        .hanging(),
        _ => Answer::event_stream([": open\n\n"]).hanging(),
    })
    .await
}

fn listen(bed: &Bed, token: &str) -> Request<bytes::Bytes> {
    let params = json!({"notifications": {"toolsListChanged": true}});
    modern_request(
        &bed.url("raw"),
        Some(token),
        1,
        "subscriptions/listen",
        params,
    )
}

fn get(bed: &Bed, token: &str, session: &str) -> Request<bytes::Bytes> {
    Request::get(bed.url("raw"))
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .header(header::ACCEPT, "text/event-stream")
        .header("mcp-protocol-version", "2025-11-25")
        .header("mcp-session-id", session)
        .body("".into())
        .unwrap()
}

async fn session(bed: &Bed, token: &str) -> String {
    let initialize = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"},
    }});
    let answer = bed
        .client
        .send(legacy_request(
            &bed.url("raw"),
            Some(token),
            None,
            &initialize,
        ))
        .await;
    answer.headers()["mcp-session-id"]
        .to_str()
        .unwrap()
        .to_owned()
}

async fn ends(mut answer: http::Response<impl BodyExt + Unpin>) {
    while let Some(Ok(_)) = answer.body_mut().frame().await {}
}

#[tokio::test]
async fn disabling_a_user_ends_open_streams() {
    let upstream = standing().await;
    let servers = [("raw", upstream.url("/mcp"))];
    let bed = Bed::start(&servers, STAFF_ECHOES).await;
    let (ann, ben) = (
        bed.token("ann", "raw").sign(),
        bed.token("ben", "raw").sign(),
    );
    let session = session(&bed, &ann).await;
    let call = json!({"name": "echo", "arguments": {}});
    let streams = [
        bed.client.open(listen(&bed, &ann)).await,
        bed.client.open(get(&bed, &ann, &session)).await,
        bed.client
            .open(modern_request(
                &bed.url("raw"),
                Some(&ann),
                2,
                "tools/call",
                call,
            ))
            .await,
    ];
    let mut bens = bed.client.open(listen(&bed, &ben)).await;
    for stream in &streams {
        assert_eq!(stream.status(), StatusCode::OK);
    }
    assert!(bens.body_mut().frame().await.unwrap().is_ok());

    bed.reapply(
        &servers,
        &format!("{STAFF_ECHOES}\n[[users]]\nid = 'ann'\ndisabled = true\n"),
    )
    .await;
    for stream in streams {
        ends(stream).await;
    }
    let refused = bed.call("raw", &ann, "tools/list", json!({})).await;
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    let open = tokio::time::timeout(Duration::from_millis(50), bens.body_mut().frame()).await;
    assert!(open.is_err(), "Ben's stream goes on");
}

#[tokio::test]
async fn a_standing_stream_ends_with_its_token() {
    let upstream = standing().await;
    let bed = Bed::start(&[("raw", upstream.url("/mcp"))], STAFF_ECHOES).await;
    let token = bed.token("ann", "raw").expires_in(2).sign();
    let session = session(&bed, &token).await;
    let listening = bed.client.open(listen(&bed, &token)).await;
    let getting = bed.client.open(get(&bed, &token, &session)).await;
    assert_eq!(
        (listening.status(), getting.status()),
        (StatusCode::OK, StatusCode::OK)
    );
    ends(listening).await;
    ends(getting).await;
}

#[tokio::test]
async fn a_reload_changes_what_is_allowed_and_drops_nothing() {
    let server = FakeServer::start().await;
    let servers = [("tools", server.url())];
    let bed = Bed::start(&servers, STAFF_ECHOES).await;
    let token = bed.token("ann", "tools").sign();
    let add = json!({"a": 1, "b": 2});
    assert_eq!(
        bed.tool("tools", &token, "add", add.clone()).await["error"]["code"],
        4403
    );
    bed.reapply(&servers, &STAFF_ECHOES.replace("\"echo\"", "\"add\""))
        .await;
    assert!(bed.tool("tools", &token, "add", add).await["result"].is_object());
    let echo = bed
        .tool("tools", &token, "echo", json!({"text": "x"}))
        .await;
    assert_eq!(echo["error"]["code"], 4403);
}

#[tokio::test]
async fn a_drain_lets_an_admitted_call_finish() {
    let upstream = RawServer::start(|request| {
        if request.json()["method"] == "server/discover" {
            return Answer::result(
                request,
                &json!({"supportedVersions": ["2026-07-28"], "capabilities": {}}),
            );
        }
        let result =
            json!({"jsonrpc": "2.0", "id": 7, "result": {"content": [], "resultType": "complete"}});
        Answer::event_stream([": working\n\n".to_owned(), format!("data: {result}\n\n")])
    })
    .await;
    let bed = Bed::start(&[("raw", upstream.url("/mcp"))], STAFF_ECHOES).await;
    let token = bed.token("ann", "raw").sign();
    let call = json!({"name": "echo", "arguments": {}});
    let mut answer = bed
        .client
        .open(modern_request(
            &bed.url("raw"),
            Some(&token),
            7,
            "tools/call",
            call,
        ))
        .await;
    let read = async {
        let mut text = String::new();
        while let Some(frame) = answer.body_mut().frame().await {
            text += &String::from_utf8_lossy(frame.unwrap().data_ref().unwrap());
        }
        text
    };
    let ((), text) = tokio::join!(bed.running.shutdown(), read);
    assert!(text.contains("\"complete\""), "{text}");
}

#[tokio::test]
async fn planted_secrets_appear_nowhere() {
    let server = FakeServer::start().await;
    let bed = Bed::start(&[("tools", server.url())], STAFF_ECHOES).await;
    let token = bed.token("ann", "tools").sign();
    let bad = bed.token("ann", "tools").expires_in(-3600).sign();
    let answer = bed
        .tool("tools", &token, "echo", json!({"text": "planted-argument"}))
        .await;
    assert!(answer["result"].is_object());
    let refused = bed.call("tools", &bad, "tools/list", json!({})).await;
    let mut shown = format!("{:?} {:?}", refused.headers(), refused.body());
    let dir = bed.dir;
    bed.running.shutdown().await;
    shown += &everything_in(dir.path());
    assert!(shown.contains("\"echo\""), "the log was searched");
    for secret in [
        token.rsplit('.').next().unwrap(),
        bad.rsplit('.').next().unwrap(),
        "planted-argument",
    ] {
        assert!(!shown.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn the_log_of_a_running_gateway_verifies_and_a_changed_byte_is_named() {
    let server = FakeServer::start().await;
    let bed = Bed::start(&[("tools", server.url())], STAFF_ECHOES).await;
    let token = bed.token("ann", "tools").sign();
    for number in 0..5 {
        let text = format!("{number}");
        assert!(
            bed.tool("tools", &token, "echo", json!({"text": text}))
                .await["result"]
                .is_object()
        );
    }
    let log = bed.audit_dir();
    let dir = bed.dir;
    bed.running.shutdown().await;
    let report =
        gatewright_audit::verify(&log, &gatewright_audit::VerifyOptions::default()).unwrap();
    assert!(report.is_sound(), "{report:?}");

    let mut segments = Vec::new();
    let mut folders = vec![log.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().contains("00001.jsonl") {
                segments.push(path);
            }
        }
    }
    let segment = segments.pop().unwrap();
    let text = std::fs::read_to_string(&segment).unwrap();
    assert!(text.contains("\"echo\""));
    std::fs::write(&segment, text.replacen("\"echo\"", "\"Echo\"", 1)).unwrap();
    let report =
        gatewright_audit::verify(&log, &gatewright_audit::VerifyOptions::default()).unwrap();
    assert!(!report.is_sound());
    drop(dir);
}
