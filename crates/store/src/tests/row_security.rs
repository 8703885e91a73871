//! What keeps tenants apart in Postgres when a statement does not say which tenant it means.

use gatewright_core::Timestamp;
use gatewright_directory::records::{Kind, Records as _, Revision, Write};
use gatewright_identity::ApiKeys as _;
use gatewright_test_postgres::Database;
use gatewright_vault::SealedRecords as _;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};

use super::{api_keys, directory, sealed, tenant, user};
use crate::{OpenStoreError, PostgresStore};

/// Two tenants with a row in every table.
async fn filled(database: &Database) -> PostgresStore {
    let store = PostgresStore::open(database.url()).await.unwrap();
    for of in ["acme", "other"] {
        let of = tenant(of);
        let key = sealed::key(user("ann"), "wiki");
        let version = store.next_version(&of).await.unwrap();
        let record = sealed::record(version, b"sealed");
        store.write(&of, &key, &record).await.unwrap();
        store.insert(&of, &api_keys::record(1)).await.unwrap();
        let commits: [&[Write]; 2] = [
            &[directory::user("ann"), directory::user("ben")],
            &[directory::remove(Kind::User, "ben")],
        ];
        for (base, writes) in (0..).zip(commits) {
            let at = Timestamp::from_secs(1);
            let committed = store.commit(&of, Revision(base), at, writes).await;
            committed.unwrap();
        }
    }
    store
}

async fn tables(connection: &mut PgConnection) -> Vec<String> {
    let tables = sqlx::query_scalar(
        "SELECT relname::text FROM pg_class \
         WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND relname <> '_sqlx_migrations'",
    );
    let tables: Vec<String> = tables.fetch_all(connection).await.unwrap();
    assert!(tables.len() >= 7, "{tables:?}");
    tables
}

/// Runs statements in a transaction that sees this scope, and undoes them. The last one says what it found or changed.
async fn within(
    connection: &mut PgConnection,
    scope: Option<&str>,
    sql: &str,
) -> (Vec<String>, u64) {
    let mut transaction = connection.begin().await.unwrap();
    if let Some(scope) = scope {
        let set = format!("SET LOCAL gatewright.tenant = '{scope}'");
        let set = sqlx::query(AssertSqlSafe(set));
        set.execute(&mut *transaction).await.unwrap();
    }
    let sql = sql.to_owned();
    if sql.starts_with("SELECT") {
        let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(&mut *transaction);
        let mut found: Vec<String> = rows.await.unwrap().iter().map(|row| row.get(0)).collect();
        found.sort();
        return (found, 0);
    }
    let done = sqlx::query(AssertSqlSafe(sql)).execute(&mut *transaction);
    (Vec::new(), done.await.unwrap().rows_affected())
}

#[tokio::test]
async fn a_statement_without_its_filter_sees_and_changes_one_tenant_or_nothing() {
    let database = Database::create();
    let _store = filled(&database).await;
    // As the gateway connects, and not as the superuser, whom no policy holds.
    let mut connection = PgConnection::connect(database.url()).await.unwrap();
    let mut superuser = PgConnection::connect(&database.superuser_url())
        .await
        .unwrap();
    for table in tables(&mut connection).await {
        let read = format!("SELECT DISTINCT tenant FROM {table}");
        let write = format!("UPDATE {table} SET tenant = tenant");
        let remove = format!("DELETE FROM {table}");
        let all = within(&mut superuser, None, &read).await.0;
        assert_eq!(all, ["acme", "other"], "{table} has rows of both");
        let all = within(&mut connection, Some("*"), &read).await.0;
        match table.as_str() {
            "tenants" | "sealed_records" | "sealed_versions" | "api_keys" => {
                assert_eq!(all, ["acme", "other"], "{table} concerns the installation");
            }
            _ => assert!(all.is_empty(), "{table}: {all:?}"),
        }
        for of in ["acme", "other"] {
            let seen = within(&mut connection, Some(of), &read).await.0;
            assert_eq!(seen, [of], "{table}");
            for change in [&write, &remove] {
                let changed = within(&mut connection, Some(of), change).await.1;
                let own = format!("SELECT 'x' FROM {table}");
                let own = within(&mut connection, Some(of), &own).await.0.len();
                assert_eq!(usize::try_from(changed).unwrap(), own, "{table}");
            }
        }
        for scope in [None, Some(""), Some("nobody"), Some("ACME")] {
            let seen = within(&mut connection, scope, &read).await.0;
            assert!(seen.is_empty(), "{table} {scope:?}: {seen:?}");
            for change in [&write, &remove] {
                let changed = within(&mut connection, scope, change).await.1;
                assert_eq!(changed, 0, "{table} {scope:?}");
            }
        }
        // Whoever sees every tenant changes none.
        for change in [&write, &remove] {
            assert_eq!(within(&mut connection, Some("*"), change).await.1, 0);
        }
    }
}

#[tokio::test]
async fn no_row_is_given_to_another_tenant() {
    let database = Database::create();
    let _store = filled(&database).await;
    let mut connection = PgConnection::connect(database.url()).await.unwrap();
    for table in tables(&mut connection).await {
        for scope in ["acme", "*", ""] {
            let mut transaction = connection.begin().await.unwrap();
            for sql in [
                format!("CREATE TEMP TABLE kept ON COMMIT DROP AS SELECT * FROM {table} LIMIT 0"),
                "SET LOCAL gatewright.tenant = 'other'".to_owned(),
                format!("INSERT INTO kept SELECT * FROM {table}"),
                "UPDATE kept SET tenant = 'third'".to_owned(),
                format!("SET LOCAL gatewright.tenant = '{scope}'"),
            ] {
                let done = sqlx::query(AssertSqlSafe(sql)).execute(&mut *transaction);
                done.await.unwrap();
            }
            let insert = format!("INSERT INTO {table} SELECT * FROM kept");
            let refused = sqlx::query(AssertSqlSafe(insert))
                .execute(&mut *transaction)
                .await
                .unwrap_err();
            let refused = refused.to_string();
            assert!(refused.contains("row-level security"), "{table}: {refused}");
        }
    }
}

#[tokio::test]
async fn a_user_whom_row_security_does_not_hold_is_refused() {
    let database = Database::create();
    let refused = PostgresStore::open(&database.superuser_url()).await;
    let refused = refused.unwrap_err();
    assert!(
        matches!(&refused, OpenStoreError::BypassesRowSecurity(user) if user == "postgres"),
        "{refused}"
    );
    // Also where such a user puts on somebody else's role for the time being.
    let role = database.url().rsplit('/').next().unwrap().to_owned();
    let disguised = format!("{}?options[role]={role}", database.superuser_url());
    let refused = PostgresStore::open(&disguised).await.unwrap_err();
    assert!(
        matches!(refused, OpenStoreError::BypassesRowSecurity(_)),
        "{refused}"
    );
    database.run_as_superuser(&[&format!("ALTER ROLE {role} BYPASSRLS")]);
    let refused = PostgresStore::open(database.url()).await.unwrap_err();
    assert!(
        matches!(refused, OpenStoreError::BypassesRowSecurity(_)),
        "{refused}"
    );
    // Nothing was made for any of them.
    database.run_as_superuser(&[
        &format!("ALTER ROLE {role} NOBYPASSRLS"),
        "DO $$ BEGIN ASSERT NOT EXISTS (SELECT FROM pg_class WHERE relnamespace = 'public'::regnamespace); END $$",
    ]);
    PostgresStore::open(database.url()).await.unwrap();
}

#[tokio::test]
async fn a_table_without_row_security_is_refused() {
    let database = Database::create();
    let store = filled(&database).await;
    store.close().await;
    for (off, on) in [("DISABLE", "ENABLE"), ("NO FORCE", "FORCE")] {
        let switch = |to: &str| format!("ALTER TABLE api_keys {to} ROW LEVEL SECURITY");
        database.run_as_superuser(&[&switch(off)]);
        let refused = PostgresStore::open(database.url()).await.unwrap_err();
        assert!(
            matches!(&refused, OpenStoreError::RowSecurityOff(table) if table == "api_keys"),
            "{refused}"
        );
        database.run_as_superuser(&[&switch(on)]);
        PostgresStore::open(database.url()).await.unwrap();
    }
}

#[tokio::test]
async fn needed_master_keys_are_those_of_every_tenant() {
    let database = Database::create();
    let store = PostgresStore::open(database.url()).await.unwrap();
    assert!(store.needed_master_keys().await.unwrap().is_empty());
    for (of, key) in [("acme", "k1"), ("other", "k2")] {
        let mut record = api_keys::record(1);
        record.mac.key = key.to_owned();
        store.insert(&tenant(of), &record).await.unwrap();
    }
    let needed = store.needed_master_keys().await.unwrap();
    assert!(needed.iter().eq(["k1", "k2"]), "{needed:?}");
}
