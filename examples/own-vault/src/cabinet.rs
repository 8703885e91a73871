use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use gatewright_core::{CredentialOwner, Secret, ServerName, TenantId};
use gatewright_vault::{Credential, TokenVault, VaultError};

/// Where the house keeps its keys: whatever it has already, asked over its own client.
///
/// It is asked on every call, so a real one remembers for a while what it was told; and each key has a number that grows
/// when the key changes, by which what is kept open under the old one is told apart.
#[derive(Clone, Default)]
pub(crate) struct Cabinet(Arc<Inner>);

#[derive(Default)]
struct Inner {
    keys: Mutex<HashMap<(String, String), Credential>>,
    last: AtomicU64,
    shut: AtomicBool,
}

impl Cabinet {
    pub(crate) fn put(&self, owner: &str, server: &str, key: &str) {
        let credential = Credential {
            secret: Secret::new(key.to_owned()),
            version: self.0.last.fetch_add(1, Ordering::Relaxed) + 1,
        };
        let mut keys = self.0.keys.lock().unwrap_or_else(PoisonError::into_inner);
        keys.insert((owner.to_owned(), server.to_owned()), credential);
    }

    pub(crate) fn shut(&self) {
        self.0.shut.store(true, Ordering::Relaxed);
    }
}

#[async_trait]
impl TokenVault for Cabinet {
    // The house is one organisation: it has one tenant.
    async fn credential(
        &self,
        _: &TenantId,
        owner: &CredentialOwner,
        server: &ServerName,
    ) -> Result<Option<Credential>, VaultError> {
        if self.0.shut.load(Ordering::Relaxed) {
            return Err(VaultError::Unavailable("the cabinet is shut".into()));
        }
        let keys = self.0.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let of = (owner.to_string(), server.to_string());
        Ok(keys.get(&of).cloned())
    }
}

impl fmt::Debug for Cabinet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cabinet").finish_non_exhaustive()
    }
}
