//! Roles become policies, in Cedar's JSON form: names and patterns stay values and are never policy text.

use std::sync::Arc;

use cedar_policy::{Policy, PolicyId};
use gatewright_core::access::{
    ArgumentCondition, Hours, Pattern, Permission, Role, Scalar, Weekday, When,
};
use serde_json::{Value as Json, json};

use crate::{
    BuildEngineError,
    arguments::{Path, Reads},
    names::Kind,
    schema,
};

/// A policy with the name that decisions report it by.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) policy: Policy,
    pub(crate) reported: Arc<str>,
    pub(crate) reads: Reads,
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
        let mut halves = Halves {
            role: &role.name,
            number,
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
            if kind == Kind::Tool && permission.read_only {
                also.push(get(var("resource"), "readOnly"));
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
    for pattern in &permission.server_requests {
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

fn conditions(when: &When) -> Result<Vec<Json>, String> {
    let mut all = Vec::new();
    for condition in &when.arguments {
        argument(condition, &mut all)?;
    }
    if let Some(clients) = &when.clients {
        if clients.is_empty() {
            return Err("no client is one of none".to_owned());
        }
        all.push(has(var("context"), "client"));
        all.push(one_of(
            clients.iter().map(|client| value(client.as_str())),
            get(var("context"), "client"),
        ));
    }
    if let Some(seconds) = when.authenticated_within {
        all.push(has(var("context"), "authAge"));
        all.push(binary("<=", get(var("context"), "authAge"), value(seconds)));
    }
    if let Some(span) = &when.hours {
        hours(span, &mut all)?;
    }
    Ok(all)
}

fn hours(span: &Hours, all: &mut Vec<Json>) -> Result<(), String> {
    if span.from >= span.until || span.until > 24 {
        return Err(format!(
            "`from = {}` and `until = {}` leave no hour between them",
            span.from, span.until
        ));
    }
    let hour = || get(var("context"), "hour");
    all.push(binary(">=", hour(), value(span.from)));
    all.push(binary("<", hour(), value(span.until)));
    if !span.days.is_empty() {
        all.push(one_of(
            span.days.iter().map(|day| value(number(*day))),
            get(var("context"), "weekday"),
        ));
    }
    Ok(())
}

const fn number(day: Weekday) -> u8 {
    match day {
        Weekday::Mon => 1,
        Weekday::Tue => 2,
        Weekday::Wed => 3,
        Weekday::Thu => 4,
        Weekday::Fri => 5,
        Weekday::Sat => 6,
        Weekday::Sun => 7,
    }
}

fn argument(condition: &ArgumentCondition, all: &mut Vec<Json>) -> Result<(), String> {
    let given = &condition.argument;
    if Path::new(given).is_none() {
        return Err(format!("`{given}` is not a path into the arguments"));
    }
    let args = || get(var("context"), "args");
    let found = || get(args(), given);
    let before = all.len();
    let typed = |field: &str, test: Json| and(and(has(args(), given), has(found(), field)), test);
    let equals = |scalar: &Scalar| {
        let field = match scalar {
            Scalar::Bool(_) => "boolean",
            Scalar::Integer(_) => "integer",
            Scalar::Text(_) => "text",
        };
        typed(field, binary("==", get(found(), field), literal(scalar)))
    };
    if let Some(scalar) = &condition.equals {
        all.push(equals(scalar));
    }
    if let Some(scalars) = &condition.one_of {
        let any = any_of(scalars.iter().map(equals));
        all.push(any.ok_or_else(|| format!("no value of the argument `{given}` is one of none"))?);
    }
    if let Some(pattern) = &condition.like {
        all.push(typed("text", like(get(found(), "text"), pattern)));
    }
    if let Some(least) = condition.at_least {
        all.push(typed(
            "integer",
            binary(">=", get(found(), "integer"), value(least)),
        ));
    }
    if let Some(most) = condition.at_most {
        all.push(typed(
            "integer",
            binary("<=", get(found(), "integer"), value(most)),
        ));
    }
    if all.len() == before {
        return Err(format!("nothing is asked of the argument `{given}`"));
    }
    Ok(())
}

fn literal(scalar: &Scalar) -> Json {
    match scalar {
        Scalar::Bool(flag) => value(*flag),
        Scalar::Integer(number) => value(*number),
        Scalar::Text(text) => value(text.as_str()),
    }
}

fn entity(kind: Kind, id: &str) -> Json {
    json!({"type": kind.type_name(), "id": id})
}

fn value(value: impl Into<Json>) -> Json {
    json!({"Value": value.into()})
}

fn var(name: &str) -> Json {
    json!({"Var": name})
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "reads as the expression it builds"
)]
fn get(left: Json, attr: &str) -> Json {
    json!({".": {"left": left, "attr": attr}})
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "reads as the expression it builds"
)]
fn has(left: Json, attr: &str) -> Json {
    json!({"has": {"left": left, "attr": attr}})
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "reads as the expression it builds"
)]
fn binary(op: &str, left: Json, right: Json) -> Json {
    json!({op: {"left": left, "right": right}})
}

fn and(left: Json, right: Json) -> Json {
    binary("&&", left, right)
}

fn one_of(values: impl Iterator<Item = Json>, of: Json) -> Json {
    binary("contains", json!({"Set": values.collect::<Vec<_>>()}), of)
}

fn any_of(tests: impl Iterator<Item = Json>) -> Option<Json> {
    tests.reduce(|left, right| binary("||", left, right))
}

/// A pattern of ours as a pattern of Cedar: `*` is the wildcard, everything else is literal.
fn like(left: Json, pattern: &Pattern) -> Json {
    let mut elements = Vec::new();
    for (index, part) in pattern.as_str().split('*').enumerate() {
        if index > 0 {
            elements.push(json!("Wildcard"));
        }
        if !part.is_empty() {
            elements.push(json!({"Literal": part}));
        }
    }
    if pattern.literal().is_some() {
        return binary("==", left, value(pattern.as_str()));
    }
    json!({"like": {"left": left, "pattern": elements}})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compile(permission: Json) -> Result<Vec<Source>, BuildEngineError> {
        let permission = serde_json::from_value(permission).unwrap();
        role(&Role {
            name: "r".into(),
            description: None,
            permissions: vec![permission],
        })
    }

    fn text(sources: &[Source], half: &str) -> Vec<String> {
        sources
            .iter()
            .filter(|s| s.reported.ends_with(half))
            .map(|s| s.policy.to_string())
            .collect()
    }

    #[test]
    fn a_permission_has_a_see_and_a_call_half() {
        let made = compile(json!({
            "servers": ["billing"], "tools": ["pay"],
            "when": {"arguments": [{"argument": "amount", "at_most": 100}]},
        }))
        .unwrap();
        let see = text(&made, "role:r/1#see");
        let call = text(&made, "role:r/1#call");
        assert_eq!(
            (see.len(), call.len(), text(&made, "#connect").len()),
            (1, 1, 1)
        );
        assert!(
            !see[0].contains("context"),
            "the see half cannot mention arguments: {}",
            see[0]
        );
        assert!(
            call[0].contains(r#"resource == Gatewright::Tool::"billing/pay""#),
            "{}",
            call[0]
        );
        assert!(call[0].contains("<= 100"), "{}", call[0]);
    }

    #[test]
    fn names_and_patterns_stay_values() {
        for evil in [r#"x" || true || ""#, r#""];"#, r"\", "é\u{202e}", "a\\*b"] {
            let made = compile(
                json!({"servers": ["billing"], "tools": [evil], "prompts": [format!("{evil}*")]}),
            );
            for source in made.unwrap() {
                let shown = source.policy.to_string();
                let again: Policy = shown
                    .parse()
                    .unwrap_or_else(|error| panic!("{shown}: {error}"));
                assert_eq!(
                    again.resource_constraint(),
                    source.policy.resource_constraint(),
                    "{shown}"
                );
                assert_eq!(
                    Reads::of(&again.to_json().unwrap()).context,
                    source.reads.context
                );
            }
        }
    }

    #[test]
    fn methods_cannot_pass_by_the_conditions_on_tools() {
        assert!(compile(json!({"servers": ["s"], "methods": ["tools/call"]})).is_err());
        let made = compile(json!({"servers": ["s"], "methods": ["*"]})).unwrap();
        for shown in text(&made, "#call") {
            for action in schema::ITEM_ACTIONS {
                assert!(!shown.contains(&format!("{:?}", action.0)), "{shown}");
            }
        }
    }

    #[test]
    fn conditions_that_mean_nothing_are_refused() {
        for when in [
            json!({"arguments": [{"argument": "a"}]}),
            json!({"arguments": [{"argument": "a", "one_of": []}]}),
            json!({"clients": []}),
            json!({"arguments": [{"argument": "a..b", "at_most": 1}]}),
            json!({"hours": {"from": 9, "until": 9}}),
            json!({"hours": {"from": 9, "until": 25}}),
        ] {
            let made = compile(json!({"servers": ["s"], "tools": ["t"], "when": when}));
            assert!(matches!(made, Err(BuildEngineError::Role { .. })), "{when}");
        }
    }
}
