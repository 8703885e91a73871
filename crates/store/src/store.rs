use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use gatewright_core::{CredentialOwner, ServerName, TenantId, Timestamp};
use gatewright_directory::records::{
    Changed, CommitError, Event, Kind, Position, Record, Records, RecordsError as DirectoryError,
    Revision, UniqueName, Write,
};
use gatewright_identity::{ApiKeyId, ApiKeyRecord, ApiKeys, ApiKeysError, KeyHolder};
use gatewright_vault::{RecordKey, RecordsError, SealedRecord, SealedRecords};
use tokio::sync::broadcast;

use crate::{PostgresStore, SqliteStore};

/// The database that an installation has, whichever it is. Clones are the same database.
#[derive(Clone, Debug)]
pub enum Store {
    /// One file, for one machine.
    Sqlite(SqliteStore),
    /// A server, for any number of processes.
    Postgres(PostgresStore),
}

/// The same of whichever it is.
macro_rules! whichever {
    ($store:expr, $found:ident => $same:expr) => {
        match $store {
            Self::Sqlite($found) => $same,
            Self::Postgres($found) => $same,
        }
    };
}

impl Store {
    /// The names of the master keys that what is stored needs, of all tenants: none means that nothing is sealed here yet.
    ///
    /// # Errors
    /// [`RecordsError`] when the database does not answer.
    pub async fn needed_master_keys(&self) -> Result<BTreeSet<String>, RecordsError> {
        whichever!(self, store => store.needed_master_keys().await)
    }

    /// Waits for what is under way, and lets go of the database.
    pub async fn close(&self) {
        whichever!(self, store => store.close().await);
    }
}

impl From<SqliteStore> for Store {
    fn from(store: SqliteStore) -> Self {
        Self::Sqlite(store)
    }
}

impl From<PostgresStore> for Store {
    fn from(store: PostgresStore) -> Self {
        Self::Postgres(store)
    }
}

#[async_trait]
impl SealedRecords for Store {
    async fn next_version(&self, tenant: &TenantId) -> Result<u64, RecordsError> {
        whichever!(self, store => store.next_version(tenant).await)
    }

    async fn read(
        &self,
        tenant: &TenantId,
        key: &RecordKey,
    ) -> Result<Option<SealedRecord>, RecordsError> {
        whichever!(self, store => SealedRecords::read(store, tenant, key).await)
    }

    async fn write(
        &self,
        tenant: &TenantId,
        key: &RecordKey,
        record: &SealedRecord,
    ) -> Result<bool, RecordsError> {
        whichever!(self, store => store.write(tenant, key, record).await)
    }

    async fn replace_envelope(
        &self,
        tenant: &TenantId,
        key: &RecordKey,
        version: u64,
        envelope: &[u8],
    ) -> Result<bool, RecordsError> {
        whichever!(self, store => store.replace_envelope(tenant, key, version, envelope).await)
    }

    async fn remove(&self, tenant: &TenantId, key: &RecordKey) -> Result<bool, RecordsError> {
        whichever!(self, store => store.remove(tenant, key).await)
    }

    async fn servers_of(
        &self,
        tenant: &TenantId,
        owner: &CredentialOwner,
    ) -> Result<Vec<ServerName>, RecordsError> {
        whichever!(self, store => store.servers_of(tenant, owner).await)
    }

    async fn remove_all(
        &self,
        tenant: &TenantId,
        owner: &CredentialOwner,
    ) -> Result<Vec<ServerName>, RecordsError> {
        whichever!(self, store => store.remove_all(tenant, owner).await)
    }

    async fn page(
        &self,
        tenant: &TenantId,
        after: Option<&RecordKey>,
        limit: u32,
    ) -> Result<Vec<(RecordKey, SealedRecord)>, RecordsError> {
        whichever!(self, store => SealedRecords::page(store, tenant, after, limit).await)
    }
}

#[async_trait]
impl ApiKeys for Store {
    async fn page(
        &self,
        tenant: &TenantId,
        after: Option<&ApiKeyId>,
        limit: u32,
    ) -> Result<Vec<ApiKeyRecord>, ApiKeysError> {
        whichever!(self, store => ApiKeys::page(store, tenant, after, limit).await)
    }

    async fn held_by(
        &self,
        tenant: &TenantId,
        holder: &KeyHolder,
    ) -> Result<Vec<ApiKeyRecord>, ApiKeysError> {
        whichever!(self, store => store.held_by(tenant, holder).await)
    }

    async fn insert(&self, tenant: &TenantId, record: &ApiKeyRecord) -> Result<(), ApiKeysError> {
        whichever!(self, store => store.insert(tenant, record).await)
    }

    async fn revoke(
        &self,
        tenant: &TenantId,
        id: &ApiKeyId,
        at: Timestamp,
    ) -> Result<bool, ApiKeysError> {
        whichever!(self, store => store.revoke(tenant, id, at).await)
    }

    async fn note_use(
        &self,
        tenant: &TenantId,
        uses: &[(ApiKeyId, Timestamp)],
    ) -> Result<(), ApiKeysError> {
        whichever!(self, store => store.note_use(tenant, uses).await)
    }

    async fn purge(
        &self,
        tenant: &TenantId,
        ended_before: Timestamp,
    ) -> Result<Vec<ApiKeyId>, ApiKeysError> {
        whichever!(self, store => store.purge(tenant, ended_before).await)
    }
}

#[async_trait]
impl Records for Store {
    async fn heads(&self) -> Result<Vec<(TenantId, Revision)>, DirectoryError> {
        whichever!(self, store => store.heads().await)
    }

    async fn commit(
        &self,
        tenant: &TenantId,
        base: Revision,
        at: Timestamp,
        writes: &[Write],
    ) -> Result<Revision, CommitError> {
        whichever!(self, store => store.commit(tenant, base, at, writes).await)
    }

    async fn read(
        &self,
        tenant: &TenantId,
        kind: Kind,
        ids: &[Arc<str>],
    ) -> Result<Vec<Record>, DirectoryError> {
        whichever!(self, store => Records::read(store, tenant, kind, ids).await)
    }

    async fn find(
        &self,
        tenant: &TenantId,
        name: &UniqueName,
    ) -> Result<Option<Record>, DirectoryError> {
        whichever!(self, store => store.find(tenant, name).await)
    }

    async fn page(
        &self,
        tenant: &TenantId,
        kind: Kind,
        after: Option<&str>,
        skip: u64,
        limit: u32,
    ) -> Result<Vec<Record>, DirectoryError> {
        whichever!(self, store => Records::page(store, tenant, kind, after, skip, limit).await)
    }

    async fn count(&self, tenant: &TenantId, kind: Kind) -> Result<u64, DirectoryError> {
        whichever!(self, store => store.count(tenant, kind).await)
    }

    async fn changes(
        &self,
        tenant: &TenantId,
        after: &Position,
        limit: u32,
    ) -> Result<Vec<Changed>, DirectoryError> {
        whichever!(self, store => store.changes(tenant, after, limit).await)
    }

    fn events(&self) -> broadcast::Receiver<Event> {
        whichever!(self, store => store.events())
    }
}
