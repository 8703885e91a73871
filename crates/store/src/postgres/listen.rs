//! Commits of every process that shares the database, as the server tells of them.

use std::{sync::Arc, time::Duration};

use gatewright_core::TenantId;
use gatewright_directory::records::Revision;
use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgListener, PgPoolOptions},
};
use tokio::time;

use super::PATIENCE;
use crate::announcer::Announcer;

/// What the trigger on `tenants` writes to.
const CHANNEL: &str = "gatewright_commits";
/// How often a silent server is asked whether it is still there.
const SILENCE: Duration = Duration::from_secs(5);
/// How long to leave a server alone that does not answer.
const PAUSE: Duration = Duration::from_millis(500);

/// A connection on which every commit from now on is told.
pub(super) struct Listening {
    listener: PgListener,
    // Of one connection, which a new listener does not wait for.
    _pool: PgPool,
}

pub(super) async fn listen(options: &PgConnectOptions) -> Result<Listening, sqlx::Error> {
    let connected = async {
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .acquire_timeout(PATIENCE)
            .connect_with(options.clone())
            .await?;
        let mut listener = PgListener::connect_with(&pool).await?;
        listener.eager_reconnect(false);
        listener.listen(CHANNEL).await?;
        Ok(Listening {
            listener,
            _pool: pool,
        })
    };
    let connected = time::timeout(PATIENCE, connected).await;
    connected.unwrap_or_else(|_elapsed| Err(super::too_slow()))
}

/// Announces for ever what it hears, and says when something may have been missed: when the connection ends, and again when
/// there is a new one.
pub(super) async fn announce(
    mut listening: Listening,
    options: PgConnectOptions,
    announcer: Arc<Announcer>,
) {
    loop {
        // Always an error: this ends by being stopped.
        let _why = announce_until_it_fails(&mut listening.listener, &announcer).await;
        announcer.missed();
        listening = loop {
            match listen(&options).await {
                Ok(again) => break again,
                Err(_still_gone) => time::sleep(PAUSE).await,
            }
        };
        announcer.missed();
    }
}

async fn announce_until_it_fails(
    listener: &mut PgListener,
    announcer: &Announcer,
) -> Result<(), sqlx::Error> {
    loop {
        match time::timeout(SILENCE, listener.try_recv()).await {
            Ok(Ok(Some(told))) => match commit(told.payload()) {
                Some((tenant, revision)) => announcer.committed(&tenant, revision),
                // Nothing of ours says so.
                None => announcer.missed(),
            },
            Ok(Ok(None)) => return Ok(()),
            Ok(Err(error)) => return Err(error),
            Err(_silent) => {
                let asked = sqlx::query("SELECT 1").execute(&mut *listener);
                let answered = time::timeout(PATIENCE, asked).await;
                answered.unwrap_or_else(|_elapsed| Err(super::too_slow()))?;
            }
        }
    }
}

/// `<tenant> <revision>`
fn commit(told: &str) -> Option<(TenantId, Revision)> {
    let (tenant, revision) = told.split_once(' ')?;
    Some((
        TenantId::new(tenant).ok()?,
        Revision(revision.parse().ok()?),
    ))
}
