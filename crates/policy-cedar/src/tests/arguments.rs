use std::time::Duration;

use super::*;

fn limited(condition: &Json) -> CedarEngine {
    ann_may(
        &json!([{"servers": ["billing"], "tools": ["pay"], "when": {"arguments": [condition]}}]),
    )
}

#[tokio::test]
async fn a_limit_on_a_number_holds_for_every_way_to_write_one() {
    let role = limited(&json!({"argument": "amount", "at_most": 100}));
    let by_hand = written(
        r#"permit(principal, action, resource);
        forbid(principal, action == Gatewright::Action::"tools/call", resource == Gatewright::Tool::"billing/pay")
        unless { context.args has amount && context.args.amount has integer && context.args.amount.integer <= 100 };"#,
    );
    for (amount, allowed) in [
        ("100", true),
        ("-1", true),
        ("0", true),
        ("101", false),
        ("1e2", false),
        ("1E400", false),
        ("100.0", false),
        ("99.5", false),
        ("99999999999999999999", false),
        ("-99999999999999999999", false),
        ("9223372036854775808", false),
        ("null", false),
        (r#""100""#, false),
        ("true", false),
        ("[100]", false),
        (r#"{"value":100}"#, false),
    ] {
        let text = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"pay","arguments":{{"amount":{amount}}}}}}}"#
        );
        let (parts, ()) = http::Request::post("/").body(()).unwrap().into_parts();
        let Ok(call) = CallBody::parse(&route(), &parts, text.into(), &Limits::default()) else {
            assert!(!allowed, "{amount}: refused before policy");
            continue;
        };
        assert_eq!(
            allows(&role, &ann().await, &call).await,
            allowed,
            "role: {amount}"
        );
        assert_eq!(
            allows(&by_hand, &ann().await, &call).await,
            allowed,
            "by hand: {amount}"
        );
    }
    for arguments in [
        "{}",
        r#"{"Amount":5}"#,
        r#"{"amount":5,"AMOUNT":5000}"#,
        r#"{"x":{"amount":5}}"#,
    ] {
        assert!(
            !allows(&role, &ann().await, &tool("pay", arguments)).await,
            "role: {arguments}"
        );
        assert!(
            !allows(&by_hand, &ann().await, &tool("pay", arguments)).await,
            "by hand: {arguments}"
        );
    }
}

#[tokio::test]
async fn conditions_on_arguments_do_not_hide_the_tool() {
    let engine = limited(&json!({"argument": "amount", "at_most": 100}));
    assert!(shows(&engine, &ann().await, ItemKind::Tool, "pay").await);
    assert!(!allows(&engine, &ann().await, &tool("pay", r#"{"amount":5000}"#)).await);
}

#[tokio::test]
async fn a_pattern_of_a_path_does_not_fit_what_climbs_out_of_it() {
    for (pattern, value, allowed) in [
        ("/data/*", "/data/a..b/c", true),
        ("/data/*", "/data/../etc", false),
        ("/data/*", "/data/a/..", false),
        ("/data/*", r"/data/a\..\..\x", false),
        ("*/public/*", "../public/x", false),
        (r"c:\*", r"c:\a", true),
        (r"c:\*", r"c:\..\a", false),
        ("v*", "v1/../2", true),
    ] {
        let engine = limited(&json!({"argument": "path", "like": pattern}));
        let arguments = json!({"path": value}).to_string();
        assert_eq!(
            allows(&engine, &ann().await, &tool("pay", &arguments)).await,
            allowed,
            "{pattern} {value}"
        );
    }
}

#[tokio::test]
async fn texts_flags_and_choices_are_compared_exactly() {
    for (condition, good, bad) in [
        (
            json!({"argument": "to", "equals": "a\"b"}),
            r#"{"to":"a\"b"}"#,
            r#"{"to":"a"}"#,
        ),
        (
            json!({"argument": "to", "one_of": ["x", 7]}),
            r#"{"to":7}"#,
            r#"{"to":"7"}"#,
        ),
        (
            json!({"argument": "to", "one_of": ["x", 7]}),
            r#"{"to":"x"}"#,
            r#"{"to":["x"]}"#,
        ),
        (
            json!({"argument": "dry", "equals": true}),
            r#"{"dry":true}"#,
            r#"{"dry":"true"}"#,
        ),
        (
            json!({"argument": "to", "like": "*@example.com"}),
            r#"{"to":"a@example.com"}"#,
            r#"{"to":"a@example.com.evil"}"#,
        ),
        (
            json!({"argument": "p", "like": "a\\*"}),
            r#"{"p":"a\\b"}"#,
            r#"{"p":"a*"}"#,
        ),
        (
            json!({"argument": "t.amount", "at_least": 1, "at_most": 5}),
            r#"{"t":{"amount":5}}"#,
            r#"{"t.amount":5}"#,
        ),
        (
            json!({"argument": "t.amount", "at_least": 1, "at_most": 5}),
            r#"{"t":{"amount":1}}"#,
            r#"{"t":{"amount":0}}"#,
        ),
    ] {
        let engine = limited(&condition);
        assert!(
            allows(&engine, &ann().await, &tool("pay", good)).await,
            "{condition} {good}"
        );
        assert!(
            !allows(&engine, &ann().await, &tool("pay", bad)).await,
            "{condition} {bad}"
        );
    }
}

#[tokio::test]
async fn clients_are_compared_exactly() {
    let engine =
        ann_may(&json!([{"servers": ["billing"], "tools": ["*"], "when": {"clients": ["desk"]}}]));
    for (client, allowed) in [(Some("desk"), true), (Some("desk2"), false), (None, false)] {
        let mut identity = Identity::user(party("ann"));
        identity.client_id = client.map(Into::into);
        assert_eq!(
            allows(&engine, &principal(identity).await, &tool("t", "{}")).await,
            allowed,
            "{client:?}"
        );
    }
}

#[tokio::test]
async fn old_and_unknown_authentication_does_not_fit() {
    let when = json!({"authenticated_within": 300});
    let engine = ann_may(&json!([{"servers": ["billing"], "tools": ["*"], "when": when}]));
    for (age, allowed) in [
        (Some(0), true),
        (Some(300_000), true),
        (Some(300_001), false),
        (Some(301_000), false),
        // An issuer's clock may be a minute ahead; what is further off was not a moment ago.
        (Some(-60_000), true),
        (Some(-60_001), false),
        (Some(i64::MIN / 2), false),
        (None, false),
    ] {
        let mut identity = Identity::user(party("ann"));
        identity.authenticated_at = age.map(|age| Timestamp::from_millis(NOON * 1_000 - age));
        assert_eq!(
            allows(&engine, &principal(identity).await, &tool("t", "{}")).await,
            allowed,
            "{age:?}"
        );
    }
}

#[tokio::test]
async fn hours_and_days_are_in_utc() {
    let clock = clock();
    let when = json!({"hours": {"days": ["mon"], "from": 9, "until": 11}});
    let engine = CedarEngine::builder()
        .clock(clock.clone())
        .roles([role(
            "r",
            &json!([{"servers": ["billing"], "tools": ["*"], "when": when}]),
        )])
        .grants([to_user("r", "ann")])
        .build()
        .unwrap();
    assert!(
        allows(&engine, &ann().await, &tool("t", "{}")).await,
        "Monday at ten"
    );
    clock.advance(Duration::from_secs(3600));
    assert!(
        !allows(&engine, &ann().await, &tool("t", "{}")).await,
        "Monday at eleven"
    );
    clock.advance(Duration::from_secs(23 * 3600));
    assert!(
        !allows(&engine, &ann().await, &tool("t", "{}")).await,
        "Tuesday at ten"
    );
    clock.advance(Duration::from_secs(6 * 86_400));
    assert!(
        allows(&engine, &ann().await, &tool("t", "{}")).await,
        "the next Monday at ten"
    );
}
