//! Whom a change shuts out.

use std::{collections::BTreeSet, sync::Arc};

use gatewright_core::Subject;

use super::Plan;
use crate::{
    edit::ChangeError,
    model::{Agent, AgentStatus, Document, Holder, Leaver, LeaverKind, Leaving, User},
    records::{Kind, Revision},
};

/// Somebody who is no longer let in once the change is made.
#[derive(Debug)]
pub(crate) struct Gone {
    pub(crate) of: Leaver,
    pub(crate) why: Leaving,
    pub(crate) reason: Option<String>,
    /// As whom they could come, before the change or by it.
    pub(crate) subjects: BTreeSet<Subject>,
    /// Agents for which they answered, which do nothing from now on.
    pub(crate) agents: Vec<Arc<str>>,
    /// Grants that go with them.
    pub(crate) grants: Vec<Arc<str>>,
}

impl Gone {
    fn new(kind: LeaverKind, id: &str, name: Option<&str>, why: Leaving) -> Self {
        Self {
            of: Leaver {
                kind,
                id: id.to_owned(),
                name: name.map(str::to_owned),
            },
            why,
            reason: None,
            subjects: BTreeSet::new(),
            agents: Vec::new(),
            grants: Vec::new(),
        }
    }

    /// Whether their keys and credentials go. Who is suspended is to come back, and a tenant may.
    pub(crate) fn loses_all(&self) -> bool {
        self.of.kind != LeaverKind::Tenant && self.why != Leaving::Suspended
    }
}

impl Plan<'_> {
    pub(super) fn gone(&self) -> Vec<Gone> {
        let all = self.next.iter();
        all.filter_map(|((kind, id), next)| match (kind, next) {
            (Kind::User, None) => self.user_gone(id, None),
            (Kind::User, Some(Document::User(user))) => self.user_gone(id, Some(user)),
            (Kind::Agent, None) => self.agent_gone(id, None),
            (Kind::Agent, Some(Document::Agent(agent))) => self.agent_gone(id, Some(agent)),
            (Kind::Tenant, Some(Document::Tenant(tenant))) => {
                let was_on = self.state.revision != Revision::NONE && !self.state.tenant.disabled;
                let title = tenant.title.as_deref();
                let off = || Gone::new(LeaverKind::Tenant, id, title, Leaving::Disabled);
                (was_on && tenant.disabled).then(off)
            }
            _ => None,
        })
        .collect()
    }

    fn user_gone(&self, id: &Arc<str>, next: Option<&User>) -> Option<Gone> {
        let before = self.state.people.get(id)?;
        let why = match next {
            None => Leaving::Removed,
            Some(user) if before.alive && !user.is_alive() => match &user.disabled {
                Some(_) => Leaving::Disabled,
                None => Leaving::Deactivated,
            },
            Some(_) => return None,
        };
        let mut gone = Gone::new(LeaverKind::User, id, Some(&before.user_name), why);
        let disabled = next.and_then(|user| user.disabled.as_ref());
        gone.reason = disabled.and_then(|disabled| disabled.reason.clone());
        let mut parties = self.state.subjects_of_user(id);
        if let Some(user) = next {
            parties.extend(self.state.subjects_by(id, user));
        }
        gone.subjects = parties.into_iter().map(|(_, subject)| subject).collect();
        let owned = self.state.agents_of(id);
        gone.agents = owned
            .filter(|agent| self.is_suspended_now(agent))
            .cloned()
            .collect();
        if next.is_none() {
            gone.grants = self.grants_that_go(&Holder::User(id.to_string()));
        }
        Some(gone)
    }

    fn agent_gone(&self, id: &Arc<str>, next: Option<&Agent>) -> Option<Gone> {
        let before = self.state.agents.get(id)?;
        let why = match next.map(|agent| (&before.status, &agent.status)) {
            None => Leaving::Removed,
            Some((AgentStatus::Active | AgentStatus::Suspended, AgentStatus::Disabled)) => {
                Leaving::Disabled
            }
            // That its owner leaves is on the owner's receipt.
            Some((AgentStatus::Active, AgentStatus::Suspended))
                if !self.also.contains(&(Kind::Agent, Arc::clone(id))) =>
            {
                Leaving::Suspended
            }
            Some(_) => return None,
        };
        let mut gone = Gone::new(LeaverKind::Agent, id, Some(&before.name), why);
        let mut parties = self.state.subjects_of_agent(id);
        if let Some(agent) = next {
            parties.extend(crate::state::subjects_by_agent(id, agent));
        }
        gone.subjects = parties.into_iter().map(|(_, subject)| subject).collect();
        if next.is_none() {
            gone.grants = self.grants_that_go(&Holder::Agent(id.to_string()));
        }
        Some(gone)
    }

    fn is_suspended_now(&self, agent: &Arc<str>) -> bool {
        let before = self.state.agents.get(agent);
        let next = self.next.get(&(Kind::Agent, Arc::clone(agent)));
        before.is_some_and(|before| before.status == AgentStatus::Active)
            && matches!(next, Some(Some(Document::Agent(next))) if next.status == AgentStatus::Suspended)
    }

    fn grants_that_go(&self, holder: &Holder) -> Vec<Arc<str>> {
        let grants = self.state.grants_of(holder);
        grants.map(|(id, _)| Arc::clone(id)).collect()
    }

    /// Whoever is let in has nothing of somebody who was shut out: what is still to be cut would otherwise be theirs again.
    pub(super) fn check_is_cut_off(
        &self,
        who: &str,
        parties: impl IntoIterator<Item = (gatewright_core::PartyKind, Subject)>,
    ) -> Result<(), ChangeError> {
        let outstanding = &self.state.outstanding;
        for (kind, subject) in parties {
            if let Some(receipt) = outstanding.holding(kind, &subject) {
                let message = format!(
                    "{who} is not let in yet: API keys or credentials of `{subject}` are still to be destroyed, as the receipt \
                     `{receipt}` says; try again soon"
                );
                return Err(ChangeError::broken("offboarding", message));
            }
        }
        Ok(())
    }
}
