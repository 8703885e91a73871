//! Which attributes an answer has (RFC 7644 §3.9).

use serde_json::{Map, Value};

use super::{
    AttributeName, Attributes, ScimError, ScimType,
    error::excerpt,
    schema::{Attribute, Named, Place, ResourceType, Returned, Schema},
};

/// How many attributes a request names at most.
const MOST: usize = 100;

/// Which attributes an answer has.
#[derive(Clone, Debug, Default)]
pub struct Projection {
    choice: Choice,
}

#[derive(Clone, Debug, Default)]
enum Choice {
    #[default]
    Usual,
    Only(Vec<AttributeName>),
    Without(Vec<AttributeName>),
}

impl Projection {
    /// From the parameters `attributes` and `excludedAttributes`. Names of what no resource has are let pass: a client may ask
    /// for more than there is.
    ///
    /// # Errors
    /// [`ScimError`] `invalidValue` where both are given, `invalidSyntax` for what is no name.
    pub fn new<'a>(
        attributes: impl IntoIterator<Item = &'a str>,
        excluded: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, ScimError> {
        let (only, without) = (names(attributes)?, names(excluded)?);
        let choice = match (only.is_empty(), without.is_empty()) {
            (true, true) => Choice::Usual,
            (false, true) => Choice::Only(only),
            (true, false) => Choice::Without(without),
            (false, false) => {
                let detail = "`attributes` and `excludedAttributes` cannot be given together";
                return Err(ScimError::new(ScimType::InvalidValue, detail));
            }
        };
        Ok(Self { choice })
    }

    /// Whether the answer has anything of an attribute of the type itself: what is not asked for need not be read.
    #[must_use]
    pub fn wants(&self, resource_type: &'static ResourceType, attribute: &str) -> bool {
        let Some(attribute) = resource_type.attribute(attribute) else {
            return false;
        };
        self.part(resource_type, None, attribute).is_some()
    }

    /// The resource with the attributes that the answer has.
    #[must_use]
    pub fn apply(&self, resource_type: &'static ResourceType, resource: Attributes) -> Attributes {
        let mut shown = Attributes::new();
        for (name, value) in resource {
            if let Some(attribute) = resource_type.attribute(&name) {
                if let Some(part) = self.part(resource_type, None, attribute)
                    && let Some(value) = part.of(attribute, value)
                {
                    shown.insert(name, value);
                }
            } else if let Some(extension) = resource_type.extension(&name)
                && let Value::Object(members) = value
            {
                let members = self.extension(resource_type, extension, members);
                if !members.is_empty() {
                    shown.insert(name, Value::Object(members));
                }
            }
        }
        shown
    }

    fn extension(
        &self,
        resource_type: &'static ResourceType,
        extension: &'static Schema,
        members: Attributes,
    ) -> Attributes {
        let shown = members.into_iter().filter_map(|(name, value)| {
            let attribute = extension.attribute(&name)?;
            let part = self.part(resource_type, Some(extension), attribute)?;
            Some((name, part.of(attribute, value)?))
        });
        shown.collect()
    }

    /// How much of an attribute the answer has; `None` for nothing.
    fn part(
        &self,
        resource_type: &'static ResourceType,
        extension: Option<&'static Schema>,
        attribute: &'static Attribute,
    ) -> Option<Part> {
        let named = |names: &[AttributeName]| -> Option<Vec<&'static str>> {
            let mut found = None;
            for name in names {
                match resource_type.resolve(name) {
                    Some(Named::Extension(whole)) if is_same(Some(whole), extension) => {
                        return Some(Vec::new());
                    }
                    Some(Named::Attribute(place)) if is_of(&place, extension, attribute) => {
                        match place.sub {
                            None => return Some(Vec::new()),
                            Some(sub) => found.get_or_insert_with(Vec::new).push(sub.name),
                        }
                    }
                    _ => {}
                }
            }
            found
        };
        match (&self.choice, attribute.returned) {
            (_, Returned::Always) => Some(Part::Whole),
            (Choice::Usual | Choice::Without(_), Returned::Request) => None,
            (Choice::Usual, Returned::Default) => Some(Part::Whole),
            (Choice::Only(names), _) => named(names).map(|subs| {
                if subs.is_empty() {
                    Part::Whole
                } else {
                    Part::Only(subs)
                }
            }),
            (Choice::Without(names), Returned::Default) => match named(names) {
                None => Some(Part::Whole),
                Some(subs) if subs.is_empty() => None,
                Some(subs) => Some(Part::Without(subs)),
            },
        }
    }
}

/// How much of an attribute.
enum Part {
    Whole,
    Only(Vec<&'static str>),
    Without(Vec<&'static str>),
}

impl Part {
    fn of(&self, attribute: &Attribute, value: Value) -> Option<Value> {
        let keeps = |name: &str| match self {
            Self::Whole => true,
            Self::Only(subs) => subs.contains(&name),
            Self::Without(subs) => !subs.contains(&name),
        };
        if matches!(self, Self::Whole) {
            return Some(value);
        }
        let cut = |value: Value| match value {
            Value::Object(members) => {
                let kept: Map<String, Value> = members
                    .into_iter()
                    .filter(|(name, _)| keeps(name))
                    .collect();
                (!kept.is_empty()).then_some(Value::Object(kept))
            }
            other => Some(other),
        };
        match value {
            Value::Array(values) if attribute.multi_valued => {
                let kept: Vec<Value> = values.into_iter().filter_map(cut).collect();
                (!kept.is_empty()).then_some(Value::Array(kept))
            }
            single => cut(single),
        }
    }
}

fn is_same(one: Option<&'static Schema>, other: Option<&'static Schema>) -> bool {
    one.map(|schema| schema.id) == other.map(|schema| schema.id)
}

fn is_of(place: &Place, extension: Option<&'static Schema>, attribute: &Attribute) -> bool {
    is_same(place.extension, extension) && place.attribute.name == attribute.name
}

fn names<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Vec<AttributeName>, ScimError> {
    let mut names = Vec::new();
    for text in texts.into_iter().flat_map(|text| text.split(',')) {
        let text = text.trim();
        if text.is_empty() {
            continue;
        }
        let name = AttributeName::parse(text).ok_or_else(|| {
            let detail = format!("`{}` cannot be an attribute", excerpt(text));
            ScimError::new(ScimType::InvalidSyntax, detail)
        })?;
        if names.len() == MOST {
            let detail = format!("more than {MOST} attributes are named");
            return Err(ScimError::new(ScimType::TooMany, detail));
        }
        names.push(name);
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::scim::schema::{AGENT, GROUP, USER};

    const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

    fn shown(attributes: &[&str], excluded: &[&str]) -> Value {
        let ann = json!({
            "schemas": [USER.schema.id, ENTERPRISE], "id": "1", "userName": "ann", "title": "Dr",
            "name": {"givenName": "Ann", "familyName": "Smith"},
            "emails": [{"type": "work", "value": "a@x"}, {"type": "home"}],
            ENTERPRISE: {"department": "Sales", "division": "D"},
        });
        let projection =
            Projection::new(attributes.iter().copied(), excluded.iter().copied()).unwrap();
        Value::Object(projection.apply(&USER, ann.as_object().unwrap().clone()))
    }

    #[test]
    fn only_what_is_asked_for_is_shown_and_what_always_is() {
        let schemas = json!([USER.schema.id, ENTERPRISE]);
        assert_eq!(
            shown(&["USERNAME"], &[]),
            json!({"schemas": schemas, "id": "1", "userName": "ann"})
        );
        assert_eq!(
            shown(&["name.givenName, emails.value", "shoeSize"], &[]),
            json!({"schemas": schemas, "id": "1", "name": {"givenName": "Ann"}, "emails": [{"value": "a@x"}]})
        );
        assert_eq!(
            shown(&[&format!("{ENTERPRISE}:department")], &[]),
            json!({"schemas": schemas, "id": "1", ENTERPRISE: {"department": "Sales"}})
        );
        assert_eq!(
            shown(&[ENTERPRISE], &[]),
            json!({"schemas": schemas, "id": "1", ENTERPRISE: {"department": "Sales", "division": "D"}})
        );
    }

    #[test]
    fn what_is_excluded_is_not_shown_unless_it_always_is() {
        let schemas = json!([USER.schema.id, ENTERPRISE]);
        assert_eq!(
            shown(
                &[],
                &[
                    "id",
                    "name.familyName",
                    "emails",
                    "title",
                    &format!("{ENTERPRISE}:division")
                ]
            ),
            json!({
                "schemas": schemas, "id": "1", "userName": "ann", "name": {"givenName": "Ann"},
                ENTERPRISE: {"department": "Sales"},
            })
        );
    }

    #[test]
    fn what_is_not_asked_for_need_not_be_read() {
        let projection =
            |attributes: &str, excluded: &str| Projection::new([attributes], [excluded]).unwrap();
        assert!(projection("", "").wants(&GROUP, "members"));
        assert!(projection("members.value", "").wants(&GROUP, "members"));
        assert!(projection("", "members.value").wants(&GROUP, "members"));
        assert!(!projection("", "MEMBERS").wants(&GROUP, "members"));
        assert!(!projection("displayName", "").wants(&GROUP, "members"));
        assert!(!projection("", "").wants(&AGENT, "credentials"));
        assert!(projection("credentials", "").wants(&AGENT, "credentials"));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        assert!(Projection::new(["userName"], ["title"]).is_err());
        assert!(Projection::new(["a b"], []).is_err());
        assert!(Projection::new([vec!["a"; MOST + 1].join(",").as_str()], []).is_err());
    }
}
