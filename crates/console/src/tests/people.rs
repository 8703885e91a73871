use super::*;

const ROOT: Who = Who::Root;

#[tokio::test]
async fn somebody_is_made_looked_at_changed_and_removed() {
    let bed = Bed::new().await;
    let made = bed
        .post(&ROOT, "users", json!({"user_name": "Ann@a.example"}))
        .await
        .is(201);
    let id = made.body["id"].as_str().unwrap().to_owned();
    assert_eq!(
        made.headers["location"].to_str().unwrap(),
        format!("/api/v1/tenants/default/users/{id}")
    );
    let path = format!("users/{id}");
    let shown = bed.get(&ROOT, &path).await.is(200);
    assert_eq!(shown.etag(), made.etag());
    assert_eq!(shown.body["user_name"], "Ann@a.example");
    assert_eq!(shown.body["origin"], "administrator");
    let patch = json!({"display_name": "Ann", "disabled": {"reason": "left"}});
    let changed = bed.patch(&ROOT, &path, patch).await.is(200);
    assert_eq!(changed.body["disabled"]["reason"], "left");
    assert!(
        changed.body["disabled"]["at"]
            .as_str()
            .unwrap()
            .ends_with('Z')
    );
    let changed = bed
        .patch(&ROOT, &path, json!({"disabled": null}))
        .await
        .is(200);
    assert_eq!(changed.body["display_name"], "Ann");
    assert_eq!(changed.body.get("disabled"), None);
    assert_ne!(changed.etag(), made.etag());
    // What was answered can be sent again, and changes nothing.
    let again = bed.put(&ROOT, &path, changed.body.clone()).await.is(200);
    assert_eq!(again.etag(), changed.etag());
    bed.delete(&ROOT, &path).await.is(200);
    bed.delete(&ROOT, &path).await.refused(404, "not-found");
    bed.get(&ROOT, &path).await.refused(404, "not-found");
    bed.patch(&ROOT, &path, json!({}))
        .await
        .refused(404, "not-found");
    let records = bed.records();
    for said in ["users.put", "users.remove", "uid:0", "\"reason\":\"left\""] {
        assert!(records.contains(said), "{said}");
    }
}

#[tokio::test]
async fn two_administrators_who_change_the_same_lose_nothing() {
    let bed = Bed::new().await;
    bed.person("ann").await;
    let seen = bed.get(&ROOT, "users/ann").await.etag().to_owned();
    let send = async |method: Method, tag: (&str, &str), body: Value| {
        bed.send(
            &ROOT,
            method,
            "/tenants/default/users/ann",
            &[tag],
            Some(body),
        )
        .await
    };
    let mut one = person("ann");
    one["display_name"] = json!("one");
    let changed = send(Method::PUT, ("if-match", &seen), one.clone())
        .await
        .is(200);
    send(Method::PUT, ("if-match", &seen), one.clone())
        .await
        .refused(412, "stale");
    send(
        Method::PATCH,
        ("if-match", &seen),
        json!({"display_name": "two"}),
    )
    .await
    .refused(412, "stale");
    send(Method::DELETE, ("if-match", &seen), Value::Null)
        .await
        .refused(412, "stale");
    send(Method::PUT, ("if-none-match", "*"), one.clone())
        .await
        .refused(412, "stale");
    // A weak one never matches (RFC 9110 §13.1.1).
    let weak = format!("W/{}", changed.etag());
    send(Method::PUT, ("if-match", &weak), one.clone())
        .await
        .refused(412, "stale");
    for unreadable in ["5", "\"5", "x"] {
        send(Method::PUT, ("if-match", unreadable), one.clone())
            .await
            .refused(400, "conditions");
    }
    send(Method::PUT, ("if-none-match", "\"5\""), one.clone())
        .await
        .refused(400, "conditions");
    let many = format!("\"0\", {}", changed.etag());
    send(
        Method::PATCH,
        ("if-match", &many),
        json!({"display_name": "two"}),
    )
    .await
    .is(200);
    send(
        Method::PATCH,
        ("if-match", "*"),
        json!({"display_name": "three"}),
    )
    .await
    .is(200);
    assert_eq!(
        bed.get(&ROOT, "users/ann").await.body["display_name"],
        "three"
    );
    let nobody = bed.send(
        &ROOT,
        Method::PUT,
        "/tenants/default/users/none",
        &[("if-match", "*")],
        Some(person("none")),
    );
    nobody.await.refused(412, "stale");
}

#[tokio::test]
async fn patches_of_many_at_once_all_count() {
    let bed = Bed::new().await;
    bed.person("ann").await;
    let patches = (0..8).map(|n| {
        let bed = &bed;
        async move {
            let mut attributes = serde_json::Map::new();
            attributes.insert(format!("a{n}"), json!(n));
            loop {
                let made = bed
                    .patch(&ROOT, "users/ann", json!({"attributes": attributes}))
                    .await;
                if made.status == 200 {
                    break;
                }
                assert_eq!(made.status, 412);
            }
        }
    });
    futures_util::future::join_all(patches).await;
    let ann = bed.get(&ROOT, "users/ann").await;
    assert_eq!(ann.body["attributes"].as_object().unwrap().len(), 8);
}

#[tokio::test]
async fn what_is_wrong_is_said_with_a_stable_code() {
    let bed = Bed::new().await;
    bed.person("ann").await;
    for (body, status, code) in [
        (json!({"user_name": "ANN@a.example"}), 409, "taken"),
        (json!({"user_name": ""}), 422, "text"),
        (json!({"user_name": "x", "id": "a b"}), 422, "id"),
        (json!({"user_name": "x", "id": "ann"}), 409, "exists"),
        (json!({"user_name": "x", "typo": 1}), 422, "document"),
        (json!({"display_name": "x"}), 422, "document"),
        (json!([]), 400, "body"),
        (
            json!({"user_name": "x", "invited": {"email": "x@a.example", "expires": "soon"}}),
            422,
            "moment",
        ),
        (json!({"user_name": "b\u{202e}ob"}), 422, "text"),
    ] {
        bed.post(&ROOT, "users", body).await.refused(status, code);
    }
    let mut other = person("ann");
    other["id"] = json!("ben");
    bed.put(&ROOT, "users/ann", other).await.refused(422, "id");
    bed.patch(&ROOT, "users/ann", json!({"id": "ben"}))
        .await
        .refused(422, "id");
    // How they came here is not theirs to say.
    let patched = bed
        .patch(&ROOT, "users/ann", json!({"origin": "scim"}))
        .await
        .is(200);
    assert_eq!(patched.body["origin"], "administrator");
    let twice = Request::builder()
        .method(Method::POST)
        .uri("/api/v1/tenants/default/users")
        .body(Body::from(r#"{"user_name": "x", "user\u005fname": "y"}"#))
        .unwrap();
    let answer = bed.router(&ROOT).oneshot(twice).await.unwrap();
    assert_eq!(answer.status(), 400);
}

#[tokio::test]
async fn who_asks_is_said_or_nothing_is_answered() {
    let bed = Bed::new().await;
    bed.get(&Who::Nobody, "users")
        .await
        .refused(500, "no-caller");
    bed.put(&Who::Nobody, "users/x", person("x"))
        .await
        .refused(500, "no-caller");
}

#[tokio::test]
async fn groups_have_members_one_by_one() {
    let bed = Bed::new().await;
    bed.person("ann").await;
    bed.group("staff").await;
    bed.group("all").await;
    bed.join("staff", "users/ann").await;
    bed.join("staff", "users/ann").await;
    bed.join("all", "groups/staff").await;
    let members = bed.get(&ROOT, "groups/staff/members").await.is(200);
    assert_eq!(
        members.body["items"],
        json!([{"kind": "users", "id": "ann", "name": "ann@a.example"}])
    );
    let groups = bed.get(&ROOT, "users/ann/groups").await.is(200);
    assert_eq!(
        groups.body["items"],
        json!([
            {"id": "all", "display_name": "all", "direct": false},
            {"id": "staff", "display_name": "staff", "direct": true},
        ])
    );
    let put = async |path: &str| bed.put(&ROOT, path, Value::Null).await;
    put("groups/staff/members/groups/all")
        .await
        .refused(422, "cyclic-groups");
    put("groups/staff/members/users/none")
        .await
        .refused(422, "unknown-reference");
    put("groups/none/members/users/ann")
        .await
        .refused(404, "not-found");
    put("groups/staff/members/people/ann")
        .await
        .refused(404, "not-found");
    bed.get(&ROOT, "groups/none/members")
        .await
        .refused(404, "not-found");
    bed.delete(&ROOT, "groups/staff/members/users/ann")
        .await
        .is(204);
    bed.delete(&ROOT, "groups/staff/members/users/ann")
        .await
        .refused(404, "not-found");
}

#[tokio::test]
async fn the_last_administrator_stays() {
    let bed = Bed::new().await;
    bed.person("ann").await;
    bed.grant("a", "administrator", json!({"user": "ann"}))
        .await;
    bed.delete(&ROOT, "grants/a")
        .await
        .refused(409, "last-administrator");
    bed.delete(&ROOT, "users/ann")
        .await
        .refused(409, "last-administrator");
    bed.patch(&ROOT, "users/ann", json!({"disabled": true}))
        .await
        .refused(409, "last-administrator");
}
