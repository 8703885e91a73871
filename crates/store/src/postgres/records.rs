use std::sync::Arc;

use async_trait::async_trait;
use gatewright_core::{TenantId, Timestamp};
use gatewright_directory::records::{
    Changed, CommitError, Event, Kind, Position, Record, Records, RecordsError, Revision,
    UniqueName, Write,
};
use sqlx::{PgPool, Postgres, Transaction};
use tokio::{sync::broadcast, time};

use super::{LIMIT, PostgresStore, Scope, in_time};
use crate::{
    commit::{self, Commit},
    rows::{self, ChangeRow, HeadRow, KindRow, RecordRow},
};

#[async_trait]
impl Records for PostgresStore {
    async fn heads(&self) -> Result<Vec<(TenantId, Revision)>, RecordsError> {
        heads_of(&self.pool).await
    }

    async fn commit(
        &self,
        tenant: &TenantId,
        base: Revision,
        at: Timestamp,
        writes: &[Write],
    ) -> Result<Revision, CommitError> {
        let commit = Commit::of(writes)?;
        let written = async {
            let begun = self.begin(Scope::Tenant(tenant)).await;
            let mut writing = Writing {
                transaction: begun.map_err(RecordsError::new)?,
                tenant,
            };
            let revision = writing.write(&commit, base, at).await?;
            commit.clash()?;
            writing.name(&commit).await?;
            let done = writing.transaction.commit().await;
            done.map_err(RecordsError::new)?;
            Ok::<_, CommitError>(revision)
        };
        let revision = time::timeout(LIMIT, written)
            .await
            .unwrap_or_else(|_elapsed| Err(RecordsError::new(super::too_slow()).into()))?;
        self.announcer.committed(tenant, revision);
        Ok(revision)
    }

    async fn read(
        &self,
        tenant: &TenantId,
        kind: Kind,
        ids: &[Arc<str>],
    ) -> Result<Vec<Record>, RecordsError> {
        // Nothing is called what the server would not take.
        let ids: Vec<&str> = ids
            .iter()
            .map(|id| &**id)
            .filter(|id| !id.contains('\0'))
            .collect();
        let found = in_time(async {
            let mut transaction = self.begin(Scope::Tenant(tenant)).await?;
            let query = sqlx::query_as::<_, RecordRow>(
                "SELECT id, revision, created_at, modified_at, document FROM records \
                 WHERE tenant = $1 AND kind = $2 AND id = ANY($3)",
            );
            let found = query
                .bind(tenant.as_str())
                .bind(kind.name())
                .bind(ids)
                .fetch_all(&mut *transaction)
                .await?;
            transaction.commit().await?;
            Ok(found)
        });
        let found = found.await.map_err(RecordsError::new)?;
        let record = |row| rows::record(kind, row);
        found.into_iter().map(record).collect()
    }

    async fn find(
        &self,
        tenant: &TenantId,
        name: &UniqueName,
    ) -> Result<Option<Record>, RecordsError> {
        if name.value.contains('\0') {
            return Ok(None);
        }
        let found = in_time(async {
            let mut transaction = self.begin(Scope::Tenant(tenant)).await?;
            let query = sqlx::query_as::<_, KindRow>(
                "SELECT r.kind, r.id, r.revision, r.created_at, r.modified_at, r.document \
                 FROM record_names n JOIN records r ON r.tenant = n.tenant AND r.kind = n.kind AND r.id = n.id \
                 WHERE n.tenant = $1 AND n.space = $2 AND n.value = $3",
            );
            let found = query
                .bind(tenant.as_str())
                .bind(name.space)
                .bind(&*name.value)
                .fetch_optional(&mut *transaction)
                .await?;
            transaction.commit().await?;
            Ok(found)
        });
        let found = found.await.map_err(RecordsError::new)?;
        found.map(rows::record_of_kind).transpose()
    }

    async fn page(
        &self,
        tenant: &TenantId,
        kind: Kind,
        after: Option<&str>,
        skip: u64,
        limit: u32,
    ) -> Result<Vec<Record>, RecordsError> {
        // No id is empty, so every record is after the empty one. None holds a NUL, so that it is after what comes before it.
        let after = after.unwrap_or_default();
        let after = after.split('\0').next().unwrap_or_default();
        let found = in_time(async {
            let mut transaction = self.begin(Scope::Tenant(tenant)).await?;
            let query = sqlx::query_as::<_, RecordRow>(
                "SELECT id, revision, created_at, modified_at, document FROM records \
                 WHERE tenant = $1 AND kind = $2 AND id > $3 ORDER BY id LIMIT $4 OFFSET $5",
            );
            let found = query
                .bind(tenant.as_str())
                .bind(kind.name())
                .bind(after)
                .bind(i64::from(limit))
                .bind(i64::try_from(skip).unwrap_or(i64::MAX))
                .fetch_all(&mut *transaction)
                .await?;
            transaction.commit().await?;
            Ok(found)
        });
        let found = found.await.map_err(RecordsError::new)?;
        let record = |row| rows::record(kind, row);
        found.into_iter().map(record).collect()
    }

    async fn count(&self, tenant: &TenantId, kind: Kind) -> Result<u64, RecordsError> {
        let count = in_time(async {
            let mut transaction = self.begin(Scope::Tenant(tenant)).await?;
            let query = sqlx::query_scalar::<_, i64>(
                "SELECT count(*) FROM records WHERE tenant = $1 AND kind = $2",
            );
            let count = query
                .bind(tenant.as_str())
                .bind(kind.name())
                .fetch_one(&mut *transaction)
                .await?;
            transaction.commit().await?;
            Ok(count)
        });
        u64::try_from(count.await.map_err(RecordsError::new)?).map_err(RecordsError::new)
    }

    async fn changes(
        &self,
        tenant: &TenantId,
        after: &Position,
        limit: u32,
    ) -> Result<Vec<Changed>, RecordsError> {
        let (revision, kind, id) = rows::position(after);
        let found = in_time(async {
            let mut transaction = self.begin(Scope::Tenant(tenant)).await?;
            let query = sqlx::query_as::<_, ChangeRow>(
                "SELECT * FROM (\
                   SELECT kind, id, revision, created_at, modified_at, document FROM records \
                   WHERE tenant = $1 AND (revision, kind, id) > ($2, $3, $4) \
                   ORDER BY revision, kind, id LIMIT $5) AS put \
                 UNION ALL \
                 SELECT * FROM (\
                   SELECT kind, id, revision, NULL::bigint, NULL::bigint, NULL::text FROM removed_records \
                   WHERE tenant = $1 AND (revision, kind, id) > ($2, $3, $4) \
                   ORDER BY revision, kind, id LIMIT $5) AS removed \
                 ORDER BY revision, kind, id LIMIT $5",
            );
            let found = query
                .bind(tenant.as_str())
                .bind(revision)
                .bind(kind)
                .bind(id)
                .bind(i64::from(limit))
                .fetch_all(&mut *transaction)
                .await?;
            transaction.commit().await?;
            Ok(found)
        });
        let found = found.await.map_err(RecordsError::new)?;
        found.into_iter().map(rows::changed).collect()
    }

    fn events(&self) -> broadcast::Receiver<Event> {
        self.announcer.subscribe()
    }
}

pub(super) async fn heads_of(pool: &PgPool) -> Result<Vec<(TenantId, Revision)>, RecordsError> {
    let heads = in_time(async {
        let mut transaction = super::begin(pool, Scope::EveryTenant).await?;
        let query =
            sqlx::query_as::<_, HeadRow>("SELECT tenant, revision FROM tenants ORDER BY tenant");
        let heads = query.fetch_all(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(heads)
    });
    let heads = heads.await.map_err(RecordsError::new)?;
    heads.into_iter().map(rows::head).collect()
}

/// A commit under way. All of it goes in two statements, however much it is.
struct Writing<'a> {
    transaction: Transaction<'static, Postgres>,
    tenant: &'a TenantId,
}

/// Takes the tenant to its next revision, and with it, only if it was at the one before, the records. The parts of one
/// statement see the tables as they were before it; none of them needs what another one does.
const WRITE: &str = "\
    WITH head AS (\
      INSERT INTO tenants (tenant, revision) \
      SELECT $1, $3 WHERE $2 = 0 OR EXISTS (SELECT FROM tenants WHERE tenant = $1) \
      ON CONFLICT (tenant) DO UPDATE SET revision = excluded.revision WHERE tenants.revision = $2 \
      RETURNING revision), \
    put AS (\
      INSERT INTO records (tenant, kind, id, revision, created_at, modified_at, document) \
      SELECT $1, new.kind, new.id, head.revision, $4, $4, new.document \
      FROM head, unnest($5::text[], $6::text[], $7::text[]) AS new (kind, id, document) \
      ON CONFLICT (tenant, kind, id) DO UPDATE SET revision = excluded.revision, \
      modified_at = excluded.modified_at, document = excluded.document), \
    back AS (\
      DELETE FROM removed_records r USING head, unnest($5::text[], $6::text[]) AS new (kind, id) \
      WHERE r.tenant = $1 AND r.kind = new.kind AND r.id = new.id), \
    gone AS (\
      DELETE FROM records r USING head, unnest($8::text[], $9::text[]) AS old (kind, id) \
      WHERE r.tenant = $1 AND r.kind = old.kind AND r.id = old.id RETURNING r.kind, r.id), \
    kept AS (\
      INSERT INTO removed_records (tenant, kind, id, revision) \
      SELECT $1, gone.kind, gone.id, head.revision FROM head, gone), \
    unnamed AS (\
      DELETE FROM record_names n USING head, unnest($5 || $8, $6 || $9) AS touched (kind, id) \
      WHERE n.tenant = $1 AND n.kind = touched.kind AND n.id = touched.id) \
    SELECT revision FROM head";

const NAME: &str = "\
    INSERT INTO record_names (tenant, space, value, kind, id) \
    SELECT $1, * FROM unnest($2::text[], $3::text[], $4::text[], $5::text[]) \
    ON CONFLICT (tenant, space, value) DO NOTHING";

const HOLDER: &str = "\
    SELECT n.space, n.value, n.kind, n.id FROM record_names n \
    JOIN unnest($2::text[], $3::text[], $4::text[], $5::text[]) AS new (space, value, kind, id) \
    ON n.space = new.space AND n.value = new.value \
    WHERE n.tenant = $1 AND (n.kind, n.id) <> (new.kind, new.id) ORDER BY 1, 2 LIMIT 1";

impl Writing<'_> {
    async fn write(
        &mut self,
        commit: &Commit<'_>,
        base: Revision,
        at: Timestamp,
    ) -> Result<Revision, CommitError> {
        let (base, next) = commit::next(base)?;
        let (kinds, ids): (Vec<_>, Vec<_>) = commit.puts.iter().map(|put| put.place).unzip();
        let documents: Vec<&str> = commit.puts.iter().map(|put| put.document).collect();
        let (old_kinds, old_ids): (Vec<_>, Vec<_>) = commit.removes.iter().copied().unzip();
        let written = sqlx::query_scalar::<_, i64>(WRITE)
            .bind(self.tenant.as_str())
            .bind(base)
            .bind(next)
            .bind(at.millis())
            .bind(kinds)
            .bind(ids)
            .bind(documents)
            .bind(old_kinds)
            .bind(old_ids)
            .fetch_optional(&mut *self.transaction)
            .await
            .map_err(RecordsError::new)?;
        if let Some(revision) = written {
            return Ok(rows::revision(revision)?);
        }
        let query = sqlx::query_scalar::<_, i64>("SELECT revision FROM tenants WHERE tenant = $1");
        let is_at = query
            .bind(self.tenant.as_str())
            .fetch_optional(&mut *self.transaction)
            .await
            .map_err(RecordsError::new)?;
        let is_at = rows::revision(is_at.unwrap_or_default())?;
        Err(CommitError::Moved(is_at))
    }

    async fn name(&mut self, commit: &Commit<'_>) -> Result<(), CommitError> {
        if commit.names.is_empty() {
            return Ok(());
        }
        let spaces: Vec<&str> = commit.names.iter().map(|name| name.space).collect();
        let values: Vec<&str> = commit.names.iter().map(|name| name.value).collect();
        let (kinds, ids): (Vec<_>, Vec<_>) = commit.names.iter().map(|name| name.place).unzip();
        let named = sqlx::query(NAME)
            .bind(self.tenant.as_str())
            .bind(&spaces)
            .bind(&values)
            .bind(&kinds)
            .bind(&ids)
            .execute(&mut *self.transaction)
            .await
            .map_err(RecordsError::new)?;
        if usize::try_from(named.rows_affected()).is_ok_and(|named| named == commit.names.len()) {
            return Ok(());
        }
        let (space, value, kind, id) =
            sqlx::query_as::<_, (String, String, String, String)>(HOLDER)
                .bind(self.tenant.as_str())
                .bind(spaces)
                .bind(values)
                .bind(kinds)
                .bind(ids)
                .fetch_one(&mut *self.transaction)
                .await
                .map_err(RecordsError::new)?;
        Err(commit::taken(space, value, &kind, &id))
    }
}
