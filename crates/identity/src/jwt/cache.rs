//! Tokens that were verified before.

use std::{sync::Arc, time::Duration};

use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use gatewright_core::{Identity, TenantId};
use gatewright_jose::Verified;
use moka::sync::Cache;

use super::Source;

/// The most that is remembered, in bytes of claims; a token and what is kept of it weigh a few kilobytes.
const MAX_WEIGHT: u64 = 64 * 1024 * 1024;
/// What an entry weighs besides its claims.
const BASE_WEIGHT: u32 = 1024;
/// Nothing is remembered longer than this; most tokens end before.
const LONGEST: Duration = Duration::from_secs(3600);

/// The tenant, and the SHA-256 of the token: nobody finds the tokens of the past in our memory.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Key(TenantId, [u8; SHA256_OUTPUT_LEN]);

/// A token whose signature was good.
pub(super) struct Entry {
    pub(super) token: Verified,
    pub(super) identity: Identity,
    source: Arc<Source>,
    weight: u32,
}

impl Entry {
    pub(super) fn new(token: Verified, identity: Identity, source: Arc<Source>) -> Self {
        let claims = serde_json::to_vec(token.claims().all()).map_or(0, |text| text.len());
        // Claims are held twice, parsed and mapped.
        let weight = u32::try_from(claims.saturating_mul(3)).unwrap_or(u32::MAX);
        Self {
            token,
            identity,
            source,
            weight: weight.saturating_add(BASE_WEIGHT),
        }
    }

    /// Whether it was verified for this issuer as it is configured now.
    pub(super) fn is_by(&self, source: &Arc<Source>) -> bool {
        Arc::ptr_eq(&self.source, source)
    }
}

/// Bounded by what it holds, and by time.
pub(super) struct TokenCache(Cache<Key, Arc<Entry>>);

impl TokenCache {
    pub(super) fn new() -> Self {
        let cache = Cache::builder()
            .weigher(|_, entry: &Arc<Entry>| entry.weight)
            .max_capacity(MAX_WEIGHT)
            .time_to_live(LONGEST)
            .build();
        Self(cache)
    }

    pub(super) fn key(tenant: &TenantId, token: &str) -> Key {
        let mut hash = [0; SHA256_OUTPUT_LEN];
        hash.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        Key(tenant.clone(), hash)
    }

    pub(super) fn get(&self, key: &Key) -> Option<Arc<Entry>> {
        self.0.get(key)
    }

    pub(super) fn insert(&self, key: Key, entry: Arc<Entry>) {
        self.0.insert(key, entry);
    }
}
