//! What is changed in what the gateway holds.

use std::collections::BTreeMap;

use gatewright_core::{Change, Difference, Stage, Timestamp};
use serde::Serialize;
use serde_json::{Value, json, value::RawValue};

use super::{Record, RecordKind, Reference, parts::WhoRecord};
use crate::{
    chain::Digest,
    text::{bounded, plain_json},
};

/// Before and after are written up to this size each, in bytes; larger ones leave their digest and size only.
const LONGEST_SIDE: usize = 64 * 1024;

#[derive(Clone, Debug, Serialize)]
pub(super) struct ChangeRecord {
    action: &'static str,
    stage: &'static str,
    #[serde(flatten)]
    details: BTreeMap<&'static str, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    differences: Vec<DifferenceRecord>,
}

#[derive(Clone, Debug, Serialize)]
struct DifferenceRecord {
    of: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<Box<RawValue>>,
}

impl DifferenceRecord {
    fn new(difference: &Difference) -> Self {
        Self {
            of: bounded(&difference.of),
            before: difference.before.as_ref().and_then(fit),
            after: difference.after.as_ref().and_then(fit),
        }
    }
}

/// The value as it is written; of one that is too large, what tells it from others.
fn fit(value: &Value) -> Option<Box<RawValue>> {
    let text = plain_json(&value.to_string());
    let text = if text.len() > LONGEST_SIDE {
        let digest = Digest::of(&[text.as_bytes()]);
        json!({"bytes": text.len(), "sha256": digest}).to_string()
    } else {
        text
    };
    RawValue::from_string(text).ok()
}

impl Record {
    /// That a change has come so far.
    #[must_use]
    pub fn changed(change: &Change, stage: Stage, time: Timestamp) -> Self {
        let mut record = Self::bare(RecordKind::Changed, change.tenant.clone(), time);
        record.reference = Some(Reference(change.reference));
        record.server = change.server.clone();
        record.who = Some(WhoRecord::actor(&change.by));
        let details = change.details.iter();
        record.change = Some(ChangeRecord {
            action: change.action,
            stage: stage.name(),
            details: details
                .map(|(name, value)| (*name, bounded(value)))
                .collect(),
            differences: change
                .differences
                .iter()
                .map(DifferenceRecord::new)
                .collect(),
        });
        record
    }
}

#[cfg(test)]
mod tests {
    use gatewright_core::{Actor, ServerName, TenantId};

    use super::*;

    #[test]
    fn a_change_says_who_made_what_of_it_and_how_far_it_has_come() {
        let server = ServerName::new("wiki").unwrap();
        let change = Change::new(TenantId::default(), Actor::Operator(1000), "credential.put")
            .at(&server)
            .with("owner", &"user:idp|ann\u{202e}");
        let record = Record::changed(&change, Stage::Begun, Timestamp::from_secs(0)).to_json();
        let record: Value = serde_json::from_str(&record).unwrap();
        assert_eq!(record["kind"], "changed");
        assert_eq!(record["ref"], change.reference.to_string());
        assert_eq!(
            record["who"],
            serde_json::json!({"operator": "uid:1000", "method": "socket"})
        );
        let said = serde_json::json!({
            "action": "credential.put", "stage": "begun", "owner": "user:idp|ann\\u{202e}",
        });
        assert_eq!(
            (&record["change"], &record["server"]),
            (&said, &"wiki".into())
        );
    }
}
