//! Rules about agents.

use std::sync::Arc;

use super::{names::check_text, people::check_identities};
use crate::{
    edit::ChangeError,
    model::{Agent, AgentStatus},
    plan::Plan,
};

impl Plan<'_> {
    pub(super) fn check_agent(&self, id: &Arc<str>, agent: &Agent) -> Result<(), ChangeError> {
        check_text("name", &agent.name)?;
        if let Some(external_id) = &agent.external_id {
            check_text("external id", external_id)?;
        }
        if let Some(purpose) = &agent.purpose {
            check_text("purpose", purpose)?;
        }
        check_identities(&agent.identities)?;
        if agent.status != AgentStatus::Active {
            return Ok(());
        }
        let parties = crate::state::subjects_by_agent(id, agent);
        self.check_is_cut_off(&format!("the agent `{id}`"), parties)?;
        match &agent.owner {
            Some(owner) if !self.is_alive_person(owner) => {
                let message = format!(
                    "nobody who is let in answers for the agent `{id}`: give it an owner other than `{owner}`, or take it out \
                     of service"
                );
                Err(ChangeError::broken("agent-owner", message))
            }
            _ => Ok(()),
        }
    }
}
