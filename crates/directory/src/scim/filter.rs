//! Filters (RFC 7644 §3.4.2.2): the whole grammar, in bounded size, and what they say of a resource.

mod condition;
mod parse;
mod test;
#[cfg(test)]
mod tests;

use std::fmt;

use serde_json::Value;

pub use condition::Condition;
pub(crate) use parse::Parser;
pub(crate) use test::comparable;

use super::{AttributeName, ScimError, ScimType, schema::ResourceType};

/// How many bytes a filter has at most.
pub const LONGEST: usize = 8_192;
/// How deep parentheses, brackets and negations go at most.
pub const DEEPEST: usize = 16;
/// How many comparisons a filter has at most: each is made for every resource that is looked at.
pub const MOST_TERMS: usize = 64;

/// How an attribute is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the RFC")]
pub enum Operator {
    Eq,
    Ne,
    Co,
    Sw,
    Ew,
    Gt,
    Ge,
    Lt,
    Le,
}

impl Operator {
    const ALL: [Self; 9] = [
        Self::Eq,
        Self::Ne,
        Self::Co,
        Self::Sw,
        Self::Ew,
        Self::Gt,
        Self::Ge,
        Self::Lt,
        Self::Le,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Eq => "eq",
            Self::Ne => "ne",
            Self::Co => "co",
            Self::Sw => "sw",
            Self::Ew => "ew",
            Self::Gt => "gt",
            Self::Ge => "ge",
            Self::Lt => "lt",
            Self::Le => "le",
        }
    }
}

/// A filter as it is written. [`bind`](Self::bind) says what it means for a type of resources.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    /// All of these.
    All(Vec<Self>),
    /// Any of these.
    Any(Vec<Self>),
    /// Not this.
    Not(Box<Self>),
    /// The attribute has a value.
    Present(AttributeName),
    /// The attribute compares so with a string, a number, a boolean or `null`.
    Compare(AttributeName, Operator, Value),
    /// One value of the attribute fits all of this, as in `emails[type eq "work"]`.
    Within(AttributeName, Box<Self>),
}

impl Filter {
    /// Reads a filter.
    ///
    /// # Errors
    /// [`ScimError`] `invalidFilter` for what is none, or is longer, deeper or has more terms than is allowed.
    pub fn parse(text: &str) -> Result<Self, ScimError> {
        let mut parser = Parser::new(text)?;
        let filter = parser.filter()?;
        parser.end()?;
        Ok(filter)
    }

    /// What it means for resources of a type.
    ///
    /// # Errors
    /// [`ScimError`] `invalidFilter` where they have no such attribute, or it cannot be compared so.
    pub fn bind(&self, resource_type: &'static ResourceType) -> Result<Condition, ScimError> {
        Condition::of(self, resource_type)
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, filters: &[Self], word: &str| {
            for (index, filter) in filters.iter().enumerate() {
                if index > 0 {
                    write!(f, " {word} ")?;
                }
                match filter {
                    Self::All(_) | Self::Any(_) => write!(f, "({filter})")?,
                    _ => write!(f, "{filter}")?,
                }
            }
            Ok(())
        };
        match self {
            Self::All(filters) => list(f, filters, "and"),
            Self::Any(filters) => list(f, filters, "or"),
            Self::Not(filter) => write!(f, "not ({filter})"),
            Self::Present(name) => write!(f, "{name} pr"),
            Self::Compare(name, operator, value) => write!(f, "{name} {} {value}", operator.name()),
            Self::Within(name, filter) => write!(f, "{name}[{filter}]"),
        }
    }
}

fn invalid(detail: impl Into<String>) -> ScimError {
    ScimError::new(ScimType::InvalidFilter, detail)
}
