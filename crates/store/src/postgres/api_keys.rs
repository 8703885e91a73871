use async_trait::async_trait;
use gatewright_core::{TenantId, Timestamp};
use gatewright_identity::{ApiKeyId, ApiKeyRecord, ApiKeys, ApiKeysError, KeyHolder};

use super::{LIMIT, PostgresStore, Scope, in_time};
use crate::rows::{self, ApiKeyRow};

#[async_trait]
impl ApiKeys for PostgresStore {
    async fn page(
        &self,
        tenant: &TenantId,
        after: Option<&ApiKeyId>,
        limit: u32,
    ) -> Result<Vec<ApiKeyRecord>, ApiKeysError> {
        let found = in_time(LIMIT, async {
            let mut transaction = self.begin(Scope::Tenant(tenant)).await?;
            // No id is empty, so every key is after the empty one.
            let query = sqlx::query_as::<_, ApiKeyRow>(
                "SELECT id, name, holder, holder_issuer, holder_id, servers, created_at, expires_at, \
                 revoked_at, last_used_at, mac_key, mac \
                 FROM api_keys WHERE tenant = $1 AND id > $2 ORDER BY id LIMIT $3",
            );
            let found = query
                .bind(tenant.as_str())
                .bind(after.map_or("", ApiKeyId::as_str))
                .bind(i64::from(limit))
                .fetch_all(&mut *transaction)
                .await?;
            transaction.commit().await?;
            Ok(found)
        });
        let found = found.await.map_err(unavailable)?;
        found.into_iter().map(rows::api_key).collect()
    }

    async fn held_by(
        &self,
        tenant: &TenantId,
        holder: &KeyHolder,
    ) -> Result<Vec<ApiKeyRecord>, ApiKeysError> {
        let (holder, issuer, subject) = rows::holder(holder);
        let found = in_time(LIMIT, async {
            let mut transaction = self.begin(Scope::Tenant(tenant)).await?;
            let query = sqlx::query_as::<_, ApiKeyRow>(
                "SELECT id, name, holder, holder_issuer, holder_id, servers, created_at, expires_at, \
                 revoked_at, last_used_at, mac_key, mac FROM api_keys \
                 WHERE tenant = $1 AND holder = $2 AND holder_issuer = $3 AND holder_id = $4 ORDER BY id",
            );
            let found = query
                .bind(tenant.as_str())
                .bind(holder)
                .bind(issuer)
                .bind(subject)
                .fetch_all(&mut *transaction)
                .await?;
            transaction.commit().await?;
            Ok(found)
        });
        let found = found.await.map_err(unavailable)?;
        found.into_iter().map(rows::api_key).collect()
    }

    async fn insert(&self, tenant: &TenantId, record: &ApiKeyRecord) -> Result<(), ApiKeysError> {
        let (holder, issuer, subject) = rows::holder(&record.holder);
        let query = sqlx::query(
            "INSERT INTO api_keys (tenant, id, name, holder, holder_issuer, holder_id, servers, \
             created_at, expires_at, revoked_at, last_used_at, mac_key, mac) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) \
             ON CONFLICT (tenant, id) DO NOTHING",
        );
        let query = query
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
            .bind(record.mac.tag.as_slice());
        match self.changed(tenant, query).await.map_err(unavailable)? {
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
            "UPDATE api_keys SET revoked_at = COALESCE(revoked_at, $1) WHERE tenant = $2 AND id = $3",
        );
        let query = query
            .bind(at.millis())
            .bind(tenant.as_str())
            .bind(id.as_str());
        let revoked = self.changed(tenant, query).await.map_err(unavailable)?;
        Ok(revoked > 0)
    }

    async fn note_use(
        &self,
        tenant: &TenantId,
        uses: &[(ApiKeyId, Timestamp)],
    ) -> Result<(), ApiKeysError> {
        // In one order everywhere, so that two replicas do not wait for each other's rows. Of several uses the last counts.
        let mut uses: Vec<(&str, i64)> = uses
            .iter()
            .map(|(id, at)| (id.as_str(), at.millis()))
            .collect();
        uses.sort_unstable();
        let (ids, moments): (Vec<&str>, Vec<i64>) = uses.into_iter().unzip();
        let query = sqlx::query(
            "WITH used AS (SELECT id, max(at) AS at FROM unnest($2::text[], $3::bigint[]) AS u (id, at) GROUP BY id), \
             held AS (SELECT k.id FROM api_keys k JOIN used USING (id) WHERE k.tenant = $1 ORDER BY k.id FOR UPDATE OF k) \
             UPDATE api_keys k SET last_used_at = used.at FROM used JOIN held USING (id) \
             WHERE k.tenant = $1 AND k.id = used.id AND (k.last_used_at IS NULL OR k.last_used_at < used.at)",
        );
        let query = query.bind(tenant.as_str()).bind(ids).bind(moments);
        self.changed(tenant, query).await.map_err(unavailable)?;
        Ok(())
    }

    async fn purge(
        &self,
        tenant: &TenantId,
        ended_before: Timestamp,
    ) -> Result<Vec<ApiKeyId>, ApiKeysError> {
        let purged = in_time(LIMIT, async {
            let mut transaction = self.begin(Scope::Tenant(tenant)).await?;
            let query = sqlx::query_scalar::<_, String>(
                "DELETE FROM api_keys WHERE tenant = $1 AND (expires_at < $2 OR revoked_at < $2) RETURNING id",
            );
            let purged = query
                .bind(tenant.as_str())
                .bind(ended_before.millis())
                .fetch_all(&mut *transaction)
                .await?;
            transaction.commit().await?;
            Ok(purged)
        });
        let purged = purged.await.map_err(unavailable)?;
        purged.iter().map(|id| rows::api_key_id(id)).collect()
    }
}

fn unavailable(error: sqlx::Error) -> ApiKeysError {
    ApiKeysError::Unavailable(error.into())
}
