//! What is written down: one JSON object per record, form `"v":1`.

mod build;
mod change;
mod parts;

use gatewright_core::{ReferenceId, ServerName, TenantId, Timestamp};
use serde::{Serialize, Serializer};

pub(crate) use self::build::{Caller, Counted, may_be_counted};
use self::change::ChangeRecord;
pub use self::parts::Ended;
pub(crate) use self::parts::OutcomeRecord;
use self::parts::{
    AggregateRecord, CallRecord, DecisionRecord, LostRecord, RecoveredRecord, RefusalRecord,
    TimingsRecord, WhoRecord, WriterRecord,
};

/// What a record tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum RecordKind {
    /// A layer refused a request; failed authentication too.
    Refused,
    /// A call was allowed and is about to reach its server.
    Admitted,
    /// How an admitted call ended.
    Outcome,
    /// A request was answered without being admitted or refused: a preflight, or a stack without `RecordLayer`.
    Answered,
    /// Somebody changes what the gateway holds.
    Changed,
    /// Requests without authentication, or beyond what a caller may ask for, after the first few: counted.
    Aggregate,
    /// Records that could not be written, counted.
    Lost,
    /// A crash had left an unfinished line, which was moved aside.
    Recovered,
    /// A writer began to write this chain.
    Opened,
    /// A writer closed this chain in good order.
    Closed,
    /// The disk was full: the space reserved for records of calls is in use.
    Space,
}

/// Most records are shorter, in bytes.
const USUAL: usize = 2 * 1024;

/// One record. Texts that callers chose are bounded, contents are digests unless the server's profile says
/// otherwise, and no header of a request is in any of them.
#[derive(Clone, Debug, Serialize)]
pub struct Record {
    v: u8,
    kind: RecordKind,
    #[serde(serialize_with = "rfc3339")]
    time: Timestamp,
    ms: i64,
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
    reference: Option<Reference>,
    tenant: TenantId,
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<ServerName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    who: Option<WhoRecord>,
    #[serde(skip_serializing_if = "Option::is_none")]
    for_whom: Option<String>,
    /// Who presented a good credential and is switched off.
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    call: Option<CallRecord>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decision: Option<DecisionRecord>,
    #[serde(skip_serializing_if = "Option::is_none")]
    credential: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<RefusalRecord>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<OutcomeRecord>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timings: Option<TimingsRecord>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    change: Option<ChangeRecord>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aggregate: Option<AggregateRecord>,
    #[serde(skip_serializing_if = "Option::is_none")]
    writer: Option<WriterRecord>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lost: Option<LostRecord>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recovered: Option<RecoveredRecord>,
    #[serde(skip)]
    anonymous: bool,
}

impl Record {
    /// What it tells of.
    #[must_use]
    pub const fn kind(&self) -> RecordKind {
        self.kind
    }

    /// When it was made.
    #[must_use]
    pub const fn time(&self) -> Timestamp {
        self.time
    }

    /// Whose log it belongs to.
    #[must_use]
    pub const fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// The request it is about. Admission and outcome of a call have the same.
    #[must_use]
    pub fn reference(&self) -> Option<ReferenceId> {
        self.reference.map(|reference| reference.0)
    }

    /// Whether it is about somebody who is not authenticated: the first to go where space is short.
    #[must_use]
    pub const fn is_anonymous(&self) -> bool {
        self.anonymous
    }

    /// The record as one line of JSON, without the line feed.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut json = Vec::with_capacity(USUAL);
        // Strings, numbers and checked JSON always serialise, into UTF-8; should that ever change, the record still
        // says that there was one.
        let written = serde_json::to_writer(&mut json, self).map_err(|error| error.to_string());
        let json =
            written.and_then(|()| String::from_utf8(json).map_err(|error| error.to_string()));
        json.unwrap_or_else(|error| {
            let (kind, tenant) = (self.kind, self.tenant.as_str());
            serde_json::json!({"v": 1, "kind": kind, "ms": self.ms, "tenant": tenant, "broken": error})
                .to_string()
        })
    }
}

fn rfc3339<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    match jiff::Timestamp::from_millisecond(time.millis()) {
        Ok(time) => serializer.collect_str(&format_args!("{time:.3}")),
        // Outside the years -9999 to 9999: `ms` says it.
        Err(_) => serializer.serialize_str("out of range"),
    }
}

/// A reference as records show it.
#[derive(Clone, Copy, Debug)]
struct Reference(ReferenceId);

impl Serialize for Reference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

#[cfg(test)]
mod tests;
