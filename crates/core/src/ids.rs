use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

/// Why a text cannot be a name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "`{given}` cannot be a {what}: use 1 to 63 of a-z, 0-9 and `-`, starting with a letter or digit"
)]
pub struct InvalidName {
    what: &'static str,
    given: String,
}

fn checked(what: &'static str, given: &str) -> Result<Arc<str>, InvalidName> {
    let ok = (1..=63).contains(&given.len())
        && !given.starts_with('-')
        && given
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if ok {
        Ok(given.into())
    } else {
        Err(InvalidName {
            what,
            given: given.chars().take(80).collect(),
        })
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks the text: 1 to 63 of `a-z`, `0-9` and `-`, so that it is safe in a path and in a file name.
            ///
            /// # Errors
            /// [`InvalidName`] for anything else.
            pub fn new(text: &str) -> Result<Self, InvalidName> {
                checked($what, text).map(Self)
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;
            fn try_from(text: String) -> Result<Self, InvalidName> {
                Self::new(&text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.as_ref().to_owned()
            }
        }
    };
}

name!(
    /// An organisation. Every stored row, cache key, log record and token carries it.
    TenantId,
    "tenant name"
);
name!(
    /// An upstream MCP server, unique within its tenant.
    ServerName,
    "server name"
);

impl Default for TenantId {
    /// The tenant of installations that have one: it has neither a host nor a path of its own.
    fn default() -> Self {
        Self("default".into())
    }
}

/// Names one request in answers, logs and the audit log. It reveals nothing and gives no access.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReferenceId(uuid::Uuid);

impl ReferenceId {
    /// A new one; time-ordered (RFC 9562 §5.7), so that logs sort by it.
    #[must_use]
    pub fn random() -> Self {
        Self(uuid::Uuid::now_v7())
    }

    /// Reads the form that [`Display`](fmt::Display) writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        uuid::Uuid::try_parse(text).ok().map(Self)
    }
}

impl fmt::Display for ReferenceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for ReferenceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_in_paths() {
        assert!(TenantId::new("acme-2").is_ok());
        for bad in [
            "",
            "-a",
            "A",
            "a/b",
            "a.b",
            "..",
            "a b",
            "é",
            &"a".repeat(64),
        ] {
            assert!(ServerName::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_reference_reads_back() {
        let id = ReferenceId::random();
        assert_eq!(ReferenceId::parse(&id.to_string()), Some(id));
        assert_eq!(ReferenceId::parse("x"), None);
    }
}
