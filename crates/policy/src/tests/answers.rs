//! Answers that are not as they should be.

use gatewright_core::Refused;

use super::*;

fn one() -> String {
    json!({"jsonrpc": "2.0", "id": 7, "result": {"planted": 1}}).to_string()
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_whole() {
    let bed = bed();
    let mut zipped = typed(200, "application/json", one());
    zipped
        .headers_mut()
        .insert("content-encoding", "gzip".parse().unwrap());
    let mut zipped_stream = typed(200, "text/event-stream", format!("data: {}\n\n", one()));
    zipped_stream
        .headers_mut()
        .insert("content-encoding", "br".parse().unwrap());
    let large = json!({"jsonrpc": "2.0", "id": 7, "result": "planted ".repeat(20_000)});
    let twice = r#"{"jsonrpc":"2.0","id":7,"result":{"a":1,"\u0061":"planted"}}"#;
    for (what, answer) in [
        ("compressed", zipped),
        ("a compressed stream", zipped_stream),
        ("too large", says(large.to_string())),
        ("no JSON", says("planted")),
        ("two members of one name", says(twice)),
        ("a batch", says(format!("[{}]", one()))),
        (
            "a notification",
            says(r#"{"jsonrpc":"2.0","method":"notifications/planted"}"#),
        ),
        ("HTML", typed(200, "text/html", one())),
        ("almost JSON", typed(200, "application/json-seq", one())),
    ] {
        let got = bed.send(call("ok"), answer).await;
        assert_eq!(
            (got.status, got.code(), &got.json()["id"]),
            (502, json!(5503), &json!(7)),
            "{what}"
        );
        assert_eq!(got.refused, Some("unreadable-answer"), "{what}");
        assert!(!got.body.contains("planted"), "{what}");
    }
    assert_eq!(bed.recorded(), Some("unreadable-answer"));
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_refused() {
    struct Breaks;
    impl http_body::Body for Breaks {
        type Data = Bytes;
        type Error = std::io::Error;

        fn poll_frame(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, std::io::Error>>> {
            std::task::Poll::Ready(Some(Err(std::io::Error::other("planted"))))
        }
    }
    let answer = Response::builder().header("content-type", "application/json");
    let got = bed()
        .send(call("ok"), answer.body(AnswerBody::wrap(Breaks)).unwrap())
        .await;
    assert_eq!((got.status, got.code()), (502, json!(5503)));
}

#[tokio::test]
async fn a_failing_status_stays_and_its_text_is_read_as_a_message_or_not_at_all() {
    let bed = bed();
    let error =
        json!({"jsonrpc": "2.0", "id": 7, "error": {"code": -32601, "message": "no"}}).to_string();
    let got = bed
        .send(call("ok"), typed(404, "application/json", error.clone()))
        .await;
    assert_eq!((got.status, got.body), (404, error));
    let got = bed
        .send(call("ok"), typed(400, "text/plain", "why not"))
        .await;
    assert_eq!((got.status, got.body.as_str()), (400, "why not"));
    let list = r#"{"tools":[{"name":"planted"}]}"#;
    let got = bed
        .send(
            new("tools/list", json!({})),
            typed(404, "application/json", list),
        )
        .await;
    assert_eq!((got.status, got.code()), (404, json!(5503)));
    assert!(!got.body.contains("planted"));
}

#[tokio::test]
async fn refusals_of_layers_below_pass() {
    let mut answer = typed(503, "application/json", "of our own");
    answer.extensions_mut().insert(Refused {
        layer: "audit",
        code: "unrecorded",
    });
    let got = bed().send(call("ok"), answer).await;
    assert_eq!(
        (got.status, got.body.as_str(), got.refused),
        (503, "of our own", Some("unrecorded"))
    );
}

#[tokio::test]
async fn no_parameter_says_that_it_is_other_text() {
    let bed = bed();
    let text = json!({"jsonrpc": "2.0", "id": 7, "result": {}}).to_string();
    let got = bed
        .send(
            call("ok"),
            typed(200, "Application/JSON; charset=utf-16", text.clone()),
        )
        .await;
    assert_eq!(
        (got.body, &got.headers["content-type"]),
        (text.clone(), &"application/json".parse().unwrap())
    );
    let event = typed(
        200,
        "text/event-stream; charset=latin-1",
        format!("data: {text}\n\n"),
    );
    let got = bed.send(call("ok"), event).await;
    assert_eq!(got.headers["content-type"], "text/event-stream");
}

#[tokio::test]
async fn what_gets_no_answer_gets_none() {
    let bed = bed();
    let note = legacy(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    let response = legacy(&json!({"jsonrpc": "2.0", "id": 1, "result": {}}));
    let end = Request::delete("/mcp/s").body(Bytes::new()).unwrap();
    for (request, answer) in [
        (note, typed(200, "application/json", one())),
        (
            response,
            typed(202, "text/event-stream", format!("data: {}\n\n", one())),
        ),
        (end, typed(200, "text/html", "planted")),
    ] {
        let got = bed.send(request, answer).await;
        assert_eq!((got.status, got.body.as_str()), (202, ""));
        assert!(!got.headers.contains_key("content-type"));
    }
    let got = bed
        .send(call("ok"), typed(204, "application/json", ""))
        .await;
    assert_eq!((got.status, got.body.as_str()), (204, ""));
}
