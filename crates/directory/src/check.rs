//! What the directory asks others about a change.

use std::{future::Future, pin::Pin};

use gatewright_core::{Actor, TenantId};

use crate::{
    directory::TenantSettings,
    edit::{Edit, Fault},
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

/// Who may change what.
pub trait Authorise: Send + Sync + 'static {
    /// Whether somebody may make all of these edits in a tenant.
    ///
    /// # Errors
    /// A sentence for whoever asked, where they may not.
    fn authorise<'a>(
        &'a self,
        actor: &'a Actor,
        tenant: &'a TenantId,
        edits: &'a [Edit],
    ) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>>;
}

/// Who has the machine may everything, and the gateway what it does by itself; nobody else anything.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OperatorsOnly;

impl Authorise for OperatorsOnly {
    fn authorise<'a>(
        &'a self,
        actor: &'a Actor,
        _: &'a TenantId,
        _: &'a [Edit],
    ) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>> {
        let may = match actor {
            Actor::Operator(_) | Actor::Gateway(_) => Ok(()),
            _ => Err("you may not change this".to_owned()),
        };
        Box::pin(std::future::ready(may))
    }
}
