//! Changes to what the gateway holds, and who records them.

use std::{collections::BTreeMap, fmt, future::Future, pin::Pin, sync::Arc};

use serde_json::Value;

use crate::{BoxError, Principal, ReferenceId, ServerName, TenantId, Timestamp};

/// Who changes something.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Actor {
    /// Who has the machine: a user of it, by its number, whom the kernel vouches for.
    Operator(u32),
    /// Who brought a token to the admin API.
    Principal(Principal),
    /// An identity provider that provisions, by the id of its token.
    Provisioner(Arc<str>),
    /// The gateway itself, for the reason that is named.
    Gateway(&'static str),
}

/// `uid:0`, `user:<issuer>|<id>`, `scim:<token>` or `gateway:<reason>`.
impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operator(uid) => write!(f, "uid:{uid}"),
            Self::Principal(principal) => f.write_str(&principal.key()),
            Self::Provisioner(token) => write!(f, "scim:{token}"),
            Self::Gateway(reason) => write!(f, "gateway:{reason}"),
        }
    }
}

/// A change to what the gateway holds. Whoever makes one keeps secrets out of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Change {
    /// Names the change; all its records have it.
    pub reference: ReferenceId,
    /// Whose it is.
    pub tenant: TenantId,
    /// Who makes it.
    pub by: Actor,
    /// What is changed, as `credential.put`.
    pub action: &'static str,
    /// At which server, if at one.
    pub server: Option<ServerName>,
    /// What else there is to say, by name.
    pub details: BTreeMap<&'static str, String>,
    /// What becomes of which thing.
    pub differences: Vec<Difference>,
}

/// What becomes of one thing.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// Which, as `user 0199…`.
    pub of: String,
    /// The members that differ, as they were; nothing where it was not there.
    pub before: Option<Value>,
    /// The members that differ, as they are; nothing where it is gone.
    pub after: Option<Value>,
}

impl Change {
    /// A change under a reference of its own, with nothing more to say yet.
    #[must_use]
    pub fn new(tenant: TenantId, by: Actor, action: &'static str) -> Self {
        Self {
            reference: ReferenceId::random(),
            tenant,
            by,
            action,
            server: None,
            details: BTreeMap::new(),
            differences: Vec::new(),
        }
    }

    /// At this server.
    #[must_use]
    pub fn at(mut self, server: &ServerName) -> Self {
        self.server = Some(server.clone());
        self
    }

    /// Says more.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: &impl ToString) -> Self {
        self.details.insert(name, value.to_string());
        self
    }

    /// Says what becomes of what.
    #[must_use]
    pub fn differing(mut self, differences: Vec<Difference>) -> Self {
        self.differences = differences;
        self
    }
}

/// How far a change has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stage {
    /// It is about to be made. Where no record of another stage follows, it may have been.
    Begun,
    /// It was made.
    Done,
    /// It was not made.
    Failed,
}

impl Stage {
    /// A stable name for records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Begun => "begun",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }
}

/// A change cannot be recorded.
#[derive(Debug, thiserror::Error)]
#[error("it cannot be recorded: {0}")]
pub struct RecordError(#[source] BoxError);

impl RecordError {
    /// For this reason.
    #[must_use]
    pub fn new(source: impl Into<BoxError>) -> Self {
        Self(source.into())
    }
}

/// Writes changes into the log: the seam between whoever changes something and the audit log. No record, no change.
pub trait Recorder: Send + Sync + 'static {
    /// Records that a change has come so far. That it [begun](Stage::Begun) is durable once this returns; the other stages
    /// become so soon.
    ///
    /// # Errors
    /// [`RecordError`] when it cannot be written.
    fn record<'a>(
        &'a self,
        change: &'a Change,
        stage: Stage,
        at: Timestamp,
    ) -> Pin<Box<dyn Future<Output = Result<(), RecordError>> + Send + 'a>>;
}
