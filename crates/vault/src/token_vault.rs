use std::sync::Arc;

use async_trait::async_trait;
use gatewright_core::{BoxError, CredentialOwner, Secret, ServerName, TenantId};

/// A credential as it goes to a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// The secret itself.
    pub secret: Secret,
    /// Grows whenever the secret changes, and never comes back for another secret of the same owner at the same server:
    /// upstream sessions and child processes are told apart by it.
    pub version: u64,
}

/// Why a credential cannot be had now. Whoever makes one keeps secrets out of its text: it goes into the audit record.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// What holds the credentials does not answer.
    #[error("the stored credentials cannot be had: {0}")]
    Unavailable(#[source] BoxError),
    /// There is one, and it does not open: its key is not here, or it was changed or moved.
    #[error("the stored credential cannot be opened: {0}")]
    Unreadable(#[source] BoxError),
    /// There was no answer in time.
    #[error("the stored credentials cannot be had: no answer within {0} seconds")]
    Slow(u64),
}

/// Holds the credentials that servers need. Asked on every call, so what was asked before answers from memory
/// (invariant 12).
#[async_trait]
pub trait TokenVault: Send + Sync + 'static {
    /// The credential of `owner` at `server`; `None` where there is none. Never that of anybody else (invariant 6).
    ///
    /// # Errors
    /// [`VaultError`] when it cannot be had now; the call is then refused.
    async fn credential(
        &self,
        tenant: &TenantId,
        owner: &CredentialOwner,
        server: &ServerName,
    ) -> Result<Option<Credential>, VaultError>;
}

#[async_trait]
impl<V: TokenVault + ?Sized> TokenVault for Arc<V> {
    async fn credential(
        &self,
        tenant: &TenantId,
        owner: &CredentialOwner,
        server: &ServerName,
    ) -> Result<Option<Credential>, VaultError> {
        (**self).credential(tenant, owner, server).await
    }
}
