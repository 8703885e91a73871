use std::path::Path;

use super::copy::{Copied, CopyError, copy, is_copy};
use crate::{OpenStoreError, PostgresStore, SqliteStore, Store, sqlite::MOVED};

/// Why nothing was moved.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MoveError {
    /// The database to move cannot be used, or somebody else uses it.
    #[error(transparent)]
    Open(#[from] OpenStoreError),
    /// It could not be copied.
    #[error(transparent)]
    Copy(#[from] CopyError),
    /// Everything is there, but the database it came from cannot be marked, so that it could be used by mistake.
    #[error(
        "everything was copied, but the database that it came from could not be marked as moved: {0}; start the command again"
    )]
    Mark(#[source] sqlx::Error),
}

/// Moves everything from a SQLite file, which nobody uses meanwhile, into an empty Postgres database, and marks the file, so that
/// it is not opened again by mistake. It is all there, or nothing is. Where the process ended between both steps, the same
/// command again finds that all is there, and marks the file. `progress` is told again and again how much is there already.
///
/// # Errors
/// [`MoveError`] when one of both cannot be used, the file is in use, or the database is not empty and no copy of it.
pub async fn move_to_postgres(
    from: &Path,
    to: &PostgresStore,
    progress: &mut (dyn FnMut(Copied) + Send),
) -> Result<Copied, MoveError> {
    let from = SqliteStore::open_alone(from).await?;
    let (source, target) = (Store::from(from.clone()), Store::from(to.clone()));
    let copied = match copy(&source, &target, progress).await {
        Err(CopyError::NotEmpty(tenant)) => match is_copy(&source, &target).await? {
            Some(copied) => copied,
            None => return Err(CopyError::NotEmpty(tenant).into()),
        },
        outcome => outcome?,
    };
    let mark = sqlx::AssertSqlSafe(format!("PRAGMA user_version = {MOVED}"));
    let marked = sqlx::query(mark).execute(&from.pool).await;
    marked.map_err(MoveError::Mark)?;
    from.close().await;
    Ok(copied)
}
