//! Roles, grants and policies of a tenant, compiled.

use std::{
    collections::{BTreeMap, HashSet},
    path::PathBuf,
};

use gatewright_core::{
    CredentialMode, TenantId,
    access::{BuiltInRole, Grant, Inheritance, Pattern, Permission, Role, built_in_roles},
};
use gatewright_policy_cedar::{BuildEngineError, CedarEngine, Grants};

use super::{Issuer, Server, forms::RoleForm, reader::Reader};
use crate::config::{
    Problem,
    document::{Item, Table},
};

#[derive(Default)]
pub(super) struct Access {
    pub(super) roles: Vec<Role>,
    pub(super) grants: Vec<Grant>,
    pub(super) policies: Option<BTreeMap<String, String>>,
}

/// What an engine is made of besides roles and servers.
pub(super) enum Given<'a> {
    /// The grants of a file, which names a directory of policies.
    File(&'a [Grant]),
    /// The grants and the policies of the directory.
    Directory(Grants, &'a BTreeMap<String, String>),
}

/// A role, with the places of its permissions.
pub(super) struct Placed {
    pub(super) role: Role,
    at: usize,
    permissions: Vec<usize>,
}

impl<'t> Reader<'_, 't> {
    pub(super) fn access(
        &mut self,
        tenant: &TenantId,
        table: &mut Table<'_, 't>,
        issuers: &[Issuer],
        servers: &[Server],
    ) -> (Access, Option<CedarEngine>) {
        let roles = self.roles(table, servers);
        let grants = self.grants(table, issuers, &roles, servers);
        let policies = self.policies(table);
        let engine = self.engine(
            tenant,
            &roles,
            Given::File(&grants),
            policies.as_ref(),
            servers,
        );
        let roles = roles.into_iter().map(|placed| placed.role).collect();
        let policies = policies.map(|(dir, at)| self.policy_texts(&dir, at));
        (
            Access {
                roles,
                grants,
                policies,
            },
            engine,
        )
    }

    pub(super) fn roles(&mut self, table: &mut Table<'_, 't>, servers: &[Server]) -> Vec<Placed> {
        let mut roles: Vec<Placed> = Vec::new();
        for item in table.list::<RoleForm>("roles", self.problems) {
            let at = item.at(&["name"]);
            if item.value.name.is_empty() {
                self.problems
                    .add(at, "the role has no name", "write `name = \"clerk\"`");
            }
            if roles.iter().any(|other| other.role.name == item.value.name) {
                let what = format!("there is a role `{}` already", item.value.name);
                self.problems.add(
                    at,
                    what,
                    "give each role a name of its own, or join the two",
                );
            }
            let mut places = Vec::new();
            for (index, permission) in item.value.permissions.iter().enumerate() {
                let index = index.to_string();
                places.push(item.at(&["permissions", &index]));
                self.permission(&item, &index, permission, servers);
            }
            if BuiltInRole::named(&item.value.name).is_some() {
                let what = format!("every tenant has a role `{}`", item.value.name);
                let fix = "give yours another name; it can say `inherits = [\"…\"]`";
                self.problems.add(at, what, fix);
            }
            let RoleForm {
                name,
                description,
                inherits,
                permissions,
                admin,
            } = item.value;
            roles.push(Placed {
                role: Role {
                    name,
                    description,
                    inherits,
                    permissions,
                    admin,
                },
                at,
                permissions: places,
            });
        }
        self.inheritance(&roles);
        roles
    }

    fn inheritance(&mut self, roles: &[Placed]) {
        let built_in: Vec<Role> = built_in_roles().collect();
        let own = roles.iter().map(|placed| &placed.role);
        if let Err(error) = Inheritance::of(own.chain(&built_in)) {
            let of_role = roles
                .iter()
                .find(|placed| placed.role.name == error.role())
                .map_or(0, |placed| placed.at);
            let fix = "name defined roles in `inherits`, of which none leads back to this one";
            self.problems.add(of_role, error.to_string(), fix);
        }
    }

    fn permission(
        &mut self,
        role: &Item<'_, 't, RoleForm>,
        index: &str,
        permission: &Permission,
        servers: &[Server],
    ) {
        let at = |key: &str| role.at(&["permissions", index, key]);
        if permission.servers.is_empty() {
            let fix = "list servers, as `servers = [\"billing\"]`, or `[\"*\"]` for all";
            self.problems
                .add(at("servers"), "the permission is for no server", fix);
        }
        for server in permission.servers.iter().filter_map(Pattern::literal) {
            if !servers.iter().any(|known| known.name.as_str() == server) {
                let what = format!("the server `{server}` is not defined");
                let names: Vec<_> = servers
                    .iter()
                    .map(|known| format!("`{}`", known.name))
                    .collect();
                let fix = if names.is_empty() {
                    "add it with `[[servers]]`".to_owned()
                } else {
                    format!("the servers of this tenant are {}", names.join(", "))
                };
                self.problems.add(at("servers"), what, fix);
            }
        }
        if let Some(mode) = permission.credential
            && mode != CredentialMode::None
        {
            let without = servers.iter().filter(|server| {
                server.credential.mode == CredentialMode::None
                    && permission
                        .servers
                        .iter()
                        .any(|pattern| pattern.matches(server.name.as_str()))
            });
            for server in without {
                let what = format!("the server `{}` takes no credential", server.name);
                let fix = format!(
                    "add `credential = \"{}\"` to the server, for everybody whose permission says nothing, or leave the \
                     server out here",
                    mode.name()
                );
                self.problems.add(at("credential"), what, fix);
            }
        }
        let bounds = [
            ("read_only", permission.read_only),
            ("destructive", permission.destructive.is_some()),
            ("tags", !permission.tags.is_empty()),
        ];
        for (key, given) in bounds {
            if given && permission.tools.is_empty() {
                let what = format!("`{key}` bounds tools, and there are none");
                let fix = "add `tools = [\"*\"]` for every tool that it fits";
                self.problems.add(at(key), what, fix);
            }
        }
    }

    fn policies(&mut self, table: &mut Table<'_, 't>) -> Option<(PathBuf, usize)> {
        let item: Item<'_, '_, PathBuf> = table.take("policies", self.problems)?;
        let dir = self.beside(&item.value);
        if dir.is_dir() {
            return Some((dir, item.at(&[])));
        }
        let what = format!("there is no directory `{}`", dir.display());
        self.problems.add(
            item.at(&[]),
            what,
            "name a directory of `.cedar` files; the path is relative to this file",
        );
        None
    }

    /// The texts of the `.cedar` files of a directory.
    fn policy_texts(&mut self, dir: &std::path::Path, at: usize) -> BTreeMap<String, String> {
        let mut texts = BTreeMap::new();
        let read = std::fs::read_dir(dir).and_then(|entries| {
            for entry in entries {
                let path = entry?.path();
                let is_cedar = path.extension().is_some_and(|ending| ending == "cedar");
                let Some(name) = path.file_name().filter(|_| is_cedar) else {
                    continue;
                };
                let name = name.to_string_lossy().into_owned();
                texts.insert(name, std::fs::read_to_string(&path)?);
            }
            Ok(())
        });
        if let Err(error) = read {
            let what = format!(
                "the policies in `{}` cannot be read: {error}",
                dir.display()
            );
            self.problems.add(at, what, "make them readable");
        }
        texts
    }

    pub(super) fn engine(
        &mut self,
        tenant: &TenantId,
        roles: &[Placed],
        given: Given<'_>,
        policies: Option<&(PathBuf, usize)>,
        servers: &[Server],
    ) -> Option<CedarEngine> {
        let names: HashSet<&str> = roles
            .iter()
            .map(|placed| placed.role.name.as_str())
            .collect();
        if names.len() < roles.len() {
            return None;
        }
        let mut builder = CedarEngine::builder()
            .tenant(tenant.clone())
            .version(self.version)
            .roles(roles.iter().map(|placed| placed.role.clone()));
        builder = match given {
            // Grants of roles that there are not were noted.
            Given::File(grants) => builder.grants(
                grants
                    .iter()
                    .filter(|grant| {
                        let role = grant.role.as_str();
                        names.contains(role) || BuiltInRole::named(role).is_some()
                    })
                    .cloned(),
            ),
            Given::Directory(grants, files) => files
                .iter()
                .fold(builder.shared_grants(grants), |builder, (name, text)| {
                    builder.policies(name, text)
                }),
        };
        for server in servers {
            for (tools, facts) in &server.tools {
                builder = builder.vouch(server.name.clone(), tools.clone(), facts.clone());
            }
        }
        if let Some((dir, _)) = policies {
            builder = builder.policies_dir(dir);
        }
        match builder.build() {
            Ok(engine) => Some(engine),
            // Noted where the roles were read.
            Err(BuildEngineError::Inheritance(_) | BuildEngineError::BuiltInRole(_)) => None,
            Err(BuildEngineError::Role { .. } | BuildEngineError::Admin { .. }) => {
                // One by one, for all that is wrong.
                for placed in roles {
                    let alone = Role {
                        inherits: Vec::new(),
                        ..placed.role.clone()
                    };
                    let role = CedarEngine::builder().roles([alone]).build();
                    if let Err(error) = role {
                        self.policy_problem(error, Some(placed), policies);
                    }
                }
                None
            }
            Err(error) => {
                self.policy_problem(error, None, policies);
                None
            }
        }
    }

    fn policy_problem(
        &mut self,
        error: BuildEngineError,
        role: Option<&Placed>,
        policies: Option<&(PathBuf, usize)>,
    ) {
        let dir = policies.map(|(dir, _)| dir.clone()).unwrap_or_default();
        match (error, role) {
            (BuildEngineError::Role { role: name, permission, reason }, Some(placed)) => {
                let at = placed.permissions.get(permission.saturating_sub(1)).copied().unwrap_or(placed.at);
                let what = format!("role `{name}`, permission {permission}: {reason}");
                self.problems.add(at, what, "see `Conditions` in docs/configuration.md");
            }
            (error @ BuildEngineError::Admin { .. }, Some(placed)) => {
                self.problems.add(placed.at, error.to_string(), "see `Administrators` in docs/configuration.md");
            }
            (BuildEngineError::Policy { file, line, reason }, _) => self.problems.add_elsewhere(Problem {
                file: dir.join(file),
                line,
                what: reason,
                fix: "see `Policies in Cedar` in docs/configuration.md; `gatewright policy schema` prints the schema".into(),
            }),
            (BuildEngineError::TakenId { file, line, id }, _) => self.problems.add_elsewhere(Problem {
                file: dir.join(file),
                line,
                what: format!("the policy id `{id}` is taken already"),
                fix: "give each policy an `@id` of its own".into(),
            }),
            (error, placed) => {
                let at = placed.map(|placed| placed.at).or(policies.map(|(_, at)| *at)).unwrap_or_default();
                self.problems.add(at, error.to_string(), "see docs/configuration.md");
            }
        }
    }
}
