use std::collections::BTreeMap;

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
