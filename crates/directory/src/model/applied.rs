use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// What a file has made: when it no longer has it, it is taken away with the next application, and nothing else is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AppliedFile(pub BTreeMap<String, BTreeSet<String>>);
