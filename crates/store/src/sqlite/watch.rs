//! Commits of other processes, which nobody tells this one of.

use std::{sync::Arc, time::Duration};

use gatewright_core::TenantId;
use gatewright_directory::records::{RecordsError, Revision};
use sqlx::{Connection as _, SqliteConnection, SqlitePool, sqlite::SqliteConnectOptions};
use tokio::time;

use crate::{
    announcer::Announcer,
    rows::{self, HeadRow},
};

/// How often the database is asked whether it changed: what another process switches off has to be so within a second.
const EVERY: Duration = Duration::from_millis(100);
/// How long to leave a database alone that does not answer.
const PAUSE: Duration = Duration::from_secs(1);

/// Asks for ever. The question costs a look into shared memory, and only after a change are the heads read.
pub(super) async fn watch(options: SqliteConnectOptions, announcer: Arc<Announcer>) {
    loop {
        // Always an error: this ends by being stopped.
        let _why = watch_until_it_fails(&options, &announcer).await;
        announcer.missed();
        time::sleep(PAUSE).await;
    }
}

async fn watch_until_it_fails(
    options: &SqliteConnectOptions,
    announcer: &Announcer,
) -> Result<(), RecordsError> {
    let mut connection = SqliteConnection::connect_with(options)
        .await
        .map_err(RecordsError::new)?;
    let mut seen = None;
    loop {
        // It counts the changes that were made by other connections than this one.
        let version = sqlx::query_scalar::<_, i64>("PRAGMA data_version")
            .fetch_one(&mut connection)
            .await
            .map_err(RecordsError::new)?;
        if seen != Some(version) {
            for (tenant, revision) in heads(&mut connection).await? {
                announcer.committed(&tenant, revision);
            }
            seen = Some(version);
        }
        time::sleep(EVERY).await;
    }
}

pub(super) async fn heads_of(pool: &SqlitePool) -> Result<Vec<(TenantId, Revision)>, RecordsError> {
    let mut connection = pool.acquire().await.map_err(RecordsError::new)?;
    heads(&mut connection).await
}

async fn heads(
    connection: &mut SqliteConnection,
) -> Result<Vec<(TenantId, Revision)>, RecordsError> {
    let query =
        sqlx::query_as::<_, HeadRow>("SELECT tenant, revision FROM tenants ORDER BY tenant");
    let heads = query
        .fetch_all(connection)
        .await
        .map_err(RecordsError::new)?;
    heads.into_iter().map(rows::head).collect()
}
