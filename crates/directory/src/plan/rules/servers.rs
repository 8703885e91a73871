//! Rules about servers and bundles of them.

use std::sync::Arc;

use gatewright_core::ServerName;

use crate::{
    edit::ChangeError,
    model::{Document, VirtualServer},
    plan::Plan,
    records::Kind,
};

impl Plan<'_> {
    pub(super) fn check_virtual_server(
        &self,
        id: &Arc<str>,
        server: &VirtualServer,
    ) -> Result<(), ChangeError> {
        ServerName::new(id)
            .map_err(|error| ChangeError::broken("server-name", error.to_string()))?;
        let missing = server
            .parts
            .iter()
            .find(|part| !self.is_there(Kind::Server, &part.server));
        match missing {
            Some(part) => Err(ChangeError::NotFound {
                kind: Kind::Server,
                id: part.server.as_str().into(),
            }),
            None => Ok(()),
        }
    }

    pub(super) fn check_server_is_unused(&self, id: &str) -> Result<(), ChangeError> {
        let before = self.state.virtual_servers.iter().filter(|(id, _)| {
            !self
                .next
                .contains_key(&(Kind::VirtualServer, Arc::clone(id)))
        });
        let next = self
            .next
            .iter()
            .filter_map(|((_, id), document)| match document {
                Some(Document::VirtualServer(server)) => Some((id, server)),
                _ => None,
            });
        let used = before
            .chain(next)
            .find(|(_, bundle)| bundle.parts.iter().any(|part| part.server == *id));
        match used {
            Some((bundle, _)) => {
                let message = format!(
                    "the server `{id}` is part of the virtual server `{bundle}`: take it out of that first"
                );
                Err(ChangeError::broken("server-in-use", message))
            }
            None => Ok(()),
        }
    }
}
