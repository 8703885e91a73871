//! Messages of servers, one by one: what a client may get of them.

use std::sync::Arc;

use bytes::Bytes;
use gatewright_core::{
    Call, CallKind, Decision, Draft, PolicyEngine, Principal, ReferenceId, UnknownMethods,
};
use gatewright_wire::{Envelope, Era, Id, ItemKind, Kind, Limits, ListView, code, json};

use crate::refusal;

const LISTS: [ItemKind; 4] = [
    ItemKind::Tool,
    ItemKind::Prompt,
    ItemKind::Resource,
    ItemKind::ResourceTemplate,
];

/// How many requests one result may put to the client (`inputRequests`, 2026-07-28); each costs a decision.
const INPUT_REQUESTS: usize = 100;

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
    /// It asks the client for what policy denies.
    Denied,
}

impl<E: PolicyEngine> Screen<E> {
    /// Whether the answer belongs to a method that nobody here knows, and is relayed by configuration.
    pub(crate) fn relays(&self) -> bool {
        self.call.kind() == CallKind::Request && self.call.info().is_none()
    }

    /// What becomes of one message. `None` if it is not one.
    pub(crate) async fn message(&self, bytes: &Bytes) -> Option<Passage> {
        let call = match Call::from_server(
            self.call.route(),
            self.call.era(),
            bytes.clone(),
            &self.limits,
        ) {
            Ok(call) => call,
            Err(error) => {
                self.note("a message of the server cannot be read", &error.to_string());
                return None;
            }
        };
        let envelope = call.envelope()?;
        Some(match envelope.kind() {
            Kind::Request => self.request(&call).await,
            Kind::Notification => self.notification(&call).await,
            Kind::Response | Kind::ErrorResponse if self.relays() && self.is_own(&call) => {
                Passage::Untouched
            }
            Kind::Response => self.replace(&call, self.response(&call, envelope).await),
            Kind::ErrorResponse => self.replace(&call, self.error(&call, envelope).await),
        })
    }

    fn is_own(&self, answer: &Call) -> bool {
        self.call.kind() == CallKind::Request && self.call.id() == answer.id()
    }

    fn replace(&self, call: &Call, outcome: Result<Passage, Unfit>) -> Passage {
        match outcome {
            Ok(passage) => passage,
            Err(Unfit::Denied) => {
                Passage::Changed(refusal::denied_message(call.id(), self.reference))
            }
            Err(Unfit::Unreadable(why)) => {
                self.note("a result of the server cannot be filtered", &why);
                Passage::Changed(refusal::unreadable_message(call.id(), self.reference))
            }
        }
    }

    /// A request of the server is a call in reverse.
    async fn request(&self, call: &Call) -> Passage {
        if self.call.era() == Era::Modern {
            // 2026-07-28 has no requests of servers on any stream, nor a way to answer them.
            self.note(
                "a request of a modern server was dropped",
                call.method().unwrap_or_default(),
            );
            return Passage::Dropped;
        }
        if call.method() == Some("ping") {
            return Passage::Untouched;
        }
        if call.info().is_none() && !self.takes_unknown() {
            return Passage::Returned(refusal::unknown_method_message(call.id()));
        }
        if self.may_send(call).await {
            return Passage::Untouched;
        }
        Passage::Returned(refusal::denied_message(call.id(), self.reference))
    }

    async fn notification(&self, call: &Call) -> Passage {
        let passes = match call.info() {
            None => self.takes_unknown() && self.may_send(call).await,
            // Not every server sends these to subscribers only.
            Some(info) if info.name == "notifications/resources/updated" => match call.target() {
                Some(uri) => self.visible(ItemKind::Resource, &[uri]).await == [true],
                None => false,
            },
            Some(info) if info.name == "notifications/tasks" => {
                let params = call.params().unwrap_or_default();
                self.input_requests(params).await.is_ok()
            }
            Some(_) => true,
        };
        if passes {
            Passage::Untouched
        } else {
            Passage::Dropped
        }
    }

    async fn response(&self, call: &Call, envelope: &Envelope) -> Result<Passage, Unfit> {
        let bytes = call.bytes();
        let result = text(bytes, envelope.result_range());
        let lists = self.call.info().and_then(|info| info.lists);
        match lists.filter(|_| self.is_own(call)) {
            Some(kind) => return self.filter(bytes, kind).await.map(Passage::Changed),
            None => self.input_requests(result).await?,
        }
        if self.is_own(call) {
            return Ok(Passage::Untouched);
        }
        // The answer to another request, which a resumed stream may carry: told by its shape.
        let mut filtered = bytes.clone();
        for kind in listed(result)? {
            filtered = self.filter(&filtered, kind).await?;
        }
        Ok(if filtered == *bytes {
            Passage::Untouched
        } else {
            Passage::Changed(filtered)
        })
    }

    async fn filter(&self, bytes: &Bytes, kind: ItemKind) -> Result<Bytes, Unfit> {
        let mut list = ListView::parse(bytes.clone(), kind, &self.limits).map_err(unreadable)?;
        let names: Vec<&str> = list.items().iter().map(|item| &*item.name).collect();
        let shown = self.visible(kind, &names).await;
        // What one caller may see is no other caller's answer, even if it happens to be everything.
        list.set_private_cache();
        list.retain(&shown).map_err(unreadable)
    }

    async fn visible(&self, kind: ItemKind, names: &[&str]) -> Vec<bool> {
        self.engine
            .visible(&self.principal, self.call.route(), kind, names)
            .await
            .shown
    }

    /// Requests to the client within a result (2026-07-28): one that is denied denies the result.
    async fn input_requests(&self, object: &str) -> Result<(), Unfit> {
        const FIELD: &str = "inputRequests";
        let members = json::members(object).unwrap_or_default();
        for (name, value) in members {
            if json::mistakable(&name, &[FIELD]).is_some() {
                return Err(Unfit::Unreadable(format!(
                    "a member is named almost `{FIELD}`"
                )));
            }
            if name != FIELD || value == "null" {
                continue;
            }
            let requests = json::members(value)
                .ok_or_else(|| Unfit::Unreadable(format!("`{FIELD}` is no object")))?;
            if requests.len() > INPUT_REQUESTS {
                return Err(Unfit::Unreadable(format!("`{FIELD}` holds too many")));
            }
            for (key, request) in requests {
                self.input_request(&key, request).await?;
            }
        }
        Ok(())
    }

    async fn input_request(&self, key: &str, request: &str) -> Result<(), Unfit> {
        let wrong = || Unfit::Unreadable("an input request has no method".to_owned());
        let members = json::members(request).ok_or_else(wrong)?;
        if members
            .iter()
            .any(|member| json::mistakable(&member.0, &["method", "params"]).is_some())
        {
            return Err(wrong());
        }
        let member = |name: &str| {
            members
                .iter()
                .find(|member| member.0 == name)
                .map(|member| member.1)
        };
        let method = member("method").ok_or_else(wrong)?;
        let params =
            member("params").map_or_else(String::new, |params| format!(r#","params":{params}"#));
        let id = Id::string(key);
        let message = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":{method}{params}}}"#);
        // The requests themselves are those of 2025-11-25, which sent them as messages of their own.
        let call = Call::from_server(self.call.route(), Era::Legacy, message.into(), &self.limits)
            .map_err(unreadable)?;
        let known = call.info().is_some() || self.takes_unknown();
        if known && self.may_send(&call).await {
            Ok(())
        } else {
            Err(Unfit::Denied)
        }
    }

    /// `-32042` sends the client to URLs (2025-11-25): elicitation by another name.
    async fn error(&self, call: &Call, envelope: &Envelope) -> Result<Passage, Unfit> {
        let error = text(call.bytes(), envelope.error_range());
        let number = json::member(error, "code").and_then(|code| code.parse::<f64>().ok());
        #[expect(clippy::cast_precision_loss, reason = "error codes are small")]
        let sends_to_url = number == Some(code::URL_ELICITATION_REQUIRED as f64);
        if !sends_to_url {
            return Ok(Passage::Untouched);
        }
        let none = || Unfit::Unreadable("no elicitations in the error".to_owned());
        let elicitations = json::pointer(error, &["data", "elicitations"])
            .and_then(json::items)
            .ok_or_else(none)?;
        if elicitations.len() > INPUT_REQUESTS {
            return Err(none());
        }
        for params in elicitations {
            let request = format!(r#"{{"method":"elicitation/create","params":{params}}}"#);
            self.input_request("url", &request).await?;
        }
        Ok(Passage::Untouched)
    }

    fn takes_unknown(&self) -> bool {
        self.call.route().profile().unknown_methods == UnknownMethods::Relay
    }

    async fn may_send(&self, call: &Call) -> bool {
        let decision = self.engine.decide(&self.principal, call).await;
        let (policies, reason) = match &decision {
            Decision::Allow { .. } => return true,
            Decision::Deny {
                policies, reason, ..
            } => (policies.as_slice(), reason.as_str()),
            Decision::Challenge { .. } => (&[] as &[String], "a scope is missing"),
        };
        tracing::info!(
            reference = %self.reference, tenant = %self.call.route().tenant(), server = %self.call.route().server(),
            method = call.method(), ?policies, reason, "a request of the server to the client was denied"
        );
        false
    }

    /// For the operator: never contents of messages, which may hold secrets.
    pub(crate) fn note(&self, what: &'static str, why: &str) {
        tracing::warn!(
            reference = %self.reference, tenant = %self.call.route().tenant(), server = %self.call.route().server(),
            why, "{what}"
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

/// The lists that a result of an unknown request holds.
fn listed(result: &str) -> Result<Vec<ItemKind>, Unfit> {
    let members = json::members(result).unwrap_or_default();
    let mut found = Vec::new();
    for kind in LISTS {
        let field = kind.result_field();
        if members
            .iter()
            .any(|member| json::mistakable(&member.0, &[field]).is_some())
        {
            return Err(Unfit::Unreadable(format!(
                "a member is named almost `{field}`"
            )));
        }
        if members
            .iter()
            .any(|member| member.0 == field && member.1.starts_with('['))
        {
            found.push(kind);
        }
    }
    Ok(found)
}
