//! The directory: the memory of every tenant, and the one door through which anything is changed.

mod change;
mod cut;
mod load;
mod look;
mod sight;
mod watch;

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, OnceLock, RwLock,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use gatewright_core::{Changes, Clock, Recorder, SystemClock, TenantId, Timestamp};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use self::{
    look::{GroupOf, Listed, LookError, TenantSettings},
    watch::{Observer, Update},
};
use crate::{
    check::{Authorise, DocumentCheck, EverythingFits, OperatorsOnly},
    model::UnreadableRecord,
    records::{Records, RecordsError},
    state::State,
};

/// Where nothing was heard of the storage for so long, nobody is let in any more.
pub const MAX_STALENESS: Duration = Duration::from_secs(30);

/// Why the directory cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenDirectoryError {
    /// The storage does not answer.
    #[error(transparent)]
    Records(#[from] RecordsError),
    /// What is stored cannot be read.
    #[error(transparent)]
    Unreadable(#[from] UnreadableRecord),
}

/// Who and what there is in every tenant. Clones are the same.
#[derive(Clone)]
pub struct Directory(Arc<Inner>);

pub(crate) struct Inner {
    records: Arc<dyn Records>,
    recorder: Arc<dyn Recorder>,
    clock: Arc<dyn Clock>,
    check: Arc<dyn DocumentCheck>,
    authorise: Arc<dyn Authorise>,
    observers: RwLock<Vec<Arc<dyn Observer>>>,
    offboarding: OnceLock<Arc<dyn Changes>>,
    /// One at a time takes up what is outstanding.
    taking_up: tokio::sync::Mutex<()>,
    tenants: RwLock<HashMap<TenantId, Arc<Cell>>>,
    max_staleness: Duration,
    /// When it was last sure that nothing is newer than what is in memory; milliseconds since 1970.
    confirmed_at: AtomicI64,
    changes: TaskTracker,
    stop: CancellationToken,
}

/// One tenant.
#[derive(Debug, Default)]
pub(crate) struct Cell {
    state: RwLock<State>,
    /// One change or refresh at a time.
    turn: tokio::sync::Mutex<()>,
}

/// Collects what a [`Directory`] is made of.
#[must_use]
pub struct DirectoryBuilder {
    records: Arc<dyn Records>,
    recorder: Arc<dyn Recorder>,
    clock: Arc<dyn Clock>,
    check: Arc<dyn DocumentCheck>,
    authorise: Arc<dyn Authorise>,
    observers: Vec<Arc<dyn Observer>>,
    max_staleness: Duration,
}

impl DirectoryBuilder {
    /// Asks this whether documents of servers, issuers, roles and policies can be served.
    pub fn check(mut self, check: impl DocumentCheck) -> Self {
        self.check = Arc::new(check);
        self
    }

    /// Asks this who may change what. If nothing is set, those who have the machine, and nobody else.
    pub fn authorise(mut self, authorise: impl Authorise) -> Self {
        self.authorise = Arc::new(authorise);
        self
    }

    /// Tells this of every change, before whoever made it learns of it.
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.observers.push(Arc::new(observer));
        self
    }

    /// Takes the time from another clock than the machine's.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Where nothing was heard of the storage for so long, nobody is let in; [`MAX_STALENESS`] if not set.
    pub const fn max_staleness(mut self, max: Duration) -> Self {
        self.max_staleness = max;
        self
    }

    /// Reads everything into memory.
    ///
    /// # Errors
    /// [`OpenDirectoryError`] when the storage does not answer or holds what this version cannot read.
    pub async fn open(self) -> Result<Directory, OpenDirectoryError> {
        let now = self.clock.now().millis();
        let directory = Directory(Arc::new(Inner {
            records: self.records,
            recorder: self.recorder,
            clock: self.clock,
            check: self.check,
            authorise: self.authorise,
            observers: RwLock::new(self.observers),
            offboarding: OnceLock::new(),
            taking_up: tokio::sync::Mutex::default(),
            tenants: RwLock::default(),
            max_staleness: self.max_staleness,
            confirmed_at: AtomicI64::new(now),
            changes: TaskTracker::new(),
            stop: CancellationToken::new(),
        }));
        directory.load_all().await?;
        directory
            .0
            .confirmed_at
            .store(directory.0.clock.now().millis().min(now), Ordering::Relaxed);
        Ok(directory)
    }
}

impl Directory {
    /// Over these records; changes are recorded here.
    pub fn builder(records: impl Records, recorder: impl Recorder) -> DirectoryBuilder {
        DirectoryBuilder {
            records: Arc::new(records),
            recorder: Arc::new(recorder),
            clock: Arc::new(SystemClock),
            check: Arc::new(EverythingFits),
            authorise: Arc::new(OperatorsOnly),
            observers: Vec::new(),
            max_staleness: MAX_STALENESS,
        }
    }

    /// Tells this of every change from now on, before whoever made it learns of it.
    pub fn observe(&self, observer: impl Observer) {
        let mut observers = crate::lock::write(&self.0.observers);
        observers.push(Arc::new(observer));
    }

    /// Waits for changes that began, and ends the tasks that it was given.
    pub async fn close(&self) {
        self.0.stop.cancel();
        self.0.changes.close();
        self.0.changes.wait().await;
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    pub(crate) fn cell(&self, tenant: &TenantId) -> Option<Arc<Cell>> {
        crate::lock::read(&self.0.tenants).get(tenant).cloned()
    }

    pub(crate) fn with<T>(&self, tenant: &TenantId, of: impl FnOnce(&State) -> T) -> Option<T> {
        let cell = self.cell(tenant)?;
        let state = crate::lock::read(&cell.state);
        Some(of(&state))
    }
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Directory").finish_non_exhaustive()
    }
}

impl fmt::Debug for DirectoryBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DirectoryBuilder").finish_non_exhaustive()
    }
}
