use super::*;

#[tokio::test]
async fn without_a_good_token_nothing_is_answered_on_any_route() {
    let bed = Bed::start().await;
    let of_acme = bed
        .token("acme", &["users:write", "groups:write", "agents:write"])
        .await;
    let unknown = new_token().unwrap().expose().to_owned();
    for (methods, path) in ROUTES {
        let path = path
            .replace("{name}", "User")
            .replace("{urn}", CORE)
            .replace("{id}", "x");
        for method in *methods {
            for (prefix, token) in [
                ("", ""),
                ("", "gws_short"),
                ("", &unknown),
                ("", &of_acme),
                ("/t/acme", &bed.token),
                ("/t/nobody", &bed.token),
                ("/t/default", &bed.token),
                ("/t/NOT-A-NAME", &bed.token),
            ] {
                let request = Request::builder()
                    .method(*method)
                    .uri(format!("{prefix}/scim/v2{path}"));
                let answered = bed.send(token, request, None).await.expect(401);
                assert_eq!(answered.header("www-authenticate"), "Bearer realm=\"scim\"");
                assert_eq!(
                    answered.body["detail"],
                    "a bearer token of the tenant for SCIM is needed"
                );
            }
        }
    }
    assert!(
        bed.log
            .0
            .lock()
            .unwrap()
            .iter()
            .all(|change| change.action == "test")
    );
}

#[tokio::test]
async fn every_route_answers_whoever_has_a_token() {
    let bed = Bed::start().await;
    for (methods, path) in ROUTES {
        let path = path
            .replace("{name}", "User")
            .replace("{urn}", CORE)
            .replace("{id}", "x");
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            let answered = bed.ask(method, &path, None).await;
            let status = answered.status.as_u16();
            assert_ne!(status, 401, "{method} {path}");
            if status == 405 {
                assert_eq!(answered.header("allow"), methods.join(", "), "{path}");
            }
            assert_eq!(
                status == 405,
                !methods.contains(&method),
                "{method} {path}: {status}"
            );
        }
    }
    bed.get("/Nothing").await.expect(404);
    bed.get("/Me").await.expect(501);
}

#[tokio::test]
async fn a_token_ends_when_it_expires_or_is_taken_away_and_two_overlap() {
    let bed = Bed::start().await;
    let next = bed.token("default", &["users:read"]).await;
    let users = || Request::builder().uri("/scim/v2/Users");
    for token in [&bed.token, &next] {
        bed.send(token, users(), None).await.expect(200);
    }
    let digest = digest_of_token(&next).unwrap();
    let remove = Edit::Remove {
        kind: Kind::ScimToken,
        id: format!("t-{}", digest.split_at(12).0).into(),
        expected: Expected::Present,
    };
    let actor = gatewright_core::Actor::Operator(0);
    let tenant = TenantId::default();
    bed.directory
        .change(actor, &tenant, "test", vec![remove])
        .await
        .unwrap();
    bed.send(&next, users(), None).await.expect(401);
    bed.clock.advance(std::time::Duration::from_secs(86_400));
    bed.send(&bed.token, users(), None).await.expect(401);
}

#[tokio::test]
async fn a_tenant_that_is_switched_off_answers_as_if_it_were_not_there() {
    let bed = Bed::start().await;
    bed.put(
        "default",
        Kind::Tenant,
        "default",
        &json!({"disabled": true}),
    )
    .await;
    bed.get("/Users").await.expect(401);
}

#[tokio::test]
async fn a_token_may_no_more_than_its_scopes_say() {
    let bed = Bed::start().await;
    let ann = bed.user("ann").await;
    let staff = bed.group("staff", &[&ann]).await;
    let reader = bed.token("default", &["users:read"]).await;
    let keeper = bed.token("default", &["groups:write"]).await;
    let ask = async |token: &str, method: &str, path: &str, body: Option<Value>| {
        let request = Request::builder()
            .method(method)
            .uri(format!("/scim/v2{path}"));
        bed.send(token, request, body.as_ref()).await
    };
    let user = json!({"schemas": [CORE], "userName": "bob"});
    let patch = json!({"schemas": [PATCH], "Operations": [{"op": "remove", "path": "members"}]});
    let (one, of_group) = (format!("/Users/{ann}"), format!("/Groups/{staff}"));
    ask(&reader, "GET", &one, None).await.expect(200);
    ask(&reader, "GET", "/Users", None).await.expect(200);
    ask(&reader, "POST", "/Users", Some(user.clone()))
        .await
        .expect(403);
    ask(&reader, "PUT", &one, Some(user.clone()))
        .await
        .expect(403);
    ask(&reader, "PATCH", &one, Some(patch.clone()))
        .await
        .expect(403);
    ask(&reader, "DELETE", &one, None).await.expect(403);
    ask(&reader, "GET", &of_group, None).await.expect(403);
    ask(&reader, "PATCH", &of_group, Some(patch.clone()))
        .await
        .expect(403);
    ask(&reader, "GET", "/Agents", None).await.expect(403);
    ask(&keeper, "GET", &one, None).await.expect(403);
    ask(&keeper, "GET", "/Groups", None).await.expect(200);
    ask(&keeper, "PATCH", &of_group, Some(patch))
        .await
        .expect(204);
    // A search over everything is one over what may be read.
    let search = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"]});
    let found = ask(&reader, "POST", "/.search", Some(search.clone()))
        .await
        .expect(200);
    assert_eq!(found.listed("id"), [ann]);
    ask(&keeper, "POST", "/Users/.search", Some(search))
        .await
        .expect(403);
    // So is a bulk request, one by one.
    let bulk = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],
        "Operations": [{"method": "POST", "path": "/Users", "bulkId": "b", "data": user}],
    });
    let answered = ask(&keeper, "POST", "/Bulk", Some(bulk)).await.expect(200);
    assert_eq!(answered.body["Operations"][0]["status"], "403");
}

#[tokio::test]
async fn what_the_directory_allows_nobody_is_refused_whatever_the_scopes() {
    let bed = Bed::start().await;
    let body = json!({"schemas": [CORE], "userName": "untouchable"});
    bed.post("/Users", &body).await.expect(403);
}

#[tokio::test]
async fn ids_of_another_tenant_are_those_of_nobody() {
    let bed = Bed::start().await;
    let ann = bed.user("ann").await;
    let staff = bed.group("staff", &[&ann]).await;
    let of_acme = bed
        .token("acme", &["users:write", "groups:write", "agents:write"])
        .await;
    let never = "01890000-0000-7000-8000-000000000000";
    let ask = async |method: &str, path: String, body: Option<Value>| {
        let request = Request::builder()
            .method(method)
            .uri(format!("/t/acme/scim/v2{path}"));
        bed.send(&of_acme, request, body.as_ref()).await
    };
    let put = json!({"schemas": [CORE], "userName": "x"});
    let patch = json!({"schemas": [PATCH], "Operations": [{"op": "replace", "path": "externalId", "value": "x"}]});
    for (kind, id) in [("Users", &ann), ("Groups", &staff), ("Agents", &ann)] {
        for (method, body) in [
            ("GET", None),
            ("PUT", Some(&put)),
            ("PATCH", Some(&patch)),
            ("DELETE", None),
        ] {
            let theirs = ask(method, format!("/{kind}/{id}"), body.cloned()).await;
            let nobodys = ask(method, format!("/{kind}/{never}"), body.cloned())
                .await
                .expect(404);
            assert_eq!(
                (theirs.status, &theirs.body),
                (nobodys.status, &nobodys.body),
                "{method} {kind}"
            );
        }
    }
    for filter in [
        format!("id eq \"{ann}\""),
        "userName eq \"ann\"".to_owned(),
        "externalId eq \"x-ann\"".to_owned(),
    ] {
        let found = ask("GET", encoded(&format!("/Users?filter={filter}")), None)
            .await
            .expect(200);
        assert_eq!(found.body["totalResults"], 0);
    }
    let group = json!({"schemas": [GROUP], "displayName": "g", "members": [{"value": ann}]});
    ask("POST", "/Groups".to_owned(), Some(group))
        .await
        .of_type(400, "invalidValue");
    // The same names are free there.
    let body = json!({"schemas": [CORE], "userName": "ann", "externalId": "x-ann"});
    let made = ask("POST", "/Users".to_owned(), Some(body))
        .await
        .expect(201);
    let place = made.body["meta"]["location"].as_str().unwrap();
    assert!(
        place.starts_with("https://gw.example.com/t/acme/scim/v2/Users/"),
        "{place}"
    );
    bed.get(&format!("/Users/{}", made.id())).await.expect(404);
    assert_eq!(bed.get("/Users").await.listed("id"), [ann]);
}

#[tokio::test]
async fn who_asks_too_much_has_to_wait() {
    let bed = Bed::start().await;
    let service = ScimService::new(bed.directory.clone(), URL, bed.clock.clone()).rate(Rate {
        per_second: 1,
        burst: 2,
    });
    let bed = Bed {
        router: service.router(),
        ..bed
    };
    bed.get("/Users").await.expect(200);
    bed.get("/Users").await.expect(200);
    let answered = bed.get("/Users").await.expect(429);
    assert_eq!(answered.header("retry-after"), "1");
    bed.clock.advance(std::time::Duration::from_secs(1));
    bed.get("/Users").await.expect(200);
}

#[tokio::test]
async fn bodies_that_are_too_large_too_deep_or_no_json_are_refused() {
    let bed = Bed::start().await;
    let send = async |kind: &'static str, body: String| {
        let request = Request::builder()
            .method("POST")
            .uri("/scim/v2/Users")
            .header("authorization", format!("Bearer {}", bed.token))
            .header("content-type", kind);
        bed.raw(request.body(Body::from(body)).unwrap()).await
    };
    let json = "application/json; charset=utf-8";
    let good = format!(r#"{{"schemas":["{CORE}"],"userName":"ann"}}"#);
    send(json, good.clone()).await.expect(201);
    send("text/plain", good.clone()).await.expect(415);
    send(json, "x".repeat(LARGEST_BODY + 1)).await.expect(413);
    send(json, "[".repeat(100))
        .await
        .of_type(400, "invalidSyntax");
    send(json, "{".to_owned())
        .await
        .of_type(400, "invalidSyntax");
    send(json, String::new())
        .await
        .of_type(400, "invalidSyntax");
    let twice = format!(r#"{{"schemas":["{CORE}"],"userName":"a","userName":"b"}}"#);
    send(json, twice).await.of_type(400, "invalidSyntax");
    let long = format!(
        r#"{{"schemas":["{CORE}"],"userName":"a","title":"{}"}}"#,
        "x".repeat(1 << 20)
    );
    send(json, long).await.of_type(400, "invalidValue");
}

#[tokio::test]
async fn by_a_memory_that_may_be_too_old_no_token_is_taken() {
    let bed = Bed::start().await;
    bed.clock.advance(std::time::Duration::from_secs(1 << 21));
    let answered = bed.get("/Users").await.expect(503);
    assert_eq!(answered.header("retry-after"), "1");
}
