use serde::{Deserialize, Serialize};

/// A role given to somebody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// Which role, by its name.
    pub role: String,
    /// To whom.
    pub to: Holder,
    /// Where its administrative part ends; everywhere if it does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over: Option<Over>,
    /// From then on it gives nothing; milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<i64>,
    /// Why, for the next review.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Who has a grant.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Holder {
    /// A person, by id.
    User(String),
    /// A group of the directory, by id.
    Group(String),
    /// An agent, by id.
    Agent(String),
    /// Whoever's token says that they are in a group of this issuer.
    ClaimedGroup {
        /// Who says so.
        issuer: String,
        /// Its name there.
        name: String,
    },
}

/// What the administrators who hold a grant are limited to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Over {
    /// What concerns this server.
    Server(String),
    /// This group and whoever is in it.
    Group(String),
}
