//! How a credential is sealed.
//!
//! ```text
//! version of the form   1 byte, 1
//! master key            1 byte of length, then its name
//! wrapped key           2 bytes of length, then the record's key under the master key
//! payload               nonce (12), ciphertext, tag (16): AES-256-GCM under the record's key
//! ```
//!
//! Each record has a random key of its own. Both the wrapped key and the payload are bound to tenant, owner, server and
//! version, so neither opens in another place; the payload is not bound to the master key, so that another one can wrap
//! the record's key without the payload being opened.

#[cfg(test)]
mod tests;

use gatewright_core::{CredentialOwner, Secret, ServerName, TenantId};
use zeroize::Zeroizing;

use crate::{
    KeyProvider, MasterKeyId, UseMasterKeyError, WrappedKey,
    keys::{aead_key, open as open_sealed, random_key, seal as seal_sealed},
};

const FORM: u8 = 1;

/// Why a sealed credential does not open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenEnvelopeError {
    /// It is cut off, or of a form that this version does not know.
    #[error("its form is not one that this version knows")]
    Form,
    /// Its key does not open, or opens no payload.
    #[error(transparent)]
    Key(#[from] UseMasterKeyError),
}

/// Where a credential stands. It opens there and nowhere else (invariant 6).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) tenant: &'a TenantId,
    pub(crate) owner: &'a CredentialOwner,
    pub(crate) server: &'a ServerName,
    pub(crate) version: u64,
}

impl Place<'_> {
    /// What `part` is bound to, each element with its length in front, so that no choice of names reads as another.
    fn bound(&self, part: &str) -> Vec<u8> {
        let version = self.version.to_be_bytes();
        let (issuer, id) = self
            .owner
            .subject()
            .map_or(("", ""), |subject| (subject.issuer(), subject.id()));
        let elements: [&[u8]; 8] = [
            b"gatewright vault",
            &[FORM],
            part.as_bytes(),
            self.tenant.as_str().as_bytes(),
            self.owner.kind().as_bytes(),
            issuer.as_bytes(),
            id.as_bytes(),
            self.server.as_str().as_bytes(),
        ];
        let mut bytes = Vec::new();
        for element in elements.into_iter().chain([version.as_slice()]) {
            bytes.extend_from_slice(&(element.len() as u64).to_be_bytes());
            bytes.extend_from_slice(element);
        }
        bytes
    }

    fn key(&self) -> Vec<u8> {
        self.bound("key")
    }

    fn payload(&self) -> Vec<u8> {
        self.bound("payload")
    }
}

/// Seals a secret for its place, under a key of its own.
pub(crate) async fn seal(
    keys: &dyn KeyProvider,
    place: &Place<'_>,
    secret: &Secret,
) -> Result<Vec<u8>, UseMasterKeyError> {
    let key = random_key()?;
    let payload = seal_sealed(
        &aead_key(&key)?,
        &place.payload(),
        secret.expose().as_bytes(),
    )?;
    let wrapped = keys.wrap(&key, &place.key()).await?;
    write(&wrapped, &payload)
}

/// Opens what [`seal`] made for the same place.
pub(crate) async fn open(
    keys: &dyn KeyProvider,
    place: &Place<'_>,
    envelope: &[u8],
) -> Result<Secret, OpenEnvelopeError> {
    let (wrapped, payload) = read(envelope).ok_or(OpenEnvelopeError::Form)?;
    let key = keys.unwrap(&wrapped, &place.key()).await?;
    let mut text = open_sealed(&aead_key(&key)?, &place.payload(), payload)?;
    match String::from_utf8(std::mem::take(&mut *text)) {
        Ok(text) => Ok(Secret::new(text)),
        Err(error) => {
            drop(Zeroizing::new(error.into_bytes()));
            Err(OpenEnvelopeError::Form)
        }
    }
}

/// The same envelope under the current master key; `None` where it is already. The payload stays shut.
pub(crate) async fn rewrap(
    keys: &dyn KeyProvider,
    place: &Place<'_>,
    envelope: &[u8],
) -> Result<Option<Vec<u8>>, OpenEnvelopeError> {
    let (wrapped, payload) = read(envelope).ok_or(OpenEnvelopeError::Form)?;
    if wrapped.master == keys.current() {
        return Ok(None);
    }
    let key = keys.unwrap(&wrapped, &place.key()).await?;
    let wrapped = keys.wrap(&key, &place.key()).await?;
    Ok(Some(write(&wrapped, payload)?))
}

/// The master key that an envelope needs; `None` where it is no envelope.
pub(crate) fn master(envelope: &[u8]) -> Option<MasterKeyId> {
    read(envelope).map(|(wrapped, _)| wrapped.master)
}

fn write(wrapped: &WrappedKey, payload: &[u8]) -> Result<Vec<u8>, UseMasterKeyError> {
    let too_long = |_| UseMasterKeyError::Unavailable("the wrapped key is too long".into());
    let master = wrapped.master.as_str();
    let mut envelope = vec![FORM];
    envelope.push(u8::try_from(master.len()).map_err(too_long)?);
    envelope.extend_from_slice(master.as_bytes());
    let length = u16::try_from(wrapped.bytes.len()).map_err(too_long)?;
    envelope.extend_from_slice(&length.to_be_bytes());
    envelope.extend_from_slice(&wrapped.bytes);
    envelope.extend_from_slice(payload);
    Ok(envelope)
}

/// The wrapped key and the payload.
fn read(envelope: &[u8]) -> Option<(WrappedKey, &[u8])> {
    let (master, rest) = head(envelope)?;
    let (length, rest) = rest.split_first_chunk::<2>()?;
    let (bytes, payload) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    let wrapped = WrappedKey {
        master,
        bytes: bytes.to_vec(),
    };
    Some((wrapped, payload))
}

/// The master key, and what follows it.
fn head(envelope: &[u8]) -> Option<(MasterKeyId, &[u8])> {
    let (form, rest) = envelope.split_first()?;
    if *form != FORM {
        return None;
    }
    let (length, rest) = rest.split_first()?;
    let (master, rest) = rest.split_at_checked(usize::from(*length))?;
    let master = MasterKeyId::new(std::str::from_utf8(master).ok()?)?;
    Some((master, rest))
}

impl MasterKeyId {
    /// As many bytes of the beginning of an envelope tell which master key it needs.
    pub const WITHIN: usize = 2 + Self::LONGEST;

    /// The master key that a sealed record needs, by the first [`WITHIN`](Self::WITHIN) bytes of its envelope; `None` where
    /// it is no envelope.
    #[must_use]
    pub fn needed_by(envelope: &[u8]) -> Option<Self> {
        head(envelope).map(|(master, _)| master)
    }
}
