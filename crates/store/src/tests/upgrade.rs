//! Databases of every schema that there was, brought up to the present one. `fixtures/` keeps each as it was filled then.

use std::{
    fs::{self, Permissions},
    io,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::Command,
    time::Duration,
};

use gatewright_core::{CredentialOwner, Subject, TenantId, Timestamp};
use gatewright_directory::records::{Kind, Records, Revision};
use gatewright_identity::{ApiKeyRecord, ApiKeys, KeyHolder};
use gatewright_test_postgres::Programs;
use gatewright_vault::{RecordKey, SealedRecord, SealedRecords};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, SqliteConnection};

use super::{
    Database, Postgres, SharedDatabase, Sqlite, api_keys,
    directory::{put, read, remove},
    killed,
    sealed::{key, record},
    tenant, user,
};
use crate::migrations;

/// The first step in which records were.
const RECORDS: i64 = 2;
/// Postgres came with the second step; nobody has a database of the first one.
const FIRST_OF_POSTGRES: i64 = 2;

fn tenants() -> [(TenantId, &'static str); 2] {
    [(tenant("acme"), "wiki"), (tenant("other"), "notes")]
}

fn keys(at: &str) -> [RecordKey; 3] {
    let bot = Subject::new("https://idp.example", "bot");
    [
        CredentialOwner::Shared,
        user("ann"),
        CredentialOwner::Agent(bot),
    ]
    .map(|owner| key(owner, at))
}

fn sealed(version: u64) -> SealedRecord {
    record(version, &[0, 1, 254, 255])
}

fn api_keys() -> [ApiKeyRecord; 2] {
    let person = ApiKeyRecord {
        holder: KeyHolder::User(Subject::new("i", "ann")),
        revoked_at: Some(Timestamp::from_secs(50)),
        last_used_at: Some(Timestamp::from_secs(40)),
        ..api_keys::record(2)
    };
    [api_keys::record(1), person]
}

/// What a fixture of the present schema is filled with: something in every table.
async fn fill(store: &(impl SealedRecords + ApiKeys + Records)) {
    for (of, at) in tenants() {
        for key in keys(at) {
            let version = store.next_version(&of).await.unwrap();
            assert!(store.write(&of, &key, &sealed(version)).await.unwrap());
        }
        assert_eq!(store.next_version(&of).await.unwrap(), 4);
        for key in api_keys() {
            store.insert(&of, &key).await.unwrap();
        }
        let ann = put(Kind::User, "ann", r#"{"é":"'"}"#, &[("user.name", "ann")]);
        let ben = put(Kind::User, "ben", "{}", &[("user.name", "ben")]);
        let at = Timestamp::from_secs(7);
        store
            .commit(&of, Revision(0), at, &[ann, ben])
            .await
            .unwrap();
        let gone = [remove(Kind::User, "ben")];
        store.commit(&of, Revision(1), at, &gone).await.unwrap();
    }
}

/// Finds what the fixture of a step was filled with, and that the database can be written.
async fn check(store: &(impl SealedRecords + ApiKeys + Records), step: i64) {
    for (of, at) in tenants() {
        for (key, version) in keys(at).iter().zip(1..) {
            let found = SealedRecords::read(store, &of, key).await.unwrap();
            assert_eq!(found, Some(sealed(version)));
        }
        assert_eq!(store.next_version(&of).await.unwrap(), 5);
        let found = ApiKeys::page(store, &of, None, 9).await.unwrap();
        assert_eq!(found, api_keys());
        let base = if step < RECORDS {
            Revision(0)
        } else {
            let ann = read(store, of.as_str(), Kind::User, "ann").await.unwrap();
            assert_eq!(&*ann.document, r#"{"é":"'"}"#);
            assert_eq!(ann.created_at, Timestamp::from_secs(7));
            assert_eq!(store.count(&of, Kind::User).await.unwrap(), 1);
            Revision(2)
        };
        let new = [put(Kind::User, "new", "{}", &[("user.name", "ben")])];
        let next = store.commit(&of, base, Timestamp::from_secs(8), &new).await;
        assert_eq!(next.unwrap(), Revision(base.0 + 1));
    }
}

/// The fixture of each step from `first` on. One that is not kept yet is made, and the test that misses it says what to keep.
async fn fixtures(
    kind: &str,
    first: i64,
    steps: &[migrations::Step],
    dump: impl AsyncFnOnce() -> String,
) -> Vec<(i64, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tests/fixtures");
    let last = steps.last().unwrap().number;
    let mut fixtures = Vec::new();
    for step in first..=last {
        let path = folder.join(format!("{kind}-{step}.sql"));
        match fs::read_to_string(&path) {
            Ok(sql) => fixtures.push((step, sql)),
            Err(error) if error.kind() == io::ErrorKind::NotFound && step == last => {
                let made = std::env::temp_dir().join(format!("{kind}-{step}.sql"));
                fs::write(&made, dump().await).unwrap();
                panic!(
                    "step {step} has no fixture: keep {} as {}",
                    made.display(),
                    path.display()
                );
            }
            Err(error) => panic!("{}: {error}", path.display()),
        }
    }
    fixtures
}

async fn sqlite_at(path: &Path) -> SqliteConnection {
    let url = format!("sqlite://{}?mode=rwc", path.display());
    SqliteConnection::connect(&url).await.unwrap()
}

/// Statements that make a database again, with its rows.
async fn sqlite_dump(path: &Path) -> String {
    let mut connection = sqlite_at(path).await;
    let objects = sqlx::query_as::<_, (String, String, String)>(
        "SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY type DESC, name",
    );
    let objects = objects.fetch_all(&mut connection).await.unwrap();
    let mut dump = String::new();
    for (kind, name, sql) in objects {
        dump.push_str(&format!("{sql};\n"));
        if kind != "table" {
            continue;
        }
        let columns = format!(
            "SELECT group_concat('quote(' || name || ')', '||'',''||') FROM pragma_table_info('{name}')"
        );
        let columns: String = sqlx::query_scalar(AssertSqlSafe(columns))
            .fetch_one(&mut connection)
            .await
            .unwrap();
        let rows = format!("SELECT {columns} FROM {name} ORDER BY 1");
        let rows: Vec<String> = sqlx::query_scalar(AssertSqlSafe(rows))
            .fetch_all(&mut connection)
            .await
            .unwrap();
        for row in rows {
            dump.push_str(&format!("INSERT INTO {name} VALUES ({row});\n"));
        }
    }
    dump
}

/// Makes a database as a dump has it.
async fn sqlite_load(path: &Path, dump: &str) {
    fs::write(path, "").unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
    let mut connection = sqlite_at(path).await;
    let dump = sqlx::raw_sql(AssertSqlSafe(dump.to_owned()));
    dump.execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// What a database consists of, apart from its rows.
async fn sqlite_schema(path: &Path) -> Vec<(String, String, Option<String>)> {
    let mut connection = sqlite_at(path).await;
    sqlx::query_as("SELECT type, name, sql FROM sqlite_schema ORDER BY type, name")
        .fetch_all(&mut connection)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_is_brought_up_from_every_schema_that_there_was() {
    let fresh = Sqlite::create();
    let store = fresh.open().await;
    fill(&store).await;
    store.close().await;
    let fresh = fresh.place();
    let fixtures = fixtures("sqlite", 1, migrations::SQLITE, async || {
        sqlite_dump(fresh.as_ref()).await
    })
    .await;
    for (step, sql) in fixtures {
        let old = Sqlite::create();
        sqlite_load(old.place().as_ref(), &sql).await;
        let store = old.open().await;
        check(&store, step).await;
        store.close().await;
        assert_eq!(
            sqlite_schema(old.place().as_ref()).await,
            sqlite_schema(fresh.as_ref()).await,
            "{step}"
        );
        // Once more changes nothing.
        old.open().await.close().await;
    }
}

fn postgres_dump(url: &str, what: &str) -> String {
    let dump = Command::new(Programs::find().unwrap().path("pg_dump"))
        .args(["--inserts", "--no-owner", "--no-privileges", what, url])
        .output()
        .unwrap();
    assert!(
        dump.status.success(),
        "{}",
        String::from_utf8_lossy(&dump.stderr)
    );
    // Lines that later versions of pg_dump write for psql alone, with a number that is never the same.
    let dump = String::from_utf8(dump.stdout).unwrap();
    let lines = dump.lines().filter(|line| !line.starts_with('\\'));
    lines.map(|line| format!("{line}\n")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_is_brought_up_from_every_schema_that_there_was() {
    let fresh = Postgres::create();
    let store = fresh.open().await;
    fill(&store).await;
    let fixtures = fixtures(
        "postgres",
        FIRST_OF_POSTGRES,
        migrations::POSTGRES,
        async || postgres_dump(&fresh.0.superuser_url(), "--format=plain"),
    )
    .await;
    for (step, sql) in fixtures {
        let old = Postgres::create();
        let mut connection = PgConnection::connect(old.0.url()).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&mut connection)
            .await
            .unwrap();
        connection.close().await.unwrap();
        let store = old.open().await;
        check(&store, step).await;
        let schema =
            |database: &Postgres| postgres_dump(&database.0.superuser_url(), "--schema-only");
        assert_eq!(schema(&old), schema(&fresh), "{step}");
        old.open().await.close().await;
    }
}

/// Kills a process at several moments while it brings a database up to date, and opens what is left of it.
async fn survives_kills<D: SharedDatabase>(
    test: &str,
    make: impl AsyncFn() -> D,
    check: impl AsyncFn(&D::Store),
) {
    if let Some(place) = killed::place() {
        D::open_at(&place).await;
        return;
    }
    for step in 0..12 {
        let database = make().await;
        let mut child = killed::start(test, &database.place());
        // The moment of the kill is what this is about: from before it opens the database until after it is done.
        tokio::time::sleep(Duration::from_millis(step * 8)).await;
        child.start_kill().unwrap();
        child.wait().await.unwrap();
        check(&database.open().await).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_while_sqlite_is_brought_up_to_date_loses_nothing() {
    let make = async || {
        let old = Sqlite::create();
        sqlite_load(old.place().as_ref(), include_str!("fixtures/sqlite-1.sql")).await;
        old
    };
    let test = "tests::upgrade::a_kill_while_sqlite_is_brought_up_to_date_loses_nothing";
    survives_kills::<Sqlite>(test, make, async |store| check(store, 1).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_while_postgres_is_brought_up_to_date_loses_nothing() {
    let test = "tests::upgrade::a_kill_while_postgres_is_brought_up_to_date_loses_nothing";
    let make = async || Postgres::create();
    survives_kills::<Postgres>(test, make, async |store| fill(store).await).await;
}
