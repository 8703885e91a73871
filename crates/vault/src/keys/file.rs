use std::{
    fmt, fs,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use async_trait::async_trait;
use gatewright_core::{BoxError, SecretBytes};
use tokio::task::spawn_blocking;

use super::{
    DerivedKey, KeyProvider, MasterKeyId, RotateMasterKeyError, UseMasterKeyError, WrappedKey,
    ring::{KEY_LEN, Ring},
};
use crate::key_file::{self, OpenKeyError};

const PREFIX: &str = "master-";
const SUFFIX: &str = ".key";

/// Master keys in files that only their owner can read (`master-0001.key`, …), in a directory that backups leave out: the
/// one with the highest number is the current one, the others open what was sealed under them.
///
/// To retire a key: [`rotate`](KeyProvider::rotate), [`SealedVault::rewrap`](crate::SealedVault::rewrap) for each tenant, then
/// remove the older file. API keys that were made under it end with it.
pub struct FileKeys {
    dir: PathBuf,
    ring: RwLock<Arc<Ring>>,
}

impl FileKeys {
    /// The keys of this directory, which is made if it is not there, with a first key in it.
    ///
    /// # Errors
    /// [`OpenKeyError`] when a key cannot be read or made, or others can read it.
    pub fn open(dir: &Path) -> Result<Self, OpenKeyError> {
        Ok(Self {
            ring: RwLock::new(Arc::new(read(dir)?)),
            dir: dir.to_owned(),
        })
    }

    fn ring(&self) -> Arc<Ring> {
        Arc::clone(&self.ring.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The keys of the directory with one more, which is the current one.
fn with_another(dir: &Path) -> Result<Ring, OpenKeyError> {
    let next = numbers(dir)?.last().map_or(1, |last| last + 1);
    key_file::open_or_create(dir, &name(next), KEY_LEN)?;
    read(dir)
}

fn read(dir: &Path) -> Result<Ring, OpenKeyError> {
    key_file::private_dir(dir)?;
    let mut numbers = numbers(dir)?;
    let current = numbers.pop().unwrap_or(1);
    let key = |number| key_file::open_or_create(dir, &name(number), KEY_LEN);
    let older = numbers
        .into_iter()
        .rev()
        .map(key)
        .collect::<Result<Vec<SecretBytes>, _>>()?;
    Ring::new(key(current)?, older).map_err(|_unusable| OpenKeyError::Random)
}

fn name(number: u32) -> String {
    format!("{PREFIX}{number:04}{SUFFIX}")
}

/// The numbers of the keys that are there, in order.
fn numbers(dir: &Path) -> Result<Vec<u32>, OpenKeyError> {
    let failed = |source| OpenKeyError::Io {
        path: dir.to_owned(),
        source,
    };
    let mut numbers = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        let file = entry.map_err(failed)?.file_name();
        let number = |file: &str| {
            file.strip_prefix(PREFIX)?
                .strip_suffix(SUFFIX)?
                .parse()
                .ok()
        };
        let number = file.to_str().and_then(number);
        // What is written otherwise (`master-1.key`) is none of ours.
        numbers.extend(number.filter(|number| *name(*number) == *file));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

#[async_trait]
impl KeyProvider for FileKeys {
    fn current(&self) -> MasterKeyId {
        self.ring().current()
    }

    async fn wrap(&self, key: &SecretBytes, bound: &[u8]) -> Result<WrappedKey, UseMasterKeyError> {
        self.ring().wrap(key, bound)
    }

    async fn unwrap(
        &self,
        wrapped: &WrappedKey,
        bound: &[u8],
    ) -> Result<SecretBytes, UseMasterKeyError> {
        self.ring().unwrap(wrapped, bound)
    }

    async fn derive(&self, purpose: &str) -> Result<Vec<DerivedKey>, UseMasterKeyError> {
        self.ring().derive(purpose)
    }

    async fn rotate(&self) -> Result<MasterKeyId, RotateMasterKeyError> {
        let failed = |error: BoxError| RotateMasterKeyError::Failed(error);
        let dir = self.dir.clone();
        // It waits for the disk.
        let made = spawn_blocking(move || with_another(&dir)).await;
        let ring = made
            .map_err(|ended| failed(ended.into()))?
            .map_err(|error| failed(error.into()))?;
        let current = ring.current();
        *self.ring.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(ring);
        Ok(current)
    }
}

impl fmt::Debug for FileKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileKeys")
            .field("dir", &self.dir)
            .field("keys", &self.ring())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn data_key() -> SecretBytes {
        SecretBytes::new(vec![9; 32])
    }

    #[tokio::test]
    async fn a_first_key_is_made_once_and_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let keys = dir.path().join("keys");
        let first = FileKeys::open(&keys).unwrap();
        let wrapped = first.wrap(&data_key(), b"x").await.unwrap();
        let again = FileKeys::open(&keys).unwrap();
        assert_eq!(again.current(), first.current());
        assert_eq!(again.unwrap(&wrapped, b"x").await.unwrap(), data_key());
        let other = FileKeys::open(&dir.path().join("other")).unwrap();
        assert!(other.unwrap(&wrapped, b"x").await.is_err());
    }

    #[tokio::test]
    async fn a_new_key_wraps_and_the_older_ones_still_open() {
        let dir = tempfile::tempdir().unwrap();
        let keys = FileKeys::open(&dir.path().join("keys")).unwrap();
        let old = keys.wrap(&data_key(), b"x").await.unwrap();
        let next = keys.rotate().await.unwrap();
        assert_ne!(next, old.master);
        assert_eq!(keys.current(), next);
        assert_eq!(keys.wrap(&data_key(), b"x").await.unwrap().master, next);
        assert_eq!(keys.unwrap(&old, b"x").await.unwrap(), data_key());
        let reopened = FileKeys::open(&dir.path().join("keys")).unwrap();
        assert_eq!(reopened.current(), next);
        assert_eq!(reopened.derive("p").await.unwrap().len(), 2);

        fs::remove_file(dir.path().join("keys/master-0001.key")).unwrap();
        let retired = FileKeys::open(&dir.path().join("keys")).unwrap();
        let refused = retired.unwrap(&old, b"x").await.unwrap_err();
        assert!(matches!(refused, UseMasterKeyError::Missing(_)));
    }

    #[tokio::test]
    async fn where_no_key_can_be_made_the_one_that_is_there_stays() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("keys");
        let keys = FileKeys::open(&folder).unwrap();
        let before = keys.current();
        let path = folder.join("master-0001.key");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let refused = keys.rotate().await.unwrap_err().to_string();
        assert!(refused.starts_with("no master key was made: "), "{refused}");
        assert_eq!(keys.current(), before);
    }

    #[tokio::test]
    async fn a_key_that_others_can_read_is_refused_whichever_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let keys = dir.path().join("keys");
        FileKeys::open(&keys).unwrap().rotate().await.unwrap();
        let path = keys.join("master-0001.key");
        fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
        let refused = FileKeys::open(&keys).unwrap_err();
        assert!(matches!(refused, OpenKeyError::Exposed(_)), "{refused}");
    }
}
