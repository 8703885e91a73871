//! A process that is killed while it writes.

use std::{env, path::Path, process::Stdio};

use gatewright_core::Timestamp;
use gatewright_directory::records::{Kind, Records, Revision, UniqueName, Write};
use gatewright_vault::SealedRecords;
use sqlx::{Connection as _, SqliteConnection};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

use super::{
    Postgres, SharedDatabase, Sqlite,
    directory::{head, put, read, remove},
    sealed::{key, record},
    tenant, user,
};
use crate::SqliteStore;

/// Tells the test that it is the process to be killed, and where to write.
const WHERE: &str = "GATEWRIGHT_STORE_OF_THE_KILLED";
const ACKNOWLEDGED: &str = "acknowledged ";

/// Runs this test again in a process that writes at this place, and kills it after so many acknowledgements. Returns what was
/// acknowledged.
async fn killed_after(acknowledgements: usize, test: &str, place: &str) -> Vec<u64> {
    let mut child = start(test, place);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut acknowledged = Vec::new();
    while let Some(line) = lines.next_line().await.unwrap() {
        let Some((_, number)) = line.split_once(ACKNOWLEDGED) else {
            continue;
        };
        acknowledged.push(number.parse().unwrap());
        if acknowledged.len() == acknowledgements {
            child.start_kill().unwrap();
        }
    }
    child.wait().await.unwrap();
    assert!(acknowledged.len() >= acknowledgements);
    acknowledged
}

/// Runs a test again in a process of its own, which finds this place.
pub(super) fn start(test: &str, place: &str) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(WHERE, place)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

/// Where to write, in the process that is to be killed.
pub(super) fn place() -> Option<String> {
    env::var_os(WHERE)?.into_string().ok()
}

/// SQLite's own opinion of its file.
async fn is_whole(path: &Path) {
    let url = format!("sqlite://{}", path.display());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    let whole: String = sqlx::query_scalar("PRAGMA integrity_check")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(whole, "ok");
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill() {
    if let Some(dir) = place() {
        return write_until_killed(dir.as_ref()).await;
    }
    let dir = tempfile::tempdir().unwrap();
    let test = "tests::killed::what_was_acknowledged_survives_a_kill";
    let acknowledged = killed_after(30, test, dir.path().to_str().unwrap()).await;

    let path = dir.path().join("gatewright.db");
    let store = SqliteStore::open(&path).await.unwrap();
    for version in acknowledged {
        let key = key(user(&version.to_string()), "wiki");
        let found = SealedRecords::read(&store, &tenant("acme"), &key)
            .await
            .unwrap();
        assert_eq!(found, Some(record(version, &[7; 3000])), "{version}");
    }
    is_whole(&path).await;
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_to_sqlite_survive_a_kill_whole() {
    let test = "tests::killed::commits_to_sqlite_survive_a_kill_whole";
    if let Some(database) = commits_survive_a_kill_whole::<Sqlite>(test).await {
        is_whole(Path::new(&database.place())).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_to_postgres_survive_a_kill_whole() {
    let test = "tests::killed::commits_to_postgres_survive_a_kill_whole";
    commits_survive_a_kill_whole::<Postgres>(test).await;
}

/// Nothing where this is the process to be killed, which does not come back from it.
async fn commits_survive_a_kill_whole<D>(test: &str) -> Option<D>
where
    D: SharedDatabase<Store: Records>,
{
    if let Some(place) = place() {
        commit_until_killed(&D::open_at(&place).await).await;
        return None;
    }
    let database = D::create();
    let acme = tenant("acme");
    let mut acknowledged = Vec::new();
    for _ in 0..3 {
        acknowledged.extend(killed_after(15, test, &database.place()).await);
        let store = database.open().await;
        let last = head(&store, &acme).await;
        assert!(
            acknowledged
                .last()
                .is_some_and(|revision| *revision <= last.0)
        );
        for number in 1..=last.0 {
            holds_commit(&store, number, last).await;
        }
        assert!(acknowledged.is_sorted());
    }
    Some(database)
}

/// Commit `number` puts a user with its name and its membership, and takes the one before away.
fn writes(number: u64) -> Vec<Write> {
    let id = number.to_string();
    let document = format!(r#"{{"padding":"{}"}}"#, "x".repeat(5000));
    let mut writes = vec![
        put(Kind::User, &id, &document, &[("user.name", &id)]),
        put(Kind::Member, &format!("group/{id}"), "{}", &[]),
    ];
    if let Some(before) = number.checked_sub(1) {
        writes.push(remove(Kind::User, &before.to_string()));
    }
    writes
}

async fn holds_commit(store: &impl Records, number: u64, last: Revision) {
    let id = number.to_string();
    let member = read(store, "acme", Kind::Member, &format!("group/{id}")).await;
    assert_eq!(member.unwrap().revision, Revision(number));
    let name = UniqueName {
        space: "user.name",
        value: id.as_str().into(),
    };
    let named = store.find(&tenant("acme"), &name).await.unwrap();
    let user = read(store, "acme", Kind::User, &id).await;
    assert_eq!(named, user);
    assert_eq!(user.is_some(), number == last.0, "{number} of {last}");
}

async fn commit_until_killed(store: &impl Records) {
    let acme = tenant("acme");
    let mut base = head(store, &acme).await;
    loop {
        let writes = writes(base.0 + 1);
        let at = Timestamp::from_secs(1);
        base = store.commit(&acme, base, at, &writes).await.unwrap();
        println!("{ACKNOWLEDGED}{base}");
    }
}
