//! The log's thread: what may wait for the disk, and what happens by the clock.

use std::{
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak, atomic::Ordering},
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use super::{Shared, chain::Chain, heads};
use crate::{AppendError, Checkpoint, CheckpointKey, Held};

/// A queued record waits this long for others.
const GATHER: Duration = Duration::from_millis(20);
const TICK: Duration = Duration::from_secs(1);
/// A file that was not written to for so many ticks is closed.
const IDLE_TICKS: u32 = 60;
/// After so many ticks the reserve is made again, if there is space.
const REFILL_TICKS: u64 = 30;

type Done<T> = oneshot::Sender<Result<T, AppendError>>;

/// What the thread is asked for.
pub(super) enum Request {
    /// Make a chain durable.
    Sync { chain: Arc<Chain>, done: Done<()> },
    /// Sign where the chains stand.
    Checkpoint { done: Done<Checkpoint> },
    /// Close the log.
    Close { done: Done<()> },
}

/// What the thread works on, and by which rules.
pub(super) struct Worker {
    pub(super) key: CheckpointKey,
    pub(super) checkpoint_records: u64,
    pub(super) checkpoint_interval: Duration,
    work: Mutex<Work>,
    wake: Condvar,
    held: Mutex<Vec<Weak<dyn Held>>>,
}

#[derive(Default)]
struct Work {
    requests: Vec<Request>,
    announced: Vec<Arc<Chain>>,
    announced_at: Option<Instant>,
    stop: bool,
    /// The thread has gone; nobody answers any more.
    gone: bool,
}

impl Worker {
    pub(super) fn new(key: CheckpointKey, records: u64, interval: Duration) -> Self {
        Self {
            key,
            checkpoint_records: records,
            checkpoint_interval: interval,
            work: Mutex::default(),
            wake: Condvar::new(),
            held: Mutex::default(),
        }
    }

    fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn ask(&self, request: Request) {
        let mut work = self.work();
        if !work.gone {
            work.requests.push(request);
            self.wake.notify_one();
        }
    }

    /// Something waits in this chain.
    pub(super) fn announce(&self, chain: Arc<Chain>) {
        let mut work = self.work();
        work.announced.push(chain);
        if work.announced_at.is_none() {
            work.announced_at = Some(Instant::now());
            self.wake.notify_one();
        }
    }

    pub(super) fn register(&self, held: Weak<dyn Held>) {
        let mut all = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|held| held.strong_count() > 0);
        all.push(held);
    }

    fn held(&self) -> Vec<Arc<dyn Held>> {
        let all = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().filter_map(Weak::upgrade).collect()
    }

    pub(super) fn stop(&self) {
        self.work().stop = true;
        self.wake.notify_one();
    }

    /// Waits until there is something to do, or `tick` has come.
    fn next(&self, tick: Instant) -> Work {
        let mut work = self.work();
        loop {
            if work.stop || !work.requests.is_empty() {
                break;
            }
            let due = work.announced_at.map_or(tick, |at| tick.min(at + GATHER));
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            work = match self.wake.wait_timeout(work, left) {
                Ok((work, _)) => work,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
        mem::take(&mut *work)
    }
}

impl Shared {
    /// The thread's life.
    pub(super) fn run(&self) {
        let mut tick = Instant::now() + TICK;
        let mut ticks: u64 = 0;
        let mut last_checkpoint = Instant::now();
        loop {
            let work = self.worker.next(tick);
            for chain in &work.announced {
                chain.flush_announced();
            }
            self.answer(work.requests);
            if work.stop {
                break;
            }
            if Instant::now() >= tick {
                tick = Instant::now() + TICK;
                ticks += 1;
                self.tick(ticks);
                last_checkpoint = self.checkpoint_if_due(last_checkpoint);
            }
        }
        if !self.setting.closed.load(Ordering::Acquire)
            && let Err(error) = self.close()
        {
            tracing::error!(%error, "the audit log was not closed in good order");
        }
        let mut work = self.worker.work();
        work.gone = true;
        work.requests.clear();
    }

    fn answer(&self, requests: Vec<Request>) {
        let mut syncs: Vec<(Arc<Chain>, Vec<Done<()>>)> = Vec::new();
        let mut others = Vec::new();
        for request in requests {
            match request {
                Request::Sync { chain, done } => {
                    let same = syncs.iter_mut().find(|(one, _)| Arc::ptr_eq(one, &chain));
                    match same {
                        Some((_, all)) => all.push(done),
                        None => syncs.push((chain, vec![done])),
                    }
                }
                other => others.push(other),
            }
        }
        for (chain, all) in syncs {
            let synced = chain.sync().map(|_| ());
            for done in all {
                drop(done.send(synced.clone()));
            }
        }
        for request in others {
            match request {
                Request::Checkpoint { done } => drop(done.send(self.checkpoint())),
                Request::Close { done } => drop(done.send(self.close())),
                Request::Sync { .. } => {}
            }
        }
    }

    fn tick(&self, ticks: u64) {
        let now = self.now();
        for held in self.worker.held() {
            held.flush(now);
        }
        for (_, chain) in self.open_chains() {
            // Also without records: losses, and the use of the reserve, are to be said.
            chain.flush();
            chain.tick(IDLE_TICKS);
        }
        let reserve = &self.setting.reserve;
        if reserve.is_short()
            && ticks.is_multiple_of(REFILL_TICKS)
            && let Err(error) = reserve.fill()
        {
            tracing::warn!(%error, "no space to reserve for the audit log");
        }
    }

    fn checkpoint_if_due(&self, last: Instant) -> Instant {
        let since = self.setting.since_checkpoint.load(Ordering::Relaxed);
        let due = since >= self.worker.checkpoint_records
            || last.elapsed() >= self.worker.checkpoint_interval;
        if since == 0 || !due || self.setting.closed.load(Ordering::Acquire) {
            return last;
        }
        if let Err(error) = self.checkpoint() {
            tracing::error!(%error, "no checkpoint of the audit log");
        }
        Instant::now()
    }

    fn checkpoint(&self) -> Result<Checkpoint, AppendError> {
        if self.setting.closed.load(Ordering::Acquire) {
            return Err(AppendError::Closed);
        }
        for held in self.worker.held() {
            held.flush(self.now());
        }
        self.flush();
        heads::sign(self, &self.worker.key)
    }

    fn close(&self) -> Result<(), AppendError> {
        if self.setting.closed.load(Ordering::Acquire) {
            return Err(AppendError::Closed);
        }
        for held in self.worker.held() {
            held.flush_all(self.now());
        }
        self.setting.closed.store(true, Ordering::Release);
        let mut result = Ok(());
        for (_, chain) in self.open_chains() {
            result = result.and(chain.close());
        }
        result = result.and(heads::sign(self, &self.worker.key).map(|_| ()));
        self.unlock();
        result
    }
}
