//! What must hold of everything that is stored.

mod administrators;
mod agents;
mod groups;
mod names;
pub(crate) mod people;
mod roles;
mod servers;

use std::sync::Arc;

use super::Plan;
use crate::{edit::ChangeError, model::Document, records::Kind};

/// No document is larger than this, in bytes.
const LARGEST: usize = 64 * 1024;
/// Policies are texts that people write, and many; and a file can make much.
const LARGEST_OF_FILES: usize = 4 * 1024 * 1024;

impl Plan<'_> {
    pub(super) fn check(&self) -> Result<(), ChangeError> {
        for ((kind, id), next) in &self.next {
            match next {
                Some(document) => self.check_put(*kind, id, document)?,
                None => self.check_removed(*kind, id)?,
            }
        }
        self.check_administrators()
    }

    fn check_put(&self, kind: Kind, id: &Arc<str>, document: &Document) -> Result<(), ChangeError> {
        names::check_id(kind, id)?;
        let most = if matches!(kind, Kind::Policies | Kind::Applied | Kind::Receipt) {
            LARGEST_OF_FILES
        } else {
            LARGEST
        };
        let size = document.to_value().to_string().len();
        if size > most {
            let message = format!("the {kind} `{id}` has {size} bytes, and may have {most}");
            return Err(ChangeError::broken("too-large", message));
        }
        match document {
            Document::User(user) => self.check_user(id, user),
            Document::Group(group) => names::check_text("display name", &group.display_name),
            Document::Member(membership) => self.check_member(id, membership.member),
            Document::Agent(agent) => self.check_agent(id, agent),
            Document::Role(role) => roles::check_role(id, &role.0),
            Document::Grant(grant) => self.check_grant(id, grant),
            Document::Issuer(issuer) => self.check_issuer(id, issuer),
            Document::VirtualServer(server) => self.check_virtual_server(id, server),
            Document::ScimToken(token) => names::check_text("name", &token.name),
            Document::Server(_)
            | Document::Tenant(_)
            | Document::Policies(_)
            | Document::Receipt(_)
            | Document::Applied(_) => Ok(()),
        }
    }

    fn check_removed(&self, kind: Kind, id: &Arc<str>) -> Result<(), ChangeError> {
        match kind {
            Kind::Role => self.check_role_is_unused(id),
            Kind::Server => self.check_server_is_unused(id),
            Kind::Tenant => {
                let message = "the settings of a tenant cannot be taken away; disable it instead";
                Err(ChangeError::broken("tenant-stays", message))
            }
            _ => Ok(()),
        }
    }
}
