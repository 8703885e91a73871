//! One running child: many calls over one pair of streams.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak},
    time::Duration,
};

use bytes::Bytes;
use gatewright_wire::{Envelope, Era, Id, Limits, Splice};
use tokio::{
    runtime::Handle,
    sync::mpsc,
    time::{Instant, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{exchange::Exchange, frame, mailbox::Mailbox, session::Session};
use crate::failure::Failure;

/// The most lines that wait for a child to read them.
const QUEUE: usize = 4;
/// The most bytes of messages that wait for one caller to read them.
const UNREAD: usize = 4 * 1024 * 1024;
/// How long a cancellation waits for that.
const PATIENCE: Duration = Duration::from_secs(5);

/// Who may be told what a child says without being asked.
#[derive(Debug)]
pub(crate) enum Audience {
    /// One principal, in the modern era.
    Caller,
    /// Whoever has the credential: nothing can be told to one of them.
    Callers,
    /// One client session.
    Session(Weak<Session>),
}

/// What a child turned out to be.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) era: Era,
    pub(crate) audience: Audience,
    /// What it said of itself, a JSON object; only where the gateway asked.
    pub(crate) greeting: Option<String>,
}

/// A child's streams as its callers see them.
pub(crate) struct Link {
    pub(super) known: OnceLock<Known>,
    pub(super) limits: Limits,
    lines: mpsc::Sender<Bytes>,
    state: Mutex<State>,
    most_calls: usize,
    stop: CancellationToken,
    tasks: TaskTracker,
    // An answer may be dropped anywhere, also where no runtime is entered.
    runtime: Handle,
}

pub(super) struct State {
    next: i64,
    /// Calls under way, by the id that the child knows them by.
    pub(super) calls: BTreeMap<i64, Pending>,
    over: Option<Failure>,
    /// No longer for new calls: it ends with those that it has.
    retired: bool,
    used: Instant,
    heard: Instant,
}

/// A call under way.
pub(super) struct Pending {
    pub(super) id: Id,
    pub(super) token: Option<Id>,
    pub(super) caller: Option<Arc<str>>,
    pub(super) standing: bool,
    pub(super) mailbox: Mailbox,
}

/// A request on its way to a child.
#[derive(Clone, Copy)]
pub(crate) struct Question<'a> {
    pub(crate) envelope: &'a Envelope,
    pub(crate) bytes: &'a [u8],
    /// Who may cancel it by name; `None` for the gateway's own.
    pub(crate) caller: Option<&'a Arc<str>>,
    /// It stays open for later messages.
    pub(crate) standing: bool,
}

impl Link {
    /// With the queue of lines that a writer takes to the child.
    pub(crate) fn new(
        stop: CancellationToken,
        tasks: TaskTracker,
        max_message: usize,
        most_calls: usize,
    ) -> (Arc<Self>, mpsc::Receiver<Bytes>) {
        let (lines, queue) = mpsc::channel(QUEUE);
        let now = Instant::now();
        let link = Self {
            known: OnceLock::new(),
            limits: Limits {
                max_bytes: max_message,
                max_depth: Limits::DEEPEST,
            },
            lines,
            state: Mutex::new(State {
                next: 1,
                calls: BTreeMap::new(),
                over: None,
                retired: false,
                used: now,
                heard: now,
            }),
            most_calls,
            stop,
            tasks,
            runtime: Handle::current(),
        };
        (Arc::new(link), queue)
    }

    /// What it turned out to be; `None` until it has been greeted.
    pub(crate) fn known(&self) -> Option<&Known> {
        self.known.get()
    }

    /// Notes what it turned out to be; once.
    pub(crate) fn is_known_as(&self, known: Known) {
        if self.known.set(known).is_err() {
            tracing::error!("a child was greeted twice");
        }
    }

    /// Sends a request under an id of its own, and its progress under a token of its own.
    ///
    /// # Errors
    /// [`Failure`] when the child takes no more, or has ended.
    pub(crate) async fn begin(
        self: &Arc<Self>,
        question: Question<'_>,
    ) -> Result<Exchange, Failure> {
        let mut exchange = self.register(question)?;
        let mut splice = Splice::new(question.bytes);
        let wire = Id::number(exchange.wire);
        let spliced = splice.set_id(question.envelope, &wire).and_then(|()| {
            if question.envelope.progress_token().is_some() {
                splice.set_meta(question.envelope, &[("progressToken", wire.as_json())])?;
            }
            splice.build()
        });
        let message = spliced.map_err(|_any| Failure::Protocol("the call has no id"))?;
        self.send(&message).await?;
        exchange.sent = true;
        Ok(exchange)
    }

    fn register(self: &Arc<Self>, question: Question<'_>) -> Result<Exchange, Failure> {
        let mailbox = Mailbox::new(self.limits.max_bytes.min(UNREAD));
        let mut state = self.state();
        if let Some(over) = &state.over {
            return Err(over.clone());
        }
        if state.calls.len() >= self.most_calls {
            return Err(Failure::Busy(
                "its process has all the calls that it may have",
            ));
        }
        let wire = state.next;
        state.next += 1;
        state.used = Instant::now();
        let pending = Pending {
            id: question.envelope.id().cloned().unwrap_or(Id::number(wire)),
            token: question.envelope.progress_token().cloned(),
            caller: question.caller.cloned(),
            standing: question.standing,
            mailbox: mailbox.clone(),
        };
        state.calls.insert(wire, pending);
        Ok(Exchange {
            link: Arc::clone(self),
            wire,
            mailbox,
            begun: state.used,
            sent: false,
            done: false,
            cancellable: question.envelope.method() != Some("initialize"),
        })
    }

    /// Sends one message, and waits while the child reads slowly.
    ///
    /// # Errors
    /// [`Failure::Gone`] when it has ended.
    pub(crate) async fn send(&self, message: &[u8]) -> Result<(), Failure> {
        let sent = self.lines.send(frame::line(message)).await;
        sent.map_err(|_closed| Failure::Gone)
    }

    /// Tells the child that nobody waits for a call any more.
    pub(super) fn cancel(self: &Arc<Self>, wire: i64) {
        let message = format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{wire},"reason":"nobody waits for it"}}}}"#
        );
        let link = Arc::clone(self);
        let sent = async move {
            let sent = timeout(PATIENCE, link.send(message.as_bytes())).await;
            if !matches!(sent, Ok(Ok(()))) {
                tracing::debug!("a cancellation was not taken");
            }
        };
        self.tasks.spawn_on(sent, &self.runtime);
    }

    /// The call that a caller knows by `id`, unless several go by it.
    pub(crate) fn call_of(&self, caller: &Arc<str>, id: &Id) -> Option<i64> {
        let state = self.state();
        let mut calls = state
            .calls
            .iter()
            .filter(|(_, pending)| pending.caller.as_ref() == Some(caller) && pending.id == *id);
        match (calls.next(), calls.next()) {
            (Some((wire, _)), None) => Some(*wire),
            _ => None,
        }
    }

    /// Where the newest call hears what comes before its answer.
    pub(super) fn newest_call(&self) -> Option<Mailbox> {
        let state = self.state();
        let mut calls = state.calls.values().rev().filter(|call| !call.standing);
        calls.next().map(|call| call.mailbox.clone())
    }

    /// Where the only call hears what comes before its answer; nobody, where there are several.
    pub(super) fn only_call(&self) -> Option<Mailbox> {
        let state = self.state();
        let mut calls = state.calls.values().filter(|call| !call.standing);
        match (calls.next(), calls.next()) {
            (Some(call), None) => Some(call.mailbox.clone()),
            _ => None,
        }
    }

    /// Takes a call out: it is answered, or nobody waits for it any more.
    pub(super) fn take(&self, wire: i64) -> Option<Pending> {
        let mut state = self.state();
        let pending = state.calls.remove(&wire);
        state.used = Instant::now();
        if state.retired && state.calls.is_empty() {
            state.over.get_or_insert(Failure::Ending);
            self.stop.cancel();
        }
        pending
    }

    /// Whether a call has ever had this id.
    pub(super) fn has_asked(&self, wire: i64) -> bool {
        (1..self.state().next).contains(&wire)
    }

    /// Takes no more calls, and ends when those that it has are answered. Standing streams end at once.
    pub(crate) fn retire(&self) {
        let mut state = self.state();
        state.retired = true;
        let standing: Vec<i64> = state
            .calls
            .iter()
            .filter(|(_, call)| call.standing)
            .map(|(wire, _)| *wire)
            .collect();
        for wire in standing {
            if let Some(call) = state.calls.remove(&wire) {
                call.mailbox.close();
            }
        }
        if state.calls.is_empty() {
            state.over.get_or_insert(Failure::Ending);
            self.stop.cancel();
        }
    }

    /// Ends it now.
    pub(crate) fn stop(&self) {
        self.state().over.get_or_insert(Failure::Ending);
        self.stop.cancel();
    }

    /// Asks the supervisor to end it.
    pub(crate) const fn stopped(&self) -> &CancellationToken {
        &self.stop
    }

    /// Whether it takes no calls any more.
    pub(crate) fn is_over(&self) -> bool {
        self.state().over.is_some()
    }

    /// Since when nothing has been under way; `None` while something is.
    pub(crate) fn idle_since(&self) -> Option<Instant> {
        let state = self.state();
        state.calls.is_empty().then_some(state.used)
    }

    /// Waits until nothing has been under way for this long. From then on it takes no calls.
    pub(crate) async fn idle(&self, patience: Duration) {
        loop {
            let until = match self.idle_since() {
                Some(since) if !self.is_listened_to() => since + patience,
                _ => Instant::now() + patience,
            };
            tokio::time::sleep_until(until).await;
            let listened_to = self.is_listened_to();
            let mut state = self.state();
            if !listened_to && state.calls.is_empty() && state.used.elapsed() >= patience {
                state.over.get_or_insert(Failure::Ending);
                return;
            }
        }
    }

    fn is_listened_to(&self) -> bool {
        match self.known().map(|known| &known.audience) {
            Some(Audience::Session(session)) => session
                .upgrade()
                .is_some_and(|session| session.is_listened_to()),
            _ => false,
        }
    }

    /// The child has said something.
    pub(super) fn hears(&self) {
        self.state().heard = Instant::now();
    }

    /// When it last said something.
    pub(super) fn heard(&self) -> Instant {
        self.state().heard
    }

    /// It has ended: whoever waits is told why. Says whether anybody did.
    pub(crate) fn end(&self, failure: &Failure) -> bool {
        let calls = {
            let mut state = self.state();
            state.over.get_or_insert_with(|| failure.clone());
            std::mem::take(&mut state.calls)
        };
        for call in calls.values() {
            call.mailbox.fail(failure.clone());
        }
        !calls.is_empty()
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("known", &self.known)
            .finish_non_exhaustive()
    }
}
