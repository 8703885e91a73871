//! Policies on administrators, written by hand.

use super::*;

fn written(text: &str) -> Result<CedarEngine, BuildEngineError> {
    builder()
        .grants([to_user("metadata-viewer", "bob")])
        .policies("own.cedar", text)
        .build()
}

#[tokio::test]
async fn policies_permit_and_forbid_administrators() {
    let engine = written(
        r#"
        @id("helpdesk")
        permit(principal == GatewrightAdmin::User::"https://idp.example.com|ann",
            action in [GatewrightAdmin::Action::"users.disable", GatewrightAdmin::Action::"metadata.read"], resource)
        when { resource.kind == "user" && context.hour >= 8 };
        @id("not-the-boss")
        forbid(principal, action in GatewrightAdmin::Action::"any", resource) when { resource.name == "boss" };
        "#,
    )
    .unwrap();
    let disable = |kind: &str, id: &str| {
        AdminAction::new(TenantId::default(), AdminVerb::UsersDisable, kind, id)
    };
    let ann = ann().await;
    assert!(may(&engine, &ann, &disable("user", "x")).await);
    assert!(!may(&engine, &ann, &disable("server", "x")).await);
    assert!(!may(&engine, &ann, &disable("user", "boss")).await);
    assert!(!may(&engine, &named("eve").await, &disable("user", "x")).await);
    let read = AdminAction::new(TenantId::default(), AdminVerb::MetadataRead, "user", "boss");
    let Decision::Deny { policies, .. } = engine.decide_admin(&named("bob").await, &read).await
    else {
        panic!()
    };
    assert_eq!(*policies, ["not-the-boss".into()]);
}

#[test]
fn policies_that_mix_or_miss_the_name_space_are_refused() {
    for text in [
        // Of both name spaces.
        r#"permit(principal, action in [Gatewright::Action::"see", GatewrightAdmin::Action::"users.write"], resource);"#,
        // It would be one on calls.
        r#"permit(principal in GatewrightAdmin::Role::"administrator", action, resource);"#,
        r#"permit(principal, action, resource) when { principal in GatewrightAdmin::Role::"administrator" };"#,
        // Entities of the other name space, actions and attributes that there are none of.
        r#"permit(principal in Gatewright::Role::"x", action == GatewrightAdmin::Action::"users.write", resource);"#,
        r#"permit(principal, action == GatewrightAdmin::Action::"users.nosuch", resource);"#,
        r#"permit(principal, action == GatewrightAdmin::Action::"users.write", resource) when { principal.claimedRoles.contains("x") };"#,
        r#"permit(principal, action == GatewrightAdmin::Action::"users.write", resource) when { context.args has "x" };"#,
        r#"@credential("shared") permit(principal, action == GatewrightAdmin::Action::"users.write", resource);"#,
        r#"@id("builtin:two-people") permit(principal, action == GatewrightAdmin::Action::"users.write", resource);"#,
        r#"@id("role:x/admin/1") permit(principal, action == GatewrightAdmin::Action::"users.write", resource);"#,
    ] {
        let built = written(text);
        assert!(
            matches!(built, Err(BuildEngineError::Policy { line: 1, .. })),
            "{text}: {built:?}"
        );
    }
}

#[tokio::test]
async fn a_policy_that_fails_denies() {
    let engine = written(
        r#"permit(principal, action in GatewrightAdmin::Action::"any", resource);
        permit(principal, action == GatewrightAdmin::Action::"users.remove", resource)
        when { context.now + 9223372036854775807 > 0 };"#,
    )
    .unwrap();
    let ann = ann().await;
    assert!(may(&engine, &ann, &action(AdminVerb::UsersWrite)).await);
    assert!(!may(&engine, &ann, &action(AdminVerb::UsersRemove)).await);
}

/// Two people, whatever policies say.
#[tokio::test]
async fn no_policy_lets_who_drafted_publish() {
    let engine =
        written(r#"permit(principal, action in GatewrightAdmin::Action::"any", resource);"#)
            .unwrap();
    let publish = |name| action(AdminVerb::PoliciesPublish).drafted_by([subject(name)]);
    assert!(!may(&engine, &ann().await, &publish("ann")).await);
    assert!(may(&engine, &ann().await, &publish("bob")).await);
}

#[tokio::test]
async fn no_policy_lets_anybody_give_what_they_do_not_hold() {
    let clerk = role(
        "clerk",
        &json!([{"servers": ["billing"], "tools": ["pay"]}]),
    );
    let engine = builder()
        .roles([clerk])
        .grants([to_user(BuiltInRole::ADMINISTRATOR, "root")])
        .policies(
            "own.cedar",
            r#"permit(principal, action in GatewrightAdmin::Action::"any", resource);
            forbid(principal, action == GatewrightAdmin::Action::"grants.write", resource)
            when { resource.concerns.contains("server:billing") };"#,
        )
        .build()
        .unwrap();
    for role in ["clerk", BuiltInRole::ADMINISTRATOR, "metadata-viewer"] {
        assert!(
            !gives(&engine, &ann().await, &to_user(role, "eve")),
            "{role}"
        );
    }
    let root = named("root").await;
    assert!(gives(&engine, &root, &to_user("metadata-viewer", "eve")));
    assert!(
        !gives(&engine, &root, &to_user("clerk", "eve")),
        "policies can forbid giving"
    );
}

/// What a policy permits to holders of a role is not read off the role.
#[tokio::test]
async fn who_gives_what_policies_name_needs_more() {
    let quiet = role(
        "quiet",
        &json!([{"servers": ["billing"], "tools": ["look"]}]),
    );
    let of = |text: &str| {
        builder()
            .roles([
                quiet.clone(),
                with_admin("giver", &json!([]), &["grants.*", "members.write"]),
            ])
            .grants([
                over(to_user("giver", "ann"), over_server("billing")),
                over(to_user("giver", "ann"), over_group("staff")),
                to_user("giver", "bob"),
                to_user(BuiltInRole::ADMINISTRATOR, "root"),
            ])
            .policies("own.cedar", text)
            .build()
            .unwrap()
    };
    let join = AdminAction::join(TenantId::default(), "x", group("staff"));
    let staff = Grantee::Group(group("staff"));
    for (text, ann_role, bob_role, ann_joins, bob_joins) in [
        ("", true, true, true, true),
        (
            r#"permit(principal in Gatewright::Role::"quiet", action, resource);"#,
            false,
            true,
            true,
            true,
        ),
        (
            r#"permit(principal, action, resource) when { principal in Gatewright::Role::"quiet" };"#,
            false,
            true,
            true,
            true,
        ),
        (
            r#"permit(principal, action == GatewrightAdmin::Action::"users.write", resource)
               when { principal in GatewrightAdmin::Role::"quiet" };"#,
            false,
            false,
            true,
            true,
        ),
        (
            r#"permit(principal, action == GatewrightAdmin::Action::"users.write", resource)
               when { principal.hasTag("qui" ) };"#,
            false,
            false,
            true,
            true,
        ),
        (
            r#"permit(principal in Gatewright::Group::"https://idp.example.com|staff", action, resource);"#,
            true,
            true,
            false,
            true,
        ),
        (
            r#"permit(principal in GatewrightAdmin::Group::"https://idp.example.com|staff",
                 action == GatewrightAdmin::Action::"users.write", resource);"#,
            true,
            true,
            false,
            false,
        ),
    ] {
        let engine = of(text);
        let (ann, bob, root) = (ann().await, named("bob").await, named("root").await);
        let quiet = grant("quiet", staff.clone());
        assert_eq!(gives(&engine, &ann, &quiet), ann_role, "ann {text}");
        assert_eq!(gives(&engine, &bob, &quiet), bob_role, "bob {text}");
        assert_eq!(may(&engine, &ann, &join).await, ann_joins, "ann {text}");
        assert_eq!(may(&engine, &bob, &join).await, bob_joins, "bob {text}");
        assert!(gives(&engine, &root, &quiet) && may(&engine, &root, &join).await);
    }
}

/// A key speaks for whom it is of: also where policies mean them without naming them as an entity.
#[tokio::test]
async fn a_key_gives_what_policies_permit_by_attributes() {
    let of = |text: &str| {
        builder()
            .roles([with_admin("keys", &json!([]), &["keys.write"])])
            .grants([
                to_user("keys", "ann"),
                to_user(BuiltInRole::ADMINISTRATOR, "root"),
            ])
            .policies("own.cedar", text)
            .build()
            .unwrap()
    };
    let key = AdminAction::new(TenantId::default(), AdminVerb::KeysWrite, "key", "k")
        .giving(Given::Holdings(Grantee::Agent(subject("bot"))));
    for (text, fits) in [
        ("", true),
        (
            r#"permit(principal is Gatewright::Agent, action, resource) when { principal.subject == "bot" };"#,
            false,
        ),
        (
            r#"permit(principal, action, resource) when { context has agent && context.agent.subject == "bot" };"#,
            false,
        ),
        (
            r#"permit(principal == Gatewright::Agent::"https://idp.example.com|bot", action, resource);"#,
            false,
        ),
        (
            r#"permit(principal == Gatewright::Agent::"https://idp.example.com|other", action, resource);"#,
            true,
        ),
    ] {
        let engine = of(text);
        assert_eq!(may(&engine, &ann().await, &key).await, fits, "{text}");
        assert!(may(&engine, &named("root").await, &key).await, "{text}");
    }
}
