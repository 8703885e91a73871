//! Which children there are, and for whom.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use gatewright_core::{ServerName, TenantId};
use tokio::time::{Instant, timeout};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

use super::{
    backoff::Backoff,
    child::{self, Ended, Kept},
    errors::Source,
    link::{Audience, Link},
    place::{Origin, Place, SessionKey},
    process,
    seats::Seats,
    session::Session,
    slot::{Slot, Start},
};
use crate::failure::Failure;

/// All child processes of an `Upstream`. They are ended when it is dropped.
pub(crate) struct Children {
    shared: Arc<Shared>,
    _ends: DropGuard,
}

struct Shared {
    state: Mutex<State>,
    seats: Seats,
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
    failures: Backoff<Origin>,
    closed: bool,
}

/// A slot that somebody has an eye on. Where nobody has, and no child came of it, it goes.
pub(crate) struct Claim {
    shared: Arc<Shared>,
    place: Place,
    slot: Arc<Slot>,
}

impl Children {
    /// At most `most` at a time; what outlives a call runs on `tasks`.
    pub(crate) fn new(tasks: TaskTracker, most: usize) -> Self {
        let stop = CancellationToken::new();
        Self {
            _ends: stop.clone().drop_guard(),
            shared: Arc::new(Shared {
                state: Mutex::default(),
                seats: Seats::new(most),
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
        let ended = timeout(patience, self.shared.keepers.wait()).await;
        self.shared.stop.cancel();
        if ended.is_err() {
            self.shared.keepers.wait().await;
        }
    }

    /// Children of this credential take no calls any more, and end with those that they have.
    pub(crate) fn forget(&self, tenant: &TenantId, server: &ServerName, owner: &str) {
        let mut forgotten = Vec::new();
        self.shared.state().slots.retain(|place, slot| {
            let has_it = place.tenant == *tenant && place.server == *server && place.owner == owner;
            if has_it {
                forgotten.push(Arc::clone(slot));
            }
            !has_it
        });
        for slot in forgotten {
            slot.retire();
        }
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
            let claim = self.claim(start)?;
            let slot = &claim.slot;
            let begun = slot.cell.get_or_try_init(|| async {
                let (link, ends) = self.start(start)?;
                greet(Arc::clone(&link)).await?;
                // From here on the slot keeps it.
                ends.disarm();
                Ok(link)
            });
            let begun = timeout(start.target.timeouts().first_byte, begun).await;
            slot.settle();
            let begun = begun.unwrap_or(Err(Failure::Timeout));
            let link = begun.inspect_err(|failure| self.ungreeted(start, failure))?;
            if slot.is_gone() {
                link.retire();
            } else if link.is_over() {
                self.shared.vacate(start.place, slot);
            } else {
                return Ok(Arc::clone(link));
            }
        }
        Err(Failure::Ending)
    }

    /// Has an eye on the slot of a place, for this credential and program.
    pub(crate) fn claim(&self, start: &Start<'_>) -> Result<Claim, Failure> {
        let mut state = self.shared.state();
        if state.closed {
            return Err(Failure::Ending);
        }
        let here = state.slots.get(start.place).cloned();
        let slot = match here {
            Some(slot) if slot.suits(start) => slot,
            before => {
                let slot = Arc::new(Slot::new(start, before));
                state.slots.insert(start.place.clone(), Arc::clone(&slot));
                slot
            }
        };
        Ok(Claim {
            shared: Arc::clone(&self.shared),
            place: start.place.clone(),
            slot,
        })
    }

    /// A new child, which is ended unless the guard is disarmed.
    pub(crate) fn start(&self, start: &Start<'_>) -> Result<(Arc<Link>, DropGuard), Failure> {
        let shared = &self.shared;
        let origin = start.place.origin(&start.auth.key());
        shared.may_start(start, &origin)?;
        let seat = shared.seats.take(start)?;
        let Place { tenant, server, .. } = start.place;
        let (process, streams) =
            process::start(start.program, start.auth.environment()).map_err(|error| {
                let program = start.program.command().display();
                tracing::warn!(%tenant, %server, %program, %error, "a child cannot be started");
                shared.failed(origin.clone(), Duration::ZERO);
                Failure::Start
            })?;
        let (link, queue) = Link::new(
            shared.stop.child_token(),
            shared.tasks.clone(),
            start.target.max_response(),
            start.program.children().calls,
        );
        let ends = link.stopped().clone().drop_guard();
        let credential = start.auth.label();
        tracing::debug!(%tenant, %server, process = process.id(), credential, "a child is started");
        let kept = Kept {
            source: Source {
                tenant: tenant.to_string(),
                server: server.to_string(),
                process: process.id(),
            },
            process,
            streams,
            link: Arc::clone(&link),
            queue,
            credential: start.auth.environment().map(|(_, secret)| secret.clone()),
            idle: start.program.idle(),
            grace: start.program.grace(),
        };
        let (place, ours, it) = (start.place.clone(), Arc::clone(shared), Arc::clone(&link));
        shared.keepers.spawn(async move {
            child::keep(kept, |ended| ours.ended(&place, origin, &it, ended)).await;
            drop(seat);
        });
        Ok((link, ends))
    }

    /// A child was ended because it did not do its part of the greeting. That it speaks another era is no failure.
    pub(crate) fn ungreeted(&self, start: &Start<'_>, failure: &Failure) {
        if matches!(failure, Failure::Protocol(_) | Failure::Timeout) {
            self.shared
                .failed(start.place.origin(&start.auth.key()), Duration::ZERO);
        }
    }

    /// A session has been opened at `link`.
    pub(crate) fn open(
        &self,
        claim: &Claim,
        session: &Arc<Session>,
        link: &Arc<Link>,
    ) -> Result<(), Failure> {
        let mut state = self.shared.state();
        let key = claim.place.session().ok_or(Failure::NoSession)?;
        if state.closed || link.is_over() || claim.slot.cell.set(Arc::clone(link)).is_err() {
            return Err(Failure::Ending);
        }
        state.sessions.insert(key, Arc::clone(session));
        Ok(())
    }

    /// A session of a principal.
    pub(crate) fn session(&self, key: &SessionKey) -> Option<Arc<Session>> {
        self.shared.state().sessions.get(key).cloned()
    }

    /// Ends a session and its children, now.
    pub(crate) fn end_session(&self, key: &SessionKey) {
        self.shared.end_session(key);
    }
}

impl Shared {
    /// Nobody finds this slot any more.
    fn vacate(&self, place: &Place, slot: &Arc<Slot>) {
        let mut state = self.state();
        let here = state.slots.get(place);
        if here.is_some_and(|here| Arc::ptr_eq(here, slot)) {
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
        if start.place.scope.principal().is_none() {
            return Ok(());
        }
        let others: Vec<(Place, Arc<Slot>)> = state
            .slots
            .iter()
            .filter(|(place, _)| *place != start.place && place.is_beside(start.place))
            .map(|(place, slot)| (place.clone(), Arc::clone(slot)))
            .collect();
        if others.len() < start.program.children().per_principal {
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

    fn failed(&self, origin: Origin, lived: Duration) {
        self.state().failures.failed(origin, lived, Instant::now());
    }

    /// A child has ended, or is about to: nobody finds it any more.
    fn ended(&self, place: &Place, origin: Origin, link: &Arc<Link>, ended: Ended) {
        if ended.failed {
            self.failed(origin, ended.lived);
        }
        let mut state = self.state();
        let here = state.slots.get(place).and_then(|slot| slot.cell.get());
        if here.is_some_and(|here| Arc::ptr_eq(here, link)) {
            state.slots.remove(place);
        }
        drop(state);
        let Some(Audience::Session(session)) = link.known().map(|known| &known.audience) else {
            return;
        };
        let session = session.upgrade();
        let over = session.is_some_and(|session| session.detach(ended.by_itself));
        if over && let Some(key) = place.session() {
            self.end_session(&key);
        }
    }

    fn end_session(&self, key: &SessionKey) {
        let (session, slots) = {
            let mut state = self.state();
            let mut slots = Vec::new();
            state.slots.retain(|place, slot| {
                let belongs = place.session().as_ref() == Some(key);
                if belongs {
                    slots.push(Arc::clone(slot));
                }
                !belongs
            });
            (state.sessions.remove(key), slots)
        };
        for slot in slots {
            slot.stop();
        }
        if let Some(session) = session {
            session.end();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        let here = state.slots.get(&self.place);
        // The map and this claim: claims are made under the same lock.
        let forsaken = self.slot.cell.get().is_none() && Arc::strong_count(&self.slot) <= 2;
        if forsaken && here.is_some_and(|here| Arc::ptr_eq(here, &self.slot)) {
            state.slots.remove(&self.place);
            drop(state);
            self.slot.settle();
        }
    }
}

impl fmt::Debug for Children {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Children")
            .field("running", &self.shared.seats.taken())
            .finish_non_exhaustive()
    }
}
