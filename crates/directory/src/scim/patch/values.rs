//! What an operation makes of the values of an attribute.

use serde_json::{Map, Value};

use super::Op;
use crate::scim::{
    ScimError, ScimType,
    path::AttributeTarget,
    schema::{Attribute, AttributeType, Mutability},
    validate::{attribute_value, is_primary, single_value},
};

/// What becomes of an attribute with one value.
pub(super) fn one(
    op: Op,
    target: &AttributeTarget,
    current: Option<Value>,
    value: Option<&Value>,
) -> Result<Option<Value>, ScimError> {
    let attribute = target.place.attribute;
    let value = value.map(unwrapped);
    if let Some(sub) = target.sub {
        let current = current.unwrap_or_else(|| Value::Object(Map::new()));
        let changed = with_sub(op, sub, current, value)?;
        return Ok(
            changed.filter(|value| value.as_object().is_some_and(|members| !members.is_empty()))
        );
    }
    if op == Op::Remove {
        return Ok(None);
    }
    let given = single_value(attribute, value.unwrap_or(&Value::Null))?;
    match (attribute.r#type, current, given) {
        // A set of sub-attributes replaces those that it names (RFC 7644 §3.5.2.3).
        (AttributeType::Complex, Some(Value::Object(mut current)), Some(Value::Object(given))) => {
            current.extend(given);
            Ok(Some(Value::Object(current)))
        }
        (_, current, None) if op == Op::Add => Ok(current),
        (_, _, given) => Ok(given),
    }
}

/// What becomes of an attribute with many values.
pub(super) fn many(
    op: Op,
    target: &AttributeTarget,
    mut values: Vec<Value>,
    value: Option<&Value>,
) -> Result<Vec<Value>, ScimError> {
    let attribute = target.place.attribute;
    if target.which.is_none() && target.sub.is_none() {
        let given = match value {
            Some(value) => list_of(attribute, value)?,
            None => Vec::new(),
        };
        return Ok(match op {
            Op::Replace => given,
            Op::Add => {
                add_all(&mut values, given);
                values
            }
            Op::Remove if value.is_some_and(|value| !value.is_null()) => {
                values.retain(|value| !given.iter().any(|given| is_meant(value, given)));
                values
            }
            Op::Remove => Vec::new(),
        });
    }
    let chosen: Vec<usize> = values
        .iter()
        .enumerate()
        .filter(|(_, value)| {
            target
                .which
                .as_ref()
                .is_none_or(|which| which.matches_value(value))
        })
        .map(|(index, _)| index)
        .collect();
    if chosen.is_empty() {
        return none_chosen(op, target, values, value);
    }
    let mut changed = Vec::with_capacity(values.len());
    let mut preferred = None;
    for (index, current) in values.into_iter().enumerate() {
        if !chosen.contains(&index) {
            changed.push(current);
            continue;
        }
        let was = is_primary(&current);
        if let Some(value) = changed_value(op, target, current, value)? {
            if is_primary(&value) && !was {
                preferred = Some(changed.len());
            }
            changed.push(value);
        }
    }
    if let Some(preferred) = preferred {
        keep_one_preferred(&mut changed, preferred);
    }
    Ok(changed)
}

/// One of the values that an operation is on.
fn changed_value(
    op: Op,
    target: &AttributeTarget,
    current: Value,
    value: Option<&Value>,
) -> Result<Option<Value>, ScimError> {
    if let Some(sub) = target.sub {
        let changed = with_sub(op, sub, current, value.map(unwrapped))?;
        return Ok(changed.filter(|value| says_something(target.place.attribute, value)));
    }
    if op == Op::Remove {
        return Ok(None);
    }
    let given = single_value(
        target.place.attribute,
        value.map_or(&Value::Null, unwrapped),
    )?;
    match (op, current, given) {
        (Op::Add, Value::Object(mut current), Some(Value::Object(given))) => {
            current.extend(given);
            Ok(Some(Value::Object(current)))
        }
        (_, _, given) => Ok(given),
    }
}

/// The condition in the path fits no value.
fn none_chosen(
    op: Op,
    target: &AttributeTarget,
    mut values: Vec<Value>,
    value: Option<&Value>,
) -> Result<Vec<Value>, ScimError> {
    if op == Op::Remove {
        return Ok(values);
    }
    let wanted = match (&target.which, target.sub) {
        // A sub-attribute of all values, of which there are none yet.
        (None, _) => Some(Value::Object(Map::new())),
        // RFC 7644 §3.5.2.3 has `noTarget` for it. Entra ID writes values so that are not there yet, so that only what
        // replaces a whole value needs one.
        (Some(_), Some(_)) => target.wanted_value(),
        (Some(_), None) if op == Op::Add => target.wanted_value(),
        (Some(_), None) => None,
    };
    let Some(wanted) = wanted else {
        let detail = format!("no value fits `{}`", target.text);
        return Err(ScimError::new(ScimType::NoTarget, detail));
    };
    // What is chosen by equality is so afterwards.
    let made = changed_value(Op::Add, target, wanted, value)?;
    add_all(&mut values, made.into_iter().collect());
    Ok(values)
}

/// A complex value with a sub-attribute changed.
fn with_sub(
    op: Op,
    sub: &'static Attribute,
    mut current: Value,
    value: Option<&Value>,
) -> Result<Option<Value>, ScimError> {
    let Some(members) = current.as_object_mut() else {
        return Ok(Some(current));
    };
    let given = match value {
        Some(value) if op != Op::Remove => single_value(sub, value)?,
        _ => None,
    };
    let before = members.get(sub.name);
    if sub.mutability == Mutability::Immutable && before.is_some() && before != given.as_ref() {
        let detail = format!("`{}` cannot be changed once it is set", sub.name);
        return Err(ScimError::new(ScimType::Mutability, detail));
    }
    match given {
        Some(given) => {
            members.insert(sub.name.to_owned(), given);
        }
        None if op == Op::Add => {}
        None => {
            members.remove(sub.name);
        }
    }
    Ok(Some(current))
}

/// Values that say what they are for and have none are gone.
fn says_something(attribute: &Attribute, value: &Value) -> bool {
    let Some(members) = value.as_object() else {
        return true;
    };
    let labels = ["type", "primary", "display"];
    if attribute.sub("value").is_some() {
        members.contains_key("value")
    } else {
        members.keys().any(|name| !labels.contains(&name.as_str()))
    }
}

fn list_of(attribute: &'static Attribute, value: &Value) -> Result<Vec<Value>, ScimError> {
    Ok(match attribute_value(attribute, value)? {
        Some(Value::Array(values)) => values,
        _ => Vec::new(),
    })
}

/// Adds what is not there yet. A new preferred value takes that from the old one (RFC 7644 §3.5.2).
fn add_all(values: &mut Vec<Value>, given: Vec<Value>) {
    for value in given {
        if values.contains(&value) {
            continue;
        }
        let preferred = is_primary(&value);
        let place = values.len();
        values.push(value);
        if preferred {
            keep_one_preferred(values, place);
        }
    }
}

fn keep_one_preferred(values: &mut [Value], preferred: usize) {
    for (index, value) in values.iter_mut().enumerate() {
        if index != preferred
            && is_primary(value)
            && let Some(members) = value.as_object_mut()
        {
            members.insert("primary".to_owned(), false.into());
        }
    }
}

/// Whether a value is the one that a list of what is to be removed means: by its `value`, or else by all that is said of it.
fn is_meant(value: &Value, given: &Value) -> bool {
    match (given.get("value"), given.as_object()) {
        (Some(wanted), _) => value.get("value") == Some(wanted),
        (None, Some(members)) => members
            .iter()
            .all(|(name, wanted)| value.get(name) == Some(wanted)),
        (None, None) => value == given,
    }
}

/// The one value in a list of one, and the plain value in an object that has nothing else: as older Entra ID wrote
/// `"value": [{"value": "False"}]`.
fn unwrapped(value: &Value) -> &Value {
    match value {
        Value::Array(values) => match values.as_slice() {
            [Value::Object(members)]
                if members.keys().all(|name| name == "value" || name == "$ref") =>
            {
                members.get("value").unwrap_or(value)
            }
            [only] => only,
            _ => value,
        },
        _ => value,
    }
}
