//! What a Postgres server has to be, and what happens when it is not there.

use gatewright_identity::{ApiKeyRecord, ApiKeys};
use gatewright_test_postgres::{Database, Server};
use gatewright_vault::SealedRecords;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio_util::task::TaskTracker;

use super::{api_keys, sealed, tenant, user};
use crate::{OpenStoreError, PostgresStore};

async fn run(url: &str, sql: &str) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let sql = AssertSqlSafe(sql.to_owned());
    sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

async fn keys(store: &PostgresStore) -> Vec<ApiKeyRecord> {
    let acme = tenant("acme");
    ApiKeys::page(store, &acme, None, 9).await.unwrap()
}

#[tokio::test]
async fn processes_that_start_together_make_the_tables_once() {
    let database = Database::create();
    let tasks = TaskTracker::new();
    let opened: Vec<_> = (0..8)
        .map(|_| {
            let url = database.url().to_owned();
            tasks.spawn(async move { PostgresStore::open(&url).await })
        })
        .collect();
    for store in opened {
        let store = store.await.unwrap().unwrap();
        assert_eq!(keys(&store).await, []);
        store.close().await;
    }
}

#[tokio::test]
async fn a_database_of_a_later_version_is_refused_and_left_alone() {
    let database = Database::create();
    let store = PostgresStore::open(database.url()).await.unwrap();
    store
        .insert(&tenant("acme"), &api_keys::record(1))
        .await
        .unwrap();
    let later = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                 VALUES (999, 'later', true, '\\x00', 0)";
    run(database.url(), later).await;
    let refused = PostgresStore::open(database.url()).await.unwrap_err();
    assert!(matches!(refused, OpenStoreError::Newer(999)), "{refused}");
    assert_eq!(keys(&store).await, [api_keys::record(1)]);
    run(
        database.url(),
        "DELETE FROM _sqlx_migrations WHERE version = 999",
    )
    .await;
    PostgresStore::open(database.url()).await.unwrap();
}

#[tokio::test]
async fn a_database_of_other_steps_is_refused() {
    let database = Database::create();
    PostgresStore::open(database.url()).await.unwrap();
    run(
        database.url(),
        "UPDATE _sqlx_migrations SET checksum = '\\x00' WHERE version = 1",
    )
    .await;
    let refused = PostgresStore::open(database.url()).await.unwrap_err();
    assert!(matches!(refused, OpenStoreError::Changed(1)), "{refused}");
}

#[tokio::test]
async fn a_database_of_another_encoding_is_refused() {
    let database = Database::create();
    let owner = database.url().rsplit('/').next().unwrap().to_owned();
    database.run_as_superuser(&[&format!(
        "CREATE DATABASE {owner}_latin OWNER {owner} TEMPLATE template0 ENCODING LATIN1 LOCALE 'C'"
    )]);
    let refused = PostgresStore::open(&format!("{}_latin", database.url())).await;
    let refused = refused.unwrap_err();
    assert!(
        matches!(&refused, OpenStoreError::Unfit(why) if why.contains("LATIN1")),
        "{refused}"
    );
}

#[tokio::test]
async fn a_server_that_is_not_there_or_does_not_know_us_is_an_error_without_the_password() {
    let database = Database::create();
    let owner = database.url().rsplit('/').next().unwrap();
    let wrong = database.url().replace(&format!(":{owner}@"), ":planted@");
    let (before, after) = wrong.rsplit_once(':').unwrap();
    let (_, name) = after.split_once('/').unwrap();
    let nobody = format!("{before}:1/{name}");
    for (url, why) in [
        (&wrong, "password authentication failed"),
        (&nobody, "refused"),
    ] {
        let refused = PostgresStore::open(url).await.unwrap_err();
        assert!(matches!(refused, OpenStoreError::Database(_)), "{refused}");
        assert!(refused.to_string().contains(why), "{refused}");
        assert!(!format!("{refused} {refused:?}").contains("planted"));
    }
}

#[tokio::test]
async fn a_connection_that_the_server_ended_is_replaced() {
    let database = Database::create();
    let store = PostgresStore::open(database.url()).await.unwrap();
    let (acme, ann) = (tenant("acme"), sealed::key(user("ann"), "wiki"));
    store
        .write(&acme, &ann, &sealed::record(1, b"a"))
        .await
        .unwrap();
    database.run_as_superuser(&["SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE datname = current_database() AND pid <> pg_backend_pid()"]);
    // One that was just in use is not asked first, so that each may fail once, and none answers wrongly.
    let mut found = Err(String::new());
    for _ in 0..10 {
        found = SealedRecords::read(&store, &acme, &ann)
            .await
            .map_err(|error| error.to_string());
        if found.is_ok() {
            break;
        }
    }
    assert_eq!(found.unwrap(), Some(sealed::record(1, b"a")));
}

#[tokio::test]
async fn a_server_whose_certificate_is_not_trusted_or_of_another_name_is_refused() {
    let server = Server::start().unwrap();
    let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root.pem");
    std::fs::write(&root, signed.cert.pem()).unwrap();
    let put = |text: &str, file: &str| {
        format!(
            "COPY (SELECT unnest(string_to_array('{}', E'\\n'))) TO PROGRAM 'umask 077; cat >{file}'",
            text.trim()
        )
    };
    run(
        server.url(),
        &[
            put(&signed.cert.pem(), "server.crt"),
            put(&signed.signing_key.serialize_pem(), "server.key"),
            "CREATE ROLE gw LOGIN PASSWORD 'gw'".to_owned(),
        ]
        .join(";"),
    )
    .await;
    for statement in [
        "CREATE DATABASE gw OWNER gw",
        "ALTER SYSTEM SET ssl = on",
        "SELECT pg_reload_conf()",
    ] {
        run(server.url(), statement).await;
    }
    let (_, place) = server.url().rsplit_once(':').unwrap();
    let (port, _) = place.split_once('/').unwrap();
    let url = |host: &str, root: &str| {
        format!("postgres://gw:gw@{host}:{port}/gw?sslmode=verify-full{root}")
    };
    let trusted = format!("&sslrootcert={}", root.display());
    // The server reads its settings again in its own time.
    let mut opened = PostgresStore::open(&url("localhost", &trusted)).await;
    for _ in 0..200 {
        if opened.is_ok() {
            break;
        }
        opened = PostgresStore::open(&url("localhost", &trusted)).await;
    }
    opened.unwrap().close().await;
    for refused in [url("localhost", ""), url("127.0.0.1", &trusted)] {
        let error = PostgresStore::open(&refused).await.unwrap_err();
        assert!(error.to_string().contains("certificate"), "{error}");
    }
}
