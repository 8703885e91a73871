//! What others than this ring do with its keys.

use std::collections::HashMap;

use gatewright_core::TenantId;

use super::{ApiKeyId, ApiKeyRecord, ApiKeyRing, ApiKeysError, Inner, Key, PAGE};

impl ApiKeyRing {
    /// Takes over what became of these keys in the storage: others than this ring make, revoke and remove them, too. What is
    /// open on one that was revoked or is gone ends. A tenant that was not [loaded](Self::load) stays so.
    ///
    /// # Errors
    /// [`ApiKeysError`] when the storage does not answer; then nothing was taken over.
    pub async fn refresh(&self, tenant: &TenantId, ids: &[ApiKeyId]) -> Result<(), ApiKeysError> {
        for ids in ids.chunks(PAGE as usize) {
            // A key of this ring's own is stored first and listed then: in between it would seem to be gone.
            let _nobody_makes_any = self.0.making.write().await;
            let read = self.0.store.read(tenant, ids).await?;
            self.0.take_over(tenant, read, |id| ids.contains(id));
        }
        Ok(())
    }

    /// The same of every key of every tenant that was loaded, where nobody knows which have changed.
    ///
    /// # Errors
    /// [`ApiKeysError`] when the storage does not answer; then that may not be so of some.
    pub async fn refresh_all(&self) -> Result<(), ApiKeysError> {
        let loaded: Vec<TenantId> = self.0.read(|tenants| tenants.keys().cloned().collect());
        for tenant in loaded {
            let _nobody_makes_any = self.0.making.write().await;
            let read = self.0.stored(&tenant).await?;
            self.0.take_over(&tenant, read, |_any| true);
        }
        Ok(())
    }

    /// Forgets the keys of every tenant, for it is not known any more what they are worth: until they are
    /// [loaded](Self::load) again, all of them are refused as unavailable, and what is open on them ends.
    pub fn unload_all(&self) {
        self.0.write(|tenants| {
            let keys = tenants.values().flat_map(HashMap::values);
            keys.for_each(|key| key.cut());
            tenants.clear();
        });
    }
}

impl Inner {
    /// Every key of a tenant.
    pub(super) async fn stored(
        &self,
        tenant: &TenantId,
    ) -> Result<Vec<ApiKeyRecord>, ApiKeysError> {
        let mut records = Vec::new();
        loop {
            let after = records.last().map(|last: &ApiKeyRecord| last.id.clone());
            let page = self.store.page(tenant, after.as_ref(), PAGE).await?;
            if page.is_empty() {
                return Ok(records);
            }
            records.extend(page);
        }
    }

    /// What was read takes the place of what is known of these keys, but for this: what is revoked stays so.
    fn take_over(
        &self,
        tenant: &TenantId,
        read: Vec<ApiKeyRecord>,
        of: impl Fn(&ApiKeyId) -> bool,
    ) {
        let mut read: HashMap<ApiKeyId, ApiKeyRecord> = read
            .into_iter()
            .map(|record| (record.id.clone(), record))
            .collect();
        self.write(|tenants| {
            let Some(keys) = tenants.get_mut(tenant) else {
                return;
            };
            keys.retain(|id, key| {
                let stays = !of(id) || read.contains_key(id);
                if !stays {
                    key.cut();
                }
                stays
            });
            for (id, key) in keys.iter_mut() {
                let Some(record) = read.remove(id) else {
                    continue;
                };
                key.used_at(record.last_used_at);
                if let Some(at) = record.revoked_at.filter(|_| !key.is_revoked()) {
                    *key = key.revoked(at);
                }
            }
            keys.extend(read.into_values().map(Key::entry));
        });
    }
}
