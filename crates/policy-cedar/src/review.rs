//! Who may do what, as people ask it.

mod changes;

use std::collections::HashSet;

use cedar_policy::{Effect, EntityUid, Policy, PrincipalConstraint, ResourceConstraint};
use gatewright_core::{
    Clock as _, Principal, ServerName, TenantId,
    access::{AdminPermission, Permission},
};
use gatewright_policy::{
    Abilities, Callers, HeldAdministration, HeldPermission, PartyAbilities, Review, WrittenPolicy,
};

use crate::{
    CedarEngine, TenantEngines,
    engine::{held_role, through},
    names::{self, Kind},
    schema::{Action, SEE},
    view::View,
};

/// How many callers are listed.
const MOST_CALLERS: usize = 10_000;

impl Review for CedarEngine {
    fn abilities(&self, principal: &Principal, servers: &[ServerName]) -> Option<Abilities> {
        if *principal.tenant() != self.tenant {
            return None;
        }
        let views = self.views(principal, self.clock.now()).unwrap_or_default();
        let parties = views.iter().map(|view| self.party(view, servers));
        Some(Abilities {
            parties: parties.collect(),
        })
    }

    fn callers(&self, tenant: &TenantId, server: &ServerName, tool: &str) -> Option<Callers> {
        (*tenant == self.tenant).then(|| self.callers_of(server, tool))
    }
}

impl Review for TenantEngines {
    fn abilities(&self, principal: &Principal, servers: &[ServerName]) -> Option<Abilities> {
        self.engine(principal.tenant())?
            .abilities(principal, servers)
    }

    fn callers(&self, tenant: &TenantId, server: &ServerName, tool: &str) -> Option<Callers> {
        self.engine(tenant)?.callers(tenant, server, tool)
    }
}

impl CedarEngine {
    fn party(&self, view: &View, servers: &[ServerName]) -> PartyAbilities {
        let party = view.uid.to_string();
        let (mut permissions, mut administration) = (Vec::new(), Vec::new());
        for held in &view.held {
            for name in held.roles.iter() {
                let Some(role) = self.roles.role(name) else {
                    continue;
                };
                let by = held_role(&party, &through(held), name, &held.grant);
                for (index, permission) in role.permissions.iter().enumerate() {
                    let fits = servers.iter().filter(|server| is_on(permission, server));
                    permissions.push(HeldPermission {
                        by: by.clone(),
                        number: index + 1,
                        servers: fits.map(ToString::to_string).collect(),
                        permission: permission.clone(),
                    });
                }
                let part = held.grant.over.is_some();
                let verbs = role.admin.iter().flat_map(AdminPermission::verbs);
                let verbs = verbs.filter(|verb| !(part && verb.is_of_tenant()));
                let actions: Vec<String> = verbs.map(|verb| verb.to_string()).collect();
                if !actions.is_empty() {
                    administration.push(HeldAdministration { by, actions });
                }
            }
        }
        let scopes = view.scopes();
        let written = self.index.written().chain(self.admin.written());
        let policies = written
            .filter(|(policy, _)| concerns_party(policy, view.kind(), &scopes))
            .map(|(policy, id)| described(policy, id));
        PartyAbilities {
            party,
            permissions,
            administration,
            policies: policies.collect(),
        }
    }

    fn callers_of(&self, server: &ServerName, tool: &str) -> Callers {
        let now = self.clock.now();
        let mut callers = Vec::new();
        for grant in self.grants.all() {
            if grant.expires.is_some_and(|end| end <= now) {
                continue;
            }
            let to = grant.to.to_string();
            for name in self.roles.with_inherited(&grant.role).iter() {
                let role = self.roles.role(name);
                let permissions = role.into_iter().flat_map(|role| &role.permissions);
                for (index, permission) in permissions.enumerate() {
                    if self.permits_tool(permission, server, tool) {
                        callers.push(HeldPermission {
                            by: held_role(&to, &to, name, &grant),
                            number: index + 1,
                            servers: vec![server.to_string()],
                            permission: permission.clone(),
                        });
                    }
                }
            }
        }
        callers.sort_by(|a, b| {
            let key = |held: &HeldPermission| {
                let by = &held.by;
                (
                    by.party.clone(),
                    by.role.clone(),
                    held.number,
                    by.over.clone(),
                )
            };
            key(a).cmp(&key(b))
        });
        let more = callers.len().saturating_sub(MOST_CALLERS);
        callers.truncate(MOST_CALLERS);
        let policies = self
            .index
            .written()
            .filter(|(policy, _)| concerns_tool(policy, server, tool))
            .map(|(policy, id)| described(policy, id));
        Callers {
            callers,
            more,
            policies: policies.collect(),
        }
    }

    /// Whether the tool is one of those that the permission gives, under whatever conditions.
    fn permits_tool(&self, permission: &Permission, server: &ServerName, tool: &str) -> bool {
        let facts = self.facts_of(server, tool).cloned().unwrap_or_default();
        is_on(permission, server)
            && permission.tools.iter().any(|pattern| pattern.matches(tool))
            && (!permission.read_only || facts.read_only)
            && permission
                .destructive
                .is_none_or(|destructive| destructive == facts.destructive)
            && (permission.tags.is_empty()
                || permission.tags.iter().any(|tag| facts.tags.contains(tag)))
    }
}

fn is_on(permission: &Permission, server: &ServerName) -> bool {
    let mut patterns = permission.servers.iter();
    patterns.any(|pattern| pattern.matches(server.as_str()))
}

fn described(policy: &Policy, id: &str) -> WrittenPolicy {
    WrittenPolicy {
        id: id.to_owned(),
        forbids: policy.effect() == Effect::Forbid,
        text: policy.to_string(),
    }
}

/// The last part of a type's name, which the two name spaces have in common, and the id.
fn plain(uid: &EntityUid) -> (String, String) {
    (
        uid.type_name().basename().to_owned(),
        uid.id().unescaped().to_owned(),
    )
}

fn concerns_party(policy: &Policy, kind: Kind, scopes: &HashSet<EntityUid>) -> bool {
    let is_one = |uid: &EntityUid| {
        let one = plain(uid);
        scopes.iter().any(|scope| plain(scope) == one)
    };
    let is_kind = |name: &cedar_policy::EntityTypeName| {
        let own = if kind == Kind::Agent { "Agent" } else { "User" };
        name.basename() == own
    };
    match policy.principal_constraint() {
        PrincipalConstraint::Any => true,
        PrincipalConstraint::Is(name) => is_kind(&name),
        PrincipalConstraint::In(uid) | PrincipalConstraint::Eq(uid) => is_one(&uid),
        PrincipalConstraint::IsIn(name, uid) => is_kind(&name) && is_one(&uid),
    }
}

fn concerns_tool(policy: &Policy, server: &ServerName, tool: &str) -> bool {
    let target = names::item(Kind::Tool, server, tool);
    let server = names::server(server);
    let is_tool = |name: &cedar_policy::EntityTypeName| name == target.type_name();
    let fits = match policy.resource_constraint() {
        ResourceConstraint::Any => true,
        ResourceConstraint::Is(name) => is_tool(&name),
        ResourceConstraint::Eq(uid) => uid == target,
        ResourceConstraint::In(uid) => uid == target || uid == server,
        ResourceConstraint::IsIn(name, uid) => is_tool(&name) && (uid == target || uid == server),
    };
    let actions = crate::index::actions(&policy.action_constraint());
    let asked = [None, Some(SEE), Some(Action("tools/call"))];
    fits && actions.iter().any(|action| asked.contains(action))
}
