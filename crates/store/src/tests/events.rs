//! Who is told of commits when the way to them is cut.

use std::time::Duration;

use gatewright_core::Timestamp;
use gatewright_directory::records::{Event, Records as _, Revision};
use gatewright_identity::ApiKeys as _;
use gatewright_test_postgres::Database;
use gatewright_vault::SealedRecords as _;
use tokio::sync::broadcast::Receiver;

use super::{
    api_keys,
    directory::{committed, heard},
    sealed, tenant, user,
};
use crate::{KeyEvent, PostgresStore, Store};

async fn commit(store: &PostgresStore, base: u64) {
    let at = Timestamp::from_secs(1);
    let acme = tenant("acme");
    let committed = store.commit(&acme, Revision(base), at, &[]).await;
    assert_eq!(committed.unwrap(), Revision(base + 1));
}

/// Ends the connections on which commits are told, of every process.
fn cut(database: &Database) {
    database.run_as_superuser(&["SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE datname = current_database() AND query LIKE 'LISTEN%'"]);
}

async fn hears_that_it_missed_something(events: &mut Receiver<Event>) {
    // Once when the connection ended, and once when there is a new one.
    for _ in 0..2 {
        assert_eq!(heard(events).await, Event::Missed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_may_have_missed_a_commit_is_told_and_hears_the_next() {
    let database = Database::create();
    let writer = PostgresStore::open(database.url()).await.unwrap();
    let reader = PostgresStore::open(database.url()).await.unwrap();
    let mut events = reader.events();
    commit(&writer, 0).await;
    assert_eq!(heard(&mut events).await, committed("acme", 1));
    for base in [1, 2] {
        cut(&database);
        hears_that_it_missed_something(&mut events).await;
        commit(&writer, base).await;
        assert_eq!(heard(&mut events).await, committed("acme", base + 1));
    }
    // A process's own commits need no way back.
    cut(&database);
    let mut own = writer.events();
    commit(&writer, 3).await;
    loop {
        match heard(&mut own).await {
            Event::Missed => {}
            event => break assert_eq!(event, committed("acme", 4)),
        }
    }
}

async fn told(events: &mut Receiver<KeyEvent>) -> KeyEvent {
    let told = tokio::time::timeout(Duration::from_secs(10), events.recv()).await;
    told.expect("nothing was told").unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_processes_are_told_which_keys_and_credentials_change() {
    let database = Database::create();
    let writer = PostgresStore::open(database.url()).await.unwrap();
    let reader = Store::from(PostgresStore::open(database.url()).await.unwrap());
    let mut events = reader.key_events();
    let acme = tenant("acme");
    let api_key = api_keys::record(1);
    writer.insert(&acme, &api_key).await.unwrap();
    let uses = [(api_key.id.clone(), Timestamp::from_secs(20))];
    // Nobody is told of that.
    writer.note_use(&acme, &uses).await.unwrap();
    let at = Timestamp::from_secs(30);
    writer.revoke(&acme, &api_key.id, at).await.unwrap();
    writer.purge(&acme, Timestamp::from_secs(40)).await.unwrap();
    for _ in 0..3 {
        let changed = KeyEvent::ApiKey(acme.clone(), api_key.id.clone());
        assert_eq!(told(&mut events).await, changed);
    }
    // An owner with everything in it that sets the parts of a message apart.
    let place = sealed::key(user("a b|c credential\n' d"), "wiki");
    let (first, second) = (sealed::record(1, b"a"), sealed::record(2, b"b"));
    assert!(writer.write(&acme, &place, &first).await.unwrap());
    assert!(writer.write(&acme, &place, &second).await.unwrap());
    let sealed_anew = writer.replace_envelope(&acme, &place, 2, b"c");
    assert!(sealed_anew.await.unwrap());
    assert!(writer.remove(&acme, &place).await.unwrap());
    for _ in 0..4 {
        let changed = KeyEvent::Credential(acme.clone(), place.clone());
        assert_eq!(told(&mut events).await, changed);
    }
    // One whose place is too long to be told.
    let place = sealed::key(user(&"long".repeat(2_000)), "wiki");
    assert!(writer.write(&acme, &place, &first).await.unwrap());
    let changed = KeyEvent::Credentials(acme.clone());
    assert_eq!(told(&mut events).await, changed);

    cut(&database);
    for _ in 0..2 {
        assert_eq!(told(&mut events).await, KeyEvent::Missed);
    }
    for told_wrongly in [
        "",
        "api-key acme",
        "credential acme wiki",
        "secret acme",
        "credentials A",
    ] {
        let notify = format!("NOTIFY gatewright_keys, '{told_wrongly}'");
        database.run_as_superuser(&[&notify]);
        assert_eq!(told(&mut events).await, KeyEvent::Missed, "{told_wrongly}");
    }
}

#[tokio::test]
async fn what_no_commit_says_counts_as_something_missed() {
    let database = Database::create();
    let store = PostgresStore::open(database.url()).await.unwrap();
    let mut events = store.events();
    for told in ["", "acme", "acme x", "ACME 1", "acme -1", "acme 1 2"] {
        database.run_as_superuser(&[&format!("NOTIFY gatewright_commits, '{told}'")]);
        assert_eq!(heard(&mut events).await, Event::Missed, "{told}");
    }
    commit(&store, 0).await;
    assert_eq!(heard(&mut events).await, committed("acme", 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_store_ends_its_connections() {
    let database = Database::create();
    let store = PostgresStore::open(database.url()).await.unwrap();
    let held = store.clone();
    store.close().await;
    assert!(held.heads().await.is_err());
    database.run_as_superuser(&["DO $$ BEGIN FOR i IN 1..100 LOOP \
         IF NOT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'gatewright' \
         AND datname = current_database()) THEN RETURN; END IF; \
         PERFORM pg_sleep(0.05); PERFORM pg_stat_clear_snapshot(); END LOOP; \
         RAISE 'connections are left'; END $$"]);
}
