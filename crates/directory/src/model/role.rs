use gatewright_core::access;
use serde::{Deserialize, Serialize};

/// A role; its name is the record's id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Role(pub access::Role);
