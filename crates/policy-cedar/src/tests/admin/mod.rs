//! Administrators, and what they give away.

use gatewright_core::{
    AdminAction, AdminVerb, Given, Method, ServerName,
    access::{BUILT_IN, BuiltInRole, Scope},
};

use super::*;
use crate::{BuildEngineError, Grants, TenantEngines};

mod delegates;
mod policies;
mod properties;

fn action(verb: AdminVerb) -> AdminAction {
    let action = AdminAction::new(TenantId::default(), verb, "thing", "x");
    // What somebody gets by it is asked elsewhere: here they get nothing.
    if verb.must_give() {
        action.giving(Given::Role(Role::new("new")))
    } else {
        action
    }
}

fn over_server(name: &str) -> Scope {
    Scope::Server(ServerName::new(name).unwrap())
}

fn over_group(name: &str) -> Scope {
    Scope::Group(group(name))
}

fn over(grant: Grant, scope: Scope) -> Grant {
    Grant {
        over: Some(scope),
        ..grant
    }
}

fn until(grant: Grant, after: i64) -> Grant {
    Grant {
        expires: Some(Timestamp::from_secs(NOON + after)),
        ..grant
    }
}

/// A role with these permissions on calls and of administrators.
fn with_admin(name: &str, permissions: &Json, actions: &[&str]) -> Role {
    serde_json::from_value(json!({
        "name": name, "permissions": permissions, "admin": [{"actions": actions}],
    }))
    .unwrap()
}

async fn may(engine: &impl PolicyEngine, principal: &Principal, action: &AdminAction) -> bool {
    matches!(
        engine.decide_admin(principal, action).await,
        Decision::Allow { .. }
    )
}

fn gives(engine: &CedarEngine, principal: &Principal, grant: &Grant) -> bool {
    matches!(engine.may_grant(principal, grant), Decision::Allow { .. })
}

async fn named(name: &str) -> Principal {
    principal(Identity::user(party(name))).await
}

#[tokio::test]
async fn each_built_in_role_may_do_what_it_says_and_nothing_else() {
    for built_in in BUILT_IN {
        let engine = builder()
            .grants([to_user(built_in.name, "ann")])
            .build()
            .unwrap();
        for verb in AdminVerb::ALL {
            let mut action = action(*verb).drafted_by([subject("bob")]);
            action.concerns.push(over_server("billing"));
            assert_eq!(
                may(&engine, &ann().await, &action).await,
                built_in.verbs.contains(verb),
                "{} {verb}",
                built_in.name
            );
            assert!(!may(&engine, &named("eve").await, &action).await, "{verb}");
        }
    }
}

#[tokio::test]
async fn decisions_name_the_policies() {
    let engine = builder()
        .grants([to_user("metadata-viewer", "ann")])
        .build()
        .unwrap();
    let read = action(AdminVerb::MetadataRead);
    let Decision::Allow { policies, .. } = engine.decide_admin(&ann().await, &read).await else {
        panic!()
    };
    assert_eq!(*policies, ["role:metadata-viewer/admin/1".into()]);
    let write = action(AdminVerb::UsersWrite);
    let Decision::Deny { reason, .. } = engine.decide_admin(&ann().await, &write).await else {
        panic!()
    };
    assert!(
        reason.contains("users.write of thing `x`") && reason.contains("no policy permits it"),
        "{reason}"
    );
}

#[tokio::test]
async fn what_is_permitted_of_calls_permits_no_administrator() {
    let engine = builder()
        .roles([role(
            "all",
            &json!([{"servers": ["*"], "tools": ["*"], "methods": ["*"]}]),
        )])
        .grants([to_user("all", "ann")])
        .policies("wide.cedar", "permit(principal, action, resource);")
        .build()
        .unwrap();
    for verb in AdminVerb::ALL {
        assert!(!may(&engine, &ann().await, &action(*verb)).await, "{verb}");
    }
}

#[tokio::test]
async fn a_role_that_a_token_names_permits_no_administrator() {
    let engine = builder().build().unwrap();
    let claims = party("ann").with_roles(BUILT_IN.iter().map(|role| role.name));
    let ann = principal(Identity::user(claims)).await;
    for verb in AdminVerb::ALL {
        assert!(!may(&engine, &ann, &action(*verb)).await, "{verb}");
    }
}

#[tokio::test]
async fn a_group_and_a_parent_give_what_they_have() {
    let helpers: Role = serde_json::from_value(json!({
        "name": "helpers", "inherits": ["metadata-viewer"], "admin": [{"actions": ["users.*"]}],
    }))
    .unwrap();
    let chief = Role {
        inherits: vec!["helpers".into()],
        ..Role::new("chief")
    };
    let engine = builder()
        .roles([helpers, chief])
        .grants([grant("chief", Grantee::Group(group("desk")))])
        .build()
        .unwrap();
    let eve = principal(Identity::user(party("eve").with_groups([group("desk")]))).await;
    for (verb, fits) in [
        (AdminVerb::MetadataRead, true),
        (AdminVerb::UsersDisable, true),
        (AdminVerb::UsersRemove, true),
        (AdminVerb::GroupsWrite, false),
        (AdminVerb::AuditRead, false),
    ] {
        assert_eq!(may(&engine, &eve, &action(verb)).await, fits, "{verb}");
        assert!(!may(&engine, &ann().await, &action(verb)).await, "{verb}");
    }
}

#[tokio::test]
async fn operators_do_everything_and_nobody_can_come_as_one() {
    let engine = builder()
        .policies(
            "no.cedar",
            r#"forbid(principal, action in GatewrightAdmin::Action::"any", resource);"#,
        )
        .build()
        .unwrap();
    let operator = principal(Identity::operator("uid-0")).await;
    for verb in AdminVerb::ALL {
        assert!(may(&engine, &operator, &action(*verb)).await, "{verb}");
    }
    let party = || Party::new(Subject::new(Subject::OPERATOR, "uid-0"));
    for method in [Method::AccessToken, Method::ApiKey] {
        let mut identity = Identity::operator("uid-0");
        identity.method = method;
        let came = principal(identity).await;
        assert!(!may(&engine, &came, &action(AdminVerb::MetadataRead)).await);
    }
    for identity in [
        Identity::agent(party()),
        Identity::delegated(party(), super::party("bot")),
        Identity::user(Party::new(Subject::new("Operator", "uid-0"))),
        Identity::user(Party::new(Subject::new(
            "https://operator.example",
            "uid-0",
        ))),
    ] {
        let came = principal(identity).await;
        assert!(!may(&engine, &came, &action(AdminVerb::MetadataRead)).await);
    }
}

#[tokio::test]
async fn identity_providers_push_people_and_give_nothing() {
    let engine = builder()
        .policies(
            "own.cedar",
            r#"forbid(principal, action == GatewrightAdmin::Action::"members.provision", resource)
               when { resource.name == "admins" };"#,
        )
        .build()
        .unwrap();
    let pushes = || Identity::provisioner("token-1");
    let provisioner = BuiltInRole::named(BuiltInRole::PROVISIONER).unwrap();
    for verb in AdminVerb::ALL {
        assert_eq!(
            may(&engine, &principal(pushes()).await, &action(*verb)).await,
            provisioner.verbs.contains(verb),
            "{verb}"
        );
    }
    let mut admins = action(AdminVerb::MembersProvision);
    admins.id = "admins".into();
    assert!(!may(&engine, &principal(pushes()).await, &admins).await);
    let mut by_key = pushes();
    by_key.method = Method::ApiKey;
    let by_key = principal(by_key).await;
    assert!(!may(&engine, &by_key, &action(AdminVerb::UsersWrite)).await);
}

#[tokio::test]
async fn one_tenants_administrator_is_nobody_in_another() {
    let acme = || tenant("acme");
    let engine = builder()
        .tenant(acme())
        .grants([to_user(BuiltInRole::ADMINISTRATOR, "ann")])
        .build()
        .unwrap();
    let engines = TenantEngines::new([engine]);
    let server = ServerName::new("billing").unwrap();
    let resource = "https://gw.example.com/t/acme/mcp";
    let route = Route::new(acme(), server, resource, Default::default()).unwrap();
    let ann_there = on(&route, Identity::user(party("ann"))).await;
    let read = |tenant| AdminAction::new(tenant, AdminVerb::MetadataRead, "server", "x");
    assert!(may(&engines, &ann_there, &read(acme())).await);
    assert!(!may(&engines, &ann_there, &read(TenantId::default())).await);
    assert!(!may(&engines, &ann().await, &read(acme())).await);
    assert!(!may(&engines, &ann().await, &read(TenantId::default())).await);
    // The installation is no tenant's, but the default one's.
    for verb in AdminVerb::ALL
        .iter()
        .filter(|verb| verb.is_of_installation())
    {
        let action = AdminAction::new(acme(), *verb, "tenant", "other");
        assert!(!may(&engines, &ann_there, &action).await, "{verb}");
    }
}

#[tokio::test]
async fn only_operators_give_a_tenant_its_first_policies() {
    let engines = TenantEngines::default();
    let publish = action(AdminVerb::PoliciesPublish);
    let operator = principal(Identity::operator("uid-0")).await;
    assert!(may(&engines, &operator, &publish).await);
    assert!(!may(&engines, &ann().await, &publish).await);
    let elsewhere = AdminAction::new(tenant("acme"), AdminVerb::PoliciesPublish, "policies", "");
    assert!(!may(&engines, &operator, &elsewhere).await);
}

#[tokio::test]
async fn an_agent_does_for_a_person_what_both_may() {
    let engine = builder()
        .grants([
            to_user("metadata-viewer", "ann"),
            to_user("content-auditor", "ann"),
            grant("metadata-viewer", Grantee::Agent(subject("bot"))),
        ])
        .build()
        .unwrap();
    let both = principal(Identity::delegated(party("ann"), party("bot"))).await;
    assert!(may(&engine, &both, &action(AdminVerb::MetadataRead)).await);
    assert!(!may(&engine, &both, &action(AdminVerb::AuditRead)).await);
    assert!(may(&engine, &ann().await, &action(AdminVerb::AuditRead)).await);
}

#[tokio::test]
async fn who_drafted_does_not_publish() {
    let engine = builder()
        .grants([
            to_user("policy-approver", "ann"),
            to_user("policy-author", "ann"),
            grant("policy-approver", Grantee::Agent(subject("bot"))),
            to_user(BuiltInRole::ADMINISTRATOR, "root"),
            over(
                to_user(BuiltInRole::ADMINISTRATOR, "ann"),
                over_server("billing"),
            ),
        ])
        .build()
        .unwrap();
    let publish = |drafters: &[&str]| {
        action(AdminVerb::PoliciesPublish).drafted_by(drafters.iter().map(|name| subject(name)))
    };
    let (ann, root) = (ann().await, named("root").await);
    assert!(may(&engine, &ann, &publish(&["bob"])).await);
    assert!(!may(&engine, &ann, &publish(&["ann"])).await);
    assert!(!may(&engine, &ann, &publish(&["bob", "ann"])).await);
    assert!(
        !may(&engine, &ann, &publish(&[])).await,
        "nobody says who drafted it"
    );
    assert!(may(&engine, &root, &publish(&["root"])).await);
    let both = principal(Identity::delegated(party("ann"), party("bot"))).await;
    assert!(may(&engine, &both, &publish(&["bob"])).await);
    assert!(!may(&engine, &both, &publish(&["bot"])).await);
}

#[tokio::test]
async fn an_expired_grant_permits_no_administrator() {
    let clock = clock();
    let engine = CedarEngine::builder()
        .clock(clock.clone())
        .grants([until(to_user("metadata-viewer", "ann"), 60)])
        .build()
        .unwrap();
    let read = action(AdminVerb::MetadataRead);
    assert!(may(&engine, &ann().await, &read).await);
    clock.advance(std::time::Duration::from_secs(60));
    assert!(!may(&engine, &ann().await, &read).await);
}

#[tokio::test]
async fn taking_a_grant_away_counts_at_once() {
    let grants = Grants::new([to_user(BuiltInRole::ADMINISTRATOR, "ann")]).unwrap();
    let engine = builder().shared_grants(grants.clone()).build().unwrap();
    let write = action(AdminVerb::UsersWrite);
    assert!(may(&engine, &ann().await, &write).await);
    let to_ann = Grantee::User(subject("ann"));
    grants
        .set(&to_ann, [to_user("metadata-viewer", "ann")])
        .unwrap();
    assert!(!may(&engine, &ann().await, &write).await);
    assert!(may(&engine, &ann().await, &action(AdminVerb::MetadataRead)).await);
    grants.set(&to_ann, []).unwrap();
    assert!(!may(&engine, &ann().await, &action(AdminVerb::MetadataRead)).await);
}

/// They are not held against it when an engine is built.
#[test]
fn what_every_tenant_has_fits_the_schema() {
    let schema = crate::admin::schema().unwrap();
    let mut sources: Vec<_> = gatewright_core::access::built_in_roles()
        .flat_map(|role| crate::admin::role(&role).unwrap())
        .collect();
    for (source, _) in crate::files::parse(&crate::admin::built_in()).unwrap() {
        assert_eq!(crate::admin::is_about(&source.policy), Ok(true));
        assert!(source.reported.starts_with(crate::admin::RESERVED));
        sources.push(source);
    }
    let warnings = crate::files::validate(schema, &sources, &Default::default()).unwrap();
    assert!(warnings.is_empty(), "{warnings:?}");
}

#[test]
fn roles_that_permit_administrators_nothing_are_refused() {
    for actions in [json!([]), json!(["nosuch"]), json!(["users.*", "user.*"])] {
        let role: Role =
            serde_json::from_value(json!({"name": "r", "admin": [{"actions": actions}]})).unwrap();
        let built = builder().roles([role]).build();
        assert!(matches!(built, Err(BuildEngineError::Admin { .. })));
    }
    for built_in in BUILT_IN {
        let built = builder().roles([Role::new(built_in.name)]).build();
        assert!(matches!(built, Err(BuildEngineError::BuiltInRole(_))));
    }
    let circle = Role {
        inherits: vec!["a".into()],
        ..Role::new("a")
    };
    let built = builder().roles([circle]).build();
    assert!(matches!(built, Err(BuildEngineError::Inheritance(_))));
}
