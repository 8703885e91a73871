use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// An upstream server; its name is the record's id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Server {
    /// Switched off: calls to it are refused.
    #[serde(default)]
    pub disabled: bool,
    /// How it is reached and kept; the inside is the gateway's.
    #[serde(flatten)]
    pub settings: Map<String, Value>,
}

/// A bundle of chosen things of one or more servers; its name is the record's id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VirtualServer {
    /// A name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What is in it.
    #[serde(default)]
    pub parts: Vec<Part>,
}

/// What a bundle has of one server, by pattern.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Of which server.
    pub server: String,
    /// Its tools of these names.
    #[serde(default)]
    pub tools: Vec<gatewright_core::access::Pattern>,
    /// Its prompts of these names.
    #[serde(default)]
    pub prompts: Vec<gatewright_core::access::Pattern>,
    /// Its resources of these URIs.
    #[serde(default)]
    pub resources: Vec<gatewright_core::access::Pattern>,
}
