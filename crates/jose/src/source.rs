use std::{fmt, sync::Arc, time::Duration};

use arc_swap::ArcSwapOption;
use async_trait::async_trait;
use gatewright_core::{Clock, Timestamp};
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio_util::task::TaskTracker;

use crate::{FetchKeysError, KeySet};

/// By how much the back-off grows at most.
const LONGEST_BACK_OFF: u32 = 32;

/// Gets the keys of one issuer from where they are.
#[async_trait]
pub trait FetchKeys: Send + Sync + 'static {
    /// Fetches them, within a bounded time.
    async fn fetch(&self) -> Result<KeySet, FetchKeysError>;
}

/// The issuer's keys cannot be had, so its tokens cannot be checked.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the keys of the issuer cannot be had{}", .0.as_ref().map_or_else(String::new, |why| format!(": {why}")))]
pub struct KeysUnavailable(Option<Arc<FetchKeysError>>);

/// How long fetched keys are used, and how often they are fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheTimes {
    /// They are fetched again at the first use after this time.
    pub lifetime: Duration,
    /// Where that fails, they are used on until this time. From then on nothing can be checked.
    pub usable: Duration,
    /// A key that is not among them makes them be fetched at most this often: whoever invents key ids must not make
    /// us flood the issuer.
    pub unknown_key: Duration,
    /// After a failure nothing is fetched for this long; doubled by every further failure, up to 32 times.
    pub back_off: Duration,
}

impl Default for CacheTimes {
    /// 10 minutes, an hour, 30 seconds, 1 second.
    fn default() -> Self {
        Self {
            lifetime: Duration::from_secs(600),
            usable: Duration::from_secs(3600),
            unknown_key: Duration::from_secs(30),
            back_off: Duration::from_secs(1),
        }
    }
}

/// Where the keys of one issuer come from. Clones share what was fetched.
#[derive(Clone)]
pub struct KeySource(Kind);

#[derive(Clone)]
enum Kind {
    Fixed(Arc<KeySet>),
    Fetched(Arc<Fetched>),
}

struct Fetched {
    fetcher: Box<dyn FetchKeys>,
    clock: Arc<dyn Clock>,
    times: CacheTimes,
    snapshot: ArcSwapOption<Snapshot>,
    /// Held by whoever fetches, so that there is one fetch at a time and the others wait for its result.
    flight: Arc<Mutex<Flight>>,
    tasks: TaskTracker,
}

struct Snapshot {
    keys: Arc<KeySet>,
    at: Timestamp,
}

/// What is known of earlier fetches.
#[derive(Default)]
struct Flight {
    failures: u32,
    failure: Option<Arc<FetchKeysError>>,
    /// Nothing is fetched before.
    not_before: Option<Timestamp>,
    /// When an unknown key last made us fetch.
    unknown_at: Option<Timestamp>,
}

impl KeySource {
    /// Keys that never change.
    #[must_use]
    pub fn fixed(keys: KeySet) -> Self {
        Self(Kind::Fixed(Arc::new(keys)))
    }

    /// Keys that are fetched at the first use and kept for a while.
    #[must_use]
    pub fn fetched(fetcher: impl FetchKeys, clock: Arc<dyn Clock>, times: CacheTimes) -> Self {
        Self(Kind::Fetched(Arc::new(Fetched {
            fetcher: Box::new(fetcher),
            clock,
            times,
            snapshot: ArcSwapOption::empty(),
            flight: Arc::default(),
            tasks: TaskTracker::new(),
        })))
    }

    /// The issuer's keys; without any waiting while those that we have are usable.
    ///
    /// # Errors
    /// [`KeysUnavailable`] when there are none that are usable, and none can be fetched now.
    pub async fn keys(&self) -> Result<Arc<KeySet>, KeysUnavailable> {
        match &self.0 {
            Kind::Fixed(keys) => Ok(Arc::clone(keys)),
            Kind::Fetched(fetched) => fetched.keys().await,
        }
    }

    /// The issuer's keys, fetched again if none of those that we have is named `kid`.
    ///
    /// # Errors
    /// [`KeysUnavailable`], also when a fetch for an unknown key fails: the issuer may have that key.
    pub async fn keys_for(&self, kid: Option<&str>) -> Result<Arc<KeySet>, KeysUnavailable> {
        let keys = self.keys().await?;
        match (&self.0, kid) {
            (Kind::Fetched(fetched), Some(kid)) if !keys.has_kid(kid) => fetched.again(kid).await,
            _ => Ok(keys),
        }
    }
}

impl fmt::Debug for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Kind::Fixed(_) => "KeySource::Fixed",
            Kind::Fetched(_) => "KeySource::Fetched",
        })
    }
}

impl Fetched {
    async fn keys(self: &Arc<Self>) -> Result<Arc<KeySet>, KeysUnavailable> {
        let now = self.clock.now();
        if let Some((keys, age)) = self.known(now) {
            if age >= self.times.lifetime {
                self.renew(now);
            }
            return Ok(keys);
        }
        let flight = Arc::clone(&self.flight).lock_owned().await;
        // Whoever held the lock before may have fetched.
        if let Some((keys, _)) = self.known(self.clock.now()) {
            return Ok(keys);
        }
        self.fetch(flight).await
    }

    async fn again(self: &Arc<Self>, kid: &str) -> Result<Arc<KeySet>, KeysUnavailable> {
        let mut flight = Arc::clone(&self.flight).lock_owned().await;
        let now = self.clock.now();
        let known = self.known(now).map(|(keys, _)| keys);
        if let Some(keys) = known {
            let asked = |at| now.since(at) < self.times.unknown_key;
            if keys.has_kid(kid) || (flight.failures == 0 && flight.unknown_at.is_some_and(asked)) {
                return Ok(keys);
            }
        }
        flight.unknown_at = Some(now);
        self.fetch(flight).await
    }

    /// Keys that are still usable, with their age.
    fn known(&self, now: Timestamp) -> Option<(Arc<KeySet>, Duration)> {
        let snapshot = self.snapshot.load_full()?;
        // Fetched in the future: the clock was set back, and nobody knows how old they are.
        if now < snapshot.at {
            return None;
        }
        let age = now.since(snapshot.at);
        (age < self.times.usable).then(|| (Arc::clone(&snapshot.keys), age))
    }

    /// Whether a failure is too recent for another try. Where the clock was set back since, it says nothing.
    fn holds_back(&self, flight: &Flight, now: Timestamp) -> bool {
        let longest = self.times.back_off.saturating_mul(LONGEST_BACK_OFF);
        flight
            .not_before
            .is_some_and(|at| at > now && at <= now.plus(longest))
    }

    /// Fetches while what is known serves on, unless somebody does already.
    fn renew(self: &Arc<Self>, now: Timestamp) {
        let Ok(flight) = Arc::clone(&self.flight).try_lock_owned() else {
            return;
        };
        if !self.holds_back(&flight, now) {
            drop(self.tasks.spawn(Arc::clone(self).run(flight)));
        }
    }

    /// Fetches and waits for it. The fetch is a task of its own: a caller who goes away does not break it off for
    /// those who wait.
    async fn fetch(
        self: &Arc<Self>,
        flight: OwnedMutexGuard<Flight>,
    ) -> Result<Arc<KeySet>, KeysUnavailable> {
        if self.holds_back(&flight, self.clock.now()) {
            return Err(KeysUnavailable(flight.failure.clone()));
        }
        let fetch = self.tasks.spawn(Arc::clone(self).run(flight));
        fetch
            .await
            .unwrap_or_else(|_ended_with_the_runtime| Err(KeysUnavailable(None)))
    }

    async fn run(
        self: Arc<Self>,
        mut flight: OwnedMutexGuard<Flight>,
    ) -> Result<Arc<KeySet>, KeysUnavailable> {
        let fetched = self.fetcher.fetch().await;
        let at = self.clock.now();
        match fetched {
            Ok(keys) => {
                let keys = Arc::new(keys);
                self.snapshot.store(Some(Arc::new(Snapshot {
                    keys: Arc::clone(&keys),
                    at,
                })));
                flight.failures = 0;
                flight.failure = None;
                flight.not_before = None;
                Ok(keys)
            }
            Err(error) => {
                tracing::warn!(%error, "the keys of an issuer cannot be fetched");
                let factor = 1_u32
                    .checked_shl(flight.failures)
                    .unwrap_or(LONGEST_BACK_OFF);
                let back_off = self
                    .times
                    .back_off
                    .saturating_mul(factor.min(LONGEST_BACK_OFF));
                flight.not_before = Some(at.plus(back_off));
                flight.failures = flight.failures.saturating_add(1);
                let error = Arc::new(error);
                flight.failure = Some(Arc::clone(&error));
                Err(KeysUnavailable(Some(error)))
            }
        }
    }
}

#[cfg(test)]
mod tests;
