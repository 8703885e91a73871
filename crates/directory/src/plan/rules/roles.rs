//! Rules about roles and grants.

use std::sync::Arc;

use gatewright_core::access;

use crate::{
    edit::ChangeError,
    model::{Document, Grant, Holder, Over, Role},
    plan::Plan,
    records::Kind,
};

pub(super) fn check_role(id: &Arc<str>, role: &access::Role) -> Result<(), ChangeError> {
    if *role.name != **id {
        let message = format!("the role `{id}` is called `{}` inside", role.name);
        return Err(ChangeError::broken("role-name", message));
    }
    if Role::is_built_in(id) {
        let message = format!("every tenant has the role `{id}`, and nobody changes it");
        return Err(ChangeError::broken("built-in-role", message));
    }
    Ok(())
}

impl Plan<'_> {
    pub(super) fn check_grant(&self, id: &Arc<str>, grant: &Grant) -> Result<(), ChangeError> {
        if !Role::is_built_in(&grant.role) {
            self.must_be_there(Kind::Role, &grant.role)?;
        }
        match &grant.to {
            Holder::User(user) => self.must_be_there(Kind::User, user)?,
            Holder::Group(group) => self.must_be_there(Kind::Group, group)?,
            Holder::Agent(agent) => self.must_be_there(Kind::Agent, agent)?,
            Holder::ClaimedGroup { issuer, name } => {
                // What is of no URL is the gateway's own: a group of the directory is given to by its id.
                if issuer.contains('|') || !issuer.contains("://") || name.is_empty() {
                    let message = format!("the grant `{id}` names no group of a token");
                    return Err(ChangeError::broken("grant-holder", message));
                }
            }
        }
        match &grant.over {
            // They share one space of names.
            Some(Over::Server(server)) if self.is_there(Kind::VirtualServer, server) => {}
            Some(Over::Server(server)) => self.must_be_there(Kind::Server, server)?,
            Some(Over::Group(group)) => self.must_be_there(Kind::Group, group)?,
            None => {}
        }
        let is_new = !self.was_there(Kind::Grant, id);
        if is_new && grant.expires.is_some_and(|end| end <= self.now.millis()) {
            let message = format!("the grant `{id}` would have ended before it begins");
            return Err(ChangeError::broken("grant-expiry", message));
        }
        Ok(())
    }

    fn must_be_there(&self, kind: Kind, id: &str) -> Result<(), ChangeError> {
        if self.is_there(kind, id) {
            return Ok(());
        }
        let id = id.into();
        Err(ChangeError::NotFound { kind, id })
    }

    pub(super) fn check_role_is_unused(&self, id: &str) -> Result<(), ChangeError> {
        let used = self.grants_next().find(|(_, grant)| grant.role == *id);
        match used {
            Some((grant, _)) => {
                let message = format!(
                    "the role `{id}` is given to somebody by the grant `{grant}`: take that away first"
                );
                Err(ChangeError::broken("role-in-use", message))
            }
            None => Ok(()),
        }
    }

    /// Every grant, as the plan stands.
    pub(super) fn grants_next(&self) -> impl Iterator<Item = (&Arc<str>, &Grant)> {
        let before = self
            .state
            .grants
            .iter()
            .filter(|(id, _)| !self.next.contains_key(&(Kind::Grant, Arc::clone(id))));
        let next = self
            .next
            .iter()
            .filter_map(|((_, id), document)| match document {
                Some(Document::Grant(grant)) => Some((id, grant)),
                _ => None,
            });
        before.chain(next)
    }
}
