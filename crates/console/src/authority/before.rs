//! What there is before a change, and what is asked about each part of it.

use std::{collections::BTreeSet, sync::Arc};

use gatewright_core::{
    AdminAction, AdminVerb, Given, Group, PartyKind, ServerName, Subject, TenantId, Timestamp,
    access::{self, BuiltInRole, Grantee, Scope},
};
use gatewright_directory::{
    Alteration, Directory, Proposal,
    model::{Document, Grant, Holder, MemberKind, MemberRef, Over},
    records::Kind,
};

use super::read_verb;
use crate::api::KEY;

/// A tenant before a change, with the change.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Before<'a> {
    pub(super) directory: &'a Directory,
    pub(super) tenant: &'a TenantId,
    pub(super) alterations: &'a [Alteration],
    pub(super) now: Timestamp,
}

/// Why a part of a change cannot even be asked about.
pub(super) type Unasked = String;

impl<'a> Before<'a> {
    pub(super) const fn new(proposal: &Proposal<'a>, now: Timestamp) -> Self {
        Self {
            directory: proposal.directory,
            tenant: proposal.tenant,
            alterations: proposal.alterations,
            now,
        }
    }

    /// Where nothing is changed.
    pub(crate) const fn looking(
        directory: &'a Directory,
        tenant: &'a TenantId,
        now: Timestamp,
    ) -> Self {
        Self {
            directory,
            tenant,
            alterations: &[],
            now,
        }
    }

    /// What is asked about one part of the change: all of it must be permitted.
    pub(super) fn actions(&self, alteration: &Alteration) -> Result<Vec<AdminAction>, Unasked> {
        if self.follows(alteration) {
            return Ok(Vec::new());
        }
        let (id, before, after) = (&alteration.id, &alteration.before, &alteration.after);
        Ok(match (before, after) {
            (None, None) => Vec::new(),
            (Some(Document::User(before)), Some(Document::User(after))) => {
                self.user_changed(id, before, after)
            }
            (None, Some(Document::User(user))) => self.user_created(id, user),
            (Some(Document::User(_)), None) => self.user_removed(id),
            (Some(Document::Agent(before)), Some(Document::Agent(after))) => {
                self.agent_changed(id, before, after)
            }
            (None, Some(Document::Agent(agent))) => self.agent_created(id, agent),
            (Some(Document::Agent(_)), None) => self.agent_removed(id),
            (before, Some(Document::Group(_))) | (before @ Some(Document::Group(_)), None) => {
                vec![self.group_written(id, before.is_some())]
            }
            (_, Some(Document::Member(membership))) => self.joined(id, membership.member)?,
            (Some(Document::Member(_)), None) => vec![self.left(id)?],
            (before, Some(Document::Role(role))) => vec![self.role_written(
                match before {
                    Some(Document::Role(before)) => Some(&before.0),
                    _ => None,
                },
                &role.0,
            )],
            (Some(Document::Role(role)), None) => vec![self.role_removed(&role.0)],
            (before, Some(Document::Grant(grant))) => self.grant_written(
                id,
                match before {
                    Some(Document::Grant(before)) => Some(before),
                    _ => None,
                },
                grant,
            )?,
            (Some(Document::Grant(grant)), None) => vec![self.grant_removed(id, grant)?],
            _ => self.settings_written(alteration)?,
        })
    }

    /// Whether it only follows from another part of the change: those of whom everything goes, and agents of whom nobody
    /// answers for any more.
    pub(super) fn follows(&self, alteration: &Alteration) -> bool {
        let goes = |kind: Kind, id: &str| {
            self.alterations.iter().any(|other| {
                other.kind == kind
                    && *other.id == *id
                    && other.before.is_some()
                    && other.after.is_none()
            })
        };
        match (&alteration.before, &alteration.after) {
            (Some(Document::Member(membership)), None) => alteration
                .id
                .split_once('/')
                .is_some_and(|(group, member)| {
                    goes(Kind::Group, group) || goes(kind_of(membership.member), member)
                }),
            (Some(Document::Grant(grant)), None) => match &grant.to {
                Holder::User(id) => goes(Kind::User, id),
                Holder::Group(id) => goes(Kind::Group, id),
                Holder::Agent(id) => goes(Kind::Agent, id),
                _ => false,
            },
            (Some(Document::Agent(before)), Some(Document::Agent(after))) => {
                self.is_suspended_with_owner(before, after)
            }
            _ => false,
        }
    }

    pub(super) fn action(&self, verb: AdminVerb, kind: Kind, id: &str) -> AdminAction {
        AdminAction::new(self.tenant.clone(), verb, kind.name(), id)
    }

    /// Reading a thing, or all things of a kind where `id` is empty.
    pub(crate) fn reading(&self, kind: Kind, id: &str) -> AdminAction {
        let mut action = self.action(read_verb(kind), kind, id);
        if id.is_empty() {
            return action;
        }
        action.concerns = match kind {
            Kind::User => self.groups_around(&MemberRef::user(id)),
            Kind::Agent => self.groups_around(&MemberRef::agent(id)),
            Kind::Group | Kind::Member => {
                let group = id.split_once('/').map_or(id, |(group, _)| group);
                self.group_and_around(group)
            }
            Kind::Server | Kind::VirtualServer => server_scope(id).into_iter().collect(),
            _ => Vec::new(),
        };
        action
    }

    /// Reading the grants of somebody.
    pub(crate) fn reading_grants_of(&self, holder: &Holder) -> AdminAction {
        let mut action = self.action(read_verb(Kind::Grant), Kind::Grant, "");
        action.concerns = self.around_holder(holder);
        action
    }

    /// Making a key that speaks for somebody: who has it gets what they hold.
    pub(crate) fn making_key(&self, kind: PartyKind, subject: &Subject) -> AdminAction {
        let mut action = self.on_key(AdminVerb::KeysWrite, kind, subject);
        action.gives = match self.directory.whose(self.tenant, kind, subject) {
            Some(id) => self.holdings(kind, &id),
            None => Vec::new(),
        };
        action
            .gives
            .push(Given::Holdings(of_subject(kind, subject.clone())));
        action
    }

    /// Revoking a key of somebody, or all that have ended.
    pub(crate) fn revoking_key(&self, of: Option<(PartyKind, &Subject)>) -> AdminAction {
        let Some((kind, subject)) = of else {
            let tenant = self.tenant.clone();
            return AdminAction::new(tenant, AdminVerb::KeysRemove, KEY, "");
        };
        let mut action = self.on_key(AdminVerb::KeysRemove, kind, subject);
        if let Some(id) = self.directory.whose(self.tenant, kind, subject) {
            action.gives = self.guarded_by(&member(kind, &id));
        }
        action
    }

    fn on_key(&self, verb: AdminVerb, kind: PartyKind, subject: &Subject) -> AdminAction {
        let mut action = AdminAction::new(self.tenant.clone(), verb, KEY, &subject.to_string());
        if let Some(id) = self.directory.whose(self.tenant, kind, subject) {
            action.concerns = self.groups_around(&member(kind, &id));
        }
        action
    }

    /// The groups that somebody is in, by themselves and by other groups.
    pub(super) fn groups_around(&self, member: &MemberRef) -> Vec<Scope> {
        let groups = self.directory.groups_of(self.tenant, member);
        groups.iter().map(|group| group_scope(&group.id)).collect()
    }

    pub(super) fn group_and_around(&self, id: &str) -> Vec<Scope> {
        let mut scopes = self.groups_around(&MemberRef::group(id));
        scopes.push(group_scope(id));
        scopes
    }

    pub(super) fn around_holder(&self, holder: &Holder) -> Vec<Scope> {
        match holder {
            Holder::User(id) => self.groups_around(&MemberRef::user(id)),
            Holder::Agent(id) => self.groups_around(&MemberRef::agent(id)),
            Holder::Group(id) => self.group_and_around(id),
            Holder::ClaimedGroup { issuer, name } => vec![Scope::Group(Group::new(issuer, name))],
            _ => Vec::new(),
        }
    }

    /// Everything that somebody has, by themselves and by their groups: who comes to act as them gets it.
    pub(crate) fn holdings(&self, kind: PartyKind, id: &Arc<str>) -> Vec<Given> {
        let side = match kind {
            PartyKind::User => "user",
            PartyKind::Agent => "agent",
        };
        let subjects = self.directory.subjects_of(self.tenant, kind, id);
        let mut grantees = vec![Grantee::Account(format!("{side}/{id}").into())];
        grantees.extend(
            subjects
                .into_iter()
                .map(|subject| of_subject(kind, subject)),
        );
        grantees.extend(
            self.groups_of(&member(kind, id))
                .into_iter()
                .map(Grantee::Group),
        );
        grantees.into_iter().map(Given::Holdings).collect()
    }

    pub(super) fn groups_of(&self, member: &MemberRef) -> Vec<Group> {
        let groups = self.directory.groups_of(self.tenant, member).into_iter();
        groups.map(|group| group_named(&group.id)).collect()
    }

    /// The grants of roles that permit administrators something, which somebody has by themselves and by their groups:
    /// only who holds as much changes or removes them.
    pub(super) fn powers(&self, member: &MemberRef) -> Result<Vec<Given>, Unasked> {
        let own = match member.kind {
            MemberKind::Agent => Holder::Agent(member.id.to_string()),
            MemberKind::Group => Holder::Group(member.id.to_string()),
            _ => Holder::User(member.id.to_string()),
        };
        let groups = self.directory.groups_of(self.tenant, member).into_iter();
        let holders = groups.map(|group| Holder::Group(group.id.to_string()));
        let mut powers = Vec::new();
        for holder in [own].into_iter().chain(holders) {
            for (_, grant) in self.directory.grants_of(self.tenant, &holder) {
                let ended = grant.expires.is_some_and(|end| end <= self.now.millis());
                if !ended && self.is_administrative(&grant.role) {
                    powers.push(Given::Grant(core_grant(&grant)?));
                }
            }
        }
        Ok(powers)
    }

    /// What whoever changes or removes somebody must hold. A grant that cannot be read gives nobody anything, and is
    /// protected as the most there is.
    pub(super) fn guarded_by(&self, member: &MemberRef) -> Vec<Given> {
        self.powers(member)
            .unwrap_or_else(|_unreadable| vec![everything()])
    }

    /// Whether a role, or one that it inherits from, permits administrators something.
    pub(super) fn is_administrative(&self, role: &str) -> bool {
        let mut seen = BTreeSet::new();
        let mut next = vec![role.to_owned()];
        while let Some(name) = next.pop() {
            if BuiltInRole::named(&name).is_some() {
                return true;
            }
            if !seen.insert(name.clone()) {
                continue;
            }
            let Some(role) = self.directory.role(self.tenant, &name) else {
                continue;
            };
            if !role.0.admin.is_empty() {
                return true;
            }
            next.extend(role.0.inherits);
        }
        false
    }
}

/// All that an administrator can hold: what gives it is for those alone who have it.
pub(super) fn everything() -> Given {
    let nobody = Grantee::Account("".into());
    Given::Grant(access::Grant::new(BuiltInRole::ADMINISTRATOR, nobody))
}

fn member(kind: PartyKind, id: &str) -> MemberRef {
    match kind {
        PartyKind::User => MemberRef::user(id),
        PartyKind::Agent => MemberRef::agent(id),
    }
}

pub(super) const fn kind_of(member: MemberKind) -> Kind {
    match member {
        MemberKind::Group => Kind::Group,
        MemberKind::Agent => Kind::Agent,
        _ => Kind::User,
    }
}

pub(super) fn group_named(id: &str) -> Group {
    Group::new(Group::DIRECTORY, id)
}

pub(super) fn group_scope(id: &str) -> Scope {
    Scope::Group(group_named(id))
}

/// What cannot be the name of a server, none is over.
pub(super) fn server_scope(name: &str) -> Option<Scope> {
    ServerName::new(name).ok().map(Scope::Server)
}

pub(super) const fn of_subject(kind: PartyKind, subject: Subject) -> Grantee {
    match kind {
        PartyKind::User => Grantee::User(subject),
        PartyKind::Agent => Grantee::Agent(subject),
    }
}

/// A grant, as the engine knows it.
pub(crate) fn core_grant(grant: &Grant) -> Result<access::Grant, Unasked> {
    let to = match &grant.to {
        Holder::User(id) => Grantee::Account(format!("user/{id}").into()),
        Holder::Agent(id) => Grantee::Account(format!("agent/{id}").into()),
        Holder::Group(id) => Grantee::Group(group_named(id)),
        Holder::ClaimedGroup { issuer, name } => Grantee::Group(Group::new(issuer, name)),
        _ => return Err("nobody knows to whom the grant is".to_owned()),
    };
    let mut made = access::Grant::new(&grant.role, to);
    made.expires = grant.expires.map(Timestamp::from_millis);
    made.reason.clone_from(&grant.reason);
    made.over = match &grant.over {
        None => None,
        Some(Over::Group(id)) => Some(group_scope(id)),
        Some(Over::Server(name)) => {
            let scope = server_scope(name);
            Some(scope.ok_or_else(|| format!("`{name}` is no name of a server"))?)
        }
        Some(_) => return Err("nobody knows what the grant is over".to_owned()),
    };
    Ok(made)
}
