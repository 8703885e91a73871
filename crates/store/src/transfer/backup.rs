use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use super::copy::{CopyError, copy};
use crate::{OpenStoreError, SqliteStore, Store};

/// Why there is no backup.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// There is a file already.
    #[error("`{}` is there already, and is not written over: name another file", .0.display())]
    Exists(PathBuf),
    /// The file cannot be written.
    #[error("the backup cannot be written to `{}`: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The database cannot be copied into the file.
    #[error("the database cannot be backed up: {0}")]
    Database(#[source] sqlx::Error),
    /// The file cannot be used as a database.
    #[error(transparent)]
    Open(#[from] OpenStoreError),
    /// The database cannot be copied into the file.
    #[error(transparent)]
    Copy(#[from] CopyError),
}

/// Why a backup was not restored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// There is a database already, or what one has left.
    #[error("`{}` is there already, and is not written over: move it away, with what stands beside it", .0.display())]
    Exists(PathBuf),
    /// A file cannot be read or written.
    #[error("cannot use `{}`: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The backup is no database of ours, or a later version's.
    #[error("the backup cannot be used: {0}")]
    Unusable(#[from] OpenStoreError),
    /// The backup's file is damaged.
    #[error("the backup is damaged: {0}")]
    Damaged(String),
}

/// Writes one moment of the database into a file of its own, while it goes on being used. It is a SQLite database, whichever
/// kind this is, and only its owner can read it. Master keys are not in it.
///
/// # Errors
/// [`BackupError`] when there is a file already, it cannot be written, or the database does not answer. Then there is no such
/// file.
pub async fn backup(store: &Store, to: &Path) -> Result<(), BackupError> {
    if to.exists() {
        return Err(BackupError::Exists(to.to_owned()));
    }
    let failed = |source| BackupError::Io {
        path: to.to_owned(),
        source,
    };
    let part = beside(to, ".part");
    // What an earlier one has left that did not come to its end.
    for left in files(&part) {
        remove(&left).map_err(failed)?;
    }
    let written = write(store, &part, to).await;
    for left in files(&part) {
        remove(&left).map_err(failed)?;
    }
    written
}

async fn write(store: &Store, part: &Path, to: &Path) -> Result<(), BackupError> {
    let failed = |source| BackupError::Io {
        path: to.to_owned(),
        source,
    };
    match store {
        Store::Sqlite(store) => {
            // SQLite writes into an empty file, and leaves its mode.
            empty(part).map_err(failed)?;
            let path = part.to_str().ok_or_else(|| {
                let source = io::Error::other("its name is no text");
                failed(source)
            })?;
            let done = sqlx::query("VACUUM INTO ?").bind(path).execute(&store.pool);
            done.await.map_err(BackupError::Database)?;
        }
        Store::Postgres(_) => {
            let file = SqliteStore::open(part).await?;
            let copied = copy(store, &Store::from(file.clone()), &mut |_so_far| ()).await;
            file.close().await;
            copied?;
        }
    }
    publish(part, to).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => BackupError::Exists(to.to_owned()),
        _ => failed(error),
    })
}

/// Makes a backup the database at this path, where there is none. It is read whole before, and brought up to this version.
///
/// # Errors
/// [`RestoreError`] when there is a database, the backup is damaged or cannot be used, or a file cannot be written. Then there
/// is no database.
pub async fn restore(backup: &Path, to: &Path) -> Result<(), RestoreError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| RestoreError::Io { path, source }
    };
    for there in files(to) {
        // Its lock may stay: it says nothing.
        if there.exists() && there != beside(to, "-lock") {
            return Err(RestoreError::Exists(there));
        }
    }
    if let Some(dir) = to.parent() {
        fs::create_dir_all(dir).map_err(failed(dir))?;
    }
    let part = beside(to, ".part");
    for left in files(&part) {
        remove(&left).map_err(failed(&left))?;
    }
    let restored = fill(backup, &part, to).await;
    for left in files(&part) {
        remove(&left).map_err(failed(&left))?;
    }
    restored
}

async fn fill(backup: &Path, part: &Path, to: &Path) -> Result<(), RestoreError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| RestoreError::Io { path, source }
    };
    let mut source = File::open(backup).map_err(failed(backup))?;
    let mut copy = empty(part).map_err(failed(part))?;
    io::copy(&mut source, &mut copy).map_err(failed(part))?;
    drop(copy);
    let store = SqliteStore::open(part).await?;
    let checked = sqlx::query_scalar::<_, String>("PRAGMA integrity_check(1)")
        .fetch_one(&store.pool)
        .await;
    store.close().await;
    match checked {
        Ok(said) if said == "ok" => {}
        Ok(said) => return Err(RestoreError::Damaged(said)),
        Err(error) => return Err(RestoreError::Damaged(error.to_string())),
    }
    publish(part, to).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => RestoreError::Exists(to.to_owned()),
        _ => failed(to)(error),
    })
}

/// Gives a file its name for good, unless another has it.
fn publish(part: &Path, to: &Path) -> io::Result<()> {
    File::open(part)?.sync_all()?;
    fs::hard_link(part, to)?;
    fs::remove_file(part)?;
    let dir = match to.parent() {
        Some(dir) if dir != Path::new("") => dir,
        _ => Path::new("."),
    };
    File::open(dir)?.sync_all()
}

fn empty(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

/// A database's file, and those that SQLite and we put beside it.
fn files(path: &Path) -> [PathBuf; 5] {
    ["", "-wal", "-shm", "-journal", "-lock"].map(|end| beside(path, end))
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _gone => Ok(()),
    }
}
