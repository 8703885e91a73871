//! What others must do once somebody is no longer let in.

use std::{fmt, future::Future, pin::Pin};

use crate::{BoxError, CredentialOwner, PartyKind, Subject, TenantId, Timestamp};

/// As whom requests may come that are no longer let in.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GoneParty {
    /// On which side of a call they stand.
    pub kind: PartyKind,
    /// Who vouches for them, and their name there.
    pub subject: Subject,
}

impl GoneParty {
    /// As the owner of stored credentials.
    #[must_use]
    pub fn owner(&self) -> CredentialOwner {
        match self.kind {
            PartyKind::User => CredentialOwner::User(self.subject.clone()),
            PartyKind::Agent => CredentialOwner::Agent(self.subject.clone()),
        }
    }
}

/// `user:<issuer>|<id>` or `agent:<issuer>|<id>`.
impl fmt::Display for GoneParty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.owner().fmt(f)
    }
}

/// What kind of thing somebody has here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum HeldKind {
    /// An API key.
    ApiKey,
    /// A stored credential.
    Credential,
}

impl HeldKind {
    /// Each of them.
    pub const ALL: [Self; 2] = [Self::ApiKey, Self::Credential];
}

/// Something that somebody has here.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Held {
    /// Whose it is.
    pub of: GoneParty,
    /// What it is.
    pub kind: HeldKind,
    /// The id of an API key, the server of a credential.
    pub name: String,
}

/// What there is of one kind, or why that is not known.
#[derive(Debug)]
pub struct Found {
    /// The kind.
    pub kind: HeldKind,
    /// All there is of it.
    pub held: Result<Vec<Held>, BoxError>,
}

/// A signature under a statement, and which key made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attestation {
    /// Names the key.
    pub key: String,
    /// In base64.
    pub signature: String,
}

/// What must follow once somebody is no longer let in: the seam between the directory, which decides it, and those who hold
/// keys and credentials. Everything here can be done again, by another process too, and comes to the same.
pub trait Changes: Send + Sync + 'static {
    /// What these have, without changing anything of it.
    fn held<'a>(
        &'a self,
        tenant: &'a TenantId,
        gone: &'a [GoneParty],
    ) -> Pin<Box<dyn Future<Output = Vec<Found>> + Send + 'a>>;

    /// Takes what these had at that moment out of this process's memory. It does not wait, and the storage is left as it is.
    fn forget(&self, tenant: &TenantId, gone: &[GoneParty], at: Timestamp);

    /// Revokes and destroys for good all that these have, and says what it was. One kind that fails keeps no other.
    fn cut<'a>(
        &'a self,
        tenant: &'a TenantId,
        gone: &'a [GoneParty],
    ) -> Pin<Box<dyn Future<Output = Vec<Found>> + Send + 'a>>;

    /// Signs a statement, a JSON object of text and whole numbers; `None` where it cannot.
    fn attest(&self, statement: &serde_json::Value) -> Option<Attestation>;
}
