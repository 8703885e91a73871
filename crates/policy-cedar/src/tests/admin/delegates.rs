//! Who administers a server or a group, and what they may give.

use super::*;

/// `billing-clerk` is on billing, `wide` on everything, `both` on two servers.
fn roles() -> Vec<Role> {
    let on = |servers: &[&str]| json!([{"servers": servers, "tools": ["*"]}]);
    vec![
        role("clerk", &on(&["billing"])),
        role("wide", &on(&["*"])),
        role("both", &on(&["billing", "wiki"])),
        Role {
            inherits: vec!["wide".into()],
            ..Role::new("heir")
        },
        with_admin(
            "desk",
            &on(&["billing"]),
            &["members.write", "grants.write"],
        ),
    ]
}

fn engine(grants: impl IntoIterator<Item = Grant>) -> CedarEngine {
    builder().roles(roles()).grants(grants).build().unwrap()
}

fn admin_over(scope: Scope) -> CedarEngine {
    engine([over(to_user(BuiltInRole::ADMINISTRATOR, "ann"), scope)])
}

#[tokio::test]
async fn a_delegate_does_what_concerns_their_part() {
    let (ann, mine, other) = (ann().await, over_server("billing"), over_server("wiki"));
    for scope in [mine.clone(), over_group("staff")] {
        let engine = admin_over(scope.clone());
        for verb in AdminVerb::ALL {
            let fits = !verb.is_of_tenant();
            let within = action(*verb).concerning(scope.clone());
            if *verb != AdminVerb::RolesWrite {
                assert_eq!(may(&engine, &ann, &within).await, fits, "{verb}");
            }
            for outside in [
                action(*verb),
                action(*verb).concerning(other.clone()),
                action(*verb).concerning(over_group("other")),
                // A server and a group of one name are two things.
                action(*verb).concerning(Scope::Group(Group::new("", "billing"))),
            ] {
                assert!(!may(&engine, &ann, &outside).await, "{verb}");
            }
        }
    }
}

#[tokio::test]
async fn who_administers_a_server_gives_what_is_on_it_alone() {
    let engine = admin_over(over_server("billing"));
    let ann = ann().await;
    for (role, scope, fits) in [
        ("clerk", None, true),
        ("wide", None, false),
        ("heir", None, false),
        ("both", None, false),
        ("desk", None, false),
        ("desk", Some(over_server("billing")), true),
        ("desk", Some(over_server("wiki")), false),
        ("desk", Some(over_group("staff")), false),
        (BuiltInRole::ADMINISTRATOR, None, false),
        (
            BuiltInRole::ADMINISTRATOR,
            Some(over_server("billing")),
            true,
        ),
        (BuiltInRole::ADMINISTRATOR, Some(over_server("wiki")), false),
        ("metadata-viewer", None, false),
        ("metadata-viewer", Some(over_server("billing")), true),
        ("nosuch", None, false),
    ] {
        let mut grant = to_user(role, "eve");
        grant.over.clone_from(&scope);
        assert_eq!(gives(&engine, &ann, &grant), fits, "{role} {scope:?}");
        assert!(!gives(&engine, &named("eve").await, &grant), "{role}");
    }
}

#[tokio::test]
async fn who_administers_two_servers_gives_what_is_on_both() {
    let billing = over(
        to_user(BuiltInRole::ADMINISTRATOR, "ann"),
        over_server("billing"),
    );
    let wiki = over(
        to_user(BuiltInRole::ADMINISTRATOR, "ann"),
        over_server("wiki"),
    );
    let both = to_user("both", "eve");
    assert!(gives(
        &engine([billing.clone(), wiki.clone()]),
        &ann().await,
        &both
    ));
    assert!(!gives(&engine([billing]), &ann().await, &both));
    assert!(!gives(&engine([wiki]), &ann().await, &both));
}

#[tokio::test]
async fn who_administers_a_group_gives_it_what_they_hold_themselves() {
    let delegate = over(to_user("desk", "ann"), over_group("staff"));
    let to_staff = |role: &str| grant(role, Grantee::Group(group("staff")));
    let to_others = grant("wide", Grantee::Group(group("others")));
    let with = engine([delegate.clone(), to_user("wide", "ann")]);
    let without = engine([delegate]);
    let ann = ann().await;
    for (role, fits) in [
        ("wide", true),
        // It has nothing of its own.
        ("heir", true),
        ("both", false),
        ("desk", false),
    ] {
        assert_eq!(gives(&with, &ann, &to_staff(role)), fits, "{role}");
        assert!(!gives(&without, &ann, &to_staff(role)), "{role}");
    }
    assert!(
        gives(&with, &ann, &to_staff("clerk")) == gives(&without, &ann, &to_staff("clerk")),
        "ann holds `desk`, not `clerk`"
    );
    assert!(!gives(&with, &ann, &to_others));
    assert!(!gives(&with, &ann, &to_user("wide", "eve")));
    // A member of the group, as whoever asks says.
    let member = AdminAction::grant(TenantId::default(), "g", to_user("wide", "eve"))
        .concerning(over_group("staff"));
    assert!(may(&with, &ann, &member).await);
    assert!(!may(&without, &ann, &member).await);
}

#[tokio::test]
async fn what_is_given_ends_no_later_than_what_it_is_given_by() {
    let engine = engine([
        until(to_user(BuiltInRole::ADMINISTRATOR, "ann"), 3_600),
        over(
            to_user(BuiltInRole::ADMINISTRATOR, "bob"),
            over_server("billing"),
        ),
        until(to_user("wide", "bob"), 60),
    ]);
    let ann = ann().await;
    for role in ["clerk", "wide", BuiltInRole::ADMINISTRATOR] {
        assert!(!gives(&engine, &ann, &to_user(role, "eve")), "{role}");
        assert!(
            !gives(&engine, &ann, &until(to_user(role, "eve"), 3_601)),
            "{role}"
        );
        assert!(
            gives(&engine, &ann, &until(to_user(role, "eve"), 3_600)),
            "{role}"
        );
    }
    let bob = named("bob").await;
    let wide = |after| {
        let grant = until(to_user("wide", "eve"), after);
        AdminAction::grant(TenantId::default(), "g", grant).concerning(over_server("billing"))
    };
    assert!(may(&engine, &bob, &wide(60)).await);
    assert!(!may(&engine, &bob, &wide(61)).await);
}

#[tokio::test]
async fn joining_a_group_gives_what_it_holds() {
    let staff = || Grantee::Group(group("staff"));
    let delegate = over(
        to_user(BuiltInRole::ADMINISTRATOR, "ann"),
        over_group("staff"),
    );
    let join = AdminAction::join(TenantId::default(), "staff/eve", group("staff"));
    let mut silent = join.clone();
    silent.gives.clear();
    let others = AdminAction::join(TenantId::default(), "others/eve", group("others"));
    let ann = ann().await;
    for (holds, fits) in [
        (vec![], true),
        (vec![grant("wide", staff())], false),
        (vec![grant("wide", staff()), to_user("wide", "ann")], true),
        (vec![grant(BuiltInRole::ADMINISTRATOR, staff())], false),
        (
            vec![over(grant("metadata-viewer", staff()), over_group("staff"))],
            true,
        ),
        (vec![until(grant("wide", staff()), -1)], true),
    ] {
        let grants = holds.into_iter().chain([delegate.clone()]);
        let engine = engine(grants.clone());
        assert_eq!(
            may(&engine, &ann, &join).await,
            fits,
            "{:?}",
            grants.collect::<Vec<_>>()
        );
        assert!(
            !may(&engine, &ann, &silent).await,
            "it does not say what it gives"
        );
        assert!(!may(&engine, &ann, &others).await);
        // Not the way of an identity provider either.
        let pushed = AdminAction::new(
            TenantId::default(),
            AdminVerb::MembersProvision,
            "member",
            "staff/eve",
        )
        .concerning(over_group("staff"));
        assert!(!may(&engine, &ann, &pushed).await);
    }
}

#[tokio::test]
async fn an_identity_or_a_key_gives_what_its_owner_holds() {
    let engine = engine([
        to_user("wide", "carol"),
        over(
            to_user(BuiltInRole::ADMINISTRATOR, "ann"),
            over_group("staff"),
        ),
        to_user(BuiltInRole::ADMINISTRATOR, "root"),
    ]);
    let account = |name: &str| Grantee::Account(format!("user/{name}").into());
    engine
        .grants()
        .set(&account("carol"), [grant("wide", account("carol"))])
        .unwrap();
    for verb in [AdminVerb::IdentitiesWrite, AdminVerb::KeysWrite] {
        for (whose, fits) in [("carol", false), ("dave", true)] {
            let action = AdminAction::new(TenantId::default(), verb, "user", whose)
                .concerning(over_group("staff"))
                .giving(Given::Holdings(account(whose)));
            assert_eq!(
                may(&engine, &ann().await, &action).await,
                fits,
                "{verb} account {whose}"
            );
        }
        for (whose, fits) in [("carol", false), ("root", false), ("dave", true)] {
            let action = AdminAction::new(TenantId::default(), verb, "user", whose)
                .concerning(over_group("staff"))
                .giving(Given::Holdings(Grantee::User(subject(whose))));
            assert_eq!(
                may(&engine, &ann().await, &action).await,
                fits,
                "{verb} {whose}"
            );
            assert!(
                may(&engine, &named("root").await, &action).await,
                "{verb} {whose}"
            );
        }
    }
}

#[tokio::test]
async fn who_changes_a_role_gives_its_new_parts() {
    let engine = engine([
        over(
            to_user(BuiltInRole::ADMINISTRATOR, "ann"),
            over_server("billing"),
        ),
        to_user(BuiltInRole::ADMINISTRATOR, "root"),
    ]);
    let writes = |role: Role| {
        AdminAction::new(
            TenantId::default(),
            AdminVerb::RolesWrite,
            "role",
            &role.name,
        )
        .concerning(over_server("billing"))
        .giving(Given::Role(role))
    };
    let all = roles();
    let old = |name: &str| all.iter().find(|role| role.name == name).unwrap().clone();
    let described = |name: &str| Role {
        description: Some("new".into()),
        ..old(name)
    };
    let changed = |name: &str, more: Json| {
        let mut text = serde_json::to_value(old(name)).unwrap();
        for (key, value) in more.as_object().unwrap() {
            text[key] = value.clone();
        }
        serde_json::from_value::<Role>(text).unwrap()
    };
    let on = |servers: Json| json!({"permissions": [{"servers": servers, "tools": ["new"]}]});
    let ann = ann().await;
    let root = named("root").await;
    for (role, fits) in [
        (described("wide"), true),
        (changed("clerk", on(json!(["billing"]))), true),
        (changed("clerk", on(json!(["billing", "wiki"]))), false),
        (changed("clerk", on(json!(["billing*"]))), false),
        (changed("clerk", json!({"inherits": ["desk"]})), false),
        (changed("clerk", json!({"inherits": ["wide"]})), false),
        (changed("desk", json!({"inherits": ["clerk"]})), true),
        (
            changed("clerk", json!({"admin": [{"actions": ["grants.write"]}]})),
            false,
        ),
        (
            changed("desk", json!({"admin": [{"actions": ["grants.write"]}]})),
            true,
        ),
        (Role::new("fresh"), true),
    ] {
        assert_eq!(
            may(&engine, &ann, &writes(role.clone())).await,
            fits,
            "{role:?}"
        );
        assert!(may(&engine, &root, &writes(role.clone())).await, "{role:?}");
    }
    let unknown = changed("clerk", json!({"inherits": ["nosuch"]}));
    assert!(!may(&engine, &root, &writes(unknown)).await);
    assert!(!may(&engine, &root, &writes(Role::new("policy-author"))).await);
}

/// Whatever an action is called, who makes a grant by it may make grants.
#[tokio::test]
async fn an_invitation_gives_no_role_without_the_right_to_grant() {
    let host = |actions: &[&str]| with_admin("host", &json!([]), actions);
    for (actions, fits) in [
        (&["invitations.write"] as &[&str], false),
        (&["grants.write"], false),
        (&["invitations.write", "grants.write"], true),
    ] {
        let engine = builder()
            .roles(roles().into_iter().chain([host(actions)]))
            .grants([to_user("host", "ann"), to_user("clerk", "ann")])
            .build()
            .unwrap();
        let invite = AdminAction::new(
            TenantId::default(),
            AdminVerb::InvitationsWrite,
            "invitation",
            "x",
        )
        .giving(Given::Grant(to_user("clerk", "eve")));
        assert_eq!(
            may(&engine, &ann().await, &invite).await,
            fits,
            "{actions:?}"
        );
    }
}
