//! What the records hold.

mod agent;
mod applied;
mod grant;
mod group;
mod issuer;
mod policies;
mod receipt;
mod role;
mod scim_token;
mod server;
mod tenant;
mod user;

use std::sync::Arc;

use gatewright_core::Subject;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

pub use self::{
    agent::{Agent, AgentStatus},
    applied::AppliedFile,
    grant::{Grant, Holder, Over},
    group::{Group, MemberKind, MemberRef, Membership},
    issuer::{Issuer, ScimAttribute},
    policies::Policies,
    receipt::{Cut, Leaver, LeaverKind, Leaving, Open, Receipt, Signed, Statement, What},
    role::Role,
    scim_token::{ScimScope, ScimToken},
    server::{Part, Server, VirtualServer},
    tenant::Tenant,
    user::{Disabled, Invited, Origin, User},
};
use crate::records::{Kind, Record, UniqueName};

/// Who vouches for somebody, and their name there, as documents hold it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// The `iss` of the tokens.
    pub issuer: String,
    /// The claim that names the person there, `sub` if nothing else was set.
    pub subject: String,
}

impl Identity {
    /// As the rest of the gateway knows it.
    #[must_use]
    pub fn subject(&self) -> Subject {
        Subject::new(&self.issuer, &self.subject)
    }

    fn name(&self) -> UniqueName {
        unique("identity", &self.subject().to_string())
    }
}

impl From<&Subject> for Identity {
    fn from(subject: &Subject) -> Self {
        Self {
            issuer: subject.issuer().to_owned(),
            subject: subject.id().to_owned(),
        }
    }
}

/// The document of a record, read.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Document {
    /// Of the tenant itself.
    Tenant(Tenant),
    /// Of an issuer.
    Issuer(Issuer),
    /// Of a person.
    User(User),
    /// Of a group.
    Group(Group),
    /// Of a membership.
    Member(Membership),
    /// Of an agent.
    Agent(Agent),
    /// Of a role.
    Role(Role),
    /// Of a grant.
    Grant(Grant),
    /// Of a server.
    Server(Server),
    /// Of a virtual server.
    VirtualServer(VirtualServer),
    /// Of policies.
    Policies(Policies),
    /// Of a token of an identity provider that provisions.
    ScimToken(ScimToken),
    /// Of what was cut when somebody left.
    Receipt(Receipt),
    /// Of what a file has made.
    Applied(AppliedFile),
}

/// A record holds what this version cannot read.
#[derive(Debug, thiserror::Error)]
#[error("the {kind} `{id}` holds what this version cannot read: {reason}")]
pub struct UnreadableRecord {
    kind: Kind,
    id: Arc<str>,
    reason: String,
}

impl Document {
    /// Reads the document of a record.
    ///
    /// # Errors
    /// [`UnreadableRecord`] when it is not of the kind's form.
    pub fn read(record: &Record) -> Result<Self, UnreadableRecord> {
        Self::parse(record.kind, &record.id, &record.document)
    }

    /// Reads a document.
    ///
    /// # Errors
    /// [`UnreadableRecord`] when it is not of the kind's form.
    pub fn parse(kind: Kind, id: &Arc<str>, text: &str) -> Result<Self, UnreadableRecord> {
        let unreadable = |reason: String| UnreadableRecord {
            kind,
            id: Arc::clone(id),
            reason,
        };
        fn of<T: DeserializeOwned>(text: &str) -> Result<T, String> {
            serde_json::from_str(text).map_err(|error| error.to_string())
        }
        let read = match kind {
            Kind::Tenant => of(text).map(Self::Tenant),
            Kind::Issuer => of(text).map(Self::Issuer),
            Kind::User => of(text).map(Self::User),
            Kind::Group => of(text).map(Self::Group),
            Kind::Member => of(text).map(Self::Member),
            Kind::Agent => of(text).map(Self::Agent),
            Kind::Role => of(text).map(Self::Role),
            Kind::Grant => of(text).map(Self::Grant),
            Kind::Server => of(text).map(Self::Server),
            Kind::VirtualServer => of(text).map(Self::VirtualServer),
            Kind::Policies => of(text).map(Self::Policies),
            Kind::ScimToken => of(text).map(Self::ScimToken),
            Kind::Receipt => of(text).map(Self::Receipt),
            Kind::Applied => of(text).map(Self::Applied),
        };
        read.map_err(unreadable)
    }

    /// What it is.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Tenant(_) => Kind::Tenant,
            Self::Issuer(_) => Kind::Issuer,
            Self::User(_) => Kind::User,
            Self::Group(_) => Kind::Group,
            Self::Member(_) => Kind::Member,
            Self::Agent(_) => Kind::Agent,
            Self::Role(_) => Kind::Role,
            Self::Grant(_) => Kind::Grant,
            Self::Server(_) => Kind::Server,
            Self::VirtualServer(_) => Kind::VirtualServer,
            Self::Policies(_) => Kind::Policies,
            Self::ScimToken(_) => Kind::ScimToken,
            Self::Receipt(_) => Kind::Receipt,
            Self::Applied(_) => Kind::Applied,
        }
    }

    /// As a JSON value.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let value = match self {
            Self::Tenant(it) => serde_json::to_value(it),
            Self::Issuer(it) => serde_json::to_value(it),
            Self::User(it) => serde_json::to_value(it),
            Self::Group(it) => serde_json::to_value(it),
            Self::Member(it) => serde_json::to_value(it),
            Self::Agent(it) => serde_json::to_value(it),
            Self::Role(it) => serde_json::to_value(it),
            Self::Grant(it) => serde_json::to_value(it),
            Self::Server(it) => serde_json::to_value(it),
            Self::VirtualServer(it) => serde_json::to_value(it),
            Self::Policies(it) => serde_json::to_value(it),
            Self::ScimToken(it) => serde_json::to_value(it),
            Self::Receipt(it) => serde_json::to_value(it),
            Self::Applied(it) => serde_json::to_value(it),
        };
        // INVARIANT: the forms have string keys and finite numbers only, which is all that serde_json can refuse.
        value.unwrap_or(Value::Null)
    }

    /// What only this record is called.
    #[must_use]
    pub fn names(&self, id: &str) -> Vec<UniqueName> {
        match self {
            Self::User(user) => user.names(),
            Self::Group(group) => group.names(),
            Self::Agent(agent) => agent.names(),
            Self::Issuer(issuer) => vec![unique("issuer", &issuer.issuer)],
            Self::ScimToken(token) => vec![token.name_of()],
            // One path for both.
            Self::Server(_) | Self::VirtualServer(_) => vec![unique("endpoint", id)],
            _ => Vec::new(),
        }
    }
}

fn unique(space: &'static str, value: &str) -> UniqueName {
    UniqueName {
        space,
        value: value.into(),
    }
}
