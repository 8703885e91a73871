use std::{future::Future, pin::Pin, sync::Arc};

use crate::{Group, Party, Subject, TenantId};

/// What is known of a subject right now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Status {
    /// Alive, with what the directory adds to the token's claims.
    Active(Membership),
    /// Switched off: every request is refused and open streams end.
    Disabled,
    /// Nobody knows the subject. Refused as if switched off.
    Unknown,
    /// It cannot be said at present: what is known is too old. Refused as what cannot be checked.
    Unavailable,
}

/// What the directory adds to an identity.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Membership {
    /// The directory's own name for whoever it is, the same for each of their identities: `user/<id>` or `agent/<id>`.
    pub account: Option<Arc<str>>,
    /// Groups besides those of the token.
    pub groups: Vec<Group>,
}

/// Which side of a call somebody is on, as their token says. A person and an agent are two, also where their issuer calls
/// both alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PartyKind {
    /// A person.
    User,
    /// Anything else that acts.
    Agent,
}

/// Is this subject alive, and which groups is it in? Asked on every request, warm caches included
/// (invariants 2 and 9), so it answers from memory.
pub trait Subjects: Send + Sync + 'static {
    /// The subject's status.
    fn status(&self, tenant: &TenantId, kind: PartyKind, subject: &Subject) -> Status;

    /// Takes in a person whose credential is good and whom nobody knows yet, where there is a reason to: an invitation, or a
    /// tenant that takes in whoever comes. What it answers is in force from then on. Without a directory nobody is taken in.
    fn admit<'a>(
        &'a self,
        _tenant: &'a TenantId,
        _newcomer: &'a Party,
    ) -> Pin<Box<dyn Future<Output = Status> + Send + 'a>> {
        Box::pin(std::future::ready(Status::Unknown))
    }

    /// Completes once any of the subjects is no longer [active](Status::Active), at once if one is not already; what holds an
    /// open stream for them waits for it, and asks for it only after [`status`](Self::status).
    fn disabled(
        &self,
        tenant: &TenantId,
        parties: &[(PartyKind, Subject)],
    ) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

/// Takes every subject that a resolver identified as alive: for services without a directory.
#[derive(Clone, Copy, Debug, Default)]
pub struct AnyIdentified;

impl Subjects for AnyIdentified {
    fn status(&self, _: &TenantId, _: PartyKind, _: &Subject) -> Status {
        Status::Active(Membership::default())
    }

    fn disabled(
        &self,
        _: &TenantId,
        _: &[(PartyKind, Subject)],
    ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(std::future::pending())
    }
}
