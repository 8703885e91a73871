//! Commits of every process that shares the database, as the server tells of them.

use std::{sync::Arc, time::Duration};

use gatewright_core::{ServerName, TenantId};
use gatewright_directory::records::Revision;
use gatewright_identity::ApiKeyId;
use gatewright_vault::RecordKey;
use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgListener, PgNotification, PgPoolOptions},
};
use tokio::time::{self, Instant};

use super::{PATIENCE, in_time};
use crate::announcer::{Announcer, KeyEvent};

/// What the trigger on `tenants` writes to.
const COMMITS: &str = "gatewright_commits";
/// What the triggers on `sealed_records` and `api_keys` write to.
const KEYS: &str = "gatewright_keys";
/// How often a silent server is asked whether it is still there.
const SILENCE: Duration = Duration::from_secs(5);
/// How long to leave a server alone that does not answer.
const PAUSE: Duration = Duration::from_millis(500);
/// Where there is no connection to listen on, it is said so often that something may have been missed: others look then, by
/// connections that may still work.
const MEANWHILE: Duration = Duration::from_secs(5);

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
        listener.listen_all([COMMITS, KEYS]).await?;
        Ok(Listening {
            listener,
            _pool: pool,
        })
    };
    in_time(PATIENCE, connected).await
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
        let mut said = Instant::now();
        listening = loop {
            match listen(&options).await {
                Ok(again) => break again,
                Err(_still_gone) => time::sleep(PAUSE).await,
            }
            if said.elapsed() >= MEANWHILE {
                announcer.missed();
                said = Instant::now();
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
            Ok(Ok(Some(told))) => {
                if announced(&told, announcer).is_none() {
                    // Nothing of ours says so.
                    announcer.missed();
                }
            }
            Ok(Ok(None)) => return Ok(()),
            Ok(Err(error)) => return Err(error),
            Err(_silent) => {
                let asked = sqlx::query("SELECT 1").execute(&mut *listener);
                in_time(PATIENCE, asked).await?;
            }
        }
    }
}

fn announced(told: &PgNotification, announcer: &Announcer) -> Option<()> {
    if told.channel() == KEYS {
        announcer.key_changed(key(told.payload())?);
    } else {
        let (tenant, revision) = commit(told.payload())?;
        announcer.committed(&tenant, revision);
    }
    Some(())
}

/// `api-key <tenant> <id>`, `credential <tenant> <server> <owner>` or `credentials <tenant>`
fn key(told: &str) -> Option<KeyEvent> {
    let (what, of) = told.split_once(' ')?;
    let (tenant, at) = of.split_once(' ').unwrap_or((of, ""));
    let tenant = TenantId::new(tenant).ok()?;
    Some(match what {
        "api-key" => KeyEvent::ApiKey(tenant, ApiKeyId::parse(at).ok()?),
        "credentials" if at.is_empty() => KeyEvent::Credentials(tenant),
        "credential" => {
            let (server, owner) = at.split_once(' ')?;
            let key = RecordKey {
                owner: owner.parse().ok()?,
                server: ServerName::new(server).ok()?,
            };
            KeyEvent::Credential(tenant, key)
        }
        _unknown => return None,
    })
}

/// `<tenant> <revision>`
fn commit(told: &str) -> Option<(TenantId, Revision)> {
    let (tenant, revision) = told.split_once(' ')?;
    Some((
        TenantId::new(tenant).ok()?,
        Revision(revision.parse().ok()?),
    ))
}
