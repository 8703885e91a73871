//! Roles by name: what each permits by itself, and what it has from others.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use gatewright_core::{
    AdminVerb,
    access::{AdminPermission, BuiltInRole, Inheritance, Role, built_in_roles},
};

use crate::BuildEngineError;

/// Every role of a tenant, the built-in ones included.
#[derive(Debug, Default)]
pub(crate) struct Roles {
    all: BTreeMap<Arc<str>, Entry>,
    inheritance: Inheritance,
}

#[derive(Debug)]
struct Entry {
    role: Arc<Role>,
    /// Of the role itself.
    verbs: BTreeSet<AdminVerb>,
}

impl Roles {
    pub(crate) fn new(own: Vec<Role>) -> Result<Self, BuildEngineError> {
        let mut all = BTreeMap::new();
        for role in &own {
            if BuiltInRole::named(&role.name).is_some() {
                return Err(BuildEngineError::BuiltInRole(role.name.clone()));
            }
        }
        let roles: Vec<Role> = own.into_iter().chain(built_in_roles()).collect();
        let inheritance = Inheritance::of(&roles)?;
        for role in roles {
            let name: Arc<str> = role.name.as_str().into();
            for (index, permission) in role.admin.iter().enumerate() {
                nothing_named(permission).map_err(|reason| BuildEngineError::Admin {
                    role: role.name.clone(),
                    permission: index + 1,
                    reason,
                })?;
            }
            let verbs = role.admin.iter().flat_map(AdminPermission::verbs).collect();
            let entry = Entry {
                role: Arc::new(role),
                verbs,
            };
            if all.insert(Arc::clone(&name), entry).is_some() {
                return Err(BuildEngineError::TwoRoles(name.to_string()));
            }
        }
        Ok(Self { all, inheritance })
    }

    pub(crate) fn role(&self, name: &str) -> Option<&Arc<Role>> {
        self.all.get(name).map(|entry| &entry.role)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Role>> {
        self.all.values().map(|entry| &entry.role)
    }

    /// What a role permits administrators by itself.
    pub(crate) fn verbs(&self, name: &str) -> Option<&BTreeSet<AdminVerb>> {
        self.all.get(name).map(|entry| &entry.verbs)
    }

    /// The role and all that it inherits from; empty when there is none of the name.
    pub(crate) fn with_inherited(&self, name: &str) -> Arc<[Arc<str>]> {
        self.inheritance.all(name)
    }
}

/// A permission that permits nothing is a mistake.
fn nothing_named(permission: &AdminPermission) -> Result<(), String> {
    if permission.actions.is_empty() {
        return Err("it names no action".to_owned());
    }
    let unknown = permission.actions.iter().find(|pattern| {
        let mut verbs = AdminVerb::ALL.iter();
        !verbs.any(|verb| pattern.matches(verb.name()))
    });
    match unknown {
        None => Ok(()),
        Some(pattern) => Err(format!(
            "`{}` is no action of administrators",
            pattern.as_str().escape_debug()
        )),
    }
}
