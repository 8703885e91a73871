//! API keys, credentials and master keys of many replicas.

use super::*;

fn made(replica: &Replica) -> (String, String) {
    let args = [
        "key",
        "create",
        "--agent",
        "bot",
        "--server",
        "tools",
        "--expires",
        "1h",
        "--json",
    ];
    let (status, out, error) = replica.run(&args);
    assert_eq!(status, 0, "{error}");
    let made: Value = serde_json::from_str(&out).unwrap();
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    (text("id"), text("key"))
}

const BOT: &str = "[[grants]]\nrole = 'staff'\nagent = 'bot'\n";

#[tokio::test]
async fn an_api_key_is_taken_and_refused_by_every_replica_within_a_second() {
    let site = Site::new().await;
    let replicas = [site.replica("gw-1"), site.replica("gw-2")];
    replicas[0].apply(&site.organisation(BOT));
    for round in 0..10 {
        let (one, other) = (&replicas[round % 2], &replicas[(round + 1) % 2]);
        let (id, key) = made(one);
        let status = async || site.tool(other, "tools", &key, "echo").await.status();
        assert!(until(StatusCode::OK, status).await < SOON);
        let stream = site.slow(other, &key).await;
        one.does(&["key", "revoke", &id]);
        let began = Instant::now();
        until(StatusCode::UNAUTHORIZED, status).await;
        ends(stream).await;
        assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
        one.does(&["key", "purge"]);
        let forgotten = async || !other.does(&["key", "list"]).contains(&id);
        assert!(until(true, forgotten).await < 2 * SOON);
    }
}

#[tokio::test]
async fn a_credential_that_is_changed_through_one_replica_is_used_so_by_the_other() {
    let site = Site::new().await;
    let (one, other) = (site.replica("gw-1"), site.replica("gw-2"));
    let shared = "name = 'tools'\ncredential = 'shared'";
    one.apply(&site.organisation("").replace("name = 'tools'", shared));
    let ann = site.token("ann", "tools");
    let has_one = async || {
        let answer = message(&site.tool(&other, "tools", &ann, "headers").await);
        answer["error"]["code"] != 4401
    };
    until(false, async || has_one().await).await;
    for _ in 0..5 {
        let args = ["vault", "put", "tools", "--shared"];
        let (status, _, error) = piped(&one.url, &one.config, &args, "secret\n");
        assert_eq!(status, 0, "{error}");
        assert!(until(true, has_one).await < SOON);
        one.does(&["vault", "remove", "tools", "--shared"]);
        assert!(until(false, has_one).await < SOON);
    }
}

#[tokio::test]
async fn a_master_key_that_one_replica_made_is_used_by_the_other() {
    let site = Site::new().await;
    let (one, other) = (site.replica("gw-1"), site.replica("gw-2"));
    let shared = "name = 'tools'\ncredential = 'shared'";
    one.apply(&site.organisation(BOT).replace("name = 'tools'", shared));
    let (_, before) = made(&one);
    one.does(&["vault", "rotate-key"]);
    let (_, after) = made(&one);
    let args = ["vault", "put", "tools", "--shared"];
    let (status, _, error) = piped(&one.url, &one.config, &args, "secret\n");
    assert_eq!(status, 0, "{error}");
    for key in [before, after] {
        let status = async || site.tool(&other, "tools", &key, "echo").await.status();
        assert!(until(StatusCode::OK, status).await < 2 * SOON);
    }
}
