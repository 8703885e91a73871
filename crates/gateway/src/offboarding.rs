//! What those have here who are no longer let in, and how it is cut: API keys in the ring, credentials in the vault. What is
//! said of it is signed with the key of the log's checkpoints.

use std::{future::Future, pin::Pin};

use gatewright_audit::CheckpointKey;
use gatewright_core::{
    Attestation, BoxError, Changes, CredentialOwner, Found, GoneParty, Held, HeldKind, PartyKind,
    TenantId, Timestamp,
};
use gatewright_identity::{ApiKeyId, ApiKeyRing, KeyHolder};
use gatewright_vault::{RecordKey, SealedVault};
use serde_json::Value;

use crate::holdings::Holdings;

/// Cuts what the gateway holds.
#[derive(Debug)]
pub(crate) struct Offboarding {
    vault: SealedVault,
    keys: ApiKeyRing,
    key: CheckpointKey,
}

impl Offboarding {
    pub(crate) fn new(holdings: &Holdings, key: CheckpointKey) -> Self {
        Self {
            vault: holdings.vault.clone(),
            keys: holdings.keys.clone(),
            key,
        }
    }
}

impl Changes for Offboarding {
    fn held<'a>(
        &'a self,
        tenant: &'a TenantId,
        gone: &'a [GoneParty],
    ) -> Pin<Box<dyn Future<Output = Vec<Found>> + Send + 'a>> {
        Box::pin(async move {
            let (holders, owners) = (holders(gone), owners(gone));
            let keys = self.keys.held_by(tenant, &holders).await;
            let credentials = self.vault.owned_by(tenant, &owners).await;
            vec![
                api_keys(keys.map_err(Into::into)),
                stored(credentials.map_err(Into::into)),
            ]
        })
    }

    fn forget(&self, tenant: &TenantId, gone: &[GoneParty], at: Timestamp) {
        self.keys.refuse_all(tenant, &holders(gone), at);
        self.vault.forget_all(tenant, &owners(gone));
    }

    fn cut<'a>(
        &'a self,
        tenant: &'a TenantId,
        gone: &'a [GoneParty],
    ) -> Pin<Box<dyn Future<Output = Vec<Found>> + Send + 'a>> {
        Box::pin(async move {
            let (holders, owners) = (holders(gone), owners(gone));
            // One that hangs keeps the other from nothing.
            let (keys, credentials) = tokio::join!(
                self.keys.revoke_all(tenant, &holders),
                self.vault.remove_all(tenant, &owners),
            );
            vec![
                api_keys(keys.map_err(Into::into)),
                stored(credentials.map_err(Into::into)),
            ]
        })
    }

    fn attest(&self, statement: &Value) -> Option<Attestation> {
        self.key.attest(statement)
    }
}

fn holders(gone: &[GoneParty]) -> Vec<KeyHolder> {
    let holder = |party: &GoneParty| match party.kind {
        PartyKind::User => KeyHolder::User(party.subject.clone()),
        PartyKind::Agent => KeyHolder::Agent(party.subject.clone()),
    };
    gone.iter().map(holder).collect()
}

fn owners(gone: &[GoneParty]) -> Vec<CredentialOwner> {
    gone.iter().map(GoneParty::owner).collect()
}

fn api_keys(found: Result<Vec<(KeyHolder, ApiKeyId)>, BoxError>) -> Found {
    let held = |(holder, id): (KeyHolder, ApiKeyId)| {
        let (kind, subject) = match holder {
            KeyHolder::User(subject) => (PartyKind::User, subject),
            KeyHolder::Agent(subject) => (PartyKind::Agent, subject),
        };
        Held {
            of: GoneParty { kind, subject },
            kind: HeldKind::ApiKey,
            name: id.to_string(),
        }
    };
    Found {
        kind: HeldKind::ApiKey,
        held: found.map(|keys| keys.into_iter().map(held).collect()),
    }
}

fn stored(found: Result<Vec<RecordKey>, BoxError>) -> Found {
    let held = |at: RecordKey| {
        let (kind, subject) = match at.owner {
            CredentialOwner::User(subject) => (PartyKind::User, subject),
            CredentialOwner::Agent(subject) => (PartyKind::Agent, subject),
            _ => return None,
        };
        Some(Held {
            of: GoneParty { kind, subject },
            kind: HeldKind::Credential,
            name: at.server.to_string(),
        })
    };
    Found {
        kind: HeldKind::Credential,
        held: found.map(|credentials| credentials.into_iter().filter_map(held).collect()),
    }
}
