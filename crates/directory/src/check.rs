//! What the directory asks others about a change.

use std::{future::Future, pin::Pin, sync::Arc};

use gatewright_core::{Actor, TenantId};

use crate::{
    directory::{Directory, TenantSettings},
    edit::{Edit, Fault},
    model::Document,
    records::Kind,
};

/// Whether what the directory takes as it is can be served: the inside of servers and issuers, roles, policies.
pub trait DocumentCheck: Send + Sync + 'static {
    /// Looks at the settings of a tenant as a change would make them.
    ///
    /// # Errors
    /// [`Fault`] names what is wrong, and how to put it right.
    fn check(&self, tenant: &TenantId, settings: &TenantSettings) -> Result<(), Fault>;
}

/// Takes every document as it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EverythingFits;

impl DocumentCheck for EverythingFits {
    fn check(&self, _: &TenantId, _: &TenantSettings) -> Result<(), Fault> {
        Ok(())
    }
}

/// What somebody wants to change, and what it comes to.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Proposal<'a> {
    /// Who.
    pub actor: &'a Actor,
    /// Whose.
    pub tenant: &'a TenantId,
    /// What becomes of what, with what follows from it; as of now, since nobody else changes the tenant meanwhile, or it is
    /// asked again. Nothing where it came to nothing since a rule is against it.
    pub alterations: &'a [Alteration],
    /// What there is before.
    pub directory: &'a Directory,
}

/// What becomes of one thing.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Alteration {
    /// What it is.
    pub kind: Kind,
    /// Its id among those of its kind.
    pub id: Arc<str>,
    /// As it was; nothing where it was not there.
    pub before: Option<Document>,
    /// As it is to be; nothing where it goes.
    pub after: Option<Document>,
}

/// What an authoriser answers with.
pub type Authorised<'a> = Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>>;

/// Who may change what.
pub trait Authorise: Send + Sync + 'static {
    /// Whether somebody may make all of this.
    ///
    /// # Errors
    /// A sentence for whoever asked, where they may not.
    fn authorise<'a>(&'a self, proposal: Proposal<'a>) -> Authorised<'a>;

    /// Whether somebody may learn why a rule is against what they asked for: that names things that they may not know of.
    ///
    /// # Errors
    /// A sentence for whoever asked, where they may not; it takes the place of the reason.
    fn may_learn<'a>(
        &'a self,
        actor: &'a Actor,
        tenant: &'a TenantId,
        edits: &'a [Edit],
        directory: &'a Directory,
    ) -> Authorised<'a>;
}

/// Who has the machine may everything, and the gateway what it does by itself; nobody else anything.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OperatorsOnly;

impl OperatorsOnly {
    fn may<'a>(actor: &Actor) -> Authorised<'a> {
        let may = match actor {
            Actor::Operator(_) | Actor::Gateway(_) => Ok(()),
            _ => Err("you may not change this".to_owned()),
        };
        Box::pin(std::future::ready(may))
    }
}

impl Authorise for OperatorsOnly {
    fn authorise<'a>(&'a self, proposal: Proposal<'a>) -> Authorised<'a> {
        Self::may(proposal.actor)
    }

    fn may_learn<'a>(
        &'a self,
        actor: &'a Actor,
        _: &'a TenantId,
        _: &'a [Edit],
        _: &'a Directory,
    ) -> Authorised<'a> {
        Self::may(actor)
    }
}
