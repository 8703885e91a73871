//! Expressions in Cedar's JSON form.

use gatewright_core::access::Pattern;
use serde_json::{Value as Json, json};

use crate::names::Kind;

pub(super) fn entity(kind: Kind, id: &str) -> Json {
    json!({"type": kind.type_name(), "id": id})
}

pub(super) fn value(value: impl Into<Json>) -> Json {
    json!({"Value": value.into()})
}

pub(super) fn var(name: &str) -> Json {
    json!({"Var": name})
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "reads as the expression it builds"
)]
pub(super) fn get(left: Json, attr: &str) -> Json {
    json!({".": {"left": left, "attr": attr}})
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "reads as the expression it builds"
)]
pub(super) fn has(left: Json, attr: &str) -> Json {
    json!({"has": {"left": left, "attr": attr}})
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "reads as the expression it builds"
)]
pub(super) fn binary(op: &str, left: Json, right: Json) -> Json {
    json!({op: {"left": left, "right": right}})
}

pub(super) fn and(left: Json, right: Json) -> Json {
    binary("&&", left, right)
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "reads as the expression it builds"
)]
pub(super) fn not(of: Json) -> Json {
    json!({"!": {"arg": of}})
}

pub(super) fn one_of(values: impl Iterator<Item = Json>, of: Json) -> Json {
    binary("contains", json!({"Set": values.collect::<Vec<_>>()}), of)
}

pub(super) fn has_any(set: Json, values: impl Iterator<Item = Json>) -> Json {
    binary(
        "containsAny",
        set,
        json!({"Set": values.collect::<Vec<_>>()}),
    )
}

pub(super) fn any_of(tests: impl Iterator<Item = Json>) -> Option<Json> {
    tests.reduce(|left, right| binary("||", left, right))
}

/// A pattern of ours as a pattern of Cedar: `*` is the wildcard, everything else is literal.
pub(super) fn like(left: Json, pattern: &Pattern) -> Json {
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
