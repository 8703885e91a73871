use std::sync::Arc;

use gatewright_core::{
    CallBody, Draft, DraftDecision, Effect, Refused, ServerName, SnapshotVersion, TenantId,
    Timestamp, TraceContext,
};
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::testing::{PAY, delegation, permitted, principal, reference, route, start};

async fn draft(message: &str, log_contents: bool) -> Draft {
    let route = route().map_profile(|profile| profile.log_contents = log_contents);
    let permitted = permitted(&route, message).await;
    let draft = Draft::new(reference(), start());
    draft.fill(|fields| {
        fields.principal = Some(permitted.principal().clone());
        fields.call = Some(permitted.call().clone());
        fields.decision = Some(DraftDecision {
            effect: Effect::Allow,
            policies: Arc::clone(permitted.permit().policies()),
            reason: None,
            snapshot: SnapshotVersion(3),
        });
        fields.credential = Some("none".to_owned());
        fields.peer = Some("192.0.2.7:4711".parse().unwrap());
        fields.trace =
            TraceContext::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
        fields.route = Some(route);
    });
    draft
}

fn after(ms: i64) -> Timestamp {
    Timestamp::from_millis(start().millis() + ms)
}

fn json(record: &Record) -> Value {
    serde_json::from_str(&record.to_json()).unwrap()
}

fn complete() -> OutcomeRecord {
    OutcomeRecord {
        status: Some(200),
        ended: Ended::Complete,
        bytes: 321,
        error: None,
    }
}

#[tokio::test]
async fn the_form_of_an_admission() {
    let draft = draft(PAY, false).await;
    insta::assert_snapshot!(Record::admitted(&draft, after(2)).unwrap().to_json());
}

#[tokio::test]
async fn the_form_of_an_outcome() {
    let draft = draft(PAY, false).await;
    draft.fill(|fields| fields.admitted = true);
    let record = Record::ended(&draft, complete(), Some(after(5)), after(9)).unwrap();
    insta::assert_snapshot!(record.to_json());
}

#[tokio::test]
async fn the_form_of_a_refusal() {
    let draft = draft(PAY, false).await;
    draft.fill(|fields| {
        fields.decision = Some(DraftDecision {
            effect: Effect::Deny,
            policies: ["no-bots".into()].into(),
            reason: Some("forbidden by `no-bots`".to_owned()),
            snapshot: SnapshotVersion(3),
        });
    });
    let refused = Refused {
        layer: "policy",
        code: "denied",
    };
    draft.refuse(refused, Some("forbidden by `no-bots`".to_owned()));
    let record = Record::ended(&draft, complete(), Some(after(5)), after(5)).unwrap();
    assert!(!record.is_anonymous());
    insta::assert_snapshot!(record.to_json());
}

#[tokio::test]
async fn the_form_of_an_answer_that_needed_no_admission() {
    let draft = draft(PAY, false).await;
    draft.fill(|fields| (fields.decision, fields.call) = (None, None));
    let record = Record::ended(&draft, complete(), Some(after(5)), after(5)).unwrap();
    insta::assert_snapshot!(record.to_json());
}

#[test]
fn the_forms_of_the_logs_own_records() {
    let tenant = TenantId::default;
    let of_writer = |kind| Record::of_writer(kind, tenant(), "local", start());
    let counted = Counted {
        tenant: tenant(),
        server: ServerName::new("billing").ok(),
        refused: Some(Refused {
            layer: "identity",
            code: "expired",
        }),
        anonymous: true,
        caller: None,
        from: Some("192.0.2.0/24".to_owned()),
        networks: Vec::new(),
        elsewhere: 0,
        count: 9_997,
        since: start(),
        last: after(900),
    };
    let all = [
        of_writer(RecordKind::Opened),
        of_writer(RecordKind::Closed),
        of_writer(RecordKind::Space),
        Record::aggregate(counted, after(60_000)),
        Record::lost(tenant(), 12, start(), after(20)),
        Record::recovered(
            tenant(),
            "000000000001.jsonl",
            "000000000001.cut",
            b"{\"se",
            start(),
        ),
    ];
    let text: Vec<String> = all.iter().map(Record::to_json).collect();
    insta::assert_snapshot!(
        text.join("\n")
            .replace(env!("CARGO_PKG_VERSION"), "<version>")
    );
}

#[tokio::test]
async fn contents_are_digests_unless_the_profile_says_otherwise() {
    let closed = json(&Record::admitted(&draft(PAY, false).await, start()).unwrap());
    assert_eq!(closed["call"]["arguments"].get("json"), None);
    assert_eq!(closed["call"]["arguments"]["bytes"], 11);
    let opened = json(&Record::admitted(&draft(PAY, true).await, start()).unwrap());
    assert_eq!(opened["call"]["arguments"]["json"]["cents"], 5);
    assert_eq!(
        closed["call"]["arguments"]["sha256"],
        opened["call"]["arguments"]["sha256"]
    );
}

#[tokio::test]
async fn the_digest_is_that_of_the_arguments_as_they_were_sent() {
    let closed = json(&Record::admitted(&draft(PAY, false).await, start()).unwrap());
    let digest = crate::Digest::of(&[br#"{"cents":5}"#]).to_string();
    assert_eq!(closed["call"]["arguments"]["sha256"], digest);
}

#[tokio::test]
async fn contents_with_line_breaks_stay_one_line() {
    let message = PAY.replace("\"cents\":5", "\n\"cents\"\r\n:5, \"note\":\"a\\nb\"");
    let text = Record::admitted(&draft(&message, true).await, start())
        .unwrap()
        .to_json();
    assert!(!text.contains(['\n', '\r']));
    let value: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["call"]["arguments"]["json"]["note"], "a\nb");
}

#[tokio::test]
async fn contents_that_are_too_large_leave_their_digest() {
    let message = PAY.replace("5}", &format!("\"{}\"}}", "9".repeat(300_000)));
    let record = Record::admitted(&draft(&message, true).await, start()).unwrap();
    assert_eq!(json(&record)["call"]["arguments"].get("json"), None);
    assert!(record.to_json().len() < 2_000);
}

#[tokio::test]
async fn texts_of_callers_are_bounded() {
    let message = PAY
        .replace("\"pay\"", &format!("\"{}\"", "x".repeat(100_000)))
        .replace("\"id\":7", &format!("\"id\":\"{}\"", "y".repeat(1_000)));
    let record = Record::admitted(&draft(&message, false).await, start()).unwrap();
    assert!(record.to_json().len() < 3_000, "{}", record.to_json().len());
    let target = json(&record)["call"]["target"].as_str().unwrap().to_owned();
    assert!(
        target.contains("… (and 99488 bytes more; SHA-256 of all: "),
        "{}",
        target.len()
    );
}

#[tokio::test]
async fn a_message_without_arguments_leaves_its_own_digest() {
    let answer = r#"{"jsonrpc":"2.0","id":1,"result":{"action":"accept"}}"#;
    let value = json(&Record::admitted(&draft(answer, false).await, start()).unwrap());
    assert_eq!(value["call"]["kind"], "response");
    assert_eq!(value["call"]["message"]["bytes"], answer.len());
    assert_eq!(value["call"].get("arguments"), None);
}

#[tokio::test]
async fn of_a_delegation_the_agent_acts_for_the_user() {
    let route = route();
    let draft = Draft::new(reference(), start());
    let principal = principal(&route, delegation()).await;
    draft.fill(|fields| {
        fields.route = Some(route);
        fields.principal = Some(principal);
    });
    let value = json(&Record::ended(&draft, complete(), None, start()).unwrap());
    assert_eq!(value["who"]["agent"], "https://idp.example|bot");
    assert_eq!(value["who"].get("user"), None);
    assert_eq!(value["for_whom"], "https://idp.example|ann");
    assert_eq!(value["kind"], "answered");
}

#[test]
fn a_draft_without_route_makes_no_record() {
    let draft = Draft::new(reference(), start());
    assert!(Record::admitted(&draft, start()).is_none());
}

proptest! {
    #[test]
    fn no_text_of_anybody_breaks_the_form_of_a_record(
        texts in proptest::array::uniform4(any::<String>()), contents in any::<String>(), long in 0_usize..2_000,
        named in any::<bool>(),
    ) {
        let [method, target, policy, detail] = &texts;
        let draft = Draft::new(reference(), start());
        let route = route().map_profile(|profile| profile.log_contents = true);
        let target = format!("{target}{}", "\u{2028}".repeat(long));
        let arguments = serde_json::json!({"a": contents});
        let message = serde_json::json!({
            "jsonrpc": "2.0", "id": contents,
            "method": if named { "tools/call".to_owned() } else { format!("x{method}") },
            "params": {"name": target, "arguments": arguments},
        });
        let (parts, ()) = http::Request::post("/mcp").body(()).unwrap().into_parts();
        let text = message.to_string().into();
        let call = CallBody::parse(&route, &parts, text, &Default::default()).unwrap();
        draft.fill(|fields| {
            fields.route = Some(route);
            fields.call = Some(call.call().clone());
            fields.decision = Some(DraftDecision {
                effect: Effect::Deny,
                policies: [policy.as_str().into()].into(),
                reason: Some(detail.clone()),
                snapshot: SnapshotVersion(1),
            });
            fields.credential = Some(detail.clone());
        });
        draft.refuse(Refused { layer: "policy", code: "denied" }, Some(detail.clone()));
        let text = Record::ended(&draft, complete(), None, start()).unwrap().to_json();
        prop_assert_eq!(text.lines().count(), 1);
        prop_assert!(!text.contains(|c: char| c.is_control() || ('\u{2028}'..='\u{202e}').contains(&c)), "{}", text);
        let value: Value = serde_json::from_str(&text).unwrap();
        // What was read, written again with the same escapes.
        let again = crate::text::plain_json(&value.to_string());
        prop_assert_eq!(again.len(), text.len(), "no name twice: {}", text);
        prop_assert_eq!(&value["kind"], "refused");
        prop_assert_eq!(&value["decision"]["policies"][0], &crate::text::bounded(policy));
        // Of an unknown method nobody knows what the arguments are.
        let (part, kept) = if named { ("arguments", arguments) } else { ("message", message) };
        prop_assert_eq!(&value["call"][part]["json"], &kept);
    }
}
