//! The log as files: one chain per tenant and writer, in segments that are only appended to.

mod builder;
mod chain;
mod heads;
mod recover;
mod reserve;
mod worker;
mod writer;

use std::{
    collections::HashMap,
    fmt,
    fs::File,
    future::Future,
    path::Path,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError, RwLock, Weak, atomic::Ordering},
    thread::{self, JoinHandle},
};

use gatewright_core::{Change, RecordError, Recorder, Stage, TenantId, Timestamp};
use tokio::sync::oneshot;

use self::{
    chain::{Chain, Setting},
    worker::{Request, Worker},
};
use crate::{AppendError, AuditSink, Checkpoint, Durability, Held, Receipt, Record};

pub use self::{
    builder::{OpenLogError, SegmentFilesBuilder},
    recover::RecoverError,
};

/// The log as append-only segment files. Clones write to the same log; dropping the last closes it.
///
/// One process writes as one writer: a second one that opens the same directory needs another name.
#[derive(Clone)]
pub struct SegmentFiles(Arc<Owner>);

/// Stops the log's thread when the last handle goes.
struct Owner {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// What handles and the log's thread share.
struct Shared {
    setting: Arc<Setting>,
    chains: RwLock<HashMap<TenantId, Arc<Chain>>>,
    worker: Worker,
    /// Held for as long as this process writes.
    lock: Mutex<Option<File>>,
}

impl SegmentFiles {
    /// Opens the log in a directory, made where there is none, as writer `local`.
    ///
    /// The key that signs its checkpoints is kept in the same directory, where whoever can change the log can
    /// also read it: [`checkpoint_key`](SegmentFilesBuilder::checkpoint_key) says a better place.
    ///
    /// # Errors
    /// [`OpenLogError`] when the directory cannot be used, another process writes to it, or the end of a chain
    /// is damaged.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, OpenLogError> {
        Self::builder(dir).open()
    }

    /// Opens the log with other settings.
    pub fn builder(dir: impl AsRef<Path>) -> SegmentFilesBuilder {
        SegmentFilesBuilder::new(dir.as_ref())
    }

    fn start(shared: Shared) -> Result<Self, OpenLogError> {
        let shared = Arc::new(shared);
        let own = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("audit-log".to_owned())
            .spawn(move || own.run())
            .map_err(|source| OpenLogError::Io {
                path: shared.setting.dir.clone(),
                source,
            })?;
        let thread = Some(thread);
        Ok(Self(Arc::new(Owner { shared, thread })))
    }

    /// Where it is.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.0.shared.setting.dir
    }

    /// How many records were lost so far: queued ones for which there was no room.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.0.shared.setting.lost.load(Ordering::Relaxed)
    }

    /// Writes what is queued, now and in the calling thread, so that readers of the files see it.
    pub fn flush(&self) {
        self.0.shared.flush();
    }

    /// Makes everything durable and signs where each chain stands. Keep the result outside of the log's reach.
    ///
    /// # Errors
    /// [`AppendError`] when the disk does not take it, or the log is closed.
    pub async fn checkpoint(&self) -> Result<Checkpoint, AppendError> {
        self.ask(|done| Request::Checkpoint { done }).await
    }

    /// Closes the log in good order: everything written, on the disk, and named by a last checkpoint. What is
    /// appended later is refused.
    ///
    /// # Errors
    /// [`AppendError`] when the disk does not take it. Closing again is no error.
    pub async fn close(&self) -> Result<(), AppendError> {
        match self.ask(|done| Request::Close { done }).await {
            Err(AppendError::Closed) => Ok(()),
            other => other,
        }
    }

    async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, AppendError>>) -> Request,
    ) -> Result<T, AppendError> {
        let (done, answer) = oneshot::channel();
        self.0.shared.worker.ask(request(done));
        match answer.await {
            Ok(answer) => answer,
            Err(_) => Err(AppendError::Closed),
        }
    }
}

/// That a change begins is there when the power fails; how it ended, when the process does.
impl Recorder for SegmentFiles {
    fn record<'a>(
        &'a self,
        change: &'a Change,
        stage: Stage,
        at: Timestamp,
    ) -> Pin<Box<dyn Future<Output = Result<(), RecordError>> + Send + 'a>> {
        let durability = match stage {
            Stage::Begun => Durability::Synced,
            _ => Durability::Written,
        };
        Box::pin(async move {
            let appended = self.append(Record::changed(change, stage, at), durability);
            appended.await.map_err(RecordError::new)?;
            Ok(())
        })
    }
}

impl AuditSink for SegmentFiles {
    async fn append(&self, record: Record, durability: Durability) -> Result<Receipt, AppendError> {
        let chain = self.0.shared.chain(record.tenant())?;
        let pushed = chain.push(record.to_json())?;
        if pushed.leads {
            // Flushes when it goes, also where this future is dropped: others wait for it.
            let _leader = Leader(&chain);
            // Whoever is ready on this runtime now adds their record to the same write.
            tokio::task::yield_now().await;
        }
        let seq = match pushed.written.await {
            Ok(written) => written?,
            Err(_) => return Err(AppendError::Closed),
        };
        if durability == Durability::Synced {
            self.ask(|done| Request::Sync { chain, done }).await?;
        }
        Ok(Receipt::numbered(seq))
    }

    fn enqueue(&self, record: Record) {
        let shared = &self.0.shared;
        if let Ok(chain) = shared.chain(record.tenant()) {
            if record.is_anonymous() && shared.setting.reserve.is_short() {
                chain.count_lost();
            } else if chain.enqueue(record.to_json()) {
                shared.worker.announce(chain);
            }
        } else {
            shared.setting.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn register(&self, held: Weak<dyn Held>) {
        self.0.shared.worker.register(held);
    }
}

/// Writes the queue when dropped.
struct Leader<'a>(&'a Chain);

impl Drop for Leader<'_> {
    fn drop(&mut self) {
        self.0.flush();
    }
}

impl Shared {
    /// The chain of a tenant, begun or continued where it is not open yet.
    fn chain(&self, tenant: &TenantId) -> Result<Arc<Chain>, AppendError> {
        let chains = self.chains.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(chain) = chains.get(tenant) {
            return Ok(Arc::clone(chain));
        }
        drop(chains);
        let mut chains = self.chains.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(chain) = chains.get(tenant) {
            return Ok(Arc::clone(chain));
        }
        // Chains that were there when the log was opened are open; this one is new.
        let setting = &self.setting;
        let tail = recover::tail(&setting.dir, tenant, &setting.writer)
            .map_err(|error| AppendError::Broken(error.to_string()))?;
        let chain = Arc::new(Chain::new(tenant.clone(), Arc::clone(setting), &tail));
        chains.insert(tenant.clone(), Arc::clone(&chain));
        Ok(chain)
    }

    fn open_chains(&self) -> Vec<(TenantId, Arc<Chain>)> {
        let chains = self.chains.read().unwrap_or_else(PoisonError::into_inner);
        let all = chains.iter();
        all.map(|(tenant, chain)| (tenant.clone(), Arc::clone(chain)))
            .collect()
    }

    fn flush(&self) {
        for (_, chain) in self.open_chains() {
            chain.flush();
        }
    }

    fn unlock(&self) {
        drop(
            self.lock
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
    }

    fn now(&self) -> Timestamp {
        self.setting.clock.now()
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.shared.worker.stop();
        if let Some(thread) = self.thread.take()
            // The thread itself drops the last handle when a layer that it asks for records is the last owner.
            && thread.thread().id() != thread::current().id()
            && thread.join().is_err()
        {
            tracing::error!("the audit log's thread panicked");
        }
    }
}

impl fmt::Debug for SegmentFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SegmentFiles")
            .field("dir", &self.dir())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
