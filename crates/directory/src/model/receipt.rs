use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What was cut when somebody left, and what is still to be cut; signed by whoever made it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Receipt(pub Map<String, Value>);
