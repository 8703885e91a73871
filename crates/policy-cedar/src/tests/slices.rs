use std::{
    pin::pin,
    sync::atomic::Ordering,
    task::{Context, Waker},
};

use cedar_policy::Entities;
use gatewright_core::{Clock, ServerName};
use gatewright_policy::Explain;
use proptest::prelude::*;

use super::*;
use crate::{
    Grants,
    compile::Source,
    engine::answer::ANSWERS,
    files::{self, PolicyFile},
    index::Index,
    names::{self, Kind},
    roles::Roles,
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
    let view = View::new(
        Kind::User,
        &member,
        &Grants::default(),
        &Roles::default(),
        &index,
        clock().now(),
    )
    .unwrap();
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
    assert_eq!(
        engine.warnings(),
        [
            "2 of 3 policies limit neither principal nor resource, so every call of their actions evaluates them: \
             `wide`, `typed`"
        ]
    );
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

/// Scopes as they are written, and whether each holds for ann, of these groups, and a tool of `billing`.
type Written<T> = (&'static str, fn(&T) -> bool);

const PRINCIPALS: [Written<Vec<u8>>; 6] = [
    ("principal", |_| true),
    ("principal is Gatewright::User", |_| true),
    ("principal is Gatewright::Agent", |_| false),
    (
        r#"principal == Gatewright::User::"https://idp.example.com|ann""#,
        |_| true,
    ),
    (
        r#"principal in Gatewright::Group::"https://idp.example.com|g1""#,
        |groups| groups.contains(&1),
    ),
    (
        r#"principal is Gatewright::User in Gatewright::Group::"https://idp.example.com|g2""#,
        |groups| groups.contains(&2),
    ),
];

const ACTIONS: [Written<&str>; 6] = [
    ("action", |_| true),
    (r#"action == Gatewright::Action::"see""#, |a| *a == "see"),
    (r#"action == Gatewright::Action::"tools/call""#, |a| {
        *a == "tools/call"
    }),
    (r#"action in Gatewright::Action::"call""#, |a| {
        *a == "tools/call"
    }),
    (
        r#"action in [Gatewright::Action::"see", Gatewright::Action::"call", Gatewright::Action::"tools/call"]"#,
        |_| true,
    ),
    (
        r#"action in [Gatewright::Action::"connect", Gatewright::Action::"prompts/get"]"#,
        |_| false,
    ),
];

const RESOURCES: [Written<&str>; 7] = [
    ("resource", |_| true),
    ("resource is Gatewright::Tool", |_| true),
    (r#"resource == Gatewright::Tool::"billing/a""#, |t| {
        *t == "a"
    }),
    (r#"resource in Gatewright::Server::"billing""#, |_| true),
    (
        r#"resource is Gatewright::Tool in Gatewright::Server::"billing""#,
        |_| true,
    ),
    (r#"resource in Gatewright::Server::"other""#, |_| false),
    (r#"resource == Gatewright::Tool::"other/a""#, |_| false),
];

/// Effect, principal, action, resource: indices into the tables.
type Drawn = (bool, usize, usize, usize);

fn policy_text((permits, p, a, r): Drawn) -> String {
    let effect = if permits { "permit" } else { "forbid" };
    let (principal, action, resource) = (PRINCIPALS[p].0, ACTIONS[a].0, RESOURCES[r].0);
    format!("{effect}({principal}, {action}, {resource});\n")
}

/// What all policies together say, without any index.
fn expected(all: &[Drawn], groups: &Vec<u8>, action: &'static str, tool: &'static str) -> bool {
    let matching = |permits| {
        all.iter().any(|(effect, p, a, r)| {
            *effect == permits
                && PRINCIPALS[*p].1(groups)
                && ACTIONS[*a].1(&action)
                && RESOURCES[*r].1(&tool)
        })
    };
    matching(true) && !matching(false)
}

fn drawn() -> impl Strategy<Value = Drawn> {
    // More permits than denials: otherwise nearly everything is denied.
    (
        prop::bool::weighted(0.75),
        0..PRINCIPALS.len(),
        0..ACTIONS.len(),
        0..RESOURCES.len(),
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..Default::default() })]

    #[test]
    fn slices_and_the_whole_set_decide_alike(
        all in prop::collection::vec(drawn(), 1..12), groups in prop::sample::subsequence(vec![1, 2], 0..=2),
    ) {
        // What can never match, as a tool in an action on prompts, is refused as a mistake.
        let all: Vec<Drawn> = all
            .into_iter()
            .filter(|(_, _, a, r)| *a != 5 || [0, 3, 5].contains(r))
            .collect();
        let text: String = all.iter().copied().map(policy_text).collect();
        let engine = written(&text);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let groups_of_ann = groups.iter().map(|number| group(&format!("g{number}")));
            let ann = principal(Identity::user(party("ann").with_groups(groups_of_ann))).await;
            for name in ["a", "b"] {
                let sees = expected(&all, &groups, "see", name);
                let calls = sees && expected(&all, &groups, "tools/call", name);
                prop_assert_eq!(shows(&engine, &ann, ItemKind::Tool, name).await, sees, "see {}: {}", name, &text);
                prop_assert_eq!(allows(&engine, &ann, &tool(name, "{}")).await, calls, "call {}: {}", name, &text);
            }
            Ok(())
        })?;
    }
}

fn kept(engine: &CedarEngine) -> usize {
    engine.answers.load(Ordering::Relaxed)
}

#[tokio::test]
async fn names_that_callers_make_up_fill_no_memory() {
    let engine = ann_may(&json!([{"servers": ["billing"], "tools": ["t*"]}]));
    let ann = ann().await;
    for number in 0..50 {
        assert!(!allows(&engine, &ann, &tool(&format!("no{number}"), "{}")).await);
    }
    let long = format!("t{}", "x".repeat(300));
    assert!(allows(&engine, &ann, &tool(&long, "{}")).await);
    assert_eq!(kept(&engine), 0);
    assert!(allows(&engine, &ann, &tool("t1", "{}")).await);
    assert!(!shows(&engine, &ann, ItemKind::Tool, "no").await);
    assert_eq!(
        kept(&engine),
        3,
        "see and call of what there is, and what a server names"
    );
    assert!(allows(&engine, &ann, &tool("t1", "{}")).await);
    assert!(!shows(&engine, &ann, ItemKind::Tool, "no").await);
    assert_eq!(kept(&engine), 3);
}

#[tokio::test]
async fn answers_that_the_call_or_the_moment_can_change_are_not_kept() {
    for when in [
        r#"context.args has "amount" && context.args["amount"] has integer && context.args["amount"].integer < 10"#,
        "context.now < 9999999999999",
        "context.hour < 24",
        r#"context.method == "tools/call""#,
        "!context.delegated",
        "!(context has client)",
        "!(context has authAge)",
    ] {
        let engine = written(&format!(
            r#"permit(principal, action == Gatewright::Action::"see", resource);
            permit(principal, action == Gatewright::Action::"tools/call", resource) when {{ {when} }};"#
        ));
        let ann = ann().await;
        for _ in 0..2 {
            assert!(
                allows(&engine, &ann, &tool("t", r#"{"amount":1}"#)).await,
                "{when}"
            );
            assert_eq!(kept(&engine), 1, "that the tool may be seen: {when}");
        }
        let too_much = allows(&engine, &ann, &tool("t", r#"{"amount":11}"#)).await;
        assert_eq!(too_much, !when.contains("amount"), "{when}");
    }
}

#[tokio::test]
async fn answers_are_forgotten_before_there_are_too_many() {
    let engine = ann_may(&json!([{"servers": ["billing"], "tools": ["t*"]}]));
    let ann = ann().await;
    let views = || crate::read(&engine.views).len();
    assert!(allows(&engine, &ann, &tool("t1", "{}")).await);
    assert_eq!((kept(&engine), views()), (2, 1));
    engine.answers.store(ANSWERS, Ordering::Relaxed);
    assert!(allows(&engine, &ann, &tool("t2", "{}")).await);
    assert!(kept(&engine) < 3, "counted anew");
    assert_eq!(views(), 0, "who was known is not any more");
    assert!(!allows(&engine, &ann, &tool("no", "{}")).await);
    assert!(allows(&engine, &ann, &tool("t1", "{}")).await);
}

#[tokio::test]
async fn a_long_list_leaves_the_thread_to_others() {
    let engine = ann_may(&json!([{"servers": ["billing"], "tools": ["t*"]}]));
    let ann = ann().await;
    let names = vec!["t"; 1_000];
    let mut filtered = pin!(engine.visible(&ann, ann.route(), ItemKind::Tool, &names));
    let mut context = Context::from_waker(Waker::noop());
    assert!(filtered.as_mut().poll(&mut context).is_pending());
    let shown = filtered.await.shown;
    assert_eq!(shown, vec![true; 1_000]);
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
