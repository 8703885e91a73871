//! The makers of records.

use std::time::Duration;

use gatewright_core::{
    Draft, DraftFields, DraftRefusal, Principal, Refused, ServerName, Subject, TenantId, Timestamp,
};

use super::{
    Record, RecordKind, Reference,
    parts::{
        AggregateRecord, CallRecord, DecisionRecord, LostRecord, OutcomeRecord, RecoveredRecord,
        RefusalRecord, TimingsRecord, WhoRecord, WriterRecord,
    },
};
use crate::{chain::Digest, text::bounded};

/// Requests that were counted in place of being written one by one.
#[derive(Clone, Debug)]
pub(crate) struct Counted {
    pub(crate) tenant: TenantId,
    /// `None`: of several servers.
    pub(crate) server: Option<ServerName>,
    pub(crate) refused: Option<Refused>,
    /// Whether they are of nobody who may call, so that they are the first to go where space is short.
    pub(crate) anonymous: bool,
    /// Whose they are, where that is known.
    pub(crate) caller: Option<Caller>,
    /// Otherwise the network of the peers, or what stands for all of them.
    pub(crate) from: Option<String>,
    /// The first few networks of a caller's.
    pub(crate) networks: Vec<String>,
    /// How many of a caller's came from other networks.
    pub(crate) elsewhere: u64,
    pub(crate) count: u64,
    pub(crate) since: Timestamp,
    pub(crate) last: Timestamp,
}

/// Somebody who presented a good credential.
#[derive(Clone, Debug)]
pub(crate) enum Caller {
    /// Who may call.
    Principal(Principal),
    /// Who is switched off.
    Subject(Subject),
}

impl Caller {
    /// Whose request it is, where that is known.
    pub(crate) fn of(fields: &DraftFields) -> Option<Self> {
        let principal = fields.principal.clone().map(Self::Principal);
        principal.or_else(|| fields.subject.clone().map(Self::Subject))
    }
}

impl Record {
    pub(super) fn bare(kind: RecordKind, tenant: TenantId, time: Timestamp) -> Self {
        Self {
            v: 1,
            kind,
            time,
            ms: time.millis(),
            reference: None,
            tenant,
            server: None,
            resource: None,
            peer: None,
            who: None,
            for_whom: None,
            subject: None,
            call: None,
            decision: None,
            credential: None,
            refusal: None,
            outcome: None,
            timings: None,
            trace: None,
            change: None,
            aggregate: None,
            writer: None,
            lost: None,
            recovered: None,
            anonymous: false,
        }
    }

    /// What every record of a request has; `None` for a draft without a route, which has no tenant.
    fn of_request(kind: RecordKind, fields: &DraftFields, time: Timestamp) -> Option<Self> {
        let route = fields.route.as_ref()?;
        let mut record = Self::bare(kind, route.tenant().clone(), time);
        record.reference = Some(Reference(fields.reference));
        record.server = Some(route.server().clone());
        record.refusal = fields.refusal.as_ref().map(RefusalRecord::of);
        record.credential = fields.credential.as_deref().map(bounded);
        Some(record)
    }

    /// Who asked from where for what, and what was decided.
    fn with_call(mut self, fields: &DraftFields) -> Self {
        let log_contents = fields.route.as_ref().is_some_and(|route| {
            self.resource = Some(route.resource().to_owned());
            route.profile().log_contents
        });
        if let Some(caller) = &Caller::of(fields) {
            self = self.of_caller(caller);
        }
        self.call = fields
            .call
            .as_ref()
            .map(|call| CallRecord::of(call, log_contents));
        self.decision = fields.decision.as_ref().map(DecisionRecord::of);
        self.peer = fields.peer.map(|peer| peer.to_string());
        self.trace = fields.trace.as_ref().map(|trace| trace.traceparent.clone());
        self
    }

    fn of_caller(mut self, caller: &Caller) -> Self {
        match caller {
            Caller::Principal(principal) => {
                let (who, for_whom) = WhoRecord::of(principal);
                self.who = Some(who);
                self.for_whom = for_whom;
            }
            Caller::Subject(subject) => self.subject = Some(bounded(&subject.to_string())),
        }
        self
    }

    /// A call that is about to reach its server.
    pub(crate) fn admitted(draft: &Draft, time: Timestamp) -> Option<Self> {
        draft.read(|fields| {
            let mut record =
                Self::of_request(RecordKind::Admitted, fields, time)?.with_call(fields);
            record.timings = Some(TimingsRecord {
                admitted_ms: Some(millis(time.since(fields.started))),
                first_byte_ms: None,
                total_ms: None,
            });
            Some(record)
        })
    }

    /// How a request ended that was admitted, refused or merely answered.
    pub(crate) fn ended(
        draft: &Draft,
        outcome: OutcomeRecord,
        first_byte: Option<Timestamp>,
        time: Timestamp,
    ) -> Option<Self> {
        draft.read(|fields| {
            let kind = match &fields.refusal {
                _ if fields.admitted => RecordKind::Outcome,
                Some(_) => RecordKind::Refused,
                None => RecordKind::Answered,
            };
            let mut record = Self::of_request(kind, fields, time)?;
            if kind != RecordKind::Outcome {
                record = record.with_call(fields);
                record.anonymous = nobodys(fields);
            }
            let after = |at: Timestamp| millis(at.since(fields.started));
            record.outcome = Some(outcome);
            record.timings = Some(TimingsRecord {
                admitted_ms: None,
                first_byte_ms: first_byte.map(after),
                total_ms: Some(after(time)),
            });
            Some(record)
        })
    }

    /// Requests that were counted.
    pub(crate) fn aggregate(counted: Counted, time: Timestamp) -> Self {
        let mut record = Self::bare(RecordKind::Aggregate, counted.tenant, time);
        record.server = counted.server;
        record.refusal = counted.refused.map(|refused| {
            RefusalRecord::of(&DraftRefusal {
                refused,
                detail: None,
                repeats: true,
            })
        });
        record.anonymous = counted.anonymous;
        if let Some(caller) = &counted.caller {
            record = record.of_caller(caller);
        }
        record.aggregate = Some(AggregateRecord {
            count: counted.count,
            from: counted.from,
            networks: counted.networks,
            elsewhere: Some(counted.elsewhere).filter(|elsewhere| *elsewhere > 0),
            since_ms: counted.since.millis(),
            last_ms: counted.last.millis(),
        });
        record
    }

    /// A writer begins or ends, or takes the reserved space.
    pub(crate) fn of_writer(
        kind: RecordKind,
        tenant: TenantId,
        name: &str,
        time: Timestamp,
    ) -> Self {
        let mut record = Self::bare(kind, tenant, time);
        record.writer = Some(WriterRecord {
            name: name.to_owned(),
            software: "gatewright",
            version: env!("CARGO_PKG_VERSION"),
        });
        record
    }

    /// Records that could not be written.
    pub(crate) fn lost(tenant: TenantId, count: u64, since: Timestamp, time: Timestamp) -> Self {
        let mut record = Self::bare(RecordKind::Lost, tenant, time);
        record.lost = Some(LostRecord {
            count,
            since_ms: since.millis(),
        });
        record
    }

    /// An unfinished line of `file` that was moved aside.
    pub(crate) fn recovered(
        tenant: TenantId,
        file: &str,
        moved_to: &str,
        cut: &[u8],
        time: Timestamp,
    ) -> Self {
        let mut record = Self::bare(RecordKind::Recovered, tenant, time);
        record.recovered = Some(RecoveredRecord {
            file: file.to_owned(),
            moved_to: moved_to.to_owned(),
            bytes: cut.len() as u64,
            sha256: Digest::of(&[cut]),
        });
        record
    }
}

/// Whether the request reached no server and may come in floods: of nobody, or beyond what its caller may ask for.
pub(crate) fn may_be_counted(draft: &Draft) -> bool {
    draft.read(|fields| {
        let repeats = fields
            .refusal
            .as_ref()
            .is_some_and(|refusal| refusal.repeats);
        nobodys(fields) || (repeats && !fields.admitted)
    })
}

fn nobodys(fields: &DraftFields) -> bool {
    fields.principal.is_none() && !fields.admitted
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
