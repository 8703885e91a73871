//! The one door: every change of a tenant goes through here.

use std::{collections::BTreeMap, sync::Arc};

use gatewright_core::{Actor, Change, ServerName, Stage, TenantId};

use super::{Cell, Directory, OpenDirectoryError, TenantSettings};
use crate::{
    edit::{Applied, ChangeError, Edit},
    lock,
    model::Document,
    plan::{Plan, Planned, Stored},
    records::{CommitError, Kind, RecordsError, Revision},
    state::Touched,
};

/// So often a change is made again from what others have made meanwhile.
const ATTEMPTS: usize = 16;

/// What is served of a tenant is made of these.
const SETTINGS: [Kind; 6] = [
    Kind::Tenant,
    Kind::Issuer,
    Kind::Server,
    Kind::VirtualServer,
    Kind::Role,
    Kind::Policies,
];

impl Directory {
    /// Makes all of these edits, or none. It is in the log that they begin before they are made, and in force everywhere in
    /// this process once this returns. It ends as it should also where whoever asked goes away meanwhile.
    ///
    /// `action` is what the log calls it, as `user.put`.
    ///
    /// # Errors
    /// [`ChangeError`] says why nothing was changed.
    pub async fn change(
        &self,
        actor: Actor,
        tenant: &TenantId,
        action: &'static str,
        edits: Vec<Edit>,
    ) -> Result<Applied, ChangeError> {
        let (directory, tenant) = (self.clone(), tenant.clone());
        let made = self.0.changes.spawn(async move {
            let cell = directory
                .cell(&tenant)
                .ok_or_else(|| ChangeError::NoTenant(tenant.clone()))?;
            directory.make(actor, &tenant, &cell, action, edits).await
        });
        made.await
            .map_err(|ended| ChangeError::Unavailable(RecordsError::new(ended)))?
    }

    /// What a change would come to, without making it.
    ///
    /// # Errors
    /// [`ChangeError`] says why it would not be made.
    pub async fn plan(
        &self,
        actor: &Actor,
        tenant: &TenantId,
        edits: &[Edit],
    ) -> Result<Vec<gatewright_core::Difference>, ChangeError> {
        let cell = self
            .cell(tenant)
            .ok_or_else(|| ChangeError::NoTenant(tenant.clone()))?;
        self.may(actor, tenant, edits).await?;
        Ok(self.planned(tenant, &cell, edits).await?.1.differences)
    }

    /// Makes a tenant, whose settings are these.
    ///
    /// # Errors
    /// [`ChangeError`] says why there is none; also where there was one already.
    pub async fn create_tenant(
        &self,
        actor: Actor,
        tenant: &TenantId,
        settings: crate::model::Tenant,
    ) -> Result<Applied, ChangeError> {
        let id: Arc<str> = tenant.as_str().into();
        if self.cell(tenant).is_some() {
            let kind = Kind::Tenant;
            return Err(ChangeError::Exists { kind, id });
        }
        let edits = vec![Edit::Put {
            id,
            document: Document::Tenant(settings),
            expected: crate::edit::Expected::Any,
        }];
        let (directory, tenant) = (self.clone(), tenant.clone());
        let made = self.0.changes.spawn(async move {
            let cell = Arc::new(Cell::default());
            let made = directory
                .make(actor, &tenant, &cell, "tenant.create", edits)
                .await?;
            lock::write(&directory.0.tenants)
                .entry(tenant.clone())
                .or_insert(cell);
            // When they were told of the change, it was no tenant to look at yet.
            let mut touched = Touched::default();
            touched.kinds.insert(Kind::Tenant);
            directory.tell_observers(&tenant, made.revision, touched);
            Ok(made)
        });
        made.await
            .map_err(|ended| ChangeError::Unavailable(RecordsError::new(ended)))?
    }

    /// As [`plan`](Self::plan), also of a tenant that is yet to be made.
    pub(crate) async fn plan_even_new(
        &self,
        actor: &Actor,
        tenant: &TenantId,
        edits: &[Edit],
    ) -> Result<Vec<gatewright_core::Difference>, ChangeError> {
        self.may(actor, tenant, edits).await?;
        let cell = self.cell(tenant).unwrap_or_default();
        Ok(self.planned(tenant, &cell, edits).await?.1.differences)
    }

    async fn may(
        &self,
        actor: &Actor,
        tenant: &TenantId,
        edits: &[Edit],
    ) -> Result<(), ChangeError> {
        let may = self.0.authorise.authorise(actor, tenant, edits).await;
        may.map_err(ChangeError::Forbidden)
    }

    async fn make(
        &self,
        actor: Actor,
        tenant: &TenantId,
        cell: &Cell,
        action: &'static str,
        edits: Vec<Edit>,
    ) -> Result<Applied, ChangeError> {
        self.may(&actor, tenant, &edits).await?;
        let _turn = cell.turn.lock().await;
        let mut begun: Option<Change> = None;
        for _ in 0..ATTEMPTS {
            let planned = self.planned(tenant, cell, &edits).await;
            let (base, planned) = match planned {
                Ok(planned) => planned,
                Err(error) => return Err(self.failed(begun, error).await),
            };
            if planned.writes.is_empty() {
                return Ok(Applied {
                    revision: base,
                    also: Vec::new(),
                });
            }
            let change = self
                .begin(begun.take(), &actor, tenant, action, &edits, &planned)
                .await?;
            let now = self.0.clock.now();
            let committed = self
                .0
                .records
                .commit(tenant, base, now, &planned.writes)
                .await;
            match committed {
                Ok(revision) => {
                    let next = planned.next.into_iter();
                    let next = next.map(|((kind, id), document)| (kind, id, document));
                    self.take_over(tenant, cell, revision, next, now);
                    self.end(&change, Stage::Done).await;
                    return Ok(Applied {
                        revision,
                        also: planned.also,
                    });
                }
                Err(CommitError::Moved(head)) => {
                    begun = Some(change);
                    if let Err(error) = self.catch_up(tenant, cell, head).await {
                        return Err(self.failed(begun, unreadable(error)).await);
                    }
                }
                Err(error) => return Err(self.failed(Some(change), error.into()).await),
            }
        }
        Err(self.failed(begun, ChangeError::Busy).await)
    }

    /// What the edits come to, and from which revision.
    async fn planned(
        &self,
        tenant: &TenantId,
        cell: &Cell,
        edits: &[Edit],
    ) -> Result<(Revision, Planned), ChangeError> {
        // Before the documents: if the tenant goes on while they are read, the commit fails, and they are read again.
        let base = lock::read(&cell.state).revision;
        let stored = self.stored(tenant, edits).await?;
        let (planned, settings) = {
            let state = lock::read(&cell.state);
            let planned = Plan::new(&state, &stored, self.0.clock.now()).make(edits)?;
            let touches = planned.next.keys().any(|(kind, _)| SETTINGS.contains(kind));
            let settings = touches.then(|| TenantSettings::of(&state).with(&planned.next));
            (planned, settings)
        };
        if let Some(settings) = settings {
            let checked = self.0.check.check(tenant, &settings);
            checked.map_err(ChangeError::Broken)?;
        }
        Ok((base, planned))
    }

    /// The documents that edits name and that memory does not hold.
    async fn stored(&self, tenant: &TenantId, edits: &[Edit]) -> Result<Stored, ChangeError> {
        let mut ids: BTreeMap<Kind, Vec<Arc<str>>> = BTreeMap::new();
        for edit in edits {
            let (kind, id) = match edit {
                Edit::Put { id, document, .. } => (document.kind(), id),
                Edit::Remove { kind, id, .. } => (*kind, id),
                _ => continue,
            };
            ids.entry(kind).or_default().push(Arc::clone(id));
        }
        let mut stored = Stored::new();
        for (kind, ids) in ids {
            for record in self.0.records.read(tenant, kind, &ids).await? {
                let document = Document::read(&record)?;
                stored.insert((kind, Arc::clone(&record.id)), (record, document));
            }
        }
        Ok(stored)
    }

    /// Records that the change begins, once for all attempts that come to the same.
    async fn begin(
        &self,
        begun: Option<Change>,
        actor: &Actor,
        tenant: &TenantId,
        action: &'static str,
        edits: &[Edit],
        planned: &Planned,
    ) -> Result<Change, ChangeError> {
        if let Some(begun) = begun {
            if begun.differences == planned.differences {
                return Ok(begun);
            }
            self.end(&begun, Stage::Failed).await;
        }
        let mut change = Change::new(tenant.clone(), actor.clone(), action)
            .differing(planned.differences.clone());
        change.server = edits.iter().find_map(server_of);
        let recorded = self
            .0
            .recorder
            .record(&change, Stage::Begun, self.0.clock.now());
        recorded.await.map_err(ChangeError::Unrecorded)?;
        Ok(change)
    }

    async fn failed(&self, begun: Option<Change>, error: ChangeError) -> ChangeError {
        if let Some(begun) = begun {
            let ended = begun.with("problem", &error.code());
            self.end(&ended, Stage::Failed).await;
        }
        error
    }

    /// What was made is made, also where the log does not take its end: it says that it began.
    async fn end(&self, change: &Change, stage: Stage) {
        let mut ended = change.clone();
        // They are in the record that it began.
        ended.differences.clear();
        let now = self.0.clock.now();
        if let Err(error) = self.0.recorder.record(&ended, stage, now).await {
            tracing::error!(%error, reference = %change.reference, "the end of a change is not in the log");
        }
    }
}

fn server_of(edit: &Edit) -> Option<ServerName> {
    match edit {
        Edit::Put { id, document, .. } if document.kind() == Kind::Server => {
            ServerName::new(id).ok()
        }
        Edit::Remove { kind, id, .. } if *kind == Kind::Server => ServerName::new(id).ok(),
        _ => None,
    }
}

fn unreadable(error: OpenDirectoryError) -> ChangeError {
    match error {
        OpenDirectoryError::Records(error) => ChangeError::Unavailable(error),
        OpenDirectoryError::Unreadable(error) => ChangeError::Unreadable(error),
    }
}
