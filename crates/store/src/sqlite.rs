mod api_keys;
mod in_use;
mod master_keys;
mod records;
mod sealed;
mod watch;

use std::{
    fmt,
    fs::{self, DirBuilder, Metadata, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::Path,
    sync::Arc,
    time::Duration,
};

use sqlx::{
    SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::sync::broadcast;

use self::in_use::InUse;
use crate::{KeyEvent, OpenStoreError, announcer::Announcer, background::Background, migrations};

/// Nothing on the warm path waits for the database, so a few connections do.
const CONNECTIONS: u32 = 4;
/// How long one write waits for another, and a caller for a connection.
const PATIENCE: Duration = Duration::from_secs(5);

/// All storage traits over one SQLite file. Clones are the same database.
#[derive(Clone)]
pub struct SqliteStore {
    pub(crate) pool: SqlitePool,
    announcer: Arc<Announcer>,
    watch: Arc<Background>,
    in_use: Arc<InUse>,
}

impl SqliteStore {
    /// The database in this file, which is made if it is not there, and brought up to this version. Only its owner can read
    /// it.
    ///
    /// # Errors
    /// [`OpenStoreError`] when it cannot be read or made, others can read it, or a later version wrote it.
    pub async fn open(path: &Path) -> Result<Self, OpenStoreError> {
        private_file(path)?;
        Self::open_with(path, InUse::shared(path)?).await
    }

    /// The same, while nobody else uses it and until this is closed.
    ///
    /// # Errors
    /// As [`open`](Self::open), and when somebody uses it.
    pub async fn open_alone(path: &Path) -> Result<Self, OpenStoreError> {
        private_file(path)?;
        Self::open_with(path, InUse::alone(path)?).await
    }

    async fn open_with(path: &Path, in_use: InUse) -> Result<Self, OpenStoreError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            // What is acknowledged stays, also when the power fails.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(PATIENCE)
            .foreign_keys(true)
            // What was removed is not left in the file.
            .pragma("secure_delete", "ON");
        let pool = SqlitePoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(PATIENCE)
            .connect_with(options.clone())
            .await
            .map_err(|error| OpenStoreError::Database(error.into()))?;
        not_moved(path, &pool).await?;
        let migrated = migrations::all(migrations::SQLITE).run(&pool).await;
        migrated.map_err(migrations::refused)?;
        let heads = watch::heads_of(&pool)
            .await
            .map_err(|error| OpenStoreError::Database(error.into()))?;
        let announcer = Arc::new(Announcer::new(heads));
        let watch = Background::start(watch::watch(options, Arc::clone(&announcer)));
        Ok(Self {
            pool,
            announcer,
            watch: Arc::new(watch),
            in_use: Arc::new(in_use),
        })
    }

    /// See [`Store::key_events`](crate::Store::key_events).
    #[must_use]
    pub fn key_events(&self) -> broadcast::Receiver<KeyEvent> {
        self.announcer.subscribe_to_keys()
    }

    /// Waits for what is under way, and lets go of the file.
    pub async fn close(&self) {
        self.watch.stop().await;
        self.pool.close().await;
        self.in_use.end();
    }
}

/// Set in a database whose rows are in another one now.
pub(crate) const MOVED: i32 = 1;

async fn not_moved(path: &Path, pool: &SqlitePool) -> Result<(), OpenStoreError> {
    let marked = sqlx::query_scalar::<_, i32>("PRAGMA user_version")
        .fetch_one(pool)
        .await
        .map_err(|error| OpenStoreError::Database(error.into()))?;
    match marked {
        0 => Ok(()),
        _moved => Err(OpenStoreError::Moved(path.to_owned())),
    }
}

/// SQLite gives the files beside it (`-wal`, `-shm`) the same mode.
fn private_file(path: &Path) -> Result<(), OpenStoreError> {
    let failed = |source| OpenStoreError::Io {
        path: path.to_owned(),
        source,
    };
    if let Some(dir) = path.parent() {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
        made.map_err(failed)?;
    }
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    match made {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let found = fs::metadata(path).map_err(failed)?;
            owned_by(rustix::process::geteuid().as_raw(), path, &found)
        }
        Err(error) => Err(failed(error)),
    }
}

/// Whoever owns a file can read and replace it, whatever its mode is.
fn owned_by(us: u32, path: &Path, found: &Metadata) -> Result<(), OpenStoreError> {
    if found.uid() != us {
        return Err(OpenStoreError::Foreign {
            path: path.to_owned(),
            owner: found.uid(),
            us,
        });
    }
    if found.mode() & 0o077 != 0 {
        return Err(OpenStoreError::Exposed(path.to_owned()));
    }
    Ok(())
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_of_somebody_elses_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("gatewright.db");
        private_file(&path).unwrap();
        let found = fs::metadata(&path).unwrap();
        owned_by(found.uid(), &path, &found).unwrap();
        let refused = owned_by(found.uid() + 1, &path, &found).unwrap_err();
        assert!(
            matches!(refused, OpenStoreError::Foreign { .. }),
            "{refused}"
        );
    }
}
