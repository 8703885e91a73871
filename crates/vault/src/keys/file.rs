use std::{
    fmt, fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
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
/// remove the older file. API keys that were made under it are refused without it.
pub struct FileKeys(Arc<Inner>);

struct Inner {
    dir: PathBuf,
    ring: RwLock<Arc<Ring>>,
    /// One rotation at a time: each has a number of its own, and none puts a ring in force that lacks another's key.
    rotating: Mutex<()>,
}

impl FileKeys {
    /// The keys of this directory, which is made if it is not there, with a first key in it.
    ///
    /// # Errors
    /// [`OpenKeyError`] when a key cannot be read or made, or others can read it.
    pub fn open(dir: &Path) -> Result<Self, OpenKeyError> {
        if let Some(there) = Self::open_existing(dir)? {
            return Ok(there);
        }
        key_file::open_or_create(dir, &name(1), KEY_LEN)?;
        let keys = read(dir)?.into_iter().map(|(_, key)| key);
        let ring = ring(keys)?.ok_or(OpenKeyError::Random)?;
        Ok(Self::new(dir, ring))
    }

    /// The keys of this directory; `None` if it holds none.
    ///
    /// # Errors
    /// [`OpenKeyError`] when a key cannot be read, or others can read it.
    pub fn open_existing(dir: &Path) -> Result<Option<Self>, OpenKeyError> {
        let keys = read(dir)?.into_iter().map(|(_, key)| key);
        Ok(ring(keys)?.map(|ring| Self::new(dir, ring)))
    }

    fn new(dir: &Path, ring: Ring) -> Self {
        Self(Arc::new(Inner {
            dir: dir.to_owned(),
            ring: RwLock::new(Arc::new(ring)),
            rotating: Mutex::new(()),
        }))
    }

    fn ring(&self) -> Arc<Ring> {
        Arc::clone(&self.0.ring.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Inner {
    /// The keys of the directory with one more, which is the current one.
    fn rotate(&self) -> Result<MasterKeyId, OpenKeyError> {
        let _one_at_a_time = self.rotating.lock().unwrap_or_else(PoisonError::into_inner);
        // All that can fail comes first: a key that is in its file is the current one at the next start.
        let there = read(&self.dir)?;
        let next = there.first().map_or(1, |(last, _)| last + 1);
        let key = key_file::random(KEY_LEN)?;
        let older = there.into_iter().map(|(_, key)| key);
        let ring = Ring::new(key.clone(), older).map_err(|_unusable| OpenKeyError::Random)?;
        key_file::create(&self.dir, &name(next), &key)?;
        let current = ring.current();
        *self.ring.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(ring);
        Ok(current)
    }

    /// The keys that the directory has now.
    fn look_again(&self) -> Result<bool, OpenKeyError> {
        let _one_at_a_time = self.rotating.lock().unwrap_or_else(PoisonError::into_inner);
        let keys = read(&self.dir)?.into_iter().map(|(_, key)| key);
        // A volume that is not there takes nothing away from what we have.
        let Some(ring) = ring(keys)? else {
            return Ok(false);
        };
        let mut known = self.ring.write().unwrap_or_else(PoisonError::into_inner);
        let others = known.names() != ring.names();
        if others {
            *known = Arc::new(ring);
        }
        Ok(others)
    }
}

/// The keys that are there, the latest first.
fn read(dir: &Path) -> Result<Vec<(u32, SecretBytes)>, OpenKeyError> {
    key_file::private_dir(dir)?;
    let key = |number| Ok((number, key_file::read(dir, &name(number), KEY_LEN)?));
    numbers(dir)?.into_iter().rev().map(key).collect()
}

/// A ring of these keys, the first of which is the current one; `None` if there is none.
fn ring(mut keys: impl Iterator<Item = SecretBytes>) -> Result<Option<Ring>, OpenKeyError> {
    let ring = keys.next().map(|current| Ring::new(current, keys));
    ring.transpose().map_err(|_unusable| OpenKeyError::Random)
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
        match self.ring().unwrap(wrapped, bound) {
            // Whoever shares the directory may have made it since.
            Err(UseMasterKeyError::Missing(_)) if self.look_again().await? => {
                self.ring().unwrap(wrapped, bound)
            }
            outcome => outcome,
        }
    }

    async fn derive(&self, purpose: &str) -> Result<Vec<DerivedKey>, UseMasterKeyError> {
        self.ring().derive(purpose)
    }

    async fn rotate(&self) -> Result<MasterKeyId, RotateMasterKeyError> {
        let failed = |error: BoxError| RotateMasterKeyError::Failed(error);
        let keys = Arc::clone(&self.0);
        // It waits for the disk, and goes on when whoever asked for it has gone.
        let made = spawn_blocking(move || keys.rotate()).await;
        made.map_err(|ended| failed(ended.into()))?
            .map_err(|error| failed(error.into()))
    }

    async fn look_again(&self) -> Result<bool, UseMasterKeyError> {
        let failed = |error: BoxError| UseMasterKeyError::Unavailable(error);
        let keys = Arc::clone(&self.0);
        let looked = spawn_blocking(move || keys.look_again()).await;
        looked
            .map_err(|ended| failed(ended.into()))?
            .map_err(|error| failed(error.into()))
    }
}

impl fmt::Debug for FileKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileKeys")
            .field("dir", &self.0.dir)
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
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(FileKeys::open(&folder).unwrap().current(), before);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn a_key_that_another_process_made_is_found_and_used() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("keys");
        let (ours, theirs) = (
            FileKeys::open(&folder).unwrap(),
            FileKeys::open(&folder).unwrap(),
        );
        assert!(!ours.look_again().await.unwrap());
        let made = theirs.rotate().await.unwrap();
        let wrapped = theirs.wrap(&data_key(), b"x").await.unwrap();
        // What is under it opens at once, and what is sealed from then on is under it.
        assert_eq!(ours.unwrap(&wrapped, b"x").await.unwrap(), data_key());
        assert_eq!(ours.current(), made);
        let made = theirs.rotate().await.unwrap();
        assert!(ours.look_again().await.unwrap());
        assert_eq!(ours.current(), made);

        // A directory that is empty for a moment takes nothing away; one that others can read gives nothing.
        for number in 1..=3 {
            fs::remove_file(folder.join(name(number))).unwrap();
        }
        assert!(!ours.look_again().await.unwrap());
        assert_eq!(ours.current(), made);
        let elsewhere = FileKeys::open(&dir.path().join("other")).unwrap();
        let foreign = elsewhere.wrap(&data_key(), b"x").await.unwrap();
        let refused = ours.unwrap(&foreign, b"x").await.unwrap_err();
        assert!(matches!(refused, UseMasterKeyError::Missing(_)));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn many_rotations_at_once_make_a_key_each() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("keys");
        let keys = Arc::new(FileKeys::open(&folder).unwrap());
        let mut rotations = tokio::task::JoinSet::new();
        for _ in 0..6 {
            let keys = Arc::clone(&keys);
            rotations.spawn(async move { keys.rotate().await });
        }
        let made = rotations.join_all().await;
        let mut made: Vec<MasterKeyId> = made.into_iter().map(Result::unwrap).collect();
        made.sort_unstable_by(|a, b| a.as_str().cmp(b.as_str()));
        made.dedup();
        assert_eq!(made.len(), 6);
        assert_eq!(keys.derive("p").await.unwrap().len(), 7);
        let again = FileKeys::open(&folder).unwrap();
        assert_eq!(again.current(), keys.current());
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 7);
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
