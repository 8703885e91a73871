//! The one door: every change of a tenant goes through here.

use std::{collections::BTreeMap, sync::Arc};

use gatewright_core::{Actor, Change, Difference, ServerName, Stage, TenantId};

use super::{Cell, Directory, OpenDirectoryError, TenantSettings};
use crate::{
    check::Proposal,
    edit::{Applied, ChangeError, Edit},
    lock,
    model::Document,
    plan::{Plan, Planned, Stored},
    records::{CommitError, Kind, RecordsError, Revision, UniqueName, Write},
};

/// So often a change is made again from what others have made meanwhile.
const ATTEMPTS: usize = 16;

/// A change of more things than this is told in several records, so that none is larger than whoever reads the log can bear.
const PER_RECORD: usize = 500;
/// Nor of more bytes than this, where it is more than one thing.
const BYTES_PER_RECORD: usize = 256 * 1024;

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
    ) -> Result<Vec<Difference>, ChangeError> {
        if self.cell(tenant).is_none() {
            return Err(ChangeError::NoTenant(tenant.clone()));
        }
        self.plan_even_new(actor, tenant, edits).await
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
            // Those who are told of it look it up.
            let cell = {
                let mut tenants = lock::write(&directory.0.tenants);
                Arc::clone(tenants.entry(tenant.clone()).or_default())
            };
            let made = directory
                .make(actor, &tenant, &cell, "tenant.create", edits)
                .await;
            let is_new = lock::read(&cell.state).revision == Revision::NONE;
            if made.is_err() && is_new {
                lock::write(&directory.0.tenants).remove(&tenant);
            }
            made
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
    ) -> Result<Vec<Difference>, ChangeError> {
        let cell = self.cell(tenant).unwrap_or_default();
        let known = lock::read(&cell.state).revision;
        if known != Revision::NONE
            && let Some(head) = self.head_beyond(tenant, known).await?
        {
            self.refresh(tenant, head).await.map_err(unreadable)?;
        }
        let planned = self.planned(tenant, &cell, edits).await;
        let (_, planned) = self.authorised(actor, tenant, edits, planned).await?;
        self.check_names(tenant, &planned).await?;
        Ok(planned.differences)
    }

    /// What a commit would be refused for: names that are somebody else's, who keeps them.
    async fn check_names(&self, tenant: &TenantId, planned: &Planned) -> Result<(), ChangeError> {
        let mut given: BTreeMap<&UniqueName, (Kind, &Arc<str>)> = BTreeMap::new();
        for write in &planned.writes {
            let Write::Put {
                kind, id, names, ..
            } = write
            else {
                continue;
            };
            for name in names {
                let taken = |kind: Kind, id: &Arc<str>| ChangeError::Taken {
                    space: name.space.to_owned(),
                    value: name.value.to_string(),
                    kind,
                    id: Arc::clone(id),
                };
                if let Some((kind, id)) = given.insert(name, (*kind, id)) {
                    return Err(taken(kind, id));
                }
                let holder = self.0.records.find(tenant, name).await?;
                let keeps = holder.filter(|holder| {
                    let key = (holder.kind, Arc::clone(&holder.id));
                    !planned.next.contains_key(&key)
                });
                if let Some(holder) = keeps {
                    return Err(taken(holder.kind, &holder.id));
                }
            }
        }
        Ok(())
    }

    /// Where a tenant is in the storage, if that is beyond what is known.
    async fn head_beyond(
        &self,
        tenant: &TenantId,
        known: Revision,
    ) -> Result<Option<Revision>, RecordsError> {
        let heads = self.0.records.heads().await?;
        let head = heads.into_iter().find(|(of, _)| of == tenant);
        Ok(head.map(|(_, head)| head).filter(|head| *head > known))
    }

    /// What was planned, where whoever asks may make it, and why it cannot be where they may know that.
    async fn authorised(
        &self,
        actor: &Actor,
        tenant: &TenantId,
        edits: &[Edit],
        planned: Result<(Revision, Planned), ChangeError>,
    ) -> Result<(Revision, Planned), ChangeError> {
        let authorise = &self.0.authorise;
        match planned {
            Ok(planned) => {
                if planned.1.alterations.is_empty() {
                    // That it is so already is to be known by whoever may know what there is.
                    let may = authorise.may_learn(actor, tenant, edits, self).await;
                    may.map_err(ChangeError::Forbidden)?;
                }
                let proposal = Proposal {
                    actor,
                    tenant,
                    alterations: &planned.1.alterations,
                    directory: self,
                };
                let may = authorise.authorise(proposal).await;
                may.map_err(ChangeError::Forbidden)?;
                Ok(planned)
            }
            Err(error) => {
                let may = authorise.may_learn(actor, tenant, edits, self).await;
                Err(may.map_or_else(ChangeError::Forbidden, |()| error))
            }
        }
    }

    async fn make(
        &self,
        actor: Actor,
        tenant: &TenantId,
        cell: &Cell,
        action: &'static str,
        edits: Vec<Edit>,
    ) -> Result<Applied, ChangeError> {
        let _turn = cell.turn.lock().await;
        let mut begun: Option<Change> = None;
        for _ in 0..ATTEMPTS {
            // Nobody else moves it while this one has the turn.
            let known = lock::read(&cell.state).revision;
            let planned = self.planned(tenant, cell, &edits).await;
            // Only what is committed is compared with the storage. What is refused, or nothing, may be so only to whoever has
            // not heard of the last commits yet.
            let says_no = planned
                .as_ref()
                .map_or(true, |(_, planned)| planned.writes.is_empty());
            if says_no && let Some(head) = self.head_beyond(tenant, known).await? {
                if let Err(error) = self.catch_up(tenant, cell, head).await {
                    return Err(self.failed(begun, unreadable(error)).await);
                }
                continue;
            }
            // Again at every attempt: whoever may not any more has lost it to the change that came first.
            let planned = self.authorised(&actor, tenant, &edits, planned).await;
            let (base, planned) = match planned {
                Ok((base, planned)) if planned.writes.is_empty() => {
                    if let Some(begun) = begun {
                        self.end(&begun, Stage::Failed).await;
                    }
                    return Ok(Applied {
                        revision: base,
                        also: Vec::new(),
                    });
                }
                Ok(planned) => planned,
                Err(error) => return Err(self.failed(begun, error).await),
            };
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
            let touches = planned
                .next
                .keys()
                .any(|(kind, _)| Kind::SERVED.contains(kind));
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
        let mut change = Change::new(tenant.clone(), actor.clone(), action);
        change.server = edits.iter().find_map(server_of);
        let parts = parts(&planned.differences);
        let all = parts.len();
        for (place, part) in parts.into_iter().enumerate() {
            let mut record = change.clone().differing(part.to_vec());
            if all > 1 {
                record = record.with("part", &format!("{} of {all}", place + 1));
            }
            let now = self.0.clock.now();
            let recorded = self.0.recorder.record(&record, Stage::Begun, now);
            recorded.await.map_err(ChangeError::Unrecorded)?;
        }
        Ok(change.differing(planned.differences.clone()))
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

/// The differences, as many together as one record bears.
fn parts(differences: &[Difference]) -> Vec<&[Difference]> {
    // What most changes are need not be measured.
    if differences.len() <= 1 {
        return differences.chunks(1).collect();
    }
    let mut parts = Vec::new();
    let mut rest = differences;
    while !rest.is_empty() {
        let mut bytes = 0;
        let fit = rest
            .iter()
            .take(PER_RECORD)
            .take_while(|difference| {
                bytes += size(difference);
                bytes <= BYTES_PER_RECORD
            })
            .count();
        let (part, later) = rest.split_at(fit.max(1).min(rest.len()));
        parts.push(part);
        rest = later;
    }
    parts
}

fn size(difference: &Difference) -> usize {
    let side =
        |side: &Option<serde_json::Value>| side.as_ref().map_or(0, |side| side.to_string().len());
    difference.of.len() + side(&difference.before) + side(&difference.after)
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
