//! Records in memory, which can be spoilt, and keys that can be taken away.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use gatewright_core::{CredentialOwner, SecretBytes, ServerName, Subject, TenantId};
use tokio::sync::{Notify, Semaphore};

use crate::{
    DerivedKey, EnvironmentKeys, KeyProvider, MasterKeyId, RecordKey, RecordsError,
    RotateMasterKeyError, SealedRecord, SealedRecords, UseMasterKeyError, WrappedKey,
};

type Row = (TenantId, String, ServerName);

#[derive(Default)]
pub(crate) struct Memory {
    pub(crate) rows: Mutex<BTreeMap<Row, (RecordKey, SealedRecord)>>,
    versions: AtomicU64,
    pub(crate) reads: AtomicU64,
    pub(crate) down: AtomicBool,
    /// Where set, a read waits for a permit after it has read, and says that it does.
    pub(crate) gate: Mutex<Option<Arc<(Semaphore, Notify)>>>,
    /// The same for a write, which waits before it writes.
    pub(crate) write_gate: Mutex<Option<Arc<(Semaphore, Notify)>>>,
}

/// One storage, however many hold it.
#[derive(Clone, Default)]
pub(crate) struct Records(pub(crate) Arc<Memory>);

impl Records {
    fn check(&self) -> Result<(), RecordsError> {
        if self.0.down.load(Ordering::SeqCst) {
            return Err(RecordsError::new("the disk is gone"));
        }
        Ok(())
    }

    /// Puts the row of one place to another, as whoever can write to the database may.
    pub(crate) fn moved(&self, from: (&TenantId, &RecordKey), to: (&TenantId, &RecordKey)) {
        let mut rows = self.0.rows.lock().unwrap();
        let (_, record) = rows[&row(from.0, from.1)].clone();
        rows.insert(row(to.0, to.1), (to.1.clone(), record));
    }
}

fn row(tenant: &TenantId, key: &RecordKey) -> Row {
    (tenant.clone(), key.owner.to_string(), key.server.clone())
}

#[async_trait]
impl SealedRecords for Records {
    async fn next_version(&self, _: &TenantId) -> Result<u64, RecordsError> {
        self.check()?;
        Ok(self.0.versions.fetch_add(1, Ordering::SeqCst) + 1)
    }

    async fn read(
        &self,
        tenant: &TenantId,
        key: &RecordKey,
    ) -> Result<Option<SealedRecord>, RecordsError> {
        self.check()?;
        self.0.reads.fetch_add(1, Ordering::SeqCst);
        let found = self.0.rows.lock().unwrap().get(&row(tenant, key)).cloned();
        let gate = self.0.gate.lock().unwrap().clone();
        if let Some(gate) = gate {
            gate.1.notify_one();
            gate.0.acquire().await.unwrap().forget();
        }
        Ok(found.map(|(_, record)| record))
    }

    async fn write(
        &self,
        tenant: &TenantId,
        key: &RecordKey,
        record: &SealedRecord,
    ) -> Result<bool, RecordsError> {
        self.check()?;
        let gate = self.0.write_gate.lock().unwrap().clone();
        if let Some(gate) = gate {
            gate.1.notify_one();
            gate.0.acquire().await.unwrap().forget();
        }
        let mut rows = self.0.rows.lock().unwrap();
        let at = row(tenant, key);
        if rows
            .get(&at)
            .is_some_and(|(_, there)| there.version >= record.version)
        {
            return Ok(false);
        }
        rows.insert(at, (key.clone(), record.clone()));
        Ok(true)
    }

    async fn replace_envelope(
        &self,
        tenant: &TenantId,
        key: &RecordKey,
        version: u64,
        envelope: &[u8],
    ) -> Result<bool, RecordsError> {
        self.check()?;
        let mut rows = self.0.rows.lock().unwrap();
        let Some((_, record)) = rows.get_mut(&row(tenant, key)) else {
            return Ok(false);
        };
        let same = record.version == version;
        if same {
            record.envelope = envelope.to_vec();
        }
        Ok(same)
    }

    async fn remove(&self, tenant: &TenantId, key: &RecordKey) -> Result<bool, RecordsError> {
        self.check()?;
        Ok(self
            .0
            .rows
            .lock()
            .unwrap()
            .remove(&row(tenant, key))
            .is_some())
    }

    async fn servers_of(
        &self,
        tenant: &TenantId,
        owner: &CredentialOwner,
    ) -> Result<Vec<ServerName>, RecordsError> {
        self.check()?;
        let rows = self.0.rows.lock().unwrap();
        let owner = owner.to_string();
        let of_owner = rows.keys().filter(|at| at.0 == *tenant && at.1 == owner);
        Ok(of_owner.map(|at| at.2.clone()).collect())
    }

    async fn remove_all(
        &self,
        tenant: &TenantId,
        owner: &CredentialOwner,
    ) -> Result<Vec<ServerName>, RecordsError> {
        let servers = self.servers_of(tenant, owner).await?;
        let mut rows = self.0.rows.lock().unwrap();
        let owner = owner.to_string();
        rows.retain(|at, _| at.0 != *tenant || at.1 != owner);
        Ok(servers)
    }

    async fn page(
        &self,
        tenant: &TenantId,
        after: Option<&RecordKey>,
        limit: u32,
    ) -> Result<Vec<(RecordKey, SealedRecord)>, RecordsError> {
        self.check()?;
        let after = after.map(|key| row(tenant, key));
        let rows = self.0.rows.lock().unwrap();
        Ok(rows
            .iter()
            .filter(|(at, _)| at.0 == *tenant && after.as_ref().is_none_or(|after| *at > after))
            .take(limit as usize)
            .map(|(_, found)| found.clone())
            .collect())
    }
}

/// Keys that a test exchanges or takes away.
#[derive(Clone)]
pub(crate) struct Keys(Arc<Mutex<Option<Arc<EnvironmentKeys>>>>);

impl Keys {
    /// One byte names a key, the current one first.
    pub(crate) fn new(bytes: &[u8]) -> Self {
        let keys = Self(Arc::default());
        keys.replace(bytes);
        keys
    }

    pub(crate) fn replace(&self, bytes: &[u8]) {
        use base64::{Engine as _, engine::general_purpose::STANDARD};
        let text: Vec<String> = bytes
            .iter()
            .map(|byte| STANDARD.encode([*byte; 32]))
            .collect();
        let keys = EnvironmentKeys::parse(&gatewright_core::Secret::new(text.join(",")));
        *self.0.lock().unwrap() = Some(Arc::new(keys.unwrap()));
    }

    pub(crate) fn take_away(&self) {
        *self.0.lock().unwrap() = None;
    }

    fn there(&self) -> Result<Arc<EnvironmentKeys>, UseMasterKeyError> {
        let keys = self.0.lock().unwrap().clone();
        keys.ok_or_else(|| UseMasterKeyError::Unavailable("the key provider is down".into()))
    }
}

#[async_trait]
impl KeyProvider for Keys {
    fn current(&self) -> MasterKeyId {
        self.there()
            .map_or_else(|_| MasterKeyId::new("none").unwrap(), |keys| keys.current())
    }

    async fn wrap(&self, key: &SecretBytes, bound: &[u8]) -> Result<WrappedKey, UseMasterKeyError> {
        self.there()?.wrap(key, bound).await
    }

    async fn unwrap(
        &self,
        wrapped: &WrappedKey,
        bound: &[u8],
    ) -> Result<SecretBytes, UseMasterKeyError> {
        self.there()?.unwrap(wrapped, bound).await
    }

    async fn derive(&self, purpose: &str) -> Result<Vec<DerivedKey>, UseMasterKeyError> {
        self.there()?.derive(purpose).await
    }

    async fn rotate(&self) -> Result<MasterKeyId, RotateMasterKeyError> {
        Err(RotateMasterKeyError::Elsewhere)
    }
}

pub(crate) fn tenant(name: &str) -> TenantId {
    TenantId::new(name).unwrap()
}

pub(crate) fn server(name: &str) -> ServerName {
    ServerName::new(name).unwrap()
}

pub(crate) fn user(id: &str) -> CredentialOwner {
    CredentialOwner::User(Subject::new("idp", id))
}

pub(crate) fn agent(id: &str) -> CredentialOwner {
    CredentialOwner::Agent(Subject::new("idp", id))
}

pub(crate) fn key(owner: CredentialOwner, at: &str) -> RecordKey {
    RecordKey {
        owner,
        server: server(at),
    }
}
