//! Calls in reverse: what servers ask of clients.

use super::*;

fn asks(id: i64, method: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": {"message": "planted"}})
}

fn answer() -> Value {
    json!({"jsonrpc": "2.0", "id": 7, "result": {"content": []}})
}

#[tokio::test]
async fn a_permitted_request_passes_and_a_denied_one_is_answered_for_the_client() {
    for request in [old("tools/call", &json!({"name": "ok"})), stream()] {
        let bed = bed();
        let messages = [
            json!({"jsonrpc": "2.0", "id": 1, "method": "roots/list"}),
            asks(2, "elicitation/create"),
            json!({"jsonrpc": "2.0", "id": 3, "method": "ping"}),
            json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {}}),
        ];
        let got = bed.send(request, events(&messages)).await;
        let passed = [&messages[0], &messages[2], &messages[3]];
        let expected: String = passed
            .map(|message| format!("data: {message}\n\n"))
            .concat();
        assert_eq!(got.body, expected, "in order, and without the denied one");

        let reached = bed.reached.lock().unwrap();
        let (parts, body) = &reached[1];
        assert_eq!((parts.method.as_str(), reached.len()), ("POST", 2));
        assert_eq!(parts.headers["mcp-session-id"], "session");
        assert_eq!(parts.headers["content-type"], "application/json");
        let sent: Value = serde_json::from_slice(body).unwrap();
        assert_eq!(
            (&sent["id"], &sent["error"]["code"]),
            (&json!(2), &json!(4403))
        );
        assert_eq!(
            sent["error"]["data"]["reference"],
            bed.draft.reference().to_string()
        );
        let own = parts.extensions.get::<Draft>().unwrap();
        assert_ne!(
            own.reference(),
            bed.draft.reference(),
            "it has a record of its own"
        );
        assert!(
            own.read(|fields| fields.alone && fields.principal.is_none() && fields.call.is_some())
        );
    }
}

#[tokio::test]
async fn what_no_client_is_known_to_have_is_not_asked_of_it() {
    let (closed, open) = (
        bed(),
        Bed::new(rules(|call| call.method() != Some("acme/no")), relaying),
    );
    let messages = [
        asks(1, "acme/do"),
        asks(2, "acme/no"),
        asks(3, "Sampling/CreateMessage"),
        answer(),
    ];
    let call = || old("tools/call", &json!({"name": "ok"}));
    let got = closed.send(call(), events(&messages)).await;
    assert_eq!(got.body, format!("data: {}\n\n", messages[3]));
    let got = open.send(call(), events(&messages)).await;
    assert_eq!(
        got.body,
        format!("data: {}\n\ndata: {}\n\n", messages[0], messages[3])
    );
    let codes = |reached: &Reached| -> Vec<Value> {
        let reached = reached.lock().unwrap();
        let sent = reached
            .iter()
            .skip(1)
            .map(|(_, body)| serde_json::from_slice::<Value>(body).unwrap());
        sent.map(|message| message["error"]["code"].clone())
            .collect()
    };
    assert_eq!(codes(&closed.reached), [-32601, -32601, -32601]);
    assert_eq!(codes(&open.reached), [4403, -32601]);
}

#[tokio::test]
async fn a_modern_server_asks_nothing() {
    let bed = Bed::new(rules(|_| true), relaying);
    let messages = [asks(1, "roots/list"), asks(2, "acme/do"), answer()];
    let got = bed.send(call("ok"), events(&messages)).await;
    assert_eq!(got.body, format!("data: {}\n\n", messages[2]));
    assert_eq!(bed.reached(), 1);
}

#[tokio::test]
async fn only_an_answer_is_one() {
    let bed = Bed::new(rules(|_| true), |_| {});
    for message in [
        asks(7, "roots/list"),
        json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {"data": "planted"}}),
        json!({"jsonrpc": "2.0", "id": 8, "result": {"tools": [{"name": "planted"}]}}),
        json!({"jsonrpc": "2.0", "id": "7", "result": {"planted": 1}}),
    ] {
        let got = bed
            .send(
                old("tools/call", &json!({"name": "ok"})),
                says(message.to_string()),
            )
            .await;
        assert_eq!(got.code(), 5503, "{message}");
        assert!(!got.body.contains("planted"), "{message}");
    }
    let without_id = r#"{"jsonrpc":"2.0","error":{"code":-32600,"message":"what?"}}"#;
    let got = bed
        .send(call("ok"), typed(400, "application/json", without_id))
        .await;
    assert_eq!((got.status, got.body.as_str()), (400, without_id));
}

fn required(requests: &Value) -> Value {
    json!({"resultType": "input_required", "inputRequests": requests, "requestState": "planted"})
}

#[tokio::test]
async fn input_requests_are_decided_on_one_by_one() {
    let bed = bed();
    let roots = json!({"method": "roots/list"});
    let ask = json!({"method": "elicitation/create", "params": {"mode": "url", "url": "https://planted.example"}});
    let good = required(&json!({"a": roots}));
    let got = bed.send(call("ok"), result(&good)).await;
    assert_eq!(got.json()["result"], good);
    for (bad, code) in [
        (json!({"a": roots, "b": ask}), 4403),
        (json!({"a": {"method": "acme/do"}}), 4403),
        (
            json!({"a": {"method": "elicitation/create", "Method": "roots/list"}}),
            5503,
        ),
        (json!({"a": {"method": "roots/list", "Params": {}}}), 5503),
        (json!({"a": {"method": 1}}), 5503),
        (json!({"a": {}}), 5503),
        (json!({"a": "planted"}), 5503),
        (json!(["planted"]), 5503),
        (
            (0..101).map(|n| (n.to_string(), roots.clone())).collect(),
            5503,
        ),
    ] {
        for (request, answer) in [
            (call("ok"), result(&required(&bad))),
            (
                call("ok"),
                events(&[json!({"jsonrpc": "2.0", "id": 7, "result": required(&bad)})]),
            ),
            (
                new("tools/list", json!({})),
                result(&{
                    let mut list = required(&bad);
                    list["tools"] = json!([]);
                    list
                }),
            ),
        ] {
            let got = bed.send(request, answer).await;
            assert!(
                got.body.contains(&format!("\"code\":{code}")),
                "{bad}: {}",
                got.body
            );
            assert!(!got.body.contains("planted"), "{bad}: {}", got.body);
        }
    }
    let disguised = json!({"InputRequests": {"a": ask}});
    assert_eq!(bed.send(call("ok"), result(&disguised)).await.code(), 5503);
    assert_eq!(bed.recorded(), Some("denied-server-request"));
}

#[tokio::test]
async fn an_error_that_sends_the_client_to_a_url_is_an_elicitation() {
    let elicitations = json!([{"mode": "url", "url": "https://planted.example", "elicitationId": "1", "message": "m"}]);
    let error = |data: Value| json!({"jsonrpc": "2.0", "id": 7, "error": {"code": -32042, "message": "m", "data": data}});
    let allows = Bed::new(rules(|_| true), |_| {});
    let good = error(json!({"elicitations": elicitations})).to_string();
    assert_eq!(allows.send(call("ok"), says(good.clone())).await.body, good);
    let denies = bed();
    assert_eq!(denies.send(call("ok"), says(good)).await.code(), 4403);
    let disguised = r#"{"jsonrpc":"2.0","id":7,"error":{"code":-1,"Code":-32042,"message":"m"}}"#;
    assert_eq!(denies.send(call("ok"), says(disguised)).await.code(), 5503);
    for bad in [
        json!({}),
        json!({"elicitations": "planted"}),
        json!({"Elicitations": elicitations}),
    ] {
        assert_eq!(
            allows
                .send(call("ok"), says(error(bad).to_string()))
                .await
                .code(),
            5503
        );
    }
}

#[tokio::test]
async fn notifications_tell_nothing_that_may_not_be_seen() {
    let updated = |uri: &str| json!({"jsonrpc": "2.0", "method": "notifications/resources/updated", "params": {"uri": uri}});
    let task = |method: &str| {
        json!({
            "jsonrpc": "2.0", "method": "notifications/tasks",
            "params": {"taskId": "t", "inputRequests": {"a": {"method": method}}},
        })
    };
    let unknown = json!({"jsonrpc": "2.0", "method": "notifications/acme", "params": {}});
    let listed = json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"});
    let messages = [
        updated("ok://a"),
        updated("no://a"),
        task("roots/list"),
        task("sampling/createMessage"),
        unknown,
        listed,
    ];
    let listen = new("subscriptions/listen", json!({"notifications": {}}));
    let got = bed().send(listen, events(&messages)).await;
    let passed = [&messages[0], &messages[2], &messages[5]];
    assert_eq!(
        got.body,
        passed
            .map(|message| format!("data: {message}\n\n"))
            .concat()
    );
}
