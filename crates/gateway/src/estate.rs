//! What operators see of a running gateway.

use std::sync::Arc;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use gatewright_audit::SegmentFiles;
use gatewright_console::{Estate, Figures, ServerView, TenantView};
use gatewright_core::{Clock as _, SystemClock};
use gatewright_vault::{MasterKeyId, RotateMasterKeyError};

use crate::{
    config::{Reach, Settings, Tenant},
    holdings::Holdings,
};

/// Clones show the same.
#[derive(Clone)]
pub(crate) struct Served {
    tenants: Arc<ArcSwap<Vec<TenantView>>>,
    figures: Figures,
    holdings: Holdings,
    log: SegmentFiles,
}

impl Served {
    pub(crate) fn new(settings: &Settings, holdings: Holdings, log: SegmentFiles) -> Self {
        let now = jiff::Timestamp::from_millisecond(SystemClock.now().millis());
        Self {
            tenants: Arc::default(),
            figures: Figures {
                version: env!("CARGO_PKG_VERSION"),
                process: std::process::id(),
                since: now.map_or_else(|_| String::new(), |now| format!("{now:.0}")),
                public_url: settings.public_url.to_string(),
                listens_on: settings.public.to_string(),
                data_dir: settings.data_dir.display().to_string(),
                audit_lost: 0,
            },
            holdings,
            log,
        }
    }

    pub(crate) fn replace<'a>(&self, tenants: impl IntoIterator<Item = &'a Tenant>) {
        self.tenants
            .store(Arc::new(tenants.into_iter().map(view).collect()));
    }
}

#[async_trait]
impl Estate for Served {
    fn tenants(&self) -> Vec<TenantView> {
        self.tenants.load().as_ref().clone()
    }

    fn figures(&self) -> Figures {
        Figures {
            audit_lost: self.log.lost(),
            ..self.figures.clone()
        }
    }

    async fn rotate_master_key(&self) -> Result<MasterKeyId, RotateMasterKeyError> {
        self.holdings.rotate_master_key().await
    }
}

fn view(tenant: &Tenant) -> TenantView {
    TenantView {
        name: tenant.id.clone(),
        issuers: tenant
            .issuers
            .iter()
            .map(|issuer| issuer.issuer.clone())
            .collect(),
        api_keys_for_people: tenant.people_keys,
        servers: tenant
            .servers
            .iter()
            .map(|server| ServerView {
                name: server.name.clone(),
                transport: match server.reach {
                    Reach::Url(_) => "http",
                    Reach::Program(_) => "stdio",
                },
                credential: server.credential.clone(),
            })
            .collect(),
    }
}
