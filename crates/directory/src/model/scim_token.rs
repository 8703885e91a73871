use serde::{Deserialize, Serialize};

use super::unique;
use crate::records::UniqueName;

/// A bearer token of an identity provider that provisions. Of the token itself only a digest is kept; it has more than 128
/// bits that nobody can guess, so a plain digest tells nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScimToken {
    /// A name for people.
    pub name: String,
    /// SHA-256 of the token, in hexadecimal.
    pub digest: String,
    /// What it may.
    pub scopes: Vec<ScimScope>,
    /// When it was made; milliseconds since 1970.
    pub created_at: i64,
    /// From then on it is refused; milliseconds since 1970.
    pub expires_at: i64,
}

/// What a token of an identity provider may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ScimScope {
    /// Look at people.
    #[serde(rename = "users:read")]
    ReadUsers,
    /// Look at people and change them.
    #[serde(rename = "users:write")]
    WriteUsers,
    /// Look at groups.
    #[serde(rename = "groups:read")]
    ReadGroups,
    /// Look at groups and change them.
    #[serde(rename = "groups:write")]
    WriteGroups,
    /// Look at agents.
    #[serde(rename = "agents:read")]
    ReadAgents,
    /// Look at agents and change them.
    #[serde(rename = "agents:write")]
    WriteAgents,
}

impl ScimToken {
    /// The unique name of the token with this digest.
    #[must_use]
    pub fn by_digest(digest: &str) -> UniqueName {
        unique("scim-token", digest)
    }

    pub(super) fn name_of(&self) -> UniqueName {
        Self::by_digest(&self.digest)
    }
}
