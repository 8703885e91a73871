use std::sync::Arc;

use async_trait::async_trait;
use gatewright_core::{TenantId, Timestamp};
use gatewright_directory::records::{
    Changed, CommitError, Event, Kind, Position, Record, Records, RecordsError, Revision,
    UniqueName, Write,
};
use sqlx::{Sqlite, Transaction};
use tokio::sync::broadcast;

use super::{SqliteStore, watch};
use crate::{
    commit::{self, Commit},
    rows::{self, ChangeRow, KindRow, RecordRow},
};

#[async_trait]
impl Records for SqliteStore {
    async fn heads(&self) -> Result<Vec<(TenantId, Revision)>, RecordsError> {
        watch::heads_of(&self.pool).await
    }

    async fn commit(
        &self,
        tenant: &TenantId,
        base: Revision,
        at: Timestamp,
        writes: &[Write],
    ) -> Result<Revision, CommitError> {
        let commit = Commit::of(writes)?;
        // A transaction that reads first and writes later may find that another one wrote meanwhile.
        let begun = self.pool.begin_with("BEGIN IMMEDIATE").await;
        let mut writing = Writing {
            transaction: begun.map_err(RecordsError::new)?,
            tenant,
        };
        let next = writing.advance(base).await?;
        commit.clash()?;
        writing.write(&commit, next, at).await?;
        writing.name(&commit).await?;
        let done = writing.transaction.commit().await;
        done.map_err(RecordsError::new)?;
        let revision = rows::revision(next)?;
        self.announcer.committed(tenant, revision);
        Ok(revision)
    }

    async fn read(
        &self,
        tenant: &TenantId,
        kind: Kind,
        ids: &[Arc<str>],
    ) -> Result<Vec<Record>, RecordsError> {
        let query = sqlx::query_as::<_, RecordRow>(
            "SELECT id, revision, created_at, modified_at, document FROM records \
             WHERE tenant = ? AND kind = ? AND id IN (SELECT value FROM json_each(?))",
        );
        let found = query
            .bind(tenant.as_str())
            .bind(kind.name())
            .bind(json(ids.iter().map(|id| &**id))?)
            .fetch_all(&self.pool)
            .await
            .map_err(RecordsError::new)?;
        let record = |row| rows::record(kind, row);
        found.into_iter().map(record).collect()
    }

    async fn find(
        &self,
        tenant: &TenantId,
        name: &UniqueName,
    ) -> Result<Option<Record>, RecordsError> {
        let query = sqlx::query_as::<_, KindRow>(
            "SELECT r.kind, r.id, r.revision, r.created_at, r.modified_at, r.document \
             FROM record_names n JOIN records r ON r.tenant = n.tenant AND r.kind = n.kind AND r.id = n.id \
             WHERE n.tenant = ? AND n.space = ? AND n.value = ?",
        );
        let found = query
            .bind(tenant.as_str())
            .bind(name.space)
            .bind(&*name.value)
            .fetch_optional(&self.pool)
            .await
            .map_err(RecordsError::new)?;
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
        // No id is empty, so every record is after the empty one.
        let query = sqlx::query_as::<_, RecordRow>(
            "SELECT id, revision, created_at, modified_at, document FROM records \
             WHERE tenant = ? AND kind = ? AND id > ? ORDER BY id LIMIT ? OFFSET ?",
        );
        let found = query
            .bind(tenant.as_str())
            .bind(kind.name())
            .bind(after.unwrap_or_default())
            .bind(limit)
            .bind(i64::try_from(skip).unwrap_or(i64::MAX))
            .fetch_all(&self.pool)
            .await
            .map_err(RecordsError::new)?;
        let record = |row| rows::record(kind, row);
        found.into_iter().map(record).collect()
    }

    async fn count(&self, tenant: &TenantId, kind: Kind) -> Result<u64, RecordsError> {
        let query = sqlx::query_scalar::<_, i64>(
            "SELECT count(*) FROM records WHERE tenant = ? AND kind = ?",
        );
        let count = query
            .bind(tenant.as_str())
            .bind(kind.name())
            .fetch_one(&self.pool)
            .await
            .map_err(RecordsError::new)?;
        u64::try_from(count).map_err(RecordsError::new)
    }

    async fn changes(
        &self,
        tenant: &TenantId,
        after: &Position,
        limit: u32,
    ) -> Result<Vec<Changed>, RecordsError> {
        let query = sqlx::query_as::<_, ChangeRow>(
            "SELECT * FROM (\
               SELECT kind, id, revision, created_at, modified_at, document FROM records \
               WHERE tenant = ?1 AND (revision, kind, id) > (?2, ?3, ?4) \
               ORDER BY revision, kind, id LIMIT ?5) \
             UNION ALL \
             SELECT * FROM (\
               SELECT kind, id, revision, NULL, NULL, NULL FROM removed_records \
               WHERE tenant = ?1 AND (revision, kind, id) > (?2, ?3, ?4) \
               ORDER BY revision, kind, id LIMIT ?5) \
             ORDER BY revision, kind, id LIMIT ?5",
        );
        let (revision, kind, id) = rows::position(after);
        let found = query
            .bind(tenant.as_str())
            .bind(revision)
            .bind(kind)
            .bind(id)
            .bind(limit)
            .fetch_all(&self.pool)
            .await
            .map_err(RecordsError::new)?;
        found.into_iter().map(rows::changed).collect()
    }

    fn events(&self) -> broadcast::Receiver<Event> {
        self.announcer.subscribe()
    }
}

/// A commit under way. All of its records and names go in one statement each, however many they are.
struct Writing<'a> {
    transaction: Transaction<'static, Sqlite>,
    tenant: &'a TenantId,
}

impl Writing<'_> {
    /// Takes the tenant from `base` to the revision after it.
    async fn advance(&mut self, base: Revision) -> Result<i64, CommitError> {
        let (base, next) = commit::next(base)?;
        let query = sqlx::query(
            "INSERT INTO tenants (tenant, revision) \
             SELECT ?1, ?3 WHERE ?2 = 0 OR EXISTS (SELECT 1 FROM tenants WHERE tenant = ?1) \
             ON CONFLICT (tenant) DO UPDATE SET revision = excluded.revision \
             WHERE tenants.revision = ?2",
        );
        let moved = query
            .bind(self.tenant.as_str())
            .bind(base)
            .bind(next)
            .execute(&mut *self.transaction)
            .await
            .map_err(RecordsError::new)?;
        if moved.rows_affected() > 0 {
            return Ok(next);
        }
        let query = sqlx::query_scalar::<_, i64>("SELECT revision FROM tenants WHERE tenant = ?");
        let is_at = query
            .bind(self.tenant.as_str())
            .fetch_optional(&mut *self.transaction)
            .await
            .map_err(RecordsError::new)?;
        let is_at = rows::revision(is_at.unwrap_or_default())?;
        Err(CommitError::Moved(is_at))
    }

    async fn write(
        &mut self,
        commit: &Commit<'_>,
        revision: i64,
        at: Timestamp,
    ) -> Result<(), RecordsError> {
        let places = json(commit.places())?;
        self.run(
            "DELETE FROM record_names WHERE tenant = ?1 AND (kind, id) IN \
             (SELECT value ->> 0, value ->> 1 FROM json_each(?2))",
            &places,
            None,
        )
        .await?;
        if !commit.puts.is_empty() {
            let puts = commit.puts.iter().map(|put| (put.place, put.document));
            let puts = json(puts.map(|((kind, id), document)| (kind, id, document)))?;
            self.run(
                "INSERT INTO records (tenant, kind, id, revision, created_at, modified_at, document) \
                 SELECT ?1, value ->> 0, value ->> 1, ?3, ?4, ?4, value ->> 2 FROM json_each(?2) WHERE true \
                 ON CONFLICT (tenant, kind, id) DO UPDATE SET revision = excluded.revision, \
                 modified_at = excluded.modified_at, document = excluded.document",
                &puts,
                Some((revision, at)),
            )
            .await?;
            self.run(
                "DELETE FROM removed_records WHERE tenant = ?1 AND (kind, id) IN \
                 (SELECT value ->> 0, value ->> 1 FROM json_each(?2))",
                &puts,
                None,
            )
            .await?;
        }
        if !commit.removes.is_empty() {
            let removes = json(commit.removes.iter())?;
            self.run(
                "INSERT INTO removed_records (tenant, kind, id, revision) \
                 SELECT r.tenant, r.kind, r.id, ?3 FROM json_each(?2) AS gone CROSS JOIN records r \
                 ON r.tenant = ?1 AND r.kind = gone.value ->> 0 AND r.id = gone.value ->> 1",
                &removes,
                Some((revision, at)),
            )
            .await?;
            self.run(
                "DELETE FROM records WHERE tenant = ?1 AND (kind, id) IN \
                 (SELECT value ->> 0, value ->> 1 FROM json_each(?2))",
                &removes,
                None,
            )
            .await?;
        }
        Ok(())
    }

    async fn name(&mut self, commit: &Commit<'_>) -> Result<(), CommitError> {
        if commit.names.is_empty() {
            return Ok(());
        }
        let names = commit.names.iter().map(|name| {
            let (kind, id) = name.place;
            [name.space, name.value, kind, id]
        });
        let names = json(names)?;
        let named = self
            .run(
                "INSERT INTO record_names (tenant, space, value, kind, id) \
                 SELECT ?1, value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each(?2) WHERE true \
                 ON CONFLICT (tenant, space, value) DO NOTHING",
                &names,
                None,
            )
            .await?;
        if usize::try_from(named).is_ok_and(|named| named == commit.names.len()) {
            return Ok(());
        }
        let query = sqlx::query_as::<_, (String, String, String, String)>(
            "SELECT n.space, n.value, n.kind, n.id FROM json_each(?2) AS new CROSS JOIN record_names n \
             ON n.tenant = ?1 AND n.space = new.value ->> 0 AND n.value = new.value ->> 1 \
             WHERE (n.kind, n.id) <> (new.value ->> 2, new.value ->> 3) ORDER BY 1, 2 LIMIT 1",
        );
        let (space, value, kind, id) = query
            .bind(self.tenant.as_str())
            .bind(names)
            .fetch_one(&mut *self.transaction)
            .await
            .map_err(RecordsError::new)?;
        Err(commit::taken(space, value, &kind, &id))
    }

    /// Runs a statement on a JSON array, and says how many rows it changed.
    async fn run(
        &mut self,
        sql: &'static str,
        array: &str,
        commit: Option<(i64, Timestamp)>,
    ) -> Result<u64, RecordsError> {
        let mut query = sqlx::query(sql).bind(self.tenant.as_str()).bind(array);
        if let Some((revision, at)) = commit {
            query = query.bind(revision).bind(at.millis());
        }
        let done = query
            .execute(&mut *self.transaction)
            .await
            .map_err(RecordsError::new)?;
        Ok(done.rows_affected())
    }
}

fn json<T: serde::Serialize>(items: impl Iterator<Item = T>) -> Result<String, RecordsError> {
    let items: Vec<T> = items.collect();
    serde_json::to_string(&items).map_err(RecordsError::new)
}
