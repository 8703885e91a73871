use async_trait::async_trait;
use gatewright_core::{TenantId, Timestamp};
use gatewright_identity::{ApiKeyId, ApiKeyRecord, ApiKeys, ApiKeysError, KeyHolder};

use super::SqliteStore;
use crate::rows::{self, ApiKeyRow};

#[async_trait]
impl ApiKeys for SqliteStore {
    async fn page(
        &self,
        tenant: &TenantId,
        after: Option<&ApiKeyId>,
        limit: u32,
    ) -> Result<Vec<ApiKeyRecord>, ApiKeysError> {
        // No id is empty, so every key is after the empty one.
        let query = sqlx::query_as::<_, ApiKeyRow>(
            "SELECT id, name, holder, holder_issuer, holder_id, servers, created_at, expires_at, \
             revoked_at, last_used_at, mac_key, mac \
             FROM api_keys WHERE tenant = ? AND id > ? ORDER BY id LIMIT ?",
        );
        let found = query
            .bind(tenant.as_str())
            .bind(after.map_or("", ApiKeyId::as_str))
            .bind(limit)
            .fetch_all(&self.pool)
            .await
            .map_err(unavailable)?;
        found.into_iter().map(rows::api_key).collect()
    }

    async fn held_by(
        &self,
        tenant: &TenantId,
        holder: &KeyHolder,
    ) -> Result<Vec<ApiKeyRecord>, ApiKeysError> {
        let (holder, issuer, subject) = rows::holder(holder);
        let query = sqlx::query_as::<_, ApiKeyRow>(
            "SELECT id, name, holder, holder_issuer, holder_id, servers, created_at, expires_at, \
             revoked_at, last_used_at, mac_key, mac \
             FROM api_keys WHERE tenant = ? AND holder = ? AND holder_issuer = ? AND holder_id = ? ORDER BY id",
        );
        let found = query
            .bind(tenant.as_str())
            .bind(holder)
            .bind(issuer)
            .bind(subject)
            .fetch_all(&self.pool)
            .await
            .map_err(unavailable)?;
        found.into_iter().map(rows::api_key).collect()
    }

    async fn insert(&self, tenant: &TenantId, record: &ApiKeyRecord) -> Result<(), ApiKeysError> {
        let (holder, issuer, subject) = rows::holder(&record.holder);
        let query = sqlx::query(
            "INSERT INTO api_keys (tenant, id, name, holder, holder_issuer, holder_id, servers, \
             created_at, expires_at, revoked_at, last_used_at, mac_key, mac) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (tenant, id) DO NOTHING",
        );
        let inserted = query
            .bind(tenant.as_str())
            .bind(record.id.as_str())
            .bind(record.name.as_str())
            .bind(holder)
            .bind(issuer)
            .bind(subject)
            .bind(rows::servers(&record.servers)?)
            .bind(record.created_at.millis())
            .bind(record.expires_at.millis())
            .bind(record.revoked_at.map(Timestamp::millis))
            .bind(record.last_used_at.map(Timestamp::millis))
            .bind(record.mac.key.as_str())
            .bind(record.mac.tag.as_slice())
            .execute(&self.pool)
            .await
            .map_err(unavailable)?;
        match inserted.rows_affected() {
            0 => Err(ApiKeysError::Exists),
            _ => Ok(()),
        }
    }

    async fn revoke(
        &self,
        tenant: &TenantId,
        id: &ApiKeyId,
        at: Timestamp,
    ) -> Result<bool, ApiKeysError> {
        let query = sqlx::query(
            "UPDATE api_keys SET revoked_at = COALESCE(revoked_at, ?) WHERE tenant = ? AND id = ?",
        );
        let revoked = query
            .bind(at.millis())
            .bind(tenant.as_str())
            .bind(id.as_str())
            .execute(&self.pool)
            .await
            .map_err(unavailable)?;
        Ok(revoked.rows_affected() > 0)
    }

    async fn note_use(
        &self,
        tenant: &TenantId,
        uses: &[(ApiKeyId, Timestamp)],
    ) -> Result<(), ApiKeysError> {
        // A transaction that reads first and writes later may find that another one wrote meanwhile.
        let begun = self.pool.begin_with("BEGIN IMMEDIATE").await;
        let mut transaction = begun.map_err(unavailable)?;
        for (id, at) in uses {
            let query = sqlx::query(
                "UPDATE api_keys SET last_used_at = ?1 \
                 WHERE tenant = ?2 AND id = ?3 AND (last_used_at IS NULL OR last_used_at < ?1)",
            );
            query
                .bind(at.millis())
                .bind(tenant.as_str())
                .bind(id.as_str())
                .execute(&mut *transaction)
                .await
                .map_err(unavailable)?;
        }
        transaction.commit().await.map_err(unavailable)
    }

    async fn purge(
        &self,
        tenant: &TenantId,
        ended_before: Timestamp,
    ) -> Result<Vec<ApiKeyId>, ApiKeysError> {
        let query = sqlx::query_scalar::<_, String>(
            "DELETE FROM api_keys WHERE tenant = ?1 AND (expires_at < ?2 OR revoked_at < ?2) RETURNING id",
        );
        let purged = query
            .bind(tenant.as_str())
            .bind(ended_before.millis())
            .fetch_all(&self.pool)
            .await
            .map_err(unavailable)?;
        purged.iter().map(|id| rows::api_key_id(id)).collect()
    }
}

fn unavailable(error: sqlx::Error) -> ApiKeysError {
    ApiKeysError::Unavailable(error.into())
}
