use async_trait::async_trait;
use gatewright_core::{BoxError, CredentialOwner, ServerName, TenantId, Timestamp};

/// A sealed credential as it is stored. What is in the envelope, only the vault can read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedRecord {
    /// Of the secret, unique within the tenant; the envelope opens with it only.
    pub version: u64,
    /// When the secret was stored.
    pub stored_at: Timestamp,
    /// The sealed secret.
    pub envelope: Vec<u8>,
}

/// Where a sealed credential is stored.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RecordKey {
    /// Whose it is.
    pub owner: CredentialOwner,
    /// Where it is used.
    pub server: ServerName,
}

/// The storage does not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct RecordsError(#[source] BoxError);

impl RecordsError {
    /// For this reason.
    #[must_use]
    pub fn new(source: impl Into<BoxError>) -> Self {
        Self(source.into())
    }
}

/// Stores sealed credentials. What was acknowledged is stored for good, whatever happens to the process afterwards.
#[async_trait]
pub trait SealedRecords: Send + Sync + 'static {
    /// A version that was never given out in this tenant, and is higher than all that were; from 1 on.
    ///
    /// # Errors
    /// [`RecordsError`] when the storage does not answer.
    async fn next_version(&self, tenant: &TenantId) -> Result<u64, RecordsError>;

    /// The record that is stored there.
    ///
    /// # Errors
    /// [`RecordsError`] when the storage does not answer.
    async fn read(
        &self,
        tenant: &TenantId,
        key: &RecordKey,
    ) -> Result<Option<SealedRecord>, RecordsError>;

    /// Stores a record in the place of whatever is there with a lower version, and says whether it did.
    ///
    /// # Errors
    /// [`RecordsError`] when the storage does not answer.
    async fn write(
        &self,
        tenant: &TenantId,
        key: &RecordKey,
        record: &SealedRecord,
    ) -> Result<bool, RecordsError>;

    /// Gives the record that is stored there another envelope, if it still has this version, and says whether it did.
    ///
    /// # Errors
    /// [`RecordsError`] when the storage does not answer.
    async fn replace_envelope(
        &self,
        tenant: &TenantId,
        key: &RecordKey,
        version: u64,
        envelope: &[u8],
    ) -> Result<bool, RecordsError>;

    /// Removes the record, and says whether there was one.
    ///
    /// # Errors
    /// [`RecordsError`] when the storage does not answer.
    async fn remove(&self, tenant: &TenantId, key: &RecordKey) -> Result<bool, RecordsError>;

    /// Where somebody has records, in any order.
    ///
    /// # Errors
    /// [`RecordsError`] when the storage does not answer.
    async fn servers_of(
        &self,
        tenant: &TenantId,
        owner: &CredentialOwner,
    ) -> Result<Vec<ServerName>, RecordsError>;

    /// Removes all of somebody's records, or none, and says where there was one.
    ///
    /// # Errors
    /// [`RecordsError`] when the storage does not answer.
    async fn remove_all(
        &self,
        tenant: &TenantId,
        owner: &CredentialOwner,
    ) -> Result<Vec<ServerName>, RecordsError>;

    /// At most `limit` records of a tenant in a steady order, those after `after`.
    ///
    /// # Errors
    /// [`RecordsError`] when the storage does not answer.
    async fn page(
        &self,
        tenant: &TenantId,
        after: Option<&RecordKey>,
        limit: u32,
    ) -> Result<Vec<(RecordKey, SealedRecord)>, RecordsError>;
}
