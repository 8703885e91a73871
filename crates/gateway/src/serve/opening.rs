//! What a gateway stands on: its database, its directory, its log.

use std::path::PathBuf;

use gatewright_audit::{OpenLogError, SegmentFiles};
use gatewright_console::Authority;
use gatewright_core::{Actor, TenantId};
use gatewright_directory::{ChangeError, Directory, model::Tenant};
use gatewright_store::{PostgresStore, SqliteStore, Store};

use super::StartError;
use crate::{config::Settings, holdings, serving::Servable};

/// The directory, with one tenant at least. Who is in none of them is refused.
pub(super) async fn open_directory(
    settings: &Settings,
    store: &Store,
    log: &SegmentFiles,
    authority: Authority,
) -> Result<Directory, StartError> {
    let directory = Directory::builder(store.clone(), log.clone())
        .check(Servable(settings.clone()))
        .authorise(authority)
        .max_staleness(settings.database.max_staleness)
        .open()
        .await?;
    if directory.tenants().is_empty() {
        let by = Actor::Gateway("first-start");
        let tenant = TenantId::default();
        let made = directory.create_tenant(by, &tenant, Tenant::default());
        match made.await {
            // Another process that started at the same time has made it.
            Ok(_) | Err(ChangeError::Exists { .. }) => {}
            Err(error) => return Err(StartError::FirstTenant(error)),
        }
    }
    Ok(directory)
}

/// The database that the settings name.
pub(super) async fn open_store(settings: &Settings) -> Result<Store, StartError> {
    Ok(match settings.database.url()? {
        None => SqliteStore::open(&holdings::database(settings))
            .await?
            .into(),
        Some(url) => PostgresStore::open(url.expose()).await?.into(),
    })
}

pub(super) fn open_log(settings: &Settings) -> Result<SegmentFiles, StartError> {
    let dir = audit_dir(settings);
    let builder = SegmentFiles::builder(&dir).writer(&settings.database.replica()?);
    builder
        .checkpoint_key(checkpoint_key(settings))
        .open()
        .map_err(|source| match source {
            OpenLogError::InUse { .. } => StartError::AuditInUse(dir),
            source => StartError::Audit { dir, source },
        })
}

/// Where the audit log of a gateway with these settings is.
pub(crate) fn audit_dir(settings: &Settings) -> PathBuf {
    settings.data_dir.join("audit")
}

/// The key that signs its checkpoints: not where who can write the log could read it.
pub(crate) fn checkpoint_key(settings: &Settings) -> PathBuf {
    settings.key_dir.join("checkpoint.pem")
}
