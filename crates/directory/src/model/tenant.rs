use serde::{Deserialize, Serialize};

/// The settings of a tenant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tenant {
    /// A name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Switched off: whoever is of it is refused.
    #[serde(default)]
    pub disabled: bool,
    /// A person with a good token of one of its issuers whom nobody knows yet is taken in at the first call. Otherwise they
    /// are refused.
    #[serde(default)]
    pub create_people_on_sight: bool,
    /// People may have API keys; agents always may.
    #[serde(default)]
    pub api_keys_for_people: bool,
}
