use gatewright_core::Call;
use gatewright_policy::Explain;
use gatewright_wire::Era;
use proptest::prelude::*;

use super::*;
use crate::{TenantEngines, ToolFacts};
use gatewright_core::{ServerName, access::Pattern};

const EVERYTHING: &str = r#"@id("all") permit(principal, action, resource);"#;

#[tokio::test]
async fn without_a_permission_everything_is_denied() {
    let engine = builder().build().unwrap();
    let ann = ann().await;
    for call in [
        tool("pay", "{}"),
        body("initialize", &json!({"protocolVersion": "2025-11-25"})),
        body("tools/list", &json!({})),
    ] {
        let Decision::Deny { policies, .. } = decide(&engine, &ann, &call).await else {
            panic!("allowed")
        };
        assert!(policies.is_empty());
    }
    assert!(!shows(&engine, &ann, ItemKind::Tool, "pay").await);
}

#[tokio::test]
async fn a_grant_allows_what_its_role_says_and_nothing_else() {
    let engine = ann_may(&json!([{
        "servers": ["billing"], "tools": ["pay", "list_*"], "prompts": ["hello"], "resources": ["file:///docs/*"],
    }]));
    let (ann, bob) = (ann().await, principal(Identity::user(party("bob"))).await);
    let read = |uri: &str| body("resources/read", &json!({"uri": uri}));
    for (call, allowed) in [
        (tool("pay", "{}"), true),
        (tool("list_all", "{}"), true),
        (tool("pay2", "{}"), false),
        (tool("xlist_all", "{}"), false),
        (body("prompts/get", &json!({"name": "hello"})), true),
        (body("prompts/get", &json!({"name": "pay"})), false),
        (read("file:///docs/a"), true),
        (read("file:///etc/passwd"), false),
        (
            body("resources/subscribe", &json!({"uri": "file:///docs/a"})),
            true,
        ),
        (
            body("resources/subscribe", &json!({"uri": "file:///x"})),
            false,
        ),
        (
            body("initialize", &json!({"protocolVersion": "2025-11-25"})),
            true,
        ),
        (body("tools/list", &json!({})), true),
        (body("tasks/list", &json!({})), false),
        (body("vendor/thing", &json!({})), false),
    ] {
        assert_eq!(
            allows(&engine, &ann, &call).await,
            allowed,
            "{:?}",
            call.call().target()
        );
        assert!(!allows(&engine, &bob, &call).await);
    }
    let Decision::Allow { policies, .. } = decide(&engine, &ann, &tool("pay", "{}")).await else {
        panic!()
    };
    assert_eq!(names(&policies), ["role:r/1#see", "role:r/1#call"]);
}

#[tokio::test]
async fn a_role_on_one_server_gives_nothing_on_another() {
    let engine = ann_may(
        &json!([{"servers": ["bill*"], "tools": ["*"]}, {"servers": ["other"], "tools": ["x"]}]),
    );
    for (server, name, allowed) in [
        ("billing", "pay", true),
        ("bill2", "pay", true),
        ("crm", "pay", false),
        ("other", "x", true),
        ("other", "pay", false),
    ] {
        let route = Route::single(server, "https://gw.example.com/mcp").unwrap();
        let ann = on(&route, Identity::user(party("ann"))).await;
        let text =
            json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name}})
                .to_string();
        assert_eq!(
            allows(&engine, &ann, &body_on(&route, &text)).await,
            allowed,
            "{server}/{name}"
        );
    }
}

#[tokio::test]
async fn a_forbid_wins_over_every_permit() {
    let text = format!(
        r#"{EVERYTHING} @id("no-pay") forbid(principal, action == Gatewright::Action::"tools/call",
            resource == Gatewright::Tool::"billing/pay");"#
    );
    let engine = written(&text);
    let Decision::Deny { policies, .. } = decide(&engine, &ann().await, &tool("pay", "{}")).await
    else {
        panic!()
    };
    assert_eq!(names(&policies), ["no-pay"]);
    assert!(allows(&engine, &ann().await, &tool("other", "{}")).await);
}

#[tokio::test]
async fn an_evaluation_error_denies() {
    let text = r#"permit(principal, action, resource);
        @id("overflow") forbid(principal, action in Gatewright::Action::"call", resource)
            when { context.now * 9223372036854775807 > 0 };"#;
    let engine = written(text);
    let Decision::Deny { reason, .. } = decide(&engine, &ann().await, &tool("pay", "{}")).await
    else {
        panic!()
    };
    assert!(
        reason.contains("a policy failed") && reason.contains("overflow"),
        "{reason}"
    );
    // Also when what fails is a permit beside one that permits.
    let engine = written(&text.replace("forbid", "permit"));
    assert!(!allows(&engine, &ann().await, &tool("pay", "{}")).await);
    assert!(
        allows(
            &engine,
            &ann().await,
            &body("initialize", &json!({"protocolVersion": "2025-11-25"}))
        )
        .await
    );
}

#[tokio::test]
async fn what_is_hidden_is_never_callable() {
    let text = format!(
        r#"{EVERYTHING} forbid(principal, action == Gatewright::Action::"see",
            resource == Gatewright::Tool::"billing/pay");"#
    );
    let engine = written(&text);
    assert!(!shows(&engine, &ann().await, ItemKind::Tool, "pay").await);
    assert!(!allows(&engine, &ann().await, &tool("pay", "{}")).await);
    assert!(
        shows(&engine, &ann().await, ItemKind::Prompt, "pay").await,
        "a prompt of that name is another thing"
    );
}

#[tokio::test]
async fn read_only_counts_only_where_configuration_vouches() {
    let permissions = json!([{"servers": ["billing"], "tools": ["*"], "read_only": true}]);
    let server = ServerName::new("billing").unwrap();
    let engine = builder()
        .roles([role("r", &permissions)])
        .grants([to_user("r", "ann")])
        .vouch(
            server.clone(),
            Pattern::new("get_secret"),
            ToolFacts::default(),
        )
        .vouch(server, Pattern::new("get_*"), ToolFacts::READ_ONLY)
        .build()
        .unwrap();
    for (name, shown) in [("get_invoice", true), ("pay", false), ("get_secret", false)] {
        assert_eq!(
            shows(&engine, &ann().await, ItemKind::Tool, name).await,
            shown,
            "{name}"
        );
        assert_eq!(
            allows(&engine, &ann().await, &tool(name, "{}")).await,
            shown,
            "{name}"
        );
    }
}

#[tokio::test]
async fn tags_and_what_destroys_pick_tools_where_configuration_says_so() {
    let facts = |destructive, tags: &[&str]| ToolFacts {
        destructive,
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        ..ToolFacts::default()
    };
    let server = || ServerName::new("billing").unwrap();
    let engine = |bounds: Json| {
        let mut permission = json!({"servers": ["billing"], "tools": ["*"]});
        for (key, value) in bounds.as_object().unwrap() {
            permission[key] = value.clone();
        }
        builder()
            .roles([role("r", &json!([permission]))])
            .grants([to_user("r", "ann")])
            .vouch(server(), Pattern::new("pay"), facts(true, &["money"]))
            .vouch(
                server(),
                Pattern::new("note"),
                facts(false, &["notes", "safe"]),
            )
            .vouch(server(), Pattern::new("get"), ToolFacts::READ_ONLY)
            .build()
            .unwrap()
    };
    for (bounds, fits) in [
        (json!({}), "pay note get other"),
        (json!({"tags": ["money"]}), "pay"),
        (json!({"tags": ["safe", "money"]}), "pay note"),
        (json!({"tags": ["Money"]}), ""),
        (json!({"destructive": false}), "note get"),
        (json!({"destructive": true}), "pay other"),
        (json!({"destructive": true, "tags": ["safe"]}), ""),
        (json!({"destructive": false, "read_only": true}), "get"),
    ] {
        let engine = engine(bounds.clone());
        for name in ["pay", "note", "get", "other"] {
            let expected = fits.split(' ').any(|fit| fit == name);
            let shown = shows(&engine, &ann().await, ItemKind::Tool, name).await;
            assert_eq!(shown, expected, "see {name}: {bounds}");
            let allowed = allows(&engine, &ann().await, &tool(name, "{}")).await;
            assert_eq!(allowed, expected, "call {name}: {bounds}");
        }
    }
}

#[tokio::test]
async fn a_condition_on_delegation_holds_for_one_kind_of_call() {
    for (delegated, alone, acting) in [
        (json!("never"), true, false),
        (json!("only"), false, true),
        (json!(null), true, true),
    ] {
        let engine = builder()
            .roles([role(
                "r",
                &json!([{"servers": ["billing"], "tools": ["t"], "when": {"delegated": delegated}}]),
            )])
            .grants([to_user("r", "ann"), grant("r", Grantee::Agent(subject("bot")))])
            .build()
            .unwrap();
        let both = principal(Identity::delegated(party("ann"), party("bot"))).await;
        let bot = principal(Identity::agent(party("bot"))).await;
        let call = tool("t", "{}");
        assert_eq!(allows(&engine, &ann().await, &call).await, alone);
        assert_eq!(allows(&engine, &bot, &call).await, alone);
        assert_eq!(allows(&engine, &both, &call).await, acting);
    }
    let typo = json!({"servers": ["s"], "when": {"delegated": "sometimes"}});
    assert!(serde_json::from_value::<gatewright_core::access::Permission>(typo).is_err());
}

#[tokio::test]
async fn a_tool_that_nobody_vouches_for_may_destroy() {
    let engine = written(
        r#"permit(principal, action, resource);
        forbid(principal, action == Gatewright::Action::"tools/call", resource) when { resource.destructive };"#,
    );
    assert!(!allows(&engine, &ann().await, &tool("anything", "{}")).await);
}

#[tokio::test]
async fn names_are_compared_and_never_read_as_policy() {
    let engine = ann_may(&json!([{"servers": ["billing"], "tools": ["pay", r"a\*b", "q\"]*"]}]));
    for evil in [
        r#"pay" || true || ""#,
        r#"x"]"#,
        r"\",
        "*",
        "pay\u{0}",
        "pa\u{443}",
        "other/pay",
        "../pay",
        "",
    ] {
        assert!(
            !allows(&engine, &ann().await, &tool(evil, "{}")).await,
            "{evil}"
        );
        assert!(
            !shows(&engine, &ann().await, ItemKind::Tool, evil).await,
            "{evil}"
        );
    }
    assert!(
        allows(&engine, &ann().await, &tool(r"a\xb", "{}")).await,
        "a backslash is a backslash"
    );
    assert!(!allows(&engine, &ann().await, &tool("a*b", "{}")).await);
    assert!(allows(&engine, &ann().await, &tool("q\"]z", "{}")).await);
}

#[tokio::test]
async fn subjects_with_syntax_in_their_names_are_only_themselves() {
    let evil = r#"x" || principal == User::"y"#;
    let engine = builder()
        .roles([role(
            "r",
            &json!([{"servers": ["billing"], "tools": ["*"]}]),
        )])
        .grants([to_user("r", evil)])
        .build()
        .unwrap();
    assert!(
        allows(
            &engine,
            &principal(Identity::user(party(evil))).await,
            &tool("t", "{}")
        )
        .await
    );
    for other in ["x", "y", "ann"] {
        assert!(
            !allows(
                &engine,
                &principal(Identity::user(party(other))).await,
                &tool("t", "{}")
            )
            .await
        );
    }
}

#[tokio::test]
async fn completion_needs_its_own_permission_and_a_visible_target() {
    let complete = |name: &str| {
        let reference = json!({"type": "ref/prompt", "name": name});
        body(
            "completion/complete",
            &json!({"ref": reference, "argument": {"name": "a", "value": "b"}}),
        )
    };
    let engine = ann_may(&json!([
        {"servers": ["billing"], "prompts": ["hello"], "methods": ["completion/complete"]},
    ]));
    assert!(allows(&engine, &ann().await, &complete("hello")).await);
    assert!(!allows(&engine, &ann().await, &complete("secret")).await);
    let engine = ann_may(&json!([{"servers": ["billing"], "prompts": ["hello"]}]));
    assert!(!allows(&engine, &ann().await, &complete("hello")).await);
}

#[tokio::test]
async fn every_subscribed_resource_must_be_readable() {
    let engine = ann_may(&json!([{"servers": ["billing"], "resources": ["file:///docs/*"]}]));
    let listen = |uris: Json| {
        let text = json!({"jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen", "params": {
            "notifications": uris,
            "_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientCapabilities": {}},
        }});
        let request = http::Request::post("/mcp")
            .header("mcp-protocol-version", "2026-07-28")
            .header("mcp-method", "subscriptions/listen");
        let (parts, ()) = request.body(()).unwrap().into_parts();
        CallBody::parse(
            &route(),
            &parts,
            text.to_string().into(),
            &Limits::default(),
        )
        .unwrap()
    };
    let (good, bad) = ("file:///docs/a", "file:///secret");
    for (params, allowed) in [
        (json!({"toolsListChanged": true}), true),
        (json!({"resourceSubscriptions": [good]}), true),
        (json!({"resourceSubscriptions": []}), true),
        (json!({"resourceSubscriptions": [good, bad]}), false),
        (
            json!({"resourceSubscriptions": [good, "file:///docs/../a"]}),
            false,
        ),
        (json!({"resourceSubscriptions": [7]}), false),
        (json!({"resourceSubscriptions": bad}), false),
        (json!({"ResourceSubscriptions": [bad]}), false),
        (json!({"resourceSubscriptions": vec![good; 1001]}), false),
    ] {
        assert_eq!(
            allows(&engine, &ann().await, &listen(params.clone())).await,
            allowed,
            "{params}"
        );
    }
}

/// A server that normalises would serve what a permission does not name, or a denial does.
#[tokio::test]
async fn a_uri_that_climbs_or_hides_is_nobodys() {
    let engine = builder()
        .roles([role(
            "r",
            &json!([{
                "servers": ["billing"], "resources": ["file:///docs/*"], "methods": ["completion/complete"],
            }]),
        )])
        .grants([to_user("r", "ann")])
        .policies(
            "p.cedar",
            r#"forbid(principal, action, resource is Gatewright::Resource)
            when { resource.uri like "file:///docs/secret/*" };"#,
        )
        .build()
        .unwrap();
    let ann = ann().await;
    for (uri, allowed) in [
        ("file:///docs/a", true),
        ("file:///docs/secret/a", false),
        ("file:///docs/%73ecret/a", false),
        ("file:///docs/./secret/a", false),
        ("file:///docs/x/../secret/a", false),
        ("file:///docs/../etc/passwd", false),
        ("file:///docs/%2e%2e/etc/passwd", false),
    ] {
        let complete = json!({"ref": {"type": "ref/resource", "uri": uri}, "argument": {"name": "a", "value": "b"}});
        for (method, params) in [
            ("resources/read", json!({"uri": uri})),
            ("resources/subscribe", json!({"uri": uri})),
            ("completion/complete", complete),
        ] {
            let call = body(method, &params);
            assert_eq!(
                allows(&engine, &ann, &call).await,
                allowed,
                "{method} {uri}"
            );
        }
        for kind in [ItemKind::Resource, ItemKind::ResourceTemplate] {
            assert_eq!(shows(&engine, &ann, kind, uri).await, allowed, "{uri}");
        }
    }
}

#[tokio::test]
async fn requests_of_servers_are_decided_too() {
    let engine = ann_may(
        &json!([{"servers": ["billing"], "tools": ["*"], "server_requests": ["elicitation/*"]}]),
    );
    let reverse = |method: &str| {
        let text = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": {}}).to_string();
        Call::from_server(&route(), Era::Legacy, text.into(), &Limits::default()).unwrap()
    };
    for (method, allowed) in [
        ("elicitation/create", true),
        ("sampling/createMessage", false),
        ("roots/list", false),
        ("x/y", false),
    ] {
        let decision = engine.decide(&ann().await, &reverse(method)).await;
        assert_eq!(
            matches!(decision, Decision::Allow { .. }),
            allowed,
            "{method}"
        );
    }
    let by_url = written(
        r#"permit(principal, action == Gatewright::Action::"elicitation/create", resource)
        when { context.args has url && context.args.url has text
            && context.args.url.text like "https://login.example.com/*" };"#,
    );
    for (url, allowed) in [
        ("https://login.example.com/x", true),
        ("https://evil.example/https://login.example.com/", false),
    ] {
        let text = json!({"jsonrpc": "2.0", "id": 1, "method": "elicitation/create", "params": {"url": url}});
        let call = Call::from_server(
            &route(),
            Era::Legacy,
            text.to_string().into(),
            &Limits::default(),
        )
        .unwrap();
        let decision = by_url.decide(&ann().await, &call).await;
        assert_eq!(matches!(decision, Decision::Allow { .. }), allowed, "{url}");
    }
}

#[tokio::test]
async fn unknown_methods_are_decided_by_their_name() {
    let engine = ann_may(&json!([{"servers": ["billing"], "methods": ["vendor/*", "x"]}]));
    for (method, allowed) in [
        ("vendor/a", true),
        ("x", true),
        ("other", false),
        ("tools/call2", false),
    ] {
        assert_eq!(
            allows(&engine, &ann().await, &body(method, &json!({}))).await,
            allowed,
            "{method}"
        );
    }
    let all = ann_may(&json!([{"servers": ["billing"], "methods": ["*"]}]));
    assert!(allows(&all, &ann().await, &body("anything", &json!({}))).await);
    assert!(
        !allows(&all, &ann().await, &tool("pay", "{}")).await,
        "tools are not given by methods"
    );
}

#[tokio::test]
async fn an_unknown_tenant_is_denied_and_engines_do_not_mix() {
    let own = |name: &str| {
        builder()
            .tenant(tenant(name))
            .policies("p", EVERYTHING)
            .build()
            .unwrap()
    };
    let engines = TenantEngines::new([own("acme")]);
    let on_tenant = |name: &str| {
        let server = ServerName::new("billing").unwrap();
        Route::new(
            tenant(name),
            server,
            "https://gw.example.com/mcp",
            Default::default(),
        )
        .unwrap()
    };
    let text = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t"}}"#;
    for (name, allowed) in [("acme", true), ("other", false)] {
        let route = on_tenant(name);
        let ann = on(&route, Identity::user(party("ann"))).await;
        assert_eq!(
            allows(&engines, &ann, &body_on(&route, text)).await,
            allowed,
            "{name}"
        );
        assert_eq!(
            shows(&engines, &ann, ItemKind::Tool, "t").await,
            allowed,
            "{name}"
        );
        // An engine that is asked about another tenant's principal denies by itself.
        assert_eq!(
            allows(&own("acme"), &ann, &body_on(&route, text)).await,
            allowed,
            "{name}"
        );
    }
    engines.publish(own("other"));
    let route = on_tenant("other");
    let ann = on(&route, Identity::user(party("ann"))).await;
    assert!(allows(&engines, &ann, &body_on(&route, text)).await);
    engines.replace([]);
    assert!(!allows(&engines, &ann, &body_on(&route, text)).await);
}

#[tokio::test]
async fn an_explanation_names_policies_halves_and_roles() {
    let engine = ann_may(&json!([{
        "servers": ["billing"], "tools": ["pay"], "when": {"arguments": [{"argument": "amount", "at_most": 100}]},
    }]));
    let why = engine
        .explain(&ann().await, tool("pay", r#"{"amount":5000}"#).call())
        .await;
    assert!(matches!(why.decision, Decision::Deny { .. }));
    let asked: Vec<(&str, bool)> = why
        .halves
        .iter()
        .map(|half| (&*half.action, half.allowed))
        .collect();
    assert_eq!(asked, [("see", true), ("tools/call", false)]);
    assert_eq!(why.halves[0].policies, ["role:r/1#see"]);
    assert_eq!(why.halves[0].slice, 1);
    assert_eq!(why.roles[0].role, "r");
    assert_eq!(
        why.roles[0].through,
        format!("Gatewright::User::\"{IDP}|ann\"")
    );
    let shown = why.to_string();
    assert!(
        shown.starts_with("denied: ") && shown.contains("role:r/1#see"),
        "{shown}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    /// Invariant 4: hidden means never callable, whatever the policies are.
    #[test]
    fn nothing_hidden_is_ever_allowed(
        permits in proptest::collection::vec((0..3_usize, 0..3_usize, 0..4_usize, any::<bool>()), 0..6),
        name in "[ab]{1,2}",
    ) {
        let actions = ["see", "tools/call", "connect"];
        let mut text = String::new();
        for (action, resource, group, forbid) in permits {
            let effect = if forbid { "forbid" } else { "permit" };
            let action = match actions[action] {
                "connect" => "action".to_owned(),
                action => format!("action == Gatewright::Action::{action:?}"),
            };
            let resource = ["resource", r#"resource == Gatewright::Tool::"billing/a""#,
                r#"resource in Gatewright::Server::"billing""#][resource];
            let who = match group {
                0 => "principal".to_owned(),
                n => format!(r#"principal in Gatewright::Group::"{IDP}|g{n}""#),
            };
            text.push_str(&format!("{effect}({who}, {action}, {resource});\n"));
        }
        let engine = written(&text);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let ann = principal(Identity::user(party("ann").with_groups([group("g1"), group("g2")]))).await;
            let shown = shows(&engine, &ann, ItemKind::Tool, &name).await;
            let allowed = allows(&engine, &ann, &tool(&name, "{}")).await;
            prop_assert!(shown || !allowed);
            Ok(())
        })?;
    }
}
