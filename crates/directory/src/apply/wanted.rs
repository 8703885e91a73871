//! An organisation as a file has it, with people and agents as tokens name them.

use std::collections::BTreeMap;

use gatewright_core::{TenantId, access};
use serde::{Deserialize, Serialize};

use serde_json::{Map, Value};

use crate::model::{Identity, Issuer, Tenant, VirtualServer};

/// What a file has of an installation. Tenants that it does not name stay as they are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// By name.
    pub tenants: BTreeMap<TenantId, WantedTenant>,
}

/// What a file has of a tenant.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WantedTenant {
    /// The tenant itself.
    pub settings: WantedSettings,
    /// Whose tokens it takes.
    pub issuers: Vec<Issuer>,
    /// Its servers, by name.
    pub servers: BTreeMap<String, WantedServer>,
    /// Its bundles, by name.
    pub virtual_servers: BTreeMap<String, VirtualServer>,
    /// Its roles.
    pub roles: Vec<access::Role>,
    /// People of whom the file says something.
    pub users: Vec<WantedUser>,
    /// Agents.
    pub agents: Vec<WantedAgent>,
    /// Groups whose members the file says.
    pub groups: Vec<WantedGroup>,
    /// Who has which role.
    pub grants: Vec<WantedGrant>,
    /// The Cedar text of each file, by its name; nothing where the file does not say.
    pub policies: Option<BTreeMap<String, String>>,
}

/// What a file has of the tenant itself. What it does not say stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WantedSettings {
    /// A name for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Whoever is of it is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
    /// Whether whom nobody knows yet is taken in at the first call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub create_people_on_sight: Option<bool>,
    /// Whether people may have API keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_keys_for_people: Option<bool>,
}

impl WantedSettings {
    /// What becomes of the settings that there are.
    #[must_use]
    pub(super) fn over(&self, there: Tenant) -> Tenant {
        Tenant {
            title: self.title.clone().or(there.title),
            disabled: self.disabled.unwrap_or(there.disabled),
            create_people_on_sight: self
                .create_people_on_sight
                .unwrap_or(there.create_people_on_sight),
            api_keys_for_people: self
                .api_keys_for_people
                .unwrap_or(there.api_keys_for_people),
        }
    }
}

/// An upstream server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WantedServer {
    /// Switched off, or on; nothing where the file does not say, and it stays as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
    /// How it is reached and kept.
    #[serde(flatten)]
    pub settings: Map<String, Value>,
}

/// A person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WantedUser {
    /// As tokens name them.
    pub identity: Identity,
    /// A name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Switched off.
    #[serde(default)]
    pub disabled: bool,
}

/// An agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WantedAgent {
    /// As tokens name it.
    pub identity: Identity,
    /// A name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Who answers for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Identity>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    /// From then on it is refused; milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<i64>,
    /// Switched off.
    #[serde(default)]
    pub disabled: bool,
}

/// A group, and who is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WantedGroup {
    /// Its name for people.
    pub name: String,
    /// People, as tokens name them.
    pub users: Vec<Identity>,
    /// Agents, as tokens name them.
    pub agents: Vec<Identity>,
    /// Groups, by their names for people.
    pub groups: Vec<String>,
}

/// A role given to somebody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WantedGrant {
    /// Which, by name.
    pub role: String,
    /// To whom.
    pub to: WantedHolder,
    /// Where its administrative part ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over: Option<WantedOver>,
    /// From then on it gives nothing; milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<i64>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// To whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WantedHolder {
    /// A person, as tokens name them.
    User(Identity),
    /// An agent, as tokens name it.
    Agent(Identity),
    /// A group of the directory, by its name for people.
    Group {
        /// Its name.
        name: String,
    },
    /// Whoever's token says that they are in a group of this issuer.
    ClaimedGroup {
        /// Who says so.
        issuer: String,
        /// Its name there.
        name: String,
    },
}

/// What administrators are limited to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WantedOver {
    /// A server.
    Server(String),
    /// A group of the directory, by its name for people.
    Group(String),
}
