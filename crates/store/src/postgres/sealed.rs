use async_trait::async_trait;
use gatewright_core::{CredentialOwner, ServerName, TenantId};
use gatewright_vault::{RecordKey, RecordsError, SealedRecord, SealedRecords};

use super::{LIMIT, PostgresStore, Scope, in_time};
use crate::rows::{self, PlacedRow, SealedRow, signed};

#[async_trait]
impl SealedRecords for PostgresStore {
    async fn next_version(&self, tenant: &TenantId) -> Result<u64, RecordsError> {
        let next = in_time(LIMIT, async {
            let mut transaction = self.begin(Scope::Tenant(tenant)).await?;
            let query = sqlx::query_scalar::<_, i64>(
                "INSERT INTO sealed_versions (tenant, last) VALUES ($1, 1) \
                 ON CONFLICT (tenant) DO UPDATE SET last = sealed_versions.last + 1 RETURNING last",
            );
            let next = query.bind(tenant.as_str()).fetch_one(&mut *transaction);
            let next = next.await?;
            transaction.commit().await?;
            Ok(next)
        });
        rows::sealed_version(next.await.map_err(RecordsError::new)?)
    }

    async fn read(
        &self,
        tenant: &TenantId,
        key: &RecordKey,
    ) -> Result<Option<SealedRecord>, RecordsError> {
        let row = in_time(LIMIT, async {
            let mut transaction = self.begin(Scope::Tenant(tenant)).await?;
            let query = sqlx::query_as::<_, SealedRow>(
                "SELECT version, stored_at, envelope FROM sealed_records \
                 WHERE tenant = $1 AND owner = $2 AND server = $3",
            );
            let row = query
                .bind(tenant.as_str())
                .bind(key.owner.to_string())
                .bind(key.server.as_str())
                .fetch_optional(&mut *transaction)
                .await?;
            transaction.commit().await?;
            Ok(row)
        });
        let row = row.await.map_err(RecordsError::new)?;
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
             VALUES ($1, $2, $3, $4, $5, $6) \
             ON CONFLICT (tenant, owner, server) DO UPDATE \
             SET version = excluded.version, stored_at = excluded.stored_at, envelope = excluded.envelope \
             WHERE sealed_records.version < excluded.version",
        );
        let query = query
            .bind(tenant.as_str())
            .bind(key.owner.to_string())
            .bind(key.server.as_str())
            .bind(signed(record.version)?)
            .bind(record.stored_at.millis())
            .bind(record.envelope.as_slice());
        let written = self.changed(tenant, query).await;
        Ok(written.map_err(RecordsError::new)? > 0)
    }

    async fn replace_envelope(
        &self,
        tenant: &TenantId,
        key: &RecordKey,
        version: u64,
        envelope: &[u8],
    ) -> Result<bool, RecordsError> {
        let query = sqlx::query(
            "UPDATE sealed_records SET envelope = $1 \
             WHERE tenant = $2 AND owner = $3 AND server = $4 AND version = $5",
        );
        let query = query
            .bind(envelope)
            .bind(tenant.as_str())
            .bind(key.owner.to_string())
            .bind(key.server.as_str())
            .bind(signed(version)?);
        let replaced = self.changed(tenant, query).await;
        Ok(replaced.map_err(RecordsError::new)? > 0)
    }

    async fn remove(&self, tenant: &TenantId, key: &RecordKey) -> Result<bool, RecordsError> {
        let query = sqlx::query(
            "DELETE FROM sealed_records WHERE tenant = $1 AND owner = $2 AND server = $3",
        );
        let query = query
            .bind(tenant.as_str())
            .bind(key.owner.to_string())
            .bind(key.server.as_str());
        let removed = self.changed(tenant, query).await;
        Ok(removed.map_err(RecordsError::new)? > 0)
    }

    async fn servers_of(
        &self,
        tenant: &TenantId,
        owner: &CredentialOwner,
    ) -> Result<Vec<ServerName>, RecordsError> {
        let query = "SELECT server FROM sealed_records WHERE tenant = $1 AND owner = $2";
        self.of_owner(tenant, owner, query).await
    }

    async fn remove_all(
        &self,
        tenant: &TenantId,
        owner: &CredentialOwner,
    ) -> Result<Vec<ServerName>, RecordsError> {
        let query = "DELETE FROM sealed_records WHERE tenant = $1 AND owner = $2 RETURNING server";
        self.of_owner(tenant, owner, query).await
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
        let found = in_time(LIMIT, async {
            let mut transaction = self.begin(Scope::Tenant(tenant)).await?;
            let query = sqlx::query_as::<_, PlacedRow>(
                "SELECT owner, server, version, stored_at, envelope FROM sealed_records \
                 WHERE tenant = $1 AND (owner, server) > ($2, $3) ORDER BY owner, server LIMIT $4",
            );
            let found = query
                .bind(tenant.as_str())
                .bind(owner)
                .bind(server)
                .bind(i64::from(limit))
                .fetch_all(&mut *transaction)
                .await?;
            transaction.commit().await?;
            Ok(found)
        });
        let found = found.await.map_err(RecordsError::new)?;
        found.into_iter().map(rows::placed).collect()
    }
}

impl PostgresStore {
    /// The servers that a statement about somebody's records answers with.
    async fn of_owner(
        &self,
        tenant: &TenantId,
        owner: &CredentialOwner,
        query: &'static str,
    ) -> Result<Vec<ServerName>, RecordsError> {
        let found = in_time(LIMIT, async {
            let mut transaction = self.begin(Scope::Tenant(tenant)).await?;
            let query = sqlx::query_scalar::<_, String>(query);
            let found = query
                .bind(tenant.as_str())
                .bind(owner.to_string())
                .fetch_all(&mut *transaction)
                .await?;
            transaction.commit().await?;
            Ok(found)
        });
        rows::servers_of(found.await.map_err(RecordsError::new)?)
    }
}
