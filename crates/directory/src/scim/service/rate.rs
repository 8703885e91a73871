//! How much a token may ask for: the generic cell rate algorithm, over the clock that everything here has.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use gatewright_core::{TenantId, Timestamp};
use http::StatusCode;

use crate::scim::ScimError;

/// How many tokens are remembered; whoever was quiet for long is forgotten first.
const MOST_TOKENS: usize = 10_000;
/// So many resources that are looked through cost as much as a request.
const SCANNED: usize = 500;

/// How much a token may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Requests in a second, in the long run.
    pub per_second: u32,
    /// Requests at once.
    pub burst: u32,
}

impl Default for Rate {
    /// Entra ID asks to be served 25 requests in a second.
    fn default() -> Self {
        Self {
            per_second: 250,
            burst: 2_500,
        }
    }
}

/// Counts requests by token.
#[derive(Debug)]
pub(super) struct Limiter {
    /// Microseconds that a request costs.
    cost: i64,
    /// Microseconds that may be owed.
    most: i64,
    /// When each is even with what it may, in microseconds since 1970.
    even_at: Mutex<HashMap<(TenantId, Arc<str>), i64>>,
}

impl Limiter {
    pub(super) fn new(rate: Rate) -> Self {
        let cost = 1_000_000 / i64::from(rate.per_second.max(1));
        Self {
            cost,
            most: cost.saturating_mul(i64::from(rate.burst.max(1))),
            even_at: Mutex::default(),
        }
    }

    /// A request, unless there were too many.
    pub(super) fn take(
        &self,
        tenant: &TenantId,
        token: &Arc<str>,
        now: Timestamp,
    ) -> Result<(), ScimError> {
        let now = now.millis().saturating_mul(1_000);
        let mut all = self.even_at.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST_TOKENS {
            all.retain(|_, even_at| *even_at > now);
        }
        let known = (tenant.clone(), Arc::clone(token));
        if all.len() >= MOST_TOKENS && !all.contains_key(&known) {
            return Err(too_many());
        }
        let even_at = all.entry(known).or_insert(now);
        let next = (*even_at).max(now).saturating_add(self.cost);
        if next.saturating_sub(now) > self.most {
            return Err(too_many());
        }
        *even_at = next;
        Ok(())
    }

    /// What a request cost beside itself, by how much was looked through: it is owed, also where that is too much.
    pub(super) fn charge_scan(&self, tenant: &TenantId, token: &Arc<str>, scanned: usize) {
        self.charge_requests(tenant, token, scanned / SCANNED);
    }

    /// So many requests in one.
    pub(super) fn charge_requests(&self, tenant: &TenantId, token: &Arc<str>, requests: usize) {
        let units = i64::try_from(requests).unwrap_or(i64::MAX);
        let mut all = self.even_at.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(even_at) = all.get_mut(&(tenant.clone(), Arc::clone(token))) {
            *even_at = even_at.saturating_add(self.cost.saturating_mul(units));
        }
    }
}

fn too_many() -> ScimError {
    let detail = "too many requests with this token: wait a little";
    ScimError::of_status(StatusCode::TOO_MANY_REQUESTS, detail)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_within_the_rate_passes_and_the_rest_does_not() {
        let limiter = Limiter::new(Rate {
            per_second: 10,
            burst: 3,
        });
        let tenant = TenantId::default();
        let (one, other): (Arc<str>, Arc<str>) = ("one".into(), "other".into());
        let start = Timestamp::from_secs(100);
        for _ in 0..3 {
            limiter.take(&tenant, &one, start).unwrap();
        }
        let error = limiter.take(&tenant, &one, start).unwrap_err();
        assert_eq!(error.status(), StatusCode::TOO_MANY_REQUESTS);
        // Another one, and the same name in another tenant, are somebody else.
        limiter.take(&tenant, &other, start).unwrap();
        limiter
            .take(&TenantId::new("acme").unwrap(), &one, start)
            .unwrap();
        let later = start.plus(Duration::from_millis(100));
        limiter.take(&tenant, &one, later).unwrap();
        limiter.take(&tenant, &one, later).unwrap_err();
    }

    #[test]
    fn looking_through_much_costs_more() {
        let limiter = Limiter::new(Rate {
            per_second: 10,
            burst: 3,
        });
        let (tenant, token): (_, Arc<str>) = (TenantId::default(), "t".into());
        let start = Timestamp::from_secs(100);
        limiter.take(&tenant, &token, start).unwrap();
        limiter.charge_scan(&tenant, &token, 10 * SCANNED);
        limiter.take(&tenant, &token, start).unwrap_err();
        limiter
            .take(&tenant, &token, start.plus(Duration::from_secs(2)))
            .unwrap();
    }
}
