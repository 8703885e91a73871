//! A gateway that runs: listeners, the stack, and what a reload or a drain does to them.

use std::{fmt, io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use gatewright_audit::{CheckpointKey, OpenLogError, SegmentFiles};
use gatewright_console::{AdminSocket, Authority, BindAdminError, Console};
use gatewright_core::{Actor, SystemClock, TenantId};
use gatewright_directory::{
    ChangeError, Directory, OpenDirectoryError, model::Tenant, scim::ScimService,
};
use gatewright_identity::JwtResolver;
use gatewright_policy_cedar::TenantEngines;
use gatewright_store::{OpenStoreError, SqliteStore};
use gatewright_upstream::Upstream;
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

use crate::{
    config::{Limits, Settings},
    edge::{
        Bounds, Certificate, Edge, Hosts, Listener, LoadCertificateError, Provisioning, Shared,
    },
    estate::Served,
    health::{self, Readiness},
    holdings::{self, Holdings, OpenHoldingsError},
    keys::OpenKeyError,
    metrics::Metrics,
    offboarding::Offboarding,
    open_files,
    routing::Routing,
    sealer::FileSealer,
    serving::{Servable, Serving},
    stack::{self, Ingredients},
};

/// Why a gateway does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("cannot listen on `{address}`: {source}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The certificate cannot be used.
    #[error(transparent)]
    Certificate(#[from] LoadCertificateError),
    /// A key cannot be used.
    #[error(transparent)]
    Key(#[from] OpenKeyError),
    /// Another gateway writes to the audit log.
    #[error("another gateway writes to the audit log in `{}`: stop it, or give this one a `data_dir` of its own", .0.display())]
    AuditInUse(PathBuf),
    /// The audit log cannot be opened.
    #[error("cannot open the audit log in `{}`: {source}", dir.display())]
    Audit {
        /// Where it is.
        dir: PathBuf,
        /// Why.
        source: OpenLogError,
    },
    /// The socket of the admin API cannot be had.
    #[error(transparent)]
    Admin(#[from] BindAdminError),
    /// Stored credentials and API keys cannot be had.
    #[error(transparent)]
    Holdings(#[from] OpenHoldingsError),
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] OpenStoreError),
    /// What the database has of the organisation cannot be read.
    #[error(transparent)]
    Directory(#[from] OpenDirectoryError),
    /// The first tenant cannot be made.
    #[error("the tenant `default` cannot be made: {0}")]
    FirstTenant(#[source] ChangeError),
}

/// Why the files were not taken over. What was in force stays in force.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReloadError {
    /// The certificate cannot be used.
    #[error(transparent)]
    Certificate(#[from] LoadCertificateError),
}

/// A gateway that serves. [`shutdown`](Self::shutdown) drains it; dropping it stops it without waiting.
pub struct Running {
    /// Where clients connect.
    pub public: SocketAddr,
    /// Where health and metrics are.
    pub metrics: Option<SocketAddr>,
    settings: Settings,
    live: Live,
    readiness: Readiness,
    /// Connections of clients.
    clients: Side,
    /// Operators.
    admin: Side,
    /// Health and metrics, which outlive the drain.
    health: Side,
    /// Cancelled when a drain begins.
    draining: CancellationToken,
}

/// What a reload replaces, and what a drain closes.
struct Live {
    routing: Routing,
    directory: Directory,
    engines: TenantEngines,
    holdings: Holdings,
    served: Served,
    resolver: JwtResolver,
    certificate: Option<Certificate>,
    log: SegmentFiles,
    upstream: Upstream,
    numbers: Metrics,
}

/// Tasks that end together.
struct Side {
    tasks: TaskTracker,
    stop: CancellationToken,
    _stopped_when_dropped: DropGuard,
}

impl Side {
    fn new() -> Self {
        let stop = CancellationToken::new();
        Self {
            tasks: TaskTracker::new(),
            stop: stop.clone(),
            _stopped_when_dropped: stop.drop_guard(),
        }
    }

    async fn end(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// Starts to serve what the database has. Nothing is fetched: an issuer or a server that is down keeps nobody else from theirs.
///
/// # Errors
/// [`StartError`] when an address, a key, the certificate, the database or the audit log cannot be had.
pub async fn start(settings: Settings) -> Result<Running, StartError> {
    let sealer = Arc::new(FileSealer::open(&settings.key_dir)?);
    let certificate = settings.tls.as_ref().map(Certificate::load).transpose()?;
    let egress = settings.egress();
    let (routing, resolver) = (Routing::default(), JwtResolver::new(&egress));
    // First, for it says that another gateway has this data directory.
    let log = open_log(&settings)?;
    let store = SqliteStore::open(&holdings::database(&settings)).await?;
    let engines = TenantEngines::default();
    let authority = Authority::new(engines.clone());
    let directory = open_directory(&settings, &store, &log, authority.clone()).await?;
    let tenants = directory.tenants();
    let holdings = Holdings::open(&settings, store, &tenants).await?;
    // Before anybody can be shut out, and before what is outstanding from an earlier run is taken up.
    directory.cut_by(Offboarding::new(&holdings, signing_key(&settings)?));
    let served = Served::new(&settings, holdings.clone(), log.clone());
    let serving = Serving::new(
        settings.clone(),
        routing.clone(),
        resolver.clone(),
        engines.clone(),
        holdings.clone(),
        served.clone(),
    );
    serving.begin(&directory);
    directory.observe(serving);
    let live = Live {
        holdings,
        directory,
        engines,
        log,
        served,
        upstream: stack::upstream(routing.clone(), &egress),
        numbers: Metrics::new(),
        routing,
        resolver,
        certificate,
    };
    let (clients, admin, health) = (Side::new(), Side::new(), Side::new());
    let draining = CancellationToken::new();
    let readiness = Readiness::default();

    let limits = Limits {
        connections: open_files::room(settings.limits.connections),
        ..settings.limits
    };
    let bounds = Bounds {
        limits,
        tls: live.certificate.clone(),
        metrics: live.numbers.clone(),
        tasks: clients.tasks.clone(),
        stop: clients.stop.clone(),
    };
    // Before anybody is served: a gateway that nobody could ask to revoke anything does not start.
    serve_admin(&settings, &live, authority, &admin)?;
    let listener = bind(settings.public, bounds).await?;
    let public = listener.address();
    let metrics = match settings.metrics {
        Some(address) => Some(serve_health(address, &live, &readiness, &health).await?),
        None => None,
    };

    let shared = Shared {
        hosts: Hosts::new(&settings.public_url, &settings.allowed_hosts),
        origins: settings.allowed_origins.clone(),
        routing: live.routing.clone(),
        provisioning: provisioning(&settings, &live.directory),
        metrics: live.numbers.clone(),
        draining: draining.clone(),
    };
    let ingredients = Ingredients {
        routing: live.routing.clone(),
        log: live.log.clone(),
        keys: live.holdings.keys.clone(),
        resolver: live.resolver.clone(),
        directory: live.directory.clone(),
        sealer,
        engines: live.engines.clone(),
        vault: live.holdings.vault.clone(),
        upstream: live.upstream.clone(),
    };
    let edge = Edge::new(stack::stack(ingredients, &settings), shared);
    clients
        .tasks
        .spawn(listener.serve(move |request, peer| Box::pin(edge.answer(request, peer))));
    readiness.set(true);
    Ok(Running {
        public,
        metrics,
        settings,
        live,
        readiness,
        clients,
        admin,
        health,
        draining,
    })
}

/// SCIM, for whoever has a token of a tenant.
fn provisioning(settings: &Settings, directory: &Directory) -> Provisioning {
    let url = settings.public_url.origin().ascii_serialization();
    let service = ScimService::new(directory.clone(), &url, SystemClock);
    Provisioning::new(service.router())
}

/// Where operators ask for changes. The log was opened before, so no other gateway uses the data directory.
fn serve_admin(
    settings: &Settings,
    live: &Live,
    authority: Authority,
    admin: &Side,
) -> Result<(), StartError> {
    let socket = AdminSocket::bind(&settings.data_dir)?;
    let console = Console::new(
        live.served.clone(),
        live.holdings.vault.clone(),
        live.holdings.keys.clone(),
        live.log.clone(),
        live.directory.clone(),
        authority,
        admin.stop.clone(),
    );
    admin.tasks.spawn(console.serve(socket));
    let (stop, follows) = (admin.stop.clone(), live.directory.clone().keep_current());
    admin
        .tasks
        .spawn(async move { stop.run_until_cancelled(follows).await });
    Ok(())
}

/// The directory, with one tenant at least. Who is in none of them is refused.
async fn open_directory(
    settings: &Settings,
    store: &SqliteStore,
    log: &SegmentFiles,
    authority: Authority,
) -> Result<Directory, StartError> {
    let directory = Directory::builder(store.clone(), log.clone())
        .check(Servable(settings.clone()))
        .authorise(authority)
        .open()
        .await?;
    if directory.tenants().is_empty() {
        let by = Actor::Gateway("first-start");
        let tenant = TenantId::default();
        let made = directory.create_tenant(by, &tenant, Tenant::default());
        made.await.map_err(StartError::FirstTenant)?;
    }
    Ok(directory)
}

async fn bind(address: SocketAddr, bounds: Bounds) -> Result<Listener, StartError> {
    let bound = Listener::bind(address, bounds).await;
    bound.map_err(|source| StartError::Listen { address, source })
}

fn open_log(settings: &Settings) -> Result<SegmentFiles, StartError> {
    let dir = audit_dir(settings);
    SegmentFiles::builder(&dir)
        .checkpoint_key(checkpoint_key(settings))
        .open()
        .map_err(|source| match source {
            OpenLogError::InUse { .. } => StartError::AuditInUse(dir),
            source => StartError::Audit { dir, source },
        })
}

/// The key that the log has opened, which signs receipts too.
fn signing_key(settings: &Settings) -> Result<CheckpointKey, StartError> {
    let key = CheckpointKey::load_or_create(&checkpoint_key(settings));
    key.map_err(|source| StartError::Audit {
        dir: audit_dir(settings),
        source: source.into(),
    })
}

/// Where the audit log of a gateway with these settings is.
pub(crate) fn audit_dir(settings: &Settings) -> PathBuf {
    settings.data_dir.join("audit")
}

/// The key that signs its checkpoints: not where who can write the log could read it.
pub(crate) fn checkpoint_key(settings: &Settings) -> PathBuf {
    settings.key_dir.join("checkpoint.pem")
}

/// The same listener as for clients, with bounds of its own: who scrapes is few, and waits for nothing.
async fn serve_health(
    address: SocketAddr,
    live: &Live,
    readiness: &Readiness,
    health: &Side,
) -> Result<SocketAddr, StartError> {
    let bounds = Bounds {
        limits: health::LIMITS,
        tls: None,
        // Its own: the gateway's number of connections is that of clients.
        metrics: Metrics::new(),
        tasks: health.tasks.clone(),
        stop: health.stop.clone(),
    };
    let listener = bind(address, bounds).await?;
    let address = listener.address();
    let log = live.log.clone();
    let lost = Arc::new(move || log.lost());
    let router = health::router(readiness.clone(), live.numbers.clone(), lost);
    let answer = move |request, _peer| health::answer(router.clone(), request);
    health.tasks.spawn(listener.serve(answer));
    Ok(address)
}

impl Running {
    /// The settings it was started with.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Where the audit log is.
    #[must_use]
    pub fn audit_dir(&self) -> PathBuf {
        audit_dir(&self.settings)
    }

    pub(crate) const fn log(&self) -> &SegmentFiles {
        &self.live.log
    }

    /// Takes the certificate that the files hold now.
    ///
    /// # Errors
    /// [`ReloadError`] when it cannot be used; then the one before stays.
    pub fn reload(&self) -> Result<(), ReloadError> {
        if let Some(certificate) = &self.live.certificate {
            let renewed = certificate.read()?;
            certificate.replace(renewed);
        }
        self.live.numbers.reloaded("taken");
        Ok(())
    }

    /// Who and what there is.
    #[must_use]
    pub const fn directory(&self) -> &Directory {
        &self.live.directory
    }

    /// Counts a configuration that was not taken.
    pub(crate) fn reload_refused(&self) {
        self.live.numbers.reloaded("refused");
    }

    /// Drains: takes no new connection, ends standing streams, lets calls under way finish for as long as the
    /// settings say, and closes the audit log.
    pub async fn shutdown(self) {
        self.readiness.set(false);
        self.draining.cancel();
        tracing::info!("draining");
        self.clients.end().await;
        self.admin.end().await;
        let cancellations = self.live.upstream.tasks();
        cancellations.close();
        // Whoever could still wait for an answer has gone.
        self.live.upstream.close(Duration::ZERO).await;
        cancellations.wait().await;
        self.live.directory.close().await;
        self.live.holdings.close().await;
        if let Err(error) = self.live.log.close().await {
            tracing::error!(%error, "the audit log was not closed as it should be");
        }
        self.health.end().await;
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running")
            .field("public", &self.public)
            .field("metrics", &self.metrics)
            .finish_non_exhaustive()
    }
}
