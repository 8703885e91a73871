//! What operators change.

use std::collections::BTreeMap;

use gatewright_core::{ReferenceId, ServerName, TenantId, Timestamp};
use serde::Serialize;

use super::{Record, RecordKind, Reference, parts::WhoRecord};
use crate::text::bounded;

/// A change to what the gateway holds, as an operator asks for it. Whoever makes one keeps secrets out of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Change {
    /// Names the change; all its records have it.
    pub reference: ReferenceId,
    /// Whose it is.
    pub tenant: TenantId,
    /// The number of the operator's user on the machine.
    pub operator: u32,
    /// What is changed, as `credential.put`.
    pub action: &'static str,
    /// At which server, if at one.
    pub server: Option<ServerName>,
    /// What else there is to say, by name.
    pub details: BTreeMap<&'static str, String>,
}

impl Change {
    /// A change under a reference of its own, with nothing more to say yet.
    #[must_use]
    pub fn new(tenant: TenantId, operator: u32, action: &'static str) -> Self {
        Self {
            reference: ReferenceId::random(),
            tenant,
            operator,
            action,
            server: None,
            details: BTreeMap::new(),
        }
    }

    /// At this server.
    #[must_use]
    pub fn at(mut self, server: &ServerName) -> Self {
        self.server = Some(server.clone());
        self
    }

    /// Says more.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: &impl ToString) -> Self {
        self.details.insert(name, value.to_string());
        self
    }
}

/// How far a change has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Stage {
    /// It is about to be made. Where no record of another stage follows, it may have been.
    Begun,
    /// It was made.
    Done,
    /// It was not made.
    Failed,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct ChangeRecord {
    action: &'static str,
    stage: Stage,
    #[serde(flatten)]
    details: BTreeMap<&'static str, String>,
}

impl Record {
    /// That a change has come so far.
    #[must_use]
    pub fn changed(change: &Change, stage: Stage, time: Timestamp) -> Self {
        let mut record = Self::bare(RecordKind::Changed, change.tenant.clone(), time);
        record.reference = Some(Reference(change.reference));
        record.server = change.server.clone();
        record.who = Some(WhoRecord::operator(change.operator));
        let details = change.details.iter();
        record.change = Some(ChangeRecord {
            action: change.action,
            stage,
            details: details
                .map(|(name, value)| (*name, bounded(value)))
                .collect(),
        });
        record
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_says_who_made_what_of_it_and_how_far_it_has_come() {
        let server = ServerName::new("wiki").unwrap();
        let change = Change::new(TenantId::default(), 1000, "credential.put")
            .at(&server)
            .with("owner", &"user:idp|ann\u{202e}");
        let record = Record::changed(&change, Stage::Begun, Timestamp::from_secs(0)).to_json();
        let record: serde_json::Value = serde_json::from_str(&record).unwrap();
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
