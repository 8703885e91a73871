//! Whole databases: backups, and the way from SQLite to Postgres.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use gatewright_core::Timestamp;
use gatewright_directory::records::{Kind, Records, Revision};
use sqlx::{Connection as _, PgConnection};

use super::{
    Database, Postgres, SharedDatabase, Sqlite,
    directory::{head, put, user},
    killed, tenant,
    upgrade::{check, fill, sqlite_at, sqlite_load},
};
use crate::{
    OpenStoreError, PostgresStore, SqliteStore, Store,
    transfer::{
        BackupError, CopyError, MoveError, RestoreError, TABLES, backup, copy, move_to_postgres,
        restore,
    },
};

/// The schema of the rows that [`fill`] makes.
const PRESENT: i64 = i64::MAX;
/// More than go in one statement.
const MANY: u64 = 1_234;

/// A store with something in every table, and much in one.
async fn filled<D: Database>(database: &D) -> Store
where
    Store: From<D::Store>,
{
    let store = Store::from(database.open().await);
    fill(&store).await;
    let many: Vec<_> = (0..MANY).map(|number| user(&number.to_string())).collect();
    let big = tenant("big");
    let at = Timestamp::from_secs(1);
    store.commit(&big, Revision(0), at, &many).await.unwrap();
    store
}

async fn check_all(store: &Store) {
    check(store, PRESENT).await;
    let big = tenant("big");
    assert_eq!(store.count(&big, Kind::User).await.unwrap(), MANY);
    assert_eq!(head(store, &big).await, Revision(1));
    let changes = store.changes(&big, &Default::default(), 5_000).await;
    assert_eq!(u64::try_from(changes.unwrap().len()).unwrap(), MANY);
}

fn names(dir: &Path) -> BTreeSet<String> {
    let files = fs::read_dir(dir).unwrap();
    let name = |file: std::io::Result<fs::DirEntry>| file.unwrap().file_name();
    files
        .map(|file| name(file).into_string().unwrap())
        .collect()
}

#[tokio::test]
async fn every_column_of_every_table_is_copied() {
    let sqlite = Sqlite::create();
    let _store = sqlite.open().await;
    let mut connection = sqlite_at(sqlite.place().as_ref()).await;
    let of_sqlite = sqlx::query_as::<_, (String, String)>(
        "SELECT m.name, c.name FROM sqlite_schema m, pragma_table_info(m.name) c \
         WHERE m.type = 'table' AND m.name <> '_sqlx_migrations'",
    );
    let of_sqlite = of_sqlite.fetch_all(&mut connection).await.unwrap();
    let postgres = Postgres::create();
    let _store = postgres.open().await;
    let mut connection = PgConnection::connect(postgres.0.url()).await.unwrap();
    let of_postgres = sqlx::query_as::<_, (String, String)>(
        "SELECT table_name::text, column_name::text FROM information_schema.columns \
         WHERE table_schema = 'public' AND table_name <> '_sqlx_migrations'",
    );
    let of_postgres = of_postgres.fetch_all(&mut connection).await.unwrap();
    let copied: BTreeSet<(String, String)> = TABLES
        .iter()
        .flat_map(|table| {
            let columns = table.columns.iter();
            columns.map(|(column, _)| (table.name.to_owned(), (*column).to_owned()))
        })
        .collect();
    assert_eq!(of_sqlite.into_iter().collect::<BTreeSet<_>>(), copied);
    assert_eq!(of_postgres.into_iter().collect::<BTreeSet<_>>(), copied);
}

async fn is_backed_up_and_restored(store: Store) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("backup.db");
    // What one that was killed has left is in nobody's way.
    fs::write(dir.path().join("backup.db.part"), "left").unwrap();
    backup(&store, &file).await.unwrap();
    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(names(dir.path()), ["backup.db".to_owned()].into());

    // What comes later is not in it.
    let acme = tenant("acme");
    let at = Timestamp::from_secs(9);
    store
        .commit(&acme, Revision(2), at, &[user("late")])
        .await
        .unwrap();
    let refused = backup(&store, &file).await.unwrap_err();
    assert!(matches!(refused, BackupError::Exists(_)), "{refused}");

    let data = dir.path().join("data");
    restore(&file, &data.join("gatewright.db")).await.unwrap();
    assert_eq!(names(&data), ["gatewright.db".to_owned()].into());
    let restored = SqliteStore::open(&data.join("gatewright.db"))
        .await
        .unwrap();
    check_all(&Store::from(restored.clone())).await;
    restored.close().await;

    // And into a server.
    let server = Postgres::create();
    let restored = Store::from(SqliteStore::open(&file).await.unwrap());
    copy(&restored, &Store::from(server.open().await), &mut |_| ())
        .await
        .unwrap();
    check_all(&Store::from(server.open().await)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_sqlite_is_one_moment_and_comes_back() {
    let database = Sqlite::create();
    is_backed_up_and_restored(filled(&database).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_postgres_is_one_moment_and_comes_back() {
    let database = Postgres::create();
    is_backed_up_and_restored(filled(&database).await).await;
}

#[tokio::test]
async fn a_backup_that_fails_leaves_no_file() {
    let database = Sqlite::create();
    let store = filled(&database).await;
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing/backup.db");
    let refused = backup(&store, &missing).await.unwrap_err();
    assert!(matches!(refused, BackupError::Io { .. }), "{refused}");
    store.close().await;
    let refused = backup(&store, &dir.path().join("backup.db")).await;
    assert!(matches!(refused, Err(BackupError::Database(_))));
    assert!(names(dir.path()).is_empty());
}

#[tokio::test]
async fn nothing_is_restored_over_a_database_or_from_what_is_none() {
    let database = Sqlite::create();
    let store = filled(&database).await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("backup.db");
    backup(&store, &file).await.unwrap();

    // Over a database, or a log that would be taken for its own.
    for there in [
        "gatewright.db",
        "gatewright.db-wal",
        "gatewright.db-journal",
    ] {
        let data = tempfile::tempdir().unwrap();
        fs::write(data.path().join(there), "there").unwrap();
        let refused = restore(&file, &data.path().join("gatewright.db")).await;
        let refused = refused.unwrap_err();
        assert!(matches!(refused, RestoreError::Exists(_)), "{refused}");
        assert!(refused.to_string().contains(there), "{refused}");
        assert_eq!(fs::read(data.path().join(there)).unwrap(), b"there");
    }

    let whole = fs::read(&file).unwrap();
    let mut later = sqlite_at(&file).await;
    let step = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                VALUES (9999, 'later', TRUE, x'00', 0)";
    sqlx::query(step).execute(&mut later).await.unwrap();
    later.close().await.unwrap();
    let later = fs::read(&file).unwrap();
    let mut torn = whole.clone();
    let middle = torn.len() / 2;
    torn[middle..middle + 4096 * 8].fill(0x5a);
    let bad: [(&str, &[u8]); 4] = [
        ("later", &later),
        ("torn", &torn),
        ("cut", &whole[..middle]),
        (
            "none",
            b"no database, and long enough to be looked at as one",
        ),
    ];
    for (what, bytes) in bad {
        fs::write(&file, bytes).unwrap();
        let data = tempfile::tempdir().unwrap();
        let refused = restore(&file, &data.path().join("gatewright.db")).await;
        let refused = refused.unwrap_err();
        let expected = match what {
            "later" => matches!(refused, RestoreError::Unusable(OpenStoreError::Newer(9999))),
            _ => matches!(
                refused,
                RestoreError::Unusable(_) | RestoreError::Damaged(_)
            ),
        };
        assert!(expected, "{what}: {refused}");
        assert!(names(data.path()).is_empty(), "{what}");
    }
    let nothing = restore(&dir.path().join("nothing"), &dir.path().join("x.db")).await;
    assert!(matches!(nothing, Err(RestoreError::Io { .. })));
}

/// A SQLite file that nobody uses, and an empty database.
async fn to_be_moved() -> (Sqlite, PathBuf, Postgres) {
    let from = Sqlite::create();
    filled(&from).await.close().await;
    let path = PathBuf::from(from.place());
    (from, path, Postgres::create())
}

async fn is_marked_as_moved(path: &Path) -> bool {
    match SqliteStore::open(path).await {
        Err(OpenStoreError::Moved(_)) => true,
        Ok(store) => {
            store.close().await;
            false
        }
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_is_moved_and_what_it_came_from_is_not_used_again() {
    let (_from, path, to) = to_be_moved().await;
    let store = to.open().await;
    let mut events = store.events();
    let copied = move_to_postgres(&path, &store, &mut |_| ()).await.unwrap();
    assert_eq!(copied.tenants, 3);
    // Replicas that are there already hear of it.
    super::directory::heard(&mut events).await;
    check_all(&Store::from(store)).await;
    assert!(is_marked_as_moved(&path).await);
    let refused = move_to_postgres(&path, &Postgres::create().open().await, &mut |_| ()).await;
    assert!(matches!(
        refused.unwrap_err(),
        MoveError::Open(OpenStoreError::Moved(_))
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_moved_into_what_is_there() {
    let (_from, path, to) = to_be_moved().await;
    let store = to.open().await;
    let at = Timestamp::from_secs(1);
    let theirs = tenant("theirs");
    store
        .commit(&theirs, Revision(0), at, &[user("ann")])
        .await
        .unwrap();
    let refused = move_to_postgres(&path, &store, &mut |_| ())
        .await
        .unwrap_err();
    assert!(
        matches!(&refused, MoveError::Copy(CopyError::NotEmpty(tenant)) if tenant == "theirs"),
        "{refused}"
    );
    assert_eq!(store.heads().await.unwrap(), [(theirs, Revision(1))]);
    assert!(!is_marked_as_moved(&path).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_in_use_is_not_moved_and_what_is_being_moved_is_not_used() {
    let (from, path, to) = to_be_moved().await;
    let used = from.open().await;
    let also_used = from.open().await;
    let store = to.open().await;
    for user in [used, also_used] {
        let refused = move_to_postgres(&path, &store, &mut |_| ())
            .await
            .unwrap_err();
        assert!(
            matches!(refused, MoveError::Open(OpenStoreError::InUse(_))),
            "{refused}"
        );
        user.close().await;
    }
    let alone = SqliteStore::open_alone(&path).await.unwrap();
    let refused = SqliteStore::open(&path).await.unwrap_err();
    assert!(matches!(refused, OpenStoreError::InUse(_)), "{refused}");
    alone.close().await;
    move_to_postgres(&path, &store, &mut |_| ()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_that_was_not_marked_is_taken_up_and_one_that_grew_apart_is_not() {
    let (from, path, to) = to_be_moved().await;
    let store = to.open().await;
    let source = Store::from(from.open().await);
    copy(&source, &Store::from(store.clone()), &mut |_| ())
        .await
        .unwrap();
    let changed = put(Kind::User, "7", r#"{"changed":1}"#, &[("user.name", "7")]);
    let at = Timestamp::from_secs(1);
    let big = tenant("big");
    source
        .commit(&big, Revision(1), at, &[changed])
        .await
        .unwrap();
    source.close().await;
    let refused = move_to_postgres(&path, &store, &mut |_| ())
        .await
        .unwrap_err();
    assert!(
        matches!(refused, MoveError::Copy(CopyError::NotEmpty(_))),
        "{refused}"
    );
    assert!(!is_marked_as_moved(&path).await);

    let (from, path, to) = to_be_moved().await;
    let store = to.open().await;
    let source = Store::from(from.open().await);
    let copied = copy(&source, &Store::from(store.clone()), &mut |_| ())
        .await
        .unwrap();
    source.close().await;
    let again = move_to_postgres(&path, &store, &mut |_| ()).await.unwrap();
    assert_eq!(again, copied);
    assert!(is_marked_as_moved(&path).await);
    check_all(&Store::from(store)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_while_everything_is_moved_loses_nothing() {
    if let Some(place) = killed::place() {
        let (path, url) = place.split_once(' ').unwrap();
        let to = PostgresStore::open(url).await.unwrap();
        move_to_postgres(path.as_ref(), &to, &mut |_| ())
            .await
            .unwrap();
        return;
    }
    let test = "tests::transfer::a_kill_while_everything_is_moved_loses_nothing";
    let mut finished = 0;
    for step in 0..10 {
        let (_from, path, to) = to_be_moved().await;
        let place = format!("{} {}", path.display(), to.place());
        let mut child = killed::start(test, &place);
        // The moment of the kill is what this is about: from before it begins until after it is done.
        tokio::time::sleep(Duration::from_millis(step * 60)).await;
        child.start_kill().unwrap();
        child.wait().await.unwrap();
        if is_marked_as_moved(&path).await {
            finished += 1;
        } else {
            // All of it is still here, and going on with it brings it there.
            let store = SqliteStore::open(&path).await.unwrap();
            assert_eq!(store.count(&tenant("big"), Kind::User).await.unwrap(), MANY);
            store.close().await;
            move_to_postgres(&path, &to.open().await, &mut |_| ())
                .await
                .unwrap();
        }
        check_all(&Store::from(to.open().await)).await;
    }
    assert!(finished < 10, "each was over before it was killed");
}

#[tokio::test]
async fn a_backup_of_an_earlier_schema_is_brought_up_to_date() {
    let dir = tempfile::tempdir().unwrap();
    let old = dir.path().join("old.db");
    sqlite_load(&old, include_str!("fixtures/sqlite-1.sql")).await;
    let to = dir.path().join("data/gatewright.db");
    restore(&old, &to).await.unwrap();
    check(&SqliteStore::open(&to).await.unwrap(), 1).await;
}
