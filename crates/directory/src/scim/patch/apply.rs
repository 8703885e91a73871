//! One operation, on one resource.

use serde_json::{Map, Value};

use super::{Member, MemberEdits, Op, Operation, members, values};
use crate::scim::{
    Attributes, ScimError, ScimType,
    path::{AttributeTarget, ExtensionTarget, PatchTarget},
    schema::{Place, ResourceType, Schema},
    validate::attribute_value,
};

/// What an operation changes.
#[derive(Debug)]
pub(super) struct To<'a> {
    pub(super) resource_type: &'static ResourceType,
    pub(super) id: &'a str,
    pub(super) resource: &'a mut Attributes,
    pub(super) edits: &'a mut MemberEdits,
    pub(super) present: &'a [Member],
}

impl To<'_> {
    pub(super) fn operation(&mut self, operation: &Operation) -> Result<(), ScimError> {
        let value = operation.value.as_ref();
        match &operation.target {
            Some(target) => self.on(operation.op, target, value),
            None => self.each(operation.op, value.unwrap_or(&Value::Null)),
        }
    }

    /// Without a path: each member of the value is an operation of its own.
    fn each(&mut self, op: Op, value: &Value) -> Result<(), ScimError> {
        let Value::Object(members) = value else {
            let detail = "without a `path` the `value` has to be an object";
            return Err(ScimError::new(ScimType::InvalidValue, detail));
        };
        for (name, value) in members {
            if self.is_about_itself(name, value)? {
                continue;
            }
            // What is unknown is dropped here as it is in a whole resource.
            if let Ok(target) = PatchTarget::parse(self.resource_type, name) {
                self.on(op, &target, Some(value))?;
            }
        }
        Ok(())
    }

    /// Whether a member of a value without a path says what the resource is, and changes nothing.
    fn is_about_itself(&self, name: &str, value: &Value) -> Result<bool, ScimError> {
        if name.eq_ignore_ascii_case("schemas") || name.eq_ignore_ascii_case("meta") {
            return Ok(true);
        }
        if !name.eq_ignore_ascii_case("id") {
            return Ok(false);
        }
        if value.as_str() == Some(self.id) {
            return Ok(true);
        }
        let detail = "the `id` is that of another resource, and cannot be changed";
        Err(ScimError::new(ScimType::Mutability, detail))
    }

    fn on(&mut self, op: Op, target: &PatchTarget, value: Option<&Value>) -> Result<(), ScimError> {
        match target {
            PatchTarget::Extension(ExtensionTarget(extension)) => {
                self.extension(op, extension, value)
            }
            PatchTarget::Attribute(target) => {
                target.check_writable()?;
                if members::is_members(self.resource_type, target.place.attribute) {
                    return members::change(self.edits, op, target, value, self.present);
                }
                self.attribute(op, target, value)
            }
        }
    }

    fn extension(
        &mut self,
        op: Op,
        extension: &'static Schema,
        value: Option<&Value>,
    ) -> Result<(), ScimError> {
        if op == Op::Remove {
            self.resource.remove(extension.id);
            return Ok(());
        }
        // What it has is changed one by one, as a set of sub-attributes.
        let Some(Value::Object(members)) = value else {
            let detail = format!("`{}` has to be an object", extension.id);
            return Err(ScimError::new(ScimType::InvalidValue, detail));
        };
        for (name, value) in members {
            if let Some(attribute) = extension.attribute(name) {
                let place = Place {
                    extension: Some(extension),
                    attribute,
                    sub: None,
                };
                let target = AttributeTarget {
                    place,
                    which: None,
                    sub: None,
                    text: attribute.name.to_owned(),
                };
                target.check_writable()?;
                self.attribute(op, &target, Some(value))?;
            }
        }
        Ok(())
    }

    fn attribute(
        &mut self,
        op: Op,
        target: &AttributeTarget,
        value: Option<&Value>,
    ) -> Result<(), ScimError> {
        let place = target.place;
        let mut current = self.take(place);
        // A value that is no value takes away what is there (RFC 7643 §2.5).
        let op = match (op, value) {
            (Op::Replace, None | Some(Value::Null)) => Op::Remove,
            (op, _) => op,
        };
        let value = if op == Op::Remove && target.sub.is_some() {
            None
        } else {
            value
        };
        let changed = if place.attribute.multi_valued {
            let values = match current.take() {
                Some(Value::Array(values)) => values,
                _ => Vec::new(),
            };
            let values = values::many(op, target, values, value)?;
            (!values.is_empty()).then_some(Value::Array(values))
        } else {
            values::one(op, target, current, value)?
        };
        match changed {
            Some(changed) => {
                // Limits and preferred values hold for the whole, too.
                let checked = attribute_value(place.attribute, &changed)?;
                self.put(place, checked.unwrap_or(changed));
                Ok(())
            }
            None if place.attribute.required => {
                let detail = format!(
                    "`{}` cannot be removed: it has to have a value",
                    target.text
                );
                Err(ScimError::new(ScimType::Mutability, detail))
            }
            None => Ok(()),
        }
    }

    fn take(&mut self, place: Place) -> Option<Value> {
        let Some(extension) = place.extension else {
            return self.resource.remove(place.attribute.name);
        };
        let members = self.resource.get_mut(extension.id)?.as_object_mut()?;
        let value = members.remove(place.attribute.name);
        if members.is_empty() {
            self.resource.remove(extension.id);
        }
        value
    }

    fn put(&mut self, place: Place, value: Value) {
        let name = place.attribute.name.to_owned();
        let Some(extension) = place.extension else {
            self.resource.insert(name, value);
            return;
        };
        let members = self
            .resource
            .entry(extension.id)
            .or_insert_with(|| Value::Object(Map::new()));
        if let Some(members) = members.as_object_mut() {
            members.insert(name, value);
        }
    }
}
