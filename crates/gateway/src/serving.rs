//! What is served of each tenant, as the directory has it: engines, routes, issuers. A change of the directory is in force
//! before whoever made it learns of it.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use gatewright_core::TenantId;
use gatewright_directory::{
    Directory, DocumentCheck, Fault, Observer, TenantSettings, Update, records::Kind,
};
use gatewright_identity::JwtResolver;
use gatewright_policy_cedar::{Grants, TenantEngines};

use crate::{
    config::{self, Settings, Tenant},
    estate::Served,
    holdings::Holdings,
    issuers,
    routing::Routing,
};

/// Clones are the same.
#[derive(Clone)]
pub(crate) struct Serving(Arc<Inner>);

struct Inner {
    settings: Settings,
    routing: Routing,
    resolver: JwtResolver,
    engines: TenantEngines,
    holdings: Holdings,
    served: Served,
    tenants: Mutex<BTreeMap<TenantId, One>>,
}

/// One tenant.
#[derive(Default)]
struct One {
    grants: Grants,
    /// Nothing where what is stored cannot be served: then nothing of it is.
    tenant: Option<Tenant>,
}

impl Serving {
    pub(crate) fn new(
        settings: Settings,
        routing: Routing,
        resolver: JwtResolver,
        engines: TenantEngines,
        holdings: Holdings,
        served: Served,
    ) -> Self {
        Self(Arc::new(Inner {
            settings,
            routing,
            resolver,
            engines,
            holdings,
            served,
            tenants: Mutex::default(),
        }))
    }

    /// Serves everything that the directory has now.
    pub(crate) fn begin(&self, directory: &Directory) {
        let mut tenants = self.tenants();
        for tenant in directory.tenants() {
            let one = tenants.entry(tenant.clone()).or_default();
            for (_, grant) in directory.grants(&tenant) {
                add(&one.grants, &tenant, &grant);
            }
            self.make(directory, &tenant, one);
        }
        self.publish(&tenants);
    }

    fn tenants(&self) -> std::sync::MutexGuard<'_, BTreeMap<TenantId, One>> {
        self.0
            .tenants
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a tenant anew of what the directory has of it.
    fn make(&self, directory: &Directory, id: &TenantId, one: &mut One) {
        let Some(stored) = directory.settings(id) else {
            return;
        };
        let grants = one.grants.clone();
        match config::served(id, &stored, grants, &self.0.settings) {
            Ok((tenant, engine)) => {
                for warning in engine.warnings() {
                    tracing::warn!(tenant = %id, "{warning}");
                }
                one.tenant = Some(tenant);
                self.0.engines.publish(engine);
            }
            Err(error) => {
                tracing::error!(tenant = %id, "what is stored of the tenant cannot be served with these settings, and nothing of it is:\n{error}");
                one.tenant = None;
            }
        }
    }

    /// Puts the tenants in the place of what was served. Who is no longer trusted is gone before anything new is allowed.
    fn publish(&self, tenants: &BTreeMap<TenantId, One>) {
        let all = || tenants.values().filter_map(|one| one.tenant.as_ref());
        let planned = issuers::trusted(all())
            .map_err(|error| error.to_string())
            .and_then(|trusted| {
                let table = self.0.routing.plan(all(), &self.0.settings);
                Ok((trusted, table.map_err(|error| error.to_string())?))
            });
        match planned {
            Ok((trusted, table)) => {
                self.0.holdings.replace(all());
                self.0.served.replace(all());
                self.0.resolver.replace(trusted);
                self.0.routing.publish(table);
            }
            // Each was checked by itself before it was stored.
            Err(error) => {
                tracing::error!(%error, "a change cannot be served, and what was in force stays in force");
            }
        }
    }
}

impl Observer for Serving {
    fn updated(&self, directory: &Directory, tenant: &TenantId, update: &Update) {
        let mut tenants = self.tenants();
        let is_new = !tenants.contains_key(tenant);
        let one = tenants.entry(tenant.clone()).or_default();
        if is_new {
            for (_, grant) in directory.grants(tenant) {
                add(&one.grants, tenant, &grant);
            }
        }
        for holder in &update.holders {
            let Some(grantee) = config::grantee(holder) else {
                continue;
            };
            let grants = directory.grants_of(tenant, holder);
            let grants = grants
                .into_iter()
                .filter_map(|(_, grant)| config::grant(&grant));
            if let Err(error) = one.grants.set(&grantee, grants) {
                tracing::error!(%tenant, %error, "grants cannot be served, and are none");
                // Nobody of these is in any of them.
                let _none = one.grants.set(&grantee, []);
            }
        }
        if is_new || update.kinds.iter().any(|kind| Kind::SERVED.contains(kind)) {
            self.make(directory, tenant, one);
            self.publish(&tenants);
        }
    }
}

fn add(grants: &Grants, tenant: &TenantId, grant: &gatewright_directory::model::Grant) {
    let Some(grant) = config::grant(grant) else {
        tracing::error!(%tenant, role = grant.role, "a grant cannot be read, and gives nothing");
        return;
    };
    if let Err(error) = grants.add([grant]) {
        tracing::error!(%tenant, %error, "a grant cannot be served, and gives nothing");
    }
}

/// Whether a change of the directory can be served.
#[derive(Debug)]
pub(crate) struct Servable(pub(crate) Settings);

impl DocumentCheck for Servable {
    fn check(&self, tenant: &TenantId, settings: &TenantSettings) -> Result<(), Fault> {
        let unserved = |message: String| Fault::new("not-servable", message);
        let (read, _engine) = config::served(tenant, settings, Grants::default(), &self.0)
            .map_err(|error| unserved(told(&error)))?;
        issuers::trusted([&read]).map_err(|error| unserved(error.to_string()))?;
        let planned = Routing::default().plan([&read], &self.0);
        planned.map_err(|error| unserved(error.to_string()))?;
        Ok(())
    }
}

/// What is wrong and how to put it right. Lines are those of policies: of other files nobody has any.
fn told(error: &config::LoadConfigError) -> String {
    let problems = error.problems();
    if problems.is_empty() {
        return error.to_string();
    }
    let told: Vec<String> = problems
        .iter()
        .map(|problem| {
            let (what, fix) = (&problem.what, &problem.fix);
            let is_policy = problem.file.extension().is_some_and(|it| it == "cedar");
            match is_policy {
                true => format!("{}:{}: {what}: {fix}", problem.file.display(), problem.line),
                false => format!("{what}: {fix}"),
            }
        })
        .collect();
    told.join("; ")
}

impl fmt::Debug for Serving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Serving")
    }
}
