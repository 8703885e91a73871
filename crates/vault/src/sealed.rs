//! The vault that holds credentials sealed in a storage, and those in use in memory.

mod gone;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use gatewright_core::{
    Clock, CredentialOwner, Secret, ServerName, SystemClock, TenantId, Timestamp,
};
use moka::sync::Cache;
use tokio::sync::RwLock;
use tokio_util::task::TaskTracker;

use crate::{
    Credential, KeyProvider, MasterKeyId, OpenEnvelopeError, RecordKey, RecordsError, SealedRecord,
    SealedRecords, TokenVault, UseMasterKeyError, VaultError,
    envelope::{self, Place},
};

/// The longest secret, in bytes.
const LONGEST: usize = 64 << 10;
/// Memory for credentials in use, in bytes.
const CACHE_BYTES: u64 = 32 << 20;
/// What an entry takes besides its secret, generously.
const ENTRY_BYTES: usize = 512;
/// A secret that nobody uses leaves the memory.
const IDLE: Duration = Duration::from_secs(15 * 60);
/// Records that are rewrapped at a time.
const PAGE: u32 = 256;

/// Why a credential was not stored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PutCredentialError {
    /// There is nothing to store.
    #[error("the secret is empty")]
    Empty,
    /// It is larger than any key or token.
    #[error("the secret is longer than {LONGEST} bytes")]
    TooLong,
    /// It cannot be sealed.
    #[error(transparent)]
    Key(#[from] UseMasterKeyError),
    /// It cannot be stored.
    #[error("the credential cannot be stored: {0}")]
    Records(#[from] RecordsError),
    /// The task that stores it ended before it was done; whether it did is not known.
    #[error("the credential may not have been stored: store it again")]
    Interrupted,
}

/// A stored credential, as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Whose it is.
    pub owner: CredentialOwner,
    /// Where it is used.
    pub server: ServerName,
    /// Of the secret.
    pub version: u64,
    /// When it was stored.
    pub stored_at: Timestamp,
    /// The master key that it needs; `None` where what is stored is no credential of ours.
    pub master_key: Option<MasterKeyId>,
}

/// What a change of the master key did to a tenant's credentials.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rewrapped {
    /// How many are under the current master key now and were not before.
    pub rewrapped: u64,
    /// Those that did not open, and stay as they are.
    pub unreadable: Vec<RecordKey>,
}

/// A [`TokenVault`] over sealed records. Clones are the same vault.
///
/// Credentials in use stay in memory; every change through this vault is effective in the next call, whatever was
/// remembered before.
#[derive(Clone)]
pub struct SealedVault(Arc<Inner>);

struct Inner {
    records: Box<dyn SealedRecords>,
    keys: Box<dyn KeyProvider>,
    clock: Box<dyn Clock>,
    warm: Cache<(TenantId, RecordKey), Option<Credential>>,
    /// How many changes there were. Whoever read the storage before a change remembers nothing of it.
    changes: Mutex<u64>,
    tasks: TaskTracker,
    /// Held for reading from the seal of a record until it is written. Whoever had it for writing after a new master key came
    /// knows that no record is written under an older one any more.
    writes: RwLock<()>,
}

impl SealedVault {
    /// A vault over these records and keys.
    #[must_use]
    pub fn new(records: impl SealedRecords, keys: impl KeyProvider) -> Self {
        Self::with_clock(records, keys, SystemClock)
    }

    /// The same on another clock.
    #[must_use]
    pub fn with_clock(
        records: impl SealedRecords,
        keys: impl KeyProvider,
        clock: impl Clock,
    ) -> Self {
        let warm = Cache::builder()
            .max_capacity(CACHE_BYTES)
            .weigher(|_, credential: &Option<Credential>| {
                let secret = credential
                    .as_ref()
                    .map_or(0, |credential| credential.secret.expose().len());
                u32::try_from(secret + ENTRY_BYTES).unwrap_or(u32::MAX)
            })
            .time_to_idle(IDLE)
            .build();
        Self(Arc::new(Inner {
            records: Box::new(records),
            keys: Box::new(keys),
            clock: Box::new(clock),
            warm,
            changes: Mutex::new(0),
            tasks: TaskTracker::new(),
            writes: RwLock::new(()),
        }))
    }

    /// The tasks that changes run in: a change that began is finished also when whoever asked for it has gone. A process
    /// waits for them before it ends.
    #[must_use]
    pub fn tasks(&self) -> &TaskTracker {
        &self.0.tasks
    }

    /// Takes out of the memory what nobody used for a while. To be called every so often: where nothing is asked, nothing
    /// is looked after.
    pub fn forget_idle(&self) {
        self.0.warm.run_pending_tasks();
    }

    /// The master key that is the current one.
    #[must_use]
    pub fn master_key(&self) -> MasterKeyId {
        self.0.keys.current()
    }

    /// Stores a secret in the place of the one that is there, and gives its version. The next call goes with it.
    ///
    /// # Errors
    /// [`PutCredentialError`] when it is not stored.
    pub async fn put(
        &self,
        tenant: &TenantId,
        key: RecordKey,
        secret: Secret,
    ) -> Result<u64, PutCredentialError> {
        match secret.expose().len() {
            0 => return Err(PutCredentialError::Empty),
            length if length > LONGEST => return Err(PutCredentialError::TooLong),
            _ => {}
        }
        let (inner, tenant) = (Arc::clone(&self.0), tenant.clone());
        let stored = self
            .0
            .tasks
            .spawn(async move { inner.put(tenant, key, &secret).await });
        stored
            .await
            .map_err(|_ended| PutCredentialError::Interrupted)?
    }

    /// Removes a credential, and says whether there was one. The next call goes without it.
    ///
    /// # Errors
    /// [`VaultError`] when the storage does not answer.
    pub async fn remove(&self, tenant: &TenantId, key: RecordKey) -> Result<bool, VaultError> {
        let (inner, tenant) = (Arc::clone(&self.0), tenant.clone());
        let removed = self.0.tasks.spawn(async move {
            let _forgets = inner.forgets(&tenant, &key);
            inner.records.remove(&tenant, &key).await
        });
        removed
            .await
            .map_err(|ended| VaultError::Unavailable(ended.into()))?
            .map_err(unavailable)
    }

    /// At most `limit` credentials of a tenant in a steady order, those after `after`. Never a secret.
    ///
    /// # Errors
    /// [`VaultError`] when the storage does not answer.
    pub async fn list(
        &self,
        tenant: &TenantId,
        after: Option<&RecordKey>,
        limit: u32,
    ) -> Result<Vec<Connection>, VaultError> {
        let page = self.0.records.page(tenant, after, limit).await;
        let connection = |(key, record): (RecordKey, SealedRecord)| Connection {
            owner: key.owner,
            server: key.server,
            version: record.version,
            stored_at: record.stored_at,
            master_key: envelope::master(&record.envelope),
        };
        Ok(page
            .map_err(unavailable)?
            .into_iter()
            .map(connection)
            .collect())
    }

    /// Puts every credential of a tenant under the current master key, without opening it. Calls go on meanwhile.
    ///
    /// # Errors
    /// [`VaultError`] when the storage or the key provider does not answer; what was done until then stays.
    pub async fn rewrap(&self, tenant: &TenantId) -> Result<Rewrapped, VaultError> {
        drop(self.0.writes.write().await);
        let mut done = Rewrapped::default();
        let mut after = None;
        loop {
            let page = self.0.records.page(tenant, after.as_ref(), PAGE).await;
            let page = page.map_err(unavailable)?;
            let Some((last, _)) = page.last() else {
                return Ok(done);
            };
            after = Some(last.clone());
            for (key, record) in page {
                self.0.rewrap(tenant, key, &record, &mut done).await?;
            }
        }
    }
}

impl Inner {
    async fn put(
        &self,
        tenant: TenantId,
        key: RecordKey,
        secret: &Secret,
    ) -> Result<u64, PutCredentialError> {
        let _seals = self.writes.read().await;
        let version = self.records.next_version(&tenant).await?;
        let envelope = envelope::seal(&*self.keys, &place(&tenant, &key, version), secret).await?;
        let record = SealedRecord {
            version,
            stored_at: self.clock.now(),
            envelope,
        };
        let _forgets = self.forgets(&tenant, &key);
        // Where a later one is there already, this one was in force before it.
        self.records.write(&tenant, &key, &record).await?;
        Ok(version)
    }

    async fn rewrap(
        &self,
        tenant: &TenantId,
        key: RecordKey,
        record: &SealedRecord,
        done: &mut Rewrapped,
    ) -> Result<(), VaultError> {
        let place = place(tenant, &key, record.version);
        match envelope::rewrap(&*self.keys, &place, &record.envelope).await {
            Ok(None) => Ok(()),
            Ok(Some(envelope)) => {
                let version = record.version;
                let replaced = self
                    .records
                    .replace_envelope(tenant, &key, version, &envelope);
                // One that was changed meanwhile is under the current key by that.
                done.rewrapped += u64::from(replaced.await.map_err(unavailable)?);
                Ok(())
            }
            Err(OpenEnvelopeError::Key(UseMasterKeyError::Unavailable(source))) => {
                Err(VaultError::Unavailable(source))
            }
            Err(_unreadable) => {
                done.unreadable.push(key);
                Ok(())
            }
        }
    }

    async fn read(
        &self,
        tenant: &TenantId,
        key: &RecordKey,
    ) -> Result<Option<Credential>, VaultError> {
        let Some(record) = self.records.read(tenant, key).await.map_err(unavailable)? else {
            return Ok(None);
        };
        let place = place(tenant, key, record.version);
        let secret = envelope::open(&*self.keys, &place, &record.envelope).await;
        let secret = secret.map_err(|error| match error {
            OpenEnvelopeError::Key(UseMasterKeyError::Unavailable(source)) => {
                VaultError::Unavailable(source)
            }
            error => VaultError::Unreadable(error.into()),
        })?;
        Ok(Some(Credential {
            secret,
            version: record.version,
        }))
    }

    fn forgets<'a>(&'a self, tenant: &'a TenantId, key: &'a RecordKey) -> Forgets<'a> {
        Forgets {
            vault: self,
            tenant,
            key,
        }
    }

    fn changes(&self) -> u64 {
        *self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers what was read, unless something changed since.
    fn remember(
        &self,
        seen: u64,
        tenant: TenantId,
        key: RecordKey,
        credential: Option<Credential>,
    ) {
        let changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        if *changes == seen {
            self.warm.insert((tenant, key), credential);
        }
    }
}

/// Forgets what is remembered of a place once it was changed, also where nobody knows whether it was.
struct Forgets<'a> {
    vault: &'a Inner,
    tenant: &'a TenantId,
    key: &'a RecordKey,
}

impl Drop for Forgets<'_> {
    fn drop(&mut self) {
        let changes = &self.vault.changes;
        let mut changes = changes.lock().unwrap_or_else(PoisonError::into_inner);
        *changes = changes.wrapping_add(1);
        let warm = &self.vault.warm;
        warm.invalidate(&(self.tenant.clone(), self.key.clone()));
        drop(changes);
        // The cache has no thread of its own: what is removed would stay until some later read.
        warm.run_pending_tasks();
    }
}

#[async_trait]
impl TokenVault for SealedVault {
    async fn credential(
        &self,
        tenant: &TenantId,
        owner: &CredentialOwner,
        server: &ServerName,
    ) -> Result<Option<Credential>, VaultError> {
        let key = RecordKey {
            owner: owner.clone(),
            server: server.clone(),
        };
        let at = (tenant.clone(), key);
        if let Some(known) = self.0.warm.get(&at) {
            return Ok(known);
        }
        let seen = self.0.changes();
        let credential = self.0.read(tenant, &at.1).await?;
        self.0.remember(seen, at.0, at.1, credential.clone());
        Ok(credential)
    }
}

fn place<'a>(tenant: &'a TenantId, key: &'a RecordKey, version: u64) -> Place<'a> {
    Place {
        tenant,
        owner: &key.owner,
        server: &key.server,
        version,
    }
}

fn unavailable(error: RecordsError) -> VaultError {
    VaultError::Unavailable(error.into())
}

impl fmt::Debug for SealedVault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedVault").finish_non_exhaustive()
    }
}
