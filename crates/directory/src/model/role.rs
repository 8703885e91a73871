use gatewright_core::access;
use serde::{Deserialize, Serialize};

/// A role; its name is the record's id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Role(pub access::Role);

impl Role {
    /// Whether every tenant has the role of this name.
    #[must_use]
    pub fn is_built_in(name: &str) -> bool {
        access::BuiltInRole::named(name).is_some()
    }
}
