//! Lists show what may be used, in every form that a list comes in.

use gatewright_core::{PolicyEngine, SnapshotVersion, Visible};
use gatewright_wire::ItemKind;

use super::*;

const LISTS: [(&str, &str, &str); 4] = [
    ("tools/list", "tools", "name"),
    ("prompts/list", "prompts", "name"),
    ("resources/list", "resources", "uri"),
    (
        "resources/templates/list",
        "resourceTemplates",
        "uriTemplate",
    ),
];

/// A list's result as a server wrote it, and as Ann may have it.
fn list(field: &str, name: &str, scope: &str) -> (String, String) {
    let all = format!(
        r#"{{"jsonrpc":"2.0", "id":7,"result":{{ "{field}":[ {{"{name}":"ok-1","x":1.50}}, {{"{name}":"no"}},{{"{name}" : "ok-2"}} ]{scope},"nextCursor":"c" }} }}"#
    );
    let shown = format!(
        r#"{{"jsonrpc":"2.0", "id":7,"result":{{ "{field}":[{{"{name}":"ok-1","x":1.50}},{{"{name}" : "ok-2"}}]{scope},"nextCursor":"c" }} }}"#
    );
    (all, shown.replace("public", "private"))
}

#[tokio::test]
async fn every_list_is_filtered_in_both_eras_and_both_forms() {
    let bed = bed();
    for (method, field, name) in LISTS {
        let (all, shown) = list(field, name, r#","cacheScope":"public""#);
        assert_eq!(
            bed.send(new(method, json!({})), says(all.clone()))
                .await
                .body,
            shown
        );
        let event = typed(200, "text/event-stream", format!("id: 4\ndata: {all}\n\n"));
        let got = bed.send(new(method, json!({})), event).await;
        assert_eq!(got.body, format!("id: 4\ndata: {shown}\n\n"));

        let (all, shown) = list(field, name, "");
        assert_eq!(
            bed.send(old(method, &json!({})), says(all.clone()))
                .await
                .body,
            shown
        );
        let event = typed(200, "text/event-stream", format!("data: {all}\n\n"));
        assert_eq!(
            bed.send(old(method, &json!({})), event).await.body,
            format!("data: {shown}\n\n")
        );
    }
}

#[tokio::test]
async fn a_list_of_which_nothing_may_be_seen_is_empty() {
    let bed = Bed::new(rules(|call| call.target().is_none()), |_| {});
    let got = bed
        .send(
            call_list(),
            result(&json!({"tools": [{"name": "a"}, {"name": "b"}]})),
        )
        .await;
    assert_eq!(got.json()["result"], json!({"tools": []}));
}

fn call_list() -> Request<Bytes> {
    new("tools/list", json!({}))
}

#[tokio::test]
async fn what_one_caller_may_have_is_nobody_elses() {
    let bed = bed();
    let all = json!({"tools": [{"name": "ok"}], "cacheScope": "public"});
    let got = bed.send(call_list(), result(&all)).await;
    assert_eq!(
        got.json()["result"],
        json!({"tools": [{"name": "ok"}], "cacheScope": "private"})
    );
    for request in [
        new("resources/read", json!({"uri": "ok://a"})),
        new("server/discover", json!({})),
    ] {
        let text = r#"{"jsonrpc":"2.0","id":7,"result":{"x":1.50,"cacheScope": "public" }}"#;
        let got = bed.send(request, says(text)).await;
        assert_eq!(got.body, text.replace("public", "private"));
    }
}

#[tokio::test]
async fn what_was_said_of_the_whole_list_is_not_said_of_the_rest() {
    let bed = bed();
    let (all, shown) = list("tools", "name", "");
    let mut answer = says(all);
    for (name, value) in [
        ("content-length", "9"),
        ("etag", "\"a\""),
        ("content-digest", "x"),
    ] {
        answer.headers_mut().insert(name, value.parse().unwrap());
    }
    let got = bed.send(call_list(), answer).await;
    assert_eq!(got.body, shown);
    assert_eq!(got.headers.keys().collect::<Vec<_>>(), ["content-type"]);
}

#[tokio::test]
async fn a_list_that_cannot_be_read_is_not_shown() {
    let bed = bed();
    for bad in [
        r#"{"tools":[{"name":"ok"},{"nom":"planted"}]}"#,
        r#"{"tools":[{"name":"ok"},{"name":"ok","Name":"planted"}]}"#,
        r#"{"tools":[{"name":["planted"]}]}"#,
        r#"{"tools":["planted"]}"#,
        r#"{"tools":{"name":"planted"}}"#,
        r#"{"tools":[],"Tools":[{"name":"planted"}]}"#,
        r#"{"tools":[],"tool\u0073":[{"name":"planted"}]}"#,
        r#"{"TOOLS":[{"name":"planted"}]}"#,
        r#"["planted"]"#,
        r#""planted""#,
    ] {
        let text = format!(r#"{{"jsonrpc":"2.0","id":7,"result":{bad}}}"#);
        for answer in [
            says(text.clone()),
            typed(200, "text/event-stream", format!("data: {text}\n\n")),
        ] {
            let got = bed.send(call_list(), answer).await;
            assert!(!got.body.contains("planted"), "{bad}: {}", got.body);
            assert!(
                got.body.contains("5503") && got.body.contains(r#""id":7"#),
                "{bad}: {}",
                got.body
            );
        }
    }
    assert_eq!(bed.recorded(), Some("unreadable-answer"));
}

#[tokio::test]
async fn an_engine_that_does_not_decide_on_each_item_shows_none() {
    struct Short;
    impl PolicyEngine for Short {
        async fn decide(&self, _: &Principal, _: &Call) -> Decision {
            Decision::allow(["all"])
        }

        async fn visible(&self, _: &Principal, _: &Route, _: ItemKind, _: &[&str]) -> Visible {
            Visible {
                shown: vec![true],
                snapshot: SnapshotVersion::default(),
            }
        }
    }
    let bed = Bed::new(Short, |_| {});
    let got = bed
        .send(
            call_list(),
            result(&json!({"tools": [{"name": "a"}, {"name": "b"}]})),
        )
        .await;
    assert_eq!(got.code(), 5503);
}

#[tokio::test]
async fn an_error_in_place_of_a_list_passes() {
    let bed = bed();
    let error = r#"{"jsonrpc":"2.0", "id":7,"error":{"code":-32602,"message":"bad cursor"}}"#;
    assert_eq!(bed.send(call_list(), says(error)).await.body, error);
}

#[tokio::test]
async fn a_list_on_a_resumed_stream_is_known_by_its_shape() {
    let bed = bed();
    for (_, field, name) in LISTS {
        let (all, shown) = list(field, name, "");
        let (all, shown) = (
            all.replace(r#""id":7"#, r#""id":3"#),
            shown.replace(r#""id":7"#, r#""id":3"#),
        );
        let answer = typed(200, "text/event-stream", format!("data: {all}\n\n"));
        assert_eq!(
            bed.send(stream(), answer).await.body,
            format!("data: {shown}\n\n")
        );
    }
    let disguised = json!({"jsonrpc": "2.0", "id": 3, "result": {"Tools": [{"name": "planted"}]}});
    let got = bed.send(stream(), events(&[disguised])).await;
    assert!(
        !got.body.contains("planted") && got.body.contains("5503"),
        "{}",
        got.body
    );
}
