use super::*;

const ROOT: Who = Who::Root;

#[tokio::test]
async fn values_of_variables_come_in_and_never_out() {
    let bed = Bed::new().await;
    let server = json!({"command": "/bin/s", "env": {"TOKEN": "planted-secret", "MODE": "x"}});
    let made = bed.put(&ROOT, "servers/s", server).await.is(201);
    let shown = bed.get(&ROOT, "servers/s").await;
    let listed = bed.get(&ROOT, "servers").await;
    for told in [&made.body, &shown.body, &listed.body] {
        assert!(!told.to_string().contains("planted-secret"), "{told}");
    }
    assert!(!bed.records().contains("planted-secret"));
    // What is not told stays as it is.
    let mut again = shown.body.clone();
    again["disabled"] = json!(true);
    again["env"]["MODE"] = json!("y");
    bed.put(&ROOT, "servers/s", again).await.is(200);
    bed.patch(&ROOT, "servers/s", json!({"timeout": 5}))
        .await
        .is(200);
    let tenant = TenantId::default();
    let settings = bed.directory.settings(&tenant).unwrap();
    let stored = &settings.servers["s"].settings;
    assert_eq!(
        stored["env"],
        json!({"TOKEN": "planted-secret", "MODE": "y"})
    );
    let other = json!({"command": "/bin/s", "env": {"NEW": "[not told]"}});
    bed.put(&ROOT, "servers/s", other.clone())
        .await
        .refused(422, "variable");
    bed.put(&ROOT, "servers/t", other)
        .await
        .refused(422, "variable");
}

#[tokio::test]
async fn a_server_in_a_bundle_stays() {
    let bed = Bed::new().await;
    bed.make("servers/s", json!({"url": "https://s.example"}))
        .await;
    bed.make(
        "virtual-servers/v",
        json!({"parts": [{"server": "s", "tools": ["*"]}]}),
    )
    .await;
    bed.delete(&ROOT, "servers/s")
        .await
        .refused(409, "server-in-use");
    let bundle = json!({"parts": [{"server": "none"}]});
    bed.put(&ROOT, "virtual-servers/w", bundle)
        .await
        .refused(422, "unknown-reference");
    bed.post(&ROOT, "servers", json!({"url": "https://x.example"}))
        .await
        .refused(422, "id");
}

#[tokio::test]
async fn the_text_of_a_token_is_answered_once() {
    let bed = Bed::new().await;
    let wanted =
        json!({"name": "okta", "scopes": ["users:write"], "expires_at": "2100-01-01T00:00:00Z"});
    let made = bed.post(&ROOT, "scim-tokens", wanted.clone()).await.is(201);
    let text = made.body["token"].as_str().unwrap();
    let id = made.body["id"].as_str().unwrap();
    assert_eq!(made.body.get("digest"), None);
    let digest = gatewright_directory::scim::digest_of_token(text).unwrap();
    // Another one is good at the same time.
    let other = bed.post(&ROOT, "scim-tokens", wanted).await.is(201);
    assert_ne!(other.body["token"], made.body["token"]);
    for path in ["scim-tokens".to_owned(), format!("scim-tokens/{id}")] {
        let shown = bed.get(&ROOT, &path).await.is(200).body.to_string();
        assert!(!shown.contains(text) && !shown.contains(&digest), "{shown}");
    }
    assert!(!bed.records().contains(text));
    // What it may and until when is said once.
    for method in [Method::PUT, Method::PATCH] {
        let path = format!("/tenants/default/scim-tokens/{id}");
        let changed = bed.send(&ROOT, method, &path, &[], Some(json!({}))).await;
        changed.refused(405, "no-such-method");
    }
    for (body, code) in [
        (
            json!({"name": "x", "scopes": [], "expires_at": "2100-01-01T00:00:00Z"}),
            "scopes",
        ),
        (
            json!({"name": "x", "scopes": ["all"], "expires_at": "2100-01-01T00:00:00Z"}),
            "document",
        ),
        (
            json!({"name": "x", "scopes": ["users:read"], "expires_at": "2001-01-01T00:00:00Z"}),
            "moment",
        ),
        (
            json!({"name": "x", "scopes": ["users:read"], "expires_at": "later"}),
            "moment",
        ),
    ] {
        bed.post(&ROOT, "scim-tokens", body)
            .await
            .refused(422, code);
    }
    bed.delete(&ROOT, &format!("scim-tokens/{id}"))
        .await
        .is(200);
}

#[tokio::test]
async fn receipts_are_read_only() {
    let bed = Bed::new().await;
    bed.get(&ROOT, "receipts").await.is(200);
    bed.get(&ROOT, "receipts/none")
        .await
        .refused(404, "not-found");
    bed.put(&ROOT, "receipts/x", json!({}))
        .await
        .refused(405, "no-such-method");
    bed.delete(&ROOT, "receipts/x")
        .await
        .refused(405, "no-such-method");
}
