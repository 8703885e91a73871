//! What has to be so at the server for tenants to be kept apart.

use sqlx::PgPool;

use crate::OpenStoreError;

/// The oldest that its makers still mend.
const OLDEST: i32 = 140_000;

/// Before anything is written.
pub(super) async fn server_is_fit(database: &PgPool) -> Result<(), OpenStoreError> {
    let query = sqlx::query_as::<_, (i32, String, Option<String>)>(
        "SELECT current_setting('server_version_num')::int, current_setting('server_encoding'), \
         (SELECT min(rolname::text) FROM pg_roles \
          WHERE rolname IN (current_user, session_user) AND (rolsuper OR rolbypassrls))",
    );
    let (version, encoding, bypassing) = query
        .fetch_one(database)
        .await
        .map_err(|error| OpenStoreError::Database(error.into()))?;
    if version < OLDEST {
        let why = format!("its version is {}, and 14 is needed", version / 10_000);
        return Err(OpenStoreError::Unfit(why));
    }
    if encoding != "UTF8" {
        let why = format!("the database's encoding is {encoding}: make one with UTF8");
        return Err(OpenStoreError::Unfit(why));
    }
    match bypassing {
        Some(user) => Err(OpenStoreError::BypassesRowSecurity(user)),
        None => Ok(()),
    }
}

/// After the tables were made: each but the migrator's own is under row-level security, its owner included.
pub(super) async fn tenants_are_kept_apart(database: &PgPool) -> Result<(), OpenStoreError> {
    let query = sqlx::query_scalar::<_, Option<String>>(
        "SELECT min(relname::text) FROM pg_class \
         WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p') \
         AND relname <> '_sqlx_migrations' AND NOT (relrowsecurity AND relforcerowsecurity)",
    );
    let open = query
        .fetch_one(database)
        .await
        .map_err(|error| OpenStoreError::Database(error.into()))?;
    match open {
        Some(table) => Err(OpenStoreError::RowSecurityOff(table)),
        None => Ok(()),
    }
}
