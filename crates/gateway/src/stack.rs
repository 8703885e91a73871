//! The stack, from the client to the server.

use std::{convert::Infallible, sync::Arc};

use gatewright_audit::{AuditLayer, RecordLayer, SegmentFiles};
use gatewright_core::{AnswerBody, Permitted, Sealer, UpstreamAuth};
use gatewright_egress::Egress;
use gatewright_identity::{IdentityLayer, JwtResolver, RouteLayer};
use gatewright_mcp::{EnvelopeLayer, SessionLayer};
use gatewright_policy::PolicyLayer;
use gatewright_policy_cedar::TenantEngines;
use gatewright_upstream::Upstream;
use gatewright_wire::Limits;
use http::{Request, Response};
use hyper::body::Incoming;
use tower::{Service, ServiceBuilder};

use crate::{config::Settings, directory::Directory, routing::Routing};

/// What the layers are made of. Each can be replaced while the stack serves.
pub(crate) struct Ingredients {
    pub(crate) routing: Routing,
    pub(crate) log: SegmentFiles,
    pub(crate) resolver: JwtResolver,
    pub(crate) directory: Directory,
    pub(crate) sealer: Arc<dyn Sealer>,
    pub(crate) engines: TenantEngines,
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
        resolver,
        directory,
        sealer,
        engines,
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
            IdentityLayer::new(resolver)
                .with_subjects(directory)
                .with_origins(settings.allowed_origins.iter().cloned()),
        )
        // Bytes become a call: what is below decides on what was parsed, and forwards the same.
        .layer(
            EnvelopeLayer::new()
                .with_limits(limits)
                .with_body_timeout(settings.limits.body_timeout),
        )
        // Above policy: a session of somebody else is unknown before anything is asked about it.
        .layer(SessionLayer::new(sealer))
        // Decides on the call as the server will receive it; on the way back filters what the server says.
        .layer(PolicyLayer::new(engines).answer_limit(settings.limits.answer_bytes))
        // No server has a credential configured: that is said, since nothing goes up before it is known as whom.
        .map_request(|mut request: Request<Permitted>| {
            request.extensions_mut().insert(UpstreamAuth::none());
            request
        })
        // Last before the server: only what was permitted is admitted, and nothing goes up that is not in the log.
        .layer(RecordLayer::new(log))
        .service(upstream)
}

/// The one client for everything that goes out, under the guard of the settings.
pub(crate) fn upstream(routing: Routing, egress: &Egress) -> Upstream {
    Upstream::with_targets(Arc::new(routing), egress)
}
