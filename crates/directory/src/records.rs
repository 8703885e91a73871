//! The storage that the directory needs: records, the names that are unique, and what changed.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use gatewright_core::{BoxError, TenantId, Timestamp};
use tokio::sync::broadcast;

/// What a record is. Its [`name`](Self::name) is what the storage writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Kind {
    /// The settings of the tenant itself; there is one.
    Tenant,
    /// An issuer whose tokens are taken.
    Issuer,
    /// A person.
    User,
    /// A group.
    Group,
    /// That somebody is in a group; its id is that of the group, `/`, and that of the member.
    Member,
    /// An agent.
    Agent,
    /// A role.
    Role,
    /// A role given to somebody.
    Grant,
    /// An upstream server.
    Server,
    /// A bundle of what servers have.
    VirtualServer,
    /// Hand-written policies: the draft, and each version that was published.
    Policies,
    /// A token of an identity provider that provisions.
    ScimToken,
    /// What was cut when somebody left.
    Receipt,
    /// What a file has made.
    Applied,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 14] = [
        Self::Tenant,
        Self::Issuer,
        Self::User,
        Self::Group,
        Self::Member,
        Self::Agent,
        Self::Role,
        Self::Grant,
        Self::Server,
        Self::VirtualServer,
        Self::Policies,
        Self::ScimToken,
        Self::Receipt,
        Self::Applied,
    ];

    /// What is served of a tenant is made of these.
    pub const SERVED: [Self; 6] = [
        Self::Tenant,
        Self::Issuer,
        Self::Server,
        Self::VirtualServer,
        Self::Role,
        Self::Policies,
    ];

    /// A stable name, for storage and for the log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::Issuer => "issuer",
            Self::User => "user",
            Self::Group => "group",
            Self::Member => "member",
            Self::Agent => "agent",
            Self::Role => "role",
            Self::Grant => "grant",
            Self::Server => "server",
            Self::VirtualServer => "virtual-server",
            Self::Policies => "policies",
            Self::ScimToken => "scim-token",
            Self::Receipt => "receipt",
            Self::Applied => "applied",
        }
    }

    /// The kind of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Counts the commits of a tenant, from 1 on. A record's is that of the commit that changed it last, so that it is the
/// record's version, too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Revision(pub u64);

impl Revision {
    /// Before the first commit.
    pub const NONE: Self = Self(0);
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A record as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// What it is.
    pub kind: Kind,
    /// Its name among those of its kind and tenant.
    pub id: Arc<str>,
    /// The commit that changed it last.
    pub revision: Revision,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub modified_at: Timestamp,
    /// A JSON object.
    pub document: Arc<str>,
}

/// A name that only one record of a tenant can have, whatever its kind.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UniqueName {
    /// What the name is, as `user.name`.
    pub space: &'static str,
    /// The name, in the form in which it is compared.
    pub value: Arc<str>,
}

/// One part of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Puts a document in the place of whatever was there, with these names and no others.
    Put {
        /// What it is.
        kind: Kind,
        /// Its name.
        id: Arc<str>,
        /// A JSON object.
        document: Arc<str>,
        /// What only it is called.
        names: Vec<UniqueName>,
    },
    /// Takes a record away, and its names. What is not there stays away.
    Remove {
        /// What it is.
        kind: Kind,
        /// Its name.
        id: Arc<str>,
    },
}

/// What became of a record after a revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changed {
    /// It was made or changed.
    Put(Record),
    /// It was taken away.
    Removed {
        /// What it was.
        kind: Kind,
        /// Its name.
        id: Arc<str>,
        /// By which commit.
        revision: Revision,
    },
}

/// What is said to everybody who listens.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A tenant has come to this revision, by a commit of this process or of another one.
    Committed(TenantId, Revision),
    /// Events may have been missed; whoever wants to be current looks at the [heads](Records::heads).
    Missed,
}

/// Why nothing was committed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// Another commit came first; what this one was made from may no longer be so.
    #[error("another change came first: the tenant is at revision {0}")]
    Moved(Revision),
    /// A unique name is another record's.
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
    /// The storage does not do what it was asked. It may have been done, where the answer was lost.
    #[error(transparent)]
    Unavailable(#[from] RecordsError),
}

/// The storage does not answer as it should.
#[derive(Debug, thiserror::Error)]
#[error("the directory's storage does not answer: {0}")]
pub struct RecordsError(#[source] BoxError);

impl RecordsError {
    /// For this reason.
    #[must_use]
    pub fn new(source: impl Into<BoxError>) -> Self {
        Self(source.into())
    }
}

/// Stores what the directory knows. What was acknowledged is stored for good, whatever happens to the process afterwards.
///
/// Everything of a tenant is ordered by its revisions. A commit names the revision that it was made from, and fails where the
/// tenant has gone on since: so every rule that was checked against that revision holds in what is stored.
#[async_trait]
pub trait Records: Send + Sync + 'static {
    /// Every tenant, and where it is.
    ///
    /// # Errors
    /// [`RecordsError`] when the storage does not answer.
    async fn heads(&self) -> Result<Vec<(TenantId, Revision)>, RecordsError>;

    /// Writes all of this or nothing, as the commit after `base`, and says which revision it is. The first commit of a
    /// tenant is made from [`Revision::NONE`], and makes the tenant. Of two writes to one record the later one counts; names
    /// are compared after all writes, so that one commit can pass a name on.
    ///
    /// # Errors
    /// [`CommitError`] when something was committed since `base`, a name is taken, or the storage does not answer.
    async fn commit(
        &self,
        tenant: &TenantId,
        base: Revision,
        at: Timestamp,
        writes: &[Write],
    ) -> Result<Revision, CommitError>;

    /// The records of these ids that there are, in any order.
    ///
    /// # Errors
    /// [`RecordsError`] when the storage does not answer.
    async fn read(
        &self,
        tenant: &TenantId,
        kind: Kind,
        ids: &[Arc<str>],
    ) -> Result<Vec<Record>, RecordsError>;

    /// The record that has a unique name.
    ///
    /// # Errors
    /// [`RecordsError`] when the storage does not answer.
    async fn find(
        &self,
        tenant: &TenantId,
        name: &UniqueName,
    ) -> Result<Option<Record>, RecordsError>;

    /// At most `limit` records of a kind in the order of their ids (by bytes), those after `after`, leaving out the first
    /// `skip` of them. Of members those of one group are a page after `<group>/`.
    ///
    /// # Errors
    /// [`RecordsError`] when the storage does not answer.
    async fn page(
        &self,
        tenant: &TenantId,
        kind: Kind,
        after: Option<&str>,
        skip: u64,
        limit: u32,
    ) -> Result<Vec<Record>, RecordsError>;

    /// How many records of a kind there are.
    ///
    /// # Errors
    /// [`RecordsError`] when the storage does not answer.
    async fn count(&self, tenant: &TenantId, kind: Kind) -> Result<u64, RecordsError>;

    /// At most `limit` records that were changed or taken away after a revision, in the order of revisions, kinds and ids;
    /// those after the one of this revision, kind and id. A record that changed several times is there once, as it is now.
    ///
    /// # Errors
    /// [`RecordsError`] when the storage does not answer.
    async fn changes(
        &self,
        tenant: &TenantId,
        after: &Position,
        limit: u32,
    ) -> Result<Vec<Changed>, RecordsError>;

    /// Tells of commits from now on. Who falls behind gets an error of the channel, and has to look at the heads.
    fn events(&self) -> broadcast::Receiver<Event>;
}

/// A place in the order of changes: by revision, the name of the kind, and the id, by bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// The revision.
    pub revision: Revision,
    /// The last record of it that was seen; `None` after all of it.
    pub record: Option<(Kind, Arc<str>)>,
}

impl Position {
    /// After everything of a revision.
    #[must_use]
    pub const fn after(revision: Revision) -> Self {
        Self {
            revision,
            record: None,
        }
    }
}

impl Changed {
    /// Where it is in the order of changes.
    #[must_use]
    pub fn position(&self) -> Position {
        let (revision, kind, id) = match self {
            Self::Put(record) => (record.revision, record.kind, &record.id),
            Self::Removed { kind, id, revision } => (*revision, *kind, id),
        };
        Position {
            revision,
            record: Some((kind, Arc::clone(id))),
        }
    }
}
