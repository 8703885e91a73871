//! What the gateway holds for its callers: stored credentials and API keys, sealed in the database of its data directory.

use std::{path::PathBuf, sync::Arc, time::Duration};

use gatewright_core::Secret;
use gatewright_identity::{ApiKeyRing, ApiKeysError, MacKey, MacKeys};
use gatewright_store::{OpenStoreError, SqliteStore};
use gatewright_vault::{
    EnvironmentKeys, FileKeys, InvalidMasterKey, KeyProvider, MasterKeyId, RotateMasterKeyError,
    SealedVault, UseMasterKeyError,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    config::{MasterKey, Organisation, Settings},
    keys::OpenKeyError,
};

/// How often it is written which API keys were used.
const WRITE_USES: Duration = Duration::from_secs(30);
/// Until the keys of a tenant are read again that could not be.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// Why stored credentials and API keys cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenHoldingsError {
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] OpenStoreError),
    /// The files of the master key cannot be used.
    #[error(transparent)]
    Key(#[from] OpenKeyError),
    /// There is no such variable.
    #[error(
        "`master_key_env` names `{0}`, which is not set: put 32 bytes in base64 there, as `openssl rand -base64 32` makes them"
    )]
    NoVariable(String),
    /// It holds no key.
    #[error("the variable `{variable}`: {source}")]
    Variable {
        /// Which.
        variable: String,
        /// Why.
        source: InvalidMasterKey,
    },
    /// The master key does nothing.
    #[error(transparent)]
    MasterKey(#[from] UseMasterKeyError),
    /// The API keys cannot be read.
    #[error(transparent)]
    ApiKeys(#[from] ApiKeysError),
}

/// Clones are the same.
#[derive(Clone)]
pub(crate) struct Holdings {
    pub(crate) vault: SealedVault,
    pub(crate) keys: ApiKeyRing,
    masters: Arc<dyn KeyProvider>,
    store: SqliteStore,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Holdings {
    pub(crate) async fn open(
        settings: &Settings,
        organisation: &Organisation,
    ) -> Result<Self, OpenHoldingsError> {
        let masters = master_keys(settings)?;
        let macs = mac_keys(&*masters).await?;
        let store = SqliteStore::open(&database(settings)).await?;
        let keys = ApiKeyRing::new(store.clone(), macs);
        for tenant in &organisation.tenants {
            keys.load(&tenant.id).await?;
        }
        let holdings = Self {
            vault: SealedVault::new(store.clone(), Arc::clone(&masters)),
            masters,
            keys,
            store,
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        };
        holdings.replace(organisation);
        let stopped = holdings.stop.clone().cancelled_owned();
        let uses = holdings.keys.clone().write_uses_every(WRITE_USES, stopped);
        holdings.tasks.spawn(uses);
        Ok(holdings)
    }

    /// Another organisation is in force. The keys of a tenant that is new are refused until they are read.
    pub(crate) fn replace(&self, organisation: &Organisation) {
        let tenants = organisation.tenants.iter();
        let allow = tenants.filter(|tenant| tenant.people_keys);
        self.keys
            .allow_people(allow.map(|tenant| tenant.id.clone()));
        for tenant in &organisation.tenants {
            let (keys, tenant) = (self.keys.clone(), tenant.id.clone());
            let loads = async move {
                while let Err(error) = keys.load(&tenant).await {
                    tracing::error!(%tenant, %error, "the API keys of a tenant cannot be read, and are refused");
                    tokio::time::sleep(TRY_AGAIN).await;
                }
            };
            let stop = self.stop.clone();
            self.tasks
                .spawn(async move { stop.run_until_cancelled(loads).await });
        }
    }

    /// Makes a new master key; API keys, too, are made under it from now on.
    pub(crate) async fn rotate_master_key(&self) -> Result<MasterKeyId, RotateMasterKeyError> {
        let made = self.masters.rotate().await?;
        let macs = mac_keys(&*self.masters).await;
        self.keys
            .replace_macs(macs.map_err(|error| RotateMasterKeyError::Failed(error.into()))?);
        Ok(made)
    }

    /// Waits for changes that began, writes what is still to be written, and lets go of the database.
    pub(crate) async fn close(&self) {
        self.stop.cancel();
        for tasks in [&self.tasks, self.vault.tasks(), self.keys.tasks()] {
            tasks.close();
            tasks.wait().await;
        }
        self.store.close().await;
    }
}

/// The keys that API keys are hashed under, of each master key one.
async fn mac_keys(masters: &dyn KeyProvider) -> Result<MacKeys, UseMasterKeyError> {
    let derived = masters.derive("api-keys").await?.into_iter();
    let macs: Vec<MacKey> = derived
        .map(|derived| MacKey {
            id: derived.master.to_string(),
            key: derived.key,
        })
        .collect();
    let Some((current, older)) = macs.split_first() else {
        let nothing = "the key provider has no key".into();
        return Err(UseMasterKeyError::Unavailable(nothing));
    };
    Ok(MacKeys::new(current, older))
}

/// Where stored credentials and API keys are, sealed.
fn database(settings: &Settings) -> PathBuf {
    settings.data_dir.join("gatewright.db")
}

fn master_keys(settings: &Settings) -> Result<Arc<dyn KeyProvider>, OpenHoldingsError> {
    let variable = match &settings.master_key {
        MasterKey::File => return Ok(Arc::new(FileKeys::open(&settings.key_dir)?)),
        MasterKey::Environment(variable) => variable,
    };
    #[expect(clippy::disallowed_methods, reason = "this is the binary")]
    let value = std::env::var(variable)
        .map(Secret::new)
        .map_err(|_unset| OpenHoldingsError::NoVariable(variable.clone()))?;
    let keys = EnvironmentKeys::parse(&value);
    Ok(Arc::new(keys.map_err(|source| {
        OpenHoldingsError::Variable {
            variable: variable.clone(),
            source,
        }
    })?))
}
