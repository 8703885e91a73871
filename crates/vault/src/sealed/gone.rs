//! The credentials of those who are no longer let in.

use std::sync::{Arc, PoisonError};

use gatewright_core::{CredentialOwner, TenantId};

use super::{Inner, SealedVault, unavailable};
use crate::{RecordKey, VaultError};

impl SealedVault {
    /// Where these owners have credentials.
    ///
    /// # Errors
    /// [`VaultError`] when the storage does not answer.
    pub async fn owned_by(
        &self,
        tenant: &TenantId,
        owners: &[CredentialOwner],
    ) -> Result<Vec<RecordKey>, VaultError> {
        let mut owned = Vec::new();
        for owner in owners {
            let servers = self.0.records.servers_of(tenant, owner).await;
            let places = servers.map_err(unavailable)?.into_iter();
            owned.extend(places.map(|server| RecordKey {
                owner: owner.clone(),
                server,
            }));
        }
        Ok(owned)
    }

    /// Takes what is remembered of these owners out of the memory, at once. What is stored stays.
    pub fn forget_all(&self, tenant: &TenantId, owners: &[CredentialOwner]) {
        self.0.forget_all(tenant, owners);
    }

    /// Destroys every credential of these owners, and says where there was one. It is finished also when whoever asked has
    /// gone.
    ///
    /// # Errors
    /// [`VaultError`] when the storage does not answer; what was destroyed until then is, and to do it again is no error.
    pub async fn remove_all(
        &self,
        tenant: &TenantId,
        owners: &[CredentialOwner],
    ) -> Result<Vec<RecordKey>, VaultError> {
        let (inner, tenant, owners) = (Arc::clone(&self.0), tenant.clone(), owners.to_vec());
        let removed = self.0.tasks.spawn(async move {
            // What is being sealed for them is written before, and so destroyed.
            drop(inner.writes.write().await);
            let mut removed = Vec::new();
            let mut outcome = Ok(());
            for owner in &owners {
                match inner.records.remove_all(&tenant, owner).await {
                    Ok(servers) => removed.extend(servers.into_iter().map(|server| RecordKey {
                        owner: owner.clone(),
                        server,
                    })),
                    Err(error) => {
                        outcome = Err(unavailable(error));
                        break;
                    }
                }
            }
            inner.forget_all(&tenant, &owners);
            outcome.map(|()| removed)
        });
        removed
            .await
            .map_err(|ended| VaultError::Unavailable(ended.into()))?
    }
}

impl Inner {
    fn forget_all(&self, tenant: &TenantId, owners: &[CredentialOwner]) {
        let mut changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever read the storage before remembers nothing of it.
        *changes = changes.wrapping_add(1);
        for (at, _) in &self.warm {
            if at.0 == *tenant && owners.contains(&at.1.owner) {
                self.warm.invalidate(&*at);
            }
        }
        drop(changes);
        self.warm.run_pending_tasks();
    }
}
