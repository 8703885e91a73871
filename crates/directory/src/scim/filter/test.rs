//! What is asked of one value.

use std::{borrow::Cow, cmp::Ordering};

use jiff::Timestamp;
use serde_json::Value;

use super::{Operator, invalid};
use crate::scim::{
    AttributeName, ScimError,
    schema::{Attribute, AttributeType},
};

#[derive(Clone, Debug)]
pub(super) enum Test {
    Present,
    /// `eq null` and `ne null`, which are about presence.
    Null(Operator),
    Text(Operator, String),
    Flag(Operator, bool),
    Moment(Operator, Timestamp),
    Number(Operator, i64),
}

impl Test {
    /// What a comparison means for an attribute.
    pub(super) fn of(
        leaf: &'static Attribute,
        name: &AttributeName,
        operator: Operator,
        value: &Value,
    ) -> Result<Self, ScimError> {
        let unfit = || {
            invalid(format!(
                "`{name}` cannot be compared so: `{} {value}`",
                operator.name()
            ))
        };
        let equality = matches!(operator, Operator::Eq | Operator::Ne);
        match (leaf.r#type, value) {
            (_, Value::Null) if equality => Ok(Self::Null(operator)),
            (AttributeType::Boolean, Value::Bool(flag)) if equality => {
                Ok(Self::Flag(operator, *flag))
            }
            (AttributeType::Integer, Value::Number(number)) if !is_about_text(operator) => {
                let number = number.as_i64().ok_or_else(unfit)?;
                Ok(Self::Number(operator, number))
            }
            // Entra ID writes booleans as strings.
            (AttributeType::Boolean, Value::String(text)) if equality => {
                let flag = crate::scim::validate::flag(text).ok_or_else(unfit)?;
                Ok(Self::Flag(operator, flag))
            }
            (AttributeType::DateTime, Value::String(text)) if !is_about_text(operator) => {
                let moment = text.parse().map_err(|_no_moment| unfit())?;
                Ok(Self::Moment(operator, moment))
            }
            (AttributeType::Binary, Value::String(text)) if equality => {
                Ok(Self::Text(operator, text.clone()))
            }
            (
                AttributeType::String | AttributeType::Reference | AttributeType::DateTime,
                Value::String(text),
            ) => Ok(Self::Text(operator, comparable(leaf, text).into_owned())),
            _ => Err(unfit()),
        }
    }
}

const fn is_about_text(operator: Operator) -> bool {
    matches!(operator, Operator::Co | Operator::Sw | Operator::Ew)
}

/// A text in the form in which values of the attribute are compared.
pub(crate) fn comparable<'a>(attribute: &Attribute, text: &'a str) -> Cow<'a, str> {
    if attribute.case_exact {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(text.to_lowercase())
    }
}

impl Test {
    /// Whether it holds for the values of an attribute.
    pub(super) fn holds<'a>(
        &self,
        leaf: &Attribute,
        mut values: impl Iterator<Item = &'a Value>,
    ) -> bool {
        match self {
            Self::Present => values.any(is_something),
            Self::Null(Operator::Ne) => values.any(is_something),
            Self::Null(_) => !values.any(is_something),
            // Unlike every other comparison this holds where there is no value: it is the opposite of `eq`.
            Self::Text(Operator::Ne, text) => {
                !values.any(|value| text_of(leaf, value).is_some_and(|found| *found == **text))
            }
            Self::Text(operator, text) => values.any(|value| {
                text_of(leaf, value).is_some_and(|found| compares(*operator, &found, text))
            }),
            Self::Flag(operator, flag) => {
                values.any(|value| *value == Value::Bool(*flag)) == (*operator == Operator::Eq)
            }
            Self::Number(Operator::Ne, number) => {
                !values.any(|value| value.as_i64() == Some(*number))
            }
            Self::Number(operator, number) => values.any(|value| {
                value
                    .as_i64()
                    .is_some_and(|found| ordered(*operator, found.cmp(number)))
            }),
            Self::Moment(Operator::Ne, moment) => {
                !values.any(|value| moment_of(value) == Some(*moment))
            }
            Self::Moment(operator, moment) => values.any(|value| {
                moment_of(value).is_some_and(|found| ordered(*operator, found.cmp(moment)))
            }),
        }
    }
}

fn compares(operator: Operator, found: &str, wanted: &str) -> bool {
    match operator {
        Operator::Co => found.contains(wanted),
        Operator::Sw => found.starts_with(wanted),
        Operator::Ew => found.ends_with(wanted),
        _ => ordered(operator, found.cmp(wanted)),
    }
}

const fn ordered(operator: Operator, ordering: Ordering) -> bool {
    match operator {
        Operator::Eq => ordering.is_eq(),
        Operator::Ne => ordering.is_ne(),
        Operator::Gt => ordering.is_gt(),
        Operator::Ge => ordering.is_ge(),
        Operator::Lt => ordering.is_lt(),
        Operator::Le => ordering.is_le(),
        Operator::Co | Operator::Sw | Operator::Ew => false,
    }
}

fn text_of<'a>(leaf: &Attribute, value: &'a Value) -> Option<Cow<'a, str>> {
    value.as_str().map(|text| comparable(leaf, text))
}

fn moment_of(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}

/// Empty texts, lists and objects are no value (RFC 7644 §3.4.2.2 on `pr`).
fn is_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(values) => values.iter().any(is_something),
        Value::Object(members) => members.values().any(is_something),
        Value::Bool(_) | Value::Number(_) => true,
    }
}
