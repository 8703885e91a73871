//! What an identity provider that pushes may change.

use gatewright_directory::{
    Applied, ChangeError, Edit, Expected,
    model::{Document, MemberRef},
    records::Kind,
};

use super::*;

async fn token(bed: &Bed, scopes: &[&str]) -> Actor {
    let wanted = json!({"name": "x", "scopes": scopes, "expires_at": "2100-01-01T00:00:00Z"});
    let made = bed.post(&Who::Root, "scim-tokens", wanted).await.is(201);
    Actor::Provisioner(made.body["id"].as_str().unwrap().into())
}

fn put(kind: Kind, id: &str, document: Value) -> Edit {
    Edit::Put {
        id: id.into(),
        document: Document::parse(kind, &id.into(), &document.to_string()).unwrap(),
        expected: Expected::Any,
    }
}

fn remove(kind: Kind, id: &str) -> Edit {
    Edit::Remove {
        kind,
        id: id.into(),
        expected: Expected::Any,
    }
}

fn join(group: &str, id: &str) -> Edit {
    Edit::Join {
        group: group.into(),
        member: MemberRef::user(id),
    }
}

async fn push(bed: &Bed, actor: &Actor, edits: Vec<Edit>) -> Result<Applied, ChangeError> {
    bed.directory
        .change(actor.clone(), &TenantId::default(), "scim", edits)
        .await
}

#[track_caller]
fn is_forbidden(made: Result<Applied, ChangeError>) {
    assert_eq!(made.unwrap_err().code(), "forbidden");
}

fn pushed(name: &str) -> Value {
    json!({"user_name": name, "origin": "scim", "external_id": name})
}

const ALL: [&str; 3] = ["users:write", "groups:write", "agents:write"];

#[tokio::test]
async fn scopes_say_what_is_pushed() {
    let bed = Bed::new().await;
    let user = || put(Kind::User, "u", pushed("u"));
    let group = || {
        put(
            Kind::Group,
            "g",
            json!({"display_name": "g", "origin": "scim"}),
        )
    };
    let agent = || put(Kind::Agent, "a", json!({"name": "a", "origin": "scim"}));
    for (scopes, fits) in [
        (vec!["users:write"], [true, false, false]),
        (vec!["groups:write"], [false, true, false]),
        (vec!["agents:write"], [false, false, true]),
        (
            vec!["users:read", "groups:read", "agents:read"],
            [false, false, false],
        ),
    ] {
        let actor = token(&bed, &scopes).await;
        for (edit, fits) in [user(), group(), agent()].into_iter().zip(fits) {
            let kind = match &edit {
                Edit::Put { document, .. } => document.kind(),
                _ => panic!(),
            };
            let made = push(&bed, &actor, vec![edit]).await;
            assert_eq!(made.is_ok(), fits, "{scopes:?} {kind}");
            if fits {
                let id = &kind.name()[..1];
                push(&bed, &actor, vec![remove(kind, id)]).await.unwrap();
            }
        }
    }
    let gone = Actor::Provisioner("none".into());
    is_forbidden(push(&bed, &gone, vec![user()]).await);
}

#[tokio::test]
async fn what_is_not_an_identity_providers_is_not_pushed() {
    let bed = Bed::new().await;
    bed.person("ann").await;
    let actor = token(&bed, &ALL).await;
    for edit in [
        put(Kind::Role, "r", json!({"name": "r"})),
        put(
            Kind::Grant,
            "g",
            json!({"role": "administrator", "to": {"user": "ann"}}),
        ),
        put(Kind::Server, "s", json!({"url": "https://s.example"})),
        put(Kind::Issuer, "i", json!({"issuer": "https://i.example"})),
        put(Kind::Policies, "draft", json!({"files": {}})),
        put(Kind::Policies, "published", json!({"files": {}})),
        put(
            Kind::Tenant,
            "default",
            json!({"create_people_on_sight": true}),
        ),
        put(
            Kind::ScimToken,
            "t",
            json!({"name": "t", "digest": "d", "scopes": [], "created_at": 0, "expires_at": 0}),
        ),
        remove(Kind::Receipt, "r"),
        put(
            Kind::User,
            "u",
            json!({"user_name": "u", "identities": [{"issuer": IDP, "subject": "u"}]}),
        ),
        put(
            Kind::User,
            "u",
            json!({"user_name": "u", "invited": {"email": "a@a.example", "expires": 1}}),
        ),
        put(Kind::User, "ann", json!({"user_name": "ann"})),
        put(
            Kind::Agent,
            "a",
            json!({"name": "a", "identities": [{"issuer": IDP, "subject": "a"}]}),
        ),
        remove(Kind::Issuer, "idp"),
    ] {
        is_forbidden(push(&bed, &actor, vec![edit]).await);
    }
    // Whom an administrator switched off, no identity provider lets in again.
    bed.patch(&Who::Root, "users/ann", json!({"disabled": true}))
        .await
        .is(200);
    let mut on = person("ann");
    on["active"] = json!(true);
    is_forbidden(push(&bed, &actor, vec![put(Kind::User, "ann", on)]).await);
}

#[tokio::test]
async fn administrators_whom_it_did_not_make_are_left_alone() {
    let bed = Bed::new().await;
    bed.person("ann").await;
    bed.person("bob").await;
    let actor = token(&bed, &ALL).await;
    let edit = |id: &str, name: &str, value: Value| {
        let mut changed = person(id);
        changed[name] = value;
        put(Kind::User, id, changed)
    };
    push(&bed, &actor, vec![edit("ann", "external_id", json!("x"))])
        .await
        .unwrap();
    push(&bed, &actor, vec![edit("ann", "active", json!(true))])
        .await
        .unwrap();
    bed.group("admins").await;
    bed.join("admins", "users/ann").await;
    bed.grant("a", "administrator", json!({"group": "admins"}))
        .await;
    bed.grant("b", "administrator", json!({"user": "bob"}))
        .await;
    for id in ["ann", "bob"] {
        is_forbidden(push(&bed, &actor, vec![edit(id, "external_id", json!("y"))]).await);
        is_forbidden(push(&bed, &actor, vec![edit(id, "active", json!(false))]).await);
        is_forbidden(push(&bed, &actor, vec![remove(Kind::User, id)]).await);
    }
    // Nor does anybody become one: but by a group of its own, to which an administrator gave that.
    push(&bed, &actor, vec![put(Kind::User, "new", pushed("new"))])
        .await
        .unwrap();
    is_forbidden(push(&bed, &actor, vec![join("admins", "new")]).await);
    let leave = Edit::Leave {
        group: "admins".into(),
        member: MemberRef::user("ann"),
    };
    is_forbidden(push(&bed, &actor, vec![leave]).await);
    is_forbidden(
        push(
            &bed,
            &actor,
            vec![Edit::LeaveAll {
                group: "admins".into(),
            }],
        )
        .await,
    );
    is_forbidden(push(&bed, &actor, vec![remove(Kind::Group, "admins")]).await);
    let renamed = put(Kind::Group, "admins", json!({"display_name": "x"}));
    is_forbidden(push(&bed, &actor, vec![renamed]).await);
    let own = put(
        Kind::Group,
        "own",
        json!({"display_name": "own", "origin": "scim"}),
    );
    push(&bed, &actor, vec![own, join("own", "new")])
        .await
        .unwrap();
    bed.grant("o", "administrator", json!({"group": "own"}))
        .await;
    push(
        &bed,
        &actor,
        vec![put(Kind::User, "more", pushed("more")), join("own", "more")],
    )
    .await
    .unwrap();
}

#[tokio::test]
async fn policies_forbid_pushing_into_a_group() {
    let bed = Bed::new().await;
    let text = r#"forbid(principal, action == GatewrightAdmin::Action::"members.provision", resource)
        when { resource.name like "closed/*" };"#;
    let draft = json!({"files": {"own.cedar": text}});
    bed.put(&Who::Root, "policies/draft", draft).await.is(200);
    bed.post(&Who::Root, "policies/publish", json!({}))
        .await
        .is(200);
    let actor = token(&bed, &ALL).await;
    for (group, fits) in [("closed", false), ("open", true)] {
        let made = put(
            Kind::Group,
            group,
            json!({"display_name": group, "origin": "scim"}),
        );
        let user = put(Kind::User, group, pushed(group));
        push(&bed, &actor, vec![made, user]).await.unwrap();
        assert_eq!(
            push(&bed, &actor, vec![join(group, group)]).await.is_ok(),
            fits
        );
    }
}
