//! What the attributes of the resources are (RFC 7643): the one description from which documents are validated, filters bound
//! and `/Schemas` answered.

mod agent;
mod discovery;
mod group;
mod user;

pub use agent::AGENT;
pub use discovery::{ENDPOINTS, Location, resource_types, schemas, service_provider_config};
pub use group::GROUP;
pub use user::USER;

use super::AttributeName;

/// What type the values of an attribute have (RFC 7643 §2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the RFC")]
pub enum AttributeType {
    String,
    Boolean,
    Integer,
    DateTime,
    Binary,
    Reference,
    Complex,
}

/// Who may write an attribute (RFC 7643 §7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the RFC")]
pub enum Mutability {
    ReadOnly,
    ReadWrite,
    Immutable,
}

/// When an attribute is in an answer (RFC 7643 §7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the RFC")]
pub enum Returned {
    Always,
    Default,
    Request,
}

/// Among which resources a value is unique (RFC 7643 §7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the RFC")]
pub enum Uniqueness {
    None,
    Server,
}

/// An attribute (RFC 7643 §7).
#[derive(Debug)]
pub struct Attribute {
    pub(crate) name: &'static str,
    pub(crate) description: &'static str,
    pub(crate) r#type: AttributeType,
    pub(crate) multi_valued: bool,
    pub(crate) required: bool,
    pub(crate) case_exact: bool,
    pub(crate) mutability: Mutability,
    pub(crate) returned: Returned,
    pub(crate) uniqueness: Uniqueness,
    pub(crate) canonical_values: &'static [&'static str],
    pub(crate) reference_types: &'static [&'static str],
    pub(crate) sub_attributes: &'static [Self],
    /// How many bytes a text can have, how many values a list.
    pub(crate) longest: usize,
}

/// How many bytes a text has at most, unless the attribute says otherwise.
const LONGEST_TEXT: usize = 1_024;
/// How many values an attribute has at most, unless it says otherwise.
const MOST_VALUES: usize = 100;

impl Attribute {
    const fn new(name: &'static str, r#type: AttributeType, description: &'static str) -> Self {
        Self {
            name,
            description,
            r#type,
            multi_valued: false,
            required: false,
            case_exact: false,
            mutability: Mutability::ReadWrite,
            returned: Returned::Default,
            uniqueness: Uniqueness::None,
            canonical_values: &[],
            reference_types: &[],
            sub_attributes: &[],
            longest: LONGEST_TEXT,
        }
    }

    const fn text(name: &'static str, description: &'static str) -> Self {
        Self::new(name, AttributeType::String, description)
    }

    const fn flag(name: &'static str, description: &'static str) -> Self {
        Self::new(name, AttributeType::Boolean, description)
    }

    const fn integer(name: &'static str, description: &'static str) -> Self {
        Self::new(name, AttributeType::Integer, description)
    }

    const fn moment(name: &'static str, description: &'static str) -> Self {
        Self::new(name, AttributeType::DateTime, description)
    }

    const fn binary(name: &'static str, description: &'static str) -> Self {
        Self::new(name, AttributeType::Binary, description).exact()
    }

    const fn reference(
        name: &'static str,
        types: &'static [&'static str],
        description: &'static str,
    ) -> Self {
        let mut reference = Self::new(name, AttributeType::Reference, description).exact();
        reference.reference_types = types;
        reference
    }

    const fn complex(name: &'static str, subs: &'static [Self], description: &'static str) -> Self {
        let mut complex = Self::new(name, AttributeType::Complex, description);
        complex.sub_attributes = subs;
        complex
    }

    /// A list of complex values.
    const fn list(name: &'static str, subs: &'static [Self], description: &'static str) -> Self {
        let mut list = Self::complex(name, subs, description);
        list.multi_valued = true;
        list.longest = MOST_VALUES;
        list
    }

    const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    const fn exact(mut self) -> Self {
        self.case_exact = true;
        self
    }

    const fn read_only(mut self) -> Self {
        self.mutability = Mutability::ReadOnly;
        self
    }

    const fn immutable(mut self) -> Self {
        self.mutability = Mutability::Immutable;
        self
    }

    const fn returned(mut self, returned: Returned) -> Self {
        self.returned = returned;
        self
    }

    const fn unique(mut self) -> Self {
        self.uniqueness = Uniqueness::Server;
        self
    }

    const fn canonical(mut self, values: &'static [&'static str]) -> Self {
        self.canonical_values = values;
        self
    }

    const fn at_most(mut self, longest: usize) -> Self {
        self.longest = longest;
        self
    }

    /// The name, as the schema writes it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// A sub-attribute, whatever the case of its name.
    #[must_use]
    pub fn sub(&self, name: &str) -> Option<&'static Self> {
        named(self.sub_attributes, name)
    }
}

fn named(attributes: &'static [Attribute], name: &str) -> Option<&'static Attribute> {
    attributes
        .iter()
        .find(|attribute| attribute.name.eq_ignore_ascii_case(name))
}

/// A schema (RFC 7643 §7).
#[derive(Debug)]
pub struct Schema {
    /// Its URN.
    pub id: &'static str,
    pub(crate) name: &'static str,
    pub(crate) description: &'static str,
    pub(crate) attributes: &'static [Attribute],
}

impl Schema {
    pub(crate) fn attribute(&self, name: &str) -> Option<&'static Attribute> {
        named(self.attributes, name)
    }
}

/// A type of resources (RFC 7643 §6).
#[derive(Debug)]
pub struct ResourceType {
    /// Its name, as `User`.
    pub name: &'static str,
    /// Where its resources are, as `/Users`.
    pub endpoint: &'static str,
    pub(crate) description: &'static str,
    /// The schema that each of its resources has.
    pub schema: &'static Schema,
    pub(crate) extensions: &'static [&'static Schema],
}

/// Every type of resources.
pub static RESOURCE_TYPES: [&ResourceType; 3] = [&USER, &GROUP, &AGENT];

/// Where an attribute is in a resource.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// The extension that it belongs to.
    pub(crate) extension: Option<&'static Schema>,
    pub(crate) attribute: &'static Attribute,
    pub(crate) sub: Option<&'static Attribute>,
}

/// What a name names.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Named {
    Attribute(Place),
    Extension(&'static Schema),
}

impl ResourceType {
    /// What the name names in resources of this type.
    pub(crate) fn resolve(&'static self, name: &AttributeName) -> Option<Named> {
        if let Some(whole) = name.as_schema()
            && let Some(extension) = self.extension(&whole)
        {
            return Some(Named::Extension(extension));
        }
        let (extension, attribute) = match &name.urn {
            None => (None, self.attribute(&name.name)?),
            Some(urn) if urn.eq_ignore_ascii_case(self.schema.id) => {
                (None, self.attribute(&name.name)?)
            }
            Some(urn) => {
                let extension = self.extension(urn)?;
                (Some(extension), extension.attribute(&name.name)?)
            }
        };
        let sub = match &name.sub {
            Some(sub) => Some(attribute.sub(sub)?),
            None => None,
        };
        Some(Named::Attribute(Place {
            extension,
            attribute,
            sub,
        }))
    }

    /// An attribute of the resource itself, whatever the case of its name.
    pub(crate) fn attribute(&self, name: &str) -> Option<&'static Attribute> {
        self.schema.attribute(name).or_else(|| named(COMMON, name))
    }

    pub(crate) fn extension(&self, urn: &str) -> Option<&'static Schema> {
        self.extensions
            .iter()
            .copied()
            .find(|extension| extension.id.eq_ignore_ascii_case(urn))
    }
}

const META: &[Attribute] = &[
    Attribute::text("resourceType", "The type of the resource.")
        .exact()
        .read_only(),
    Attribute::moment("created", "When the resource was made.").read_only(),
    Attribute::moment("lastModified", "When the resource was changed last.").read_only(),
    Attribute::reference("location", &["uri"], "The URI of the resource.").read_only(),
    Attribute::text("version", "The ETag of the resource.")
        .exact()
        .read_only(),
];

/// What every resource has (RFC 7643 §3.1).
pub(crate) const COMMON: &[Attribute] = &[
    many(Attribute::reference(
        "schemas",
        &["uri"],
        "The schemas of the resource.",
    ))
    .read_only()
    .returned(Returned::Always),
    Attribute::text("id", "The name that the service gave the resource.")
        .exact()
        .read_only()
        .returned(Returned::Always)
        .unique(),
    Attribute::text(
        "externalId",
        "The name that the identity provider gave the resource.",
    )
    .exact()
    .at_most(256),
    Attribute::complex("meta", META, "What the service knows of the resource.").read_only(),
];

const fn many(mut attribute: Attribute) -> Attribute {
    attribute.multi_valued = true;
    attribute
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_resolved_whatever_their_case() {
        let resolve = |text| USER.resolve(&AttributeName::parse(text).unwrap());
        for (text, extension, attribute, sub) in [
            ("USERNAME", None, "userName", None),
            ("id", None, "id", None),
            ("name.GivenName", None, "name", Some("givenName")),
            (
                "urn:ietf:params:scim:schemas:core:2.0:user:emails.value",
                None,
                "emails",
                Some("value"),
            ),
            (
                "URN:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager",
                Some("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"),
                "manager",
                None,
            ),
        ] {
            let Some(Named::Attribute(place)) = resolve(text) else {
                panic!("{text}");
            };
            assert_eq!(place.extension.map(|schema| schema.id), extension);
            assert_eq!(place.attribute.name, attribute);
            assert_eq!(place.sub.map(|sub| sub.name), sub);
        }
        let whole = resolve("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User");
        assert!(
            matches!(whole, Some(Named::Extension(schema)) if schema.name == "Enterprise User")
        );
        for unknown in [
            "shoeSize",
            "name.shoe",
            "department",
            "urn:x:y:userName",
            "urn:ietf:params:scim:schemas:core:2.0:User",
            "urn:ietf:params:scim:schemas:core:2.0:Group:displayName",
        ] {
            assert!(resolve(unknown).is_none(), "{unknown}");
        }
    }
}
