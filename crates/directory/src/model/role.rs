use gatewright_core::access;
use serde::{Deserialize, Serialize};

/// A role; its name is the record's id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Role(pub access::Role);

impl Role {
    /// The names of the roles that every tenant has and nobody changes.
    pub const BUILT_IN: [&str; 6] = [
        "metadata-viewer",
        "content-auditor",
        "credential-custodian",
        "policy-author",
        "policy-approver",
        "administrator",
    ];

    /// Whether every tenant has the role of this name.
    #[must_use]
    pub fn is_built_in(name: &str) -> bool {
        Self::BUILT_IN.contains(&name)
    }
}
