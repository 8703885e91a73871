//! What one key has under way.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use governor::clock::Clock as _;
use tokio::{sync::oneshot, time::timeout};

use super::{
    Limits,
    queue::FairQueue,
    rate::{Bucket, Ticks},
    refusal::Refusal,
};

/// One key.
#[derive(Debug)]
pub(super) struct Entry {
    bucket: Option<Bucket>,
    ticks: Ticks,
    /// When it was last asked for anything, in nanoseconds of `ticks`.
    used: AtomicU64,
    held: Mutex<Held>,
}

#[derive(Debug)]
struct Held {
    calls: usize,
    streams: usize,
    waiting: FairQueue<oneshot::Sender<Permit>>,
}

impl Entry {
    pub(super) fn new(limits: &Limits, ticks: Ticks) -> Self {
        Self {
            bucket: limits.rate.map(|rate| Bucket::new(rate, ticks)),
            ticks,
            used: AtomicU64::new(ticks.now().as_u64()),
            held: Mutex::new(Held {
                calls: 0,
                streams: 0,
                waiting: FairQueue::new(),
            }),
        }
    }

    /// Counts one request.
    ///
    /// # Errors
    /// [`Refusal::Rate`] when it comes too early.
    pub(super) fn ask(&self) -> Result<(), Refusal> {
        let Some(bucket) = &self.bucket else {
            return Ok(());
        };
        self.used
            .store(self.ticks.now().as_u64(), Ordering::Relaxed);
        bucket.take().map_err(Refusal::Rate)
    }

    /// Whether nothing is lost when it is forgotten; who holds a permit holds the entry too.
    pub(super) fn is_as_new(&self) -> bool {
        let used = self.used.load(Ordering::Relaxed);
        let pause = self.ticks.now().as_u64().saturating_sub(used);
        self.bucket
            .as_ref()
            .is_none_or(|bucket| bucket.is_full_after(Duration::from_nanos(pause)))
    }

    /// One of the calls at a time, after waiting for it if need be.
    pub(super) async fn call(
        self: &Arc<Self>,
        lane: impl FnOnce() -> String,
        limits: &Limits,
    ) -> Result<Permit, Refusal> {
        let turn = {
            let mut held = self.held();
            if held.calls < limits.calls {
                held.calls += 1;
                drop(held);
                return Ok(Permit::new(self, Kind::Call));
            }
            if held.waiting.len() >= limits.queued {
                // Who has gone does not take the place of who is here.
                held.waiting.retain(|waiter| !waiter.is_closed());
            }
            let lane = lane();
            let shed = if held.waiting.len() < limits.queued {
                None
            } else {
                Some(held.waiting.shed_for(&lane).ok_or(Refusal::Calls)?)
            };
            let (sender, turn) = oneshot::channel();
            held.waiting.push(&lane, sender);
            drop(held);
            // Its waiter wakes up, so not under the lock.
            drop(shed);
            turn
        };
        match timeout(limits.patience, turn).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) => Err(Refusal::Overloaded),
            Err(_) => Err(Refusal::Calls),
        }
    }

    /// One of the streams; nobody waits for one.
    pub(super) fn stream(self: &Arc<Self>, limits: &Limits) -> Result<Permit, Refusal> {
        let mut held = self.held();
        if held.streams >= limits.streams {
            return Err(Refusal::Streams);
        }
        held.streams += 1;
        drop(held);
        Ok(Permit::new(self, Kind::Stream))
    }

    /// A call has ended: whose turn it is takes its place.
    fn call_ended(self: &Arc<Self>) {
        loop {
            let next = {
                let mut held = self.held();
                match held.waiting.pop() {
                    Some(next) => next,
                    None => {
                        held.calls = held.calls.saturating_sub(1);
                        return;
                    }
                }
            };
            match next.send(Permit::new(self, Kind::Call)) {
                Ok(()) => return,
                // It waits no more; the place is still to be given.
                Err(permit) => permit.disarm(),
            }
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Call,
    Stream,
}

/// A place among the calls or the streams of a key; gives it back when dropped.
pub(super) struct Permit {
    entry: Option<Arc<Entry>>,
    kind: Kind,
}

impl Permit {
    fn new(entry: &Arc<Entry>, kind: Kind) -> Self {
        Self {
            entry: Some(Arc::clone(entry)),
            kind,
        }
    }

    /// A call whose answer turned out to stand counts as a stream from here on.
    pub(super) fn standing(self, limits: &Limits) -> Result<Self, Refusal> {
        match (&self.entry, self.kind) {
            (Some(entry), Kind::Call) => entry.stream(limits),
            _ => Ok(self),
        }
    }

    fn disarm(mut self) {
        self.entry = None;
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let Some(entry) = self.entry.take() else {
            return;
        };
        match self.kind {
            Kind::Call => entry.call_ended(),
            Kind::Stream => {
                let mut held = entry.held();
                held.streams = held.streams.saturating_sub(1);
            }
        }
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Permit").field(&self.kind).finish()
    }
}
