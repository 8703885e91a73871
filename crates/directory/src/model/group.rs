use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Origin, unique};
use crate::records::UniqueName;

/// A group. Who is in it are records of their own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Its name for people; no other group of the tenant has it in any case of letters.
    pub display_name: String,
    /// The identity provider's id for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// How it came to be here.
    #[serde(default)]
    pub origin: Origin,
    /// What else an identity provider says of it, as it said it.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub attributes: Map<String, Value>,
}

impl Group {
    /// A group of this name.
    #[must_use]
    pub fn new(display_name: &str) -> Self {
        Self {
            display_name: display_name.to_owned(),
            external_id: None,
            origin: Origin::Administrator,
            attributes: Map::new(),
        }
    }

    /// The unique name of the group of this name for people.
    #[must_use]
    pub fn by_display_name(display_name: &str) -> UniqueName {
        unique("group.name", &display_name.to_lowercase())
    }

    /// The unique name of the group of this id at the identity provider.
    #[must_use]
    pub fn by_external_id(external_id: &str) -> UniqueName {
        unique("group.external-id", external_id)
    }

    pub(super) fn names(&self) -> Vec<UniqueName> {
        let external = self.external_id.as_deref().map(Self::by_external_id);
        [Self::by_display_name(&self.display_name)]
            .into_iter()
            .chain(external)
            .collect()
    }
}

/// That somebody is in a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Membership {
    /// What is in it.
    pub member: MemberKind,
}

/// What can be in a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum MemberKind {
    /// A person.
    User,
    /// Another group, and whoever is in it.
    Group,
    /// An agent.
    Agent,
}

impl MemberKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::User, Self::Group, Self::Agent];
}

/// Who is in a group.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MemberRef {
    /// What it is.
    pub kind: MemberKind,
    /// Its id among those of its kind.
    pub id: std::sync::Arc<str>,
}
