mod address;
mod api_keys;
mod fitness;
mod listen;
mod master_keys;
mod records;
mod scope;
mod sealed;

use std::{fmt, io, sync::Arc, time::Duration};

use gatewright_core::TenantId;
use sqlx::{
    Connection as _, PgConnection, PgPool, Postgres, Transaction,
    postgres::{PgArguments, PgConnectOptions, PgPoolOptions},
    query::Query,
};
use tokio::sync::broadcast;

use self::scope::Scope;
use crate::{KeyEvent, OpenStoreError, announcer::Announcer, background::Background, migrations};

/// Nothing on the warm path waits for the database, so a few connections do.
const CONNECTIONS: u32 = 8;
/// How long a caller waits for a connection, and a statement for another one's lock.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long one of our operations may take, whatever the server and the network do.
const LIMIT: Duration = Duration::from_secs(10);
/// How long a commit may take, however much is in it.
const COMMIT_LIMIT: Duration = Duration::from_secs(60);
/// How long to wait for another replica that brings the database up to this version.
const MIGRATION_PATIENCE: Duration = Duration::from_secs(120);
/// A connection that nobody used for so long is asked whether it still works before it is used, and has as long to answer.
const FRESH: Duration = Duration::from_secs(1);

/// All storage traits over one Postgres database, which any number of processes can share. Clones are the same database.
///
/// Row-level security keeps tenants apart: each transaction names its tenant, and whatever a statement says, it sees and
/// writes the rows of that tenant alone. That holds for every user but superusers and those with `BYPASSRLS`, so these are
/// refused.
#[derive(Clone)]
pub struct PostgresStore {
    pub(crate) pool: PgPool,
    announcer: Arc<Announcer>,
    listening: Arc<Background>,
}

impl PostgresStore {
    /// The database at this URL (`postgres://user@host/database`, with libpq's parameters such as `sslrootcert`), brought up
    /// to this version; replicas that start together take turns. The user has to be able to make tables there, as the owner
    /// of the database can.
    ///
    /// A server on another machine is spoken to over TLS, and its certificate is checked.
    ///
    /// # Errors
    /// [`OpenStoreError`] when the URL is none, the server does not answer or is unfit, a later version wrote the database, or
    /// its tenants would not be kept apart.
    pub async fn open(url: &str) -> Result<Self, OpenStoreError> {
        let options = address::options(url)?;
        let preparing = preparing(&options).await?;
        fitness::server_is_fit(&preparing).await?;
        // Processes that start together take turns: the migrator holds a lock of the database.
        let migrated = migrations::all(migrations::POSTGRES).run(&preparing).await;
        migrated.map_err(migrations::refused)?;
        fitness::tenants_are_kept_apart(&preparing).await?;
        preparing.close().await;
        let options = with_limits(options, COMMIT_LIMIT, PATIENCE);
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(PATIENCE)
            // Of connections in use it would only cost another round.
            .test_before_acquire(false)
            .before_acquire(|connection, used| {
                Box::pin(async move {
                    if used.idle_for > FRESH {
                        in_time(FRESH, connection.ping()).await?;
                    }
                    Ok(true)
                })
            })
            .connect_with(options.clone())
            .await
            .map_err(|error| OpenStoreError::Database(error.into()))?;
        // What is committed from here on is heard, and what was before is not told again.
        let listening = listen::listen(&options)
            .await
            .map_err(|error| OpenStoreError::Database(error.into()))?;
        let heads = records::heads_of(&pool)
            .await
            .map_err(|error| OpenStoreError::Database(error.into()))?;
        let announcer = Arc::new(Announcer::new(heads));
        let task = listen::announce(listening, options, Arc::clone(&announcer));
        Ok(Self {
            pool,
            announcer,
            listening: Arc::new(Background::start(task)),
        })
    }

    /// How many connections gateways, and commands such as ours, have to the database at this URL as the same user.
    ///
    /// # Errors
    /// [`OpenStoreError`] when the URL is none or the server does not answer.
    pub async fn connections(url: &str) -> Result<u64, OpenStoreError> {
        let options = with_limits(address::options(url)?, LIMIT, PATIENCE);
        let counted = in_time(PATIENCE, async {
            let mut connection = PgConnection::connect_with(&options).await?;
            let query = sqlx::query_scalar::<_, i64>(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                 AND application_name = $1 AND pid <> pg_backend_pid()",
            );
            let query = query.bind(address::APPLICATION);
            let counted = query.fetch_one(&mut connection).await?;
            connection.close().await?;
            Ok(counted)
        });
        let counted = counted.await;
        let counted =
            counted.map_err(|error: sqlx::Error| OpenStoreError::Database(error.into()))?;
        Ok(u64::try_from(counted).unwrap_or_default())
    }

    /// See [`Store::key_events`](crate::Store::key_events).
    #[must_use]
    pub fn key_events(&self) -> broadcast::Receiver<KeyEvent> {
        self.announcer.subscribe_to_keys()
    }

    /// Waits for what is under way, and lets go of the server.
    pub async fn close(&self) {
        self.listening.stop().await;
        self.pool.close().await;
    }

    /// A transaction that sees the rows of this scope alone. It is undone unless it is committed.
    async fn begin(&self, scope: Scope<'_>) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
        begin(&self.pool, scope).await
    }

    /// Runs a statement of one tenant, and says how many rows it changed.
    async fn changed(
        &self,
        tenant: &TenantId,
        query: Query<'_, Postgres, PgArguments>,
    ) -> Result<u64, sqlx::Error> {
        in_time(LIMIT, async {
            let mut transaction = self.begin(Scope::Tenant(tenant)).await?;
            let done = query.execute(&mut *transaction).await?;
            transaction.commit().await?;
            Ok(done.rows_affected())
        })
        .await
    }
}

async fn begin(
    pool: &PgPool,
    scope: Scope<'_>,
) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
    pool.begin_with(scope.begin()).await
}

/// A connection for bringing the database up to date, which may take as long as it takes.
async fn preparing(options: &PgConnectOptions) -> Result<PgPool, OpenStoreError> {
    let options = with_limits(options.clone(), Duration::ZERO, MIGRATION_PATIENCE);
    // A pool would try again and again, and not say why it cannot connect.
    let tried = in_time(PATIENCE, PgConnection::connect_with(&options)).await;
    let connected = async {
        tried?.close().await?;
        PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(PATIENCE)
            .connect_with(options)
            .await
    };
    let pool = connected.await;
    pool.map_err(|error: sqlx::Error| OpenStoreError::Database(error.into()))
}

/// Options of our sessions, whatever the server's own are.
fn with_limits(options: PgConnectOptions, statement: Duration, lock: Duration) -> PgConnectOptions {
    options.options([
        ("statement_timeout", statement.as_millis().to_string()),
        ("lock_timeout", lock.as_millis().to_string()),
        // The locks of a process that is gone do not stay.
        (
            "idle_in_transaction_session_timeout",
            LIMIT.as_millis().to_string(),
        ),
        // What is acknowledged stays, also when the power fails.
        ("synchronous_commit", "on".to_owned()),
    ])
}

/// A server that is gone without a word would be waited for without end.
async fn in_time<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    let done = tokio::time::timeout(limit, work).await;
    done.unwrap_or_else(|_elapsed| Err(too_slow()))
}

fn too_slow() -> sqlx::Error {
    io::Error::new(io::ErrorKind::TimedOut, "it took too long").into()
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore").finish_non_exhaustive()
    }
}
