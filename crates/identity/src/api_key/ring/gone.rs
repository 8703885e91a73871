//! The keys of those who are no longer let in.

use gatewright_core::{TenantId, Timestamp};

use super::{ApiKeyRing, RevokeApiKeyError};
use crate::api_key::{ApiKeyId, ApiKeysError, KeyHolder};

impl ApiKeyRing {
    /// The keys of these holders that are not revoked, as they are stored.
    ///
    /// # Errors
    /// [`ApiKeysError`] when the storage does not answer.
    pub async fn held_by(
        &self,
        tenant: &TenantId,
        holders: &[KeyHolder],
    ) -> Result<Vec<(KeyHolder, ApiKeyId)>, ApiKeysError> {
        let mut held = Vec::new();
        for holder in holders {
            let stored = self.0.store.held_by(tenant, holder).await?;
            let good = stored.into_iter().filter(|key| key.revoked_at.is_none());
            held.extend(good.map(|key| (holder.clone(), key.id)));
        }
        Ok(held)
    }

    /// Refuses the keys that these holders had at a moment in this process, at once, and ends what is open on them. It does
    /// not wait, and stores nothing: [`revoke_all`](Self::revoke_all) does.
    pub fn refuse_all(&self, tenant: &TenantId, holders: &[KeyHolder], at: Timestamp) {
        self.0.write(|tenants| {
            let keys = tenants.get_mut(tenant).into_iter().flatten();
            for (_, key) in keys {
                let record = &key.record;
                if !key.is_revoked() && record.created_at <= at && holders.contains(&record.holder)
                {
                    *key = key.revoked(at);
                }
            }
        });
    }

    /// Revokes every key of these holders, and says which. Those that are being made are among them.
    ///
    /// # Errors
    /// [`RevokeApiKeyError`] when it may not be stored of all of them. Those that this process knows are refused all the
    /// same; to do it again is no error.
    pub async fn revoke_all(
        &self,
        tenant: &TenantId,
        holders: &[KeyHolder],
    ) -> Result<Vec<(KeyHolder, ApiKeyId)>, RevokeApiKeyError> {
        drop(self.0.making.write().await);
        self.refuse_all(tenant, holders, self.0.clock.now());
        let held = self.held_by(tenant, holders).await?;
        for (_, id) in &held {
            self.revoke(tenant, id).await?;
        }
        Ok(held)
    }
}
