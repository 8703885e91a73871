//! What a filter says of a resource.

use std::sync::LazyLock;

use serde_json::Value;

use super::{Filter, Operator, invalid, test::Test};
use crate::scim::{
    AttributeName, Attributes, ScimError,
    error::excerpt,
    schema::{Attribute, AttributeType, Named, Place, ResourceType},
};

/// A [`Filter`] that knows what its attributes are.
#[derive(Clone, Debug)]
pub struct Condition(Node);

#[derive(Clone, Debug)]
enum Node {
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
    Test(Operand, Test),
    Within(Place, Box<Self>),
}

/// Whose value is looked at.
#[derive(Clone, Copy, Debug)]
enum Operand {
    /// An attribute of the resource.
    Resource(Place),
    /// A sub-attribute of the value in question.
    Sub(&'static Attribute),
    /// The value in question, which has none.
    Itself(&'static Attribute),
}

impl Condition {
    pub(super) fn of(
        filter: &Filter,
        resource_type: &'static ResourceType,
    ) -> Result<Self, ScimError> {
        Node::of(filter, &Scope::Resource(resource_type)).map(Self)
    }

    /// A condition on one value of an attribute: what stands in the brackets of a path.
    pub(crate) fn on_values(
        filter: &Filter,
        attribute: &'static Attribute,
    ) -> Result<Self, ScimError> {
        Node::of(filter, &Scope::Value(attribute)).map(Self)
    }

    /// Whether it holds for a resource, given by the names of its schema.
    #[must_use]
    pub fn matches(&self, resource: &Attributes) -> bool {
        self.0.holds(resource, None)
    }

    /// Whether it holds for one value of the attribute that it is on.
    pub(crate) fn matches_value(&self, value: &Value) -> bool {
        static NOTHING: LazyLock<Attributes> = LazyLock::new(Attributes::new);
        self.0.holds(&NOTHING, Some(value))
    }

    /// What the attribute, named as `userName` or `members.value`, has to equal for this to hold, if that can be said.
    #[must_use]
    pub fn required(&self, attribute: &str) -> Option<&str> {
        self.0.required(attribute)
    }

    /// The one member of a group that this asks for, where no other member matters.
    #[must_use]
    pub fn member_asked(&self) -> Option<&str> {
        let member = self.required("members.value")?;
        self.0.asks_only_of(member).then_some(member)
    }

    /// Whether an attribute, which is of no extension, is looked at.
    #[must_use]
    pub fn looks_at(&self, attribute: &str) -> bool {
        self.0.looks_at(attribute)
    }

    /// The values of `value` that are chosen, where nothing else is asked for: `value eq "1" or value eq "2"`.
    pub(crate) fn only_values(&self) -> Option<Vec<&str>> {
        let nodes = match &self.0 {
            Node::Any(nodes) => nodes.as_slice(),
            single => std::slice::from_ref(single),
        };
        nodes
            .iter()
            .map(|node| match node {
                Node::Test(Operand::Sub(sub), Test::Text(Operator::Eq, text))
                    if sub.name == "value" =>
                {
                    Some(text.as_str())
                }
                _ => None,
            })
            .collect()
    }

    /// The names of sub-attributes and the texts or flags that a value needs for this to hold, where nothing else would do.
    pub(crate) fn equalities(&self) -> Option<Vec<(&'static Attribute, Value)>> {
        let nodes = match &self.0 {
            Node::All(nodes) => nodes.as_slice(),
            single => std::slice::from_ref(single),
        };
        nodes
            .iter()
            .map(|node| match node {
                Node::Test(Operand::Sub(sub), Test::Text(Operator::Eq, text)) => {
                    Some((*sub, text.as_str().into()))
                }
                Node::Test(Operand::Sub(sub), Test::Flag(Operator::Eq, flag)) => {
                    Some((*sub, (*flag).into()))
                }
                _ => None,
            })
            .collect()
    }
}

/// What the names in a filter belong to.
enum Scope {
    Resource(&'static ResourceType),
    Value(&'static Attribute),
}

impl Scope {
    fn operand(&self, name: &AttributeName) -> Result<(Operand, &'static Attribute), ScimError> {
        let unknown = || {
            invalid(format!(
                "there is no attribute `{}` here",
                excerpt(&name.to_string())
            ))
        };
        match self {
            Self::Resource(resource_type) => match resource_type.resolve(name) {
                Some(Named::Attribute(place)) => {
                    let leaf = place.sub.unwrap_or(place.attribute);
                    Ok((Operand::Resource(place), leaf))
                }
                Some(Named::Extension(_)) | None => Err(unknown()),
            },
            Self::Value(attribute) => {
                if name.urn.is_some() || name.sub.is_some() {
                    return Err(unknown());
                }
                if let Some(sub) = attribute.sub(&name.name) {
                    return Ok((Operand::Sub(sub), sub));
                }
                let plain =
                    attribute.sub_attributes.is_empty() && name.name.eq_ignore_ascii_case("value");
                if plain {
                    return Ok((Operand::Itself(attribute), attribute));
                }
                Err(unknown())
            }
        }
    }
}

impl Node {
    fn of(filter: &Filter, scope: &Scope) -> Result<Self, ScimError> {
        let each = |filters: &[Filter]| {
            filters
                .iter()
                .map(|filter| Self::of(filter, scope))
                .collect::<Result<Vec<_>, _>>()
        };
        Ok(match filter {
            Filter::All(filters) => Self::All(each(filters)?),
            Filter::Any(filters) => Self::Any(each(filters)?),
            Filter::Not(filter) => Self::Not(Box::new(Self::of(filter, scope)?)),
            Filter::Present(name) => Self::Test(scope.operand(name)?.0, Test::Present),
            Filter::Compare(name, operator, value) => {
                Self::compare(scope.operand(name)?, name, *operator, value)?
            }
            Filter::Within(name, filter) => match scope.operand(name)? {
                (Operand::Resource(place), attribute) if attribute.multi_valued => {
                    let inner = Self::of(filter, &Scope::Value(attribute))?;
                    Self::Within(place, Box::new(inner))
                }
                _ => {
                    let detail = format!("`{name}` has no values to choose from in brackets");
                    return Err(invalid(detail));
                }
            },
        })
    }

    fn compare(
        (operand, leaf): (Operand, &'static Attribute),
        name: &AttributeName,
        operator: Operator,
        value: &Value,
    ) -> Result<Self, ScimError> {
        // A complex attribute stands for its `value` (RFC 7644 §3.4.2.2).
        let (operand, leaf) = match (operand, leaf.r#type) {
            (Operand::Resource(place), AttributeType::Complex) => {
                let sub = leaf.sub("value").ok_or_else(|| {
                    invalid(format!(
                        "`{name}` has sub-attributes: name the one that is meant"
                    ))
                })?;
                let place = Place {
                    sub: Some(sub),
                    ..place
                };
                (Operand::Resource(place), sub)
            }
            _ => (operand, leaf),
        };
        Ok(Self::Test(operand, Test::of(leaf, name, operator, value)?))
    }

    fn holds(&self, resource: &Attributes, value: Option<&Value>) -> bool {
        match self {
            Self::All(nodes) => nodes.iter().all(|node| node.holds(resource, value)),
            Self::Any(nodes) => nodes.iter().any(|node| node.holds(resource, value)),
            Self::Not(node) => !node.holds(resource, value),
            Self::Within(place, node) => place
                .value(resource)
                .and_then(Value::as_array)
                .is_some_and(|values| values.iter().any(|value| node.holds(resource, Some(value)))),
            Self::Test(operand, test) => match operand {
                Operand::Resource(place) => {
                    test.holds(place.attribute_or_sub(), place.leaves(resource))
                }
                Operand::Sub(sub) => {
                    test.holds(sub, value.and_then(|value| value.get(sub.name)).into_iter())
                }
                Operand::Itself(attribute) => test.holds(attribute, value.into_iter()),
            },
        }
    }

    /// Whether whatever is asked of members is asked of this one.
    fn asks_only_of(&self, member: &str) -> bool {
        match self {
            Self::All(nodes) => nodes.iter().all(|node| node.asks_only_of(member)),
            node if !node.looks_at("members") => true,
            Self::Test(..) | Self::Within(..) => self.required("members.value") == Some(member),
            Self::Any(_) | Self::Not(_) => false,
        }
    }

    fn looks_at(&self, attribute: &str) -> bool {
        let is = |place: &Place| place.extension.is_none() && place.attribute.name == attribute;
        match self {
            Self::All(nodes) | Self::Any(nodes) => {
                nodes.iter().any(|node| node.looks_at(attribute))
            }
            Self::Not(node) => node.looks_at(attribute),
            Self::Within(place, _) | Self::Test(Operand::Resource(place), _) => is(place),
            Self::Test(Operand::Sub(_) | Operand::Itself(_), _) => false,
        }
    }

    fn required(&self, attribute: &str) -> Option<&str> {
        match self {
            Self::All(nodes) => nodes.iter().find_map(|node| node.required(attribute)),
            Self::Test(Operand::Resource(place), Test::Text(Operator::Eq, text)) => {
                place.is(attribute).then_some(text.as_str())
            }
            Self::Within(place, node) => {
                let (name, sub) = attribute.split_once('.')?;
                let within = || node.required_sub(sub);
                if place.extension.is_none() && place.attribute.name == name {
                    within()
                } else {
                    None
                }
            }
            _ => None,
        }
    }

    fn required_sub(&self, sub: &str) -> Option<&str> {
        match self {
            Self::All(nodes) => nodes.iter().find_map(|node| node.required_sub(sub)),
            Self::Test(Operand::Sub(named), Test::Text(Operator::Eq, text))
                if named.name == sub =>
            {
                Some(text.as_str())
            }
            _ => None,
        }
    }
}

impl Place {
    fn attribute_or_sub(&self) -> &'static Attribute {
        self.sub.unwrap_or(self.attribute)
    }

    /// Whether it is the attribute of this name, which is of no extension.
    fn is(&self, name: &str) -> bool {
        let (attribute, sub) = match name.split_once('.') {
            Some((attribute, sub)) => (attribute, Some(sub)),
            None => (name, None),
        };
        self.extension.is_none()
            && self.attribute.name == attribute
            && self.sub.map(|sub| sub.name) == sub
    }

    /// The attribute's value in a resource.
    pub(crate) fn value<'a>(&self, resource: &'a Attributes) -> Option<&'a Value> {
        match self.extension {
            None => resource.get(self.attribute.name),
            Some(extension) => resource.get(extension.id)?.get(self.attribute.name),
        }
    }

    /// Each value, or the sub-attribute of each.
    fn leaves<'a>(&self, resource: &'a Attributes) -> impl Iterator<Item = &'a Value> {
        let value = self.value(resource);
        let list = value.and_then(Value::as_array);
        let single = if list.is_some() { None } else { value };
        let sub = self.sub;
        list.into_iter()
            .flatten()
            .chain(single)
            .filter_map(move |value| match sub {
                Some(sub) => value.get(sub.name),
                None => Some(value),
            })
    }
}
