use std::collections::HashMap;

use cedar_policy::Entities;
use gatewright_core::{Clock, ServerName};
use gatewright_policy::Explain;

use super::*;
use crate::{
    compile::Source,
    files::{self, PolicyFile},
    index::Index,
    names::{self, Kind},
    schema::Action,
    view::View,
};

/// How many policies the call half of `call` evaluates.
async fn slice(engine: &CedarEngine, principal: &Principal, call: &CallBody) -> usize {
    engine
        .explain(principal, call.call())
        .await
        .halves
        .iter()
        .map(|half| half.slice)
        .max()
        .unwrap()
}

fn many(count: usize) -> String {
    let mut text = String::new();
    for n in 0..count {
        let (group, tool) = (n % 100, n / 10);
        text.push_str(&format!(
            "permit(principal in Gatewright::Group::\"{IDP}|g{group}\", action in [Gatewright::Action::\"see\", \
             Gatewright::Action::\"tools/call\"], resource == Gatewright::Tool::\"billing/t{tool}\");\n"
        ));
    }
    text
}

/// Invariant 12. The index alone: a debug build takes long to validate so many policies.
#[test]
fn of_ten_thousand_policies_a_slice_has_those_that_can_match() {
    let file = PolicyFile {
        name: "many.cedar".into(),
        text: many(10_000).into(),
    };
    let sources: Vec<Source> = files::parse(&file)
        .unwrap()
        .into_iter()
        .map(|(source, _)| source)
        .collect();
    let index = Index::new(sources).unwrap();
    assert_eq!((index.len(), index.unscoped().count()), (10_000, 0));
    let member = party("ann").with_groups([group("g7"), group("g8")]);
    let view = View::new(Kind::User, &member, &HashMap::new(), &index, clock().now()).unwrap();
    let server = ServerName::new("billing").unwrap();
    let slice = |action: &'static str, name: &str| {
        let scopes = [
            index.resource(&names::item(Kind::Tool, &server, name)),
            index.resource(&names::server(&server)),
        ];
        view.ready(&index, &Entities::empty(), Action(action), scopes)
            .unwrap()
            .slice
            .len
    };
    assert_eq!(slice("tools/call", "t0"), 2);
    assert_eq!(slice("see", "t0"), 2);
    assert_eq!(slice("prompts/get", "t0"), 0);
    assert_eq!(slice("tools/call", "t1"), 0);
    assert_eq!(slice("tools/call", "nosuch"), 0);
}

#[tokio::test]
async fn a_call_meets_only_the_policies_that_can_match() {
    let engine = written(&many(300));
    let member = principal(Identity::user(
        party("ann").with_groups([group("g7"), group("g8")]),
    ))
    .await;
    assert_eq!(slice(&engine, &member, &tool("t0", "{}")).await, 2);
    assert!(allows(&engine, &member, &tool("t0", "{}")).await);
    assert!(!allows(&engine, &member, &tool("t1", "{}")).await);
    assert!(!allows(&engine, &member, &tool("nosuch", "{}")).await);
}

#[tokio::test]
async fn roles_that_nobody_holds_cost_nothing() {
    let roles = (0..200).map(|n| {
        role(
            &format!("r{n}"),
            &json!([{"servers": ["billing"], "tools": ["*"]}]),
        )
    });
    let engine = builder()
        .roles(roles)
        .grants([to_user("r7", "ann")])
        .build()
        .unwrap();
    assert_eq!(slice(&engine, &ann().await, &tool("t", "{}")).await, 1);
    assert!(allows(&engine, &ann().await, &tool("t", "{}")).await);
}

#[tokio::test]
async fn unscoped_policies_are_named_and_in_every_slice() {
    let engine = written(
        r#"@id("wide") permit(principal, action, resource);
        @id("typed") permit(principal is Gatewright::User, action, resource is Gatewright::Tool);
        permit(principal, action, resource in Gatewright::Server::"billing");"#,
    );
    assert_eq!(engine.unscoped().collect::<Vec<_>>(), ["wide", "typed"]);
    assert_eq!(slice(&engine, &ann().await, &tool("t", "{}")).await, 3);
    assert_eq!(
        slice(
            &engine,
            &ann().await,
            &body("initialize", &json!({"protocolVersion": "2025-11-25"}))
        )
        .await,
        3
    );
}

#[tokio::test]
async fn slices_and_the_whole_set_decide_alike() {
    let whole = format!(
        r#"
        permit(principal in Gatewright::Group::"{IDP}|g1", action, resource);
        permit(principal == Gatewright::User::"{IDP}|ann", action == Gatewright::Action::"see", resource);
        permit(principal, action == Gatewright::Action::"tools/call", resource in Gatewright::Server::"billing");
        forbid(principal is Gatewright::User in Gatewright::Group::"{IDP}|g2", action, resource is Gatewright::Tool)
            when {{ resource.name like "x*" }};
        forbid(principal, action, resource == Gatewright::Tool::"billing/no");
        forbid(principal, action in [Gatewright::Action::"call"], resource is Gatewright::Tool in Gatewright::Server::"billing")
            when {{ resource.name == "y" }};
        "#
    );
    let engine = written(&whole);
    let of = |groups: &[&str]| {
        Identity::user(party("ann").with_groups(groups.iter().map(|name| group(name))))
    };
    for (groups, name, allowed) in [
        (&[] as &[&str], "a", true),
        (&[], "xa", true),
        (&["g2"], "xa", false),
        (&["g1", "g2"], "a", true),
        (&["g1"], "no", false),
        (&["g1"], "y", false),
    ] {
        let ann = principal(of(groups)).await;
        assert_eq!(
            allows(&engine, &ann, &tool(name, "{}")).await,
            allowed,
            "{groups:?} {name}"
        );
    }
}

#[tokio::test]
async fn only_paths_of_the_slice_are_looked_up() {
    let mut permissions = Vec::new();
    for n in 0..100 {
        let when = json!({"arguments": [{"argument": format!("a{n}"), "at_most": 1}]});
        permissions.push(json!({"servers": ["billing"], "tools": [format!("t{n}")], "when": when}));
    }
    let engine = ann_may(&Json::Array(permissions));
    assert_eq!(slice(&engine, &ann().await, &tool("t3", "{}")).await, 1);
    assert!(allows(&engine, &ann().await, &tool("t3", r#"{"a3":1}"#)).await);
    assert!(!allows(&engine, &ann().await, &tool("t3", r#"{"a4":1}"#)).await);
}

/// Not a test of speed, which machines differ in: it prints what the README quotes, with `--release --nocapture`.
#[tokio::test]
async fn a_list_of_500_tools_is_filtered_item_by_item() {
    let names: Vec<String> = (0..500).map(|n| format!("t{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let permits = |condition: &str| {
        let one = |n| {
            format!(
                "permit(principal in Gatewright::Group::\"{IDP}|g{n}\", action, resource in Gatewright::Server::\"billing\") \
             when {{ {condition} && context.delegated == false }};"
            )
        };
        (0..5).map(one).collect::<String>()
    };
    let engine = written(&permits(
        "resource is Gatewright::Tool && resource.name like \"t1*\"",
    ));
    let groups = ["g0", "g1", "g2", "g3", "g4"].map(group);
    let ann = principal(Identity::user(party("ann").with_groups(groups))).await;
    let start = std::time::Instant::now();
    let shown = engine
        .visible(&ann, ann.route(), ItemKind::Tool, &names)
        .await
        .shown;
    println!(
        "500 tools, slice of 5 that reads the context: {:?}",
        start.elapsed()
    );
    assert_eq!(shown.iter().filter(|shown| **shown).count(), 111);

    let timeless = ann_may(&json!([{"servers": ["billing"], "tools": ["t1*"]}]));
    for round in ["first", "second"] {
        let start = std::time::Instant::now();
        let shown = timeless
            .visible(&ann, ann.route(), ItemKind::Tool, &names)
            .await
            .shown;
        println!("500 tools, role, {round} time: {:?}", start.elapsed());
        assert_eq!(shown.iter().filter(|shown| **shown).count(), 111);
    }
    let call = tool("t1", r#"{"a":1}"#);
    let start = std::time::Instant::now();
    for _ in 0..1000 {
        assert!(allows(&timeless, &ann, &call).await);
    }
    println!("one call, slice of 1: {:?}", start.elapsed() / 1000);
}
