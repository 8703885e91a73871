//! Is a document what its schema says (RFC 7643 §2)? And in one form, whoever wrote it.

use base64::Engine as _;
use serde_json::{Map, Value};

use super::{
    Attributes, ScimError, ScimType,
    schema::{Attribute, AttributeType, Mutability, ResourceType, Schema},
};

/// Integers beyond it are not the same for everybody who reads JSON (RFC 8259 §6).
const MOST: u64 = 999_999_999_999_999;

/// A resource as a client sent it, in the one form in which it is kept: every attribute by the name of its schema and of its
/// type, none that is unknown, read-only or without a value, and `schemas` left to whoever answers.
///
/// What is unknown is dropped, as RFC 7644 §3.3 has it for what is read-only: identity providers send more than anybody asked.
///
/// # Errors
/// [`ScimError`] `invalidSyntax` for what is no resource of this type, `invalidValue` for what a value cannot be.
pub fn canonical(
    resource_type: &'static ResourceType,
    document: &Value,
) -> Result<Attributes, ScimError> {
    let Value::Object(document) = document else {
        return Err(syntax("the body has to be a JSON object"));
    };
    check_schemas(resource_type, document)?;
    let mut resource = Attributes::new();
    for (name, value) in document {
        if let Some(extension) = resource_type.extension(name) {
            if let Some(members) = extension_value(extension, value)? {
                insert_once(&mut resource, extension.id, members.into())?;
            }
        } else if let Some(attribute) = resource_type.attribute(name)
            && attribute.mutability != Mutability::ReadOnly
            && let Some(value) = attribute_value(attribute, value)?
        {
            insert_once(&mut resource, attribute.name, value)?;
        }
    }
    complete(resource_type, &resource)?;
    Ok(resource)
}

/// Whether every attribute that has to be there is.
pub(crate) fn complete(
    resource_type: &ResourceType,
    resource: &Attributes,
) -> Result<(), ScimError> {
    let missing = resource_type
        .schema
        .attributes
        .iter()
        .find(|attribute| attribute.required && !resource.contains_key(attribute.name));
    match missing {
        Some(missing) => Err(invalid(format!("`{}` is missing", missing.name))),
        None => Ok(()),
    }
}

/// The attributes of an extension; `None` where none has a value.
pub(crate) fn extension_value(
    extension: &'static Schema,
    value: &Value,
) -> Result<Option<Attributes>, ScimError> {
    let members = match value {
        Value::Null => return Ok(None),
        Value::Object(members) => members,
        _ => return Err(invalid(format!("`{}` has to be an object", extension.id))),
    };
    let mut kept = Map::new();
    for (name, value) in members {
        if let Some(attribute) = extension.attribute(name)
            && attribute.mutability != Mutability::ReadOnly
            && let Some(value) = attribute_value(attribute, value)?
        {
            insert_once(&mut kept, attribute.name, value)?;
        }
    }
    Ok((!kept.is_empty()).then_some(kept))
}

/// The value of an attribute; `None` where it has none (RFC 7643 §2.5).
pub(crate) fn attribute_value(
    attribute: &'static Attribute,
    value: &Value,
) -> Result<Option<Value>, ScimError> {
    if !attribute.multi_valued {
        return single_value(attribute, value);
    }
    let given = match value {
        Value::Array(values) => values.as_slice(),
        single => std::slice::from_ref(single),
    };
    if given.len() > attribute.longest {
        let detail = format!(
            "`{}` has {} values, of at most {}",
            attribute.name,
            given.len(),
            attribute.longest
        );
        return Err(invalid(detail));
    }
    let mut values = Vec::with_capacity(given.len());
    for value in given {
        values.extend(single_value(attribute, value)?);
    }
    let primary = values.iter().filter(|value| is_primary(value)).count();
    if primary > 1 {
        return Err(invalid(format!(
            "`{}` has {primary} values that are `primary`, of at most one",
            attribute.name
        )));
    }
    Ok((!values.is_empty()).then_some(Value::Array(values)))
}

/// One value of an attribute that may have many.
pub(crate) fn single_value(
    attribute: &'static Attribute,
    value: &Value,
) -> Result<Option<Value>, ScimError> {
    if value.is_null() {
        return Ok(None);
    }
    match attribute.r#type {
        AttributeType::Complex => complex_value(attribute, value),
        AttributeType::Boolean => {
            let known = match value {
                Value::Bool(flag) => Some(*flag),
                Value::String(text) => flag(text),
                _ => None,
            };
            let flag = known.ok_or_else(|| unfit(attribute, "`true` or `false`"))?;
            Ok(Some(flag.into()))
        }
        AttributeType::Integer => match value.as_i64() {
            Some(number) if number.unsigned_abs() <= MOST => Ok(Some(value.clone())),
            _ => Err(unfit(attribute, "an integer of at most 15 digits")),
        },
        AttributeType::String
        | AttributeType::DateTime
        | AttributeType::Binary
        | AttributeType::Reference => {
            let Value::String(text) = value else {
                return Err(unfit(attribute, "a string"));
            };
            check_text(attribute, text)?;
            Ok((!text.is_empty()).then(|| value.clone()))
        }
    }
}

/// `True` and `False`, as Entra ID writes booleans.
pub(crate) fn flag(text: &str) -> Option<bool> {
    [("true", true), ("false", false)]
        .into_iter()
        .find(|(word, _)| text.eq_ignore_ascii_case(word))
        .map(|(_, flag)| flag)
}

/// Whether a value of many is the preferred one.
pub(crate) fn is_primary(value: &Value) -> bool {
    value.get("primary") == Some(&Value::Bool(true))
}

fn complex_value(attribute: &'static Attribute, value: &Value) -> Result<Option<Value>, ScimError> {
    let mut kept = Map::new();
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                if let Some(sub) = attribute.sub(name)
                    && sub.mutability != Mutability::ReadOnly
                    && let Some(value) = single_value(sub, value)?
                {
                    insert_once(&mut kept, sub.name, value)?;
                }
            }
        }
        // Entra ID writes a manager so, and some write addresses so.
        Value::String(_) => {
            let sub = attribute
                .sub("value")
                .ok_or_else(|| unfit(attribute, "an object"))?;
            if let Some(value) = single_value(sub, value)? {
                kept.insert(sub.name.to_owned(), value);
            }
        }
        _ => return Err(unfit(attribute, "an object")),
    }
    if kept.is_empty() {
        return Ok(None);
    }
    let missing = attribute
        .sub_attributes
        .iter()
        .find(|sub| sub.required && !kept.contains_key(sub.name));
    match missing {
        Some(missing) => Err(invalid(format!(
            "a value of `{}` has no `{}`",
            attribute.name, missing.name
        ))),
        None => Ok(Some(kept.into())),
    }
}

fn check_text(attribute: &Attribute, text: &str) -> Result<(), ScimError> {
    if text.len() > attribute.longest {
        let detail = format!(
            "`{}` has {} bytes, of at most {}",
            attribute.name,
            text.len(),
            attribute.longest
        );
        return Err(invalid(detail));
    }
    // Postal addresses have several lines.
    if text
        .chars()
        .any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
    {
        return Err(unfit(attribute, "without control characters"));
    }
    if text.is_empty() {
        return Ok(());
    }
    match attribute.r#type {
        AttributeType::DateTime => {
            let moment = text.parse::<jiff::Timestamp>();
            moment
                .map(drop)
                .map_err(|_no_moment| unfit(attribute, "a moment, as `2030-01-31T12:00:00Z`"))
        }
        AttributeType::Binary => {
            let bytes = base64::engine::general_purpose::STANDARD.decode(text);
            bytes
                .map(drop)
                .map_err(|_no_base64| unfit(attribute, "base64"))
        }
        AttributeType::Reference if attribute.reference_types.contains(&"external") => {
            // Whoever shows it makes a link of it.
            let scheme = text.split_once("://").map(|(scheme, _)| scheme);
            let is_web = scheme.is_some_and(|scheme| {
                scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http")
            });
            if is_web {
                Ok(())
            } else {
                Err(unfit(attribute, "an http or https URL"))
            }
        }
        _ => Ok(()),
    }
}

fn check_schemas(resource_type: &ResourceType, document: &Attributes) -> Result<(), ScimError> {
    let schemas = document
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("schemas"))
        .and_then(|(_, schemas)| schemas.as_array())
        .ok_or_else(|| {
            syntax(format!(
                "`schemas` is missing: it has to name `{}`",
                resource_type.schema.id
            ))
        })?;
    let named = schemas
        .iter()
        .filter_map(Value::as_str)
        .any(|schema| schema.eq_ignore_ascii_case(resource_type.schema.id));
    if named {
        Ok(())
    } else {
        Err(syntax(format!(
            "`schemas` has to name `{}`",
            resource_type.schema.id
        )))
    }
}

fn insert_once(into: &mut Attributes, name: &str, value: Value) -> Result<(), ScimError> {
    match into.insert(name.to_owned(), value) {
        None => Ok(()),
        Some(_) => Err(syntax(format!(
            "`{name}` is there twice, in different case"
        ))),
    }
}

fn unfit(attribute: &Attribute, wanted: &str) -> ScimError {
    invalid(format!("`{}` has to be {wanted}", attribute.name))
}

fn invalid(detail: impl Into<String>) -> ScimError {
    ScimError::new(ScimType::InvalidValue, detail)
}

fn syntax(detail: impl Into<String>) -> ScimError {
    ScimError::new(ScimType::InvalidSyntax, detail)
}

/// The schemas that a resource has.
pub(crate) fn schemas_of(
    resource_type: &'static ResourceType,
    resource: &Attributes,
) -> Vec<Value> {
    let extensions = resource_type
        .extensions
        .iter()
        .filter(|extension| resource.contains_key(extension.id))
        .map(|extension| extension.id);
    std::iter::once(resource_type.schema.id)
        .chain(extensions)
        .map(Value::from)
        .collect()
}

#[cfg(test)]
mod tests {
    use std::borrow::Borrow;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::scim::schema::{AGENT, GROUP, USER};

    const CORE: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
    const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

    fn user(more: impl Borrow<Value>) -> Result<Value, ScimError> {
        let mut document = json!({"schemas": [CORE], "userName": "ann"});
        let members = document.as_object_mut().unwrap();
        members.extend(more.borrow().as_object().unwrap().clone());
        canonical(&USER, &document).map(Value::Object)
    }

    fn refused(more: Value, expected: ScimType) {
        let shown = more.to_string();
        let error = user(more).expect_err(&shown);
        assert_eq!(error.scim_type(), Some(expected), "{shown:.80}");
    }

    #[test]
    fn a_resource_is_kept_in_one_form() {
        let kept = user(json!({
            "schemas": [CORE, ENTERPRISE],
            "id": "mine", "meta": {"version": "x"}, "groups": [{"value": "g"}],
            "DISPLAYNAME": "Ann", "nickName": null, "title": "", "ims": [], "shoeSize": 38, "password": "t1meMa$heen",
            "active": "True",
            "name": {"GivenName": "Ann", "shoe": 1},
            "emails": [{"value": "ann@example.com", "primary": "true", "type": "work"}, null],
            ENTERPRISE: {"Department": "Sales", "manager": "m1", "salary": 3},
        }))
        .unwrap();
        assert_eq!(
            kept,
            json!({
                "userName": "ann", "displayName": "Ann", "active": true,
                "name": {"givenName": "Ann"},
                "emails": [{"value": "ann@example.com", "primary": true, "type": "work"}],
                ENTERPRISE: {"department": "Sales", "manager": {"value": "m1"}},
            })
        );
        let schemas = schemas_of(&USER, kept.as_object().unwrap());
        assert_eq!(schemas, [CORE, ENTERPRISE]);
    }

    #[test]
    fn a_value_that_is_not_of_its_type_is_refused() {
        for more in [
            json!({"userName": 5}),
            json!({"userName": ["ann"]}),
            json!({"active": "yes"}),
            json!({"active": 1}),
            json!({"name": "Ann"}),
            json!({"name": ["Ann"]}),
            json!({"emails": [5]}),
            json!({"emails": [{"value": {"a": 1}}]}),
            json!({"emails": [{"value": "a@x", "primary": true}, {"value": "b@x", "primary": true}]}),
            json!({"x509Certificates": [{"value": "not base64!"}]}),
            json!({"profileUrl": "javascript:alert(1)"}),
            json!({"photos": [{"value": "data:text/html,x"}]}),
            json!({"displayName": "a\u{0}b"}),
            json!({ENTERPRISE: "x"}),
            json!({"userName": ""}),
            json!({"userName": null}),
        ] {
            refused(more, ScimType::InvalidValue);
        }
    }

    #[test]
    fn what_is_too_large_is_refused() {
        refused(
            json!({"displayName": "a".repeat(1 << 20)}),
            ScimType::InvalidValue,
        );
        refused(json!({"userName": "a".repeat(257)}), ScimType::InvalidValue);
        let many = vec![json!({"value": "a@x"}); 101];
        refused(json!({"emails": many}), ScimType::InvalidValue);
    }

    #[test]
    fn what_is_no_resource_of_the_type_is_refused() {
        for document in [
            json!([]),
            json!("x"),
            json!({"userName": "ann"}),
            json!({"schemas": CORE, "userName": "ann"}),
            json!({"schemas": [ENTERPRISE], "userName": "ann"}),
            json!({"schemas": [CORE], "userName": "ann", "username": "bob"}),
        ] {
            let error = canonical(&USER, &document).unwrap_err();
            assert_eq!(
                error.scim_type(),
                Some(ScimType::InvalidSyntax),
                "{document}"
            );
        }
        let nameless = canonical(&USER, &json!({"schemas": [CORE]})).unwrap_err();
        assert_eq!(nameless.scim_type(), Some(ScimType::InvalidValue));
    }

    #[test]
    fn groups_and_agents_have_their_own_rules() {
        let group = |members: Value| {
            canonical(
                &GROUP,
                &json!({"schemas": [GROUP.schema.id], "displayName": "g", "members": members}),
            )
        };
        assert!(group(json!([{"value": "u1", "$ref": null, "display": "Ann"}])).is_ok());
        assert!(group(json!([{"type": "User"}])).is_err());
        let agent = |expires: Value| {
            canonical(
                &AGENT,
                &json!({"schemas": [AGENT.schema.id], "name": "bot", "owner": "u1", "active": true, "expires": expires}),
            )
        };
        assert!(agent(json!(1_900_000_000)).is_ok());
        assert!(agent(json!(1_900_000_000.5)).is_err());
        assert!(agent(json!(i64::MIN)).is_err());
        assert!(agent(json!("tomorrow")).is_err());
    }

    fn json_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            ".{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            let name = prop::sample::select(vec![
                "value",
                "type",
                "primary",
                "emails",
                "name",
                "givenName",
                "active",
                ENTERPRISE,
                "manager",
                "x",
            ]);
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
                prop::collection::vec((name, inner), 0..4).prop_map(|members| {
                    Value::Object(
                        members
                            .into_iter()
                            .map(|(name, value)| (name.to_owned(), value))
                            .collect(),
                    )
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_one_form_stays_as_it_is(
            emails in json_value(), name in json_value(), active in json_value(), enterprise in json_value(),
        ) {
            let document = json!({"emails": emails, "name": name, "active": active, ENTERPRISE: enterprise});
            if let Ok(kept) = user(document) {
                prop_assert_eq!(user(kept.clone()), Ok(kept));
            }
        }
    }
}
