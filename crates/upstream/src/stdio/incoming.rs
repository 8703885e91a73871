//! What a child says, and who is told.

use std::sync::Arc;

use bytes::Bytes;
use gatewright_wire::{Envelope, Era, Id, Kind, Peer, Splice, SpliceError, code, error_body, json};

use super::link::{Audience, Link, Pending};
use crate::failure::Failure;

/// Marks what belongs to a `subscriptions/listen` (2026-07-28, Subscriptions).
const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";

/// The longest id of a request to a client, in bytes: ids are kept until they are answered.
const LONGEST_ID: usize = 1024;

impl Link {
    /// Takes one line of the child in, and gives what the gateway itself replies to it.
    ///
    /// # Errors
    /// What is wrong with it: such a child is ended, since nothing that it says can be relied on.
    pub(crate) fn receive(self: &Arc<Self>, line: &Bytes) -> Result<Option<Bytes>, &'static str> {
        self.hears();
        let envelope = Envelope::parse(line, Peer::Server, &self.limits)
            .map_err(|_any| "a line is not a message")?;
        match envelope.kind() {
            Kind::Response | Kind::ErrorResponse => self.answers(&envelope, line).map(|()| None),
            Kind::Notification => {
                self.notifies(&envelope, line);
                Ok(None)
            }
            Kind::Request => self.asks(&envelope, line),
        }
    }

    fn answers(self: &Arc<Self>, envelope: &Envelope, line: &Bytes) -> Result<(), &'static str> {
        let Some(id) = envelope.id() else {
            tracing::debug!("a child could not read a message");
            return Ok(());
        };
        let wire = number(id).filter(|wire| self.has_asked(*wire));
        let wire = wire.ok_or("an answer to a call that was not made")?;
        let Some(call) = self.take(wire) else {
            // An answer that crossed a cancellation, or a second one.
            tracing::debug!("an answer that nobody waits for");
            return Ok(());
        };
        match answer(&call, envelope, line) {
            Ok(answer) => call.mailbox.finish(answer),
            Err(_) => call.mailbox.fail(Failure::Protocol("its answer has no id")),
        }
        Ok(())
    }

    fn notifies(self: &Arc<Self>, envelope: &Envelope, line: &Bytes) {
        let refers_to = envelope.refers_to().and_then(number);
        match envelope.method() {
            Some("notifications/progress") => {
                if let Some(wire) = refers_to {
                    self.progress(wire, envelope, line);
                }
                return;
            }
            Some("notifications/cancelled") if self.is_modern() => {
                // The only thing that a server may cancel is a subscription.
                if let Some(wire) = refers_to.filter(|wire| self.is_standing(*wire))
                    && let Some(call) = self.take(wire)
                {
                    call.mailbox.close();
                }
                return;
            }
            _ => {}
        }
        let subscription = subscription(envelope, line);
        if let Some(id) = subscription {
            if let Some(wire) = number(&id).filter(|wire| self.is_standing(*wire)) {
                self.subscribed(wire, envelope, line);
            }
            return;
        }
        match self.known().map(|known| &known.audience) {
            Some(Audience::Session(session)) => {
                if let Some(session) = session.upgrade() {
                    session.notify(self, envelope, line);
                }
            }
            // Log messages name no request (2026-07-28, Logging): they are told where only one can be meant.
            Some(Audience::Caller) if envelope.method() == Some("notifications/message") => {
                if let Some(call) = self.only_call()
                    && call.offer(line.clone()).is_err()
                {
                    tracing::debug!("a log message was dropped: its caller reads too slowly");
                }
            }
            _ => tracing::debug!(
                method = envelope.method(),
                "a notification for nobody in particular"
            ),
        }
    }

    /// Progress under the token that the caller gave.
    fn progress(&self, wire: i64, envelope: &Envelope, line: &Bytes) {
        let state = self.state();
        let Some(call) = state.calls.get(&wire) else {
            return;
        };
        let (Some(token), Some(range)) = (&call.token, envelope.refers_to_range()) else {
            return;
        };
        let mut splice = Splice::new(line);
        splice.replace(range, token.as_json());
        let told = splice
            .build()
            .is_ok_and(|line| call.mailbox.offer(line).is_ok());
        if !told {
            tracing::debug!("progress was dropped: its caller reads too slowly");
        }
    }

    /// A message of a subscription, under the id that the caller gave.
    fn subscribed(self: &Arc<Self>, wire: i64, envelope: &Envelope, line: &Bytes) {
        let told = {
            let state = self.state();
            let Some(call) = state.calls.get(&wire) else {
                return;
            };
            let mut splice = Splice::new(line);
            let stamped = splice.set_meta(envelope, &[(SUBSCRIPTION, call.id.as_json())]);
            let message = stamped.and_then(|()| splice.build());
            message.is_ok_and(|message| call.mailbox.offer(message).is_ok())
        };
        if !told && let Some(call) = self.take(wire) {
            // A change that is kept back would be missed for ever; the client subscribes again and looks.
            call.mailbox
                .fail(Failure::Busy("its messages are read too slowly"));
            self.cancel(wire);
        }
    }

    fn asks(
        self: &Arc<Self>,
        envelope: &Envelope,
        line: &Bytes,
    ) -> Result<Option<Bytes>, &'static str> {
        let Some(id) = envelope.id() else {
            return Ok(None);
        };
        if id.as_json().len() > LONGEST_ID {
            return Err("an id is too long");
        }
        let session = match self.known() {
            Some(known) if known.era == Era::Modern => {
                return Err("servers of 2026-07-28 send no requests");
            }
            Some(known) => match &known.audience {
                Audience::Session(session) => session.upgrade(),
                Audience::Caller | Audience::Callers => None,
            },
            None => None,
        };
        if let Some(session) = session {
            if session.ask(self, envelope, line).is_ok() {
                return Ok(None);
            }
            let full = "too much is under way to ask the client";
            return Ok(Some(error_body(Some(id), code::INTERNAL_ERROR, full, None)));
        }
        // There is no one client that could be asked, and the gateway has declared no capabilities of its own.
        if envelope.method() == Some("ping") {
            let pong = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#);
            return Ok(Some(pong.into()));
        }
        let unknown = "there is no client to ask";
        let reply = error_body(Some(id), code::METHOD_NOT_FOUND, unknown, None);
        Ok(Some(reply))
    }

    fn is_modern(&self) -> bool {
        self.known().is_some_and(|known| known.era == Era::Modern)
    }

    fn is_standing(&self, wire: i64) -> bool {
        let state = self.state();
        state.calls.get(&wire).is_some_and(|call| call.standing)
    }
}

/// The id as a number of ours.
fn number(id: &Id) -> Option<i64> {
    id.as_json().parse().ok()
}

/// The answer under the id that the caller gave.
fn answer(call: &Pending, envelope: &Envelope, line: &Bytes) -> Result<Bytes, SpliceError> {
    let mut splice = Splice::new(line);
    splice.set_id(envelope, &call.id)?;
    if call.standing
        && let Some(result) = envelope.result_range()
        && let Some(meta) = text(line, result.clone()).and_then(|text| json::member(text, "_meta"))
        && json::member(meta, SUBSCRIPTION).is_some()
    {
        let mut inner = Splice::new(meta.as_bytes());
        inner.set_members(0..meta.len(), &[(SUBSCRIPTION, call.id.as_json())])?;
        let meta = inner.build()?;
        splice.set_members(result, &[("_meta", &String::from_utf8_lossy(&meta))])?;
    }
    splice.build()
}

fn subscription(envelope: &Envelope, line: &Bytes) -> Option<Id> {
    let meta = text(line, envelope.meta_range()?)?;
    Id::parse(json::member(meta, SUBSCRIPTION)?)
}

fn text(line: &Bytes, range: std::ops::Range<usize>) -> Option<&str> {
    std::str::from_utf8(line.get(range)?).ok()
}
