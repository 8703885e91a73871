//! What delegated administrators may, and for every kind of change the refusal.

use super::*;

/// `ann` administers the group `staff`, `root` everything; `eve` is in `staff`, `mallory` in no group.
async fn bed() -> Bed {
    let bed = Bed::new().await;
    for id in ["root", "ann", "eve", "mallory"] {
        bed.person(id).await;
    }
    bed.grant("root", "administrator", json!({"user": "root"}))
        .await;
    bed.group("staff").await;
    bed.group("others").await;
    bed.join("staff", "users/eve").await;
    bed.make("servers/billing", json!({"url": "https://b.example"}))
        .await;
    bed.make("servers/wiki", json!({"url": "https://w.example"}))
        .await;
    bed.grant_over(
        "ann",
        "administrator",
        json!({"user": "ann"}),
        json!({"group": "staff"}),
    )
    .await;
    let on = |server: &str| json!([{"servers": [server], "tools": ["*"]}]);
    for (name, server) in [("clerk", "billing"), ("writer", "wiki")] {
        bed.make(
            &format!("roles/{name}"),
            json!({"name": name, "permissions": on(server)}),
        )
        .await;
    }
    bed
}

const NO: u16 = 403;

#[tokio::test]
async fn a_delegate_changes_the_people_of_their_group_and_no_others() {
    let bed = bed().await;
    let ann = bed.as_user("ann").await;
    bed.get(&ann, "users/eve").await.is(200);
    bed.get(&ann, "groups/staff/members").await.is(200);
    bed.get(&ann, "grants?user=eve").await.is(200);
    bed.patch(&ann, "users/eve", json!({"display_name": "Eve"}))
        .await
        .is(200);
    bed.patch(&ann, "users/eve", json!({"disabled": true}))
        .await
        .is(200);
    bed.patch(&ann, "users/eve", json!({"disabled": null}))
        .await
        .is(200);
    // Those of others, all of them, and those that there are none of are alike.
    for path in [
        "users/mallory",
        "users/none",
        "users",
        "groups/others/members",
        "grants",
        "grants?user=mallory",
        "users?user_name=mallory@a.example",
        "users?user_name=none",
        "servers/billing",
        "agents?owner=eve",
    ] {
        bed.get(&ann, path).await.refused(NO, "forbidden");
    }
    for id in ["mallory", "root", "none"] {
        let path = format!("users/{id}");
        bed.patch(&ann, &path, json!({"disabled": true}))
            .await
            .is(NO);
        bed.put(&ann, &path, person(id)).await.is(NO);
        bed.delete(&ann, &path).await.is(NO);
    }
    let new = json!({"user_name": "new@a.example"});
    bed.post(&ann, "users", new).await.is(NO);
    // That a name is taken is not said to who may not know by whom.
    bed.post(&ann, "users", person("mallory"))
        .await
        .refused(NO, "forbidden");
    bed.delete(&ann, "users/eve").await.is(200);
}

#[tokio::test]
async fn nobody_joins_what_gives_them_more_than_the_delegate_has() {
    let bed = bed().await;
    // In another group of hers: so they are hers already.
    bed.person("bob").await;
    bed.group("crew").await;
    bed.join("crew", "users/bob").await;
    let crew = json!({"group": "crew"});
    bed.grant_over("ann2", "administrator", json!({"user": "ann"}), crew)
        .await;
    let ann = bed.as_user("ann").await;
    let join = async |path: &str| bed.put(&ann, path, Value::Null).await.status;
    assert_eq!(join("groups/staff/members/users/bob").await, 204);
    assert_eq!(
        bed.delete(&ann, "groups/staff/members/users/bob")
            .await
            .status,
        204
    );
    assert_eq!(join("groups/others/members/users/bob").await, NO);
    assert_eq!(join("groups/none/members/users/bob").await, NO);
    // What the group holds is more than ann has.
    bed.grant("s", "writer", json!({"group": "staff"})).await;
    assert_eq!(join("groups/staff/members/users/bob").await, NO);
    bed.delete(&Who::Root, "grants/s").await.is(200);
    assert_eq!(join("groups/staff/members/users/bob").await, 204);
    bed.delete(&Who::Root, "groups/staff/members/users/bob")
        .await
        .is(204);
    // And what the group is in.
    bed.grant("o", "writer", json!({"group": "others"})).await;
    bed.join("others", "groups/staff").await;
    assert_eq!(join("groups/staff/members/users/bob").await, NO);
    bed.grant("a", "writer", json!({"user": "ann"})).await;
    let ann = bed.as_user("ann").await;
    bed.put(&ann, "groups/staff/members/users/bob", Value::Null)
        .await
        .is(204);
}

#[tokio::test]
async fn who_administers_more_is_left_alone() {
    let bed = bed().await;
    // Nor is root ann's to change where others put them into the group.
    bed.grant("r2", "administrator", json!({"user": "mallory"}))
        .await;
    let ann = bed.as_user("ann").await;
    bed.put(&ann, "groups/staff/members/users/root", Value::Null)
        .await
        .refused(NO, "forbidden");
    bed.join("staff", "users/root").await;
    for body in [
        json!({"disabled": true}),
        json!({"display_name": "x"}),
        json!({"active": false}),
        json!({"identities": [{"issuer": IDP, "subject": "ann2"}]}),
    ] {
        bed.patch(&ann, "users/root", body)
            .await
            .refused(NO, "forbidden");
    }
    bed.delete(&ann, "users/root")
        .await
        .refused(NO, "forbidden");
    bed.delete(&ann, "grants/root")
        .await
        .refused(NO, "forbidden");
    let shorter =
        json!({"role": "administrator", "to": {"user": "root"}, "expires": "2100-01-01T00:00:00Z"});
    bed.put(&ann, "grants/root", shorter)
        .await
        .refused(NO, "forbidden");
    // A help desk for everybody does not switch administrators off.
    bed.role("desk", &["users.*", "directory.read"]).await;
    bed.grant("desk", "desk", json!({"user": "eve"})).await;
    let eve = bed.as_user("eve").await;
    bed.patch(&eve, "users/root", json!({"disabled": true}))
        .await
        .refused(NO, "forbidden");
    bed.person("bob").await;
    bed.patch(&eve, "users/bob", json!({"disabled": true}))
        .await
        .is(200);
}

#[tokio::test]
async fn whoever_comes_as_somebody_gets_no_more_than_the_delegate_has() {
    let bed = bed().await;
    bed.grant("e", "clerk", json!({"user": "eve"})).await;
    let ann = bed.as_user("ann").await;
    let link = json!({"identities": [{"issuer": IDP, "subject": "ann-too"}]});
    bed.patch(&ann, "users/eve", link.clone())
        .await
        .refused(NO, "forbidden");
    let invite = json!({"invited": {"email": "x@a.example", "expires": "2100-01-01T00:00:00Z"}});
    bed.patch(&ann, "users/eve", invite)
        .await
        .refused(NO, "forbidden");
    let key = json!({"name": "k", "holder": "user:https://idp.example|eve", "servers": ["*"],
        "expires_at": "2100-01-01T00:00:00Z"});
    bed.post(&ann, "keys", key.clone())
        .await
        .refused(NO, "forbidden");
    bed.delete(&Who::Root, "grants/e").await.is(200);
    bed.patch(&ann, "users/eve", link).await.is(200);
    // An attribute by which tokens find people is an identity.
    bed.make(
        "issuers/idp",
        json!({"issuer": IDP, "scim_attribute": "externalId"}),
    )
    .await;
    bed.grant("e", "clerk", json!({"user": "eve"})).await;
    bed.patch(&ann, "users/eve", json!({"external_id": "E"}))
        .await
        .refused(NO, "forbidden");
    bed.make(
        "issuers/idp",
        json!({"issuer": IDP, "scim_attribute": "userName"}),
    )
    .await;
    bed.patch(&ann, "users/eve", json!({"user_name": "ann2"}))
        .await
        .refused(NO, "forbidden");
    bed.patch(&ann, "users/eve", json!({"display_name": "fine"}))
        .await
        .is(200);
    bed.delete(&Who::Root, "grants/e").await.is(200);
    bed.patch(&ann, "users/eve", json!({"user_name": "ann2"}))
        .await
        .is(200);
}

#[tokio::test]
async fn agents_of_the_group_alone() {
    let bed = bed().await;
    bed.make("agents/in", json!({"name": "in"})).await;
    bed.make("agents/out", json!({"name": "out"})).await;
    bed.join("staff", "agents/in").await;
    let ann = bed.as_user("ann").await;
    for (agent, status) in [("in", 200), ("out", NO)] {
        let path = format!("agents/{agent}");
        for body in [
            json!({"owner": "ann"}),
            json!({"status": "disabled"}),
            json!({"status": "active"}),
            json!({"expires": "2100-01-01T00:00:00Z"}),
            json!({"identities": [{"issuer": IDP, "subject": agent}]}),
            json!({"identities": []}),
        ] {
            bed.patch(&ann, &path, body).await.is(status);
        }
    }
    bed.post(&ann, "agents", json!({"name": "new"}))
        .await
        .is(NO);
    bed.grant("p", "clerk", json!({"agent": "in"})).await;
    let link = json!({"identities": [{"issuer": IDP, "subject": "bot"}]});
    bed.patch(&ann, "agents/in", link).await.is(NO);
    bed.delete(&ann, "agents/out").await.is(NO);
    bed.delete(&ann, "agents/in").await.is(200);
}

#[tokio::test]
async fn grants_and_roles_give_no_more_than_there_is() {
    let bed = bed().await;
    bed.grant("w", "writer", json!({"user": "ann"})).await;
    let ann = bed.as_user("ann").await;
    let grant = async |role: &str, to: Value| {
        bed.post(&ann, "grants", json!({"role": role, "to": to}))
            .await
            .status
    };
    assert_eq!(grant("writer", json!({"user": "eve"})).await, 201);
    assert_eq!(grant("writer", json!({"group": "staff"})).await, 201);
    assert_eq!(grant("writer", json!({"user": "mallory"})).await, NO);
    assert_eq!(grant("clerk", json!({"user": "eve"})).await, NO);
    assert_eq!(grant("administrator", json!({"user": "eve"})).await, NO);
    let over = json!({"role": "administrator", "to": {"user": "eve"}, "over": {"group": "staff"}});
    bed.post(&ann, "grants", over).await.is(201);
    for role in ["clerk", "new"] {
        bed.put(&ann, &format!("roles/{role}"), json!({"name": role}))
            .await
            .is(NO);
        bed.delete(&ann, &format!("roles/{role}")).await.is(NO);
    }
    bed.put(&ann, "groups/new", json!({"display_name": "new"}))
        .await
        .is(NO);
    bed.patch(&ann, "groups/others", json!({"display_name": "mine"}))
        .await
        .is(NO);
    bed.patch(&ann, "groups/staff", json!({"display_name": "mine"}))
        .await
        .is(200);
    bed.delete(&ann, "groups/others").await.is(NO);
}

#[tokio::test]
async fn who_administers_a_server_changes_that_one() {
    let bed = bed().await;
    bed.grant_over(
        "b",
        "administrator",
        json!({"user": "mallory"}),
        json!({"server": "billing"}),
    )
    .await;
    let mallory = bed.as_user("mallory").await;
    bed.get(&mallory, "servers/billing").await.is(200);
    bed.patch(&mallory, "servers/billing", json!({"disabled": true}))
        .await
        .is(200);
    bed.get(&mallory, "servers/wiki").await.is(NO);
    bed.patch(&mallory, "servers/wiki", json!({"disabled": true}))
        .await
        .is(NO);
    bed.put(&mallory, "servers/new", json!({"url": "https://x.example"}))
        .await
        .is(NO);
    // Programs of the machine are for those who administer the installation.
    bed.patch(
        &mallory,
        "servers/billing",
        json!({"url": null, "command": "/bin/sh"}),
    )
    .await
    .is(NO);
    bed.put(
        &mallory,
        "virtual-servers/v",
        json!({"parts": [{"server": "billing"}]}),
    )
    .await
    .is(NO);
    bed.make("virtual-servers/billing-too", json!({})).await;
    bed.grant_over(
        "v",
        "administrator",
        json!({"user": "mallory"}),
        json!({"server": "billing-too"}),
    )
    .await;
    let mallory = bed.as_user("mallory").await;
    let bundle = |server: &str| json!({"parts": [{"server": server, "tools": ["*"]}]});
    bed.put(&mallory, "virtual-servers/billing-too", bundle("billing"))
        .await
        .is(200);
    bed.put(&mallory, "virtual-servers/billing-too", bundle("wiki"))
        .await
        .is(NO);
    // Roles that are on this server alone.
    bed.put(
        &mallory,
        "roles/clerk",
        json!({"name": "clerk", "description": "x",
        "permissions": [{"servers": ["billing"], "tools": ["a"]}]}),
    )
    .await
    .is(200);
    for servers in [json!(["billing", "wiki"]), json!(["billing*"])] {
        bed.put(
            &mallory,
            "roles/clerk",
            json!({"name": "clerk",
            "permissions": [{"servers": servers, "tools": ["a"]}]}),
        )
        .await
        .is(NO);
    }
    bed.delete(&mallory, "roles/writer").await.is(NO);
    let grant = bed
        .post(
            &mallory,
            "grants",
            json!({"role": "clerk", "to": {"user": "eve"}}),
        )
        .await
        .is(201);
    let id = grant.body["id"].as_str().unwrap();
    bed.delete(&mallory, &format!("grants/{id}")).await.is(200);
    bed.grant("w", "writer", json!({"user": "eve"})).await;
    bed.delete(&mallory, "grants/w").await.is(NO);
    bed.put(&mallory, "credentials/wiki/shared", json!({"secret": "x"}))
        .await
        .is(NO);
    bed.delete(&mallory, "credentials/wiki/shared").await.is(NO);
    bed.delete(&mallory, "credentials/billing/shared")
        .await
        .refused(404, "unknown-credential");
    bed.delete(&mallory, "servers/wiki").await.is(NO);
    bed.delete(&mallory, "virtual-servers/billing-too")
        .await
        .is(200);
    bed.delete(&mallory, "servers/billing").await.is(200);
}

#[tokio::test]
async fn what_reaches_the_whole_tenant_is_for_no_delegate() {
    let bed = bed().await;
    bed.grant_over(
        "b",
        "administrator",
        json!({"user": "ann"}),
        json!({"server": "billing"}),
    )
    .await;
    let ann = bed.as_user("ann").await;
    for (path, body) in [
        (
            "issuers/idp",
            json!({"issuer": IDP, "scim_attribute": "userName"}),
        ),
        ("issuers/new", json!({"issuer": "https://new.example"})),
        ("policies/draft", json!({"files": {}})),
        ("/tenants/default", json!({"create_people_on_sight": true})),
    ] {
        bed.put(&ann, path, body).await.refused(NO, "forbidden");
    }
    let token =
        json!({"name": "x", "scopes": ["users:write"], "expires_at": "2100-01-01T00:00:00Z"});
    bed.post(&ann, "scim-tokens", token)
        .await
        .refused(NO, "forbidden");
    bed.delete(&ann, "scim-tokens/x")
        .await
        .refused(NO, "forbidden");
    bed.delete(&ann, "issuers/idp")
        .await
        .refused(NO, "forbidden");
    bed.post(&ann, "policies/publish", json!({}))
        .await
        .refused(NO, "forbidden");
    bed.post(&ann, "keys/purge", Value::Null)
        .await
        .refused(NO, "forbidden");
    bed.post(&ann, "/master-key/rotate", Value::Null)
        .await
        .refused(NO, "forbidden");
    bed.get(&ann, "/status").await.refused(NO, "forbidden");
}

#[tokio::test]
async fn a_grant_that_is_gone_permits_nothing_more() {
    let bed = bed().await;
    let ann = bed.as_user("ann").await;
    bed.patch(&ann, "users/eve", json!({"display_name": "1"}))
        .await
        .is(200);
    bed.delete(&Who::Root, "grants/ann").await.is(200);
    bed.patch(&ann, "users/eve", json!({"display_name": "2"}))
        .await
        .refused(NO, "forbidden");
    bed.get(&ann, "users/eve").await.refused(NO, "forbidden");
}

#[tokio::test]
async fn a_change_is_permitted_whole_or_not_at_all() {
    use gatewright_directory::{Edit, Expected, model::Document, records::Kind};
    let bed = bed().await;
    let Who::Token(ann) = bed.as_user("ann").await else {
        panic!()
    };
    let put = |id: &str| Edit::Put {
        id: id.into(),
        document: Document::parse(Kind::User, &id.into(), &person(id).to_string()).unwrap(),
        expected: Expected::Any,
    };
    let join = |group: &str, id: &str| Edit::Join {
        group: group.into(),
        member: gatewright_directory::model::MemberRef::user(id),
    };
    let change = async |edits| {
        let tenant = TenantId::default();
        bed.directory
            .change(Actor::Principal(ann.clone()), &tenant, "test", edits)
            .await
    };
    // Somebody new who comes into their group is theirs to make.
    change(vec![put("new"), join("staff", "new")])
        .await
        .unwrap();
    let refused = change(vec![put("more"), join("others", "more")])
        .await
        .unwrap_err();
    assert_eq!(refused.code(), "forbidden");
    // Somebody who was there is not made theirs by the same change.
    let mut mallory = person("mallory");
    mallory["display_name"] = json!("x");
    let document = Document::parse(Kind::User, &"mallory".into(), &mallory.to_string()).unwrap();
    let edit = Edit::Put {
        id: "mallory".into(),
        document,
        expected: Expected::Any,
    };
    let refused = change(vec![join("staff", "mallory"), edit])
        .await
        .unwrap_err();
    assert_eq!(refused.code(), "forbidden");
    let members = bed
        .get(&Who::Root, "groups/staff/members")
        .await
        .body
        .to_string();
    assert!(
        members.contains("new") && !members.contains("mallory"),
        "{members}"
    );
}

#[tokio::test]
async fn what_is_refused_says_nothing_of_what_there_is() {
    let bed = bed().await;
    bed.make(
        "servers/prog",
        json!({"command": "/bin/s", "env": {"TOKEN": "x"}}),
    )
    .await;
    bed.person("bob").await;
    let bob = bed.as_user("bob").await;
    let env = |name: &str| {
        let mut variables = serde_json::Map::new();
        variables.insert(name.to_owned(), json!("[not told]"));
        json!({"command": "/bin/s", "env": variables})
    };
    for (path, body) in [
        ("servers/prog", env("TOKEN")),
        ("servers/prog", env("NONE")),
        ("servers/none", env("NONE")),
        ("users/eve", person("eve")),
        ("users/none", person("eve")),
        ("users/none", person("none")),
        (
            "grants/none",
            json!({"role": "none", "to": {"user": "none"}}),
        ),
        (
            "grants/none",
            json!({"role": "clerk", "to": {"user": "eve"}}),
        ),
    ] {
        bed.put(&bob, path, body.clone())
            .await
            .refused(NO, "forbidden");
        for (name, tag) in [
            ("if-match", "\"1\""),
            ("if-match", "*"),
            ("if-none-match", "*"),
        ] {
            let path = format!("/tenants/default/{path}");
            let tag = [(name, tag)];
            let made = bed
                .send(&bob, Method::PUT, &path, &tag, Some(body.clone()))
                .await;
            made.refused(NO, "forbidden");
        }
    }
    for path in [
        "users/eve",
        "users/none",
        "servers/prog",
        "servers/none",
        "grants/root",
        "grants/none",
    ] {
        bed.delete(&bob, path).await.refused(NO, "forbidden");
        bed.patch(&bob, path, json!({}))
            .await
            .refused(NO, "forbidden");
    }
}

type Asked = (Method, &'static str, Value);

/// What a delegate could do first, to have more in the next request.
fn first_requests() -> Vec<Asked> {
    let over = |over: Value, to: Value| json!({"role": "administrator", "to": to, "over": over});
    let others = || json!({"group": "others"});
    vec![
        (Method::GET, "users/eve", Value::Null),
        (
            Method::PUT,
            "groups/staff/members/users/mallory",
            Value::Null,
        ),
        (Method::PUT, "groups/staff/members/agents/out", Value::Null),
        (
            Method::PUT,
            "groups/staff/members/groups/others",
            Value::Null,
        ),
        (
            Method::PUT,
            "groups/others/members/groups/staff",
            Value::Null,
        ),
        (Method::PUT, "groups/others/members/users/ann", Value::Null),
        (Method::PUT, "groups/new", json!({"display_name": "new"})),
        (
            Method::PUT,
            "groups/staff",
            json!({"display_name": "others"}),
        ),
        (
            Method::PUT,
            "grants/x",
            over(others(), json!({"user": "ann"})),
        ),
        (
            Method::PUT,
            "grants/x",
            over(others(), json!({"user": "eve"})),
        ),
        (
            Method::PUT,
            "grants/x",
            over(others(), json!({"group": "staff"})),
        ),
        (
            Method::PUT,
            "grants/ann",
            over(others(), json!({"user": "ann"})),
        ),
        (
            Method::PUT,
            "grants/ann",
            over(Value::Null, json!({"user": "ann"})),
        ),
        (
            Method::PUT,
            "roles/clerk",
            json!({"name": "clerk", "admin": [{"actions": ["*"]}]}),
        ),
        (Method::PATCH, "agents/in", json!({"owner": "mallory"})),
        (
            Method::PATCH,
            "agents/in",
            json!({"identities": [{"issuer": IDP, "subject": "out"}]}),
        ),
        (Method::PATCH, "agents/out", json!({"owner": "ann"})),
        (
            Method::PATCH,
            "users/eve",
            json!({"user_name": "mallory@a.example"}),
        ),
        (
            Method::PATCH,
            "users/eve",
            json!({"identities": [{"issuer": IDP, "subject": "mallory"}]}),
        ),
        (Method::DELETE, "groups/staff", Value::Null),
        (Method::DELETE, "grants/root", Value::Null),
    ]
}

/// What is done to those whom the delegate does not administer.
fn takeovers() -> Vec<Asked> {
    let id = json!([{"issuer": IDP, "subject": "ann-too"}]);
    vec![
        (Method::PATCH, "users/mallory", json!({"display_name": "x"})),
        (Method::PATCH, "users/mallory", json!({"disabled": true})),
        (Method::PATCH, "users/mallory", json!({"identities": id})),
        (Method::DELETE, "users/mallory", Value::Null),
        (Method::PATCH, "agents/out", json!({"status": "disabled"})),
        (Method::PATCH, "agents/out", json!({"owner": "ann"})),
        (Method::PATCH, "agents/out", json!({"identities": id})),
        (Method::DELETE, "agents/out", Value::Null),
        (Method::PATCH, "groups/others", json!({"display_name": "x"})),
        (Method::DELETE, "groups/others", Value::Null),
        (Method::PUT, "groups/others/members/users/eve", Value::Null),
        (
            Method::PUT,
            "grants/y",
            json!({"role": "metadata-viewer", "to": {"user": "mallory"}}),
        ),
        (
            Method::POST,
            "keys",
            json!({"name": "k", "holder": "user:https://idp.example|mallory",
            "servers": ["*"], "expires_at": "2100-01-01T00:00:00Z"}),
        ),
    ]
}

/// Over a small organisation, every request that a delegate could begin with, and then everything that they could not do before.
#[tokio::test]
async fn nobody_is_taken_over_in_two_requests() {
    for nested in [false, true] {
        for (method, path, body) in first_requests() {
            let bed = bed().await;
            bed.make("agents/in", json!({"name": "in"})).await;
            let out = json!({"name": "out", "identities": [{"issuer": IDP, "subject": "out"}]});
            bed.make("agents/out", out).await;
            bed.join("staff", "agents/in").await;
            if nested {
                bed.join("others", "users/mallory").await;
                bed.join("others", "agents/out").await;
            }
            let first = (method.clone(), path, body.clone());
            let ann = bed.as_user("ann").await;
            let body = (!body.is_null()).then_some(body);
            bed.send(&ann, method, &at(path), &[], body).await;
            let ann = bed.as_user("ann").await;
            for (method, path, body) in takeovers() {
                let second = (method.clone(), path, body.clone());
                let body = (!body.is_null()).then_some(body);
                let answer = bed.send(&ann, method, &at(path), &[], body).await;
                assert_eq!(
                    answer.status, NO,
                    "{first:?}, {second:?}: {:#}",
                    answer.body
                );
            }
        }
    }
}

#[tokio::test]
async fn a_group_joins_by_who_administers_it_and_who_is_in_it() {
    let bed = bed().await;
    bed.join("others", "users/mallory").await;
    let path = "groups/staff/members/groups/others";
    let over = || json!({"group": "others"});
    let ann = bed.as_user("ann").await;
    bed.put(&ann, path, Value::Null)
        .await
        .refused(NO, "forbidden");
    bed.role("grouper", &["groups.write", "members.*"]).await;
    bed.grant_over("g", "grouper", json!({"user": "ann"}), over())
        .await;
    let ann = bed.as_user("ann").await;
    bed.put(&ann, path, Value::Null)
        .await
        .refused(NO, "forbidden");
    bed.grant_over("g", "administrator", json!({"user": "ann"}), over())
        .await;
    let ann = bed.as_user("ann").await;
    bed.put(&ann, path, Value::Null).await.is(204);
}

#[tokio::test]
async fn who_says_who_comes_as_whom_may_everything_already() {
    let bed = bed().await;
    bed.role(
        "keeper",
        &["issuers.write", "scim-tokens.write", "metadata.read"],
    )
    .await;
    bed.grant("k", "keeper", json!({"user": "eve"})).await;
    let eve = bed.as_user("eve").await;
    let root = bed.as_user("root").await;
    let token = |scopes: Value| json!({"name": "x", "scopes": scopes, "expires_at": "2100-01-01T00:00:00Z"});
    for (path, body) in [
        ("issuers/new", json!({"issuer": "https://new.example"})),
        (
            "issuers/idp",
            json!({"issuer": IDP, "email_domains": ["a.example"]}),
        ),
        (
            "issuers/idp",
            json!({"issuer": IDP, "scim_attribute": "userName"}),
        ),
        ("issuers/idp", json!({"issuer": IDP, "jwks": {"keys": []}})),
    ] {
        bed.put(&eve, path, body.clone())
            .await
            .refused(NO, "forbidden");
        assert!(bed.put(&root, path, body).await.status < 300, "{path}");
    }
    for scopes in [
        json!(["users:write"]),
        json!(["groups:read", "groups:write"]),
        json!(["agents:write"]),
    ] {
        bed.post(&eve, "scim-tokens", token(scopes.clone()))
            .await
            .refused(NO, "forbidden");
        bed.post(&root, "scim-tokens", token(scopes)).await.is(201);
    }
    let made = bed.post(
        &eve,
        "scim-tokens",
        token(json!(["users:read", "groups:read", "agents:read"])),
    );
    made.await.is(201);
}

#[tokio::test]
async fn a_tenant_is_switched_by_the_installation_whatever_else_differs() {
    let bed = bed().await;
    bed.make("/tenants/acme/issuers/idp", json!({"issuer": IDP}))
        .await;
    bed.make("/tenants/acme/users/kim", person("kim")).await;
    let role =
        json!({"name": "setter", "admin": [{"actions": ["settings.write", "metadata.read"]}]});
    bed.make("/tenants/acme/roles/setter", role).await;
    bed.make(
        "/tenants/acme/grants/k",
        json!({"role": "setter", "to": {"user": "kim"}}),
    )
    .await;
    let identity = Identity::user(Party::new(Subject::new(IDP, "kim")));
    let kim = bed.of_tenant("acme", identity).await;
    let path = "/tenants/acme";
    bed.patch(&kim, path, json!({"title": "a"})).await.is(200);
    bed.patch(&kim, path, json!({"disabled": true}))
        .await
        .refused(NO, "forbidden");
    bed.patch(&kim, path, json!({"disabled": true, "title": "x"}))
        .await
        .refused(NO, "forbidden");
}

#[tokio::test]
async fn who_says_where_credentials_go_may_set_them() {
    let bed = bed().await;
    bed.role("ops", &["servers.*", "metadata.read"]).await;
    let over = || json!({"server": "billing"});
    bed.grant_over("o", "ops", json!({"user": "mallory"}), over())
        .await;
    let mallory = bed.as_user("mallory").await;
    for body in [
        json!({"title": "x"}),
        json!({"disabled": true}),
        json!({"timeouts": {"idle_ms": 5}}),
    ] {
        bed.patch(&mallory, "servers/billing", body).await.is(200);
    }
    let elsewhere = [
        json!({"url": "https://evil.example"}),
        json!({"credential": "shared"}),
        json!({"credential_header": "x-mine"}),
        json!({"credential_prefix": "x"}),
        json!({"title": "y", "url": "https://evil.example"}),
    ];
    for body in elsewhere.clone() {
        bed.patch(&mallory, "servers/billing", body)
            .await
            .refused(NO, "forbidden");
    }
    bed.grant_over(
        "c",
        "credential-custodian",
        json!({"user": "mallory"}),
        over(),
    )
    .await;
    let mallory = bed.as_user("mallory").await;
    for body in elsewhere {
        bed.patch(&mallory, "servers/billing", body).await.is(200);
    }
}

#[tokio::test]
async fn nobody_has_a_key_before_they_are_here() {
    let bed = bed().await;
    let key = |holder: &str| {
        json!({"name": "k", "holder": holder, "servers": ["*"],
        "expires_at": "2100-01-01T00:00:00Z"})
    };
    let at = |kind: &str, id: &str| key(&format!("{kind}:{IDP}|{id}"));
    for (kind, id) in [("user", "later"), ("agent", "later"), ("agent", "eve")] {
        bed.post(&Who::Root, "keys", at(kind, id))
            .await
            .refused(422, "unknown-holder");
        let ann = bed.as_user("ann").await;
        bed.post(&ann, "keys", at(kind, id))
            .await
            .refused(NO, "forbidden");
    }
}
