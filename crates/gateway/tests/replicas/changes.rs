//! A change that is made through one replica is in force at the others.

use super::*;

const DISABLED: &str = "[[users]]\nid = 'ann'\ndisabled = true\n";
/// So often it has to be so, each time.
const ROUNDS: usize = 100;

#[tokio::test]
async fn who_is_disabled_through_one_replica_is_refused_by_the_other_within_a_second() {
    let site = Site::new().await;
    let replicas = [site.replica("gw-1"), site.replica("gw-2")];
    let (on, off) = (site.organisation(""), site.organisation(DISABLED));
    replicas[0].apply(&on);
    let ann = site.token("ann", "tools");
    let mut longest = Duration::ZERO;
    for round in 0..ROUNDS {
        let (one, other) = (&replicas[round % 2], &replicas[(round + 1) % 2]);
        until(StatusCode::OK, async || site.calls(other, "ann").await).await;
        let stream = site.slow(other, &ann).await;
        one.apply(&off);
        let began = Instant::now();
        until(StatusCode::UNAUTHORIZED, async || {
            site.calls(other, "ann").await
        })
        .await;
        ends(stream).await;
        let took = began.elapsed();
        assert!(took < SOON, "round {round}: {took:?}");
        longest = longest.max(took);
        assert_eq!(site.calls(other, "ben").await, StatusCode::OK);
        other.apply(&on);
    }
    println!("the longest of {ROUNDS}: {longest:?}");
    for replica in replicas {
        let (status, report, _) = replica.run(&["audit", "verify"]);
        assert_eq!(status, 0, "{report}");
        replica.end();
    }
}

#[tokio::test]
async fn tenants_servers_roles_and_grants_that_are_changed_through_one_replica_are_so_at_the_other()
{
    let site = Site::new().await;
    let (one, other) = (site.replica("gw-1"), site.replica("gw-2"));
    let first = site.organisation("");
    one.apply(&first);
    let ann = site.token("ann", "tools");
    let added = site.token("ann", "added");
    let denied = async |tool: &str| {
        let answer = site.tool(&other, "tools", &ann, tool).await;
        message(&answer)["error"]["code"] == 4403
    };
    until(false, async || denied("echo").await).await;

    let more = format!(
        "[[servers]]\nname = 'added'\nurl = '{}'\n",
        site.server.url()
    );
    one.apply(&site.organisation(&more));
    let status = async || site.tool(&other, "added", &added, "echo").await.status();
    assert!(until(StatusCode::OK, status).await < SOON);
    one.apply(&first);
    assert!(until(StatusCode::NOT_FOUND, status).await < SOON);

    let tenant = format!(
        "[[tenants]]\nname = 'acme'\ncreate_people_on_sight = true\n[[tenants.issuers]]\nissuer = '{}'\n\
         groups_claim = 'groups'\n[[tenants.servers]]\nname = 'tools'\nurl = '{}'\n[[tenants.roles]]\nname = 'staff'\n\
         [[tenants.roles.permissions]]\nservers = ['*']\ntools = ['*']\n[[tenants.grants]]\nrole = 'staff'\ngroup = 'staff'\n",
        site.idp.issuer(),
        site.server.url()
    );
    one.apply(&site.organisation(&tenant));
    let audience = format!("{PUBLIC}/t/acme/mcp/tools");
    let token = site.idp.token("ann", &audience);
    let token = token.claim("groups", ["staff"]).sign();
    let acme = async || {
        let url = format!("{}/t/acme/mcp/tools", other.base);
        let params = json!({"name": "echo", "arguments": {"text": "hello"}});
        let request = modern_request(&url, Some(&token), 1, "tools/call", params);
        site.client.send(request).await.status()
    };
    assert!(until(StatusCode::OK, acme).await < SOON);

    one.apply(&first.replace("tools = ['*']", "tools = ['add']"));
    assert!(until(true, async || denied("echo").await).await < SOON);
    one.apply(&first);
    assert!(until(false, async || denied("echo").await).await < SOON);
    one.apply(&first.replace("[[grants]]\nrole = 'staff'\ngroup = 'staff'\n", ""));
    assert!(until(true, async || denied("echo").await).await < SOON);
}

#[tokio::test]
async fn each_replica_writes_chains_of_its_own() {
    let site = Site::new().await;
    let replicas = [site.replica("gw-1"), site.replica("gw-2")];
    replicas[0].apply(&site.organisation(""));
    for (replica, name) in replicas.into_iter().zip(["gw-1", "gw-2"]) {
        until(StatusCode::OK, async || site.calls(&replica, "ann").await).await;
        let log = replica.config.with_file_name("data").join("audit");
        let config = replica.config.clone();
        replica.end();
        assert!(log.join("default").join(name).is_dir(), "{name}");
        assert!(log.join(format!("checkpoints.{name}.jsonl")).is_file());
        let (status, report, _) = run("", &config, &["audit", "verify"]);
        assert_eq!(status, 0, "{report}");
    }
    // Brought together, they are one log.
    let all = site.dir.path().join("all");
    for name in ["gw-1", "gw-2"] {
        let from = site.dir.path().join(name).join("data/audit/.");
        fs::create_dir_all(&all).unwrap();
        let copied = Command::new("cp")
            .args(["-a", path(&from), path(&all)])
            .status();
        assert!(copied.unwrap().success());
    }
    let verified = gatewright("")
        .args(["audit", "verify", "--dir", path(&all)])
        .output()
        .unwrap();
    let report = String::from_utf8(verified.stdout).unwrap();
    assert!(verified.status.success(), "{report}");
    assert!(
        report.contains("gw-1") && report.contains("gw-2"),
        "{report}"
    );
}
