//! What requests and rules need to know of a tenant, in memory. A change costs what it changes.

mod people;
mod waiting;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::{Arc, Mutex},
};

use gatewright_core::{Group as CoreGroup, Membership, PartyKind, Status, Subject, Timestamp};

pub(crate) use self::waiting::Waiting;
use crate::{
    lock,
    model::{
        Agent, AgentStatus, Document, Grant, Holder, Issuer, MemberKind, MemberRef, Policies, Role,
        ScimAttribute, Server, Tenant, User, VirtualServer,
    },
    records::{Kind, Revision},
};

/// Groups in groups are followed this far; rules allow no deeper ones.
pub(crate) const DEEPEST: usize = 16;

/// Whose identity it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Account {
    pub(crate) kind: PartyKind,
    pub(crate) id: Arc<str>,
}

/// A group, as far as requests need it.
#[derive(Debug, Default)]
pub(crate) struct GroupState {
    pub(crate) display_name: Arc<str>,
    pub(crate) members: HashSet<MemberRef>,
    /// Of who is in it, whatever the order in which they came.
    pub(crate) digest: u64,
}

/// What a member adds to the digest of a group, and takes from it. The same in every process.
fn digest_of(member: &MemberRef) -> u64 {
    let kind = match member.kind {
        MemberKind::User => 1,
        MemberKind::Group => 2,
        MemberKind::Agent => 3,
    };
    // FNV-1a, and the last step of MurmurHash3, so that what is added up is spread.
    let hash = member
        .id
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64 ^ kind, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

/// A tenant in memory.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) revision: Revision,
    pub(crate) tenant: Tenant,
    pub(crate) issuers: BTreeMap<Arc<str>, Issuer>,
    pub(crate) people: people::People,
    pub(crate) agents: HashMap<Arc<str>, Agent>,
    agents_by_identity: HashMap<Subject, Arc<str>>,
    agents_of: HashMap<String, BTreeSet<Arc<str>>>,
    pub(crate) groups: HashMap<Arc<str>, GroupState>,
    in_groups: HashMap<MemberRef, BTreeSet<Arc<str>>>,
    pub(crate) roles: BTreeMap<Arc<str>, Role>,
    pub(crate) grants: HashMap<Arc<str>, Grant>,
    grants_of: HashMap<Holder, BTreeSet<Arc<str>>>,
    pub(crate) servers: BTreeMap<Arc<str>, Server>,
    pub(crate) virtual_servers: BTreeMap<Arc<str>, VirtualServer>,
    pub(crate) policies: BTreeMap<Arc<str>, Policies>,
    /// Of its own, so that whoever begins to wait keeps nobody from reading the rest.
    pub(crate) waiting: Mutex<Waiting>,
}

/// What a change has touched, for those who keep something that was made of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Touched {
    pub(crate) kinds: BTreeSet<Kind>,
    pub(crate) holders: BTreeSet<Holder>,
    pub(crate) subjects: Vec<(PartyKind, Subject)>,
    /// Everybody's status may be another.
    pub(crate) everybody: bool,
}

impl State {
    /// Puts a document in the place of what there was of it, or takes it away.
    pub(crate) fn set(&mut self, kind: Kind, id: &Arc<str>, document: Option<Document>) -> Touched {
        let mut touched = Touched::default();
        touched.kinds.insert(kind);
        match kind {
            Kind::Tenant => {
                self.tenant = match document {
                    Some(Document::Tenant(tenant)) => tenant,
                    _ => Tenant::default(),
                };
                touched.everybody = true;
            }
            Kind::Issuer => {
                put(&mut self.issuers, id, document, |document| match document {
                    Document::Issuer(issuer) => Some(issuer),
                    _ => None,
                });
                touched.everybody = true;
            }
            Kind::User => self.set_user(id, document, &mut touched),
            Kind::Agent => self.set_agent(id, document, &mut touched),
            Kind::Group => self.set_group(id, document),
            Kind::Member => self.set_member(id, document.as_ref()),
            Kind::Grant => self.set_grant(id, document, &mut touched),
            Kind::Role => put(&mut self.roles, id, document, |document| match document {
                Document::Role(role) => Some(role),
                _ => None,
            }),
            Kind::Server => put(&mut self.servers, id, document, |document| match document {
                Document::Server(server) => Some(server),
                _ => None,
            }),
            Kind::VirtualServer => {
                put(
                    &mut self.virtual_servers,
                    id,
                    document,
                    |document| match document {
                        Document::VirtualServer(server) => Some(server),
                        _ => None,
                    },
                );
            }
            Kind::Policies => put(
                &mut self.policies,
                id,
                document,
                |document| match document {
                    Document::Policies(policies) => Some(policies),
                    _ => None,
                },
            ),
            // Nothing of them is asked for by requests.
            Kind::ScimToken | Kind::Receipt | Kind::Applied => {}
        }
        touched
    }

    fn set_user(&mut self, id: &Arc<str>, document: Option<Document>, touched: &mut Touched) {
        touched.subjects.extend(self.subjects_of_user(id));
        let user = match document {
            Some(Document::User(user)) => Some(user),
            _ => None,
        };
        self.people.set(id, user.as_ref());
        touched.subjects.extend(self.subjects_of_user(id));
    }

    fn set_agent(&mut self, id: &Arc<str>, document: Option<Document>, touched: &mut Touched) {
        let of_agent = |subject: Subject| (PartyKind::Agent, subject);
        touched
            .subjects
            .push(of_agent(Subject::new(Subject::LOCAL, id)));
        if let Some(before) = self.agents.remove(id) {
            for identity in &before.identities {
                let subject = identity.subject();
                people::take_back(&mut self.agents_by_identity, &subject, id);
                touched.subjects.push(of_agent(subject));
            }
            if let Some(owner) = &before.owner
                && let Some(owned) = self.agents_of.get_mut(owner)
            {
                owned.remove(id);
                if owned.is_empty() {
                    self.agents_of.remove(owner);
                }
            }
        }
        let Some(Document::Agent(agent)) = document else {
            return;
        };
        for identity in &agent.identities {
            let subject = identity.subject();
            touched.subjects.push(of_agent(subject.clone()));
            self.agents_by_identity.insert(subject, Arc::clone(id));
        }
        if let Some(owner) = &agent.owner {
            let owned = self.agents_of.entry(owner.clone()).or_default();
            owned.insert(Arc::clone(id));
        }
        self.agents.insert(Arc::clone(id), agent);
    }

    fn set_group(&mut self, id: &Arc<str>, document: Option<Document>) {
        match document {
            Some(Document::Group(group)) => {
                let known = self.groups.entry(Arc::clone(id)).or_default();
                known.display_name = group.display_name.into();
            }
            // Its members are taken away by themselves.
            _ => {
                self.groups.remove(id);
            }
        }
    }

    fn set_member(&mut self, id: &str, document: Option<&Document>) {
        let Some((group, member)) = id.split_once('/') else {
            return;
        };
        match document {
            Some(Document::Member(membership)) => {
                let group: Arc<str> = group.into();

                let member = MemberRef {
                    kind: membership.member,
                    id: member.into(),
                };
                let of_group = self.groups.entry(Arc::clone(&group)).or_default();
                if of_group.members.insert(member.clone()) {
                    of_group.digest = of_group.digest.wrapping_add(digest_of(&member));
                }
                self.in_groups.entry(member).or_default().insert(group);
            }
            _ => {
                for kind in MemberKind::ALL {
                    let member = MemberRef {
                        kind,
                        id: member.into(),
                    };
                    if let Some(known) = self.groups.get_mut(group)
                        && known.members.remove(&member)
                    {
                        known.digest = known.digest.wrapping_sub(digest_of(&member));
                    }
                    if let Some(groups) = self.in_groups.get_mut(&member) {
                        groups.remove(group);
                        if groups.is_empty() {
                            self.in_groups.remove(&member);
                        }
                    }
                }
            }
        }
    }

    fn set_grant(&mut self, id: &Arc<str>, document: Option<Document>, touched: &mut Touched) {
        if let Some(before) = self.grants.remove(id) {
            if let Some(grants) = self.grants_of.get_mut(&before.to) {
                grants.remove(id);
                if grants.is_empty() {
                    self.grants_of.remove(&before.to);
                }
            }
            touched.holders.insert(before.to);
        }
        if let Some(Document::Grant(grant)) = document {
            let grants = self.grants_of.entry(grant.to.clone()).or_default();
            grants.insert(Arc::clone(id));
            touched.holders.insert(grant.to.clone());
            self.grants.insert(Arc::clone(id), grant);
        }
    }

    /// Who a subject is, if anybody.
    pub(crate) fn account(&self, kind: PartyKind, subject: &Subject) -> Option<Account> {
        let id = match kind {
            PartyKind::User => self.user_of(subject)?,
            PartyKind::Agent => self.agent_of(subject)?,
        };
        Some(Account { kind, id })
    }

    fn user_of(&self, subject: &Subject) -> Option<Arc<str>> {
        if subject.issuer() == Subject::LOCAL {
            return self.people.known(subject.id());
        }
        if let Some(id) = self.people.by_identity(subject) {
            return Some(id);
        }
        match self.scim_attribute(subject.issuer())? {
            ScimAttribute::ExternalId => self.people.by_external_id(subject.id()),
            ScimAttribute::UserName => self.people.by_user_name(&User::folded(subject.id())),
        }
    }

    fn agent_of(&self, subject: &Subject) -> Option<Arc<str>> {
        if subject.issuer() == Subject::LOCAL {
            return self
                .agents
                .get_key_value(subject.id())
                .map(|(id, _)| Arc::clone(id));
        }
        self.agents_by_identity.get(subject).cloned()
    }

    /// By which attribute the people of an issuer are provisioned, if they are.
    pub(crate) fn scim_attribute(&self, issuer: &str) -> Option<ScimAttribute> {
        self.issuers
            .values()
            .find(|known| known.issuer == issuer)?
            .scim_attribute
    }

    pub(crate) fn trusts(&self, issuer: &str) -> bool {
        issuer == Subject::LOCAL || self.issuers.values().any(|known| known.issuer == issuer)
    }

    /// The status of a subject at a moment.
    pub(crate) fn status(&self, kind: PartyKind, subject: &Subject, now: Timestamp) -> Status {
        match self.let_in(kind, subject, now) {
            Ok(account) => Status::Active(self.membership(&account)),
            Err(refused) => refused,
        }
    }

    /// Who a subject is, if they are let in at a moment; the status that refuses them, if not.
    pub(crate) fn let_in(
        &self,
        kind: PartyKind,
        subject: &Subject,
        now: Timestamp,
    ) -> Result<Account, Status> {
        if self.tenant.disabled || !self.trusts(subject.issuer()) {
            return Err(Status::Disabled);
        }
        let account = self.account(kind, subject).ok_or(Status::Unknown)?;
        if self.is_alive(&account, now) {
            Ok(account)
        } else {
            Err(Status::Disabled)
        }
    }

    pub(crate) fn is_alive(&self, account: &Account, now: Timestamp) -> bool {
        match account.kind {
            PartyKind::User => self
                .people
                .get(&account.id)
                .is_some_and(|person| person.alive),
            PartyKind::Agent => self.agents.get(&account.id).is_some_and(|agent| {
                agent.status == AgentStatus::Active
                    && agent.expires.is_none_or(|end| now.millis() < end)
            }),
        }
    }

    fn membership(&self, account: &Account) -> Membership {
        let (kind, side) = match account.kind {
            PartyKind::User => (MemberKind::User, "user"),
            PartyKind::Agent => (MemberKind::Agent, "agent"),
        };
        let member = MemberRef {
            kind,
            id: Arc::clone(&account.id),
        };
        Membership {
            account: Some(format!("{side}/{}", account.id).into()),
            groups: self
                .groups_of(&member)
                .iter()
                .map(|group| CoreGroup::new(CoreGroup::DIRECTORY, group))
                .collect(),
        }
    }

    /// The groups that somebody is in, by themselves or by other groups.
    pub(crate) fn groups_of(&self, member: &MemberRef) -> BTreeSet<Arc<str>> {
        let mut all = BTreeSet::new();
        let mut next: Vec<MemberRef> = vec![member.clone()];
        for _ in 0..=DEEPEST {
            let mut found = Vec::new();
            for group in next
                .iter()
                .filter_map(|of| self.in_groups.get(of))
                .flatten()
            {
                if all.insert(Arc::clone(group)) {
                    found.push(MemberRef {
                        kind: MemberKind::Group,
                        id: Arc::clone(group),
                    });
                }
            }
            if found.is_empty() {
                break;
            }
            next = found;
        }
        all
    }

    /// The groups that somebody is in by themselves.
    pub(crate) fn direct_groups_of(&self, member: &MemberRef) -> impl Iterator<Item = &Arc<str>> {
        self.in_groups.get(member).into_iter().flatten()
    }

    /// The agents for which a person answers.
    pub(crate) fn agents_of(&self, user: &str) -> impl Iterator<Item = &Arc<str>> {
        self.agents_of.get(user).into_iter().flatten()
    }

    /// The grants that somebody has.
    pub(crate) fn grants_of(&self, holder: &Holder) -> impl Iterator<Item = (&Arc<str>, &Grant)> {
        let ids = self.grants_of.get(holder).into_iter().flatten();
        ids.filter_map(|id| self.grants.get_key_value(id))
    }

    /// As whom requests may come that are a person's.
    pub(crate) fn subjects_of_user(&self, id: &Arc<str>) -> Vec<(PartyKind, Subject)> {
        let Some(person) = self.people.get(id) else {
            return Vec::new();
        };
        let of_issuers = self.issuers.values().filter_map(|issuer| {
            let name = match issuer.scim_attribute? {
                ScimAttribute::ExternalId => person.external_id.as_deref()?,
                ScimAttribute::UserName => &person.user_name,
            };
            Some(Subject::new(&issuer.issuer, name))
        });
        [Subject::new(Subject::LOCAL, id)]
            .into_iter()
            .chain(person.identities.iter().cloned())
            .chain(of_issuers)
            .map(|subject| (PartyKind::User, subject))
            .collect()
    }

    /// As whom requests may come that are an agent's.
    pub(crate) fn subjects_of_agent(&self, id: &Arc<str>) -> Vec<(PartyKind, Subject)> {
        let Some(agent) = self.agents.get(id) else {
            return Vec::new();
        };
        let identities = agent.identities.iter().map(crate::model::Identity::subject);
        [Subject::new(Subject::LOCAL, id)]
            .into_iter()
            .chain(identities)
            .map(|subject| (PartyKind::Agent, subject))
            .collect()
    }

    /// Tells whoever waits for it that they are no longer let in.
    pub(crate) fn tell(&self, touched: &Touched, now: Timestamp) {
        let mut waiting = lock::hold(&self.waiting);
        let asked: Vec<(PartyKind, Subject)> = if touched.everybody {
            waiting.everybody()
        } else {
            touched.subjects.clone()
        };
        for (kind, subject) in asked {
            if waiting.is_waited_for(kind, &subject) && self.let_in(kind, &subject, now).is_err() {
                waiting.tell(kind, &subject);
            }
        }
    }

    /// Tells whoever waits for an agent that has expired since.
    pub(crate) fn tell_expired(&self, now: Timestamp) {
        let agents = lock::hold(&self.waiting).everybody().into_iter();
        let touched = Touched {
            subjects: agents
                .filter(|(kind, _)| *kind == PartyKind::Agent)
                .collect(),
            ..Touched::default()
        };
        self.tell(&touched, now);
    }
}

impl Touched {
    pub(crate) fn add(&mut self, other: Self) {
        self.kinds.extend(other.kinds);
        self.holders.extend(other.holders);
        self.subjects.extend(other.subjects);
        self.everybody |= other.everybody;
    }
}

fn put<T>(
    map: &mut BTreeMap<Arc<str>, T>,
    id: &Arc<str>,
    document: Option<Document>,
    of: impl FnOnce(Document) -> Option<T>,
) {
    match document.and_then(of) {
        Some(value) => {
            map.insert(Arc::clone(id), value);
        }
        None => {
            map.remove(id);
        }
    }
}
