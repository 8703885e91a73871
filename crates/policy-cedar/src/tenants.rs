use std::{collections::HashMap, fmt, sync::Arc};

use arc_swap::ArcSwap;
use gatewright_core::{Call, Decision, PolicyEngine, Principal, Route, TenantId, Visible};
use gatewright_policy::{Explain, Explanation};
use gatewright_wire::ItemKind;

use crate::CedarEngine;

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

    /// The present engine of a tenant.
    #[must_use]
    pub fn engine(&self, tenant: &TenantId) -> Option<Arc<CedarEngine>> {
        self.0.load().get(tenant).cloned()
    }
}

const NO_POLICIES: &str = "the tenant has no policies";

impl PolicyEngine for TenantEngines {
    async fn decide(&self, principal: &Principal, call: &Call) -> Decision {
        match self.engine(principal.tenant()) {
            Some(engine) => engine.decide(principal, call).await,
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
