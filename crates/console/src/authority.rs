//! Who may change and read what: every action of an administrator is asked of the policy engine.

mod access;
mod before;
mod groups;
mod people;
mod provisioner;
mod settings;

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use gatewright_core::{
    Actor, AdminAction, AdminVerb, AnyIdentified, Clock, Decision, Identity, Outcome, PolicyEngine,
    Principal, Profile, Route, ServerName, SystemClock, TenantId, authenticate, resolver_fn,
};
use gatewright_directory::{Authorise, Authorised, Directory, Edit, Proposal, records::Kind};

pub(crate) use self::before::Before;
#[cfg(test)]
pub(crate) use self::before::core_grant;

/// Asks a policy engine who may administer what.
///
/// What each change is asked as, and what others get by it, is worked out here from what becomes of which thing; nobody
/// says it themselves. Beyond what [`AdminAction`] says:
/// - Who has a role that permits administrators something, is changed, switched off and deleted only by who holds as much;
///   such a grant is taken away only by who holds it. So nobody rises by taking others down.
/// - An attribute by which tokens find a person is an identity of theirs, and changing it is linking one.
/// - A person who has no account yet belongs to the groups that the same change puts them into, everybody else to those
///   that they were in before.
/// - What only follows from a change (memberships and grants of who is deleted) is not asked about.
///
/// Operators of the machine may everything, the gateway what it does by itself. A provisioner may what the scopes of its
/// token say and the engine permits the built-in role of provisioners; people and agents who administer something are left
/// alone by it unless it provisioned them itself, and so are groups that do.
#[derive(Clone)]
pub struct Authority {
    engine: Arc<dyn Decides>,
    clock: Arc<dyn Clock>,
}

/// [`PolicyEngine::decide_admin`] behind a pointer.
trait Decides: Send + Sync + 'static {
    fn decide<'a>(
        &'a self,
        principal: &'a Principal,
        action: &'a AdminAction,
    ) -> Pin<Box<dyn Future<Output = Decision> + Send + 'a>>;
}

impl<E: PolicyEngine> Decides for E {
    fn decide<'a>(
        &'a self,
        principal: &'a Principal,
        action: &'a AdminAction,
    ) -> Pin<Box<dyn Future<Output = Decision> + Send + 'a>> {
        Box::pin(self.decide_admin(principal, action))
    }
}

impl Authority {
    /// Asks this engine.
    #[must_use]
    pub fn new(engine: impl PolicyEngine) -> Self {
        Self {
            engine: Arc::new(engine),
            clock: Arc::new(SystemClock),
        }
    }

    /// Takes the time from another clock than the machine's.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Whether somebody may do this.
    ///
    /// # Errors
    /// A sentence for whoever asks, where they may not.
    pub async fn may(&self, actor: &Actor, action: &AdminAction) -> Result<(), String> {
        match actor {
            Actor::Operator(_) | Actor::Gateway(_) => Ok(()),
            Actor::Principal(principal) => self.permits(principal, action).await,
            Actor::Provisioner(token) => {
                let principal = self.pusher(&action.tenant, token).await?;
                self.permits(&principal, action).await
            }
            _ => Err(format!("you may not: {}", action.verb)),
        }
    }

    async fn permits(&self, principal: &Principal, action: &AdminAction) -> Result<(), String> {
        match self.engine.decide(principal, action).await {
            Decision::Allow { .. } => Ok(()),
            Decision::Deny { reason, .. } => {
                tracing::info!(tenant = %action.tenant, verb = %action.verb, who = principal.key(), reason, "an administrator was refused");
                Err(format!("you may not: {reason}"))
            }
            Decision::Challenge { .. } => Err(format!(
                "you may not with this token: {}; sign in again, more strongly",
                action.verb
            )),
        }
    }

    /// An identity provider, as policies know it. The service that took its token has identified it.
    async fn pusher(&self, tenant: &TenantId, token: &str) -> Result<Principal, String> {
        let unusable = |error: &dyn fmt::Display| format!("the provisioner is unknown: {error}");
        let name = ServerName::new("scim").map_err(|error| unusable(&error))?;
        let resource = "https://scim.invalid/";
        let route = Route::new(tenant.clone(), name, resource, Profile::default())
            .map_err(|error| unusable(&error))?;
        let mut request = http::Request::new(());
        request.extensions_mut().insert(route);
        let (parts, ()) = request.into_parts();
        let identity = Identity::provisioner(token);
        let resolver = resolver_fn(move |_| Outcome::Identified(Box::new(identity.clone())));
        authenticate(&resolver, &AnyIdentified, &*self.clock, &parts)
            .await
            .map_err(|error| unusable(&error))
    }

    async fn weigh(&self, proposal: Proposal<'_>) -> Result<(), String> {
        let before = Before::new(&proposal, self.clock.now());
        match proposal.actor {
            Actor::Operator(_) | Actor::Gateway(_) => Ok(()),
            Actor::Principal(_) => {
                for alteration in proposal.alterations {
                    for action in before.actions(alteration)? {
                        self.may(proposal.actor, &action).await?;
                    }
                }
                Ok(())
            }
            Actor::Provisioner(token) => {
                let scopes = provisioner::scopes(&before, token).await?;
                for alteration in proposal.alterations {
                    let actions = provisioner::actions(&before, &scopes, alteration).await?;
                    for action in actions {
                        self.may(proposal.actor, &action).await?;
                    }
                }
                Ok(())
            }
            _ => Err("you may not change this".to_owned()),
        }
    }

    /// Whether somebody may know all of these kinds of things in the tenant.
    async fn knows(
        &self,
        actor: &Actor,
        tenant: &TenantId,
        edits: &[Edit],
        directory: &Directory,
    ) -> Result<(), String> {
        let before = Before::looking(directory, tenant, self.clock.now());
        match actor {
            Actor::Provisioner(token) => {
                let scopes = provisioner::scopes(&before, token).await?;
                provisioner::knows(&scopes, edits)
            }
            _ => {
                for (kind, id) in edits.iter().map(thing) {
                    let may = self.may(actor, &before.reading(kind, id)).await;
                    may.map_err(|why| {
                        format!("it cannot be done, or you may not; you may not know which: {why}")
                    })?;
                }
                Ok(())
            }
        }
    }
}

impl Authorise for Authority {
    fn authorise<'a>(&'a self, proposal: Proposal<'a>) -> Authorised<'a> {
        Box::pin(self.weigh(proposal))
    }

    fn may_learn<'a>(
        &'a self,
        actor: &'a Actor,
        tenant: &'a TenantId,
        edits: &'a [Edit],
        directory: &'a Directory,
    ) -> Authorised<'a> {
        Box::pin(self.knows(actor, tenant, edits, directory))
    }
}

/// What an edit is about: of memberships, the group.
fn thing(edit: &Edit) -> (Kind, &str) {
    match edit {
        Edit::Put { id, document, .. } => (document.kind(), id),
        Edit::Remove { kind, id, .. } => (*kind, id),
        Edit::Join { group, .. } | Edit::Leave { group, .. } | Edit::LeaveAll { group } => {
            (Kind::Group, group)
        }
        // Nobody but operators may learn of what is not known here.
        _ => (Kind::Tenant, ""),
    }
}

/// By which action things of a kind are read.
pub(crate) const fn read_verb(kind: Kind) -> AdminVerb {
    match kind {
        Kind::User | Kind::Group | Kind::Member | Kind::Agent => AdminVerb::DirectoryRead,
        _ => AdminVerb::MetadataRead,
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}
