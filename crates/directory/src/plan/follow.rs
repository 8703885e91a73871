//! What follows from a change: what is nothing without something else goes with it.

use std::sync::Arc;

use super::{Plan, member_key, member_of};
use crate::{
    edit::ChangeError,
    model::{AgentStatus, Document, Holder, MemberKind, MemberRef},
    records::Kind,
};

impl Plan<'_> {
    pub(super) fn follow(&mut self) -> Result<(), ChangeError> {
        let changed: Vec<(Kind, Arc<str>)> = self.next.keys().cloned().collect();
        for (kind, id) in changed {
            let gone = !self.is_there(kind, &id);
            match kind {
                Kind::User => {
                    if gone {
                        self.forget(
                            &member_of(MemberKind::User, &id),
                            &Holder::User(id.to_string()),
                        );
                    }
                    if gone || !self.is_alive_person(&id) {
                        self.suspend_agents_of(&id);
                    }
                }
                Kind::Agent if gone => {
                    let holder = Holder::Agent(id.to_string());
                    self.forget(&member_of(MemberKind::Agent, &id), &holder);
                }
                Kind::Group if gone => {
                    let holder = Holder::Group(id.to_string());
                    self.forget(&member_of(MemberKind::Group, &id), &holder);
                    for member in self.members(&id) {
                        let (kind, id) = member_key(&id, &member.id);
                        self.and_so(kind, id, None);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Takes somebody who is gone out of every group, and their grants away.
    fn forget(&mut self, member: &MemberRef, holder: &Holder) {
        let groups: Vec<Arc<str>> = self.state.direct_groups_of(member).cloned().collect();
        for group in groups {
            let (kind, id) = member_key(&group, &member.id);
            self.and_so(kind, id, None);
        }
        let grants: Vec<Arc<str>> = self
            .state
            .grants_of(holder)
            .map(|(id, _)| Arc::clone(id))
            .collect();
        for grant in grants {
            self.and_so(Kind::Grant, grant, None);
        }
    }

    /// An agent for which nobody answers any more does nothing until somebody does.
    fn suspend_agents_of(&mut self, user: &str) {
        let agents: Vec<Arc<str>> = self.state.agents_of(user).cloned().collect();
        for id in agents {
            let key = (Kind::Agent, Arc::clone(&id));
            let agent = match self.next.get(&key) {
                Some(Some(Document::Agent(agent))) => agent.clone(),
                Some(_) => continue,
                None => match self.state.agents.get(&id) {
                    Some(agent) => agent.clone(),
                    None => continue,
                },
            };
            if agent.owner.as_deref() == Some(user) && agent.status == AgentStatus::Active {
                let mut suspended = agent;
                suspended.status = AgentStatus::Suspended;
                self.and_so(Kind::Agent, id, Some(Document::Agent(suspended)));
            }
        }
    }

    /// Whether a person is there and let in, as the plan stands.
    pub(super) fn is_alive_person(&self, id: &str) -> bool {
        match self.next.get(&(Kind::User, Arc::from(id))) {
            Some(Some(Document::User(user))) => user.is_alive(),
            Some(_) => false,
            None => self.state.people.get(id).is_some_and(|person| person.alive),
        }
    }
}
