//! Paths of patches (RFC 7644 §3.5.2): an attribute, which of its values, and which sub-attribute of them.

use serde_json::Value;

use super::{
    Condition, ScimError, ScimType,
    error::excerpt,
    filter::Parser,
    schema::{Attribute, AttributeType, Mutability, Named, Place, ResourceType, Schema},
};

/// What an operation is on.
#[derive(Clone, Debug)]
pub(crate) enum PatchTarget {
    /// Everything of an extension: a path that names its schema and nothing else.
    Extension(ExtensionTarget),
    /// An attribute.
    Attribute(AttributeTarget),
}

/// An extension as a target.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ExtensionTarget(pub(crate) &'static Schema);

/// An attribute as a target.
#[derive(Clone, Debug)]
pub(crate) struct AttributeTarget {
    /// Where it is; without a sub-attribute.
    pub(crate) place: Place,
    /// Which of its values are meant; all where there is none.
    pub(crate) which: Option<Condition>,
    /// Of these only this sub-attribute.
    pub(crate) sub: Option<&'static Attribute>,
    pub(crate) text: String,
}

impl PatchTarget {
    /// Reads the path of an operation on a resource of this type.
    /// Refused are paths to what such resources do not have, and what is wrong in brackets.
    pub(crate) fn parse(
        resource_type: &'static ResourceType,
        text: &str,
    ) -> Result<Self, ScimError> {
        let mut parser = Parser::new(text)?;
        let name = parser.name().map_err(|_no_name| unfit(text))?;
        let filter = parser.brackets()?;
        let sub = parser.sub().map_err(|_no_name| unfit(text))?;
        parser.end().map_err(|_rest| unfit(text))?;
        let place = match resource_type.resolve(&name).ok_or_else(|| unfit(text))? {
            Named::Extension(extension) if filter.is_none() && sub.is_none() => {
                return Ok(Self::Extension(ExtensionTarget(extension)));
            }
            Named::Extension(_) => return Err(unfit(text)),
            Named::Attribute(place) => place,
        };
        let Some(filter) = filter else {
            return Ok(Self::of(place, None, place.sub, text));
        };
        let attribute = place.attribute;
        if place.sub.is_some() || !attribute.multi_valued {
            return Err(unfit(text));
        }
        let which = Condition::on_values(&filter, attribute)?;
        let sub = match sub {
            Some(sub) => Some(attribute.sub(&sub).ok_or_else(|| unfit(text))?),
            None => None,
        };
        Ok(Self::of(place, Some(which), sub, text))
    }

    fn of(
        place: Place,
        which: Option<Condition>,
        sub: Option<&'static Attribute>,
        text: &str,
    ) -> Self {
        let place = Place { sub: None, ..place };
        Self::Attribute(AttributeTarget {
            place,
            which,
            sub,
            text: excerpt(text),
        })
    }
}

impl AttributeTarget {
    /// Nobody may change what is read-only.
    pub(crate) fn check_writable(&self) -> Result<(), ScimError> {
        let attribute = self.place.attribute;
        let read_only = |attribute: &Attribute| attribute.mutability == Mutability::ReadOnly;
        if read_only(attribute) || self.sub.is_some_and(read_only) {
            let detail = format!("`{}` cannot be changed: it is read-only", self.text);
            return Err(ScimError::new(ScimType::Mutability, detail));
        }
        Ok(())
    }

    /// A value that fits the condition and has nothing else, where there is one such.
    pub(crate) fn wanted_value(&self) -> Option<Value> {
        let equalities = self.which.as_ref()?.equalities()?;
        if self.place.attribute.r#type != AttributeType::Complex {
            return None;
        }
        let members = equalities
            .into_iter()
            .map(|(sub, value)| (sub.name.to_owned(), value))
            .collect();
        Some(Value::Object(members))
    }
}

fn unfit(text: &str) -> ScimError {
    let detail = format!(
        "`{}` is no path to an attribute of this resource",
        excerpt(text)
    );
    ScimError::new(ScimType::InvalidPath, detail)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::scim::schema::{GROUP, USER};

    #[test]
    fn each_form_of_a_path_is_read() {
        for (path, attribute, filtered, sub) in [
            ("userName", "userName", false, None),
            ("NAME.familyname", "name", false, Some("familyName")),
            ("emails", "emails", false, None),
            ("emails.value", "emails", false, Some("value")),
            (r#"emails[type eq "work"]"#, "emails", true, None),
            (
                r#"emails[type eq "work"].value"#,
                "emails",
                true,
                Some("value"),
            ),
            (
                r#"emails[type eq "other"].Value"#,
                "emails",
                true,
                Some("value"),
            ),
            (
                r#"emails[type eq "work" and (primary eq true or value ew ".org")].display"#,
                "emails",
                true,
                Some("display"),
            ),
            (
                "urn:ietf:params:scim:schemas:core:2.0:User:name.givenName",
                "name",
                false,
                Some("givenName"),
            ),
            (
                "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department",
                "department",
                false,
                None,
            ),
            (
                "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value",
                "manager",
                false,
                Some("value"),
            ),
        ] {
            let PatchTarget::Attribute(target) = PatchTarget::parse(&USER, path).unwrap() else {
                panic!("{path}");
            };
            assert_eq!(target.place.attribute.name, attribute, "{path}");
            assert_eq!(target.which.is_some(), filtered, "{path}");
            assert_eq!(target.sub.map(|sub| sub.name), sub, "{path}");
        }
        let whole = PatchTarget::parse(
            &USER,
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
        );
        assert!(matches!(whole, Ok(PatchTarget::Extension(_))));
        assert!(PatchTarget::parse(&GROUP, r#"members[value eq "1" or value eq "2"]"#).is_ok());
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for (path, expected) in [
            ("", ScimType::InvalidPath),
            ("shoeSize", ScimType::InvalidPath),
            ("name.shoe", ScimType::InvalidPath),
            ("emails[0]", ScimType::InvalidFilter),
            ("emails[", ScimType::InvalidFilter),
            (r#"emails[type eq "work"#, ScimType::InvalidFilter),
            (r#"emails[shoe eq "work"]"#, ScimType::InvalidFilter),
            (r#"emails[type eq "work"].shoe"#, ScimType::InvalidPath),
            (r#"emails[type eq "work"].value.x"#, ScimType::InvalidPath),
            (r#"emails[type eq "work"] x"#, ScimType::InvalidPath),
            (r#"name[givenName eq "x"]"#, ScimType::InvalidPath),
            (r#"emails.value[type eq "x"]"#, ScimType::InvalidPath),
            ("a.b.c.d.e.f", ScimType::InvalidPath),
            (
                "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User.x",
                ScimType::InvalidPath,
            ),
            ("urn:x:y:z", ScimType::InvalidPath),
        ] {
            let error = PatchTarget::parse(&USER, path).expect_err(path);
            assert_eq!(error.scim_type(), Some(expected), "{path}");
        }
        let deep = format!("emails[{}type pr{}]", "(".repeat(20), ")".repeat(20));
        assert!(PatchTarget::parse(&USER, &deep).is_err());
        assert!(PatchTarget::parse(&USER, &"a.".repeat(100_000)).is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_stumble(
            words in prop::collection::vec(
                prop::sample::select(vec!["emails", "[", "]", ".", "type", " eq ", "\"work\"", "value", "urn:", ":", "(", "é"]),
                0..12,
            ),
        ) {
            let _target = PatchTarget::parse(&USER, &words.concat());
        }
    }
}
