use serde::{Deserialize, Serialize};

use super::{Identity, Origin, unique};
use crate::records::UniqueName;

/// A principal that is no person. It outlives the credentials by which it is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agent {
    /// A name for people.
    pub name: String,
    /// The identity provider's id for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// The id of the person who answers for it. When they leave, it is suspended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    /// From then on it is refused; milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<i64>,
    /// Whether it may do anything at all.
    #[serde(default)]
    pub status: AgentStatus,
    /// How it came to be here.
    #[serde(default)]
    pub origin: Origin,
    /// As whom tokens know it. Its API keys know it by its id.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub identities: Vec<Identity>,
}

/// Whether an agent may do anything at all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum AgentStatus {
    /// It may do what its roles say.
    #[default]
    Active,
    /// An administrator switched it off.
    Disabled,
    /// It was switched off since whoever answers for it left, until somebody else does.
    Suspended,
}

impl Agent {
    /// An agent of this name, with nothing else known.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            external_id: None,
            owner: None,
            purpose: None,
            expires: None,
            status: AgentStatus::Active,
            origin: Origin::Administrator,
            identities: Vec::new(),
        }
    }

    /// The unique name of the agent of this id at the identity provider.
    #[must_use]
    pub fn by_external_id(external_id: &str) -> UniqueName {
        unique("agent.external-id", external_id)
    }

    pub(super) fn names(&self) -> Vec<UniqueName> {
        let external = self.external_id.as_deref().map(Self::by_external_id);
        external
            .into_iter()
            .chain(self.identities.iter().map(Identity::name))
            .collect()
    }
}
