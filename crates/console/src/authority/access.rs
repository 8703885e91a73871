//! Roles and grants.

use std::collections::BTreeSet;

use gatewright_core::{
    AdminAction, AdminVerb, Given,
    access::{self, Scope},
};
use gatewright_directory::{
    model::{Grant, Over},
    records::Kind,
};

use super::before::{Before, Unasked, core_grant, group_scope, server_scope};

impl Before<'_> {
    pub(super) fn role_written(
        &self,
        before: Option<&access::Role>,
        after: &access::Role,
    ) -> AdminAction {
        let mut action = self
            .action(AdminVerb::RolesWrite, Kind::Role, &after.name)
            .giving(Given::Role(after.clone()));
        action.concerns = only_server(before.into_iter().chain([after]));
        action
    }

    pub(super) fn role_removed(&self, role: &access::Role) -> AdminAction {
        let mut action = self.action(AdminVerb::RolesRemove, Kind::Role, &role.name);
        action.concerns = only_server([role]);
        action
    }

    pub(super) fn grant_written(
        &self,
        id: &str,
        before: Option<&Grant>,
        after: &Grant,
    ) -> Result<Vec<AdminAction>, Unasked> {
        let mut actions = Vec::new();
        if let Some(before) = before {
            let same_place =
                (&before.role, &before.to, &before.over) == (&after.role, &after.to, &after.over);
            let shorter = match (before.expires, after.expires) {
                (None, Some(_)) => true,
                (Some(before), Some(after)) => after < before,
                _ => false,
            };
            if !same_place || shorter {
                actions.push(self.grant_removed(id, before)?);
            }
            // A grant that only ends earlier gives nobody anything.
            if same_place && shorter {
                return Ok(actions);
            }
        }
        let mut action = AdminAction::grant(self.tenant.clone(), id, core_grant(after)?);
        action.concerns.extend(self.around_holder(&after.to));
        actions.push(action);
        Ok(actions)
    }

    /// Taking a grant away; of one that permits administrators something, by who holds as much.
    pub(super) fn grant_removed(&self, id: &str, grant: &Grant) -> Result<AdminAction, Unasked> {
        let mut action = self.action(AdminVerb::GrantsRemove, Kind::Grant, id);
        action.concerns = self.around_holder(&grant.to);
        action.concerns.extend(match &grant.over {
            Some(Over::Server(name)) => server_scope(name),
            Some(Over::Group(id)) => Some(group_scope(id)),
            _ => None,
        });
        if let Some(role) = self.directory.role(self.tenant, &grant.role) {
            action.concerns.extend(only_server([&role.0]));
        }
        let ended = grant.expires.is_some_and(|end| end <= self.now.millis());
        if !ended && self.is_administrative(&grant.role) {
            action.gives.push(Given::Grant(core_grant(grant)?));
        }
        Ok(action)
    }
}

/// The server that everything in these roles is on, if it is all on one. What is of others too concerns none of them: who
/// administers one would take from the others.
fn only_server<'a>(roles: impl IntoIterator<Item = &'a access::Role>) -> Vec<Scope> {
    let mut names = BTreeSet::new();
    for role in roles {
        if !role.inherits.is_empty() || !role.admin.is_empty() {
            return Vec::new();
        }
        for server in role.permissions.iter().flat_map(|one| &one.servers) {
            match server.literal() {
                Some(name) => names.insert(name),
                None => return Vec::new(),
            };
        }
    }
    match names.into_iter().collect::<Vec<_>>()[..] {
        [only] => server_scope(only).into_iter().collect(),
        _ => Vec::new(),
    }
}
