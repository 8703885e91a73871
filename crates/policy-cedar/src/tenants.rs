use std::{collections::HashMap, fmt, sync::Arc};

use arc_swap::ArcSwap;
use gatewright_core::{
    AdminAction, Call, Decision, PolicyEngine, Principal, Route, SnapshotVersion, TenantId,
    Visible,
    access::{Grant, Grantee},
};
use gatewright_policy::{Explain, Explanation};
use gatewright_wire::ItemKind;

use crate::{
    CedarEngine, InvalidGrant,
    admin::{is_operator, operators},
};

/// The engines of all tenants. A tenant without one is denied everything.
///
/// Clones share their engines; a call that is being decided finishes with the engine it began with.
#[derive(Clone, Default)]
pub struct TenantEngines(Arc<ArcSwap<HashMap<TenantId, Arc<CedarEngine>>>>);

impl TenantEngines {
    /// These engines, each for its own tenant.
    #[must_use]
    pub fn new(engines: impl IntoIterator<Item = CedarEngine>) -> Self {
        let all = Self::default();
        all.replace(engines);
        all
    }

    /// Puts these engines in the place of all others, at once.
    pub fn replace(&self, engines: impl IntoIterator<Item = CedarEngine>) {
        let engines = engines
            .into_iter()
            .map(|engine| (engine.tenant().clone(), Arc::new(engine)));
        self.0.store(Arc::new(engines.collect()));
    }

    /// Puts the engine of one tenant in the place of its last one.
    pub fn publish(&self, engine: CedarEngine) {
        let engine = Arc::new(engine);
        self.0.rcu(|engines| {
            let mut engines = HashMap::clone(engines);
            engines.insert(engine.tenant().clone(), Arc::clone(&engine));
            engines
        });
    }

    /// Puts these grants in the place of those of one grantee of a tenant. It costs what they are, and counts from the
    /// next decision on; an engine that is being built to follow has to [share](crate::CedarEngineBuilder::shared_grants)
    /// the grants of the present one, or it will not know of it.
    ///
    /// # Errors
    /// [`SetGrantsError`] where the tenant has no engine, or a grant cannot be kept; then nothing changes.
    pub fn set_grants(
        &self,
        tenant: &TenantId,
        to: &Grantee,
        grants: impl IntoIterator<Item = Grant>,
    ) -> Result<(), SetGrantsError> {
        let engine = self
            .engine(tenant)
            .ok_or_else(|| SetGrantsError::NoEngine(tenant.clone()))?;
        engine.grants().set(to, grants)?;
        Ok(())
    }

    /// The present engine of a tenant.
    #[must_use]
    pub fn engine(&self, tenant: &TenantId) -> Option<Arc<CedarEngine>> {
        self.0.load().get(tenant).cloned()
    }
}

/// Why grants cannot be set.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum SetGrantsError {
    /// The tenant has no engine.
    #[error("the tenant `{0}` has no policies: publish some first")]
    NoEngine(TenantId),
    /// A grant cannot be kept.
    #[error(transparent)]
    Grant(#[from] InvalidGrant),
}

const NO_POLICIES: &str = "the tenant has no policies";

impl PolicyEngine for TenantEngines {
    async fn decide(&self, principal: &Principal, call: &Call) -> Decision {
        match self.engine(principal.tenant()) {
            Some(engine) => engine.decide(principal, call).await,
            None => Decision::deny(NO_POLICIES),
        }
    }

    async fn decide_admin(&self, principal: &Principal, action: &AdminAction) -> Decision {
        match self.engine(principal.tenant()) {
            Some(engine) => engine.decide_admin(principal, action).await,
            // Somebody must be able to give a tenant its first policies.
            None if is_operator(principal) && action.tenant == *principal.tenant() => {
                operators(SnapshotVersion::default())
            }
            None => Decision::deny(NO_POLICIES),
        }
    }

    async fn visible(
        &self,
        principal: &Principal,
        route: &Route,
        kind: ItemKind,
        names: &[&str],
    ) -> Visible {
        match self.engine(principal.tenant()) {
            Some(engine) => engine.visible(principal, route, kind, names).await,
            None => Visible {
                shown: vec![false; names.len()],
                snapshot: Default::default(),
            },
        }
    }
}

impl Explain for TenantEngines {
    async fn explain(&self, principal: &Principal, call: &Call) -> Explanation {
        match self.engine(principal.tenant()) {
            Some(engine) => engine.explain(principal, call).await,
            None => Explanation::new(Decision::deny(NO_POLICIES), Vec::new(), Vec::new()),
        }
    }
}

impl fmt::Debug for TenantEngines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.load().keys()).finish()
    }
}
