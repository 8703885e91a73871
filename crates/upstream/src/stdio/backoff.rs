//! When a child that keeps ending is started again.

use std::{collections::HashMap, hash::Hash, time::Duration};

use tokio::time::Instant;

/// The pause before the third start; it doubles with each further one.
const BASE: Duration = Duration::from_secs(1);
/// The longest pause.
const CAP: Duration = Duration::from_secs(60);
/// A child that lived as long, or has not failed as long, is a new beginning.
const FORGET: Duration = Duration::from_secs(120);
/// The most that is remembered: who has many credentials must not make us remember them all.
const MOST: usize = 4096;

/// Failures, by who started.
#[derive(Debug)]
pub(crate) struct Backoff<K> {
    failures: HashMap<K, Failures>,
}

#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    last: Instant,
}

impl<K> Default for Backoff<K> {
    fn default() -> Self {
        Self {
            failures: HashMap::new(),
        }
    }
}

impl<K: Eq + Hash> Backoff<K> {
    /// How long there is still to wait; `None` when it may start.
    pub(crate) fn wait(&self, key: &K, now: Instant) -> Option<Duration> {
        let failures = self.failures.get(key)?;
        let until = failures.last + pause(failures.count);
        until
            .checked_duration_since(now)
            .filter(|wait| !wait.is_zero())
    }

    /// A child has failed that lived for `lived`. The first one is replaced at once.
    pub(crate) fn failed(&mut self, key: K, lived: Duration, now: Instant) {
        self.failures
            .retain(|_, failures| now - failures.last < FORGET);
        if self.failures.len() >= MOST && !self.failures.contains_key(&key) {
            return;
        }
        let failures = self.failures.entry(key).or_insert(Failures {
            count: 0,
            last: now,
        });
        failures.count = if lived >= FORGET {
            1
        } else {
            failures.count.saturating_add(1)
        };
        failures.last = now;
    }
}

fn pause(count: u32) -> Duration {
    match count.checked_sub(2) {
        None => Duration::ZERO,
        Some(doublings) => BASE.saturating_mul(1 << doublings.min(16)).min(CAP),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(5);

    #[tokio::test]
    async fn the_pause_grows_from_the_second_failure_to_a_cap() {
        let mut backoff = Backoff::default();
        let now = Instant::now();
        let mut pauses = Vec::new();
        for _ in 0..9 {
            backoff.failed("a", SHORT, now);
            pauses.push(backoff.wait(&"a", now).unwrap_or_default().as_secs());
        }
        assert_eq!(pauses, [0, 1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(backoff.wait(&"b", now), None);
        assert_eq!(backoff.wait(&"a", now + CAP), None);
    }

    #[tokio::test]
    async fn a_child_that_lived_is_a_new_beginning() {
        let mut backoff = Backoff::default();
        let now = Instant::now();
        for _ in 0..5 {
            backoff.failed("a", SHORT, now);
        }
        backoff.failed("a", FORGET, now);
        assert_eq!(backoff.wait(&"a", now), None);
        backoff.failed("a", SHORT, now);
        assert!(backoff.wait(&"a", now).is_some());
        backoff.failed("a", SHORT, now + FORGET);
        assert_eq!(backoff.wait(&"a", now + FORGET), None);
    }

    #[tokio::test]
    async fn what_is_remembered_is_bounded() {
        let mut backoff = Backoff::default();
        for key in 0..MOST * 2 {
            backoff.failed(key, SHORT, Instant::now());
        }
        assert_eq!(backoff.failures.len(), MOST);
    }
}
