//! The vault over the database: what is in the files, and what a changed row gives.

use std::{fs, path::Path};

use gatewright_core::{Secret, SecretBytes, Subject, Timestamp, access::Pattern};
use gatewright_identity::{ApiKeyRing, KeyHolder, MacKey, MacKeys, NewApiKey};
use gatewright_vault::{FileKeys, RecordKey, SealedVault, TokenVault as _, VaultError};
use sqlx::{AssertSqlSafe, Connection as _, SqliteConnection};

use super::{sealed::key, tenant, user};
use crate::SqliteStore;

const PLANTED: &str = "planted-secret-of-ann";

fn vault(store: &SqliteStore, keys: &Path) -> SealedVault {
    SealedVault::new(store.clone(), FileKeys::open(keys).unwrap())
}

async fn found(vault: &SealedVault, of: &str, key: &RecordKey) -> Result<String, VaultError> {
    let credential = vault
        .credential(&tenant(of), &key.owner, &key.server)
        .await?;
    Ok(credential.map_or_else(String::new, |found| found.secret.expose().to_owned()))
}

#[tokio::test]
async fn no_file_holds_a_secret() {
    let dir = tempfile::tempdir().unwrap();
    let (data, keys) = (dir.path().join("data"), dir.path().join("keys"));
    let store = SqliteStore::open(&data.join("gatewright.db"))
        .await
        .unwrap();
    let vault = vault(&store, &keys);
    let (acme, ann) = (tenant("acme"), key(user("ann"), "wiki"));
    vault
        .put(&acme, ann.clone(), Secret::new(PLANTED.to_owned()))
        .await
        .unwrap();
    assert_eq!(found(&vault, "acme", &ann).await.unwrap(), PLANTED);

    let mac = MacKey {
        id: "k".to_owned(),
        key: SecretBytes::new(vec![1; 32]),
    };
    let ring = ApiKeyRing::new(store.clone(), MacKeys::new(&mac, &[]));
    ring.load(&acme).await.unwrap();
    let new = NewApiKey {
        name: "n".to_owned(),
        holder: KeyHolder::Agent(Subject::new("i", "bot")),
        servers: vec![Pattern::new("*")],
        expires_at: Timestamp::from_millis(i64::MAX),
    };
    let sealed = [vault.master_key().to_string()];
    assert!(store.needed_master_keys().await.unwrap().iter().eq(&sealed));
    let issued = ring.create(&acme, new).await.unwrap();
    let needed = store.needed_master_keys().await.unwrap();
    assert!(needed.len() == 2 && needed.contains("k"), "{needed:?}");
    // The secret part: the id before it is stored, and may be.
    let api_key = issued.text.expose().split_at(16).1;

    let holds = |needle: &str| {
        let files = fs::read_dir(&data)
            .unwrap()
            .map(|file| file.unwrap().path());
        let mut contents = files.map(|path| fs::read(path).unwrap());
        contents.any(|bytes| {
            let mut parts = bytes.windows(needle.len());
            parts.any(|part| part == needle.as_bytes())
        })
    };
    // The log beside the database holds the rows until it is merged; then the database does.
    for _ in 0..2 {
        assert!(holds("user:https://idp.example|ann") && holds(issued.id.as_str()));
        assert!(!holds(PLANTED) && !holds(api_key));
        store.close().await;
    }
    let shown = format!("{store:?} {vault:?} {ring:?}");
    assert!(!shown.contains("planted"), "{shown}");
}

#[tokio::test]
async fn a_row_that_was_changed_in_the_database_does_not_open() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data/gatewright.db");
    let keys = dir.path().join("keys");
    let store = SqliteStore::open(&path).await.unwrap();
    let ann = key(user("ann"), "wiki");
    let secret = || Secret::new(PLANTED.to_owned());
    let stored = vault(&store, &keys);
    stored
        .put(&tenant("acme"), ann.clone(), secret())
        .await
        .unwrap();

    for (change, of, place) in [
        ("tenant = 'other'", "other", ann.clone()),
        (
            "owner = 'user:https://idp.example|ben'",
            "acme",
            key(user("ben"), "wiki"),
        ),
        ("server = 'pay'", "acme", key(user("ann"), "pay")),
        ("version = version + 1", "acme", ann.clone()),
        (
            "envelope = CAST(envelope || x'00' AS BLOB)",
            "acme",
            ann.clone(),
        ),
    ] {
        let mut connection = SqliteConnection::connect(&format!("sqlite://{}", path.display()))
            .await
            .unwrap();
        sqlx::query("CREATE TEMP TABLE kept AS SELECT * FROM sealed_records")
            .execute(&mut connection)
            .await
            .unwrap();
        let changed = format!("UPDATE sealed_records SET {change}");
        sqlx::query(AssertSqlSafe(changed))
            .execute(&mut connection)
            .await
            .unwrap();
        // A vault that remembers nothing.
        let refused = found(&vault(&store, &keys), of, &place).await.unwrap_err();
        assert!(
            matches!(refused, VaultError::Unreadable(_)),
            "{change}: {refused}"
        );
        for statement in [
            "DELETE FROM sealed_records",
            "INSERT INTO sealed_records SELECT * FROM kept",
        ] {
            sqlx::query(statement)
                .execute(&mut connection)
                .await
                .unwrap();
        }
        let back = found(&vault(&store, &keys), "acme", &ann).await.unwrap();
        assert_eq!(back, PLANTED);
    }
}

#[tokio::test]
async fn a_vault_whose_keys_are_gone_refuses_and_names_the_one_it_needs() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&dir.path().join("gatewright.db"))
        .await
        .unwrap();
    let ann = key(user("ann"), "wiki");
    let secret = Secret::new(PLANTED.to_owned());
    let stored = vault(&store, &dir.path().join("keys"));
    stored
        .put(&tenant("acme"), ann.clone(), secret)
        .await
        .unwrap();
    let listed = stored.list(&tenant("acme"), None, 1).await.unwrap();
    let needed = listed[0].master_key.clone().unwrap();

    let others = vault(&store, &dir.path().join("other-keys"));
    let refused = found(&others, "acme", &ann).await.unwrap_err();
    assert!(refused.to_string().contains(needed.as_str()), "{refused}");
    // The database is gone too: nothing is made up.
    store.close().await;
    let refused = found(&vault(&store, &dir.path().join("keys")), "acme", &ann).await;
    assert!(matches!(refused, Err(VaultError::Unavailable(_))));
}
