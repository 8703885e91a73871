use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// An issuer whose tokens are taken; the record's id is chosen freely.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Issuer {
    /// Its identifier, the `iss` of its tokens.
    pub issuer: String,
    /// What an identity provider provisions by SCIM that equals the claim by which this issuer names people: so that a token
    /// finds its person. Nothing, where nobody is provisioned for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scim_attribute: Option<ScimAttribute>,
    /// The domains of e-mail addresses for which it is believed, in lower case; invitations bind to no others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub email_domains: Vec<String>,
    /// How its tokens are read; the inside is the gateway's.
    #[serde(flatten)]
    pub settings: Map<String, Value>,
}

/// An attribute by which a provisioned person is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ScimAttribute {
    /// The provider's own stable id.
    #[serde(rename = "externalId")]
    ExternalId,
    /// The name to sign in with, in any case.
    #[serde(rename = "userName")]
    UserName,
}
