use std::fmt;

use aws_lc_rs::hmac::{self, HMAC_SHA256};
use gatewright_core::{SecretBytes, TenantId};
use zeroize::Zeroizing;

use super::{ApiKeyRecord, KeyHolder, text::KeyText};

/// A key under which the secrets of API keys are hashed.
#[derive(Clone, Debug)]
pub struct MacKey {
    /// Its name, which records hold: a name of the key provider's.
    pub id: String,
    /// The key; 32 bytes from the key provider.
    pub key: SecretBytes,
}

/// What is stored of a key's secret: its HMAC-SHA-256, together with all that the key may do.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyMac {
    /// Under which key.
    pub key: String,
    /// The tag.
    pub tag: Vec<u8>,
}

impl fmt::Debug for KeyMac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KeyMac").field(&self.key).finish()
    }
}

/// The keys under which the secrets of API keys are hashed: the current one, and those that older API keys are still
/// under.
pub struct MacKeys {
    current: (String, hmac::Key),
    older: Vec<(String, hmac::Key)>,
}

impl MacKeys {
    /// New API keys are hashed under `current`.
    #[must_use]
    pub fn new(current: &MacKey, older: &[MacKey]) -> Self {
        let prepared = |key: &MacKey| {
            let prepared = hmac::Key::new(HMAC_SHA256, key.key.expose());
            (key.id.clone(), prepared)
        };
        Self {
            current: prepared(current),
            older: older.iter().map(prepared).collect(),
        }
    }

    /// The MAC of a secret, under the current key.
    pub(crate) fn make(
        &self,
        tenant: &TenantId,
        record: &ApiKeyRecord,
        text: &KeyText<'_>,
    ) -> KeyMac {
        let (id, key) = &self.current;
        let tag = hmac::sign(key, &message(tenant, record, text));
        KeyMac {
            key: id.clone(),
            tag: tag.as_ref().to_vec(),
        }
    }

    /// Whether the record was made for this secret, in constant time, and is as it was then; `None` where the key is not
    /// here that it was hashed under.
    pub(crate) fn verify(
        &self,
        tenant: &TenantId,
        record: &ApiKeyRecord,
        text: &KeyText<'_>,
    ) -> Option<bool> {
        let mut known = std::iter::once(&self.current).chain(&self.older);
        let (_, key) = known.find(|(id, _)| *id == record.mac.key)?;
        let message = message(tenant, record, text);
        Some(hmac::verify(key, &message, &record.mac.tag).is_ok())
    }
}

/// The secret, and all that a key may do: whoever can write to the storage can neither give a key to somebody else, nor
/// move it to another tenant, nor widen or prolong it. Each part with its length in front, so that no choice of parts reads
/// as another.
fn message(tenant: &TenantId, record: &ApiKeyRecord, text: &KeyText<'_>) -> Zeroizing<Vec<u8>> {
    let (kind, subject) = match &record.holder {
        KeyHolder::Agent(subject) => ("agent", subject),
        KeyHolder::User(subject) => ("user", subject),
    };
    let expires_at = record.expires_at.millis().to_be_bytes();
    let servers = (record.servers.len() as u64).to_be_bytes();
    let parts: [&[u8]; 9] = [
        b"gatewright api key 1",
        tenant.as_str().as_bytes(),
        text.id.as_bytes(),
        text.secret.as_bytes(),
        kind.as_bytes(),
        subject.issuer().as_bytes(),
        subject.id().as_bytes(),
        &expires_at,
        &servers,
    ];
    let servers = record
        .servers
        .iter()
        .map(|server| server.as_str().as_bytes());
    let parts: Vec<&[u8]> = parts.into_iter().chain(servers).collect();
    // Room for all of it: a buffer that grows would leave the secret behind.
    let length = parts.iter().map(|part| size_of::<u64>() + part.len()).sum();
    let mut message = Zeroizing::new(Vec::with_capacity(length));
    for part in parts {
        message.extend_from_slice(&(part.len() as u64).to_be_bytes());
        message.extend_from_slice(part);
    }
    message
}

impl fmt::Debug for MacKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = std::iter::once(&self.current).chain(&self.older);
        f.debug_list().entries(known.map(|(id, _)| id)).finish()
    }
}
