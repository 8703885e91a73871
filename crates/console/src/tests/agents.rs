use super::*;

const ROOT: Who = Who::Root;

#[tokio::test]
async fn what_else_changes_is_said() {
    let bed = Bed::new().await;
    bed.person("ann").await;
    let agent = json!({"name": "Bot", "owner": "ann", "expires": "2030-01-01T00:00:00Z"});
    bed.make("agents/bot", agent).await;
    let bot = bed.get(&ROOT, "agents/bot").await;
    assert_eq!(bot.body["expires"], "2030-01-01T00:00:00Z");
    let found = bed.get(&ROOT, "agents?owner=ann").await;
    assert_eq!(found.body["items"][0]["id"], "bot");
    let off = bed
        .patch(&ROOT, "users/ann", json!({"disabled": true}))
        .await
        .is(200);
    assert_eq!(off.body["meta"]["also"], json!(["agent bot"]));
    assert_eq!(
        bed.get(&ROOT, "agents/bot").await.body["status"],
        "suspended"
    );
    bed.patch(&ROOT, "agents/bot", json!({"status": "active"}))
        .await
        .refused(409, "agent-owner");
}
