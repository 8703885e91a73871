//! Which children there are, for whom, and how many.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use gatewright_core::{ServerName, TenantId, UpstreamAuth};
use gatewright_wire::{Era, Version};
use tokio::{sync::OnceCell, time::Instant};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

use super::{
    backoff::Backoff,
    child::{self, Ended, Kept},
    errors::Source,
    link::{Audience, Link},
    process,
    session::Session,
};
use crate::{failure::Failure, program::Program, target::Target};

/// Who shares a child.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Scope {
    /// Every caller of the credential who speaks this revision.
    Callers(Version),
    /// One principal, in the modern era.
    Principal(String),
    /// One client session of a principal.
    Session { principal: String, id: String },
}

impl Scope {
    fn principal(&self) -> Option<&str> {
        match self {
            Self::Callers(_) => None,
            Self::Principal(principal) | Self::Session { principal, .. } => Some(principal),
        }
    }
}

/// What a child is for (invariant 6): no other tenant, server, owner of a credential, principal or session reaches it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    pub(crate) tenant: TenantId,
    pub(crate) server: ServerName,
    pub(crate) owner: String,
    pub(crate) scope: Scope,
}

/// A client session, by who may use it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SessionKey {
    pub(crate) tenant: TenantId,
    pub(crate) server: ServerName,
    pub(crate) principal: String,
    pub(crate) id: String,
}

/// How a child is started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Start<'a> {
    pub(crate) place: &'a Place,
    pub(crate) target: &'a Target,
    pub(crate) program: &'a Program,
    pub(crate) auth: &'a UpstreamAuth,
}

/// A child, or one that is being started, at a place. Another credential or another program takes the place over.
pub(crate) struct Slot {
    credential: String,
    program: Program,
    cell: OnceCell<Arc<Link>>,
    /// What had the place before: it ends with its calls, once this one has been started or could not be.
    before: Mutex<Option<Arc<Self>>>,
    /// Another has its place.
    gone: AtomicBool,
}

/// Children that fail together: those of one credential and principal.
type Origin = (TenantId, ServerName, String, Option<String>);

/// All child processes of an `Upstream`. They are ended when it is dropped.
pub(crate) struct Children {
    shared: Arc<Shared>,
    _ends: DropGuard,
}

pub(super) struct Shared {
    state: Mutex<State>,
    most: usize,
    stop: CancellationToken,
    /// The tasks that keep children.
    keepers: TaskTracker,
    /// What outlives a call.
    tasks: TaskTracker,
}

#[derive(Default)]
struct State {
    slots: HashMap<Place, Arc<Slot>>,
    sessions: HashMap<SessionKey, Arc<Session>>,
    running: usize,
    running_at: HashMap<(TenantId, ServerName), usize>,
    failures: Backoff<Origin>,
    closed: bool,
}

/// A process that runs, or is being started.
struct Seat {
    shared: Arc<Shared>,
    at: (TenantId, ServerName),
}

impl Children {
    /// At most `most` at a time; what outlives a call runs on `tasks`.
    pub(crate) fn new(tasks: TaskTracker, most: usize) -> Self {
        let stop = CancellationToken::new();
        Self {
            _ends: stop.clone().drop_guard(),
            shared: Arc::new(Shared {
                state: Mutex::default(),
                most,
                stop,
                keepers: TaskTracker::new(),
                tasks,
            }),
        }
    }

    /// Takes no more calls, gives those under way `patience`, and ends all children.
    pub(crate) async fn close(&self, patience: Duration) {
        let slots: Vec<Arc<Slot>> = {
            let mut state = self.shared.state();
            state.closed = true;
            state.slots.drain().map(|(_, slot)| slot).collect()
        };
        for slot in slots {
            slot.retire();
        }
        self.shared.keepers.close();
        if tokio::time::timeout(patience, self.shared.keepers.wait())
            .await
            .is_err()
        {
            self.shared.stop.cancel();
            self.shared.keepers.wait().await;
        }
        self.shared.stop.cancel();
    }

    /// The child at a place, started and greeted if there is none.
    pub(crate) async fn at<F>(
        &self,
        start: &Start<'_>,
        greet: impl Fn(Arc<Link>) -> F,
    ) -> Result<Arc<Link>, Failure>
    where
        F: Future<Output = Result<(), Failure>>,
    {
        // A child may end between being found and being asked; the next one is new.
        for _ in 0..2 {
            let slot = self.shared.slot(start)?;
            let begun = slot.cell.get_or_try_init(|| async {
                let (link, ends) = self.start(start)?;
                greet(Arc::clone(&link)).await?;
                // From here on the slot keeps it.
                ends.disarm();
                Ok(link)
            });
            let begun = begun.await.map(Arc::clone);
            slot.settle();
            match begun {
                Ok(link) if slot.gone.load(Ordering::SeqCst) => link.retire(),
                Ok(link) if link.is_over() => self.shared.vacate(start.place, &slot),
                Ok(link) => return Ok(link),
                Err(failure) => {
                    self.shared.vacate(start.place, &slot);
                    return Err(failure);
                }
            }
        }
        Err(Failure::Ending)
    }

    /// A child for a new session, which is ended unless the guard is disarmed.
    pub(crate) fn start(&self, start: &Start<'_>) -> Result<(Arc<Link>, DropGuard), Failure> {
        let shared = &self.shared;
        let origin = start.place.origin(&start.auth.key());
        shared.may_start(start, &origin)?;
        let seat = Seat::take(shared, start)?;
        let (process, streams) =
            process::start(start.program, start.auth.environment()).map_err(|error| {
                let Place { tenant, server, .. } = start.place;
                tracing::warn!(%tenant, %server, program = ?start.program.command(), %error, "a child cannot be started");
                shared.state().failures.failed(origin.clone(), Duration::ZERO, Instant::now());
                Failure::Start
            })?;
        let (link, queue) = Link::new(
            shared.stop.child_token(),
            shared.tasks.clone(),
            start.target.max_response(),
            start.program.children().calls,
        );
        let source = Source {
            tenant: start.place.tenant.to_string(),
            server: start.place.server.to_string(),
            process: process.id(),
        };
        tracing::debug!(
            tenant = source.tenant,
            server = source.server,
            process = source.process,
            credential = start.auth.label(),
            "a child is started"
        );
        let kept = Kept {
            process,
            streams,
            link: Arc::clone(&link),
            queue,
            source,
            credential: start.auth.environment().map(|(_, secret)| secret.clone()),
            idle: start.program.idle(),
            grace: start.program.grace(),
        };
        let (place, kept_link) = (start.place.clone(), Arc::clone(&link));
        shared.keepers.spawn(async move {
            let shared = Arc::clone(&seat.shared);
            child::keep(kept, |ended| {
                shared.ended(&place, origin, &kept_link, ended);
            })
            .await;
            drop(seat);
        });
        let ends = link.stopped().clone().drop_guard();
        Ok((link, ends))
    }

    /// Registers a session that has been opened at `link`.
    pub(crate) fn open(
        &self,
        start: &Start<'_>,
        key: SessionKey,
        session: &Arc<Session>,
        link: &Arc<Link>,
    ) -> Result<(), Failure> {
        let mut state = self.shared.state();
        if state.closed || link.is_over() {
            return Err(Failure::Ending);
        }
        let slot = Slot::new(start);
        if slot.cell.set(Arc::clone(link)).is_err() {
            return Err(Failure::Ending);
        }
        state.slots.insert(start.place.clone(), Arc::new(slot));
        state.sessions.insert(key, Arc::clone(session));
        Ok(())
    }

    /// A session of a principal.
    pub(crate) fn session(&self, key: &SessionKey) -> Option<Arc<Session>> {
        self.shared.state().sessions.get(key).cloned()
    }

    /// Ends a session and its children, now. Says whether there was one.
    pub(crate) fn end_session(&self, key: &SessionKey) -> bool {
        self.shared.end_session(key)
    }
}

impl Shared {
    /// The slot of a place, for this credential and program.
    fn slot(&self, start: &Start<'_>) -> Result<Arc<Slot>, Failure> {
        let mut state = self.state();
        if state.closed {
            return Err(Failure::Ending);
        }
        let credential = start.auth.key();
        let before = state.slots.get(start.place);
        if let Some(slot) = before
            && slot.credential == credential
            && slot.program == *start.program
        {
            return Ok(Arc::clone(slot));
        }
        let slot = Slot::new(start);
        *slot.before() = before.cloned();
        let slot = Arc::new(slot);
        state.slots.insert(start.place.clone(), Arc::clone(&slot));
        Ok(slot)
    }

    /// Nobody finds this slot any more.
    fn vacate(&self, place: &Place, slot: &Arc<Slot>) {
        let mut state = self.state();
        if state
            .slots
            .get(place)
            .is_some_and(|found| Arc::ptr_eq(found, slot))
        {
            state.slots.remove(place);
        }
    }

    /// Whether the last failures leave room for another start, and the principal's other children do.
    fn may_start(&self, start: &Start<'_>, origin: &Origin) -> Result<(), Failure> {
        let mut state = self.state();
        if state.closed {
            return Err(Failure::Ending);
        }
        if let Some(retry) = state.failures.wait(origin, Instant::now()) {
            return Err(Failure::Crashing { retry });
        }
        let Some(principal) = start.place.scope.principal() else {
            return Ok(());
        };
        let most = start.program.children().per_principal;
        let others: Vec<(Place, Arc<Slot>)> = state
            .slots
            .iter()
            .filter(|(place, _)| {
                *place != start.place
                    && place.tenant == start.place.tenant
                    && place.server == start.place.server
                    && place.scope.principal() == Some(principal)
            })
            .map(|(place, slot)| (place.clone(), Arc::clone(slot)))
            .collect();
        if others.len() < most {
            return Ok(());
        }
        // Clients forget to end their sessions: the one that was idle longest gives way.
        let idle = others
            .into_iter()
            .filter_map(|(place, slot)| Some((slot.idle_since()?, place, slot)))
            .min_by_key(|(since, ..)| *since);
        let Some((_, place, slot)) = idle else {
            return Err(Failure::Busy(
                "the caller has all the processes there that it may have",
            ));
        };
        state.slots.remove(&place);
        drop(state);
        slot.stop();
        Ok(())
    }

    /// A child has ended, or is about to: nobody finds it any more.
    fn ended(&self, place: &Place, origin: Origin, link: &Arc<Link>, ended: Ended) {
        let mut state = self.state();
        if ended.failed {
            state.failures.failed(origin, ended.lived, Instant::now());
        }
        let here = state.slots.get(place).and_then(|slot| slot.cell.get());
        if here.is_some_and(|here| Arc::ptr_eq(here, link)) {
            state.slots.remove(place);
        }
        drop(state);
        let Some(Audience::Session(session)) = link.known().map(|known| &known.audience) else {
            return;
        };
        let over = session
            .upgrade()
            .is_some_and(|session| session.detach(ended.by_itself));
        if over && let Some(key) = place.session() {
            self.end_session(&key);
        }
    }

    fn end_session(&self, key: &SessionKey) -> bool {
        let (session, slots) = {
            let mut state = self.state();
            let session = state.sessions.remove(key);
            let places: Vec<Place> = state
                .slots
                .keys()
                .filter(|place| place.session().as_ref() == Some(key))
                .cloned()
                .collect();
            let slots: Vec<Arc<Slot>> = places
                .iter()
                .filter_map(|place| state.slots.remove(place))
                .collect();
            (session, slots)
        };
        for slot in slots {
            slot.stop();
        }
        session.inspect(|session| session.end()).is_some()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    fn origin(&self, credential: &str) -> Origin {
        (
            self.tenant.clone(),
            self.server.clone(),
            credential.to_owned(),
            self.scope.principal().map(str::to_owned),
        )
    }

    fn session(&self) -> Option<SessionKey> {
        let Scope::Session { principal, id } = &self.scope else {
            return None;
        };
        Some(SessionKey {
            tenant: self.tenant.clone(),
            server: self.server.clone(),
            principal: principal.clone(),
            id: id.clone(),
        })
    }
}

impl Slot {
    fn new(start: &Start<'_>) -> Self {
        Self {
            credential: start.auth.key(),
            program: start.program.clone(),
            cell: OnceCell::new(),
            before: Mutex::default(),
            gone: AtomicBool::new(false),
        }
    }

    /// Whatever had the place before goes.
    fn settle(&self) {
        if let Some(before) = self.before().take() {
            before.retire();
        }
    }

    fn retire(&self) {
        self.gone.store(true, Ordering::SeqCst);
        self.settle();
        if let Some(link) = self.cell.get() {
            link.retire();
        }
    }

    fn stop(&self) {
        self.gone.store(true, Ordering::SeqCst);
        self.settle();
        if let Some(link) = self.cell.get() {
            link.stop();
        }
    }

    /// Since when nothing has been under way; `None` while something is, or it is being started.
    fn idle_since(&self) -> Option<Instant> {
        self.cell.get()?.idle_since()
    }

    fn before(&self) -> MutexGuard<'_, Option<Arc<Self>>> {
        self.before.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    fn take(shared: &Arc<Shared>, start: &Start<'_>) -> Result<Self, Failure> {
        let at = (start.place.tenant.clone(), start.place.server.clone());
        let mut state = shared.state();
        if state.running >= shared.most {
            return Err(Failure::Busy(
                "the gateway has all the processes that it may have",
            ));
        }
        let here = state.running_at.entry(at.clone()).or_default();
        if *here >= start.program.children().per_server {
            return Err(Failure::Busy("it has all the processes that it may have"));
        }
        *here += 1;
        state.running += 1;
        drop(state);
        Ok(Self {
            shared: Arc::clone(shared),
            at,
        })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.running -= 1;
        if let Some(here) = state.running_at.get_mut(&self.at) {
            *here -= 1;
            if *here == 0 {
                state.running_at.remove(&self.at);
            }
        }
    }
}

impl fmt::Debug for Children {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Children")
            .field("running", &self.shared.state().running)
            .finish_non_exhaustive()
    }
}

/// The revision that callers who share a child speak.
pub(crate) const fn revision(era: Era, named: Option<Version>) -> Version {
    match (era, named) {
        (_, Some(version)) => version,
        (Era::Modern, None) => Version::V2026_07_28,
        // What a request without the header speaks (2025-11-25, Protocol Version Header).
        (Era::Legacy, None) => Version::V2025_03_26,
    }
}
