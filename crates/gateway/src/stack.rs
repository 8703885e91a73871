//! The stack, from the client to the server.

use std::{convert::Infallible, sync::Arc};

use gatewright_audit::{AuditLayer, RecordLayer, SegmentFiles};
use gatewright_core::{AnswerBody, Sealer};
use gatewright_directory::Directory;
use gatewright_egress::Egress;
use gatewright_guard::LimitLayer;
use gatewright_identity::{
    ApiKeyResolver, ApiKeyRing, Chain, IdentityLayer, JwtResolver, RouteLayer,
};
use gatewright_mcp::{EnvelopeLayer, SessionLayer};
use gatewright_policy::PolicyLayer;
use gatewright_policy_cedar::TenantEngines;
use gatewright_upstream::Upstream;
use gatewright_vault::{CredentialLayer, SealedVault};
use gatewright_wire::Limits;
use http::{Request, Response};
use hyper::body::Incoming;
use tower::{Service, ServiceBuilder};

use crate::{config::Settings, routing::Routing};

/// What the layers are made of. Each can be replaced while the stack serves.
pub(crate) struct Ingredients {
    pub(crate) routing: Routing,
    pub(crate) log: SegmentFiles,
    pub(crate) keys: ApiKeyRing,
    pub(crate) resolver: JwtResolver,
    pub(crate) directory: Directory,
    pub(crate) sealer: Arc<dyn Sealer>,
    pub(crate) engines: TenantEngines,
    pub(crate) vault: SealedVault,
    pub(crate) upstream: Upstream,
}

/// Reads from the client (top) to the server (bottom).
pub(crate) fn stack(
    ingredients: Ingredients,
    settings: &Settings,
) -> impl Service<Request<Incoming>, Response = Response<AnswerBody>, Error = Infallible, Future: Send>
+ Clone
+ Send
+ Sync
+ 'static {
    let Ingredients {
        routing,
        log,
        keys,
        resolver,
        directory,
        sealer,
        engines,
        vault,
        upstream,
    } = ingredients;
    let limits = Limits {
        max_bytes: settings.limits.body_bytes,
        max_depth: settings.limits.body_depth,
    };
    ServiceBuilder::new()
        // First: the route names tenant and audience, and nothing below can be decided without them.
        .layer(RouteLayer::new(routing))
        // Above identity, so that failed authentication is recorded; below the route, whose tenant's chain it writes.
        .layer(AuditLayer::new(log.clone()))
        // Before the body is read: who is nobody makes us neither wait nor parse.
        .layer(
            // Keys of our own first: what begins as one goes to nobody else.
            IdentityLayer::new(Chain::new(ApiKeyResolver::new(keys), resolver))
                .with_subjects(directory)
                .with_origins(settings.allowed_origins.iter().cloned()),
        )
        // Below identity, for whom it counts; before the body is read, so that what is too much costs next to nothing.
        .layer(LimitLayer::per_principal(settings.principal_limits.clone()))
        // Bytes become a call: what is below decides on what was parsed, and forwards the same.
        .layer(
            EnvelopeLayer::new()
                .with_limits(limits)
                .with_body_timeout(settings.limits.body_timeout),
        )
        // Above policy: a session of somebody else is unknown before anything is asked about it.
        .layer(SessionLayer::new(sealer))
        // Above policy: what waits for its server is decided on when its turn comes, and not long before.
        .layer(LimitLayer::per_server(settings.server_limits.clone()))
        // Decides on the call as the server will receive it; on the way back filters what the server says.
        .layer(PolicyLayer::new(engines).answer_limit(settings.limits.answer_bytes))
        // Below policy, whose obligations may choose the mode; above the record, which says whose credential went up.
        .layer(CredentialLayer::new(vault))
        // Last before the server: only what was permitted is admitted, and nothing goes up that is not in the log.
        .layer(RecordLayer::new(log))
        .service(upstream)
}

/// The one client for everything that goes out, under the guard of the settings.
pub(crate) fn upstream(routing: Routing, egress: &Egress) -> Upstream {
    Upstream::with_targets(Arc::new(routing), egress)
}
