//! A process that is killed while it writes.

use std::{env, path::Path, process::Stdio};

use gatewright_vault::SealedRecords as _;
use sqlx::{Connection as _, SqliteConnection};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Command,
};

use super::{
    sealed::{key, record},
    tenant, user,
};
use crate::SqliteStore;

/// Tells the test that it is the process to be killed, and where to write.
const WHERE: &str = "GATEWRIGHT_STORE_OF_THE_KILLED";
const ACKNOWLEDGED: &str = "acknowledged ";

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill() {
    if let Some(dir) = env::var_os(WHERE) {
        return write_until_killed(dir.as_ref()).await;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut child = Command::new(env::current_exe().unwrap())
        .args([
            "--exact",
            "tests::killed::what_was_acknowledged_survives_a_kill",
        ])
        .arg("--nocapture")
        .env(WHERE, dir.path())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut acknowledged = Vec::new();
    while let Some(line) = lines.next_line().await.unwrap() {
        let Some((_, version)) = line.split_once(ACKNOWLEDGED) else {
            continue;
        };
        acknowledged.push(version.parse::<u64>().unwrap());
        if acknowledged.len() == 30 {
            child.start_kill().unwrap();
        }
    }
    child.wait().await.unwrap();
    assert!(acknowledged.len() >= 30);

    let path = dir.path().join("gatewright.db");
    let store = SqliteStore::open(&path).await.unwrap();
    for version in acknowledged {
        let key = key(user(&version.to_string()), "wiki");
        let found = store.read(&tenant("acme"), &key).await.unwrap();
        assert_eq!(found, Some(record(version, &[7; 3000])), "{version}");
    }
    let url = format!("sqlite://{}", path.display());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    let whole: String = sqlx::query_scalar("PRAGMA integrity_check")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(whole, "ok");
}

async fn write_until_killed(dir: &Path) {
    let store = SqliteStore::open(&dir.join("gatewright.db")).await.unwrap();
    loop {
        let version = store.next_version(&tenant("acme")).await.unwrap();
        let key = key(user(&version.to_string()), "wiki");
        let sealed = record(version, &[7; 3000]);
        assert!(store.write(&tenant("acme"), &key, &sealed).await.unwrap());
        println!("{ACKNOWLEDGED}{version}");
    }
}
