//! People and agents.

use std::{collections::BTreeSet, sync::Arc};

use gatewright_core::{AdminAction, AdminVerb, Given, PartyKind, Subject, access::Scope};
use gatewright_directory::{
    model::{Agent, AgentStatus, Document, Identity, MemberKind, MemberRef, ScimAttribute, User},
    records::Kind,
};

use super::before::{Before, group_scope, of_subject};

impl Before<'_> {
    pub(super) fn user_created(&self, id: &Arc<str>, user: &User) -> Vec<AdminAction> {
        let member = MemberRef::user(id);
        let mut actions = vec![self.of(AdminVerb::UsersWrite, &member, true)];
        let linked = self.subjects(user);
        self.link(&member, &linked, true, &mut actions);
        if user.invited.is_some() {
            actions.push(self.of(AdminVerb::InvitationsWrite, &member, true));
        }
        actions
    }

    pub(super) fn user_changed(
        &self,
        id: &Arc<str>,
        before: &User,
        after: &User,
    ) -> Vec<AdminAction> {
        let member = MemberRef::user(id);
        let mut actions = Vec::new();
        let mut verbs = BTreeSet::new();
        let same_but_switch = User {
            active: after.active,
            disabled: after.disabled.clone(),
            identities: after.identities.clone(),
            invited: after.invited.clone(),
            ..before.clone()
        };
        if same_but_switch != *after || (!before.is_alive() && after.is_alive()) {
            verbs.insert(AdminVerb::UsersWrite);
        }
        if (before.active, &before.disabled) != (after.active, &after.disabled) && !after.is_alive()
        {
            verbs.insert(AdminVerb::UsersDisable);
        }
        actions.extend(verbs.into_iter().map(|verb| self.protecting(verb, &member)));
        if before.invited != after.invited {
            let mut invites = self.of(AdminVerb::InvitationsWrite, &member, false);
            if after.invited.is_some() {
                // Whoever comes by it is the person.
                invites.gives = self.holdings(PartyKind::User, id);
            }
            actions.push(invites);
        }
        let (had, has) = (self.subjects(before), self.subjects(after));
        let linked: BTreeSet<Subject> = has.difference(&had).cloned().collect();
        self.link(&member, &linked, false, &mut actions);
        if had.difference(&has).next().is_some() {
            actions.push(self.protecting(AdminVerb::IdentitiesRemove, &member));
        }
        actions
    }

    pub(super) fn user_removed(&self, id: &Arc<str>) -> Vec<AdminAction> {
        vec![self.protecting(AdminVerb::UsersRemove, &MemberRef::user(id))]
    }

    pub(super) fn agent_created(&self, id: &Arc<str>, agent: &Agent) -> Vec<AdminAction> {
        let member = MemberRef::agent(id);
        let mut actions = vec![self.of(AdminVerb::AgentsWrite, &member, true)];
        let linked = agent.identities.iter().map(Identity::subject).collect();
        self.link(&member, &linked, true, &mut actions);
        actions
    }

    pub(super) fn agent_changed(
        &self,
        id: &Arc<str>,
        before: &Agent,
        after: &Agent,
    ) -> Vec<AdminAction> {
        let member = MemberRef::agent(id);
        let mut actions = Vec::new();
        let same_but_switch = Agent {
            status: after.status.clone(),
            identities: after.identities.clone(),
            ..before.clone()
        };
        let switched = before.status != after.status;
        let on = after.status == AgentStatus::Active;
        if same_but_switch != *after || (switched && on) {
            actions.push(self.protecting(AdminVerb::AgentsWrite, &member));
        }
        if switched && !on {
            actions.push(self.protecting(AdminVerb::AgentsDisable, &member));
        }
        let subjects = |agent: &Agent| -> BTreeSet<Subject> {
            agent.identities.iter().map(Identity::subject).collect()
        };
        let (had, has) = (subjects(before), subjects(after));
        let linked: BTreeSet<Subject> = has.difference(&had).cloned().collect();
        self.link(&member, &linked, false, &mut actions);
        if had.difference(&has).next().is_some() {
            actions.push(self.protecting(AdminVerb::IdentitiesRemove, &member));
        }
        actions
    }

    pub(super) fn agent_removed(&self, id: &Arc<str>) -> Vec<AdminAction> {
        vec![self.protecting(AdminVerb::AgentsRemove, &MemberRef::agent(id))]
    }

    /// Whether an agent is only suspended since its owner goes.
    pub(super) fn is_suspended_with_owner(&self, before: &Agent, after: &Agent) -> bool {
        let suspended = Agent {
            status: AgentStatus::Suspended,
            ..before.clone()
        };
        let owner_goes = self.alterations.iter().any(|other| {
            other.kind == Kind::User
                && before.owner.as_deref() == Some(&*other.id)
                && match &other.after {
                    Some(Document::User(user)) => !user.is_alive(),
                    _ => true,
                }
        });
        suspended == *after && before.status == AgentStatus::Active && owner_goes
    }

    /// As whom tokens know a person: their identities, and what the attributes say that issuers find them by.
    fn subjects(&self, user: &User) -> BTreeSet<Subject> {
        let by_attribute = self.directory.scim_attributes(self.tenant).into_iter();
        let by_attribute = by_attribute.filter_map(|(issuer, attribute)| {
            let name = match attribute {
                ScimAttribute::ExternalId => user.external_id.clone()?,
                ScimAttribute::UserName => User::folded(&user.user_name),
                _ => return None,
            };
            Some(Subject::new(&issuer, &name))
        });
        user.identities
            .iter()
            .map(Identity::subject)
            .chain(by_attribute)
            .collect()
    }

    fn link(
        &self,
        member: &MemberRef,
        linked: &BTreeSet<Subject>,
        new: bool,
        actions: &mut Vec<AdminAction>,
    ) {
        if linked.is_empty() {
            return;
        }
        let kind = party(member);
        let mut action = self.of(AdminVerb::IdentitiesWrite, member, new);
        action.gives = self.holdings(kind, &member.id);
        // What policies permit to whoever comes so, they get who could not come before.
        let theirs = linked
            .iter()
            .cloned()
            .map(|subject| of_subject(kind, subject));
        action.gives.extend(theirs.map(Given::Holdings));
        actions.push(action);
    }

    /// An action on somebody that only who holds as much takes.
    pub(super) fn protecting(&self, verb: AdminVerb, member: &MemberRef) -> AdminAction {
        let mut action = self.of(verb, member, false);
        action.gives = self.guarded_by(member);
        action
    }

    /// An action on somebody, concerning the groups that they are in.
    pub(super) fn of(&self, verb: AdminVerb, member: &MemberRef, new: bool) -> AdminAction {
        let mut action = self.action(verb, super::before::kind_of(member.kind), &member.id);
        action.concerns = if new {
            self.groups_next(member)
        } else {
            self.groups_around(member)
        };
        action
    }

    /// The groups that the change puts somebody into.
    fn groups_next(&self, member: &MemberRef) -> Vec<Scope> {
        let joined = self.alterations.iter().filter_map(|other| {
            let Some(Document::Member(membership)) = &other.after else {
                return None;
            };
            let (group, id) = other.id.split_once('/')?;
            (membership.member == member.kind && *id == *member.id).then(|| group_scope(group))
        });
        joined.collect()
    }
}

const fn party(member: &MemberRef) -> PartyKind {
    match member.kind {
        MemberKind::Agent => PartyKind::Agent,
        _ => PartyKind::User,
    }
}
