use std::collections::BTreeSet;

use gatewright_core::{CredentialOwner, Subject, Timestamp};
use gatewright_vault::{RecordKey, SealedRecord, SealedRecords};

use super::{Database, server, tenant, user};

pub(super) fn key(owner: CredentialOwner, at: &str) -> RecordKey {
    RecordKey {
        owner,
        server: server(at),
    }
}

pub(super) fn record(version: u64, envelope: &[u8]) -> SealedRecord {
    SealedRecord {
        version,
        stored_at: Timestamp::from_millis(1_234_567),
        envelope: envelope.to_vec(),
    }
}

pub(super) async fn a_record_is_found_in_its_place_only(
    database: &impl Database<Store: SealedRecords>,
) {
    let store = database.open().await;
    let ann = key(user("ann"), "wiki");
    let sealed = record(1, b"sealed");
    assert!(store.write(&tenant("acme"), &ann, &sealed).await.unwrap());
    let found = store.read(&tenant("acme"), &ann).await.unwrap();
    assert_eq!(found, Some(sealed));
    let agent = CredentialOwner::Agent(Subject::new("https://idp.example", "ann"));
    for (of, other) in [
        ("other", ann.clone()),
        ("acme", key(user("ben"), "wiki")),
        ("acme", key(user("ANN"), "wiki")),
        ("acme", key(agent, "wiki")),
        ("acme", key(CredentialOwner::Shared, "wiki")),
        ("acme", key(user("ann"), "wiki2")),
    ] {
        let found = store.read(&tenant(of), &other).await.unwrap();
        assert_eq!(found, None, "{of} {other:?}");
        assert!(!store.remove(&tenant(of), &other).await.unwrap());
    }
    assert!(store.read(&tenant("acme"), &ann).await.unwrap().is_some());
}

pub(super) async fn all_of_an_owner_is_removed_and_nothing_else(
    database: &impl Database<Store: SealedRecords>,
) {
    let store = database.open().await;
    let acme = tenant("acme");
    let agent = CredentialOwner::Agent(Subject::new("https://idp.example", "ann"));
    let others = [
        ("acme", key(user("ben"), "wiki")),
        ("acme", key(user("ann|"), "wiki")),
        ("acme", key(user("Ann"), "wiki")),
        ("acme", key(agent, "wiki")),
        ("acme", key(CredentialOwner::Shared, "wiki")),
        ("other", key(user("ann"), "wiki")),
    ];
    for (of, at) in &others {
        let written = store.write(&tenant(of), at, &record(1, b"other")).await;
        assert!(written.unwrap());
    }
    for at in ["wiki", "notes"] {
        let (at, sealed) = (key(user("ann"), at), record(1, b"anns"));
        assert!(store.write(&acme, &at, &sealed).await.unwrap());
    }
    let both = [server("notes"), server("wiki")];
    let mut there = store.servers_of(&acme, &user("ann")).await.unwrap();
    there.sort();
    assert_eq!(there, both);
    let mut removed = store.remove_all(&acme, &user("ann")).await.unwrap();
    removed.sort();
    assert_eq!(removed, both);
    let again = database.open().await;
    assert_eq!(again.servers_of(&acme, &user("ann")).await.unwrap(), []);
    assert_eq!(again.remove_all(&acme, &user("ann")).await.unwrap(), []);
    for (of, at) in &others {
        let found = SealedRecords::read(&again, &tenant(of), at).await;
        assert!(found.unwrap().is_some(), "{of} {at:?}");
    }
}

pub(super) async fn a_lower_version_replaces_nothing(
    database: &impl Database<Store: SealedRecords>,
) {
    let store = database.open().await;
    let (acme, ann) = (tenant("acme"), key(user("ann"), "wiki"));
    assert!(store.write(&acme, &ann, &record(5, b"5")).await.unwrap());
    for version in [4, 5] {
        let late = record(version, b"late");
        assert!(!store.write(&acme, &ann, &late).await.unwrap());
    }
    let found = store.read(&acme, &ann).await.unwrap().unwrap();
    assert_eq!(found, record(5, b"5"));
    assert!(store.write(&acme, &ann, &record(6, b"6")).await.unwrap());
    let found = store.read(&acme, &ann).await.unwrap().unwrap();
    assert_eq!(found, record(6, b"6"));
}

pub(super) async fn versions_are_given_out_once(database: &impl Database<Store: SealedRecords>) {
    let store = database.open().await;
    let tasks: Vec<_> = (0..40)
        .map(|_| {
            let store = store.clone();
            async move { store.next_version(&tenant("acme")).await.unwrap() }
        })
        .map(|task| tokio_util::task::TaskTracker::new().spawn(task))
        .collect();
    let mut versions = BTreeSet::new();
    for task in tasks {
        versions.insert(task.await.unwrap());
    }
    assert_eq!(versions, (1..=40).collect());
    assert_eq!(store.next_version(&tenant("other")).await.unwrap(), 1);
    let again = database.open().await;
    assert_eq!(again.next_version(&tenant("acme")).await.unwrap(), 41);
}

pub(super) async fn an_envelope_is_replaced_under_its_version_only(
    database: &impl Database<Store: SealedRecords>,
) {
    let store = database.open().await;
    let (acme, ann) = (tenant("acme"), key(user("ann"), "wiki"));
    let ben = key(user("ben"), "wiki");
    store.write(&acme, &ann, &record(5, b"old")).await.unwrap();
    store.write(&acme, &ben, &record(5, b"ben")).await.unwrap();
    let replace = async |of: &str, key: &RecordKey, version| {
        let tenant = tenant(of);
        let done = store.replace_envelope(&tenant, key, version, b"new");
        done.await.unwrap()
    };
    for (of, key, version) in [("acme", &ann, 4), ("acme", &ann, 6), ("other", &ann, 5)] {
        assert!(!replace(of, key, version).await);
    }
    assert!(replace("acme", &ann, 5).await);
    let found = store.read(&acme, &ann).await.unwrap().unwrap();
    assert_eq!(found, record(5, b"new"));
    let found = store.read(&acme, &ben).await.unwrap().unwrap();
    assert_eq!(found, record(5, b"ben"));
}

pub(super) async fn a_removed_record_is_gone_and_its_version_does_not_come_back(
    database: &impl Database<Store: SealedRecords>,
) {
    let store = database.open().await;
    let (acme, ann) = (tenant("acme"), key(user("ann"), "wiki"));
    let first = store.next_version(&acme).await.unwrap();
    store
        .write(&acme, &ann, &record(first, b"a"))
        .await
        .unwrap();
    assert!(store.remove(&acme, &ann).await.unwrap());
    assert!(!store.remove(&acme, &ann).await.unwrap());
    assert_eq!(store.read(&acme, &ann).await.unwrap(), None);
    assert!(store.next_version(&acme).await.unwrap() > first);
}

pub(super) async fn a_tenant_is_read_in_pages(database: &impl Database<Store: SealedRecords>) {
    let store = database.open().await;
    let acme = tenant("acme");
    let mut all = Vec::new();
    for owner in [CredentialOwner::Shared, user("b"), user("a"), user("é")] {
        for at in ["wiki", "notes"] {
            let key = key(owner.clone(), at);
            let sealed = record(all.len() as u64 + 1, b"x");
            store.write(&acme, &key, &sealed).await.unwrap();
            all.push((key, sealed));
        }
    }
    let theirs = key(user("a"), "wiki");
    let other = tenant("other");
    store
        .write(&other, &theirs, &record(1, b"x"))
        .await
        .unwrap();

    let mut found: Vec<(RecordKey, SealedRecord)> = Vec::new();
    loop {
        let after = found.last().map(|(key, _)| key);
        let page = store.page(&acme, after, 3).await.unwrap();
        assert!(page.len() <= 3);
        if page.is_empty() {
            break;
        }
        found.extend(page);
    }
    let sorted = |mut entries: Vec<(RecordKey, SealedRecord)>| {
        entries.sort_by_key(|(_, record)| record.version);
        entries
    };
    assert_eq!(sorted(found), all);
}

pub(super) async fn what_was_acknowledged_is_there_after_reopening(
    database: &impl Database<Store: SealedRecords>,
) {
    let (acme, ann) = (tenant("acme"), key(user("ann"), "wiki"));
    let store = database.open().await;
    store.write(&acme, &ann, &record(1, b"a")).await.unwrap();
    // The first one is not closed: as after a crash.
    let again = database.open().await;
    let found = again.read(&acme, &ann).await.unwrap();
    assert_eq!(found, Some(record(1, b"a")));
    drop(store);
}

pub(super) async fn any_subject_and_any_bytes_come_back_as_they_were(
    database: &impl Database<Store: SealedRecords>,
) {
    let store = database.open().await;
    let acme = tenant("acme");
    let long = "x".repeat(5000);
    let all: Vec<u8> = (0..=255).cycle().take(70_000).collect();
    for (version, id) in [
        "'; DROP TABLE sealed_records; --",
        "a|b:c",
        "\u{1f512}",
        " ",
        &long,
    ]
    .into_iter()
    .enumerate()
    {
        let key = key(user(id), "wiki");
        let sealed = record(version as u64 + 1, &all);
        store.write(&acme, &key, &sealed).await.unwrap();
        let found = store.read(&acme, &key).await.unwrap();
        assert_eq!(found, Some(sealed), "{id}");
    }
    let page = store.page(&acme, None, 10).await.unwrap();
    assert_eq!(page.len(), 5);
}
