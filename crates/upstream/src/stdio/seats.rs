//! How many processes run, those that are ending included.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use gatewright_core::{ServerName, TenantId};

use super::{place::Place, slot::Start};
use crate::failure::Failure;

/// While its old sessions end a principal may have more processes than sessions: as many times its share.
const ENDING: usize = 2;

/// Counts processes.
#[derive(Clone, Debug)]
pub(crate) struct Seats(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    most: usize,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    servers: HashMap<(TenantId, ServerName), usize>,
    principals: HashMap<(TenantId, ServerName, String), usize>,
}

/// A process that runs, or is being started. It counts until this is dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    seats: Seats,
    place: Place,
}

impl Seats {
    /// At most `most` for all servers together.
    pub(crate) fn new(most: usize) -> Self {
        Self(Arc::new(Inner {
            most,
            counts: Mutex::default(),
        }))
    }

    /// Takes one, where there is room.
    pub(crate) fn take(&self, start: &Start<'_>) -> Result<Seat, Failure> {
        let limits = start.program.children();
        let mut counts = self.counts();
        if counts.all >= self.0.most {
            return Err(Failure::Busy(
                "the gateway has all the processes that it may have",
            ));
        }
        let here = counts.servers.get(&server(start.place));
        if here.copied().unwrap_or_default() >= limits.per_server {
            return Err(Failure::Busy("it has all the processes that it may have"));
        }
        if let Some(principal) = principal(start.place) {
            let own = counts.principals.get(&principal);
            if own.copied().unwrap_or_default() >= limits.per_principal.saturating_mul(ENDING) {
                return Err(Failure::Busy(
                    "the caller's old processes there are still ending",
                ));
            }
            *counts.principals.entry(principal).or_default() += 1;
        }
        *counts.servers.entry(server(start.place)).or_default() += 1;
        counts.all += 1;
        Ok(Seat {
            seats: self.clone(),
            place: start.place.clone(),
        })
    }

    /// How many there are.
    pub(crate) fn taken(&self) -> usize {
        self.counts().all
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut counts = self.seats.counts();
        counts.all = counts.all.saturating_sub(1);
        one_less(&mut counts.servers, &server(&self.place));
        if let Some(principal) = principal(&self.place) {
            one_less(&mut counts.principals, &principal);
        }
    }
}

fn server(place: &Place) -> (TenantId, ServerName) {
    (place.tenant.clone(), place.server.clone())
}

fn principal(place: &Place) -> Option<(TenantId, ServerName, String)> {
    let principal = place.scope.principal()?.to_owned();
    Some((place.tenant.clone(), place.server.clone(), principal))
}

fn one_less<K: std::hash::Hash + Eq>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}
