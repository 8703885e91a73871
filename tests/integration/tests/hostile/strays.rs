//! Answers that belong to nobody, or to somebody else.

use gatewright_test_support::{
    Answer, RawServer, Recorded, legacy_request, message, modern_request,
};
use http::{Request, header};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{PATIENCE, records, refused};
use crate::bed::{Bed, STAFF_ECHOES};

fn stray(id: &Value) -> String {
    json!({"jsonrpc": "2.0", "id": id, "result": {"content": [], "planted": 1}}).to_string()
}

/// Opens sessions, and answers calls by an answer to another call in the form that is asked for.
fn astray(request: &Recorded) -> Answer {
    let message = request.json();
    match message["method"].as_str() {
        Some("initialize") => Answer::result(
            request,
            &json!({"protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": {"name": "raw", "version": "1"}}),
        )
        .header("mcp-session-id", "s"),
        Some("server/discover") => {
            Answer::result(request, &json!({"supportedVersions": ["2026-07-28"], "capabilities": {}}))
        }
        Some("tools/call") => {
            let arguments = &message["params"]["arguments"];
            let stray = stray(&arguments["id"]);
            match arguments["stream"].as_bool() {
                Some(true) => Answer::event_stream([format!("data: {stray}\n\n")]).hanging(),
                _ => Answer::bytes(200, "application/json", stray),
            }
        }
        None => Answer::event_stream([format!("data: {}\n\n", stray(&json!(7)))]),
        _ => Answer::status(202),
    }
}

#[tokio::test]
async fn answers_to_calls_that_nobody_made_go_no_further_in_either_era() {
    let upstream = RawServer::start(astray).await;
    let bed = Bed::start(&[("raw", upstream.url("/mcp"))], STAFF_ECHOES).await;
    let token = bed.token("ann", "raw").sign();
    let initialize = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"},
    }});
    let opened = legacy_request(&bed.url("raw"), Some(&token), None, &initialize);
    let opened = bed.client.send(opened).await;
    let session = opened.headers()["mcp-session-id"].to_str().unwrap();
    for id in [json!(8), json!("7"), json!(70), json!(-7), json!("")] {
        for stream in [false, true] {
            let params = json!({"name": "echo", "arguments": {"id": id, "stream": stream}});
            let modern = modern_request(
                &bed.url("raw"),
                Some(&token),
                7,
                "tools/call",
                params.clone(),
            );
            let call = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params});
            let legacy = legacy_request(&bed.url("raw"), Some(&token), Some(session), &call);
            for request in [modern, legacy] {
                let answer = timeout(PATIENCE, bed.client.send(request)).await.unwrap();
                assert_eq!(refused(&answer), 5503, "{id} {stream}");
                assert!(!format!("{answer:?}").contains("planted"), "{answer:?}");
            }
        }
    }
    // On the standing stream nobody has asked for anything.
    let standing = Request::get(bed.url("raw"))
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .header(header::ACCEPT, "text/event-stream")
        .header("mcp-protocol-version", "2025-11-25")
        .header("mcp-session-id", session);
    let standing = bed.client.send(standing.body("".into()).unwrap()).await;
    assert_eq!(
        (standing.status().as_u16(), standing.body().len()),
        (200, 0)
    );
    let records = records(bed).await;
    assert!(!format!("{records:?}").contains("planted"));
}

#[tokio::test]
async fn callers_who_use_the_same_id_get_their_own_answers() {
    let upstream = RawServer::start(|request| {
        let text = request.json()["params"]["arguments"]["text"].clone();
        Answer::result(request, &json!({"content": [], "text": text}))
    })
    .await;
    let local = format!(
        "[[servers]]\nname = 'local'\ncommand = 'sh'\nargs = ['-c', '''{BACKWARDS}''']\nera = 'modern'\n\
         stateless = true\n"
    );
    let raw = crate::admin::server("raw", &upstream.url("/mcp"), "");
    let bed = Bed::start(&[], &format!("{local}{raw}{STAFF_ECHOES}")).await;
    let call = async |server: &str, user: &str, text: &str| {
        let token = bed.token(user, server).sign();
        let params = json!({"name": "echo", "arguments": {"text": text}});
        let answer = bed.call(server, &token, "tools/call", params).await;
        let answer = message(&answer);
        assert_eq!(answer["id"], 7, "{answer}");
        answer["result"]["text"].as_str().map(ToOwned::to_owned)
    };
    for server in ["raw", "local"] {
        let answers = tokio::join!(
            call(server, "ann", "anns"),
            call(server, "ben", "bens"),
            call(server, "ann", "another"),
        );
        let own = |text: &str| Some(text.to_owned());
        assert_eq!(
            answers,
            (own("anns"), own("bens"), own("another")),
            "{server}"
        );
    }
}

/// A server that takes three calls and answers the last one first, with what was said to it.
const BACKWARDS: &str = r#"n=0
while read -r line; do
id=$(printf '%s' "$line" | sed -n 's/.*"id":\("[^"]*"\|[0-9]*\).*/\1/p')
text=$(printf '%s' "$line" | sed -n 's/.*"text":"\([a-z]*\)".*/\1/p')
all="{\"jsonrpc\":\"2.0\",\"id\":$id,\"result\":{\"content\":[],\"text\":\"$text\"}}
$all"
n=$((n + 1))
if [ $n -eq 3 ]; then printf '%s' "$all"; fi
done"#;
