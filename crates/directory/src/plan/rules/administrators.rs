//! Somebody must be left who can put everything right.

use std::{collections::HashSet, sync::Arc};

use gatewright_core::access::BuiltInRole;

use crate::{
    edit::ChangeError,
    model::{Agent, AgentStatus, Document, Grant, Holder, Issuer, MemberKind},
    plan::Plan,
    records::Kind,
};

impl Plan<'_> {
    /// Where a person or an agent had the role, somebody has it afterwards. Those who have the machine can always give it,
    /// and so begin with nobody.
    pub(super) fn check_administrators(&self) -> Result<(), ChangeError> {
        let weakens = self.next.iter().any(|((kind, _), next)| match next {
            None => matches!(
                kind,
                Kind::Grant | Kind::User | Kind::Agent | Kind::Group | Kind::Member | Kind::Issuer
            ),
            Some(Document::User(user)) => !user.is_alive(),
            Some(Document::Agent(agent)) => !self.is_alive_agent(agent),
            Some(Document::Grant(_) | Document::Issuer(_)) => true,
            Some(_) => false,
        });
        let before = Plan::new(self.state, self.stored, self.now);
        if !weakens || self.has_administrator() || !before.has_administrator() {
            return Ok(());
        }
        let message = format!(
            "nobody would be left who has the role `{}`: give it to somebody else first",
            BuiltInRole::ADMINISTRATOR
        );
        Err(ChangeError::broken("last-administrator", message))
    }

    fn has_administrator(&self) -> bool {
        let mut seen = HashSet::new();
        self.grants_next()
            .filter(|(_, grant)| is_whole(grant))
            .any(|(_, grant)| self.is_somebody(&grant.to, &mut seen))
    }

    /// Whether somebody can come as the holder, as the plan stands. No group is looked into twice.
    fn is_somebody(&self, holder: &Holder, seen: &mut HashSet<String>) -> bool {
        match holder {
            Holder::User(id) => self.is_alive_person(id),
            Holder::Agent(id) => match self.next.get(&(Kind::Agent, id.as_str().into())) {
                Some(Some(Document::Agent(agent))) => self.is_alive_agent(agent),
                Some(_) => false,
                None => {
                    let agent = self.state.agents.get(id.as_str());
                    agent.is_some_and(|agent| self.is_alive_agent(agent))
                }
            },
            Holder::Group(id) => {
                seen.insert(id.clone())
                    && self.members(id).iter().any(|member| {
                        let id = member.id.to_string();
                        match member.kind {
                            MemberKind::User => self.is_alive_person(&id),
                            MemberKind::Agent => self.is_somebody(&Holder::Agent(id), seen),
                            MemberKind::Group => self.is_somebody(&Holder::Group(id), seen),
                        }
                    })
            }
            // Who is in it is for the issuer to say, at every token.
            Holder::ClaimedGroup { issuer, .. } => self.trusts(issuer),
        }
    }

    fn is_alive_agent(&self, agent: &Agent) -> bool {
        agent.status == AgentStatus::Active
            && agent.expires.is_none_or(|end| self.now.millis() < end)
    }

    /// Whether tokens of an issuer are taken, as the plan stands.
    fn trusts(&self, issuer: &str) -> bool {
        self.issuers_next().any(|known| known.issuer == issuer)
    }

    /// Every issuer, as the plan stands.
    pub(super) fn issuers_next(&self) -> impl Iterator<Item = &Issuer> {
        let before = self
            .state
            .issuers
            .iter()
            .filter(|(id, _)| !self.next.contains_key(&(Kind::Issuer, Arc::clone(id))))
            .map(|(_, known)| known);
        let next = self.next.values().filter_map(|next| match next {
            Some(Document::Issuer(issuer)) => Some(issuer),
            _ => None,
        });
        before.chain(next)
    }
}

/// Whether the grant gives the role everywhere and for good.
fn is_whole(grant: &Grant) -> bool {
    grant.role == BuiltInRole::ADMINISTRATOR && grant.over.is_none() && grant.expires.is_none()
}
