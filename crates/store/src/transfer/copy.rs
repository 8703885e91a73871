use std::collections::BTreeSet;

use futures_util::{StreamExt as _, TryStreamExt as _, stream::BoxStream};
use gatewright_core::{BoxError, TenantId};
use sqlx::{AssertSqlSafe, Postgres, SqlSafeStr as _, Sqlite, Transaction};

use super::tables::{Cells, TABLES, Table};
use crate::Store;

/// How many rows go in one statement: less than either database bounds.
const BATCH: usize = 100;
/// A copy takes as long as it takes, and between two of its statements, too.
const UNHURRIED: &str =
    "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0";
/// The tables that say which tenants there are: whatever else is of a tenant comes with a head.
const REGISTERS: [&str; 4] = ["tenants", "sealed_records", "sealed_versions", "api_keys"];

/// What was copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Copied {
    /// How many tenants.
    pub tenants: u64,
    /// How many rows of all tables.
    pub rows: u64,
}

/// Why nothing was copied.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CopyError {
    /// There is something already, and it is not this.
    #[error("the database to copy to is not empty (the tenant `{0}` is there): make an empty one")]
    NotEmpty(String),
    /// What was written is not what was read.
    #[error("the copy differs in the table `{table}` of the tenant `{tenant}`; nothing was kept")]
    Differs {
        /// Where.
        table: &'static str,
        /// Whose rows.
        tenant: String,
    },
    /// A database does not do what it was asked.
    #[error("the database to copy {side} does not answer: {source}")]
    Database {
        /// `from` or `to`.
        side: &'static str,
        /// Why.
        source: BoxError,
    },
}

/// Copies everything of one database into another one, which is empty, or fails and leaves it empty. What is copied is one
/// moment of the first; every row is read back and compared before it counts. `progress` is told again and again how much is
/// there already.
///
/// # Errors
/// [`CopyError`] when the second is not empty or one does not answer. Where the answer to the very last step was lost, all of it
/// may be there.
pub async fn copy(
    from: &Store,
    to: &Store,
    progress: &mut (dyn FnMut(Copied) + Send),
) -> Result<Copied, CopyError> {
    let mut from = Reading::begin(from).await.map_err(reading)?;
    let mut to = Writing::begin(to).await.map_err(writing)?;
    if let Some(tenant) = to.reading().tenants().await.map_err(writing)?.pop_first() {
        return Err(CopyError::NotEmpty(tenant));
    }
    let mut copied = Copied::default();
    for tenant in from.tenants().await.map_err(reading)? {
        from.enter(&tenant).await.map_err(reading)?;
        to.reading().enter(&tenant).await.map_err(writing)?;
        for table in TABLES {
            let so_far = copied;
            let mut tell = |rows| {
                progress(Copied {
                    rows: so_far.rows + rows,
                    ..so_far
                });
            };
            let rows = copy_table(&mut from, &mut to, table, &tenant, &mut tell).await?;
            copied.rows += rows;
            if same(&mut from, to.reading(), table, &tenant).await? != Some(rows) {
                return Err(CopyError::Differs {
                    table: table.name,
                    tenant,
                });
            }
        }
        copied.tenants += 1;
    }
    to.commit().await.map_err(writing)?;
    Ok(copied)
}

/// What was copied, if the second database holds exactly what the first one does.
///
/// # Errors
/// [`CopyError`] when one does not answer.
pub(super) async fn is_copy(from: &Store, to: &Store) -> Result<Option<Copied>, CopyError> {
    let mut from = Reading::begin(from).await.map_err(reading)?;
    let mut to = Reading::begin(to).await.map_err(writing)?;
    let tenants = from.tenants().await.map_err(reading)?;
    if tenants != to.tenants().await.map_err(writing)? {
        return Ok(None);
    }
    let mut copied = Copied::default();
    for tenant in tenants {
        from.enter(&tenant).await.map_err(reading)?;
        to.enter(&tenant).await.map_err(writing)?;
        for table in TABLES {
            match same(&mut from, &mut to, table, &tenant).await? {
                Some(rows) => copied.rows += rows,
                None => return Ok(None),
            }
        }
        copied.tenants += 1;
    }
    Ok(Some(copied))
}

async fn copy_table(
    from: &mut Reading,
    to: &mut Writing,
    table: &Table,
    tenant: &str,
    progress: &mut (dyn FnMut(u64) + Send),
) -> Result<u64, CopyError> {
    let mut rows = from.rows(table, tenant).chunks(BATCH);
    let mut copied = 0;
    while let Some(batch) = rows.next().await {
        let batch: Result<Vec<Cells>, sqlx::Error> = batch.into_iter().collect();
        copied += to
            .insert(table, batch.map_err(reading)?)
            .await
            .map_err(writing)?;
        progress(copied);
    }
    Ok(copied)
}

/// How many rows both have, if they are the same ones in the same order.
async fn same(
    from: &mut Reading,
    to: &mut Reading,
    table: &Table,
    tenant: &str,
) -> Result<Option<u64>, CopyError> {
    let mut rows = 0;
    let mut ours = from.rows(table, tenant);
    let mut theirs = to.rows(table, tenant);
    loop {
        let one = ours.try_next().await.map_err(reading)?;
        let other = theirs.try_next().await.map_err(writing)?;
        if one != other {
            return Ok(None);
        }
        if one.is_none() {
            return Ok(Some(rows));
        }
        rows += 1;
    }
}

/// A transaction that sees one moment of a database.
enum Reading {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

/// A transaction that writes all or nothing.
struct Writing(Reading);

impl Reading {
    async fn begin(store: &Store) -> Result<Self, sqlx::Error> {
        Ok(match store {
            Store::Sqlite(store) => Self::Sqlite(store.pool.begin().await?),
            Store::Postgres(store) => {
                let begin = format!("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {UNHURRIED}");
                Self::Postgres(store.pool.begin_with(AssertSqlSafe(begin)).await?)
            }
        })
    }

    /// The tenants that there are.
    async fn tenants(&mut self) -> Result<BTreeSet<String>, sqlx::Error> {
        let registers = REGISTERS.map(|table| format!("SELECT tenant FROM {table}"));
        let select = AssertSqlSafe(registers.join(" UNION ")).into_sql_str();
        if let Self::Postgres(transaction) = self {
            see(transaction, "*").await?;
        }
        let query = sqlx::query_scalar::<_, String>(select.clone());
        let tenants = match self {
            Self::Sqlite(transaction) => query.fetch_all(&mut **transaction).await?,
            Self::Postgres(transaction) => {
                let query = sqlx::query_scalar::<_, String>(select);
                query.fetch_all(&mut **transaction).await?
            }
        };
        Ok(tenants.into_iter().collect())
    }

    /// Turns to a tenant. Postgres shows its rows alone from here on.
    async fn enter(&mut self, tenant: &str) -> Result<(), sqlx::Error> {
        // Its name comes from the database, and is one nevertheless.
        TenantId::new(tenant).map_err(|error| sqlx::Error::Decode(error.into()))?;
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::Postgres(transaction) => see(transaction, tenant).await,
        }
    }

    fn rows<'a>(
        &'a mut self,
        table: &'a Table,
        tenant: &'a str,
    ) -> BoxStream<'a, Result<Cells, sqlx::Error>> {
        match self {
            Self::Sqlite(transaction) => sqlx::query(table.select("?"))
                .bind(tenant)
                .fetch(&mut **transaction)
                .map(|row| table.cells(&row?))
                .boxed(),
            Self::Postgres(transaction) => sqlx::query(table.select("$1"))
                .bind(tenant)
                .fetch(&mut **transaction)
                .map(|row| table.cells(&row?))
                .boxed(),
        }
    }
}

impl Writing {
    async fn begin(store: &Store) -> Result<Self, sqlx::Error> {
        Ok(Self(match store {
            Store::Sqlite(store) => {
                Reading::Sqlite(store.pool.begin_with("BEGIN IMMEDIATE").await?)
            }
            Store::Postgres(store) => {
                let begin = format!("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; {UNHURRIED}");
                let mut transaction = store.pool.begin_with(AssertSqlSafe(begin)).await?;
                // Nobody writes meanwhile what would be mixed with it.
                let tables: Vec<&str> = TABLES.iter().map(|table| table.name).collect();
                let lock = format!("LOCK TABLE {} IN EXCLUSIVE MODE", tables.join(", "));
                let lock = sqlx::query(AssertSqlSafe(lock));
                lock.execute(&mut *transaction).await?;
                Reading::Postgres(transaction)
            }
        }))
    }

    /// What it wrote is seen before it is committed.
    fn reading(&mut self) -> &mut Reading {
        &mut self.0
    }

    async fn insert(&mut self, table: &Table, rows: Vec<Cells>) -> Result<u64, sqlx::Error> {
        Ok(match &mut self.0 {
            Reading::Sqlite(transaction) => {
                let mut query = table.insert_into_sqlite(rows);
                let done = query.build().execute(&mut **transaction).await?;
                done.rows_affected()
            }
            Reading::Postgres(transaction) => {
                let query = sqlx::query(table.insert_into_postgres());
                let done = table.bind(query, &rows).execute(&mut **transaction).await?;
                done.rows_affected()
            }
        })
    }

    async fn commit(self) -> Result<(), sqlx::Error> {
        match self.0 {
            Reading::Sqlite(transaction) => transaction.commit().await,
            Reading::Postgres(transaction) => transaction.commit().await,
        }
    }
}

/// Whose rows the transaction sees from here on.
async fn see(
    transaction: &mut Transaction<'static, Postgres>,
    tenant: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT set_config('gatewright.tenant', $1, true)")
        .bind(tenant)
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

fn reading(source: sqlx::Error) -> CopyError {
    CopyError::Database {
        side: "from",
        source: source.into(),
    }
}

fn writing(source: sqlx::Error) -> CopyError {
    CopyError::Database {
        side: "to",
        source: source.into(),
    }
}
