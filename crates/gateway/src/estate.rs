//! What operators see of a running gateway.

use std::sync::Arc;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use gatewright_audit::SegmentFiles;
use gatewright_console::{Estate, Figures, ServerView, TenantView};
use gatewright_core::{Clock as _, SystemClock};
use gatewright_vault::{MasterKeyId, RotateMasterKeyError};

use crate::{
    config::{Organisation, Reach, Settings},
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
    pub(crate) fn new(
        settings: &Settings,
        organisation: &Organisation,
        holdings: Holdings,
        log: SegmentFiles,
    ) -> Self {
        let now = jiff::Timestamp::from_millisecond(SystemClock.now().millis());
        Self {
            tenants: Arc::new(ArcSwap::from_pointee(views(organisation))),
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

    pub(crate) fn replace(&self, organisation: &Organisation) {
        self.tenants.store(Arc::new(views(organisation)));
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

fn views(organisation: &Organisation) -> Vec<TenantView> {
    let view = |tenant: &crate::config::Tenant| TenantView {
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
    };
    organisation.tenants.iter().map(view).collect()
}
