//! What the gateway holds for its callers: stored credentials and API keys, sealed in the database of the installation.

mod follow;

use std::{
    collections::HashSet,
    path::PathBuf,
    sync::{Arc, PoisonError},
    time::Duration,
};

use gatewright_core::{Secret, TenantId};
use gatewright_identity::{ApiKeyRing, ApiKeysError, MacKey, MacKeys};
use gatewright_store::Store;
use gatewright_vault::{
    EnvironmentKeys, FileKeys, InvalidMasterKey, KeyProvider, MasterKeyId, RecordsError,
    RotateMasterKeyError, SealedVault, UseMasterKeyError,
};
use tokio::sync::Mutex;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    config::{MasterKey, Settings, Tenant},
    keys::OpenKeyError,
};

/// How often it is written which API keys were used.
const WRITE_USES: Duration = Duration::from_secs(30);
/// How often secrets that nobody uses any more are taken out of the memory.
const FORGET_IDLE: Duration = Duration::from_secs(60);
/// Until the keys of a tenant are read again that could not be.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// Why stored credentials and API keys cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenHoldingsError {
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
    /// There is no master key, and what is stored needs some: a new one would open nothing of it.
    #[error(
        "`{}` holds no master key, and what is in {database} needs {}: put its files back there (is the volume mounted?); where \
         they are lost for good, move the database away, store the credentials again and make new API keys",
        dir.display(), needed.join(", ")
    )]
    NoMasterKey {
        /// Where they are to be.
        dir: PathBuf,
        /// What needs them.
        database: String,
        /// The names of those that are needed.
        needed: Vec<String>,
    },
    /// The master keys are others than those of the processes that share the database.
    #[error(
        "what is in {database} needs the master key {}, and {there} has none of these: every replica needs the same master \
         keys; copy the files `master-*.key` of another replica's `key_dir`, or give all of them the same `master_key_env`",
        needed.join(", ")
    )]
    OtherMasterKeys {
        /// Where keys are.
        there: String,
        /// What needs others.
        database: String,
        /// The names of those that are needed.
        needed: Vec<String>,
    },
    /// It cannot be read which master keys are needed.
    #[error("it cannot be read which master keys are needed: {0}")]
    Records(#[from] RecordsError),
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
    rotating: Arc<Mutex<()>>,
    store: Store,
    /// The tenants whose keys were read, or are tried to.
    loaded: Arc<std::sync::Mutex<HashSet<TenantId>>>,
    max_staleness: Duration,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Holdings {
    /// Over the store of the installation, of which these are the tenants.
    pub(crate) async fn open(
        settings: &Settings,
        store: Store,
        tenants: &[TenantId],
    ) -> Result<Self, OpenHoldingsError> {
        // Before anything is read: what changes meanwhile is heard of.
        let events = store.key_events();
        let masters = master_keys(settings, &store).await?;
        if let Store::Postgres(_) = store {
            of_this_installation(settings, &store, &*masters).await?;
        }
        let macs = mac_keys(&*masters).await?;
        let keys = ApiKeyRing::new(store.clone(), macs);
        for tenant in tenants {
            keys.load(tenant).await?;
        }
        let holdings = Self {
            vault: SealedVault::new(store.clone(), Arc::clone(&masters)),
            masters,
            rotating: Arc::default(),
            keys,
            store,
            loaded: Arc::new(std::sync::Mutex::new(tenants.iter().cloned().collect())),
            max_staleness: settings.database.max_staleness,
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        };
        let stopped = holdings.stop.clone().cancelled_owned();
        let uses = holdings.keys.clone().write_uses_every(WRITE_USES, stopped);
        holdings.tasks.spawn(uses);
        let (follows, stop) = (holdings.clone(), holdings.stop.clone());
        let follows = async move { stop.run_until_cancelled(follows.follow(events)).await };
        holdings.tasks.spawn(follows);
        let (vault, stop) = (holdings.vault.clone(), holdings.stop.clone());
        let forgets = async move {
            loop {
                tokio::time::sleep(FORGET_IDLE).await;
                vault.forget_idle();
            }
        };
        let forgets = async move { stop.run_until_cancelled(forgets).await };
        holdings.tasks.spawn(forgets);
        Ok(holdings)
    }

    /// These tenants are in force. The keys of one that is new are refused until they are read.
    pub(crate) fn replace<'a>(&self, tenants: impl IntoIterator<Item = &'a Tenant>) {
        let mut allow = Vec::new();
        for tenant in tenants {
            if tenant.people_keys {
                allow.push(tenant.id.clone());
            }
            let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
            if loaded.insert(tenant.id.clone()) {
                self.load(tenant.id.clone());
            }
        }
        self.keys.allow_people(allow);
    }

    fn load_again(&self) {
        let loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        for tenant in loaded.iter() {
            self.load(tenant.clone());
        }
        drop(loaded);
        self.vault.forget_all();
    }

    fn load(&self, tenant: TenantId) {
        let keys = self.keys.clone();
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

    /// Makes a new master key; API keys, too, are made under it from now on.
    pub(crate) async fn rotate_master_key(&self) -> Result<MasterKeyId, RotateMasterKeyError> {
        // Otherwise the keys of an earlier rotation could come in force after those of a later one.
        let _one_at_a_time = self.rotating.lock().await;
        let made = self.masters.rotate().await?;
        let macs = mac_keys(&*self.masters).await;
        let macs = macs.map_err(|error| RotateMasterKeyError::Failed(error.into()))?;
        self.keys.replace_macs(macs).await;
        Ok(made)
    }

    /// Takes master keys that were made elsewhere.
    async fn look_for_master_keys(&self) -> Result<(), UseMasterKeyError> {
        let _one_at_a_time = self.rotating.lock().await;
        if self.masters.look_again().await? {
            self.keys
                .replace_macs(mac_keys(&*self.masters).await?)
                .await;
            tracing::info!(master_key = %self.masters.current(), "other master keys are there");
        }
        Ok(())
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

/// Where everything of the installation is but the log and the keys, if that is a file.
pub(crate) fn database(settings: &Settings) -> PathBuf {
    settings.data_dir.join("gatewright.db")
}

/// The master keys of the key directory. The first one is made where nothing needs another: a directory that is empty because
/// its volume is not there gets none.
async fn file_keys(settings: &Settings, store: &Store) -> Result<FileKeys, OpenHoldingsError> {
    let dir = &settings.key_dir;
    if let Some(there) = FileKeys::open_existing(dir)? {
        return Ok(there);
    }
    let needed = store.needed_master_keys().await?;
    if needed.is_empty() {
        return Ok(FileKeys::open(dir)?);
    }
    Err(OpenHoldingsError::NoMasterKey {
        dir: dir.clone(),
        database: called(settings, store),
        needed: needed.into_iter().collect(),
    })
}

/// What to call the database.
fn called(settings: &Settings, store: &Store) -> String {
    match store {
        Store::Sqlite(_) => format!("`{}`", database(settings).display()),
        Store::Postgres(_) => "the database".to_owned(),
    }
}

/// Another directory of keys than that of the processes which share the database would seal what none of them can open.
async fn of_this_installation(
    settings: &Settings,
    store: &Store,
    masters: &dyn KeyProvider,
) -> Result<(), OpenHoldingsError> {
    let needed = store.needed_master_keys().await?;
    let ours = masters.derive("api-keys").await?;
    let have = |needed: &String| ours.iter().any(|key| key.master.as_str() == needed);
    let (here, missing): (Vec<String>, Vec<String>) = needed.into_iter().partition(have);
    if missing.is_empty() {
        return Ok(());
    }
    if here.is_empty() {
        return Err(OpenHoldingsError::OtherMasterKeys {
            there: match &settings.master_key {
                MasterKey::File => format!("`{}`", settings.key_dir.display()),
                MasterKey::Environment(variable) => format!("the variable `{variable}`"),
            },
            database: called(settings, store),
            needed: missing,
        });
    }
    let missing = missing.join(", ");
    tracing::warn!(%missing, "some of what is stored needs master keys that are not here, and is refused");
    Ok(())
}

async fn master_keys(
    settings: &Settings,
    store: &Store,
) -> Result<Arc<dyn KeyProvider>, OpenHoldingsError> {
    let variable = match &settings.master_key {
        MasterKey::File => return Ok(Arc::new(file_keys(settings, store).await?)),
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

#[cfg(test)]
mod tests {
    use std::fs;

    use gatewright_core::{CredentialOwner, ServerName};
    use gatewright_store::SqliteStore;
    use gatewright_vault::RecordKey;

    use super::*;

    #[tokio::test]
    async fn where_the_master_keys_are_gone_no_other_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let settings = Settings::parse("public_url = 'https://gw.example'", dir.path()).unwrap();
        let store = SqliteStore::open(&database(&settings)).await.unwrap();
        let store = Store::from(store);
        let first = Arc::new(file_keys(&settings, &store).await.unwrap());
        // Nothing is under it yet, so another one does as well.
        let file = settings.key_dir.join("master-0001.key");
        fs::remove_file(&file).unwrap();
        let keys = Arc::new(file_keys(&settings, &store).await.unwrap());
        assert_ne!(keys.current(), first.current());

        let vault = SealedVault::new(store.clone(), Arc::clone(&keys));
        let key = RecordKey {
            owner: CredentialOwner::Shared,
            server: ServerName::new("wiki").unwrap(),
        };
        let secret = Secret::new("s".to_owned());
        vault.put(&TenantId::default(), key, secret).await.unwrap();
        let kept = fs::read(&file).unwrap();
        fs::remove_file(&file).unwrap();
        let refused = file_keys(&settings, &store).await.unwrap_err().to_string();
        assert!(refused.contains(keys.current().as_str()), "{refused}");
        assert!(refused.contains("put its files back"), "{refused}");
        assert_eq!(fs::read_dir(&settings.key_dir).unwrap().count(), 0);

        // What only its owner can read is taken again.
        drop(FileKeys::open(&settings.key_dir).unwrap());
        fs::write(&file, kept).unwrap();
        let again = file_keys(&settings, &store).await.unwrap();
        assert_eq!(again.current(), keys.current());
    }
}
