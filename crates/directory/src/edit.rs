//! What can be asked of the directory, and what may become of it.

use std::sync::Arc;

use gatewright_core::{RecordError, TenantId};

use crate::{
    model::{Document, MemberRef, UnreadableRecord},
    records::{CommitError, Kind, RecordsError, Revision},
};

/// One part of a change.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "most edits are of the largest kind"
)]
#[non_exhaustive]
pub enum Edit {
    /// Puts a document in the place of what there is of this id.
    Put {
        /// Its id among those of its kind.
        id: Arc<str>,
        /// What it is to be.
        document: Document,
        /// What must be there before.
        expected: Expected,
    },
    /// Takes something away, with all that is nothing without it: memberships, and grants to it.
    Remove {
        /// What it is.
        kind: Kind,
        /// Its id.
        id: Arc<str>,
        /// What must be there before.
        expected: Expected,
    },
    /// Puts somebody into a group; who is in it already stays.
    Join {
        /// Which.
        group: Arc<str>,
        /// Who.
        member: MemberRef,
    },
    /// Takes somebody out of a group; who is not in it stays out.
    Leave {
        /// Which.
        group: Arc<str>,
        /// Who.
        member: MemberRef,
    },
    /// Takes everybody out of a group.
    LeaveAll {
        /// Which.
        group: Arc<str>,
    },
}

/// What must be there for a change to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Expected {
    /// Whatever is there, or nothing.
    Any,
    /// Nothing.
    Absent,
    /// Something.
    Present,
    /// What this commit made of it: somebody has looked at that, and decided on it.
    At(Revision),
    /// Of a group: what this commit made of it, with the members that have this
    /// [digest](crate::Directory::members_digest).
    AtWith(Revision, u64),
}

/// What became of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Applied {
    /// The commit; the one before where there was nothing to change.
    pub revision: Revision,
    /// What was changed beyond what was asked, as `agent report-bot`.
    pub also: Vec<String>,
    /// The receipts of those who are no longer let in by it.
    pub receipts: Vec<Arc<str>>,
}

/// Why a change was not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// There is no such tenant.
    #[error("there is no tenant `{0}`")]
    NoTenant(TenantId),
    /// There is no such thing.
    #[error("there is no {kind} `{id}`")]
    NotFound {
        /// What it is.
        kind: Kind,
        /// Its id.
        id: Arc<str>,
    },
    /// There is one already.
    #[error("there is a {kind} `{id}` already")]
    Exists {
        /// What it is.
        kind: Kind,
        /// Its id.
        id: Arc<str>,
    },
    /// It was changed since whoever asks has looked at it.
    #[error("the {kind} `{id}` was changed meanwhile: it is at {now}; look at it again")]
    Stale {
        /// What it is.
        kind: Kind,
        /// Its id.
        id: Arc<str>,
        /// Where it is now.
        now: Revision,
    },
    /// A unique name is another one's.
    #[error("the {space} `{value}` is taken by the {kind} `{id}`")]
    Taken {
        /// What the name is.
        space: String,
        /// The name.
        value: String,
        /// Who has it.
        kind: Kind,
        /// Who has it.
        id: Arc<str>,
    },
    /// A rule is against it.
    #[error("{}", .0.message)]
    Broken(Fault),
    /// Whoever asks may not.
    #[error("{0}")]
    Forbidden(String),
    /// It is not recorded, and so not made.
    #[error("nothing was changed: {0}")]
    Unrecorded(#[source] RecordError),
    /// Others change the same all the time.
    #[error("others change the tenant all the time; try again")]
    Busy,
    /// What is stored cannot be read.
    #[error(transparent)]
    Unreadable(#[from] UnreadableRecord),
    /// The storage does not answer. Whether it was made is not known where it broke off in the middle.
    #[error(transparent)]
    Unavailable(#[from] RecordsError),
}

/// A rule that a change would break.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fault {
    /// A stable name of the rule, in kebab case.
    pub rule: &'static str,
    /// What is wrong, and how to put it right.
    pub message: String,
}

impl Fault {
    /// Against this rule.
    #[must_use]
    pub fn new(rule: &'static str, message: impl Into<String>) -> Self {
        Self {
            rule,
            message: message.into(),
        }
    }
}

impl ChangeError {
    pub(crate) fn broken(rule: &'static str, message: impl Into<String>) -> Self {
        Self::Broken(Fault::new(rule, message))
    }

    /// A stable name for records and answers, in kebab case.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoTenant(_) => "unknown-tenant",
            Self::NotFound { .. } => "not-found",
            Self::Exists { .. } => "exists",
            Self::Stale { .. } => "stale",
            Self::Taken { .. } => "taken",
            Self::Broken(fault) => fault.rule,
            Self::Forbidden(_) => "forbidden",
            Self::Unrecorded(_) => "no-record",
            Self::Busy => "busy",
            Self::Unreadable(_) => "unreadable",
            Self::Unavailable(_) => "storage",
        }
    }
}

impl From<CommitError> for ChangeError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Moved(_) => Self::Busy,
            CommitError::Taken {
                space,
                value,
                kind,
                id,
            } => Self::Taken {
                space,
                value,
                kind,
                id,
            },
            CommitError::Unavailable(error) => Self::Unavailable(error),
        }
    }
}
