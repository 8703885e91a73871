use std::{
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{Call, Principal, ReferenceId, Refused, Route, SnapshotVersion, Subject, Timestamp};

/// The audit record under way: AuditLayer puts it into the request, every layer below fills in what it knows,
/// AuditLayer and RecordLayer write it. Clones are the same draft.
#[derive(Clone)]
pub struct Draft(Arc<Mutex<DraftFields>>);

/// What a draft holds so far. See the record model of the audit crate for how each is written.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DraftFields {
    /// Names the request in the answer, the logs and the record.
    pub reference: ReferenceId,
    /// When the request arrived.
    pub started: Timestamp,
    /// Where it came from, as the edge saw it.
    pub peer: Option<SocketAddr>,
    /// Which endpoint.
    pub route: Option<Route>,
    /// Who.
    pub principal: Option<Principal>,
    /// Who presented a good credential and got no principal, being switched off.
    pub subject: Option<Subject>,
    /// What they ask for.
    pub call: Option<Call>,
    /// What was decided.
    pub decision: Option<DraftDecision>,
    /// Whose credential went upstream; `none` for a server that needs none.
    pub credential: Option<String>,
    /// The refusal, if a layer gave one.
    pub refusal: Option<DraftRefusal>,
    /// W3C trace context of the request.
    pub trace: Option<TraceContext>,
    /// Whether the admission is in the log already; what follows then is its outcome.
    pub admitted: bool,
    /// Whether no AuditLayer will see the answer, as where the gateway itself calls a server: who writes the
    /// admission then writes the outcome, too.
    pub alone: bool,
}

/// Allowed, denied, or sent for more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Allowed.
    Allow,
    /// Denied.
    Deny,
    /// A scope or a fresher authentication would cure it.
    Challenge,
}

impl Effect {
    /// A stable name for records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Challenge => "challenge",
        }
    }
}

/// The decision on a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DraftDecision {
    /// Allowed or not.
    pub effect: Effect,
    /// The policies that decided it.
    pub policies: Arc<[Arc<str>]>,
    /// Why not; never shown to the caller.
    pub reason: Option<String>,
    /// The snapshot that was asked.
    pub snapshot: SnapshotVersion,
}

/// A refusal by a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DraftRefusal {
    /// Which layer, and its stable code.
    pub refused: Refused,
    /// What the administrator should know; never shown to the caller, never a secret.
    pub detail: Option<String>,
    /// Whether it may come in floods, however well the caller is known: a record may count it with others alike.
    pub repeats: bool,
}

/// W3C Trace Context of a request, checked for form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// `traceparent` as it came.
    pub traceparent: String,
}

impl TraceContext {
    /// Takes a `traceparent` of version 00 (W3C Trace Context §3.2.2); anything else is no trace context.
    #[must_use]
    pub fn parse(traceparent: &str) -> Option<Self> {
        let mut parts = traceparent.split('-');
        let hex = |text: &str, len: usize| {
            text.len() == len
                && text
                    .bytes()
                    .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        };
        let (version, trace, parent, flags) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let fits = version == "00"
            && hex(trace, 32)
            && hex(parent, 16)
            && hex(flags, 2)
            && parts.next().is_none()
            && trace.bytes().any(|b| b != b'0')
            && parent.bytes().any(|b| b != b'0');
        fits.then(|| Self {
            traceparent: traceparent.to_owned(),
        })
    }
}

impl Draft {
    /// An empty draft of a request that arrived at `started`.
    #[must_use]
    pub fn new(reference: ReferenceId, started: Timestamp) -> Self {
        Self(Arc::new(Mutex::new(DraftFields {
            reference,
            started,
            peer: None,
            route: None,
            principal: None,
            subject: None,
            call: None,
            decision: None,
            credential: None,
            refusal: None,
            trace: None,
            admitted: false,
            alone: false,
        })))
    }

    /// Fills something in.
    pub fn fill(&self, change: impl FnOnce(&mut DraftFields)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Notes a layer's refusal. The innermost one that was noted first stays.
    pub fn refuse(&self, refused: Refused, detail: Option<String>) {
        self.note(refused, detail, false);
    }

    /// The same for a refusal of what is too much: a caller who goes on all the same must not fill the log.
    pub fn refuse_too_much(&self, refused: Refused, detail: Option<String>) {
        self.note(refused, detail, true);
    }

    fn note(&self, refused: Refused, detail: Option<String>, repeats: bool) {
        self.fill(|fields| {
            fields.refusal.get_or_insert(DraftRefusal {
                refused,
                detail,
                repeats,
            });
        });
    }

    /// Reads something.
    pub fn read<T>(&self, read: impl FnOnce(&DraftFields) -> T) -> T {
        read(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Names the request in the answer, the logs and the record.
    #[must_use]
    pub fn reference(&self) -> ReferenceId {
        self.read(|fields| fields.reference)
    }
}

impl fmt::Debug for Draft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Draft").field(&self.reference()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_well_formed_trace_context_is_kept() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(TraceContext::parse(good).unwrap().traceparent, good);
        for bad in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
        ] {
            assert_eq!(TraceContext::parse(bad), None, "{bad}");
        }
    }
}
