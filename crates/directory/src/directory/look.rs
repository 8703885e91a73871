//! Looking things up.

use std::{collections::BTreeMap, sync::Arc};

use gatewright_core::{PartyKind, Subject, TenantId};

use super::Directory;
use crate::{
    edit::Fault,
    model::{
        Document, Grant, Holder, Issuer, MemberKind, MemberRef, Policies, Role, ScimAttribute,
        Server, Tenant, UnreadableRecord, VirtualServer,
    },
    plan::Key,
    records::{Kind, Record, RecordsError, Revision, UniqueName},
    state::State,
};

/// What is served of a tenant.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct TenantSettings {
    /// The commit that it is as of.
    pub revision: Revision,
    /// The tenant itself.
    pub tenant: Tenant,
    /// Whose tokens it takes, by id.
    pub issuers: BTreeMap<Arc<str>, Issuer>,
    /// Its servers, by name.
    pub servers: BTreeMap<Arc<str>, Server>,
    /// Its bundles, by name.
    pub virtual_servers: BTreeMap<Arc<str>, VirtualServer>,
    /// Its roles, by name.
    pub roles: BTreeMap<Arc<str>, Role>,
    /// Its policies: the one called `published` is in force.
    pub policies: BTreeMap<Arc<str>, Policies>,
}

impl TenantSettings {
    pub(crate) fn of(state: &State) -> Self {
        Self {
            revision: state.revision,
            tenant: state.tenant.clone(),
            issuers: state.issuers.clone(),
            servers: state.servers.clone(),
            virtual_servers: state.virtual_servers.clone(),
            roles: state.roles.clone(),
            policies: state.policies.clone(),
        }
    }

    pub(crate) fn with(mut self, next: &BTreeMap<Key, Option<Document>>) -> Self {
        fn set<T>(map: &mut BTreeMap<Arc<str>, T>, id: &Arc<str>, value: Option<T>) {
            match value {
                Some(value) => map.insert(Arc::clone(id), value),
                None => map.remove(id),
            };
        }
        for ((kind, id), document) in next {
            match (kind, document.clone()) {
                (_, Some(Document::Tenant(tenant))) => self.tenant = tenant,
                (_, Some(Document::Issuer(it))) => set(&mut self.issuers, id, Some(it)),
                (_, Some(Document::Server(it))) => set(&mut self.servers, id, Some(it)),
                (_, Some(Document::VirtualServer(it))) => {
                    set(&mut self.virtual_servers, id, Some(it));
                }
                (_, Some(Document::Role(it))) => set(&mut self.roles, id, Some(it)),
                (_, Some(Document::Policies(it))) => set(&mut self.policies, id, Some(it)),
                (Kind::Issuer, None) => set(&mut self.issuers, id, None),
                (Kind::Server, None) => set(&mut self.servers, id, None),
                (Kind::VirtualServer, None) => set(&mut self.virtual_servers, id, None),
                (Kind::Role, None) => set(&mut self.roles, id, None),
                (Kind::Policies, None) => set(&mut self.policies, id, None),
                _ => {}
            }
        }
        self
    }
}

/// Something that was found, with what the storage knows of it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Listed {
    /// As it is stored.
    pub record: Record,
    /// What it is.
    pub document: Document,
}

/// Why something cannot be looked up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LookError {
    /// The storage does not answer.
    #[error(transparent)]
    Records(#[from] RecordsError),
    /// What is stored cannot be read.
    #[error(transparent)]
    Unreadable(#[from] UnreadableRecord),
}

impl Directory {
    /// Every tenant.
    #[must_use]
    pub fn tenants(&self) -> Vec<TenantId> {
        let tenants = crate::lock::read(&self.0.tenants);
        let mut all: Vec<TenantId> = tenants.keys().cloned().collect();
        all.sort();
        all
    }

    /// What is served of a tenant now.
    #[must_use]
    pub fn settings(&self, tenant: &TenantId) -> Option<TenantSettings> {
        self.with(tenant, TenantSettings::of)
    }

    /// Whether a tenant could be served that had these settings.
    ///
    /// # Errors
    /// [`Fault`] names what is wrong, and how to put it right.
    pub fn check(&self, tenant: &TenantId, settings: &TenantSettings) -> Result<(), Fault> {
        self.0.check.check(tenant, settings)
    }

    /// The thing of this kind and id.
    ///
    /// # Errors
    /// [`LookError`] when it cannot be looked up.
    pub async fn get(
        &self,
        tenant: &TenantId,
        kind: Kind,
        id: &str,
    ) -> Result<Option<Listed>, LookError> {
        let found = self.0.records.read(tenant, kind, &[id.into()]).await?;
        found.into_iter().next().map(listed).transpose()
    }

    /// The things of these ids, in their order; those that are not there are left out.
    ///
    /// # Errors
    /// [`LookError`] when they cannot be looked up.
    pub async fn get_all(
        &self,
        tenant: &TenantId,
        kind: Kind,
        ids: &[Arc<str>],
    ) -> Result<Vec<Listed>, LookError> {
        let found = self.0.records.read(tenant, kind, ids).await?;
        let mut by_id: BTreeMap<Arc<str>, Record> = found
            .into_iter()
            .map(|record| (Arc::clone(&record.id), record))
            .collect();
        ids.iter()
            .filter_map(|id| by_id.remove(id))
            .map(listed)
            .collect()
    }

    /// The thing that has a unique name.
    ///
    /// # Errors
    /// [`LookError`] when it cannot be looked up.
    pub async fn find(
        &self,
        tenant: &TenantId,
        name: &UniqueName,
    ) -> Result<Option<Listed>, LookError> {
        let found = self.0.records.find(tenant, name).await?;
        found.map(listed).transpose()
    }

    /// At most `limit` things of a kind in the order of their ids, those after `after`, leaving out the first `skip`.
    ///
    /// # Errors
    /// [`LookError`] when they cannot be looked up.
    pub async fn page(
        &self,
        tenant: &TenantId,
        kind: Kind,
        after: Option<&str>,
        skip: u64,
        limit: u32,
    ) -> Result<Vec<Listed>, LookError> {
        let page = self
            .0
            .records
            .page(tenant, kind, after, skip, limit)
            .await?;
        page.into_iter().map(listed).collect()
    }

    /// How many things of a kind there are.
    ///
    /// # Errors
    /// [`LookError`] when they cannot be counted.
    pub async fn count(&self, tenant: &TenantId, kind: Kind) -> Result<u64, LookError> {
        Ok(self.0.records.count(tenant, kind).await?)
    }

    /// Who is in a group by themselves: at most `limit`, those after `after`, by kind and id.
    #[must_use]
    pub fn members(
        &self,
        tenant: &TenantId,
        group: &str,
        after: Option<&MemberRef>,
        limit: usize,
    ) -> Vec<MemberRef> {
        self.with(tenant, |state| {
            let group = state.groups.get(group);
            let members = group.into_iter().flat_map(|group| &group.members);
            let mut members: Vec<MemberRef> = members
                .filter(|member| after.is_none_or(|after| *member > after))
                .cloned()
                .collect();
            members.sort_unstable();
            members.truncate(limit);
            members
        })
        .unwrap_or_default()
    }

    /// How many are in a group by themselves.
    #[must_use]
    pub fn count_members(&self, tenant: &TenantId, group: &str) -> usize {
        let count = |state: &State| {
            state
                .groups
                .get(group)
                .map_or(0, |group| group.members.len())
        };
        self.with(tenant, count).unwrap_or_default()
    }

    /// Stands for who is in a group by themselves: it is another one as soon as they are others.
    #[must_use]
    pub fn members_digest(&self, tenant: &TenantId, group: &str) -> u64 {
        let digest = |state: &State| state.groups.get(group).map_or(0, |group| group.digest);
        self.with(tenant, digest).unwrap_or_default()
    }

    /// Whether somebody is in a group by themselves.
    #[must_use]
    pub fn is_member(&self, tenant: &TenantId, group: &str, member: &MemberRef) -> bool {
        let is = |state: &State| {
            let group = state.groups.get(group);
            group.is_some_and(|group| group.members.contains(member))
        };
        self.with(tenant, is).unwrap_or_default()
    }

    /// The groups that somebody is in: by themselves, and all of them, with their names for people.
    #[must_use]
    pub fn groups_of(&self, tenant: &TenantId, member: &MemberRef) -> Vec<GroupOf> {
        self.with(tenant, |state| {
            let direct: Vec<&Arc<str>> = state.direct_groups_of(member).collect();
            let all = state.groups_of(member).into_iter();
            all.map(|id| GroupOf {
                direct: direct.contains(&&id),
                display_name: state
                    .groups
                    .get(&id)
                    .map(|group| Arc::clone(&group.display_name))
                    .unwrap_or_default(),
                id,
            })
            .collect()
        })
        .unwrap_or_default()
    }

    /// The issuers whose people are provisioned, and by which attribute they are found.
    #[must_use]
    pub fn scim_attributes(&self, tenant: &TenantId) -> Vec<(String, ScimAttribute)> {
        self.with(tenant, |state| {
            let issuers = state.issuers.values();
            issuers
                .filter_map(|known| Some((known.issuer.clone(), known.scim_attribute?)))
                .collect()
        })
        .unwrap_or_default()
    }

    /// A role that the tenant has by itself, as it is in force.
    #[must_use]
    pub fn role(&self, tenant: &TenantId, name: &str) -> Option<Role> {
        self.with(tenant, |state| state.roles.get(name).cloned())
            .flatten()
    }

    /// Whether there is a tenant of this name.
    #[must_use]
    pub fn has_tenant(&self, tenant: &TenantId) -> bool {
        self.cell(tenant).is_some()
    }

    /// Every grant, by id.
    #[must_use]
    pub fn grants(&self, tenant: &TenantId) -> Vec<(Arc<str>, Grant)> {
        self.with(tenant, |state| {
            let mut all: Vec<(Arc<str>, Grant)> = state
                .grants
                .iter()
                .map(|(id, grant)| (Arc::clone(id), grant.clone()))
                .collect();
            all.sort_by(|one, other| one.0.cmp(&other.0));
            all
        })
        .unwrap_or_default()
    }

    /// The grants that somebody has by themselves.
    #[must_use]
    pub fn grants_of(&self, tenant: &TenantId, holder: &Holder) -> Vec<(Arc<str>, Grant)> {
        self.with(tenant, |state| {
            let grants = state.grants_of(holder);
            grants
                .map(|(id, grant)| (Arc::clone(id), grant.clone()))
                .collect()
        })
        .unwrap_or_default()
    }

    /// The agents for which a person answers, by id.
    #[must_use]
    pub fn agents_of(&self, tenant: &TenantId, user: &str) -> Vec<Arc<str>> {
        self.with(tenant, |state| state.agents_of(user).cloned().collect())
            .unwrap_or_default()
    }

    /// As whom requests may come that are somebody's.
    #[must_use]
    pub fn subjects_of(&self, tenant: &TenantId, kind: PartyKind, id: &Arc<str>) -> Vec<Subject> {
        self.with(tenant, |state| {
            let sides = match kind {
                PartyKind::User => state.subjects_of_user(id),
                PartyKind::Agent => state.subjects_of_agent(id),
            };
            sides.into_iter().map(|(_, subject)| subject).collect()
        })
        .unwrap_or_default()
    }

    /// Whether somebody has this name to sign in with.
    #[must_use]
    pub fn is_user_name_taken(&self, tenant: &TenantId, user_name: &str) -> bool {
        let folded = crate::model::User::folded(user_name);
        self.with(tenant, |state| state.people.by_user_name(&folded).is_some())
            .unwrap_or_default()
    }

    /// Whether a person is there and let in.
    #[must_use]
    pub fn is_alive_user(&self, tenant: &TenantId, id: &str) -> bool {
        self.with(tenant, |state| {
            state.people.get(id).is_some_and(|person| person.alive)
        })
        .unwrap_or_default()
    }

    /// The id of whoever a subject is.
    #[must_use]
    pub fn whose(&self, tenant: &TenantId, kind: PartyKind, subject: &Subject) -> Option<Arc<str>> {
        self.with(tenant, |state| {
            state.account(kind, subject).map(|account| account.id)
        })
        .flatten()
    }
}

/// A group that somebody is in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupOf {
    /// Its id.
    pub id: Arc<str>,
    /// Its name for people.
    pub display_name: Arc<str>,
    /// By themselves, and not only by a group in it.
    pub direct: bool,
}

fn listed(record: Record) -> Result<Listed, LookError> {
    let document = Document::read(&record)?;
    Ok(Listed { record, document })
}

impl MemberRef {
    /// A person.
    #[must_use]
    pub fn user(id: &str) -> Self {
        Self::new(MemberKind::User, id)
    }

    /// A group.
    #[must_use]
    pub fn group(id: &str) -> Self {
        Self::new(MemberKind::Group, id)
    }

    /// An agent.
    #[must_use]
    pub fn agent(id: &str) -> Self {
        Self::new(MemberKind::Agent, id)
    }

    fn new(kind: MemberKind, id: &str) -> Self {
        Self {
            kind,
            id: id.into(),
        }
    }
}
