//! Patches (RFC 7644 §3.5.2), with what Entra ID and Okta write differently.
//!
//! - Names of operations and members of the message in any case (Entra ID: `Add`, `Replace`).
//! - Without a path, the value's names are paths: `name.givenName`, `emails[type eq "work"].value`, schemas (Entra ID).
//! - `"True"` and `"False"` are booleans; a plain string is the `value` of what has one, as a manager (Entra ID).
//! - `add` and `replace` of a sub-attribute of values that are chosen by equality make such a value where there is none
//!   (Entra ID provisions `emails[type eq "work"].value` so).
//! - `remove` with a list removes the values that are in it (Entra ID removes members so).
//! - `id` beside the change, where it is the resource's (Okta renames groups so).
//!
//! Members of a group come out as [edits](MemberEdits): nobody has to read 50,000 of them to add one.

mod apply;
mod members;
#[cfg(test)]
mod tests;
mod values;

use serde_json::Value;

pub use self::members::{Member, MemberEdits};
pub(crate) use self::members::{kind_name, members_of};
use super::{
    Attributes, ScimError, ScimType, error::excerpt, path::PatchTarget, schema::ResourceType,
    validate,
};

/// How many operations a patch has at most.
pub const MOST_OPERATIONS: usize = 1_000;

const SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Add,
    Replace,
    Remove,
}

#[derive(Clone, Debug)]
struct Operation {
    op: Op,
    target: Option<PatchTarget>,
    value: Option<Value>,
}

/// A patch for a resource of a type.
#[derive(Clone, Debug)]
pub struct Patch {
    resource_type: &'static ResourceType,
    operations: Vec<Operation>,
}

impl Patch {
    /// Reads the body of a PATCH request.
    ///
    /// # Errors
    /// [`ScimError`] for what is none, or has a path to nothing.
    pub fn parse(resource_type: &'static ResourceType, body: &Value) -> Result<Self, ScimError> {
        let schemas = member(body, "schemas").and_then(Value::as_array);
        let is_patch = schemas.is_some_and(|schemas| {
            let mut named = schemas.iter().filter_map(Value::as_str);
            named.any(|schema| schema.eq_ignore_ascii_case(SCHEMA))
        });
        if !is_patch {
            return Err(syntax(format!("`schemas` has to name `{SCHEMA}`")));
        }
        let operations = member(body, "Operations")
            .and_then(Value::as_array)
            .filter(|operations| !operations.is_empty())
            .ok_or_else(|| syntax("`Operations` has to be a list with at least one operation"))?;
        if operations.len() > MOST_OPERATIONS {
            let detail = format!(
                "the patch has {} operations, of at most {MOST_OPERATIONS}",
                operations.len()
            );
            return Err(ScimError::new(ScimType::TooMany, detail));
        }
        let operations = operations
            .iter()
            .map(|operation| Operation::parse(resource_type, operation))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            resource_type,
            operations,
        })
    }

    /// Whether the present members have to be known: where some are chosen by something else than their ids.
    #[must_use]
    pub fn needs_members(&self) -> bool {
        self.operations
            .iter()
            .any(|operation| match &operation.target {
                Some(PatchTarget::Attribute(target)) => members::needs_present(target),
                _ => false,
            })
    }

    /// Makes the changes to a resource, which is left half changed where one fails. Members are not in the resource: what
    /// becomes of them is returned. `present` are those that there are, where [they are needed](Self::needs_members).
    ///
    /// # Errors
    /// [`ScimError`] where an operation does not fit the resource, or leaves it without what it has to have.
    pub fn apply(
        &self,
        id: &str,
        resource: &mut Attributes,
        present: &[Member],
    ) -> Result<MemberEdits, ScimError> {
        let mut edits = MemberEdits::default();
        for operation in &self.operations {
            let mut to = apply::To {
                resource_type: self.resource_type,
                id,
                resource: &mut *resource,
                edits: &mut edits,
                present,
            };
            to.operation(operation)?;
        }
        validate::complete(self.resource_type, resource)
            .map_err(|error| ScimError::new(ScimType::Mutability, error.to_string()))?;
        Ok(edits)
    }
}

impl Operation {
    fn parse(resource_type: &'static ResourceType, operation: &Value) -> Result<Self, ScimError> {
        let op = member(operation, "op")
            .and_then(Value::as_str)
            .ok_or_else(|| syntax("an operation has no `op`"))?;
        let op = [
            ("add", Op::Add),
            ("replace", Op::Replace),
            ("remove", Op::Remove),
        ]
        .into_iter()
        .find(|(name, _)| op.eq_ignore_ascii_case(name))
        .map(|(_, op)| op)
        .ok_or_else(|| {
            syntax(format!(
                "`{}` is no operation: use `add`, `replace` or `remove`",
                excerpt(op)
            ))
        })?;
        let target = match member(operation, "path") {
            None | Some(Value::Null) => None,
            Some(Value::String(path)) => Some(PatchTarget::parse(resource_type, path)?),
            Some(_) => {
                let detail = "`path` has to be a string";
                return Err(ScimError::new(ScimType::InvalidPath, detail));
            }
        };
        let value = member(operation, "value").cloned();
        if op == Op::Remove && target.is_none() {
            let detail = "`remove` needs a `path`";
            return Err(ScimError::new(ScimType::NoTarget, detail));
        }
        if op != Op::Remove && value.is_none() {
            let detail = "`add` and `replace` need a `value`";
            return Err(ScimError::new(ScimType::InvalidValue, detail));
        }
        Ok(Self { op, target, value })
    }
}

/// A member of an object, whatever the case of its name.
pub(crate) fn member<'a>(object: &'a Value, name: &str) -> Option<&'a Value> {
    let object = object.as_object()?;
    object.get(name).or_else(|| {
        object
            .iter()
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    })
}

fn syntax(detail: impl Into<String>) -> ScimError {
    ScimError::new(ScimType::InvalidSyntax, detail)
}
