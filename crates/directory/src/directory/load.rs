//! From the storage into memory: once all of it, then what has changed.

use std::sync::{Arc, atomic::Ordering};

use gatewright_core::{TenantId, Timestamp};

use super::{Cell, Directory, OpenDirectoryError};
use crate::{
    lock,
    model::{Document, UnreadableRecord},
    records::{Changed, Kind, Position, Revision},
    state::{State, Touched},
};

/// Records are read so many at a time.
const PAGE: u32 = 1_000;

/// What requests ask for: the rest stays in the storage.
const IN_MEMORY: [Kind; 11] = [
    Kind::Tenant,
    Kind::Issuer,
    Kind::User,
    Kind::Group,
    Kind::Member,
    Kind::Agent,
    Kind::Role,
    Kind::Grant,
    Kind::Server,
    Kind::VirtualServer,
    Kind::Policies,
];

impl Directory {
    pub(super) async fn load_all(&self) -> Result<(), OpenDirectoryError> {
        for (tenant, head) in self.0.records.heads().await? {
            match self.load(&tenant, head).await {
                Err(OpenDirectoryError::Unreadable(error)) => self.give_up(&tenant, &error),
                loaded => loaded?,
            }
        }
        Ok(())
    }

    /// Lets nobody into a tenant that cannot be read; others are none the worse for it.
    pub(super) fn give_up(&self, tenant: &TenantId, error: &UnreadableRecord) {
        tracing::error!(%tenant, %error, "a tenant cannot be read, and everybody of it is refused");
        let cell = {
            let mut tenants = lock::write(&self.0.tenants);
            Arc::clone(tenants.entry(tenant.clone()).or_default())
        };
        cell.unreadable.store(true, Ordering::Relaxed);
        lock::hold(&lock::read(&cell.state).waiting).tell_everybody();
    }

    /// Reads a tenant whole. What is committed meanwhile is read once more.
    async fn load(&self, tenant: &TenantId, head: Revision) -> Result<(), OpenDirectoryError> {
        let mut state = State::default();
        state.revision = head;
        let mut touched = Touched::default();
        for kind in IN_MEMORY {
            let mut after: Option<Arc<str>> = None;
            loop {
                let records = &self.0.records;
                let page = records
                    .page(tenant, kind, after.as_deref(), 0, PAGE)
                    .await?;
                let whole = page.len() < usize::try_from(PAGE).unwrap_or(usize::MAX);
                after = page.last().map(|record| Arc::clone(&record.id));
                for record in page {
                    let document = Document::read(&record)?;
                    touched.add(state.set(kind, &record.id, Some(document)));
                }
                if whole {
                    break;
                }
            }
        }
        let loaded = Arc::new(Cell {
            state: state.into(),
            ..Cell::default()
        });
        // Somebody may have made it meanwhile, and others hold theirs.
        let is_ours = {
            let mut tenants = lock::write(&self.0.tenants);
            let cell = tenants
                .entry(tenant.clone())
                .or_insert_with(|| Arc::clone(&loaded));
            Arc::ptr_eq(cell, &loaded)
        };
        if is_ours {
            touched.subjects.clear();
            self.tell_observers(tenant, head, touched);
        }
        Box::pin(self.refresh(tenant, head)).await
    }

    /// Takes over what was committed since, up to `head` at least.
    pub(crate) async fn refresh(
        &self,
        tenant: &TenantId,
        head: Revision,
    ) -> Result<(), OpenDirectoryError> {
        let Some(cell) = self.cell(tenant) else {
            return Box::pin(self.load(tenant, head)).await;
        };
        let _turn = cell.turn.lock().await;
        self.catch_up(tenant, &cell, head).await
    }

    /// As [`refresh`](Self::refresh), by whoever has the turn.
    pub(super) async fn catch_up(
        &self,
        tenant: &TenantId,
        cell: &Cell,
        head: Revision,
    ) -> Result<(), OpenDirectoryError> {
        let from = lock::read(&cell.state).revision;
        let mut changes = Vec::new();
        let mut after = Position::after(from);
        loop {
            let page = self.0.records.changes(tenant, &after, PAGE).await?;
            let whole = page.len() < usize::try_from(PAGE).unwrap_or(usize::MAX);
            after = page.last().map_or(after, Changed::position);
            for changed in page {
                changes.push(read(changed)?);
            }
            if whole {
                break;
            }
        }
        // Only whole commits are seen: the last page was read after all that it belongs to was committed.
        let revision = after.revision.max(head).max(from);
        let next = changes
            .into_iter()
            .filter(|(kind, ..)| IN_MEMORY.contains(kind));
        self.take_over(tenant, cell, revision, next, self.0.clock.now());
        cell.unreadable.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Puts changes into memory, in one piece for whoever looks, and tells whom they concern.
    pub(super) fn take_over(
        &self,
        tenant: &TenantId,
        cell: &Cell,
        revision: Revision,
        changes: impl IntoIterator<Item = (Kind, Arc<str>, Option<Document>)>,
        now: Timestamp,
    ) {
        let mut touched = Touched::default();
        {
            let mut state = lock::write(&cell.state);
            for (kind, id, document) in changes {
                touched.add(state.set(kind, &id, document));
            }
            state.revision = state.revision.max(revision);
            // Whoever is gone is gone before anything else happens.
            state.tell(&touched, now);
        }
        if !touched.kinds.is_empty() {
            self.tell_observers(tenant, revision, touched);
        }
    }

    /// Is sure that nothing was newer at this moment than what is in memory.
    pub(super) fn confirm(&self, at: Timestamp) {
        self.0
            .confirmed_at
            .fetch_max(at.millis(), Ordering::Relaxed);
    }
}

fn read(changed: Changed) -> Result<(Kind, Arc<str>, Option<Document>), OpenDirectoryError> {
    Ok(match changed {
        Changed::Removed { kind, id, .. } => (kind, id, None),
        Changed::Put(record) if !IN_MEMORY.contains(&record.kind) => (record.kind, record.id, None),
        Changed::Put(record) => {
            let document = Document::read(&record)?;
            (record.kind, record.id, Some(document))
        }
    })
}
