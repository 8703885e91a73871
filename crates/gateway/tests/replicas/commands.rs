//! `gatewright db`: whole databases.

use super::*;

const BOT: &str = "[[grants]]\nrole = 'staff'\nagent = 'bot'\n";

/// Something in everything that a database holds.
async fn filled(site: &Site, replica: &Replica) -> String {
    let shared = "name = 'tools'\ncredential = 'shared'";
    replica.apply(&site.organisation(BOT).replace("name = 'tools'", shared));
    let args = ["vault", "put", "tools", "--shared"];
    let (status, _, error) = piped(&replica.url, &replica.config, &args, "secret\n");
    assert_eq!(status, 0, "{error}");
    let key = replica.does(&[
        "key",
        "create",
        "--agent",
        "bot",
        "--server",
        "*",
        "--expires",
        "1h",
    ]);
    let key = key.trim().to_owned();
    works(site, replica, &key).await;
    key
}

/// Directory, credential and API key are what they were.
async fn works(site: &Site, replica: &Replica, key: &str) {
    let by_key = async || site.tool(replica, "tools", key, "headers").await;
    until(StatusCode::OK, async || by_key().await.status()).await;
    let said = message(&by_key().await).to_string();
    assert!(said.contains("authorization"), "{said}");
    assert_eq!(site.calls(replica, "ann").await, StatusCode::OK);
}

fn kept(site: &Site) -> (PathBuf, PathBuf) {
    let backup = site.dir.path().join("backup.db");
    let config = site.configured("alone", "");
    (backup, config)
}

/// The same data directory, and the server's database.
fn with_server(config: &Path) {
    let text = fs::read_to_string(config).unwrap();
    fs::write(config, format!("{text}url_env = '{VARIABLE}'\n")).unwrap();
}

#[tokio::test]
async fn an_installation_moves_to_postgres_with_its_credentials_and_keys() {
    let site = Site::new().await;
    let url = site.database.url();
    let (_, config) = kept(&site);
    let alone = Replica::start(config.clone(), "");
    let key = filled(&site, &alone).await;
    let moves = ["db", "move", "--from", "sqlite", "--to", "postgres"];

    let (status, out, error) = run(url, &config, &moves);
    assert_eq!((status, out.as_str()), (2, ""));
    assert!(error.contains("names no Postgres server"), "{error}");
    with_server(&config);
    // It runs still.
    let (status, out, error) = run(url, &config, &moves);
    assert_eq!((status, out.as_str()), (2, ""));
    assert!(error.contains("is in use: stop the gateway"), "{error}");
    alone.end();

    // A gateway of the other database does not run, either.
    let other = site.replica("gw-9");
    let (status, _, error) = run(url, &config, &moves);
    assert_eq!(status, 2);
    assert!(error.contains("connections to the database"), "{error}");
    other.end();
    let (status, _, error) = run(url, &config, &moves);
    assert_eq!(status, 2);
    assert!(error.contains("is not empty"), "{error}");

    let empty = Database::create();
    let (status, out, error) = run(empty.url(), &config, &moves);
    assert_eq!(status, 0, "{error}");
    for said in [
        "1 tenant with",
        "is marked as moved",
        "data/audit",
        "master-*.key",
        "local-",
    ] {
        assert!(out.contains(said), "{said}: {out}");
    }
    // Once more is no mistake: it may have ended before it said so.
    let (status, _, error) = run(empty.url(), &config, &moves);
    assert_eq!(status, 2);
    assert!(error.contains("was moved to another one"), "{error}");
    let moved = Replica::start(config.clone(), empty.url());
    works(&site, &moved, &key).await;
    let second = site.replica_at("gw-2", empty.url(), "");
    works(&site, &second, &key).await;
    moved.end();
    let (status, report, _) = run(empty.url(), &config, &["audit", "verify"]);
    assert_eq!(status, 0, "{report}");
    // Nobody goes back by mistake.
    let text = fs::read_to_string(&config).unwrap();
    fs::write(
        &config,
        text.replace(&format!("url_env = '{VARIABLE}'"), ""),
    )
    .unwrap();
    let (status, _, error) = run("", &config, &["serve"]);
    assert_eq!(status, 2);
    assert!(error.contains("was moved to another one"), "{error}");
}

#[tokio::test]
async fn a_backup_of_either_database_is_restored_into_either() {
    let site = Site::new().await;
    let (backup, config) = kept(&site);
    let to = ["db", "backup", "--to", path(&backup)];
    let (status, _, error) = run("", &config, &to);
    assert_eq!(status, 2);
    assert!(error.contains("there is no database"), "{error}");
    let alone = Replica::start(config.clone(), "");
    let key = filled(&site, &alone).await;
    // While it runs.
    let out = alone.does(&to);
    for said in [
        "credentials, API keys",
        "Not in it:",
        "audit",
        "keys",
        "local-",
    ] {
        assert!(out.contains(said), "{said}: {out}");
    }
    let (status, _, error) = alone.run(&to);
    assert_eq!(status, 2);
    assert!(error.contains("is there already"), "{error}");
    let from = ["db", "restore", "--from", path(&backup)];
    let (status, _, error) = alone.run(&from);
    assert_eq!(status, 2);
    assert!(error.contains("is not written over"), "{error}");
    alone.end();

    // Into the other kind, and from there back.
    let config = site.configured("gw-1", &format!("url_env = '{VARIABLE}'"));
    let url = site.database.url();
    let (status, out, error) = run(url, &config, &from);
    assert_eq!(status, 0, "{error}");
    assert!(
        out.contains("the master keys that it needs are in"),
        "{out}"
    );
    let left = fs::read_dir(config.with_file_name("data")).unwrap();
    assert_eq!(left.count(), 0, "nothing is left of it");
    let replica = Replica::start(config, url);
    works(&site, &replica, &key).await;
    let (status, _, error) = replica.run(&from);
    assert_eq!(status, 2);
    assert!(error.contains("connections to the database"), "{error}");
    let second = site.dir.path().join("second.db");
    replica.does(&["db", "backup", "--to", path(&second)]);
    replica.end();

    let config = site.configured("again", "");
    let from = ["db", "restore", "--from", path(&second)];
    assert_eq!(run("", &config, &from).0, 0);
    works(&site, &Replica::start(config, ""), &key).await;
    // Without its master keys it is restored, and said to be of little use.
    let config = site.configured("bare", "");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("'../keys'", "'no-keys'")).unwrap();
    let (status, out, _) = run("", &config, &from);
    assert_eq!(status, 1);
    assert!(
        out.contains("lacks master keys that it needs: local-"),
        "{out}"
    );
    let rubbish = site.dir.path().join("rubbish.db");
    fs::write(&rubbish, "rubbish".repeat(1_000)).unwrap();
    let config = site.configured("none", "");
    for from in [path(&rubbish), "/nowhere/backup.db"] {
        let (status, _, error) = run("", &config, &["db", "restore", "--from", from]);
        assert_eq!(status, 2, "{from}");
        assert!(!error.is_empty());
        assert!(!config.with_file_name("data").join("gatewright.db").exists());
    }
}

#[tokio::test]
async fn a_database_is_brought_up_to_date_while_nobody_uses_it() {
    let site = Site::new().await;
    let (_, config) = kept(&site);
    let migrate = ["db", "migrate"];
    let (status, _, error) = run("", &config, &migrate);
    assert_eq!(status, 2);
    assert!(error.contains("there is no database"), "{error}");
    let alone = Replica::start(config.clone(), "");
    let (status, _, error) = alone.run(&migrate);
    assert_eq!(status, 2);
    assert!(error.contains("is in use"), "{error}");
    alone.end();
    let (status, out, _) = run("", &config, &migrate);
    assert_eq!((status, out.contains("is as version")), (0, true), "{out}");

    let config = site.configured("gw-1", &format!("url_env = '{VARIABLE}'"));
    let url = site.database.url();
    assert_eq!(run(url, &config, &migrate).0, 0);
    let replica = Replica::start(config.clone(), url);
    let (status, _, error) = replica.run(&migrate);
    assert_eq!(status, 2);
    assert!(error.contains("stop them first"), "{error}");
    replica.end();
    assert_eq!(run(url, &config, &migrate).0, 0);
}
