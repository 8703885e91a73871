//! Messages of servers, one by one: what a client may get of them.

use std::sync::Arc;

use bytes::Bytes;
use gatewright_core::{Call, CallKind, Decision, Draft, PolicyEngine, Principal, ReferenceId};
use gatewright_wire::{Envelope, Era, ItemKind, Kind, Limits};

use self::{listed::unshared, members::Members};
use crate::{
    refusal::{self, refused},
    service::is_relayed,
};

mod asked;
mod listed;
mod members;

/// What becomes of a message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Passage {
    /// The client gets it as it is.
    Untouched,
    /// The client gets this instead.
    Changed(Bytes),
    /// The client does not get it.
    Dropped,
    /// The client does not get it, and the server gets this response.
    Returned(Bytes),
}

/// A message that was looked at.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Screened {
    pub(crate) passage: Passage,
    pub(crate) kind: Kind,
    /// Whether it answers the call that it came back on.
    pub(crate) answers: bool,
}

/// Looks at the messages that come back on one call.
#[derive(Debug)]
pub(crate) struct Screen<E> {
    pub(crate) engine: Arc<E>,
    pub(crate) principal: Principal,
    /// The call that they come back on.
    pub(crate) call: Call,
    pub(crate) limits: Limits,
    pub(crate) reference: ReferenceId,
    pub(crate) draft: Option<Draft>,
}

/// Why a message is not passed on.
enum Unfit {
    /// It cannot be read in full.
    Unreadable(String),
    /// It asks the client for what policy denies, for this reason.
    Denied(String),
}

impl<E: PolicyEngine> Screen<E> {
    /// Whether the answer belongs to a method that nobody here knows, and is relayed by configuration.
    pub(crate) fn relays(&self) -> bool {
        self.call.kind() == CallKind::Request && self.call.info().is_none()
    }

    /// Whether the client waits for one answer to this call.
    pub(crate) fn awaits(&self) -> bool {
        self.call.kind() == CallKind::Request
    }

    /// The bytes as a message of the server. `None` if they are not one.
    pub(crate) fn read(&self, bytes: Bytes) -> Option<Call> {
        let (route, era) = (self.call.route(), self.call.era());
        Call::from_server(route, era, bytes, &self.limits)
            .inspect_err(|error| {
                self.note("a message of the server cannot be read", &error.to_string());
            })
            .ok()
    }

    /// What becomes of a message of the server. `None` if it is not one.
    pub(crate) async fn message(&self, call: &Call) -> Option<Screened> {
        let envelope = call.envelope()?;
        let answers = match envelope.kind() {
            Kind::Request | Kind::Notification => false,
            Kind::Response | Kind::ErrorResponse => self.awaits() && call.id() == self.call.id(),
        };
        let passage = match envelope.kind() {
            Kind::Request => self.request(call).await,
            Kind::Notification => self.notification(call).await,
            Kind::Response | Kind::ErrorResponse if answers && self.relays() => Passage::Untouched,
            Kind::Response => {
                let passage = self.response(call, envelope, answers).await;
                self.replaced(call, passage)
            }
            Kind::ErrorResponse => self.replaced(call, self.error(call, envelope).await),
        };
        Some(Screened {
            passage,
            kind: envelope.kind(),
            answers,
        })
    }

    /// The passage, or the error that stands for a message that is not passed on.
    fn replaced(&self, call: &Call, passage: Result<Passage, Unfit>) -> Passage {
        let (code, reason, message) = match passage {
            Ok(passage) => return passage,
            Err(Unfit::Denied(reason)) => {
                let message = refusal::denied_message(call.id(), self.reference);
                ("denied-server-request", reason, message)
            }
            Err(Unfit::Unreadable(reason)) => {
                self.note("a result of the server cannot be filtered", &reason);
                let message = refusal::unreadable_message(call.id(), self.reference);
                ("unreadable-answer", reason, message)
            }
        };
        if let Some(draft) = &self.draft {
            draft.refuse(refused(code), Some(reason));
        }
        Passage::Changed(message)
    }

    /// A request of the server is a call in reverse.
    async fn request(&self, call: &Call) -> Passage {
        if call.era() == Era::Modern {
            // 2026-07-28 has no requests of servers on any stream, nor a way to answer them.
            let method = call.method().unwrap_or_default();
            self.note("a request of a modern server was dropped", method);
            return Passage::Dropped;
        }
        if call.method() == Some("ping") {
            return Passage::Untouched;
        }
        if call.info().is_none() && !is_relayed(call) {
            return Passage::Returned(refusal::unknown_method_message(call.id()));
        }
        match self.may_send(call).await {
            Ok(()) => Passage::Untouched,
            Err(_denied) => Passage::Returned(refusal::denied_message(call.id(), self.reference)),
        }
    }

    async fn notification(&self, call: &Call) -> Passage {
        let passes = match call.info() {
            None => is_relayed(call) && self.may_send(call).await.is_ok(),
            // Not every server sends these to subscribers only.
            Some(info) if info.name == "notifications/resources/updated" => match call.target() {
                Some(uri) => self.visible(ItemKind::Resource, &[uri]).await == [true],
                None => false,
            },
            Some(info) if info.name == "notifications/tasks" => {
                let params = Members::of(call.params().unwrap_or_default());
                self.input_requests(&params).await.is_ok()
            }
            Some(_) => true,
        };
        if passes {
            Passage::Untouched
        } else {
            Passage::Dropped
        }
    }

    async fn response(
        &self,
        call: &Call,
        envelope: &Envelope,
        answers: bool,
    ) -> Result<Passage, Unfit> {
        let bytes = call.bytes();
        let lists = self.call.info().and_then(|info| info.lists);
        let passed = if let Some(kind) = lists.filter(|_| answers) {
            self.filter(bytes, envelope, kind).await?
        } else {
            let result = Members::of(text(bytes, envelope.result_range()));
            self.input_requests(&result).await?;
            if answers {
                unshared(bytes, &result)?
            } else {
                // The answer to another request, which a resumed stream may carry: told by its shape.
                self.filter_all(bytes, envelope, &result).await?
            }
        };
        if passed == *bytes {
            Ok(Passage::Untouched)
        } else {
            Ok(Passage::Changed(passed))
        }
    }

    /// Whether the server may send the client this. A denial is for the log, with its reason.
    async fn may_send(&self, call: &Call) -> Result<(), Unfit> {
        let decision = self.engine.decide(&self.principal, call).await;
        let (policies, reason): (&[Arc<str>], &str) = match &decision {
            Decision::Allow { .. } => return Ok(()),
            Decision::Deny {
                policies, reason, ..
            } => (policies, reason),
            Decision::Challenge { .. } => (&[], "a scope is missing"),
        };
        let route = self.call.route();
        tracing::info!(
            reference = %self.reference, tenant = %route.tenant(), server = %route.server(),
            method = call.method(), ?policies, reason, "a request of the server to the client was denied"
        );
        Err(Unfit::Denied(reason.to_owned()))
    }

    /// Notes that the answer as a whole is not passed on.
    pub(crate) fn refuse_answer(&self, why: &'static str) {
        self.note("the answer of the server was refused", why);
        if let Some(draft) = &self.draft {
            draft.refuse(refused("unreadable-answer"), Some(why.to_owned()));
        }
    }

    /// For the operator: never contents of messages, which may hold secrets.
    pub(crate) fn note(&self, what: &'static str, why: &str) {
        let route = self.call.route();
        tracing::warn!(
            reference = %self.reference, tenant = %route.tenant(), server = %route.server(), why, "{what}"
        );
    }
}

fn unreadable(error: impl std::error::Error) -> Unfit {
    Unfit::Unreadable(error.to_string())
}

fn text(bytes: &Bytes, range: Option<std::ops::Range<usize>>) -> &str {
    let part = range.and_then(|range| bytes.get(range)).unwrap_or_default();
    std::str::from_utf8(part).unwrap_or_default()
}
