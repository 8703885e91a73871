//! The credential mode that policies choose for a call.

use gatewright_core::Obligation;

use super::*;

/// The modes that the decision asks for; `None` if the call is denied.
async fn modes(
    engine: &CedarEngine,
    principal: &Principal,
    body: &CallBody,
) -> Option<Vec<String>> {
    let Decision::Allow { obligations, .. } = decide(engine, principal, body).await else {
        return None;
    };
    let mode = |obligation: Obligation| {
        assert_eq!(obligation.name, Obligation::CREDENTIAL);
        obligation.value
    };
    Some(obligations.into_iter().map(mode).collect())
}

fn chosen(modes: &[&str]) -> Option<Vec<String>> {
    Some(modes.iter().copied().map(str::to_owned).collect())
}

/// Everybody may connect; who says nothing leaves the choice to the server.
fn own_and_common() -> CedarEngine {
    let own = json!([{"servers": ["billing"], "tools": ["pay", "both"], "credential": "per-user"}]);
    let common =
        json!([{"servers": ["billing"], "tools": ["report", "both"], "credential": "shared"}]);
    let silent = json!([{"servers": ["billing"], "tools": ["pay", "look"]}]);
    builder()
        .roles([
            role("own", &own),
            role("common", &common),
            role("silent", &silent),
        ])
        .grants([
            to_user("own", "ann"),
            to_user("common", "ben"),
            to_user("own", "cleo"),
            to_user("common", "cleo"),
            to_user("silent", "dan"),
            to_user("own", "eve"),
            to_user("silent", "eve"),
            grant("common", Grantee::Agent(subject("bot"))),
            grant("silent", Grantee::Agent(subject("mute"))),
        ])
        .build()
        .unwrap()
}

#[tokio::test]
async fn a_permission_chooses_the_credential_of_what_it_permits() {
    let engine = own_and_common();
    let list = || body("tools/list", &json!({}));
    for (name, call, wanted) in [
        ("ann", tool("pay", "{}"), chosen(&["per-user"])),
        ("ann", list(), chosen(&["per-user"])),
        ("ben", tool("report", "{}"), chosen(&["shared"])),
        ("ben", list(), chosen(&["shared"])),
        ("dan", tool("pay", "{}"), chosen(&[])),
        ("dan", list(), chosen(&[])),
        // Refused, and so without a credential.
        ("ann", tool("report", "{}"), None),
        // Who says nothing does not object.
        ("eve", tool("pay", "{}"), chosen(&["per-user"])),
        ("eve", tool("look", "{}"), chosen(&[])),
        // Two choices at once are both handed on, and CredentialLayer refuses the call.
        ("cleo", tool("both", "{}"), chosen(&["per-user", "shared"])),
        ("cleo", tool("pay", "{}"), chosen(&["per-user"])),
        ("cleo", tool("report", "{}"), chosen(&["shared"])),
        ("cleo", list(), chosen(&["per-user", "shared"])),
    ] {
        let who = principal(Identity::user(party(name))).await;
        // What is kept from the first answer says the same.
        for _ in 0..2 {
            let target = call.call().target();
            assert_eq!(
                modes(&engine, &who, &call).await,
                wanted,
                "{name} {target:?}"
            );
        }
    }
}

#[tokio::test]
async fn both_parties_of_a_delegation_have_a_say() {
    let engine = own_and_common();
    for (user, agent, wanted) in [
        ("ann", "bot", &["per-user", "shared"] as &[_]),
        ("ben", "bot", &["shared"]),
        ("dan", "bot", &["shared"]),
        ("ann", "mute", &["per-user"]),
        ("dan", "mute", &[]),
    ] {
        let who = principal(Identity::delegated(party(user), party(agent))).await;
        let list = body("tools/list", &json!({}));
        assert_eq!(
            modes(&engine, &who, &list).await,
            chosen(wanted),
            "{user} {agent}"
        );
    }
}

#[tokio::test]
async fn what_only_shows_a_tool_does_not_choose_its_credential() {
    let engine = ann_may(&json!([
        {"servers": ["billing"], "tools": ["pay"], "credential": "shared"},
        {
            "servers": ["billing"], "tools": ["pay"], "credential": "per-user",
            "when": {"arguments": [{"argument": "cents", "at_least": 100}]},
        },
    ]));
    let ann = ann().await;
    assert!(shows(&engine, &ann, ItemKind::Tool, "pay").await);
    let small = modes(&engine, &ann, &tool("pay", r#"{"cents": 5}"#)).await;
    assert_eq!(small, chosen(&["shared"]));
    let large = modes(&engine, &ann, &tool("pay", r#"{"cents": 500}"#)).await;
    assert_eq!(large, chosen(&["per-user", "shared"]));
}

#[tokio::test]
async fn an_annotation_chooses_as_a_permission_does() {
    let engine = written(
        r#"@credential("none") permit(principal, action, resource)
           when { context has client && context.client == "kiosk" };
           @id("own") @credential("per-user")
           permit(principal == Gatewright::User::"https://idp.example.com|ann", action, resource);
           permit(principal == Gatewright::User::"https://idp.example.com|ben", action, resource);"#,
    );
    let ben = principal(Identity::user(party("ben"))).await;
    assert_eq!(
        modes(&engine, &ann().await, &tool("pay", "{}")).await,
        chosen(&["per-user"])
    );
    assert_eq!(modes(&engine, &ben, &tool("pay", "{}")).await, chosen(&[]));
}

#[test]
fn an_annotation_that_chooses_nothing_is_refused() {
    let permit = "permit(principal, action, resource);";
    for (annotation, policy, why) in [
        (
            r#"@credential("per-robot")"#,
            permit,
            "`per-robot` is no credential mode: use one of `none`, `shared`",
        ),
        (
            r#"@credential("Shared")"#,
            permit,
            "`Shared` is no credential mode",
        ),
        ("@credential", permit, "`` is no credential mode"),
        (
            r#"@credential("shared")"#,
            "forbid(principal, action, resource);",
            "on a `forbid`",
        ),
        (
            r#"@credential("shared")"#,
            r#"permit(principal, action == Gatewright::Action::"see", resource);"#,
            "of `see` alone",
        ),
        (
            r#"@credential("shared")"#,
            r#"permit(principal, action in [Gatewright::Action::"see"], resource);"#,
            "of `see` alone",
        ),
    ] {
        let text = format!("{permit}\n\n{annotation}\n{policy}");
        let refused = builder().policies("own.cedar", &text).build().unwrap_err();
        let refused = refused.to_string();
        assert!(refused.starts_with("own.cedar:3: "), "{refused}");
        assert!(refused.contains(why), "{refused}");
    }
    let unknown = json!({"servers": ["s"], "tools": ["t"], "credential": "per-robot"});
    assert!(serde_json::from_value::<gatewright_core::access::Permission>(unknown).is_err());
}
