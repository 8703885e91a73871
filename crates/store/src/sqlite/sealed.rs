use async_trait::async_trait;
use gatewright_core::{CredentialOwner, ServerName, TenantId};
use gatewright_vault::{RecordKey, RecordsError, SealedRecord, SealedRecords};

use super::SqliteStore;
use crate::rows::{self, PlacedRow, SealedRow, signed};

#[async_trait]
impl SealedRecords for SqliteStore {
    async fn next_version(&self, tenant: &TenantId) -> Result<u64, RecordsError> {
        let query = sqlx::query_scalar::<_, i64>(
            "INSERT INTO sealed_versions (tenant, last) VALUES (?, 1) \
             ON CONFLICT (tenant) DO UPDATE SET last = sealed_versions.last + 1 RETURNING last",
        );
        let next = query.bind(tenant.as_str()).fetch_one(&self.pool).await;
        rows::sealed_version(next.map_err(RecordsError::new)?)
    }

    async fn read(
        &self,
        tenant: &TenantId,
        key: &RecordKey,
    ) -> Result<Option<SealedRecord>, RecordsError> {
        let query = sqlx::query_as::<_, SealedRow>(
            "SELECT version, stored_at, envelope FROM sealed_records \
             WHERE tenant = ? AND owner = ? AND server = ?",
        );
        let row = query
            .bind(tenant.as_str())
            .bind(key.owner.to_string())
            .bind(key.server.as_str())
            .fetch_optional(&self.pool)
            .await
            .map_err(RecordsError::new)?;
        row.map(rows::sealed).transpose()
    }

    async fn write(
        &self,
        tenant: &TenantId,
        key: &RecordKey,
        record: &SealedRecord,
    ) -> Result<bool, RecordsError> {
        let query = sqlx::query(
            "INSERT INTO sealed_records (tenant, owner, server, version, stored_at, envelope) \
             VALUES (?, ?, ?, ?, ?, ?) \
             ON CONFLICT (tenant, owner, server) DO UPDATE \
             SET version = excluded.version, stored_at = excluded.stored_at, envelope = excluded.envelope \
             WHERE sealed_records.version < excluded.version",
        );
        let written = query
            .bind(tenant.as_str())
            .bind(key.owner.to_string())
            .bind(key.server.as_str())
            .bind(signed(record.version)?)
            .bind(record.stored_at.millis())
            .bind(record.envelope.as_slice())
            .execute(&self.pool)
            .await
            .map_err(RecordsError::new)?;
        Ok(written.rows_affected() > 0)
    }

    async fn replace_envelope(
        &self,
        tenant: &TenantId,
        key: &RecordKey,
        version: u64,
        envelope: &[u8],
    ) -> Result<bool, RecordsError> {
        let query = sqlx::query(
            "UPDATE sealed_records SET envelope = ? \
             WHERE tenant = ? AND owner = ? AND server = ? AND version = ?",
        );
        let replaced = query
            .bind(envelope)
            .bind(tenant.as_str())
            .bind(key.owner.to_string())
            .bind(key.server.as_str())
            .bind(signed(version)?)
            .execute(&self.pool)
            .await
            .map_err(RecordsError::new)?;
        Ok(replaced.rows_affected() > 0)
    }

    async fn remove(&self, tenant: &TenantId, key: &RecordKey) -> Result<bool, RecordsError> {
        let query =
            sqlx::query("DELETE FROM sealed_records WHERE tenant = ? AND owner = ? AND server = ?");
        let removed = query
            .bind(tenant.as_str())
            .bind(key.owner.to_string())
            .bind(key.server.as_str())
            .execute(&self.pool)
            .await
            .map_err(RecordsError::new)?;
        Ok(removed.rows_affected() > 0)
    }

    async fn servers_of(
        &self,
        tenant: &TenantId,
        owner: &CredentialOwner,
    ) -> Result<Vec<ServerName>, RecordsError> {
        let query = sqlx::query_scalar::<_, String>(
            "SELECT server FROM sealed_records WHERE tenant = ? AND owner = ?",
        );
        let found = query
            .bind(tenant.as_str())
            .bind(owner.to_string())
            .fetch_all(&self.pool)
            .await
            .map_err(RecordsError::new)?;
        rows::servers_of(found)
    }

    async fn remove_all(
        &self,
        tenant: &TenantId,
        owner: &CredentialOwner,
    ) -> Result<Vec<ServerName>, RecordsError> {
        let query = sqlx::query_scalar::<_, String>(
            "DELETE FROM sealed_records WHERE tenant = ? AND owner = ? RETURNING server",
        );
        let removed = query
            .bind(tenant.as_str())
            .bind(owner.to_string())
            .fetch_all(&self.pool)
            .await
            .map_err(RecordsError::new)?;
        rows::servers_of(removed)
    }

    async fn page(
        &self,
        tenant: &TenantId,
        after: Option<&RecordKey>,
        limit: u32,
    ) -> Result<Vec<(RecordKey, SealedRecord)>, RecordsError> {
        // No owner is empty, so every record is after the empty one.
        let (owner, server) = after.map_or_else(Default::default, |key| {
            (key.owner.to_string(), key.server.to_string())
        });
        let query = sqlx::query_as::<_, PlacedRow>(
            "SELECT owner, server, version, stored_at, envelope FROM sealed_records \
             WHERE tenant = ? AND (owner, server) > (?, ?) ORDER BY owner, server LIMIT ?",
        );
        let found = query
            .bind(tenant.as_str())
            .bind(owner)
            .bind(server)
            .bind(limit)
            .fetch_all(&self.pool)
            .await
            .map_err(RecordsError::new)?;
        found.into_iter().map(rows::placed).collect()
    }
}
