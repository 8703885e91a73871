use super::*;

#[tokio::test]
async fn records_are_read_of_the_own_tenant_and_not_followed() {
    let bed = Bed::new().await;
    bed.person("ann").await;
    bed.person("bob").await;
    bed.role("reader", &["audit.read"]).await;
    bed.grant("ann", "content-auditor", json!({"user": "ann"}))
        .await;
    bed.grant("bob", "reader", json!({"user": "bob"})).await;
    bed.make(
        "/tenants/acme/groups/planted",
        json!({"display_name": "planted"}),
    )
    .await;
    for who in ["ann", "bob"] {
        let who = bed.as_user(who).await;
        let read = bed.get(&who, "/audit/records?count=1000").await.is(200);
        let text = read.body.to_string();
        assert!(
            text.contains("users.put") && !text.contains("planted"),
            "{text}"
        );
        bed.get(&who, "/audit/records?tenant=acme")
            .await
            .refused(404, "unknown-tenant");
        bed.get(&who, "/audit/records?follow=true")
            .await
            .refused(422, "follow");
    }
    let all = bed
        .get(&Who::Root, "/audit/records?count=1000")
        .await
        .is(200);
    assert!(all.body.to_string().contains("planted"));
}
