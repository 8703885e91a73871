use super::*;

fn compile(permission: Json) -> Result<Vec<Source>, BuildEngineError> {
    let permission = serde_json::from_value(permission).unwrap();
    role(&Role {
        permissions: vec![permission],
        ..Role::new("r")
    })
}

fn text(sources: &[Source], half: &str) -> Vec<String> {
    sources
        .iter()
        .filter(|s| s.reported.ends_with(half))
        .map(|s| s.policy.to_string())
        .collect()
}

#[test]
fn a_permission_has_a_see_and_a_call_half() {
    let made = compile(json!({
        "servers": ["billing"], "tools": ["pay"],
        "when": {"arguments": [{"argument": "amount", "at_most": 100}]},
    }))
    .unwrap();
    let see = text(&made, "role:r/1#see");
    let call = text(&made, "role:r/1#call");
    assert_eq!(
        (see.len(), call.len(), text(&made, "#connect").len()),
        (1, 1, 1)
    );
    assert!(
        !see[0].contains("context"),
        "the see half cannot mention arguments: {}",
        see[0]
    );
    assert!(
        call[0].contains(r#"resource == Gatewright::Tool::"billing/pay""#),
        "{}",
        call[0]
    );
    assert!(call[0].contains("<= 100"), "{}", call[0]);
}

#[test]
fn names_and_patterns_stay_values() {
    for evil in [r#"x" || true || ""#, r#""];"#, r"\", "é\u{202e}", "a\\*b"] {
        let made = compile(
            json!({"servers": ["billing"], "tools": [evil], "prompts": [format!("{evil}*")]}),
        );
        for source in made.unwrap() {
            let shown = source.policy.to_string();
            let again: Policy = shown
                .parse()
                .unwrap_or_else(|error| panic!("{shown}: {error}"));
            assert_eq!(
                again.resource_constraint(),
                source.policy.resource_constraint(),
                "{shown}"
            );
            assert_eq!(
                Reads::of(&again.to_json().unwrap()).context,
                source.reads.context
            );
        }
    }
}

#[test]
fn methods_cannot_pass_by_the_conditions_on_tools() {
    assert!(compile(json!({"servers": ["s"], "methods": ["tools/call"]})).is_err());
    let made = compile(json!({"servers": ["s"], "methods": ["*"]})).unwrap();
    for shown in text(&made, "#call") {
        for action in schema::ITEM_ACTIONS {
            assert!(!shown.contains(&format!("{:?}", action.0)), "{shown}");
        }
    }
}

#[test]
fn conditions_that_mean_nothing_are_refused() {
    for when in [
        json!({"arguments": [{"argument": "a"}]}),
        json!({"arguments": [{"argument": "a", "one_of": []}]}),
        json!({"clients": []}),
        json!({"arguments": [{"argument": "a..b", "at_most": 1}]}),
        json!({"hours": {"from": 9, "until": 9}}),
        json!({"hours": {"from": 9, "until": 25}}),
    ] {
        let made = compile(json!({"servers": ["s"], "tools": ["t"], "when": when}));
        assert!(matches!(made, Err(BuildEngineError::Role { .. })), "{when}");
    }
}

#[test]
fn conditions_on_arguments_of_what_has_none_are_refused() {
    let when = json!({"arguments": [{"argument": "a", "at_most": 1}]});
    for (given, fits) in [
        (json!({"tools": ["t"]}), true),
        (json!({"prompts": ["p"]}), true),
        (json!({"server_requests": ["elicitation/create"]}), true),
        (json!({"methods": ["vendor/x"]}), true),
        (json!({"tools": ["t"], "resources": ["r://*"]}), false),
        (json!({"methods": ["completion/complete"]}), false),
        (json!({"methods": ["tasks/get"]}), false),
    ] {
        let mut permission = given.clone();
        permission["servers"] = json!(["s"]);
        assert!(compile(permission.clone()).is_ok(), "{given}");
        permission["when"] = when.clone();
        assert_eq!(compile(permission).is_ok(), fits, "{given}");
    }
}

/// As it is read best: one condition a line.
fn shown(permission: Json) -> String {
    let made = compile(permission).unwrap();
    let one = |source: &Source| {
        let text = source.policy.to_string().replace(" when {", "\n  when {");
        format!("// {}\n{text}", source.reported)
    };
    made.iter().map(one).collect::<Vec<_>>().join("\n\n")
}

#[test]
fn what_conditions_become() {
    insta::assert_snapshot!(shown(json!({
        "servers": ["billing"],
        "tools": ["pay"],
        "read_only": true,
        "destructive": false,
        "tags": ["money", "safe"],
        "when": {
            "delegated": "never",
            "arguments": [
                {"argument": "amount.cents", "at_least": 0, "at_most": 10_000},
                {"argument": "currency", "one_of": ["EUR", 978]},
                {"argument": "to", "like": "*@example.com"},
                {"argument": "dry", "equals": true},
            ],
            "clients": ["desk"],
            "authenticated_within": 900,
            "hours": {"from": 8, "until": 18, "days": ["mon", "fri"]},
        },
    })));
}

#[test]
fn what_patterns_become() {
    insta::assert_snapshot!(shown(json!({
        "servers": ["billing", "crm-*"],
        "tools": ["list_*", "pay"],
        "prompts": ["summary"],
        "resources": ["invoice://*"],
        "methods": ["completion/complete", "vendor/*"],
        "server_requests": ["elicitation/create"],
    })));
}
