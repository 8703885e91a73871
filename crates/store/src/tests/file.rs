//! What is SQLite's alone: the file, its mode and its steps.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use gatewright_vault::SealedRecords as _;
use sqlx::{Connection as _, SqliteConnection};

use super::{
    sealed::{key, record},
    tenant, user,
};
use crate::{OpenStoreError, SqliteStore};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

async fn changed(path: &Path, sql: &'static str) {
    let url = format!("sqlite://{}", path.display());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    sqlx::query(sql).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

#[tokio::test]
async fn only_the_owner_can_read_the_database_and_what_stands_beside_it() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("a/data");
    let store = SqliteStore::open(&data.join("gatewright.db"))
        .await
        .unwrap();
    store
        .write(&tenant("acme"), &key(user("ann"), "wiki"), &record(1, b"a"))
        .await
        .unwrap();
    assert_eq!(mode(&data), 0o700);
    let files: Vec<_> = fs::read_dir(&data).unwrap().map(Result::unwrap).collect();
    assert!(files.len() > 1, "the log stands beside the database");
    for file in files {
        assert_eq!(mode(&file.path()), 0o600, "{:?}", file.file_name());
    }
    store.close().await;
}

#[tokio::test]
async fn a_database_that_others_can_read_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("gatewright.db");
    SqliteStore::open(&path).await.unwrap().close().await;
    for open in [0o644, 0o620, 0o602] {
        fs::set_permissions(&path, Permissions::from_mode(open)).unwrap();
        let refused = SqliteStore::open(&path).await.unwrap_err();
        assert!(matches!(refused, OpenStoreError::Exposed(_)), "{refused}");
    }
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    assert!(SqliteStore::open(&path).await.is_ok());
}

#[tokio::test]
async fn a_database_of_a_later_version_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("gatewright.db");
    SqliteStore::open(&path).await.unwrap().close().await;
    changed(
        &path,
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (9999, 'later', TRUE, x'00', 0)",
    )
    .await;
    let before = fs::read(&path).unwrap();
    let refused = SqliteStore::open(&path).await.unwrap_err();
    assert!(matches!(refused, OpenStoreError::Newer(9999)), "{refused}");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn a_database_of_other_steps_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("gatewright.db");
    SqliteStore::open(&path).await.unwrap().close().await;
    changed(&path, "UPDATE _sqlx_migrations SET checksum = x'00'").await;
    let refused = SqliteStore::open(&path).await.unwrap_err();
    assert!(matches!(refused, OpenStoreError::Changed(1)), "{refused}");
}

#[tokio::test]
async fn what_is_no_database_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("gatewright.db");
    fs::write(&path, "x".repeat(5000)).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    let refused = SqliteStore::open(&path).await.unwrap_err();
    assert!(matches!(refused, OpenStoreError::Database(_)), "{refused}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "x".repeat(5000));
    let beneath = path.join("gatewright.db");
    let refused = SqliteStore::open(&beneath).await.unwrap_err();
    assert!(matches!(refused, OpenStoreError::Io { .. }), "{refused}");
}

#[tokio::test]
async fn a_row_that_nobody_can_have_written_is_an_error_and_no_credential() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("gatewright.db");
    let store = SqliteStore::open(&path).await.unwrap();
    let (acme, ann) = (tenant("acme"), key(user("ann"), "wiki"));
    store.write(&acme, &ann, &record(1, b"a")).await.unwrap();
    changed(&path, "UPDATE sealed_records SET version = -1").await;
    assert!(store.read(&acme, &ann).await.is_err());
    changed(
        &path,
        "UPDATE sealed_records SET version = 1, owner = 'nobody'",
    )
    .await;
    let refused = store.page(&acme, None, 1).await.unwrap_err();
    assert!(refused.to_string().contains("an owner"), "{refused}");
    store.close().await;
    assert!(store.read(&acme, &ann).await.is_err());
}
