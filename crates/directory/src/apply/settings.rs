//! What is served of a tenant: itself, its issuers, servers, bundles, roles and policies.

use std::sync::Arc;

use super::{applying::Applying, names::ids_of_issuer, wanted::WantedTenant};
use crate::{
    edit::ChangeError,
    model::{Document, Issuer, Policies, Role, Server, Tenant},
    records::Kind,
};

/// The version of policies that the file has published, as long as it is in force.
const VERSION: &str = "published-version";

impl Applying<'_> {
    pub(super) fn settings(&mut self, wanted: &WantedTenant) -> Result<(), ChangeError> {
        let own_name: Arc<str> = self.tenant.as_str().into();
        let there = match self.stored(Kind::Tenant, &own_name) {
            Some(Document::Tenant(tenant)) => tenant.clone(),
            _ => Tenant::default(),
        };
        self.put(own_name, Document::Tenant(wanted.settings.over(there)));
        for issuer in &wanted.issuers {
            let id = self.issuer_id(&issuer.issuer)?;
            self.make(id, Document::Issuer(issuer.clone()))?;
        }
        for (name, server) in &wanted.servers {
            let was_disabled = match self.stored(Kind::Server, name) {
                Some(Document::Server(there)) => there.disabled,
                _ => false,
            };
            let server = Server {
                disabled: server.disabled.unwrap_or(was_disabled),
                settings: server.settings.clone(),
            };
            self.make(name.as_str().into(), Document::Server(server))?;
        }
        for (name, server) in &wanted.virtual_servers {
            let server = Document::VirtualServer(server.clone());
            self.make(name.as_str().into(), server)?;
        }
        for role in &wanted.roles {
            let document = Document::Role(Role(role.clone()));
            self.make(role.name.as_str().into(), document)?;
        }
        self.policies(wanted);
        Ok(())
    }

    fn issuer_id(&self, issuer: &str) -> Result<Arc<str>, ChangeError> {
        let mut known = self.known.issuers.iter();
        if let Some((id, _)) = known.find(|(_, known)| known.issuer == issuer) {
            return Ok(Arc::clone(id));
        }
        let is_other = |id: &Arc<str>| {
            let there = self.document(Kind::Issuer, id);
            matches!(there, Some(Document::Issuer(Issuer { issuer: other, .. })) if other != issuer)
        };
        let free = ids_of_issuer(issuer).into_iter().find(|id| !is_other(id));
        free.ok_or_else(|| {
            let message = format!(
                "the ids that the issuer `{issuer}` could have are those of other issuers: enter it by the API"
            );
            ChangeError::broken("id-of-others", message)
        })
    }

    fn policies(&mut self, wanted: &WantedTenant) {
        let in_force = match self.stored(Kind::Policies, Policies::PUBLISHED) {
            Some(Document::Policies(policies)) => policies.clone(),
            _ => Policies::default(),
        };
        let base = in_force.base.as_deref();
        let is_own = base.is_some_and(|version| self.had_in_mind(VERSION, version));
        let files = match &wanted.policies {
            Some(files) => files.clone(),
            None if is_own => Default::default(),
            // Whoever published them keeps them.
            None => return,
        };
        if files == in_force.files {
            if is_own && !files.is_empty() {
                self.keep_in_mind(VERSION, base.unwrap_or_default());
            }
            return;
        }
        let version: Arc<str> = Policies::next_version(self.known.policies.keys()).into();
        if !files.is_empty() {
            self.keep_in_mind(VERSION, &version);
        }
        let policies = Policies {
            files,
            note: Some("applied from a file".to_owned()),
            at: Some(self.directory.now().millis()),
            base: in_force.base,
            ..Policies::default()
        };
        self.put(Arc::clone(&version), Document::Policies(policies.clone()));
        let published = Policies {
            base: Some(version.to_string()),
            ..policies
        };
        self.put(Policies::PUBLISHED.into(), Document::Policies(published));
    }
}
