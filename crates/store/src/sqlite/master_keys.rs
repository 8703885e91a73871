use std::collections::BTreeSet;

use gatewright_vault::{MasterKeyId, RecordsError};

use super::SqliteStore;

impl SqliteStore {
    /// The names of the master keys that what is stored needs, of all tenants: none means that nothing is sealed here yet.
    ///
    /// # Errors
    /// [`RecordsError`] when the database does not answer.
    pub async fn needed_master_keys(&self) -> Result<BTreeSet<String>, RecordsError> {
        let heads =
            sqlx::query_scalar::<_, Vec<u8>>("SELECT substr(envelope, 1, ?) FROM sealed_records");
        let heads = heads
            .bind(i64::try_from(MasterKeyId::WITHIN).map_err(RecordsError::new)?)
            .fetch_all(&self.pool)
            .await
            .map_err(RecordsError::new)?;
        let macs = sqlx::query_scalar::<_, String>("SELECT DISTINCT mac_key FROM api_keys");
        let macs = macs
            .fetch_all(&self.pool)
            .await
            .map_err(RecordsError::new)?;
        let sealed = heads.iter().filter_map(|head| MasterKeyId::needed_by(head));
        Ok(sealed
            .map(|master| master.to_string())
            .chain(macs)
            .collect())
    }
}
