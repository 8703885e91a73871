//! What people ask: what can somebody do, who can call this, what changes.

use gatewright_core::{ServerName, access::Pattern, access::Scope};
use gatewright_policy::{Changed, Explain, Review};

use super::*;
use crate::{TenantEngines, ToolFacts};

fn server(name: &str) -> ServerName {
    ServerName::new(name).unwrap()
}

fn roles() -> Vec<Role> {
    let clerk = role(
        "clerk",
        &json!([
            {"servers": ["billing"], "tools": ["pay"], "when": {"hours": {"from": 8, "until": 18}}},
            {"servers": ["*"], "tools": ["*"], "read_only": true},
        ]),
    );
    let chief: Role = serde_json::from_value(json!({
        "name": "chief", "inherits": ["clerk"], "admin": [{"actions": ["members.*"]}],
    }))
    .unwrap();
    vec![clerk, chief]
}

fn engine() -> CedarEngine {
    let to_desk = Grant {
        expires: Some(Timestamp::from_secs(NOON + 60)),
        reason: Some("ticket 4711\u{1b}[2J".into()),
        over: Some(Scope::Server(server("billing"))),
        ..grant("chief", Grantee::Group(group("desk")))
    };
    let ended = Grant {
        expires: Some(Timestamp::from_secs(NOON)),
        ..to_user("clerk", "gone")
    };
    builder()
        .roles(roles())
        .grants([to_desk, to_user("clerk", "ann"), ended])
        .vouch(server("billing"), Pattern::new("get_*"), ToolFacts::READ_ONLY)
        .policies(
            "own.cedar",
            r#"
            @id("nobody-refunds")
            forbid(principal, action, resource == Gatewright::Tool::"billing/refund");
            @id("desk-looks")
            permit(principal in Gatewright::Group::"https://idp.example.com|desk", action == Gatewright::Action::"see", resource);
            @id("prompts")
            permit(principal, action == Gatewright::Action::"prompts/get", resource);
            @id("desk-admin")
            permit(principal in GatewrightAdmin::Group::"https://idp.example.com|desk",
                action == GatewrightAdmin::Action::"users.write", resource);
            "#,
        )
        .build()
        .unwrap()
}

fn of_desk() -> Identity {
    Identity::user(party("eve").with_groups([group("desk")]))
}

#[tokio::test]
async fn explain_names_the_grant_the_group_and_what_is_inherited() {
    let engine = engine();
    let eve = principal(of_desk()).await;
    let explanation = engine.explain(&eve, tool("pay", "{}").call()).await;
    assert!(matches!(explanation.decision, Decision::Allow { .. }));
    let held: Vec<_> = explanation
        .roles
        .iter()
        .map(|held| (held.role.as_str(), held.granted.as_deref()))
        .collect();
    assert_eq!(held, [("chief", None), ("clerk", Some("chief"))]);
    let text = explanation.to_string();
    assert!(
        text.contains(
            r#"holds `clerk` through Gatewright::Group::"https://idp.example.com|desk" as `chief` inherits from it over server:billing until 2026-11-23T10:01:00Z (ticket 4711\u{1b}[2J)"#
        ),
        "{text}"
    );
    let nobody = principal(Identity::user(party("eve"))).await;
    let explanation = engine.explain(&nobody, tool("pay", "{}").call()).await;
    assert!(explanation.roles.is_empty());
}

#[tokio::test]
async fn what_somebody_can_do_is_listed_with_how_they_come_to_it() {
    let engines = TenantEngines::new([engine()]);
    let servers = [server("billing"), server("wiki")];
    let eve = principal(of_desk()).await;
    let abilities = engines.abilities(&eve, &servers).unwrap();
    let [eve] = abilities.parties.as_slice() else {
        panic!("{abilities:?}")
    };
    let on: Vec<_> = eve
        .permissions
        .iter()
        .map(|held| (held.by.role.as_str(), held.number, held.servers.join(" ")))
        .collect();
    assert_eq!(
        on,
        [
            ("clerk", 1, "billing".to_owned()),
            ("clerk", 2, "billing wiki".to_owned())
        ]
    );
    assert_eq!(
        eve.administration[0].actions,
        ["members.write", "members.remove"],
        "over a server nobody provisions"
    );
    let policies: Vec<_> = eve
        .policies
        .iter()
        .map(|policy| policy.id.as_str())
        .collect();
    assert_eq!(
        policies,
        ["nobody-refunds", "desk-looks", "prompts", "desk-admin"]
    );
    assert!(eve.policies[0].forbids && !eve.policies[1].forbids);

    let text = abilities.to_string();
    assert!(
        text.contains("servers billing; tools pay; when {"),
        "{text}"
    );
    assert!(
        serde_json::to_value(&abilities).unwrap()["parties"][0]["permissions"][0]["by"]["expires"]
            .is_string()
    );

    let gone = principal(Identity::user(party("gone"))).await;
    let abilities = engines.abilities(&gone, &servers).unwrap();
    assert!(abilities.parties[0].permissions.is_empty());
    assert_eq!(abilities.parties[0].policies.len(), 2, "of everybody");
    let both = principal(Identity::delegated(party("ann"), party("bot"))).await;
    let abilities = engines.abilities(&both, &servers).unwrap();
    assert_eq!(abilities.parties[0].permissions.len(), 2);
    assert!(abilities.parties[1].permissions.is_empty());
}

#[test]
fn who_can_call_a_tool_is_those_whom_its_permissions_are_granted_to() {
    let engines = TenantEngines::new([engine()]);
    let callers = |server: &str, tool: &str| {
        let server = ServerName::new(server).unwrap();
        engines
            .callers(&TenantId::default(), &server, tool)
            .unwrap()
    };
    let names = |server: &str, tool: &str| -> Vec<String> {
        let all = callers(server, tool).callers;
        all.iter()
            .map(|held| format!("{} {}/{}", held.by.party, held.by.role, held.number))
            .collect()
    };
    let desk = "group:https://idp.example.com|desk";
    let ann = "user:https://idp.example.com|ann";
    assert_eq!(
        names("billing", "pay"),
        [format!("{desk} clerk/1"), format!("{ann} clerk/1")]
    );
    assert_eq!(
        names("billing", "get_invoice"),
        [format!("{desk} clerk/2"), format!("{ann} clerk/2")]
    );
    assert!(names("wiki", "pay").is_empty());
    assert!(
        names("wiki", "get_page").is_empty(),
        "nobody vouches for it"
    );
    let policies = |tool: &str| -> Vec<String> {
        let all = callers("billing", tool).policies;
        all.into_iter().map(|policy| policy.id).collect()
    };
    assert_eq!(policies("refund"), ["nobody-refunds", "desk-looks"]);
    assert_eq!(policies("pay"), ["desk-looks"]);
    assert_eq!(
        engines.callers(&tenant("acme"), &server("billing"), "pay"),
        None
    );
}

/// Who is listed is who may, as far as roles go.
#[tokio::test]
async fn callers_and_decisions_agree() {
    let permissions = json!([
        {"servers": ["bill*"], "tools": ["get_*"], "read_only": true},
        {"servers": ["billing"], "tools": ["*"], "destructive": false, "tags": ["notes"]},
        {"servers": ["wiki"], "tools": ["*"]},
    ]);
    let notes = ToolFacts {
        destructive: false,
        tags: ["notes".to_owned()].into(),
        ..ToolFacts::default()
    };
    let engine = builder()
        .roles([role("r", &permissions)])
        .grants([to_user("r", "ann")])
        .vouch(
            server("billing"),
            Pattern::new("get_x"),
            ToolFacts::READ_ONLY,
        )
        .vouch(server("billing"), Pattern::new("note"), notes)
        .build()
        .unwrap();
    for name in ["get_x", "get_y", "note", "pay"] {
        let listed = engine.callers(&TenantId::default(), &server("billing"), name);
        assert_eq!(
            !listed.unwrap().callers.is_empty(),
            allows(&engine, &ann().await, &tool(name, "{}")).await,
            "{name}"
        );
    }
}

#[test]
fn what_changes_is_who_gains_and_loses_what() {
    let before = engine();
    assert!(before.changes(&before).is_empty());

    let mut roles = roles();
    roles[0].permissions.remove(0);
    roles[1].admin = serde_json::from_value(json!([{"actions": ["users.write"]}])).unwrap();
    let longer = Grant {
        over: Some(Scope::Server(server("billing"))),
        expires: None,
        ..grant("chief", Grantee::Group(group("desk")))
    };
    let after = builder()
        .roles(roles)
        .grants([
            longer,
            to_user("administrator", "ann"),
            to_user("clerk", "ann"),
        ])
        .vouch(server("wiki"), Pattern::new("get_*"), ToolFacts::READ_ONLY)
        .vouch(
            server("billing"),
            Pattern::new("get_*"),
            ToolFacts::READ_ONLY,
        )
        .policies(
            "own.cedar",
            r#"
            @id("nobody-refunds")
            forbid(principal, action, resource == Gatewright::Tool::"billing/refund2");
            @id("new")
            permit(principal, action == Gatewright::Action::"prompts/get", resource);
            "#,
        )
        .build()
        .unwrap();
    let changes = before.changes(&after);
    let names: Vec<_> = changes
        .grantees
        .iter()
        .map(|one| one.grantee.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "group:https://idp.example.com|desk",
            "user:https://idp.example.com|ann"
        ]
    );
    let told = |all: &[gatewright_policy::Change]| -> Vec<String> {
        all.iter()
            .map(|change| match &change.what {
                Changed::Permission(permission) => {
                    let until = change.until.as_deref().unwrap_or("always");
                    format!("{} {until}", permission.tools[0])
                }
                Changed::Action { .. } => change.to_string(),
            })
            .collect()
    };
    let [desk, ann] = changes.grantees.as_slice() else {
        panic!()
    };
    assert_eq!(
        told(&desk.gained),
        ["* always", "users.write over server:billing"],
        "what they had ends later, too"
    );
    assert_eq!(
        told(&desk.lost),
        [
            "pay 2026-11-23T10:01:00Z",
            "members.write over server:billing until 2026-11-23T10:01:00Z",
            "members.remove over server:billing until 2026-11-23T10:01:00Z"
        ]
    );
    assert_eq!(told(&ann.lost), ["pay always"]);
    assert!(ann.gained.len() > 10, "an administrator");
    let policies: Vec<_> = changes
        .policies
        .iter()
        .map(|one| (one.id.as_str(), one.before.is_some(), one.after.is_some()))
        .collect();
    assert_eq!(
        policies,
        [
            ("desk-admin", true, false),
            ("desk-looks", true, false),
            ("new", false, true),
            ("nobody-refunds", true, true),
            ("prompts", true, false),
        ]
    );
    assert_eq!(changes.vouched, ["wiki"]);
    let text = changes.to_string();
    for line in [
        "  + users.write over server:billing",
        "~ policy `nobody-refunds`",
        "- policy `prompts`",
        "+ policy `new`",
        "~ tools of `wiki`",
    ] {
        assert!(text.lines().any(|one| one == line), "{line}: {text}");
    }
    assert!(serde_json::to_string(&changes).is_ok());
    // And back again.
    let back = after.changes(&before);
    assert_eq!(back.grantees[1].gained, ann.lost);
    assert_eq!(back.grantees[1].lost, ann.gained);
}

#[test]
fn what_is_held_over_everything_is_not_lost_over_a_part() {
    let over_billing = Grant {
        over: Some(Scope::Server(server("billing"))),
        ..to_user("metadata-viewer", "ann")
    };
    let part = builder().grants([over_billing]).build().unwrap();
    let whole = builder()
        .grants([to_user("metadata-viewer", "ann")])
        .build()
        .unwrap();
    let changes = part.changes(&whole);
    assert_eq!(changes.grantees[0].gained.len(), 3);
    assert!(changes.grantees[0].lost.is_empty());
    let back = whole.changes(&part);
    assert!(back.grantees[0].gained.is_empty());
    assert_eq!(back.grantees[0].lost.len(), 3);
}

#[test]
fn long_lists_end() {
    let many = |count: usize| {
        let grants = (0..count).map(|n| to_user("clerk", &format!("u{n:05}")));
        builder().roles(roles()).grants(grants).build().unwrap()
    };
    let changes = many(0).changes(&many(1_234));
    assert_eq!((changes.grantees.len(), changes.more), (1_000, 234));
    assert!(changes.to_string().contains("and 234 more"));
    let callers = many(10_007)
        .callers(&TenantId::default(), &server("billing"), "pay")
        .unwrap();
    assert_eq!((callers.callers.len(), callers.more), (10_000, 7));
}
