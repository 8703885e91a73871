//! Records in memory, for tests and trials: what is in them ends with the process.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use gatewright_core::{TenantId, Timestamp};
use tokio::sync::broadcast;

use crate::records::{
    Changed, CommitError, Event, Kind, Position, Record, Records, RecordsError, Revision,
    UniqueName, Write,
};

/// How many events wait for a slow listener.
const EVENTS: usize = 1_024;

/// [`Records`] that end with the process. Clones are the same.
#[derive(Clone, Debug)]
pub struct MemoryRecords(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    tenants: Mutex<BTreeMap<TenantId, Tenant>>,
    events: broadcast::Sender<Event>,
}

type Key = (&'static str, Arc<str>);

#[derive(Clone, Debug, Default)]
struct Tenant {
    revision: Revision,
    records: BTreeMap<Key, Record>,
    removed: BTreeMap<Key, (Kind, Revision)>,
    names: HashMap<UniqueName, (Kind, Arc<str>)>,
}

impl MemoryRecords {
    /// Empty ones.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Inner {
            tenants: Mutex::default(),
            events: broadcast::Sender::new(EVENTS),
        }))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<TenantId, Tenant>> {
        // A tenant is replaced in one piece, so that a panic leaves none half written.
        self.0
            .tenants
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn of<T>(&self, tenant: &TenantId, read: impl FnOnce(&Tenant) -> T) -> Option<T> {
        self.lock().get(tenant).map(read)
    }
}

impl Default for MemoryRecords {
    fn default() -> Self {
        Self::new()
    }
}

impl Tenant {
    fn write(&mut self, at: Timestamp, writes: &[Write]) -> Result<(), CommitError> {
        self.revision = Revision(self.revision.0 + 1);
        let mut last: BTreeMap<Key, &Write> = BTreeMap::new();
        for write in writes {
            let (Write::Put { kind, id, .. } | Write::Remove { kind, id }) = write;
            last.insert((kind.name(), Arc::clone(id)), write);
            self.names
                .retain(|_, (of, called)| !(of == kind && called == id));
        }
        for (key, write) in last {
            match write {
                Write::Put {
                    kind,
                    id,
                    document,
                    names,
                } => {
                    self.put(key, *kind, id, document, at);
                    for name in names {
                        self.name(name, *kind, id)?;
                    }
                }
                Write::Remove { kind, .. } => {
                    if self.records.remove(&key).is_some() {
                        self.removed.insert(key, (*kind, self.revision));
                    }
                }
            }
        }
        Ok(())
    }

    fn put(&mut self, key: Key, kind: Kind, id: &Arc<str>, document: &Arc<str>, at: Timestamp) {
        self.removed.remove(&key);
        let created_at = self.records.get(&key).map_or(at, |old| old.created_at);
        let record = Record {
            kind,
            id: Arc::clone(id),
            revision: self.revision,
            created_at,
            modified_at: at,
            document: Arc::clone(document),
        };
        self.records.insert(key, record);
    }

    fn name(&mut self, name: &UniqueName, kind: Kind, id: &Arc<str>) -> Result<(), CommitError> {
        let holder = self
            .names
            .entry(name.clone())
            .or_insert_with(|| (kind, Arc::clone(id)));
        if *holder == (kind, Arc::clone(id)) {
            return Ok(());
        }
        Err(CommitError::Taken {
            space: name.space.to_owned(),
            value: name.value.to_string(),
            kind: holder.0,
            id: Arc::clone(&holder.1),
        })
    }

    fn changed_after(&self, after: &Position) -> Vec<Changed> {
        let put = self.records.values().cloned().map(Changed::Put);
        let removed = self
            .removed
            .iter()
            .map(|((_, id), (kind, revision))| Changed::Removed {
                kind: *kind,
                id: Arc::clone(id),
                revision: *revision,
            });
        let place = |position: &Position| {
            let record = position.record.clone();
            // All of a revision is before the first record of the next one.
            let (whole, record) = match record {
                Some((kind, id)) => (false, Some((kind.name(), id))),
                None => (true, None),
            };
            (position.revision, whole, record)
        };
        let start = place(after);
        let mut all: Vec<Changed> = put
            .chain(removed)
            .filter(|changed| place(&changed.position()) > start)
            .collect();
        all.sort_by_key(|changed| place(&changed.position()));
        all
    }
}

#[async_trait]
impl Records for MemoryRecords {
    async fn heads(&self) -> Result<Vec<(TenantId, Revision)>, RecordsError> {
        let tenants = self.lock();
        let heads = tenants
            .iter()
            .map(|(id, tenant)| (id.clone(), tenant.revision));
        Ok(heads.collect())
    }

    async fn commit(
        &self,
        tenant: &TenantId,
        base: Revision,
        at: Timestamp,
        writes: &[Write],
    ) -> Result<Revision, CommitError> {
        let mut tenants = self.lock();
        let mut next = tenants.get(tenant).cloned().unwrap_or_default();
        if next.revision != base {
            return Err(CommitError::Moved(next.revision));
        }
        next.write(at, writes)?;
        let revision = next.revision;
        tenants.insert(tenant.clone(), next);
        drop(tenants);
        // Nobody may be listening.
        let _listeners = self
            .0
            .events
            .send(Event::Committed(tenant.clone(), revision));
        Ok(revision)
    }

    async fn read(
        &self,
        tenant: &TenantId,
        kind: Kind,
        ids: &[Arc<str>],
    ) -> Result<Vec<Record>, RecordsError> {
        let found = self.of(tenant, |tenant| {
            ids.iter()
                .filter_map(|id| tenant.records.get(&(kind.name(), Arc::clone(id))).cloned())
                .collect()
        });
        Ok(found.unwrap_or_default())
    }

    async fn find(
        &self,
        tenant: &TenantId,
        name: &UniqueName,
    ) -> Result<Option<Record>, RecordsError> {
        let found = self.of(tenant, |tenant| {
            let (kind, id) = tenant.names.get(name)?;
            let key = (kind.name(), Arc::clone(id));
            tenant.records.get(&key).cloned()
        });
        Ok(found.flatten())
    }

    async fn page(
        &self,
        tenant: &TenantId,
        kind: Kind,
        after: Option<&str>,
        skip: u64,
        limit: u32,
    ) -> Result<Vec<Record>, RecordsError> {
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let found = self.of(tenant, |tenant| {
            tenant
                .records
                .values()
                .filter(|record| record.kind == kind)
                .filter(|record| after.is_none_or(|after| *record.id > *after))
                .skip(skip)
                .take(limit)
                .cloned()
                .collect()
        });
        Ok(found.unwrap_or_default())
    }

    async fn count(&self, tenant: &TenantId, kind: Kind) -> Result<u64, RecordsError> {
        let count = self.of(tenant, |tenant| {
            let of_kind = tenant.records.values().filter(|record| record.kind == kind);
            u64::try_from(of_kind.count()).unwrap_or(u64::MAX)
        });
        Ok(count.unwrap_or_default())
    }

    async fn changes(
        &self,
        tenant: &TenantId,
        after: &Position,
        limit: u32,
    ) -> Result<Vec<Changed>, RecordsError> {
        let mut changed = self
            .of(tenant, |tenant| tenant.changed_after(after))
            .unwrap_or_default();
        changed.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(changed)
    }

    fn events(&self) -> broadcast::Receiver<Event> {
        self.0.events.subscribe()
    }
}
