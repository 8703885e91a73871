use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use super::Identity;

/// Hand-written policies: one version, or the draft of the next.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policies {
    /// The Cedar text of each file, by its name.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
    /// What it is about, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Who wrote it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// As whom whoever wrote any of it could come back: they do not publish it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drafted_by: Vec<Identity>,
    /// When it was written last, or published; milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<i64>,
    /// The version that it was made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
}

impl Policies {
    /// The id of what is drafted.
    pub const DRAFT: &str = "draft";
    /// The id of what is in force.
    pub const PUBLISHED: &str = "published";

    /// The id of a version that was published.
    #[must_use]
    pub fn version(number: u64) -> String {
        format!("v{number:04}")
    }

    /// The number of the version with this id, if it is one's. Each has one id only.
    #[must_use]
    pub fn number(id: &str) -> Option<u64> {
        let number = id.strip_prefix('v')?.parse().ok()?;
        (Self::version(number) == *id).then_some(number)
    }

    /// The id of the version after those among these.
    #[must_use]
    pub fn next_version<'a>(known: impl IntoIterator<Item = &'a Arc<str>>) -> String {
        let numbers = known.into_iter().filter_map(|id| Self::number(id));
        Self::version(numbers.max().unwrap_or_default().saturating_add(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_have_one_name_each() {
        assert_eq!(Policies::number("v0001"), Some(1));
        assert_eq!(Policies::number("v12345"), Some(12_345));
        assert_eq!(Policies::version(12_345), "v12345");
        for other in [
            "v1", "v00001", "0001", "v", "v+001", "draft", "V0001", "v0001 ",
        ] {
            assert_eq!(Policies::number(other), None, "{other}");
        }
    }
}
