use async_trait::async_trait;
use gatewright_core::{BoxError, Subject, TenantId, Timestamp, access::Pattern};

use super::{ApiKeyId, KeyMac};

/// Who calls with a key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum KeyHolder {
    /// An agent, on its own behalf.
    Agent(Subject),
    /// A person, where the tenant allows it.
    User(Subject),
}

/// A key as it is stored. Its secret is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKeyRecord {
    /// Names it.
    pub id: ApiKeyId,
    /// What people call it; nothing is decided on it.
    pub name: String,
    /// Who calls with it.
    pub holder: KeyHolder,
    /// The servers on whose routes it is taken.
    pub servers: Vec<Pattern>,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is refused.
    pub expires_at: Timestamp,
    /// When it was revoked, if it was.
    pub revoked_at: Option<Timestamp>,
    /// When it was last used, as far as that is written.
    pub last_used_at: Option<Timestamp>,
    /// What is stored of its secret.
    pub mac: KeyMac,
}

/// The storage does not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApiKeysError {
    /// There is a key of this id in the tenant already.
    #[error("there is an API key of this id already")]
    Exists,
    /// It does not answer.
    #[error("the stored API keys cannot be had: {0}")]
    Unavailable(#[source] BoxError),
}

/// Stores API keys. What was acknowledged is stored for good, whatever happens to the process afterwards.
#[async_trait]
pub trait ApiKeys: Send + Sync + 'static {
    /// At most `limit` keys of a tenant in the order of their ids, those after `after`.
    ///
    /// # Errors
    /// [`ApiKeysError`] when the storage does not answer.
    async fn page(
        &self,
        tenant: &TenantId,
        after: Option<&ApiKeyId>,
        limit: u32,
    ) -> Result<Vec<ApiKeyRecord>, ApiKeysError>;

    /// All keys of a holder, ended ones included, in the order of their ids.
    ///
    /// # Errors
    /// [`ApiKeysError`] when the storage does not answer.
    async fn held_by(
        &self,
        tenant: &TenantId,
        holder: &KeyHolder,
    ) -> Result<Vec<ApiKeyRecord>, ApiKeysError>;

    /// Adds a key.
    ///
    /// # Errors
    /// [`ApiKeysError`] when there is one of this id, or the storage does not answer.
    async fn insert(&self, tenant: &TenantId, record: &ApiKeyRecord) -> Result<(), ApiKeysError>;

    /// Notes that a key is revoked, and says whether there is such a key. One that was revoked before stays revoked as of
    /// then.
    ///
    /// # Errors
    /// [`ApiKeysError`] when the storage does not answer.
    async fn revoke(
        &self,
        tenant: &TenantId,
        id: &ApiKeyId,
        at: Timestamp,
    ) -> Result<bool, ApiKeysError>;

    /// Notes when keys were last used. An earlier moment than is noted changes nothing, nor does a key that is not there.
    ///
    /// # Errors
    /// [`ApiKeysError`] when the storage does not answer; then nothing of the batch is noted.
    async fn note_use(
        &self,
        tenant: &TenantId,
        uses: &[(ApiKeyId, Timestamp)],
    ) -> Result<(), ApiKeysError>;

    /// Removes the keys that ended (expired or were revoked) before a moment, and says which.
    ///
    /// # Errors
    /// [`ApiKeysError`] when the storage does not answer.
    async fn purge(
        &self,
        tenant: &TenantId,
        ended_before: Timestamp,
    ) -> Result<Vec<ApiKeyId>, ApiKeysError>;
}
