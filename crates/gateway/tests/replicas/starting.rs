//! Databases that a gateway cannot start with.

use std::os::unix::fs::PermissionsExt as _;

use super::*;

/// What a gateway says that does not start.
fn refused(url: &str, config: &Path) -> String {
    let (status, _, error) = run(url, config, &["serve"]);
    assert_eq!(status, 2, "{error}");
    assert!(!error.contains("planted"), "{error}");
    error
}

#[tokio::test]
async fn a_database_that_cannot_be_used_is_said_with_what_to_do() {
    let site = Site::new().await;
    let url = site.database.url();
    let config = site.configured("gw-1", &format!("url_env = '{VARIABLE}'"));
    let owner = url.rsplit('/').next().unwrap();
    let planted = url.replace(&format!(":{owner}@"), ":planted@");
    let (host, _) = planted.rsplit_once(':').unwrap();
    for (url, said) in [
        ("", "which is not set"),
        ("planted", "postgres://user@host/database"),
        ("mysql://gw:planted@127.0.0.1/gw", "of another scheme"),
        (&format!("{host}:1/{owner}"), "refused"),
        (&planted, "password authentication failed"),
        (&site.database.superuser_url(), "is a superuser"),
    ] {
        let error = refused(url, &config);
        assert!(error.contains(said), "{url}: {error}");
    }
    site.replica("gw-1").end();
    site.database.run_as_superuser(&[
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (999, 'later', true, '\\x00', 0)",
    ]);
    let error = refused(url, &config);
    assert!(error.contains("a later version"), "{error}");
}

#[tokio::test]
async fn a_replica_with_other_master_keys_does_not_start() {
    let site = Site::new().await;
    let one = site.replica("gw-1");
    one.apply(&site.organisation(""));
    one.does(&[
        "key",
        "create",
        "--agent",
        "bot",
        "--server",
        "*",
        "--expires",
        "1h",
    ]);
    let config = site.configured("gw-2", &format!("url_env = '{VARIABLE}'"));
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("'../keys'", "'own-keys'")).unwrap();
    let error = refused(site.database.url(), &config);
    assert!(
        error.contains("own-keys` holds no master key") && error.contains("put its files back"),
        "{error}"
    );
    let key = config.with_file_name("own-keys").join("master-0001.key");
    fs::write(&key, [7; 32]).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let error = refused(site.database.url(), &config);
    assert!(
        error.contains("every replica needs the same master keys") && error.contains("own-keys"),
        "{error}"
    );
}

#[tokio::test]
async fn replicas_that_start_together_on_an_empty_database_are_one_installation() {
    let site = Site::new().await;
    let names = ["gw-1", "gw-2", "gw-3"];
    let replicas = std::thread::scope(|scope| {
        let started = names.map(|name| scope.spawn(|| site.replica(name)));
        started.map(|replica| replica.join().unwrap())
    });
    replicas[0].apply(&site.organisation(""));
    for replica in &replicas {
        let took = until(StatusCode::OK, async || site.calls(replica, "ann").await);
        assert!(took.await < SOON);
    }
}
