use std::{
    fs::{File, OpenOptions, TryLockError},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use crate::OpenStoreError;

/// That a process uses a database, until it says that it ends. Whoever wants it alone is refused meanwhile, and the other way
/// round. It ends with the process, however that ends.
///
/// Only asked for once the database is known to be our own user's, or the file would be left as somebody else's. The lock is on a file beside the database: the ones on the database itself are SQLite's, and closing the file a second time
/// would take them away.
#[derive(Debug)]
pub(super) struct InUse(File);

impl InUse {
    /// Others may use it, too.
    pub(super) fn shared(path: &Path) -> Result<Self, OpenStoreError> {
        Self::locked(path, File::try_lock_shared)
    }

    /// Nobody else does.
    pub(super) fn alone(path: &Path) -> Result<Self, OpenStoreError> {
        Self::locked(path, File::try_lock)
    }

    /// Before the process ends.
    pub(super) fn end(&self) {
        // Where that fails, it is with the process.
        let _unlocked = self.0.unlock();
    }

    fn locked(
        path: &Path,
        lock: impl FnOnce(&File) -> Result<(), TryLockError>,
    ) -> Result<Self, OpenStoreError> {
        let mut name = path.as_os_str().to_owned();
        name.push("-lock");
        let failed = |source| OpenStoreError::Io {
            path: path.to_owned(),
            source,
        };
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(name)
            .map_err(failed)?;
        match lock(&file) {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(OpenStoreError::InUse(path.to_owned())),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }
}
