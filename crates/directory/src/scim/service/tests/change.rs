use super::*;

fn ann() -> Value {
    json!({
        "schemas": [CORE, ENTERPRISE], "userName": "Ann@Example.com", "externalId": "00u1", "displayName": "Ann",
        "name": {"givenName": "Ann", "familyName": "Smith"}, "password": "t1meMa$heen", "shoeSize": 38,
        "emails": [{"value": "ann@example.com", "type": "work", "primary": true}],
        ENTERPRISE: {"department": "Sales"},
    })
}

#[tokio::test]
async fn a_person_is_made_read_replaced_patched_and_removed() {
    let bed = Bed::start().await;
    assert!(!bed.is_let_in("00u1"));
    let made = bed.post("/Users", &ann()).await.expect(201);
    let path = format!("/Users/{}", made.id());
    assert_eq!(made.header("location"), format!("{URL}/scim/v2{path}"));
    assert_eq!(made.body["userName"], "Ann@Example.com");
    assert_eq!(made.body["active"], true);
    assert_eq!(made.body[ENTERPRISE]["department"], "Sales");
    assert!(made.body.get("password").is_none() && made.body.get("shoeSize").is_none());
    assert!(bed.is_let_in("00u1"));
    let read = bed.get(&path).await.expect(200);
    assert_eq!(read.body, made.body);

    let replaced = bed
        .ask(
            "PUT",
            &path,
            Some(&json!({"schemas": [CORE], "userName": "ann2", "id": made.id()})),
        )
        .await
        .expect(200);
    assert_eq!(replaced.body["userName"], "ann2");
    assert!(replaced.body.get("displayName").is_none() && replaced.body.get(ENTERPRISE).is_none());
    // What says who somebody is, and whether they are let in, is not lost by being left out.
    assert_eq!(replaced.body["externalId"], "00u1");
    let patched = bed
        .patch(
            &path,
            json!([{"op": "replace", "path": "active", "value": false}]),
        )
        .await
        .expect(200);
    assert_eq!(patched.body["active"], false);
    assert!(!bed.is_let_in("00u1"));
    bed.ask(
        "PUT",
        &path,
        Some(&json!({"schemas": [CORE], "userName": "ann3"})),
    )
    .await
    .expect(200);
    assert!(!bed.is_let_in("00u1"));
    // Soft deletion leaves the resource, hard deletion does not.
    bed.get(&path).await.expect(200);
    bed.ask("DELETE", &path, None).await.expect(204);
    for method in ["GET", "DELETE"] {
        bed.ask(method, &path, None).await.expect(404);
    }
    bed.ask("PUT", &path, Some(&ann())).await.expect(404);
    bed.patch(
        &path,
        json!([{"op": "replace", "path": "active", "value": true}]),
    )
    .await
    .expect(404);
    let actions: Vec<&str> = bed
        .log
        .0
        .lock()
        .unwrap()
        .iter()
        .map(|change| change.action)
        .collect();
    assert_eq!(
        actions,
        [
            "scim.user.create",
            "scim.user.replace",
            "scim.user.patch",
            "scim.user.replace",
            "scim.user.delete"
        ]
    );
    let recorded = format!("{:?}", bed.log.0.lock().unwrap());
    assert!(!recorded.contains("t1meMa$heen"));
}

#[tokio::test]
async fn an_administrators_word_is_not_undone_by_the_identity_provider() {
    let bed = Bed::start().await;
    let disabled = json!({"user_name": "ann", "external_id": "00u1", "disabled": {"at": 1}, "identities": [{"issuer": IDP, "subject": "s"}]});
    bed.put("default", Kind::User, "u-ann", &disabled).await;
    bed.patch(
        "/Users/u-ann",
        json!([{"op": "replace", "value": {"active": true, "title": "Dr"}}]),
    )
    .await
    .expect(200);
    bed.ask(
        "PUT",
        "/Users/u-ann",
        Some(&json!({"schemas": [CORE], "userName": "ann", "active": true})),
    )
    .await
    .expect(200);
    assert!(!bed.is_let_in("00u1") && !bed.is_let_in("s"));
    let tenant = TenantId::default();
    let stored = bed
        .directory
        .get(&tenant, Kind::User, "u-ann")
        .await
        .unwrap()
        .unwrap();
    let Document::User(user) = stored.document else {
        panic!("a user");
    };
    assert!(user.disabled.is_some());
    assert_eq!(user.identities.len(), 1);
}

#[tokio::test]
async fn names_are_unique_and_look_alikes_are_refused() {
    let bed = Bed::start().await;
    bed.post("/Users", &ann()).await.expect(201);
    let user = |user_name: &str, external: &str| json!({"schemas": [CORE], "userName": user_name, "externalId": external});
    bed.post("/Users", &user("ANN@example.com", "2"))
        .await
        .of_type(409, "uniqueness");
    bed.post("/Users", &user("bob", "00u1"))
        .await
        .of_type(409, "uniqueness");
    let bob = bed.user("bob").await;
    bed.patch(
        &format!("/Users/{bob}"),
        json!([{"op": "replace", "path": "userName", "value": "ann@EXAMPLE.com"}]),
    )
    .await
    .of_type(409, "uniqueness");
    // The same in another form of the same characters.
    bed.post("/Users", &user("ａｎｎ@example.com", "3"))
        .await
        .of_type(409, "uniqueness");
    for name in [
        "аnn@example.com",
        "ann\u{200b}@example.com",
        "ann\u{202e}x",
        " ann",
        "a\u{0}",
    ] {
        bed.post("/Users", &user(name, "4"))
            .await
            .of_type(400, "invalidValue");
    }
    bed.group("Staff", &[]).await;
    bed.post(
        "/Groups",
        &json!({"schemas": [GROUP], "displayName": "STAFF"}),
    )
    .await
    .of_type(409, "uniqueness");
}

#[tokio::test]
async fn what_is_read_only_is_ignored_in_whole_resources_and_refused_in_patches() {
    let bed = Bed::start().await;
    let mut body = ann();
    body["groups"] = json!([{"value": "admins"}]);
    body["meta"] = json!({"created": "1999-01-01T00:00:00Z"});
    let made = bed.post("/Users", &body).await.expect(201);
    assert!(made.body.get("groups").is_none());
    assert!(
        made.body["meta"]["created"]
            .as_str()
            .unwrap()
            .starts_with("2027")
    );
    let path = format!("/Users/{}", made.id());
    for target in ["groups", "id", "meta.created", "schemas"] {
        bed.patch(&path, json!([{"op": "add", "path": target, "value": "x"}]))
            .await
            .of_type(400, "mutability");
    }
    let mut other = ann();
    other["id"] = json!("someone-else");
    bed.ask("PUT", &path, Some(&other))
        .await
        .of_type(400, "mutability");
    bed.patch(
        &path,
        json!([{"op": "replace", "path": "a.b.c.d", "value": 1}]),
    )
    .await
    .of_type(400, "invalidPath");
    bed.patch(
        &path,
        json!([{"op": "replace", "path": "emails[type eq \"fax\"]", "value": {}}]),
    )
    .await
    .of_type(400, "noTarget");
    // Of a patch that fails in its middle nothing is done.
    bed.patch(
        &path,
        json!([
            {"op": "replace", "path": "title", "value": "Dr"},
            {"op": "remove", "path": "userName"},
        ]),
    )
    .await
    .of_type(400, "mutability");
    assert_eq!(bed.get(&path).await.body, made.body);
}

#[tokio::test]
async fn a_change_to_another_version_than_it_is_about_is_refused() {
    let bed = Bed::start().await;
    let id = bed.user("ann").await;
    let path = format!("/Users/{id}");
    let version = bed.get(&path).await.header("etag").to_owned();
    let title = |title: &str| json!([{"op": "replace", "path": "title", "value": title}]);
    let patched = bed
        .patch_if(&path, &version, title("one"))
        .await
        .expect(200);
    assert_ne!(patched.header("etag"), version);
    bed.patch_if(&path, &version, title("two"))
        .await
        .expect(412);
    bed.patch_if(&path, "W/\"99\"", title("two"))
        .await
        .expect(412);
    bed.patch_if(&path, "nonsense", title("two"))
        .await
        .of_type(400, "invalidValue");
    bed.patch_if(&path, "*", title("three")).await.expect(200);
    for method in ["PUT", "DELETE"] {
        let request = Request::builder()
            .method(method)
            .uri(format!("/scim/v2{path}"))
            .header("if-match", &version);
        let body = (method == "PUT").then(ann);
        bed.send(&bed.token, request, body.as_ref())
            .await
            .expect(412);
    }
    let now = bed.get(&path).await.expect(200);
    assert_eq!(now.body["title"], "three");
    let request = Request::builder()
        .method("DELETE")
        .uri(format!("/scim/v2{path}"))
        .header("if-match", now.header("etag"));
    bed.send(&bed.token, request, None).await.expect(204);
}

#[tokio::test]
async fn the_version_of_a_group_changes_with_its_members() {
    let bed = Bed::start().await;
    let (ann, bob) = (bed.user("ann").await, bed.user("bob").await);
    let path = format!("/Groups/{}", bed.group("Staff", &[&ann]).await);
    let version = bed.get(&path).await.header("etag").to_owned();
    let add = json!([{"op": "add", "path": "members", "value": [{"value": bob}]}]);
    let added = bed.patch_if(&path, &version, add.clone()).await.expect(204);
    let next = added.header("etag").to_owned();
    assert_ne!(next, version);
    bed.patch_if(
        &path,
        &version,
        json!([{"op": "replace", "path": "members", "value": []}]),
    )
    .await
    .expect(412);
    bed.patch_if(
        &path,
        &version,
        json!([{"op": "replace", "path": "displayName", "value": "x"}]),
    )
    .await
    .expect(412);
    // Who is in it already changes nothing, and neither does whoever leaves when they were not in it.
    assert_eq!(bed.patch(&path, add).await.expect(204).header("etag"), next);
    // Somebody else leaves altogether: the group has changed, too.
    bed.ask("DELETE", &format!("/Users/{ann}"), None)
        .await
        .expect(204);
    assert_ne!(bed.get(&path).await.header("etag"), next);
}

#[tokio::test]
async fn members_come_and_go() {
    let bed = Bed::start().await;
    let (ann, bob, cid) = (
        bed.user("ann").await,
        bed.user("bob").await,
        bed.user("cid").await,
    );
    let inner = bed.group("Inner", &[&cid]).await;
    let group = bed.group("Staff", &[&ann, &inner]).await;
    let path = format!("/Groups/{group}");
    let shown = bed.get(&path).await.expect(200).body["members"].clone();
    assert!(shown.as_array().unwrap().contains(&json!({
        "value": inner, "$ref": format!("{URL}/scim/v2/Groups/{inner}"), "type": "Group",
    })));
    let sorted = |ids: &[&String]| {
        let mut ids: Vec<String> = ids.iter().map(|id| (*id).clone()).collect();
        ids.sort();
        ids
    };
    bed.patch(
        &path,
        json!([{"op": "remove", "path": "members[type eq \"Group\"]"}]),
    )
    .await
    .expect(204);
    assert_eq!(bed.members(&group).await, sorted(&[&ann]));
    bed.patch(
        &path,
        json!([{"op": "add", "path": "members", "value": [{"value": bob}, {"value": ann}]}]),
    )
    .await
    .expect(204);
    assert_eq!(bed.members(&group).await, sorted(&[&ann, &bob]));
    let shown = bed
        .patch(
            &format!("{path}?attributes=members"),
            json!([{"op": "replace", "path": "members", "value": [{"value": cid}]}]),
        )
        .await;
    assert_eq!(
        shown.expect(200).body["members"].as_array().unwrap().len(),
        1
    );
    bed.patch(&path, json!([{"op": "remove", "path": "members"}]))
        .await
        .expect(204);
    assert_eq!(bed.members(&group).await, sorted(&[]));
    // Left out of a whole group, members stay; an empty list is nobody.
    bed.patch(
        &path,
        json!([{"op": "add", "path": "members", "value": {"value": ann}}]),
    )
    .await
    .expect(204);
    bed.ask(
        "PUT",
        &path,
        Some(&json!({"schemas": [GROUP], "displayName": "New"})),
    )
    .await
    .expect(200);
    assert_eq!(bed.members(&group).await, sorted(&[&ann]));
    bed.ask("PUT", &path, Some(&json!({"schemas": [GROUP], "displayName": "New", "members": [{"value": bob, "type": "User"}]}))).await.expect(200);
    assert_eq!(bed.members(&group).await, sorted(&[&bob]));
    bed.ask(
        "PUT",
        &path,
        Some(&json!({"schemas": [GROUP], "displayName": "New", "members": []})),
    )
    .await
    .expect(200);
    assert_eq!(bed.members(&group).await, sorted(&[]));
    for value in [
        json!({"value": "nobody"}),
        json!({"value": ann, "type": "Group"}),
    ] {
        bed.patch(
            &path,
            json!([{"op": "add", "path": "members", "value": value}]),
        )
        .await
        .of_type(400, "invalidValue");
    }
    bed.patch(
        &path,
        json!([{"op": "replace", "path": "members[value eq \"x\"].value", "value": ann}]),
    )
    .await
    .of_type(400, "mutability");
}

#[tokio::test]
async fn groups_are_not_in_themselves() {
    let bed = Bed::start().await;
    let one = bed.group("One", &[]).await;
    let two = bed.group("Two", &[&one]).await;
    for member in [&one, &two] {
        bed.patch(
            &format!("/Groups/{one}"),
            json!([{"op": "add", "path": "members", "value": {"value": member}}]),
        )
        .await
        .of_type(400, "invalidValue");
    }
}

#[tokio::test]
async fn agents_are_resources_too() {
    let bed = Bed::start().await;
    let ann = bed.user("ann").await;
    let agent = json!({
        "schemas": [AGENT], "name": "report-bot", "externalId": "bot-1", "owner": {"value": ann}, "purpose": "reports",
        "expires": 1_900_000_000, "active": true,
    });
    let made = bed.post("/Agents", &agent).await.expect(201);
    let path = format!("/Agents/{}", made.id());
    assert_eq!(
        made.body["owner"],
        json!({"value": ann, "$ref": format!("{URL}/scim/v2/Users/{ann}")})
    );
    assert_eq!(made.body["expires"], 1_900_000_000);
    assert!(made.body.get("credentials").is_none());
    let found = bed
        .get("/Agents?filter=externalId eq \"bot-1\" and expires gt 1800000000")
        .await
        .expect(200);
    assert_eq!(found.listed("name"), ["report-bot"]);
    // Its owner leaves: it is suspended, and is not brought back without somebody who answers for it.
    bed.patch(
        &format!("/Users/{ann}"),
        json!([{"op": "replace", "path": "active", "value": false}]),
    )
    .await
    .expect(200);
    assert_eq!(bed.get(&path).await.body["active"], false);
    let on = json!([{"op": "replace", "path": "active", "value": true}]);
    bed.patch(&path, on.clone())
        .await
        .of_type(400, "invalidValue");
    bed.patch(
        &path,
        json!([{"op": "replace", "path": "purpose", "value": "none"}]),
    )
    .await
    .expect(200);
    assert_eq!(bed.get(&path).await.body["active"], false);
    let bob = bed.user("bob").await;
    bed.patch(
        &path,
        json!([{"op": "replace", "path": "owner", "value": bob}]),
    )
    .await
    .expect(200);
    assert_eq!(bed.patch(&path, on).await.expect(200).body["active"], true);
    bed.ask("DELETE", &path, None).await.expect(204);
    bed.post("/Agents", &json!({"schemas": [AGENT], "name": "x"}))
        .await
        .of_type(400, "invalidValue");
}

#[tokio::test]
async fn an_agents_credentials_are_shown_to_whoever_asks_and_only_in_public_parts() {
    let bed = Bed::start().await;
    let service = bed.service.clone();
    drop(bed.router);
    drop(service);
    let service =
        ScimService::new(bed.directory.clone(), URL, bed.clock.clone()).credentials(|_, agent| {
            vec![PublicCredential {
                id: format!("key-of-{agent}"),
                display: Some("ci".to_owned()),
                created: Some(Timestamp::from_secs(1_700_000_000)),
                expires: None,
            }]
        });
    let bed = Bed {
        router: service.clone().router(),
        service,
        ..bed
    };
    let agent = json!({"name": "bot", "identities": [{"issuer": IDP, "subject": "bot"}]});
    bed.put("default", Kind::Agent, "bot", &agent).await;
    assert!(
        bed.get("/Agents/bot")
            .await
            .expect(200)
            .body
            .get("credentials")
            .is_none()
    );
    let shown = bed
        .get("/Agents/bot?attributes=credentials")
        .await
        .expect(200);
    assert_eq!(
        shown.body["credentials"],
        json!([
            {"value": "bot", "type": "identity", "issuer": IDP},
            {"value": "key-of-bot", "type": "api-key", "display": "ci", "created": "2023-11-14T22:13:20Z"},
        ])
    );
    bed.patch(
        "/Agents/bot",
        json!([{"op": "add", "path": "credentials", "value": [{"value": "x"}]}]),
    )
    .await
    .of_type(400, "mutability");
}

#[tokio::test]
async fn a_rehearsal_says_what_would_be_and_changes_nothing() {
    let bed = Bed::start().await;
    let id = bed.user("ann").await;
    let path = format!("/Users/{id}");
    let before = bed.get(&path).await.body;
    let recorded = bed.log.0.lock().unwrap().len();
    let rehearsed = bed
        .patch(
            &format!("{path}?dryRun=true"),
            json!([{"op": "replace", "path": "active", "value": "False"}]),
        )
        .await
        .expect(200);
    assert_eq!(
        rehearsed.body,
        json!({
            "schemas": ["urn:gatewright:scim:api:messages:1.0:DryRun"],
            "changes": [{"of": format!("user {id}"), "before": {"active": true}, "after": {"active": false}}],
        })
    );
    let made = bed.post("/Users?dryRun=true", &ann()).await.expect(200);
    assert_eq!(made.body["changes"][0]["before"], Value::Null);
    let gone = bed
        .ask("DELETE", &format!("{path}?dryRun=true"), None)
        .await
        .expect(200);
    assert_eq!(gone.body["changes"][0]["after"], Value::Null);
    let put = json!({"schemas": [CORE], "userName": "ann"});
    bed.ask("PUT", &format!("{path}?dryRun=True"), Some(&put))
        .await
        .expect(200);
    bed.post(
        "/Users?dryRun=true",
        &json!({"schemas": [CORE], "userName": "ANN"}),
    )
    .await
    .of_type(409, "uniqueness");
    for twice in [
        "dryRun=false&dryRun=true",
        "dryRun=true&dryRun=true",
        "dryRun=",
    ] {
        let path = format!("/Users?{twice}");
        bed.post(&path, &ann()).await.of_type(400, "invalidValue");
    }
    bed.post("/Users?dryrun=true", &ann()).await.expect(200);
    bed.post("/Users?dryRun=yes", &ann())
        .await
        .of_type(400, "invalidValue");
    assert_eq!(bed.get(&path).await.body, before);
    assert_eq!(bed.log.0.lock().unwrap().len(), recorded);
}

#[tokio::test]
async fn an_attribute_that_is_taken_away_is_gone_and_lets_nobody_in() {
    let bed = Bed::start().await;
    bed.user("ann").await;
    let id = bed.get("/Users").await.listed("id").remove(0);
    let path = format!("/Users/{id}");
    bed.patch(
        &path,
        json!([{"op": "replace", "path": "active", "value": false}]),
    )
    .await
    .expect(200);
    let removed = bed
        .patch(&path, json!([{"op": "remove", "path": "active"}]))
        .await
        .expect(200);
    assert!(removed.body.get("active").is_none());
    assert!(!bed.is_let_in("x-ann"));
    bed.patch(
        &path,
        json!([{"op": "add", "path": "title", "value": "Dr"}]),
    )
    .await
    .expect(200);
    assert!(bed.get(&path).await.body.get("active").is_none());
    assert!(!bed.is_let_in("x-ann"));
    let on = bed
        .patch(
            &path,
            json!([{"op": "add", "path": "active", "value": true}]),
        )
        .await
        .expect(200);
    assert_eq!(on.body["active"], true);
    assert!(bed.is_let_in("x-ann"));
}

#[tokio::test]
async fn whoever_has_a_name_that_would_be_refused_now_can_be_switched_off_all_the_same() {
    let bed = Bed::start().await;
    let named = json!({"user_name": "pаypal", "external_id": "p1"});
    bed.put("default", Kind::User, "u-p", &named).await;
    assert!(bed.is_let_in("p1"));
    let off = json!([{"op": "replace", "path": "active", "value": false}]);
    bed.patch("/Users/u-p", off).await.expect(200);
    assert!(!bed.is_let_in("p1"));
    let other = json!([{"op": "replace", "path": "userName", "value": "pаypa1"}]);
    bed.patch("/Users/u-p", other)
        .await
        .of_type(400, "invalidValue");
}

#[tokio::test]
async fn an_invitation_stays_open_whatever_is_pushed() {
    let bed = Bed::start().await;
    let mut invited = crate::model::User::new("bob@example.com");
    invited.invited = Some(crate::model::Invited {
        email: "bob@example.com".to_owned(),
        expires: i64::MAX,
    });
    let tenant = TenantId::default();
    let edit = Edit::Put {
        id: "bob".into(),
        document: Document::User(invited.clone()),
        expected: Expected::Absent,
    };
    let by = gatewright_core::Actor::Operator(0);
    let made = bed.directory.change(by, &tenant, "test", vec![edit]);
    made.await.unwrap();
    let off = json!([{"op": "replace", "path": "active", "value": false}]);
    bed.patch("/Users/bob", off).await.expect(200);
    let found = bed.directory.get(&tenant, Kind::User, "bob").await.unwrap();
    let Some(Document::User(user)) = found.map(|found| found.document) else {
        panic!()
    };
    assert!(!user.active);
    assert_eq!(user.invited, invited.invited);
}
