use std::fs;

use super::*;
use crate::BuildEngineError;

fn fault(text: &str) -> String {
    builder()
        .policies("limits.cedar", text)
        .build()
        .unwrap_err()
        .to_string()
}

#[test]
fn an_error_names_file_and_line() {
    let syntax = "permit(principal, action, resource);\n\npermit(principal, action resource);";
    assert!(
        fault(syntax).starts_with("limits.cedar:3: "),
        "{}",
        fault(syntax)
    );
    let typo = "permit(principal, action, resource);\n// a comment\npermit(principal,\n  action,\n  resource)\nwhen {\n  resource.nmae == \"x\"\n};";
    assert!(
        fault(typo).starts_with("limits.cedar:7: "),
        "{}",
        fault(typo)
    );
    let same = "permit(principal, action, resource);\n".repeat(3)
        + "\n@id(\"\") permit(principal, action, resource);";
    assert!(
        fault(&same).starts_with("limits.cedar:5: "),
        "{}",
        fault(&same)
    );
    let template =
        "permit(principal, action, resource);\npermit(principal == ?principal, action, resource);";
    assert!(
        fault(template).starts_with("limits.cedar:2: "),
        "{}",
        fault(template)
    );
}

#[test]
fn validation_is_strict() {
    for text in [
        r#"permit(principal, action == Gatewright::Action::"tools/cal", resource);"#,
        r#"permit(principal == User::"x", action, resource);"#,
        r#"permit(principal, action, resource) when { context.amount > 1 };"#,
        r#"permit(principal, action == Gatewright::Action::"tools/call", resource) when { resource.readonly };"#,
        // An argument may be missing, and may be of another type.
        r#"forbid(principal, action == Gatewright::Action::"tools/call", resource) when { context.args.a.integer > 1 };"#,
        r#"forbid(principal, action == Gatewright::Action::"tools/call", resource) when { context.args has a && context.args.a.integer > 1 };"#,
        r#"permit(principal, action == Gatewright::Action::"tools/call", resource) when { context.args has a && context.args.a == 1 };"#,
        // The see half cannot mention arguments (invariant 4).
        r#"permit(principal, action == Gatewright::Action::"see", resource) when { context.args has a && context.args.a.kind == "text" };"#,
        // A policy that can never match protects nothing.
        r#"forbid(principal, action == Gatewright::Action::"tools/call", resource is Gatewright::Prompt);"#,
        // A dotted path is one quoted name.
        r#"permit(principal, action == Gatewright::Action::"tools/call", resource) when { context.args has a && context.args.a has b && context.args.a.b.kind == "text" };"#,
    ] {
        let built = builder().policies("limits.cedar", text).build();
        assert!(
            built
                .as_ref()
                .is_err_and(|error| error.to_string().starts_with("limits.cedar:1: ")),
            "{text}: {built:?}"
        );
    }
}

#[test]
fn ids_are_unique_and_cannot_pose_as_roles() {
    let one = r#"@id("x") permit(principal, action, resource);"#;
    let twice = builder()
        .policies("a.cedar", one)
        .policies("b.cedar", one)
        .build()
        .unwrap_err();
    assert!(
        matches!(&twice, BuildEngineError::TakenId { file, line: 1, .. } if file == "b.cedar"),
        "{twice}"
    );
    assert!(
        fault(r#"@id("role:r/1#see") permit(principal, action, resource);"#)
            .contains("cannot be an id")
    );
}

#[tokio::test]
async fn policies_without_an_id_are_named_by_file_and_place() {
    let engine = written(
        "permit(principal, action == Gatewright::Action::\"see\", resource);\npermit(principal, action == Gatewright::Action::\"tools/call\", resource);",
    );
    let Decision::Allow { policies, .. } = decide(&engine, &ann().await, &tool("t", "{}")).await
    else {
        panic!()
    };
    assert_eq!(names(&policies), ["p.cedar#1", "p.cedar#2"]);
}

#[tokio::test]
async fn a_directory_is_read_beside_the_roles() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(
        dir.path().join("10-forbid.cedar"),
        r#"@id("night") forbid(principal, action, resource == Gatewright::Tool::"billing/pay");"#,
    )
    .unwrap();
    fs::write(dir.path().join("notes.txt"), "not a policy").unwrap();
    let roles = [role(
        "r",
        &json!([{"servers": ["billing"], "tools": ["*"]}]),
    )];
    let engine = builder()
        .roles(roles)
        .grants([to_user("r", "ann")])
        .policies_dir(dir.path())
        .build()
        .unwrap();
    assert!(allows(&engine, &ann().await, &tool("other", "{}")).await);
    assert!(!allows(&engine, &ann().await, &tool("pay", "{}")).await);
    assert!(!shows(&engine, &ann().await, ItemKind::Tool, "pay").await);

    fs::write(dir.path().join("20.cedar"), "permit(").unwrap();
    assert!(
        matches!(CedarEngine::from_dir(dir.path()), Err(BuildEngineError::Policy { file, .. }) if file == "20.cedar")
    );
    assert!(matches!(
        CedarEngine::from_dir(dir.path().join("none")),
        Err(BuildEngineError::Read { .. })
    ));
}

#[test]
fn what_looks_like_a_mistake_is_a_warning() {
    let engine = written(
        "permit(principal, action, resource);\nforbid(principal, action == Gatewright::Action::\"tools/call\", resource)\nwhen { context.args has a && context.args.a has integer && context.args.a.integer > 100 };",
    );
    assert_eq!(engine.warnings().len(), 2, "the other is about the scope");
    assert!(
        engine.warnings()[0].starts_with("p.cedar:2: "),
        "{:?}",
        engine.warnings()
    );
}
