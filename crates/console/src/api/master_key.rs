//! The master key, under which credentials are sealed and API keys hashed.

use axum::{Json, extract::State};
use gatewright_core::{AdminAction, AdminVerb, TenantId};
use gatewright_vault::{MasterKeyId, RecordKey, Rewrapped, RotateMasterKeyError};
use serde_json::{Value, json};

use super::{Console, begin, keys::state, now, rfc3339};
use crate::{caller::Caller, problem::Problem};

/// Credentials that are read at a time.
const PAGE: u32 = 500;

/// Makes a new master key, and puts all that is sealed under it. Where keys are made elsewhere, what is sealed goes under
/// the one that is the current one there.
pub(super) async fn rotate(
    State(console): State<Console>,
    caller: Caller,
) -> Result<Json<Value>, Problem> {
    let action = AdminAction::new(
        TenantId::default(),
        AdminVerb::SystemWrite,
        "master-key",
        "",
    );
    console.may(&caller, &action).await?;
    let changes = console.clone();
    changes
        .to_its_end(async move { console.rotate(&caller).await })
        .await
}

impl Console {
    async fn rotate(&self, caller: &Caller) -> Result<Json<Value>, Problem> {
        let change = begin(&TenantId::default(), caller, "master-key.rotate");
        let made = self.recorded(change, async {
            match self.0.estate.rotate_master_key().await {
                Ok(made) => Ok((Some(made.clone()), vec![("master_key", made.to_string())])),
                Err(RotateMasterKeyError::Elsewhere) => {
                    Ok((None, vec![("master_key", "made elsewhere".to_owned())]))
                }
                Err(error) => Err(Problem::unavailable("master-key", &error)),
            }
        });
        let made = made.await?;
        let current = self.0.vault.master_key();
        let (mut rewrapped, mut needs) = (0, Vec::new());
        for tenant in self.0.estate.tenants() {
            let change =
                begin(&tenant.name, caller, "credential.rewrap").with("master_key", &current);
            let done = self.recorded(change, async {
                let done = self.0.vault.rewrap(&tenant.name).await;
                let done = done.map_err(|error| {
                    let detail = format!(
                        "the master key `{current}` is the current one, and not all credentials are under it: {error}; \
                         keep the older keys, and do it again"
                    );
                    Problem::unavailable("vault", &detail)
                })?;
                let details = vec![
                    ("rewrapped", done.rewrapped.to_string()),
                    ("unreadable", done.unreadable.len().to_string()),
                ];
                Ok((done, details))
            });
            let Rewrapped {
                rewrapped: count, ..
            } = done.await?;
            rewrapped += count;
            self.needs(&tenant.name, &current, &mut needs).await?;
        }
        Ok(Json(json!({
            "master_key": current.to_string(),
            "made": made.is_some(),
            "rewrapped": rewrapped,
            "older_needed_by": needs,
        })))
    }

    /// What of a tenant needs another master key than the current one: credentials that could not be put under it, and API
    /// keys, which stay under theirs until they end.
    async fn needs(
        &self,
        tenant: &TenantId,
        current: &MasterKeyId,
        needs: &mut Vec<Value>,
    ) -> Result<(), Problem> {
        let mut after: Option<RecordKey> = None;
        loop {
            let page = self.0.vault.list(tenant, after.as_ref(), PAGE).await;
            let page = page.map_err(|error| Problem::unavailable("vault", &error))?;
            let Some(last) = page.last() else { break };
            after = Some(RecordKey {
                owner: last.owner.clone(),
                server: last.server.clone(),
            });
            let others = page
                .iter()
                .filter(|one| one.master_key.as_ref() != Some(current));
            needs.extend(others.map(|one| {
                json!({
                    "tenant": tenant,
                    "credential": {"server": one.server, "owner": one.owner.to_string()},
                    "master_key": one.master_key.as_ref().map(ToString::to_string),
                })
            }));
        }
        let now = now();
        let keys = self.0.keys.list(tenant);
        let older = keys
            .iter()
            .filter(|key| key.mac.key != current.as_str() && state(key, now) == "good");
        needs.extend(older.map(|key| {
            json!({
                "tenant": tenant,
                "api_key": key.id.to_string(),
                "master_key": key.mac.key,
                "until": rfc3339(key.expires_at),
            })
        }));
        Ok(())
    }
}
