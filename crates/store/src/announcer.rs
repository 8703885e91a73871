use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use gatewright_core::TenantId;
use gatewright_directory::records::{Event, Revision};
use gatewright_identity::ApiKeyId;
use gatewright_vault::RecordKey;
use tokio::sync::broadcast;

/// How many events wait for a slow listener, who is told when there were more.
const EVENTS: usize = 1024;

/// What has become of credentials and API keys, by whichever process.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyEvent {
    /// An API key was made, revoked or removed.
    ApiKey(TenantId, ApiKeyId),
    /// A credential was put, sealed anew or removed.
    Credential(TenantId, RecordKey),
    /// One of a tenant's was.
    Credentials(TenantId),
    /// Events may have been missed: any may have changed.
    Missed,
}

/// Tells of commits, of each once: those of this process are known at once, and come by way of the database, too.
#[derive(Debug)]
pub(crate) struct Announcer {
    events: broadcast::Sender<Event>,
    keys: broadcast::Sender<KeyEvent>,
    announced: Mutex<BTreeMap<TenantId, Revision>>,
}

impl Announcer {
    /// One that has nothing to tell of what was committed up to these revisions.
    pub(crate) fn new(heads: Vec<(TenantId, Revision)>) -> Self {
        Self {
            events: broadcast::Sender::new(EVENTS),
            keys: broadcast::Sender::new(EVENTS),
            announced: Mutex::new(heads.into_iter().collect()),
        }
    }

    pub(crate) fn committed(&self, tenant: &TenantId, revision: Revision) {
        let mut announced = self.lock();
        if announced.get(tenant).is_some_and(|last| *last >= revision) {
            return;
        }
        announced.insert(tenant.clone(), revision);
        // Under the lock, so that they are told in their order. Nobody may be listening.
        let _listeners = self.events.send(Event::Committed(tenant.clone(), revision));
    }

    pub(crate) fn key_changed(&self, event: KeyEvent) {
        let _listeners = self.keys.send(event);
    }

    pub(crate) fn missed(&self) {
        let _listeners = self.events.send(Event::Missed);
        let _listeners = self.keys.send(KeyEvent::Missed);
    }

    pub(crate) fn subscribe_to_keys(&self) -> broadcast::Receiver<KeyEvent> {
        self.keys.subscribe()
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<TenantId, Revision>> {
        // A map that is written in one step is whole after a panic.
        self.announced
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
