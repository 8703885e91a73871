//! Who waits to be told that somebody is no longer let in: open streams. A change wakes those whom it concerns, and nobody
//! else.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

use gatewright_core::{PartyKind, Subject};
use tokio_util::sync::CancellationToken;

/// Below this many nobody looks for those who no longer wait.
const FEW: usize = 64;

/// What a stream holds while it waits. Told at most once.
#[derive(Debug, Default)]
pub(crate) struct Told(pub(crate) CancellationToken);

#[derive(Debug, Default)]
pub(crate) struct Waiting {
    by_subject: HashMap<(PartyKind, Subject), Weak<Told>>,
    /// Those who no longer wait are looked for again at this many.
    sweep_at: usize,
}

impl Waiting {
    /// Waits for a subject.
    pub(crate) fn wait(&mut self, kind: PartyKind, subject: &Subject) -> Arc<Told> {
        let key = (kind, subject.clone());
        if let Some(told) = self.by_subject.get(&key).and_then(Weak::upgrade) {
            return told;
        }
        if self.by_subject.len() >= self.sweep_at.max(FEW) {
            self.by_subject.retain(|_, told| told.strong_count() > 0);
            self.sweep_at = self.by_subject.len().saturating_mul(2);
        }
        let told = Arc::new(Told::default());
        self.by_subject.insert(key, Arc::downgrade(&told));
        told
    }

    pub(crate) fn is_waited_for(&self, kind: PartyKind, subject: &Subject) -> bool {
        let told = self.by_subject.get(&(kind, subject.clone()));
        told.is_some_and(|told| told.strong_count() > 0)
    }

    /// Tells those who wait for a subject, and says how many they were.
    pub(crate) fn tell(&mut self, kind: PartyKind, subject: &Subject) -> usize {
        let told = self.by_subject.remove(&(kind, subject.clone()));
        let Some(told) = told.as_ref().and_then(Weak::upgrade) else {
            return 0;
        };
        told.0.cancel();
        Arc::strong_count(&told).saturating_sub(1)
    }

    pub(crate) fn tell_everybody(&mut self) {
        for told in self
            .by_subject
            .drain()
            .filter_map(|(_, told)| told.upgrade())
        {
            told.0.cancel();
        }
    }

    pub(crate) fn everybody(&self) -> Vec<(PartyKind, Subject)> {
        self.by_subject.keys().cloned().collect()
    }
}
