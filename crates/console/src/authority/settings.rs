//! Servers, and what reaches the whole tenant.

use gatewright_core::{AdminAction, AdminVerb, Subject, TenantId};
use gatewright_directory::{
    Alteration,
    model::{Document, Identity, Policies, ScimScope, Server, Tenant},
    records::Kind,
};

use super::before::{Before, Unasked, everything, server_scope};

/// Servers that have this member are programs of the machine.
const PROGRAM: &str = "command";

/// What of a server may differ without a credential going elsewhere, or otherwise.
const KEEPS_CREDENTIALS: [&str; 9] = [
    "title",
    "audit",
    "log_contents",
    "unknown_methods",
    "scopes",
    "tools",
    "timeouts",
    "era",
    "stateless",
];

impl Before<'_> {
    pub(super) fn settings_written(
        &self,
        alteration: &Alteration,
    ) -> Result<Vec<AdminAction>, Unasked> {
        let (kind, id) = (alteration.kind, &*alteration.id);
        let verb = match kind {
            Kind::Server | Kind::VirtualServer => return Ok(self.server_written(alteration)),
            Kind::Tenant => return Ok(self.tenant_written(alteration)),
            Kind::Policies => return Ok(vec![self.policies_written(alteration)]),
            Kind::Issuer => AdminVerb::IssuersWrite,
            Kind::ScimToken => AdminVerb::ScimTokensWrite,
            // What a file has made: who applies files says what of them goes.
            Kind::Applied => AdminVerb::SettingsWrite,
            _ => return Err(format!("nobody changes a {kind}")),
        };
        let mut action = self.action(verb, kind, id);
        if is_a_way_in(alteration.after.as_ref()) {
            action.gives.push(everything());
        }
        Ok(vec![action])
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
        // Who says where credentials are sent has them.
        if let (Some(Document::Server(before)), Some(Document::Server(after))) =
            (&alteration.before, &alteration.after)
            && sends_otherwise(before, after)
        {
            actions.push(of(AdminVerb::CredentialsWrite, server_scope(id)));
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
    fn tenant_written(&self, alteration: &Alteration) -> Vec<AdminAction> {
        let (Some(Document::Tenant(before)), Some(Document::Tenant(after))) =
            (&alteration.before, &alteration.after)
        else {
            return vec![self.of_installation()];
        };
        let switched = Tenant {
            disabled: after.disabled,
            ..before.clone()
        };
        let mut actions = Vec::new();
        if before.disabled != after.disabled {
            actions.push(self.of_installation());
        }
        if switched != *after || actions.is_empty() {
            actions.push(self.action(AdminVerb::SettingsWrite, Kind::Tenant, &alteration.id));
        }
        actions
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
            .any(|other| other.kind == Kind::Policies && *other.id == *Policies::PUBLISHED);
        let goes = alteration.after.is_none() && publishes;
        if *alteration.id == *Policies::DRAFT && !goes {
            return self.action(AdminVerb::PoliciesWrite, Kind::Policies, Policies::DRAFT);
        }
        let about = alteration.after.as_ref().or(alteration.before.as_ref());
        let drafters = match about {
            Some(Document::Policies(policies)) => drafters(policies),
            _ => Vec::new(),
        };
        self.action(
            AdminVerb::PoliciesPublish,
            Kind::Policies,
            Policies::PUBLISHED,
        )
        .drafted_by(drafters)
    }
}

/// Whether whoever sets it can come as anybody: by an issuer with keys of their own, or as an identity provider that says
/// who everybody is.
fn is_a_way_in(set: Option<&Document>) -> bool {
    match set {
        Some(Document::Issuer(_)) => true,
        Some(Document::ScimToken(token)) => token.scopes.iter().any(|scope| {
            !matches!(
                scope,
                ScimScope::ReadUsers | ScimScope::ReadGroups | ScimScope::ReadAgents
            )
        }),
        _ => false,
    }
}

fn runs(server: &Server) -> bool {
    server.settings.contains_key(PROGRAM)
}

/// Whether credentials go to another place, or get there in another way.
fn sends_otherwise(before: &Server, after: &Server) -> bool {
    let names = before.settings.keys().chain(after.settings.keys());
    names
        .filter(|name| !KEEPS_CREDENTIALS.contains(&name.as_str()))
        .any(|name| before.settings.get(name) != after.settings.get(name))
}

fn drafters(policies: &Policies) -> Vec<Subject> {
    policies.drafted_by.iter().map(Identity::subject).collect()
}
