//! Somebody must be left who can put everything right.

use crate::{
    edit::ChangeError,
    model::{AgentStatus, Document, Grant, Holder, MemberKind},
    plan::Plan,
    records::Kind,
};

/// The role that may do everything.
pub(crate) const ADMINISTRATOR: &str = "administrator";

impl Plan<'_> {
    /// Where a person or an agent had the role, somebody has it afterwards. Those who have the machine can always give it,
    /// and so begin with nobody.
    pub(super) fn check_administrators(&self) -> Result<(), ChangeError> {
        let weakens = self.next.iter().any(|((kind, _), next)| match next {
            None => matches!(
                kind,
                Kind::Grant | Kind::User | Kind::Agent | Kind::Group | Kind::Member
            ),
            Some(Document::User(user)) => !user.is_alive(),
            Some(Document::Agent(agent)) => agent.status != AgentStatus::Active,
            Some(Document::Grant(_)) => true,
            Some(_) => false,
        });
        let before = Plan::new(self.state, self.stored, self.now);
        if !weakens || self.has_administrator() || !before.has_administrator() {
            return Ok(());
        }
        let message = format!(
            "nobody would be left who has the role `{ADMINISTRATOR}`: give it to somebody else first"
        );
        Err(ChangeError::broken("last-administrator", message))
    }

    fn has_administrator(&self) -> bool {
        let now = self.now.millis();
        self.grants_next()
            .any(|(_, grant)| is_whole(grant, now) && self.is_somebody(&grant.to))
    }

    /// Whether somebody can come as the holder, as the plan stands.
    fn is_somebody(&self, holder: &Holder) -> bool {
        match holder {
            Holder::User(id) => self.is_alive_person(id),
            Holder::Agent(id) => match self.next.get(&(Kind::Agent, id.as_str().into())) {
                Some(Some(Document::Agent(agent))) => agent.status == AgentStatus::Active,
                Some(_) => false,
                None => {
                    let agent = self.state.agents.get(id.as_str());
                    agent.is_some_and(|agent| agent.status == AgentStatus::Active)
                }
            },
            Holder::Group(id) => self.members(id).iter().any(|member| {
                let id = member.id.to_string();
                match member.kind {
                    MemberKind::User => self.is_alive_person(&id),
                    MemberKind::Agent => self.is_somebody(&Holder::Agent(id)),
                    MemberKind::Group => self.is_somebody(&Holder::Group(id)),
                }
            }),
            // Who is in it is for the issuer to say, at every token.
            Holder::ClaimedGroup { .. } => true,
        }
    }
}

/// Whether the grant gives the role everywhere and for good.
fn is_whole(grant: &Grant, now: i64) -> bool {
    grant.role == ADMINISTRATOR && grant.over.is_none() && grant.expires.is_none_or(|end| now < end)
}
