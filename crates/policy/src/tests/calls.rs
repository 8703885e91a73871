//! On the way down: what is permitted, and what is refused.

use gatewright_core::{Challenge, Effect, SnapshotVersion, engine_fn};
use gatewright_wire::Id;

use super::*;

#[tokio::test]
async fn a_permitted_call_reaches_the_server_as_it_was_sent() {
    let bed = bed();
    let mut request = call("ok");
    request
        .headers_mut()
        .insert("accept-encoding", "gzip".parse().unwrap());
    let sent = request.body().clone();
    let got = bed.send(request, result(&json!({"x": 1}))).await;
    assert_eq!(
        (got.status, got.json()["result"]["x"].as_i64()),
        (200, Some(1))
    );
    let (parts, body) = bed.reached.lock().unwrap().remove(0);
    assert_eq!(body, sent);
    assert_eq!(parts.headers["mcp-name"], "ok");
    assert!(
        !parts.headers.contains_key("accept-encoding"),
        "nobody is asked to compress"
    );
    let decision = bed.draft.read(|fields| fields.decision.clone()).unwrap();
    assert_eq!(
        (decision.effect, decision.policies),
        (Effect::Allow, ["allowed".into()].into())
    );
}

#[tokio::test]
async fn unknown_and_forbidden_answer_alike_and_reach_nobody() {
    let bed = bed();
    for request in [call("forbidden"), call("nothing-of-this-name")] {
        let got = bed.send(request, result(&json!({}))).await;
        let reference = bed.draft.reference().to_string();
        let fixed = json!({
            "jsonrpc": "2.0", "id": 7,
            "error": {"code": 4403, "message": "denied by policy", "data": {"reference": reference}},
        });
        assert_eq!((got.status, got.json()), (200, fixed));
        assert_eq!(got.refused, Some("denied"));
    }
    assert_eq!(bed.reached(), 0);
    // The reason is for the record only.
    let decision = bed.draft.read(|fields| fields.decision.clone()).unwrap();
    assert_eq!(decision.reason.as_deref(), Some("planted reason"));
    assert_eq!(decision.effect, Effect::Deny);
}

#[tokio::test]
async fn what_has_no_answer_in_json_rpc_is_denied_in_http() {
    let bed = Bed::new(rules(|_| false), |_| {});
    let note = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    let response = json!({"jsonrpc": "2.0", "id": 1, "result": {}});
    let end = Request::delete("/mcp/s").body(Bytes::new()).unwrap();
    for (request, status) in [
        (legacy(&note), 403),
        (legacy(&response), 403),
        (stream(), 405),
        (end, 405),
    ] {
        let got = bed.send(request, result(&json!({}))).await;
        assert_eq!((got.status, got.code()), (status, json!(4403)));
        assert_eq!(got.json().get("id"), None);
        assert_eq!(got.headers.contains_key("allow"), status == 405);
    }
    assert_eq!(bed.reached(), 0);
}

#[tokio::test]
async fn without_a_principal_every_call_is_refused() {
    let bed = bed();
    let mut request = bed.request(call("ok")).await;
    request.extensions_mut().remove::<Principal>();
    let Ok(answer) = bed.over(result(&json!({}))).oneshot(request).await;
    assert_eq!(answer.status(), 500);
    assert_eq!(bed.reached(), 0);
}

#[tokio::test]
async fn the_principal_of_another_route_is_denied() {
    let (bed, other) = (
        bed(),
        Route::single("other", "https://gw.example/mcp/other").unwrap(),
    );
    let (parts, _) = bed.request(call("ok")).await.into_parts();
    let message = call("ok").into_body();
    let call = CallBody::parse(&other, &parts, message, &Default::default()).unwrap();
    let Ok(answer) = bed
        .over(result(&json!({})))
        .oneshot(Request::from_parts(parts, call))
        .await;
    let body = String::from_utf8_lossy(answer.body().known().unwrap()).into_owned();
    assert!(body.contains("4403"), "{body}");
    assert_eq!(bed.reached(), 0);
}

#[tokio::test]
async fn a_challenge_names_the_scopes_and_where_to_get_them() {
    let engine = engine_fn(|_, _| Decision::Challenge {
        challenge: Challenge::scopes(["read", "wri\"te"]),
        snapshot: SnapshotVersion::default(),
    });
    let bed = Bed::new(engine, |_| {});
    let got = bed.send(call("ok"), result(&json!({}))).await;
    assert_eq!((got.status, got.refused), (403, Some("insufficient-scope")));
    let metadata = "https://gw.example/.well-known/oauth-protected-resource/mcp/s";
    let challenge = got.headers["www-authenticate"].to_str().unwrap();
    let expected = format!(
        r#"Bearer error="insufficient_scope", scope="read write", resource_metadata="{metadata}""#
    );
    assert_eq!(challenge, expected);
    assert_eq!(bed.reached(), 0);
}

#[tokio::test]
async fn unknown_methods_are_refused_before_anybody_is_asked() {
    let bed = Bed::new(rules(|_| panic!("nobody can decide on this")), |_| {});
    let note = json!({"jsonrpc": "2.0", "method": "notifications/acme"});
    for (request, status) in [
        (new("acme/do", json!({})), 404),
        (old("acme/do", &json!({})), 200),
        (legacy(&note), 400),
    ] {
        let got = bed.send(request, result(&json!({}))).await;
        assert_eq!((got.status, got.code()), (status, json!(-32601)));
    }
    assert_eq!((bed.reached(), bed.recorded()), (0, Some("unknown-method")));
}

#[tokio::test]
async fn unknown_methods_are_relayed_byte_for_byte_where_server_and_policy_say_so() {
    let bed = Bed::new(rules(|call| call.method() == Some("acme/do")), relaying);
    let text = r#"{"jsonrpc":"2.0", "id":7, "x":1.50,"result":{"cacheScope":"public"}}"#;
    assert_eq!(
        bed.send(new("acme/do", json!({})), says(text)).await.body,
        text
    );
    let odd = typed(200, "application/x-acme", "anything");
    assert_eq!(
        bed.send(new("acme/do", json!({})), odd).await.body,
        "anything"
    );
    let event = format!("id: 1\ndata: {text}\n\n");
    let answer = typed(200, "text/event-stream", event.clone());
    assert_eq!(
        bed.send(new("acme/do", json!({})), answer).await.body,
        event
    );
    assert_eq!(
        bed.send(new("acme/other", json!({})), says(text))
            .await
            .code(),
        4403
    );
    assert_eq!(bed.reached(), 3);
}

#[tokio::test]
async fn a_known_method_in_disguise_is_not_relayed() {
    let bed = Bed::new(rules(|_| true), relaying);
    for method in [
        "Tools/List",
        "tools/list ",
        "TOOLS/CALL",
        "tools/\u{17f}list",
        "elicitation/create",
    ] {
        if method.is_ascii() {
            let got = bed
                .send(
                    new(method.trim_end(), json!({})),
                    result(&json!({"tools": []})),
                )
                .await;
            assert_eq!(
                got.status == 200,
                method.trim_end() == "tools/list",
                "{method}"
            );
        }
        let got = bed
            .send(old(method, &json!({})), result(&json!({"planted": []})))
            .await;
        assert_eq!(
            got.code(),
            if method.is_ascii() {
                json!(-32601)
            } else {
                Value::Null
            },
            "{method}"
        );
    }
}

#[tokio::test]
async fn ids_are_answered_as_they_were_written() {
    let bed = bed();
    let message = r#"{"jsonrpc":"2.0","id":123456789012345678901234567890,"method":"tools/call","params":{"name":"no"}}"#;
    let request = legacy(&json!({})).map(|_| Bytes::from(message));
    let got = bed.send(request, result(&json!({}))).await;
    assert!(
        got.body.contains(r#""id":123456789012345678901234567890,"#),
        "{}",
        got.body
    );
    assert!(Id::parse("123456789012345678901234567890").is_some());
}
