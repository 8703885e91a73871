use std::sync::Arc;

use cedar_policy::{Policy, PolicyId};
use gatewright_core::{AdminVerb, access::Role};
use serde_json::{Value as Json, json};

use crate::{BuildEngineError, arguments::Reads, compile::Source, names::Kind};

/// What a role permits administrators by itself: policies named `role:<name>/admin/<n>`. Each permission gives one for
/// those to whom the role is granted for the whole tenant, and one for those to whom it is granted over a part.
pub(crate) fn role(role: &Role) -> Result<Vec<Source>, BuildEngineError> {
    let mut out = Vec::new();
    for (index, permission) in role.admin.iter().enumerate() {
        let reported: Arc<str> = format!("role:{}/admin/{}", role.name, index + 1).into();
        let whole: Vec<AdminVerb> = permission.verbs().collect();
        let member = json!({
            "op": "in",
            "entity": {"type": Kind::AdminRole.type_name(), "id": role.name},
        });
        out.push(policy(&reported, "whole", &member, &whole, None)?);
        let part: Vec<AdminVerb> = whole
            .into_iter()
            .filter(|verb| !verb.is_of_tenant())
            .collect();
        if part.is_empty() {
            continue;
        }
        let anybody = json!({"op": "All"});
        let concerned = concerned(&role.name);
        out.push(policy(
            &reported,
            "part",
            &anybody,
            &part,
            Some(&concerned),
        )?);
    }
    Ok(out)
}

/// `principal.hasTag(r) && principal.getTag(r).containsAny(resource.concerns)`
fn concerned(role: &str) -> Json {
    let tag = |op: &str| json!({op: {"left": {"Var": "principal"}, "right": {"Value": role}}});
    let concerns = json!({".": {"left": {"Var": "resource"}, "attr": "concerns"}});
    let any = json!({"containsAny": {"left": tag("getTag"), "right": concerns}});
    json!({"&&": {"left": tag("hasTag"), "right": any}})
}

fn policy(
    reported: &Arc<str>,
    part: &str,
    principal: &Json,
    verbs: &[AdminVerb],
    when: Option<&Json>,
) -> Result<Source, BuildEngineError> {
    let id = format!("{reported}~{part}");
    let actions: Vec<Json> = verbs
        .iter()
        .map(|verb| json!({"type": Kind::AdminAction.type_name(), "id": verb.name()}))
        .collect();
    let conditions: Vec<Json> = when
        .into_iter()
        .map(|body| json!({"kind": "when", "body": body}))
        .collect();
    let text = json!({
        "effect": "permit",
        "principal": principal,
        "action": {"op": "in", "entities": actions},
        "resource": {"op": "All"},
        "conditions": conditions,
    });
    let policy = Policy::from_json(Some(PolicyId::new(&id)), text).map_err(|error| {
        BuildEngineError::Compiled {
            id,
            reason: error.to_string(),
        }
    })?;
    Ok(Source {
        policy,
        reported: Arc::clone(reported),
        reads: Reads::default(),
        credential: None,
    })
}
