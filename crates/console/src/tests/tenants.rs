//! Tenants cannot see each other. What is asked is made of the routes: one that is new fails here until it says what it is
//! about.

use super::*;
use crate::api::endpoints;

const ROOT: Who = Who::Root;

/// A path that is about something of the default tenant, where `acme` has nothing; and a body that would do it.
fn of_default(path: &str) -> Option<(String, Value)> {
    let (_, rest) = path.split_once("{tenant}")?;
    let body = match rest {
        "/users" | "/users/{id}" => person("ann"),
        "/groups" | "/groups/{id}" => json!({"display_name": "ann"}),
        "/agents" | "/agents/{id}" => json!({"name": "ann"}),
        "/roles" | "/roles/{id}" => json!({"name": "ann"}),
        "/grants" | "/grants/{id}" => json!({"role": "metadata-viewer", "to": {"user": "ann"}}),
        "/servers" | "/servers/{id}" => json!({"id": "ann", "url": "https://s.example"}),
        "/virtual-servers" | "/virtual-servers/{id}" => json!({"id": "ann"}),
        "/issuers" | "/issuers/{id}" => json!({"id": "ann", "issuer": "https://other.example"}),
        "/scim-tokens" => {
            json!({"name": "x", "scopes": ["users:read"], "expires_at": "2100-01-01T00:00:00Z"})
        }
        "/credentials/{server}/{owner}" => json!({"secret": "x"}),
        "/keys" => json!({
            "name": "x", "holder": "user:https://idp.example|ann", "servers": ["*"],
            "expires_at": "2100-01-01T00:00:00Z",
        }),
        "/policies/draft" => json!({"files": {}}),
        "" | "/policies/publish" => json!({}),
        "/scim-tokens/{id}"
        | "/receipts"
        | "/receipts/{id}"
        | "/groups/{id}/members"
        | "/groups/{id}/members/{kind}/{member}"
        | "/users/{id}/groups"
        | "/agents/{id}/groups"
        | "/groups/{id}/groups"
        | "/policies/draft/check"
        | "/policies/draft/diff"
        | "/policies/published"
        | "/policies/versions"
        | "/policies/versions/{id}"
        | "/policies/revert/{id}"
        | "/credentials"
        | "/keys/{id}"
        | "/keys/purge" => Value::Null,
        _ => return None,
    };
    let path = rest
        .replace(
            "{id}",
            if rest.contains("policies") {
                "v0001"
            } else {
                "ann"
            },
        )
        .replace("{kind}", "users")
        .replace("{member}", "ann")
        .replace("{server}", "ann")
        .replace("{owner}", "shared");
    Some((path, body))
}

/// What belongs to no tenant, and a body that would do it.
fn of_installation(path: String) -> (String, Value) {
    let body = match path.as_str() {
        "/apply" => json!({"tenants": {"default": {}}}),
        "/tenants" => json!({"id": "new"}),
        _ => Value::Null,
    };
    (path, body)
}

/// Everything that routes are about is called `ann`, in the default tenant.
async fn bed() -> Bed {
    let bed = Bed::new().await;
    bed.make("servers/ann", json!({"url": "https://s.example"}))
        .await;
    bed.person("ann").await;
    bed.group("ann").await;
    bed.join("ann", "users/ann").await;
    bed.make("agents/ann", json!({"name": "ann"})).await;
    bed.make("roles/ann", json!({"name": "ann"})).await;
    bed.grant("ann", "administrator", json!({"user": "ann"}))
        .await;
    for _ in 0..2 {
        let draft = json!({"files": {"a.cedar": "// nothing"}});
        bed.put(&ROOT, "policies/draft", draft).await.is(200);
        bed.post(&ROOT, "policies/publish", json!({})).await.is(200);
    }
    bed.make("/tenants/acme/issuers/idp", json!({"issuer": IDP}))
        .await;
    bed.make("/tenants/acme/users/eve", person("eve")).await;
    let grant = json!({"role": "administrator", "to": {"user": "eve"}});
    bed.make("/tenants/acme/grants/eve", grant).await;
    bed
}

#[tokio::test]
async fn an_administrator_of_one_tenant_reaches_nothing_of_another() {
    let bed = bed().await;
    let eve = bed
        .of_tenant("acme", Identity::user(Party::new(Subject::new(IDP, "eve"))))
        .await;
    let before = bed
        .directory
        .settings(&TenantId::default())
        .unwrap()
        .revision;
    for endpoint in endpoints() {
        let (method, path) = (endpoint.method, endpoint.path);
        if !path.contains("{tenant}") {
            continue;
        }
        let (rest, body) = of_default(&path)
            .unwrap_or_else(|| panic!("say in this test what `{method} {path}` is about"));
        let ask = async |tenant: &str| {
            let path = format!("/tenants/{tenant}{rest}");
            let body = (method != Method::GET).then(|| body.clone());
            bed.send(&eve, method.clone(), &path, &[], body).await
        };
        let (foreign, unknown) = (ask("default").await, ask("nosuch").await);
        assert_eq!(foreign.status, 404, "{method} {path}: {:#}", foreign.body);
        assert_eq!(foreign.code(), "unknown-tenant", "{method} {path}");
        assert_eq!(foreign.body, unknown.body, "{method} {path}");
        // In their own tenant, the ids of others are as those that nobody has.
        if method == Method::GET && path.contains("{id}") {
            let own = ask("acme").await;
            assert_eq!(own.status, 404, "{method} {path}: {:#}", own.body);
        }
        if method == Method::GET && own_list(&path) {
            let own = ask("acme").await;
            assert!(
                !own.body.to_string().contains("\"ann"),
                "{path}: {:#}",
                own.body
            );
        }
    }
    let after = bed
        .directory
        .settings(&TenantId::default())
        .unwrap()
        .revision;
    assert_eq!(before, after);
}

fn own_list(path: &str) -> bool {
    !path.contains("{id}") && !path.contains("draft") && !path.contains("published")
}

#[tokio::test]
async fn who_administers_nothing_is_refused_on_every_route() {
    let bed = bed().await;
    bed.person("bob").await;
    let bob = bed.as_user("bob").await;
    let before = bed
        .directory
        .settings(&TenantId::default())
        .unwrap()
        .revision;
    for endpoint in endpoints() {
        let (method, path) = (endpoint.method, endpoint.path);
        let (path, body) = match of_default(&path) {
            Some((rest, body)) => (format!("/tenants/default{rest}"), body),
            None => of_installation(path),
        };
        if path == "/openapi.json" {
            continue;
        }
        let body = (method != Method::GET).then_some(body);
        let answer = bed.send(&bob, method.clone(), &path, &[], body).await;
        assert_eq!(answer.status, 403, "{method} {path}: {:#}", answer.body);
        assert_eq!(answer.code(), "forbidden", "{method} {path}");
    }
    let after = bed
        .directory
        .settings(&TenantId::default())
        .unwrap()
        .revision;
    assert_eq!(before, after);
}

#[tokio::test]
async fn an_administrator_is_permitted_on_every_route() {
    let bed = bed().await;
    let ann = bed.as_user("ann").await;
    for endpoint in endpoints() {
        let (method, path) = (endpoint.method, endpoint.path);
        let (path, body) = match of_default(&path) {
            Some((rest, body)) => (format!("/tenants/default{rest}"), body),
            None => of_installation(path),
        };
        let body = (method != Method::GET).then_some(body);
        let answer = bed.send(&ann, method.clone(), &path, &[], body).await;
        assert_ne!(answer.status, 403, "{method} {path}: {:#}", answer.body);
        assert_ne!(answer.status, 500, "{method} {path}: {:#}", answer.body);
    }
}

#[tokio::test]
async fn a_file_is_applied_to_the_own_tenant_alone() {
    let bed = bed().await;
    let ann = bed.as_user("ann").await;
    let file = |tenant: &str| {
        let mut tenants = serde_json::Map::new();
        tenants.insert(tenant.to_owned(), json!({"settings": {"title": "applied"}}));
        json!({ "tenants": tenants })
    };
    for tenant in ["acme", "nosuch"] {
        for path in ["/apply", "/apply?plan=true"] {
            bed.post(&ann, path, file(tenant))
                .await
                .refused(404, "unknown-tenant");
        }
    }
    bed.post(&ann, "/apply?plan=true", file("default"))
        .await
        .is(200);
    bed.post(&ann, "/apply", file("default")).await.is(200);
    assert_eq!(
        bed.get(&ann, "/tenants/default").await.body["title"],
        "applied"
    );
    bed.person("bob").await;
    bed.grant("bob", "metadata-viewer", json!({"user": "bob"}))
        .await;
    let bob = bed.as_user("bob").await;
    for path in ["/apply", "/apply?plan=true"] {
        let other = json!({"tenants": {"default": {"settings": {"title": "bob"}}}});
        bed.post(&bob, path, other).await.refused(403, "forbidden");
    }
}

#[tokio::test]
async fn tenants_are_made_by_the_installations_administrators() {
    let bed = bed().await;
    let new = |id: &str| json!({"id": id, "title": "New"});
    let made = bed.post(&ROOT, "/tenants", new("one")).await.is(201);
    assert_eq!(made.body["title"], "New");
    bed.post(&ROOT, "/tenants", new("one"))
        .await
        .refused(409, "exists");
    bed.post(&ROOT, "/tenants", new("No!"))
        .await
        .refused(422, "id");
    let ann = bed.as_user("ann").await;
    bed.post(&ann, "/tenants", new("two")).await.is(201);
    let eve = bed
        .of_tenant("acme", Identity::user(Party::new(Subject::new(IDP, "eve"))))
        .await;
    // Whether there is one already is not said.
    bed.post(&eve, "/tenants", new("three"))
        .await
        .refused(403, "forbidden");
    bed.post(&eve, "/tenants", new("one"))
        .await
        .refused(403, "forbidden");
    let all = bed.get(&ROOT, "/tenants").await.is(200);
    assert_eq!(all.body["items"].as_array().unwrap().len(), 4);
    let own = bed.get(&eve, "/tenants").await.is(200);
    assert_eq!(own.body["items"].as_array().unwrap().len(), 1);
    // Settings are theirs to change, and whether it is switched off is not.
    let path = "/tenants/acme";
    bed.patch(&eve, path, json!({"create_people_on_sight": true}))
        .await
        .is(200);
    bed.patch(&eve, path, json!({"disabled": true}))
        .await
        .refused(403, "forbidden");
    bed.patch(&ROOT, path, json!({"disabled": true}))
        .await
        .is(200);
}

#[test]
fn a_path_is_for_the_tenant_that_it_names() {
    let tenant = |path| crate::tenant_of(path).map(|tenant| tenant.to_string());
    assert_eq!(tenant("/api/v1/status").as_deref(), Some("default"));
    assert_eq!(tenant("/api/v1/tenants").as_deref(), Some("default"));
    assert_eq!(tenant("/api/v1/tenants/acme").as_deref(), Some("acme"));
    assert_eq!(
        tenant("/api/v1/tenants/acme/users/x").as_deref(),
        Some("acme")
    );
    assert_eq!(tenant("/api/v1/tenants/No!/users"), None);
    assert_eq!(tenant("/api/v1/tenants/"), None);
}
