//! Administrators: who may read and change the organisation.

mod compile;
mod decide;
mod giving;
mod mentions;
mod view;

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
};

use cedar_policy::{ActionConstraint, Entities, EntityUid, Policy, PolicyId, Schema};
use gatewright_core::{AdminVerb, Obligation};

pub(crate) use self::{
    compile::role,
    decide::{is_operator, operators},
    mentions::Mentions,
    view::AdminView,
};
use crate::{BuildEngineError, compile::Source, files::PolicyFile, names::Kind};

/// The schema that policies on administrators are held against.
pub static ADMIN_SCHEMA: LazyLock<String> = LazyLock::new(|| {
    let verbs: Vec<String> = AdminVerb::ALL
        .iter()
        .map(|verb| format!("\"{verb}\""))
        .collect();
    include_str!("admin.cedarschema").replace("ACTIONS", &verbs.join(", "))
});

/// The group that every action is in.
pub(crate) const ANY: &str = "any";

/// What ids of policies begin with that every tenant has.
pub(crate) const RESERVED: &str = "builtin:";

/// It is the same of every tenant, and reading it costs more than an engine without policies does.
static SCHEMA: LazyLock<Result<Schema, String>> = LazyLock::new(|| {
    Schema::from_cedarschema_str(&ADMIN_SCHEMA)
        .map(|(schema, _)| schema)
        .map_err(|error| error.to_string())
});

pub(crate) fn schema() -> Result<Schema, BuildEngineError> {
    SCHEMA
        .clone()
        .map_err(|reason| BuildEngineError::Schema { reason })
}

/// What holds in every tenant, as a file.
pub(crate) fn built_in() -> PolicyFile {
    PolicyFile {
        name: "builtin".into(),
        text: include_str!("admin.cedar").into(),
    }
}

/// Whether a policy is on administrators: it names their actions. One that names no action is on calls.
pub(crate) fn is_about(policy: &Policy) -> Result<bool, String> {
    let is_admin = |uid: &EntityUid| {
        let name = uid.type_name().to_string();
        name == Kind::AdminAction.type_name()
    };
    let named = match policy.action_constraint() {
        ActionConstraint::Any => Vec::new(),
        ActionConstraint::Eq(uid) => vec![uid],
        ActionConstraint::In(uids) => uids,
    };
    let admin = named.iter().filter(|uid| is_admin(uid)).count();
    if admin > 0 && admin < named.len() {
        return Err(
            "it names actions of callers and of administrators: write two policies".to_owned(),
        );
    }
    if named.is_empty() && policy.to_string().contains("GatewrightAdmin::") {
        return Err(format!(
            "a policy on administrators names its actions, as `action in GatewrightAdmin::Action::\"{ANY}\"`"
        ));
    }
    if admin > 0 && policy.annotation(Obligation::CREDENTIAL).is_some() {
        return Err(
            "`@credential` on a policy on administrators: only calls take a credential".to_owned(),
        );
    }
    Ok(admin > 0)
}

/// The policies on administrators of one tenant.
#[derive(Debug)]
pub(crate) struct AdminPolicies {
    pub(crate) schema: Schema,
    actions: Entities,
    /// Of each role that permits administrators something, by itself.
    of_roles: HashMap<Arc<str>, Vec<Source>>,
    /// Written by hand, and what holds in every tenant.
    written: Vec<Source>,
    reported: HashMap<PolicyId, Arc<str>>,
    pub(crate) mentions: Mentions,
}

impl AdminPolicies {
    pub(crate) fn new(
        schema: Schema,
        of_roles: HashMap<Arc<str>, Vec<Source>>,
        written: Vec<Source>,
        mentions: Mentions,
    ) -> Result<Self, BuildEngineError> {
        let actions = schema
            .action_entities()
            .map_err(|error| BuildEngineError::Schema {
                reason: error.to_string(),
            })?;
        let all = of_roles.values().flatten().chain(&written);
        let reported = all
            .map(|source| (source.policy.id().clone(), Arc::clone(&source.reported)))
            .collect();
        Ok(Self {
            schema,
            actions,
            of_roles,
            written,
            reported,
            mentions,
        })
    }

    /// How many are the tenant's own, written by hand.
    pub(crate) fn len(&self) -> usize {
        self.written().count()
    }

    /// The tenant's own policies that are written by hand, with the names that they are reported by.
    pub(crate) fn written(&self) -> impl Iterator<Item = (&Policy, &Arc<str>)> {
        let own = self
            .written
            .iter()
            .filter(|source| !source.reported.starts_with(RESERVED));
        own.map(|source| (&source.policy, &source.reported))
    }

    fn reported(&self, id: &PolicyId) -> Arc<str> {
        self.reported
            .get(id)
            .map_or_else(|| id.to_string().into(), Arc::clone)
    }
}
