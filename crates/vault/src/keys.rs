//! Master keys: they wrap the key of each record, and others are derived from them.

mod environment;
mod file;
mod ring;

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use gatewright_core::{BoxError, SecretBytes};

pub(crate) use self::ring::{aead_key, open, random_key, seal};
pub use self::{
    environment::{EnvironmentKeys, InvalidMasterKey},
    file::FileKeys,
};

/// Names a master key. It tells nothing of the key.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct MasterKeyId(Arc<str>);

impl MasterKeyId {
    /// At most this many bytes, so that every sealed record has room for it.
    pub const LONGEST: usize = 255;

    /// A name of 1 to [`LONGEST`](Self::LONGEST) visible ASCII characters; `None` for anything else.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let fits = (1..=Self::LONGEST).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_graphic());
        fits.then(|| Self(text.into()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MasterKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for MasterKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A record's key under a master key.
#[derive(Clone, PartialEq, Eq)]
pub struct WrappedKey {
    /// Which master key.
    pub master: MasterKeyId,
    /// What it made of the record's key; at most 65,535 bytes.
    pub bytes: Vec<u8>,
}

impl fmt::Debug for WrappedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WrappedKey").field(&self.master).finish()
    }
}

/// A key that was derived from a master key.
#[derive(Clone, Debug)]
pub struct DerivedKey {
    /// From which.
    pub master: MasterKeyId,
    /// The key, 32 bytes.
    pub key: SecretBytes,
}

/// Why a master key did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UseMasterKeyError {
    /// It is not here.
    #[error("the master key `{0}` is not here: put it back, or store the credential again")]
    Missing(MasterKeyId),
    /// What was to be unwrapped is not what it wrapped, or was bound to something else.
    #[error("it was changed or moved, or sealed for another place")]
    Foreign,
    /// The key provider does not answer, or the machine has no randomness.
    #[error("the master key cannot be used: {0}")]
    Unavailable(#[source] BoxError),
}

/// Why there is no new master key. The one that was the current one still is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RotateMasterKeyError {
    /// Keys come from somewhere else, and are not made here.
    #[error("master keys are not made here, but where they come from")]
    Elsewhere,
    /// It cannot be made.
    #[error("no master key was made: {0}")]
    Failed(#[source] BoxError),
}

/// Holds the master keys, or speaks to what does. Which one it is, configuration says.
#[async_trait]
pub trait KeyProvider: Send + Sync + 'static {
    /// The master key that new records are wrapped under.
    fn current(&self) -> MasterKeyId;

    /// Wraps a record's key under the current master key, bound to `bound`.
    ///
    /// # Errors
    /// [`UseMasterKeyError`] when it cannot.
    async fn wrap(&self, key: &SecretBytes, bound: &[u8]) -> Result<WrappedKey, UseMasterKeyError>;

    /// Unwraps what [`wrap`](Self::wrap) made with the same `bound`.
    ///
    /// # Errors
    /// [`UseMasterKeyError`] when it is something else, or the master key is not here.
    async fn unwrap(
        &self,
        wrapped: &WrappedKey,
        bound: &[u8],
    ) -> Result<SecretBytes, UseMasterKeyError>;

    /// A key of 32 bytes for a purpose (of API keys, say) from each master key that is still here, the current one first.
    /// The same key and purpose give the same key again; it tells nothing of the master key.
    ///
    /// # Errors
    /// [`UseMasterKeyError`] when it cannot.
    async fn derive(&self, purpose: &str) -> Result<Vec<DerivedKey>, UseMasterKeyError>;

    /// Makes a new master key, which is the current one from now on, and names it. Those that there are stay.
    ///
    /// # Errors
    /// [`RotateMasterKeyError`] when there is no new one.
    async fn rotate(&self) -> Result<MasterKeyId, RotateMasterKeyError>;

    /// Looks for keys that others have made meanwhile where it has its own, and says whether it has found any.
    ///
    /// # Errors
    /// [`UseMasterKeyError`] when it cannot look; then those that it had stay.
    async fn look_again(&self) -> Result<bool, UseMasterKeyError> {
        Ok(false)
    }
}

#[async_trait]
impl<K: KeyProvider + ?Sized> KeyProvider for Arc<K> {
    fn current(&self) -> MasterKeyId {
        (**self).current()
    }

    async fn wrap(&self, key: &SecretBytes, bound: &[u8]) -> Result<WrappedKey, UseMasterKeyError> {
        (**self).wrap(key, bound).await
    }

    async fn unwrap(
        &self,
        wrapped: &WrappedKey,
        bound: &[u8],
    ) -> Result<SecretBytes, UseMasterKeyError> {
        (**self).unwrap(wrapped, bound).await
    }

    async fn derive(&self, purpose: &str) -> Result<Vec<DerivedKey>, UseMasterKeyError> {
        (**self).derive(purpose).await
    }

    async fn rotate(&self) -> Result<MasterKeyId, RotateMasterKeyError> {
        (**self).rotate().await
    }

    async fn look_again(&self) -> Result<bool, UseMasterKeyError> {
        (**self).look_again().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_a_name_that_fits_into_a_record() {
        assert_eq!(MasterKeyId::new("local-1").unwrap().as_str(), "local-1");
        assert!(MasterKeyId::new(&"k".repeat(255)).is_some());
        for bad in ["", "a b", "é", "a\n", &"k".repeat(256)] {
            assert_eq!(MasterKeyId::new(bad), None, "{bad}");
        }
    }
}
