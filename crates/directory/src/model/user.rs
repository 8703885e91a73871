use gatewright_core::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Identity, unique};
use crate::{records::UniqueName, scim::comparable_name};

/// A person.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// The name to sign in with; nobody else of the tenant has it in any case of letters.
    pub user_name: String,
    /// A name for people to read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// The identity provider's id for the person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// Whether the identity provider lets them in.
    #[serde(default = "yes")]
    pub active: bool,
    /// An administrator switched them off, whatever the identity provider says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<Disabled>,
    /// As whom tokens know them, besides what their issuers' `scim_attribute` says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub identities: Vec<Identity>,
    /// They were invited, and have not come yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invited: Option<Invited>,
    /// How they came to be here.
    #[serde(default)]
    pub origin: Origin,
    /// What else an identity provider says of them (RFC 7643 §4.1), as it said it.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub attributes: Map<String, Value>,
}

/// That an administrator switched somebody off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Disabled {
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When, in milliseconds since 1970.
    pub at: i64,
}

impl Disabled {
    /// From now on, for this reason.
    #[must_use]
    pub fn new(at: Timestamp, reason: Option<String>) -> Self {
        Self {
            reason,
            at: at.millis(),
        }
    }
}

/// An invitation. No mail is sent; whoever comes with a token of this address, verified by an issuer that the tenant believes
/// for its domain, is the person from then on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Invited {
    /// To this address.
    pub email: String,
    /// From then on it is void; milliseconds since 1970.
    pub expires: i64,
}

impl Invited {
    /// The form in which addresses are compared.
    #[must_use]
    pub fn folded(email: &str) -> String {
        email.to_lowercase()
    }
}

/// How somebody or something came to be here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Origin {
    /// An administrator entered them.
    #[default]
    Administrator,
    /// An identity provider provisioned them.
    Scim,
    /// They came with a good token, and the tenant takes in whoever does.
    Sight,
}

impl User {
    /// Somebody of this name, with nothing else known.
    #[must_use]
    pub fn new(user_name: &str) -> Self {
        Self {
            user_name: user_name.to_owned(),
            display_name: None,
            external_id: None,
            active: true,
            disabled: None,
            identities: Vec::new(),
            invited: None,
            origin: Origin::Administrator,
            attributes: Map::new(),
        }
    }

    /// Whether they may do anything at all.
    #[must_use]
    pub const fn is_alive(&self) -> bool {
        self.active && self.disabled.is_none()
    }

    /// The form in which names to sign in with are compared: without regard to case, and to how their characters are written.
    #[must_use]
    pub fn folded(user_name: &str) -> String {
        comparable_name(user_name).unwrap_or_else(|_unfit| user_name.to_lowercase())
    }

    /// The unique name of whoever has this name to sign in with.
    #[must_use]
    pub fn by_user_name(user_name: &str) -> UniqueName {
        unique("user.name", &Self::folded(user_name))
    }

    /// The unique name of whoever has this id at the identity provider.
    #[must_use]
    pub fn by_external_id(external_id: &str) -> UniqueName {
        unique("user.external-id", external_id)
    }

    pub(super) fn names(&self) -> Vec<UniqueName> {
        let external = self.external_id.as_deref().map(Self::by_external_id);
        let invited = self.invited.as_ref();
        let invited = invited.map(|to| unique("invitation", &Invited::folded(&to.email)));
        [Self::by_user_name(&self.user_name)]
            .into_iter()
            .chain(external)
            .chain(invited)
            .chain(self.identities.iter().map(Identity::name))
            .collect()
    }
}

const fn yes() -> bool {
    true
}
