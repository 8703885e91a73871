//! What becomes of one thing, for the log.

use std::sync::Arc;

use gatewright_core::Difference;
use serde_json::{Map, Value};

use crate::{model::Document, records::Kind};

/// What children of processes get in their environment may be secret, whoever put it there.
const UNTOLD: &str = "env";

pub(super) fn between(
    kind: Kind,
    id: &Arc<str>,
    before: Option<&Document>,
    after: Option<&Document>,
) -> Difference {
    let mut before = before.map(Document::to_value);
    let mut after = after.map(Document::to_value);
    if let (Some(Value::Object(before)), Some(Value::Object(after))) = (&mut before, &mut after) {
        let same: Vec<String> = before
            .iter()
            .filter(|(name, value)| after.get(*name) == Some(*value))
            .map(|(name, _)| name.clone())
            .collect();
        for name in same {
            before.remove(&name);
            after.remove(&name);
        }
    }
    Difference {
        of: format!("{kind} {id}"),
        before: before.map(untold),
        after: after.map(untold),
    }
}

/// Without the values of variables; that there are some, and that they are others than before, is said.
fn untold(mut document: Value) -> Value {
    if let Some(Value::Object(variables)) = document.get_mut(UNTOLD) {
        let names = std::mem::take(variables);
        *variables = names
            .into_iter()
            .map(|(name, _)| (name, Value::from("[not told]")))
            .collect::<Map<String, Value>>();
    }
    document
}
