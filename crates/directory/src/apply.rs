//! A file as a change: what it has and the tenant has not is made, what it had made and no longer has is taken away, and
//! nothing else is touched.

mod names;
mod wanted;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use gatewright_core::{Actor, Difference, PartyKind, Subject, TenantId};

pub(crate) use self::names::at_issuer;
use self::names::{grant_id, id_of, issuer_id};
pub use self::wanted::{
    Wanted, WantedAgent, WantedGrant, WantedGroup, WantedHolder, WantedOver, WantedTenant,
    WantedUser,
};
use crate::{
    Directory,
    directory::LookError,
    edit::{ChangeError, Edit, Expected},
    model::{
        Agent, AgentStatus, AppliedFile, Disabled, Document, Grant, Group, Holder, Identity,
        MemberRef, Over, Policies, Role, User,
    },
    records::{Kind, Revision},
};

/// Whom a file has switched off, as `user/<id>` or `agent/<id>`: when it no longer says so they are switched on again, and whom
/// somebody else switched off are not.
const SWITCHED_OFF: &str = "switched-off";
/// What keeps in mind what a file has made.
const FILE: &str = "file";
/// The policies in force.
pub(crate) const PUBLISHED: &str = "published";

/// What applying a file comes to in one tenant.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct AppliedTenant {
    /// Which.
    pub tenant: TenantId,
    /// What becomes of what. Nothing, where the tenant is as the file has it.
    pub differences: Vec<Difference>,
    /// The commit; nothing where it was only planned.
    pub revision: Option<Revision>,
}

impl Directory {
    /// What applying a file would come to.
    ///
    /// # Errors
    /// [`ChangeError`] says why it cannot be applied.
    pub async fn plan_file(
        &self,
        actor: &Actor,
        wanted: &Wanted,
    ) -> Result<Vec<AppliedTenant>, ChangeError> {
        let mut plans = Vec::new();
        for (tenant, wanted) in &wanted.tenants {
            let edits = self.edits_of(tenant, wanted).await?;
            let differences = self.plan_even_new(actor, tenant, &edits).await?;
            plans.push(AppliedTenant {
                tenant: tenant.clone(),
                differences: told(differences),
                revision: None,
            });
        }
        Ok(plans)
    }

    /// Makes the tenants as a file has them, one after the other, each in one piece.
    ///
    /// # Errors
    /// [`ChangeError`] says why it was not applied to the tenant that it names, and those after it by name.
    pub async fn apply_file(
        &self,
        actor: &Actor,
        wanted: &Wanted,
    ) -> Result<Vec<AppliedTenant>, ChangeError> {
        let mut applied = Vec::new();
        for (tenant, wanted) in &wanted.tenants {
            if self.settings(tenant).is_none() {
                self.create_tenant(actor.clone(), tenant, wanted.settings.clone())
                    .await?;
            }
            let edits = self.edits_of(tenant, wanted).await?;
            let differences = self.plan(actor, tenant, &edits).await?;
            let made = self.change(actor.clone(), tenant, "file.apply", edits);
            applied.push(AppliedTenant {
                tenant: tenant.clone(),
                differences: told(differences),
                revision: Some(made.await?.revision),
            });
        }
        Ok(applied)
    }

    async fn edits_of(
        &self,
        tenant: &TenantId,
        wanted: &WantedTenant,
    ) -> Result<Vec<Edit>, ChangeError> {
        let before = match self.look(tenant, Kind::Applied, FILE).await? {
            Some(Document::Applied(AppliedFile(before))) => before,
            _ => BTreeMap::new(),
        };
        let mut applying = Applying {
            directory: self,
            tenant,
            before,
            owned: BTreeMap::new(),
            edits: Vec::new(),
            people: BTreeMap::new(),
            agents: BTreeMap::new(),
        };
        applying.settings(wanted).await?;
        for user in &wanted.users {
            applying.user(user).await?;
        }
        for agent in &wanted.agents {
            applying.agent(agent).await?;
        }
        for group in &wanted.groups {
            applying.group(group).await?;
        }
        for grant in &wanted.grants {
            applying.grant(grant).await?;
        }
        applying.switch_on().await?;
        Ok(applying.end())
    }

    async fn look(
        &self,
        tenant: &TenantId,
        kind: Kind,
        id: &str,
    ) -> Result<Option<Document>, ChangeError> {
        let found = self.get(tenant, kind, id).await.map_err(unlooked)?;
        Ok(found.map(|found| found.document))
    }
}

struct Applying<'a> {
    directory: &'a Directory,
    tenant: &'a TenantId,
    /// What the file has made before, by kind.
    before: BTreeMap<String, BTreeSet<String>>,
    owned: BTreeMap<String, BTreeSet<String>>,
    edits: Vec<Edit>,
    /// Whose ids were found or chosen.
    people: BTreeMap<Identity, Arc<str>>,
    agents: BTreeMap<Identity, Arc<str>>,
}

impl Applying<'_> {
    fn put(&mut self, id: Arc<str>, document: Document) {
        self.edits.push(Edit::Put {
            id,
            document,
            expected: Expected::Any,
        });
    }

    fn own(&mut self, kind: Kind, id: &str) {
        let of_kind = self.owned.entry(kind.name().to_owned()).or_default();
        of_kind.insert(id.to_owned());
    }

    fn owned_before(&self, kind: Kind, id: &str) -> bool {
        let of_kind = self.before.get(kind.name());
        of_kind.is_some_and(|ids| ids.contains(id))
    }

    fn make(&mut self, id: Arc<str>, document: Document) {
        self.own(document.kind(), &id);
        self.put(id, document);
    }

    async fn settings(&mut self, wanted: &WantedTenant) -> Result<(), ChangeError> {
        let own_name: Arc<str> = self.tenant.as_str().into();
        self.put(own_name, Document::Tenant(wanted.settings.clone()));
        let known = self.directory.settings(self.tenant).unwrap_or_default();
        for issuer in &wanted.issuers {
            let id = known
                .issuers
                .iter()
                .find(|(_, known)| known.issuer == issuer.issuer)
                .map_or_else(|| issuer_id(&issuer.issuer), |(id, _)| Arc::clone(id));
            self.make(id, Document::Issuer(issuer.clone()));
        }
        for (name, server) in &wanted.servers {
            self.make(name.as_str().into(), Document::Server(server.clone()));
        }
        for (name, server) in &wanted.virtual_servers {
            self.make(
                name.as_str().into(),
                Document::VirtualServer(server.clone()),
            );
        }
        for role in &wanted.roles {
            self.make(
                role.name.as_str().into(),
                Document::Role(Role(role.clone())),
            );
        }
        let files = wanted.policies.clone().unwrap_or_default();
        let in_force = known.policies.get(PUBLISHED);
        if in_force.map(|it| &it.files).cloned().unwrap_or_default() != files {
            let version = next_version(known.policies.keys());
            let policies = Policies {
                files,
                note: Some("applied from a file".to_owned()),
                at: Some(self.directory.now().millis()),
                base: in_force.and_then(|it| it.base.clone()),
                ..Policies::default()
            };
            self.put(Arc::clone(&version), Document::Policies(policies.clone()));
            let published = Policies {
                base: Some(version.to_string()),
                ..policies
            };
            self.put(PUBLISHED.into(), Document::Policies(published));
        }
        Ok(())
    }

    async fn user(&mut self, wanted: &WantedUser) -> Result<(), ChangeError> {
        let identity = wanted.identity.clone();
        let id = self.person(&identity).await?;
        let document = self.directory.look(self.tenant, Kind::User, &id).await?;
        let owned = self.owned_before(Kind::User, &id) || document.is_none();
        let mut user = match document {
            Some(Document::User(user)) => user,
            _ => self.new_user(&identity, &id),
        };
        if wanted.disabled {
            let now = self.directory.now();
            let reason = || Disabled::new(now, Some("in the file".to_owned()));
            user.disabled.get_or_insert_with(reason);
            self.switched_off(Kind::User, &id);
        }
        if let Some(name) = &wanted.display_name
            && owned
        {
            user.display_name = Some(name.clone());
        }
        if owned {
            self.own(Kind::User, &id);
        }
        self.edits.retain(|edit| !is_put(edit, Kind::User, &id));
        self.put(id, Document::User(user));
        Ok(())
    }

    /// The id of a person, whom the file makes where nobody is known by this.
    async fn person(&mut self, identity: &Identity) -> Result<Arc<str>, ChangeError> {
        if let Some(id) = self.people.get(identity) {
            return Ok(Arc::clone(id));
        }
        let subject = identity.subject();
        let known = self.directory.whose(self.tenant, PartyKind::User, &subject);
        let id = match known {
            Some(id) => {
                if self.owned_before(Kind::User, &id) {
                    self.own(Kind::User, &id);
                }
                id
            }
            None => {
                let id = self.free_id(Kind::User, identity).await?;
                let user = self.new_user(identity, &id);
                self.make(Arc::clone(&id), Document::User(user));
                id
            }
        };
        self.people.insert(identity.clone(), Arc::clone(&id));
        Ok(id)
    }

    fn new_user(&self, identity: &Identity, id: &str) -> User {
        if identity.issuer == Subject::LOCAL {
            return User::new(id);
        }
        let mut user = User::new(&identity.subject);
        // Two issuers may call two people alike.
        let taken = self.edits.iter().any(|edit| {
            matches!(edit, Edit::Put { document: Document::User(other), id: other_id, .. }
                if User::folded(&other.user_name) == User::folded(&user.user_name) && **other_id != *id)
        }) || self.directory.is_user_name_taken(self.tenant, &user.user_name);
        if taken {
            user.user_name = at_issuer(&identity.subject());
        }
        user.identities = vec![identity.clone()];
        user
    }

    async fn agent(&mut self, wanted: &WantedAgent) -> Result<(), ChangeError> {
        let owner = match &wanted.owner {
            Some(owner) => Some(self.person(owner).await?.to_string()),
            None => None,
        };
        let id = self.program(&wanted.identity).await?;
        let document = self.directory.look(self.tenant, Kind::Agent, &id).await?;
        let is_new = document.is_none();
        let mut agent = match document {
            Some(Document::Agent(agent)) => agent,
            _ => new_agent(&wanted.identity),
        };
        let owned = self.owned_before(Kind::Agent, &id) || is_new;
        if owned {
            self.own(Kind::Agent, &id);
            agent.name = wanted.name.clone().unwrap_or_else(|| id.to_string());
            agent.owner = owner;
            agent.purpose.clone_from(&wanted.purpose);
            agent.expires = wanted.expires;
        }
        if wanted.disabled {
            agent.status = AgentStatus::Disabled;
            self.switched_off(Kind::Agent, &id);
        }
        // Whose owner left stays suspended, until the file names another.
        if agent.status == AgentStatus::Suspended
            && agent
                .owner
                .as_deref()
                .is_some_and(|owner| self.directory.is_alive_user(self.tenant, owner))
        {
            agent.status = AgentStatus::Active;
        }
        self.edits.retain(|edit| !is_put(edit, Kind::Agent, &id));
        self.put(id, Document::Agent(agent));
        Ok(())
    }

    async fn program(&mut self, identity: &Identity) -> Result<Arc<str>, ChangeError> {
        if let Some(id) = self.agents.get(identity) {
            return Ok(Arc::clone(id));
        }
        let subject = identity.subject();
        let known = self
            .directory
            .whose(self.tenant, PartyKind::Agent, &subject);
        let id = match known {
            Some(id) => {
                if self.owned_before(Kind::Agent, &id) {
                    self.own(Kind::Agent, &id);
                }
                id
            }
            None => {
                let id = self.free_id(Kind::Agent, identity).await?;
                self.make(Arc::clone(&id), Document::Agent(new_agent(identity)));
                id
            }
        };
        self.agents.insert(identity.clone(), Arc::clone(&id));
        Ok(id)
    }

    /// An id that nobody else has: as the issuer says if that can be, or with the issuer in it.
    async fn free_id(&self, kind: Kind, identity: &Identity) -> Result<Arc<str>, ChangeError> {
        let short = id_of(&identity.subject);
        // Who is local is known by the id itself.
        if identity.issuer == Subject::LOCAL {
            return Ok(short);
        }
        let taken_here = self.edits.iter().any(|edit| is_put(edit, kind, &short));
        if !taken_here
            && self
                .directory
                .look(self.tenant, kind, &short)
                .await?
                .is_none()
        {
            return Ok(short);
        }
        Ok(id_of(&at_issuer(&identity.subject())))
    }

    async fn group(&mut self, wanted: &WantedGroup) -> Result<(), ChangeError> {
        let id = self.group_id(&wanted.name).await?;
        let document = self.directory.look(self.tenant, Kind::Group, &id).await?;
        let owned = self.owned_before(Kind::Group, &id) || document.is_none();
        let group = match document {
            Some(Document::Group(group)) => group,
            _ => Group::new(&wanted.name),
        };
        if !owned {
            let message = format!(
                "the group `{}` is not the file's: who is in it is for those to say who made it",
                wanted.name
            );
            return Err(ChangeError::broken("group-of-others", message));
        }
        self.make(Arc::clone(&id), Document::Group(group));
        let mut members = BTreeSet::new();
        for user in &wanted.users {
            members.insert(MemberRef::user(&self.person(user).await?));
        }
        for agent in &wanted.agents {
            members.insert(MemberRef::agent(&self.program(agent).await?));
        }
        for inner in &wanted.groups {
            members.insert(MemberRef::group(&self.group_id(inner).await?));
        }
        let present = self.directory.members(self.tenant, &id, None, usize::MAX);
        for member in present
            .into_iter()
            .filter(|member| !members.contains(member))
        {
            let group = Arc::clone(&id);
            self.edits.push(Edit::Leave { group, member });
        }
        for member in members {
            let group = Arc::clone(&id);
            self.edits.push(Edit::Join { group, member });
        }
        Ok(())
    }

    /// The id of the group of this name, whether it is there or is to be made.
    async fn group_id(&self, name: &str) -> Result<Arc<str>, ChangeError> {
        let found = self
            .directory
            .find(self.tenant, &Group::by_display_name(name))
            .await
            .map_err(unlooked)?;
        Ok(found.map_or_else(|| id_of(name), |found| found.record.id))
    }

    async fn grant(&mut self, wanted: &WantedGrant) -> Result<(), ChangeError> {
        let to = match &wanted.to {
            WantedHolder::User(identity) => Holder::User(self.person(identity).await?.to_string()),
            WantedHolder::Agent(identity) => {
                Holder::Agent(self.program(identity).await?.to_string())
            }
            WantedHolder::Group { name } => Holder::Group(self.group_id(name).await?.to_string()),
            WantedHolder::ClaimedGroup { issuer, name } => Holder::ClaimedGroup {
                issuer: issuer.clone(),
                name: name.clone(),
            },
        };
        let over = match &wanted.over {
            None => None,
            Some(WantedOver::Server(server)) => Some(Over::Server(server.clone())),
            Some(WantedOver::Group(name)) => {
                Some(Over::Group(self.group_id(name).await?.to_string()))
            }
        };
        let grant = Grant {
            role: wanted.role.clone(),
            to,
            over,
            expires: wanted.expires,
            reason: wanted.reason.clone(),
        };
        // One that has ended gives nothing; a file that still has it is no mistake.
        let now = self.directory.now().millis();
        let id = grant_id(&grant);
        let is_over = grant.expires.is_some_and(|end| end <= now);
        if is_over
            && self
                .directory
                .look(self.tenant, Kind::Grant, &id)
                .await?
                .is_none()
        {
            return Ok(());
        }
        self.make(id, Document::Grant(grant));
        Ok(())
    }

    fn switched_off(&mut self, kind: Kind, id: &str) {
        let all = self.owned.entry(SWITCHED_OFF.to_owned()).or_default();
        all.insert(format!("{kind}/{id}"));
    }

    /// Switches those on that the file had switched off, and no longer does.
    async fn switch_on(&mut self) -> Result<(), ChangeError> {
        let now = self.owned.get(SWITCHED_OFF).cloned().unwrap_or_default();
        let before = self.before.get(SWITCHED_OFF).cloned().unwrap_or_default();
        for gone in before.difference(&now) {
            let Some((kind, id)) = gone.split_once('/') else {
                continue;
            };
            let Some(kind) = Kind::named(kind) else {
                continue;
            };
            let edited = self.edits.iter_mut().find_map(|edit| match edit {
                Edit::Put {
                    id: of, document, ..
                } if document.kind() == kind && **of == *id => Some(document),
                _ => None,
            });
            if let Some(document) = edited {
                let on = switched_on(document.clone());
                *document = on;
            } else if let Some(document) = self.directory.look(self.tenant, kind, id).await? {
                self.put(id.into(), switched_on(document));
            }
        }
        Ok(())
    }

    /// Takes away what the file had made and no longer has.
    fn end(mut self) -> Vec<Edit> {
        for (kind, ids) in &self.before {
            let Some(of_kind) = Kind::named(kind) else {
                continue;
            };
            let kept = self.owned.get(kind);
            let gone = ids
                .iter()
                .filter(|id| kept.is_none_or(|kept| !kept.contains(*id)));
            for id in gone {
                self.edits.push(Edit::Remove {
                    kind: of_kind,
                    id: id.as_str().into(),
                    expected: Expected::Any,
                });
            }
        }
        let owned = AppliedFile(std::mem::take(&mut self.owned));
        self.put(FILE.into(), Document::Applied(owned));
        self.edits
    }
}

fn switched_on(document: Document) -> Document {
    match document {
        Document::User(user) => Document::User(User {
            disabled: None,
            ..user
        }),
        Document::Agent(agent) if agent.status == AgentStatus::Disabled => Document::Agent(Agent {
            status: AgentStatus::Active,
            ..agent
        }),
        other => other,
    }
}

/// The version of policies after those that there are.
pub(crate) fn next_version<'a>(known: impl Iterator<Item = &'a Arc<str>>) -> Arc<str> {
    let last = known
        .filter_map(|id| id.strip_prefix('v')?.parse::<u32>().ok())
        .max()
        .unwrap_or_default();
    format!("v{:04}", last.saturating_add(1)).into()
}

fn new_agent(identity: &Identity) -> Agent {
    let mut agent = Agent::new(&identity.subject);
    if identity.issuer != Subject::LOCAL {
        agent.identities = vec![identity.clone()];
    }
    agent
}

fn is_put(edit: &Edit, kind: Kind, id: &str) -> bool {
    matches!(edit, Edit::Put { id: of, document, .. } if document.kind() == kind && **of == *id)
}

/// What it comes to for people: not what is kept in mind for the next time.
fn told(mut differences: Vec<Difference>) -> Vec<Difference> {
    let own = format!("{} {FILE}", Kind::Applied);
    differences.retain(|difference| difference.of != own);
    differences
}

fn unlooked(error: LookError) -> ChangeError {
    match error {
        LookError::Records(error) => ChangeError::Unavailable(error),
        LookError::Unreadable(error) => ChangeError::Unreadable(error),
    }
}
