//! Answers that pass, and answers that do not.

use super::*;

#[tokio::test]
async fn a_good_answer_passes_byte_for_byte() {
    let text =
        r#"{ "jsonrpc":"2.0","id":7, "x":1.50,"result":{"resultType":"complete","content":[]} }"#;
    let good = Answer::bytes(200, "application/json; charset=utf-16", text);
    let server = always(good.header("set-cookie", "a=b").header("x-planted", "c")).await;
    let (status, headers, body) = relay(&server, modern()).await;
    assert_eq!((status, body.as_str()), (200, text));
    assert_eq!(headers.keys().collect::<Vec<_>>(), ["content-type"]);
    assert_eq!(headers["content-type"], "application/json");
}

#[tokio::test]
async fn answers_that_break_the_protocol_become_an_error_with_the_calls_id() {
    let other = json!({"jsonrpc": "2.0", "id": 8, "result": {"planted": 1}}).to_string();
    let text = json!({"jsonrpc": "2.0", "id": "7", "result": {"planted": 1}}).to_string();
    let request = json!({"jsonrpc": "2.0", "id": 7, "method": "planted"}).to_string();
    let large = answer(&json!({"planted": "x".repeat(20_000)}));
    let good = answer(&json!({"planted": 1}));
    let json = |body: &str| Answer::bytes(200, "application/json", body.to_owned());
    let roots = r#"data: {"jsonrpc":"2.0","id":1,"method":"roots/list"}"#;
    for (answer, code) in [
        (json("planted"), 5503),
        (json(""), 5503),
        (json(&other), 5503),
        (json(&text), 5503),
        (json(&request), 5503),
        (json(&large), 5503),
        (json(&format!("[{good}]")), 5503),
        (json(&good).header("content-encoding", "gzip"), 5503),
        (json(&good).hanging(), 5504),
        (json(&good).breaking(), 5502),
        (Answer::bytes(200, "text/html", "planted"), 5503),
        (Answer::status(202), 5503),
        (
            Answer::status(307).header("location", "http://planted.example"),
            5503,
        ),
        (Answer::status(304), 5503),
        (
            Answer::status(401).header("www-authenticate", "planted"),
            5502,
        ),
        (Answer::bytes(403, "application/json", other.clone()), 5502),
        (Answer::bytes(400, "application/json", other.clone()), 5503),
        (Answer::bytes(400, "application/json", good.clone()), 5503),
        (Answer::bytes(404, "text/plain", "planted"), 5503),
        (Answer::bytes(500, "text/plain", "planted"), 5502),
        (Answer::never(), 5504),
        (Answer::event_stream([format!("data: {other}\n\n")]), 5503),
        (Answer::event_stream([format!("data: {text}\n\n")]), 5503),
        (Answer::event_stream(["data: planted\n\n"]), 5503),
        (Answer::event_stream([format!("data: {large}\n\n")]), 5503),
        (Answer::event_stream([": nothing follows\n\n"]), 5503),
        (Answer::event_stream([format!("data: {good}\n")]), 5503),
        (
            Answer::event_stream([format!("data: {good}\n\n")]).header("content-encoding", "br"),
            5503,
        ),
        (Answer::event_stream([": it breaks\n\n"]).breaking(), 5502),
        (Answer::event_stream([": it hangs\n\n"]).hanging(), 5504),
        (Answer::event_stream([roots, "\n\n"]), 5503),
    ] {
        let shown = format!("{answer:?}");
        let server = always(answer).await;
        let (status, headers, body) = if code == 5504 {
            relay_at_once(&server, modern()).await
        } else {
            relay(&server, modern()).await
        };
        let stream = headers["content-type"] == "text/event-stream";
        assert!(stream || (500..600).contains(&status), "{shown}");
        let message = last(&body);
        assert_eq!(
            (&message["id"], &message["error"]["code"]),
            (&json!(7), &json!(code)),
            "{shown}"
        );
        assert!(
            !body.contains("planted") && !format!("{headers:?}").contains("planted"),
            "{shown}: {body}"
        );
        assert_eq!(server.requests().len(), 1, "{shown}");
    }
}

#[tokio::test]
async fn a_failure_is_in_the_record() {
    let server = always(Answer::status(401)).await;
    let mut request = permit(modern()).await;
    let draft = Draft::new(ReferenceId::random(), Timestamp::from_secs(1));
    request.extensions_mut().insert(draft.clone());
    let answer = upstream(&server, EraSetting::Modern)
        .oneshot(request)
        .await
        .unwrap();
    assert_eq!(answer.status(), 502);
    let (refusal, credential) =
        draft.read(|fields| (fields.refusal.clone(), fields.credential.clone()));
    assert_eq!(refusal.unwrap().refused.code, "credential-refused");
    assert_eq!(credential.as_deref(), Some("none"));
}

#[tokio::test]
async fn a_failed_response_is_not_answered_by_its_id() {
    let server = always(Answer::status(500)).await;
    let response = legacy(&json!({"jsonrpc": "2.0", "id": 1, "result": {}}));
    let (status, _, body) = relay(&server, response).await;
    assert_eq!((status, last(&body).get("id")), (502, None));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let other = always(Answer::json(
        &json!({"jsonrpc": "2.0", "id": 7, "result": {}}),
    ))
    .await;
    for status in [301, 302, 303, 307, 308] {
        let redirect = Answer::status(status).header("location", &other.url("/mcp"));
        let server = always(redirect).await;
        assert_eq!(relay(&server, modern()).await.0, 502);
    }
    assert!(other.requests().is_empty());
}

#[tokio::test]
async fn an_error_of_the_server_passes() {
    let with_id = json!({"jsonrpc": "2.0", "id": 7, "error": {"code": -32601, "message": "no"}});
    let without = json!({"jsonrpc": "2.0", "error": {"code": -32600, "message": "what?"}});
    for (status, error) in [
        (404, &with_id),
        (400, &without),
        (200, &with_id),
        (500, &with_id),
    ] {
        let server = always(Answer::bytes(status, "application/json", error.to_string())).await;
        let (got, _, body) = relay(&server, modern()).await;
        assert_eq!((got, body), (status, error.to_string()));
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_said_to_be_unreachable() {
    let upstream = to(Target::new("http://127.0.0.1:9/mcp".parse().unwrap()));
    for request in [modern(), call(), initialize()] {
        let (status, _, body) = read(send(&upstream, request).await).await;
        assert_eq!(
            (status, last(&body)["error"]["code"].as_i64()),
            (502, Some(5502))
        );
        assert!(!body.contains("127.0.0.1"), "{body}");
    }
}

#[tokio::test]
async fn an_address_that_is_not_allowed_is_not_reached() {
    let server = always(Answer::status(200)).await;
    let target = Target::new(server.url("/mcp").parse().unwrap());
    let upstream = Upstream::new(target, &Egress::builder().build());
    assert_eq!(send(&upstream, modern()).await.status(), 502);
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn a_route_without_a_server_has_none() {
    struct Nowhere;
    impl crate::Targets for Nowhere {
        fn target(&self, _: &Route) -> Option<std::sync::Arc<Target>> {
            None
        }
    }
    let egress = Egress::builder().build();
    let upstream = Upstream::with_targets(std::sync::Arc::new(Nowhere), &egress);
    assert_eq!(send(&upstream, modern()).await.status(), 502);
}

#[tokio::test]
async fn statuses_that_speak_for_themselves_pass() {
    let server = always(Answer::bytes(404, "text/plain", "planted")).await;
    let (status, _, body) = relay(&server, call()).await;
    assert_eq!((status, body.as_str()), (404, ""), "the session has ended");
    let server = always(Answer::status(405).header("allow", "POST")).await;
    let end = Request::delete("http://gw.example/mcp/s").header("mcp-session-id", SESSION);
    for request in [get(), end] {
        let (status, headers, _) = relay(&server, request.body(Bytes::new()).unwrap()).await;
        assert_eq!((status, headers["allow"].to_str().unwrap()), (405, "POST"));
    }
}

#[tokio::test]
async fn what_gets_no_answer_gets_none() {
    let server = always(Answer::bytes(200, "application/json", "planted")).await;
    let note = legacy(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    let response = legacy(&json!({"jsonrpc": "2.0", "id": 1, "result": {}}));
    let end = Request::delete("http://gw.example/mcp/s")
        .body(Bytes::new())
        .unwrap();
    for (request, expected) in [(note, 202), (response, 202), (end, 200)] {
        let (status, headers, body) = relay(&server, request).await;
        assert_eq!((status, body.as_str()), (expected, ""));
        assert!(!headers.contains_key("content-type"));
    }
    let methods: Vec<_> = server
        .requests()
        .iter()
        .map(|seen| seen.method.clone())
        .collect();
    assert_eq!(methods, ["POST", "POST", "DELETE"]);
}

#[tokio::test]
async fn a_result_of_10_mib_passes_in_both_forms() {
    let text = answer(&json!({"content": "x".repeat(10 * 1024 * 1024)}));
    let event = format!("data: {text}\n\n");
    for (sent, expected) in [
        (Answer::bytes(200, "application/json", text.clone()), &text),
        (Answer::event_stream([event.clone()]), &event),
    ] {
        let server = always(sent).await;
        let target = Target::new(server.url("/mcp").parse().unwrap()).with_era(EraSetting::Modern);
        let (status, _, body) = read(send(&to(target), modern()).await).await;
        assert!(status == 200 && body == *expected);
    }
}

#[test]
fn what_may_be_secret_of_a_target_is_not_shown() {
    let target = Target::new("https://mcp.example/planted?key=planted".parse().unwrap());
    assert!(!format!("{target:?}").contains("planted"));
}
