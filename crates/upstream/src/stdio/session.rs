//! A client's legacy session at a child of its own.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use bytes::Bytes;
use gatewright_wire::{Envelope, Id, Splice};

use super::{
    link::Link,
    mailbox::{Full, Mailbox},
};

/// The most requests of a child that its client has not answered.
const MOST_ASKED: usize = 64;
/// The most messages that are kept for a stream that is not open, and their bytes.
const MOST_KEPT: usize = 64;
const MOST_KEPT_BYTES: usize = 1024 * 1024;
/// The most bytes of messages that wait for the reader of the standing stream.
const UNREAD: usize = 4 * 1024 * 1024;

/// What the client and its child, or children of several credentials, have between them.
#[derive(Debug)]
pub(crate) struct Session {
    /// The client's `initialize`, for a child of another credential.
    opening: Bytes,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    links: usize,
    over: bool,
    standing: Option<Mailbox>,
    kept: VecDeque<Bytes>,
    kept_bytes: usize,
    /// Requests to the client, by the id that it knows them by.
    asked: HashMap<i64, Asked>,
    next: i64,
}

#[derive(Debug)]
struct Asked {
    link: Weak<Link>,
    id: Id,
}

/// Where a message that belongs to no call is told first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum First {
    /// On the stream of the newest call: requests and log messages mostly come of one.
    Call,
    /// On the standing stream.
    Standing,
}

impl Session {
    /// Opened by this message.
    pub(crate) fn new(opening: Bytes) -> Self {
        Self {
            opening,
            state: Mutex::default(),
        }
    }

    /// The message that opened it.
    pub(crate) const fn opening(&self) -> &Bytes {
        &self.opening
    }

    /// A child belongs to it, unless it is over.
    pub(crate) fn attach(&self) -> bool {
        let mut state = self.state();
        if !state.over {
            state.links += 1;
        }
        !state.over
    }

    /// A child of it has ended. A session ends with a child that ended by itself, whose state is lost, and with its last
    /// one. Says whether it is over.
    pub(crate) fn detach(&self, by_itself: bool) -> bool {
        let mut state = self.state();
        state.links = state.links.saturating_sub(1);
        if by_itself || state.links == 0 {
            state.end();
        }
        state.over
    }

    /// Ends it.
    pub(crate) fn end(&self) {
        self.state().end();
    }

    /// Opens the standing stream; an older one ends, since no message may go to two.
    pub(crate) fn stand(self: &Arc<Self>) -> Standing {
        let mailbox = Mailbox::new(UNREAD);
        let mut state = self.state();
        if state.over {
            mailbox.close();
        } else {
            for message in state.kept.drain(..) {
                if mailbox.offer(message).is_err() {
                    tracing::debug!("a kept message was dropped");
                }
            }
            state.kept_bytes = 0;
            if let Some(older) = state.standing.replace(mailbox.clone()) {
                older.close();
            }
        }
        drop(state);
        Standing {
            session: Arc::clone(self),
            mailbox,
        }
    }

    /// Whether its standing stream is open.
    pub(crate) fn is_listened_to(&self) -> bool {
        self.state().standing.is_some()
    }

    /// A child notifies the client.
    pub(super) fn notify(&self, link: &Link, envelope: &Envelope, line: &Bytes) {
        let first = match envelope.method() {
            Some("notifications/message") => First::Call,
            _ => First::Standing,
        };
        let mut line = line.clone();
        if envelope.method() == Some("notifications/cancelled") {
            // It takes back a request, which the client knows by another id.
            let Some(cancelled) = self.cancelled(link, envelope, &line) else {
                return;
            };
            line = cancelled;
        }
        if self.tell(link, line, first).is_err() {
            tracing::debug!("a notification was dropped: its client reads too slowly");
        }
    }

    /// A child asks the client: under an id of ours, since children of several credentials know nothing of each other.
    ///
    /// # Errors
    /// [`Full`] when too much is under way already.
    pub(super) fn ask(
        &self,
        link: &Arc<Link>,
        envelope: &Envelope,
        line: &Bytes,
    ) -> Result<(), Full> {
        let ours = {
            let mut state = self.state();
            if state.over || state.asked.len() >= MOST_ASKED {
                return Err(Full);
            }
            state.next += 1;
            let ours = state.next;
            let asked = Asked {
                link: Arc::downgrade(link),
                id: envelope.id().cloned().ok_or(Full)?,
            };
            state.asked.insert(ours, asked);
            ours
        };
        let mut splice = Splice::new(line);
        let message = splice
            .set_id(envelope, &Id::number(ours))
            .and_then(|()| splice.build());
        let told = message
            .map_err(|_any| Full)
            .and_then(|message| self.tell(link, message, First::Call));
        if told.is_err() {
            self.state().asked.remove(&ours);
        }
        told
    }

    /// The client answers a child: who it is, and the message as that child knows it. `None` for answers to what nobody
    /// asked, or not any more.
    pub(crate) fn answer(&self, envelope: &Envelope, message: &[u8]) -> Option<(Arc<Link>, Bytes)> {
        let ours: i64 = envelope.id()?.as_json().parse().ok()?;
        let asked = self.state().asked.remove(&ours)?;
        let link = asked.link.upgrade()?;
        let mut splice = Splice::new(message);
        splice.set_id(envelope, &asked.id).ok()?;
        Some((link, splice.build().ok()?))
    }

    fn cancelled(&self, link: &Link, envelope: &Envelope, line: &Bytes) -> Option<Bytes> {
        let (theirs, range) = (envelope.refers_to()?, envelope.refers_to_range()?);
        let ours = {
            let mut state = self.state();
            let found = state
                .asked
                .iter()
                .find(|(_, asked)| asked.id == *theirs && std::ptr::eq(asked.link.as_ptr(), link));
            let ours = *found?.0;
            state.asked.remove(&ours);
            ours
        };
        let mut splice = Splice::new(line);
        splice.replace(range, ours.to_string());
        splice.build().ok()
    }

    fn tell(&self, link: &Link, message: Bytes, first: First) -> Result<(), Full> {
        let call = link.newest_call();
        let mut state = self.state();
        if state.over {
            return Err(Full);
        }
        let standing = state.standing.clone();
        let streams = match first {
            First::Call => [call, standing],
            First::Standing => [standing, call],
        };
        if let Some(stream) = streams.into_iter().flatten().next() {
            return stream.offer(message);
        }
        state.kept_bytes += message.len();
        state.kept.push_back(message);
        while state.kept.len() > MOST_KEPT || state.kept_bytes > MOST_KEPT_BYTES {
            let Some(dropped) = state.kept.pop_front() else {
                break;
            };
            state.kept_bytes -= dropped.len();
        }
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn end(&mut self) {
        self.over = true;
        self.asked.clear();
        self.kept.clear();
        if let Some(standing) = self.standing.take() {
            standing.close();
        }
    }
}

/// The open standing stream of a session.
#[derive(Debug)]
pub(crate) struct Standing {
    session: Arc<Session>,
    pub(crate) mailbox: Mailbox,
}

impl Drop for Standing {
    fn drop(&mut self) {
        let mut state = self.session.state();
        if state
            .standing
            .as_ref()
            .is_some_and(|open| open.is(&self.mailbox))
        {
            state.standing = None;
        }
    }
}
