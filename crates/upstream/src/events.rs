//! An event stream from a server, held to the protocol event by event and passed byte for byte.

use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use gatewright_core::{BoxError, CallKind, Draft};
use gatewright_wire::{
    Envelope, Era, Id, Kind, Limits, Peer,
    headers::LAST_EVENT_ID,
    sse::{Event, Scanner},
};
use http_body::{Body, Frame};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

use crate::{cancel::CancelOnDrop, failure::Failure, relay::Exchange};

/// A comment, which keeps a connection alive and says nothing.
const STILL_HERE: &[u8] = b":\n\n";

/// What may come on a stream.
struct Expected {
    /// The request that it answers; none on the standing stream of a legacy session.
    id: Option<Id>,
    era: Era,
    /// Answers to other requests may come: this stream takes up others where they broke off.
    resumed: bool,
    /// It may stay open, and silent, for ever.
    standing: bool,
    limits: Limits,
}

/// The body that the client gets.
pub(crate) struct Events {
    server: Option<Incoming>,
    scanner: Scanner,
    ready: VecDeque<Bytes>,
    expected: Expected,
    answered: bool,
    /// The server gave event ids, so that a client can take the stream up again after its end.
    resumable: bool,
    /// When the next piece must be there.
    idle: Pin<Box<Sleep>>,
    patience: Duration,
    deadline: Instant,
    cancel: CancelOnDrop,
    draft: Option<Draft>,
}

impl Events {
    pub(crate) fn new(server: Incoming, exchange: &Exchange<'_>, cancel: CancelOnDrop) -> Self {
        let (target, call) = (exchange.target, exchange.call);
        let patience = target.timeouts().idle;
        let next = (Instant::now() + patience).min(exchange.deadline);
        Self {
            server: Some(server),
            scanner: Scanner::new(target.max_response()),
            ready: VecDeque::new(),
            expected: Expected {
                id: call.id().cloned(),
                era: call.era(),
                resumed: call.kind() == CallKind::Stream
                    && exchange.sent.contains_key(&LAST_EVENT_ID),
                standing: call.is_standing(),
                limits: Limits {
                    max_bytes: target.max_response(),
                    max_depth: Limits::DEEPEST,
                },
            },
            answered: false,
            resumable: false,
            idle: Box::pin(tokio::time::sleep_until(next)),
            patience,
            deadline: exchange.deadline,
            cancel,
            draft: exchange.draft.cloned(),
        }
    }

    /// Takes one event in, and says what is wrong with it.
    fn take(&mut self, event: Event) -> Result<(), Failure> {
        // An empty id takes back what was said before.
        if let Some(id) = event.id() {
            self.resumable = self.expected.era == Era::Legacy && !id.is_empty();
        }
        let event = match event.data().filter(|data| !data.is_empty()) {
            // Of another type than `message`: no part of the protocol.
            Some(_) if event.event_type().is_some_and(|name| name != "message") => {
                Bytes::from_static(STILL_HERE)
            }
            Some(data) => {
                self.check(&data)?;
                event.into_raw()
            }
            None => event.into_raw(),
        };
        self.ready.push_back(event);
        Ok(())
    }

    fn check(&mut self, data: &[u8]) -> Result<(), Failure> {
        let envelope = Envelope::parse(data, Peer::Server, &self.expected.limits)
            .map_err(|_any| Failure::Protocol("an event is not a message"))?;
        match envelope.kind() {
            Kind::Notification => Ok(()),
            Kind::Request if self.expected.era == Era::Legacy => Ok(()),
            Kind::Request => Err(Failure::Protocol("servers of 2026-07-28 send no requests")),
            Kind::Response | Kind::ErrorResponse if self.answered => {
                Err(Failure::Protocol("a second answer"))
            }
            Kind::Response | Kind::ErrorResponse => {
                if self.expected.id.is_some() && envelope.id() == self.expected.id.as_ref() {
                    self.answered = true;
                    self.cancel.disarm();
                    Ok(())
                } else if self.expected.resumed {
                    Ok(())
                } else {
                    Err(Failure::Protocol("an answer to a call that was not made"))
                }
            }
        }
    }

    /// Ends the stream; a call that has no answer yet gets this one.
    fn fail(&mut self, failure: &Failure) {
        self.server = None;
        self.cancel.fire();
        if let Some(draft) = &self.draft {
            draft.refuse(failure.refused(), Some(failure.to_string()));
        }
        if let Some(id) = self.expected.id.as_ref().filter(|_| !self.answered) {
            self.answered = true;
            let message = failure.message(id);
            self.ready
                .push_back(Event::message(&String::from_utf8_lossy(&message)));
        }
    }

    /// The stream has ended: in good order, or by this failure if somebody still waits for an answer on it.
    fn end(&mut self, failure: &Failure) {
        self.server = None;
        // What is left is at most the second half of a line ending; a cut-off event is dropped, as clients do.
        if let Some(rest) = self.scanner.finish().filter(|rest| rest.as_ref() == b"\n") {
            self.ready.push_back(rest);
        }
        // Where events have ids, the client can take the stream up again (2025-11-25, Resumability).
        if self.expected.id.is_some() && !self.answered && !self.resumable {
            self.fail(failure);
        }
    }

    fn poll_time(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.expected.standing {
            return Poll::Pending;
        }
        self.idle.as_mut().poll(context)
    }

    /// A piece that arrives moves the idle end, never the total one.
    fn has_come(&mut self) -> Result<(), Failure> {
        let now = Instant::now();
        if now >= self.deadline && !self.expected.standing {
            return Err(Failure::Timeout);
        }
        let next = (now + self.patience).min(self.deadline);
        self.idle.as_mut().reset(next);
        Ok(())
    }

    fn take_all(&mut self, data: Bytes) -> Result<(), Failure> {
        self.has_come()?;
        let pushed = self.scanner.push(data);
        while let Some(event) = self.scanner.next_event() {
            self.take(event)?;
        }
        pushed.map_err(|_any| Failure::Protocol("an event is too large"))
    }
}

/// In the legacy era a client that goes away may come back for the rest (2025-11-25, Resumability); only where it
/// cannot is its leaving the end of the call.
impl Drop for Events {
    fn drop(&mut self) {
        if self.resumable {
            self.cancel.disarm();
        }
    }
}

impl Body for Events {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        loop {
            if let Some(event) = this.ready.pop_front() {
                return Poll::Ready(Some(Ok(Frame::data(event))));
            }
            let Some(server) = this.server.as_mut() else {
                return Poll::Ready(None);
            };
            let frame = match Pin::new(server).poll_frame(context) {
                Poll::Ready(frame) => frame,
                Poll::Pending => {
                    ready!(this.poll_time(context));
                    this.fail(&Failure::Timeout);
                    continue;
                }
            };
            match frame {
                None => this.end(&Failure::Protocol("the stream ended without an answer")),
                Some(Err(_)) => this.end(&Failure::Unreachable),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data()
                        && let Err(failure) = this.take_all(data)
                    {
                        this.fail(&failure);
                    }
                }
            }
        }
    }
}
