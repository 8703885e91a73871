//! Servers, and what reaches the whole tenant.

use gatewright_core::{AdminAction, AdminVerb, Subject, TenantId};
use gatewright_directory::{
    Alteration,
    model::{Document, Identity, Policies, Server, Tenant},
    records::Kind,
};

use super::before::{Before, Unasked, server_scope};
use crate::api::{DRAFT, PUBLISHED};

/// Servers that have this member are programs of the machine.
const PROGRAM: &str = "command";

impl Before<'_> {
    pub(super) fn settings_written(
        &self,
        alteration: &Alteration,
    ) -> Result<Vec<AdminAction>, Unasked> {
        let (kind, id) = (alteration.kind, &*alteration.id);
        let verb = match kind {
            Kind::Server | Kind::VirtualServer => return Ok(self.server_written(alteration)),
            Kind::Tenant => return Ok(vec![self.tenant_written(alteration)]),
            Kind::Policies => return Ok(vec![self.policies_written(alteration)]),
            Kind::Issuer => AdminVerb::IssuersWrite,
            Kind::ScimToken => AdminVerb::ScimTokensWrite,
            // What a file has made: who applies files says what of them goes.
            Kind::Applied => AdminVerb::SettingsWrite,
            _ => return Err(format!("nobody changes a {kind}")),
        };
        Ok(vec![self.action(verb, kind, id)])
    }

    fn server_written(&self, alteration: &Alteration) -> Vec<AdminAction> {
        let (kind, id) = (alteration.kind, &*alteration.id);
        let own = server_scope(id).filter(|_| alteration.before.is_some());
        let verb = match alteration.after {
            Some(_) => AdminVerb::ServersWrite,
            None => AdminVerb::ServersRemove,
        };
        let of = |verb, scope| {
            let mut action = self.action(verb, kind, id);
            action.concerns.extend(scope);
            action
        };
        let mut actions = vec![of(verb, own.clone())];
        let is_program = [&alteration.before, &alteration.after]
            .into_iter()
            .any(|document| matches!(document, Some(Document::Server(server)) if runs(server)));
        if is_program && alteration.after.is_some() {
            actions.push(of(AdminVerb::ServersRunPrograms, own));
        }
        // A bundle opens another way to its parts.
        if let Some(Document::VirtualServer(bundle)) = &alteration.after {
            let parts = bundle.parts.iter();
            actions
                .extend(parts.map(|part| of(AdminVerb::ServersWrite, server_scope(&part.server))));
        }
        actions
    }

    /// The settings are the tenant's own; whether there is one, and whether it is switched on, is the installation's.
    fn tenant_written(&self, alteration: &Alteration) -> AdminAction {
        let (Some(Document::Tenant(before)), Some(Document::Tenant(after))) =
            (&alteration.before, &alteration.after)
        else {
            return self.of_installation();
        };
        let switched = Tenant {
            disabled: after.disabled,
            ..before.clone()
        };
        if before.disabled != after.disabled && switched == *after {
            return self.of_installation();
        }
        self.action(AdminVerb::SettingsWrite, Kind::Tenant, &alteration.id)
    }

    fn of_installation(&self) -> AdminAction {
        AdminAction::new(
            TenantId::default(),
            AdminVerb::TenantsWrite,
            Kind::Tenant.name(),
            self.tenant.as_str(),
        )
    }

    /// A draft is written. Putting it in force, with which it goes, is for somebody else than who drafted.
    fn policies_written(&self, alteration: &Alteration) -> AdminAction {
        let publishes = self
            .alterations
            .iter()
            .any(|other| other.kind == Kind::Policies && *other.id == *PUBLISHED);
        let goes = alteration.after.is_none() && publishes;
        if *alteration.id == *DRAFT && !goes {
            return self.action(AdminVerb::PoliciesWrite, Kind::Policies, DRAFT);
        }
        let about = alteration.after.as_ref().or(alteration.before.as_ref());
        let drafters = match about {
            Some(Document::Policies(policies)) => drafters(policies),
            _ => Vec::new(),
        };
        self.action(AdminVerb::PoliciesPublish, Kind::Policies, PUBLISHED)
            .drafted_by(drafters)
    }
}

fn runs(server: &Server) -> bool {
    server.settings.contains_key(PROGRAM)
}

fn drafters(policies: &Policies) -> Vec<Subject> {
    policies.drafted_by.iter().map(Identity::subject).collect()
}
