//! Roles and grants as data: what configuration and, later, the store hold, and what an engine compiles.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

mod built_in;
mod inheritance;

use crate::{AdminVerb, CredentialMode, Group, ServerName, Subject, Timestamp};

pub use self::{
    built_in::{BUILT_IN, BuiltInRole, built_in_roles},
    inheritance::{Inheritance, InheritanceError},
};

/// A name with `*` for any part of it, as `invoice_*` or `file:///docs/*`. Everything else is literal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pattern(String);

impl Pattern {
    /// A pattern from its text.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name, where the pattern is one and has no `*`.
    #[must_use]
    pub fn literal(&self) -> Option<&str> {
        (!self.0.contains('*')).then_some(self.0.as_str())
    }

    /// Whether `name` fits.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let mut parts = self.0.split('*');
        let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else {
            return false;
        };
        let Some(last) = parts.next_back() else {
            return rest.is_empty();
        };
        for part in parts {
            let Some((_, after)) = rest.split_once(part) else {
                return false;
            };
            rest = after;
        }
        rest.ends_with(last)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An identity type: a named set of permissions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Role {
    /// Unique in its tenant.
    pub name: String,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Roles whose permissions it has too, and theirs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inherits: Vec<String>,
    /// What it permits; each stands for itself.
    #[serde(default)]
    pub permissions: Vec<Permission>,
    /// What it permits administrators; each stands for itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub admin: Vec<AdminPermission>,
}

impl Role {
    /// A role that permits nothing.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            description: None,
            inherits: Vec::new(),
            permissions: Vec::new(),
            admin: Vec::new(),
        }
    }
}

/// What an administrator may do: to everything in the tenant, or to what concerns one server or group where the grant
/// of the role is [over](Grant::over) that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdminPermission {
    /// Names of [verbs](crate::AdminVerb), `*` for a part.
    pub actions: Vec<Pattern>,
}

impl AdminPermission {
    /// The verbs that it names.
    pub fn verbs(&self) -> impl Iterator<Item = AdminVerb> {
        AdminVerb::ALL.iter().copied().filter(|verb| {
            let mut patterns = self.actions.iter();
            patterns.any(|pattern| pattern.matches(verb.name()))
        })
    }
}

/// One permission: things of some servers, under conditions.
///
/// It has two halves. *See*: servers, names, `read_only`, `destructive`, `tags`. *Call*: these and every condition of
/// `when`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Permission {
    /// Names of servers and virtual servers, which share one space of names, `*` for a part.
    pub servers: Vec<Pattern>,
    /// Names of tools.
    #[serde(default)]
    pub tools: Vec<Pattern>,
    /// Names of prompts.
    #[serde(default)]
    pub prompts: Vec<Pattern>,
    /// URIs of resources, and URI templates as they are written.
    #[serde(default)]
    pub resources: Vec<Pattern>,
    /// Only tools for which configuration vouches that they read only.
    #[serde(default)]
    pub read_only: bool,
    /// Only tools of which configuration says that they destroy (a tool that it says nothing of may), or that they do
    /// not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destructive: Option<bool>,
    /// Only tools that configuration gives one of these tags; empty asks for none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Requests that the server may send to the client: `sampling/createMessage`, `elicitation/create`, `roots/list`.
    #[serde(default)]
    pub server_requests: Vec<Pattern>,
    /// Methods beyond those of tools, prompts and resources, as `completion/complete` or one that the server
    /// relays without our knowing it.
    #[serde(default)]
    pub methods: Vec<Pattern>,
    /// As whom calls go upstream that it permits; the server's own mode where it does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<CredentialMode>,
    /// Conditions on a call; all must hold.
    #[serde(default)]
    pub when: When,
}

/// Conditions on a call: the part of a permission that lists do not show. All that are given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct When {
    /// On the values of arguments.
    #[serde(default)]
    pub arguments: Vec<ArgumentCondition>,
    /// The OAuth client through which the caller acts is one of these, compared exactly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clients: Option<Vec<String>>,
    /// The person authenticated at most this many seconds ago (`auth_time`); a token that does not say fits not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authenticated_within: Option<u32>,
    /// The moment is within this span.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hours: Option<Hours>,
    /// An agent acts for a person, or nobody acts for another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delegated: Option<Delegated>,
}

/// A condition on delegation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Delegated {
    /// Only where an agent acts for a person.
    Only,
    /// Never where one does.
    Never,
}

/// A condition on one argument. A missing argument, `null` or a value of another type does not fit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArgumentCondition {
    /// Dotted path into the arguments, as `transfer.amount`.
    pub argument: String,
    /// It is this string, integer or boolean.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub equals: Option<Scalar>,
    /// It is one of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub one_of: Option<Vec<Scalar>>,
    /// It is a string that fits the pattern.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub like: Option<Pattern>,
    /// It is an integer of at least this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<i64>,
    /// It is an integer of at most this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<i64>,
}

/// A value that an argument is compared with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Scalar {
    /// `true` or `false`.
    Bool(bool),
    /// An integer that fits 64 bits.
    Integer(i64),
    /// A string.
    Text(String),
}

/// A span of the day, in UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hours {
    /// Days of the week; empty means every day.
    #[serde(default)]
    pub days: Vec<Weekday>,
    /// From this full hour, 0 to 23.
    pub from: u8,
    /// Until before this full hour, 1 to 24, later than `from`.
    pub until: u8,
}

/// A day of the week, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Weekday {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

/// A role given to somebody.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Grant {
    /// Which role.
    pub role: String,
    /// To whom.
    pub to: Grantee,
    /// Until when; an expired grant gives nothing.
    pub expires: Option<Timestamp>,
    /// Why, for the next review.
    pub reason: Option<String>,
    /// What the holder administers by what the role permits administrators; the whole tenant if not said. The role's
    /// permissions on servers are as they are, whatever stands here.
    pub over: Option<Scope>,
}

impl Grant {
    /// A grant that never ends.
    #[must_use]
    pub fn new(role: &str, to: Grantee) -> Self {
        Self {
            role: role.to_owned(),
            to,
            expires: None,
            reason: None,
            over: None,
        }
    }
}

/// A part of a tenant that somebody administers.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// A server or a virtual server.
    Server(ServerName),
    /// A group: the group itself, who is in it, and what is granted to it.
    Group(Group),
}

/// `server:<name>` or `group:<issuer>|<name>`.
impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server(server) => write!(f, "server:{server}"),
            Self::Group(group) => write!(f, "group:{group}"),
        }
    }
}

/// Who a role is given to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Grantee {
    /// A person.
    User(Subject),
    /// A group.
    Group(Group),
    /// An agent.
    Agent(Subject),
    /// Whoever the directory knows by this name, with whichever identity they come: `user/<id>` or `agent/<id>`.
    Account(Arc<str>),
}

/// `user:<subject>`, `group:<group>` or `agent:<subject>`.
impl fmt::Display for Grantee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(subject) => write!(f, "user:{subject}"),
            Self::Group(group) => write!(f, "group:{group}"),
            Self::Agent(subject) => write!(f, "agent:{subject}"),
            Self::Account(account) => write!(f, "account:{account}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_names() {
        for (pattern, name, fits) in [
            ("echo", "echo", true),
            ("echo", "echo2", false),
            ("echo", "xecho", false),
            ("*", "", true),
            ("*", "anything", true),
            ("invoice_*", "invoice_pay", true),
            ("invoice_*", "xinvoice_pay", false),
            ("a*b*c", "a1b2c", true),
            ("a*b*c", "acb", false),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("*x*", "axb", true),
            ("a**b", "ab", true),
            ("a.c", "abc", false),
        ] {
            assert_eq!(
                Pattern::new(pattern).matches(name),
                fits,
                "{pattern} {name}"
            );
        }
    }

    #[test]
    fn an_unknown_condition_is_refused() {
        let typo = serde_json::json!({"argument": "a", "atmost": 1});
        assert!(serde_json::from_value::<ArgumentCondition>(typo).is_err());
        let known = serde_json::json!({"argument": "a", "at_most": 1});
        assert!(serde_json::from_value::<ArgumentCondition>(known).is_ok());
    }
}
