//! An event stream from a server, held to the protocol event by event and passed byte for byte.

use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use gatewright_core::{BoxError, Call, CallKind, Draft};
use gatewright_wire::{
    Envelope, Era, Id, Kind, Limits, Peer,
    headers::LAST_EVENT_ID,
    sse::{Event, Scanner},
};
use http::HeaderMap;
use http_body::{Body, Frame};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

use crate::{cancel::CancelOnDrop, failure::Failure, target::Target};

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
    idle: Pin<Box<Sleep>>,
    deadline: Instant,
    target_idle: std::time::Duration,
    cancel: CancelOnDrop,
    draft: Option<Draft>,
}

impl Events {
    pub(crate) fn new(
        server: Incoming,
        target: &Target,
        call: &Call,
        sent: &HeaderMap,
        cancel: CancelOnDrop,
        draft: Option<Draft>,
    ) -> Self {
        let timeouts = target.timeouts();
        let now = Instant::now();
        Self {
            server: Some(server),
            scanner: Scanner::new(target.max_response()),
            ready: VecDeque::new(),
            expected: Expected {
                id: call.id().cloned(),
                era: call.era(),
                resumed: call.kind() == CallKind::Stream && sent.contains_key(&LAST_EVENT_ID),
                standing: call.is_standing(),
                limits: Limits {
                    max_bytes: target.max_response(),
                    max_depth: Limits::DEEPEST,
                },
            },
            answered: false,
            resumable: false,
            idle: Box::pin(tokio::time::sleep(timeouts.idle)),
            deadline: now + timeouts.total,
            target_idle: timeouts.idle,
            cancel,
            draft,
        }
    }

    /// Takes one event in, and says what is wrong with it.
    fn take(&mut self, event: Event) -> Result<(), Failure> {
        if event.id().is_some() {
            self.resumable = true;
            // Who loses this stream can take it up again, so losing it is no sign that the answer is not wanted any more
            // (2025-11-25, Resumability).
            self.cancel.answered();
        }
        if let Some(data) = event.data().filter(|data| !data.is_empty()) {
            self.check(&data)?;
        }
        self.ready.push_back(event.into_raw());
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
                    self.cancel.answered();
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
        self.cancel.answered();
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

    /// The server has ended the stream.
    fn end(&mut self) {
        self.server = None;
        // What is left is at most the second half of a line ending; a cut-off event is dropped, as clients do.
        if let Some(rest) = self.scanner.finish().filter(|rest| rest.as_ref() == b"\n") {
            self.ready.push_back(rest);
        }
        if self.expected.id.is_some()
            && !self.answered
            && !(self.expected.era == Era::Legacy && self.resumable)
        {
            self.fail(&Failure::Protocol("the stream ended without an answer"));
        }
    }

    fn poll_time(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.expected.standing {
            return Poll::Pending;
        }
        self.idle.as_mut().poll(context)
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
                None => this.end(),
                Some(Err(_)) => this.fail(&Failure::Unreachable),
                Some(Ok(frame)) => {
                    let Ok(data) = frame.into_data() else {
                        continue;
                    };
                    // A piece that arrives moves the idle end, never the total one.
                    let next = (Instant::now() + this.target_idle).min(this.deadline);
                    this.idle.as_mut().reset(next);
                    if this.scanner.push(data).is_err() {
                        this.fail(&Failure::Protocol("an event is too large"));
                        continue;
                    }
                    while let Some(event) = this.scanner.next_event() {
                        if let Err(failure) = this.take(event) {
                            this.fail(&failure);
                            break;
                        }
                    }
                }
            }
        }
    }
}
