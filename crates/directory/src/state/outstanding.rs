//! What is still to be cut of those who left. Of what is done the memory holds nothing.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use gatewright_core::{PartyKind, Subject};

use crate::model::Statement;

/// A receipt that is not complete.
#[derive(Debug)]
struct Unfinished {
    stated_at: i64,
    /// Whose keys or credentials are still there.
    holders: Vec<(PartyKind, Subject)>,
}

#[derive(Debug, Default)]
pub(crate) struct Outstanding {
    receipts: BTreeMap<Arc<str>, Unfinished>,
    by_holder: HashMap<(PartyKind, Subject), BTreeSet<Arc<str>>>,
}

impl Outstanding {
    pub(crate) fn set(&mut self, id: &Arc<str>, statement: Option<&Statement>) {
        if let Some(before) = self.receipts.remove(id) {
            for holder in before.holders {
                if let Some(receipts) = self.by_holder.get_mut(&holder) {
                    receipts.remove(id);
                    if receipts.is_empty() {
                        self.by_holder.remove(&holder);
                    }
                }
            }
        }
        let Some(statement) = statement.filter(|statement| !statement.complete) else {
            return;
        };
        let mut holders = Vec::new();
        if statement.holds() {
            let parties = statement.parties().into_iter();
            holders.extend(parties.map(|party| (party.kind, party.subject)));
        }
        for holder in &holders {
            let receipts = self.by_holder.entry(holder.clone()).or_default();
            receipts.insert(Arc::clone(id));
        }
        let unfinished = Unfinished {
            stated_at: statement.stated_at,
            holders,
        };
        self.receipts.insert(Arc::clone(id), unfinished);
    }

    /// The receipt by which keys or credentials of a subject are still to be cut.
    pub(crate) fn holding(&self, kind: PartyKind, subject: &Subject) -> Option<&Arc<str>> {
        if self.by_holder.is_empty() {
            return None;
        }
        self.by_holder.get(&(kind, subject.clone()))?.first()
    }

    /// The receipts that are not complete, and say what they say since this moment or longer.
    pub(crate) fn since(&self, at: i64) -> Vec<Arc<str>> {
        let all = self.receipts.iter();
        all.filter(|(_, receipt)| receipt.stated_at <= at)
            .map(|(id, _)| Arc::clone(id))
            .collect()
    }
}
