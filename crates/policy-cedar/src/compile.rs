//! Roles become policies, in Cedar's JSON form: names and patterns stay values and are never policy text.

mod conditions;
mod expression;

use std::sync::Arc;

use cedar_policy::{ActionConstraint, Effect, EntityUid, Policy, PolicyId};
use gatewright_core::{
    CredentialMode, Obligation,
    access::{Pattern, Permission, Role},
};
use serde_json::{Value as Json, json};

use self::{
    conditions::conditions,
    expression::{any_of, entity, get, has_any, like, not, value, var},
};
use crate::{BuildEngineError, arguments::Reads, names::Kind, schema};

/// A policy with the name that decisions report it by.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) policy: Policy,
    pub(crate) reported: Arc<str>,
    pub(crate) reads: Reads,
    /// As whom calls go upstream that it permits, where it says.
    pub(crate) credential: Option<CredentialMode>,
}

/// The policies of a role. Each permission gives up to three kinds, named `role:<name>/<n>#` and `see`, `call`
/// or `connect`; the principal is always the role, so that grants need no policies of their own.
pub(crate) fn role(role: &Role) -> Result<Vec<Source>, BuildEngineError> {
    let mut out = Vec::new();
    for (index, permission) in role.permissions.iter().enumerate() {
        let number = index + 1;
        let wrong = |reason: String| BuildEngineError::Role {
            role: role.name.clone(),
            permission: number,
            reason,
        };
        let conditions = conditions(&permission.when).map_err(wrong)?;
        for pattern in &permission.methods {
            refuse_item_method(pattern).map_err(wrong)?;
        }
        refuse_arguments_of_what_has_none(permission).map_err(wrong)?;
        let mut halves = Halves {
            role: &role.name,
            number,
            credential: permission.credential,
            count: 0,
            out: &mut out,
        };
        permission_policies(permission, &conditions, &mut halves)?;
    }
    Ok(out)
}

/// The policy without the text that it was read from, which is as large as itself.
pub(crate) fn light(policy: &Policy) -> Policy {
    Policy::from(policy.as_ref().clone())
}

/// What a policy reads of the context.
pub(crate) fn reads(policy: &Policy) -> Result<Reads, String> {
    light(policy)
        .to_json()
        .map(|json| Reads::of(&json))
        .map_err(|error| error.to_string())
}

/// The credential mode that a policy written by hand chooses by its annotation.
pub(crate) fn credential(policy: &Policy) -> Result<Option<CredentialMode>, String> {
    let Some(name) = policy.annotation(Obligation::CREDENTIAL) else {
        return Ok(None);
    };
    if policy.effect() == Effect::Forbid {
        return Err(
            "`@credential` on a `forbid`: only what permits a call can choose its credential"
                .to_owned(),
        );
    }
    let sees = |uid: &EntityUid| uid.id().unescaped() == schema::SEE.0;
    let only_sees = match policy.action_constraint() {
        ActionConstraint::Any => false,
        ActionConstraint::Eq(uid) => sees(&uid),
        ActionConstraint::In(uids) => uids.iter().all(sees),
    };
    if only_sees {
        return Err(
            "`@credential` on a `permit` of `see` alone: only calls take a credential".to_owned(),
        );
    }
    let mode = CredentialMode::from_name(name);
    mode.map(Some).ok_or_else(|| {
        let known = CredentialMode::ALL.map(|mode| format!("`{}`", mode.name()));
        let known = known.join(", ");
        format!(
            "`{}` is no credential mode: use one of {known}",
            name.escape_debug()
        )
    })
}

fn permission_policies(
    permission: &Permission,
    conditions: &[Json],
    halves: &mut Halves<'_>,
) -> Result<(), BuildEngineError> {
    let items = [
        (
            Kind::Tool,
            "name",
            &permission.tools,
            &["tools/call"] as &[&str],
        ),
        (Kind::Prompt, "name", &permission.prompts, &["prompts/get"]),
        (
            Kind::Resource,
            "uri",
            &permission.resources,
            &[
                "resources/read",
                "resources/subscribe",
                "resources/unsubscribe",
            ],
        ),
    ];
    for server in &permission.servers {
        for (kind, field, patterns, actions) in items {
            let mut also = Vec::new();
            if kind == Kind::Tool {
                vouched(permission, &mut also);
            }
            for (scope, mut when) in scopes(server, kind, field, patterns) {
                when.extend(also.iter().cloned());
                halves.push("see", &["see"], &scope, &when)?;
                when.extend(conditions.iter().cloned());
                halves.push("call", actions, &scope, &when)?;
            }
        }
        methods(permission, server, conditions, halves)?;
        let (scope, when) = server_scope(server);
        halves.push("connect", &[schema::CONNECT], &scope, &when)?;
    }
    Ok(())
}

/// What a permission asks of tools besides their names.
fn vouched(permission: &Permission, all: &mut Vec<Json>) {
    if permission.read_only {
        all.push(get(var("resource"), "readOnly"));
    }
    match permission.destructive {
        Some(true) => all.push(get(var("resource"), "destructive")),
        Some(false) => all.push(not(get(var("resource"), "destructive"))),
        None => {}
    }
    if !permission.tags.is_empty() {
        let tags = permission.tags.iter().map(|tag| value(tag.as_str()));
        all.push(has_any(get(var("resource"), "tags"), tags));
    }
}

fn methods(
    permission: &Permission,
    server: &Pattern,
    conditions: &[Json],
    halves: &mut Halves<'_>,
) -> Result<(), BuildEngineError> {
    let (server_only, mut when) = server_scope(server);
    when.extend(conditions.iter().cloned());
    let known = |pattern: &Pattern| {
        schema::METHOD_ACTIONS
            .iter()
            .any(|action| pattern.matches(action.0))
    };
    let named = |all: &[Pattern], method: &str| all.iter().any(|pattern| pattern.matches(method));

    if named(&permission.methods, "completion/complete") {
        let (scope, mut when) = match server.literal() {
            Some(name) => (
                json!({"op": "in", "entity": entity(Kind::Server, name)}),
                Vec::new(),
            ),
            None => (
                json!({"op": "All"}),
                vec![like(get(var("resource"), "server"), server)],
            ),
        };
        when.extend(conditions.iter().cloned());
        halves.push("call", &["completion/complete"], &scope, &when)?;
    }
    let tasks: Vec<&str> = schema::METHOD_ACTIONS
        .iter()
        .map(|action| action.0)
        .filter(|name| name.starts_with("tasks/") && named(&permission.methods, name))
        .collect();
    if !tasks.is_empty() {
        halves.push("call", &tasks, &server_only, &when)?;
    }
    let unknown = permission
        .methods
        .iter()
        .filter(|pattern| pattern.literal().is_none() || !known(pattern));
    for pattern in unknown {
        let mut when = when.clone();
        when.push(like(get(var("context"), "method"), pattern));
        halves.push("call", &[schema::UNKNOWN.0], &server_only, &when)?;
    }
    let requests: Vec<&str> = schema::SERVER_ACTIONS
        .iter()
        .filter(|(_, method)| !method.is_empty() && named(&permission.server_requests, method))
        .map(|(action, _)| action.0)
        .collect();
    if !requests.is_empty() {
        halves.push("call", &requests, &server_only, &when)?;
    }
    let asked = |pattern: &&Pattern| {
        let name = pattern.literal();
        name.is_none()
            || schema::SERVER_ACTIONS
                .iter()
                .all(|(_, method)| Some(*method) != name)
    };
    for pattern in permission.server_requests.iter().filter(asked) {
        let mut when = when.clone();
        when.push(like(get(var("context"), "method"), pattern));
        halves.push("call", &[schema::REVERSE_UNKNOWN.0], &server_only, &when)?;
    }
    Ok(())
}

/// Collects the policies of one permission.
struct Halves<'a> {
    role: &'a str,
    number: usize,
    credential: Option<CredentialMode>,
    count: usize,
    out: &'a mut Vec<Source>,
}

impl Halves<'_> {
    fn push(
        &mut self,
        half: &str,
        actions: &[&str],
        scope: &Json,
        when: &[Json],
    ) -> Result<(), BuildEngineError> {
        let reported: Arc<str> = format!("role:{}/{}#{half}", self.role, self.number).into();
        self.count += 1;
        let id = format!("{reported}~{}", self.count);
        let actions: Vec<Json> = actions
            .iter()
            .map(|action| entity(Kind::Action, action))
            .collect();
        let conditions: Vec<Json> = when
            .iter()
            .map(|body| json!({"kind": "when", "body": body}))
            .collect();
        let text = json!({
            "effect": "permit",
            "principal": {"op": "in", "entity": entity(Kind::Role, self.role)},
            "action": {"op": "in", "entities": actions},
            "resource": scope,
            "conditions": conditions,
        });
        let reads = Reads::of(&text);
        let policy = Policy::from_json(Some(PolicyId::new(&id)), text).map_err(|error| {
            BuildEngineError::Compiled {
                id,
                reason: error.to_string(),
            }
        })?;
        self.out.push(Source {
            policy,
            reported,
            reads,
            credential: self.credential,
        });
        Ok(())
    }
}

/// The scopes and conditions that the patterns of one kind give on one server. Literal names are scopes of
/// their own, so that a call meets only those that name its target.
fn scopes(
    server: &Pattern,
    kind: Kind,
    field: &str,
    patterns: &[Pattern],
) -> Vec<(Json, Vec<Json>)> {
    let resource = || get(var("resource"), field);
    let Some(server_name) = server.literal() else {
        let Some(any) = any_of(patterns.iter().map(|pattern| like(resource(), pattern))) else {
            return Vec::new();
        };
        let scope = json!({"op": "is", "entity_type": kind.type_name()});
        return vec![(
            scope,
            vec![like(get(var("resource"), "server"), server), any],
        )];
    };
    let (literal, open): (Vec<&Pattern>, Vec<&Pattern>) =
        patterns.iter().partition(|p| p.literal().is_some());
    let mut out: Vec<(Json, Vec<Json>)> = literal
        .into_iter()
        .map(|name| {
            (
                json!({"op": "==", "entity": entity(kind, &format!("{server_name}/{name}"))}),
                Vec::new(),
            )
        })
        .collect();
    if let Some(any) = any_of(open.into_iter().map(|pattern| like(resource(), pattern))) {
        let within = json!({"entity": entity(Kind::Server, server_name)});
        out.push((
            json!({"op": "is", "entity_type": kind.type_name(), "in": within}),
            vec![any],
        ));
    }
    out
}

fn server_scope(server: &Pattern) -> (Json, Vec<Json>) {
    match server.literal() {
        Some(name) => (
            json!({"op": "==", "entity": entity(Kind::Server, name)}),
            Vec::new(),
        ),
        None => (
            json!({"op": "is", "entity_type": Kind::Server.type_name()}),
            vec![like(get(var("resource"), "name"), server)],
        ),
    }
}

/// Such a permission would show what it never allows (invariant 4).
fn refuse_arguments_of_what_has_none(permission: &Permission) -> Result<(), String> {
    if permission.when.arguments.is_empty() {
        return Ok(());
    }
    let known = |pattern: &&Pattern| {
        let name = pattern.literal();
        schema::METHOD_ACTIONS
            .iter()
            .any(|action| Some(action.0) == name)
    };
    let without = if permission.resources.is_empty() {
        let method = permission.methods.iter().find(known);
        method.map(|method| format!("`{}` has", method.as_str()))
    } else {
        Some("resources have".to_owned())
    };
    match without {
        None => Ok(()),
        Some(which) => Err(format!(
            "{which} no arguments to hold a condition against: a permission of their own can give them"
        )),
    }
}

/// `methods` is for what has no list of its own: through it, the conditions on tools would be passed by.
fn refuse_item_method(pattern: &Pattern) -> Result<(), String> {
    let Some(name) = pattern.literal() else {
        return Ok(());
    };
    if schema::ITEM_ACTIONS.iter().any(|action| action.0 == name) {
        return Err(format!(
            "`{name}` is given by `tools`, `prompts` or `resources`, not by `methods`"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
