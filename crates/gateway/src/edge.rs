//! What every request passes before the layers: is it for us, and from a page that may call?

mod body;
mod hosts;
mod listener;
mod provisioning;
mod reading;
#[cfg(test)]
mod tests;
mod tls;

use std::{
    convert::Infallible, future::Future, net::SocketAddr, pin::Pin, sync::Arc, time::Instant,
};

use bytes::Bytes;
use gatewright_core::{AnswerBody, BoxError, Refused, Standing, json_rpc_refusal};
use gatewright_identity::metadata_answer;
use gatewright_wire::code;
use http::{HeaderMap, Request, Response, StatusCode, header};
use http_body::Body;
use tokio_util::sync::CancellationToken;
use tower::Service;

pub use self::tls::LoadCertificateError;
pub(crate) use self::{
    body::Watched,
    hosts::Hosts,
    listener::{Bounds, Listener},
    provisioning::Provisioning,
    reading::Readers,
    tls::Certificate,
};
use crate::{metrics::Metrics, routing::Routing};

/// Where the metadata of protected resources is (RFC 9728 §3).
pub(crate) const METADATA: &str = "/.well-known/oauth-protected-resource";

/// The outermost service, above the layers `S`. Metadata, which is public, it answers itself; SCIM is beside the layers.
#[derive(Clone)]
pub(crate) struct Edge<S> {
    stack: S,
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) hosts: Hosts,
    pub(crate) origins: Vec<String>,
    pub(crate) routing: Routing,
    pub(crate) provisioning: Provisioning,
    pub(crate) metrics: Metrics,
    /// Cancelled when a drain begins: standing streams end then.
    pub(crate) draining: CancellationToken,
}

impl<S> Edge<S> {
    pub(crate) fn new(stack: S, shared: Shared) -> Self {
        Self {
            stack,
            shared: Arc::new(shared),
        }
    }

    /// Answers one request of a client at `peer`.
    pub(crate) fn answer<B>(
        &self,
        mut request: Request<B>,
        peer: SocketAddr,
    ) -> impl Future<Output = Result<Response<Watched>, Infallible>> + Send + use<S, B>
    where
        S: Service<Request<B>, Response = Response<AnswerBody>, Error = Infallible> + Clone + Send,
        S::Future: Send,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let mut stack = self.stack.clone();
        let shared = Arc::clone(&self.shared);
        let started = Instant::now();
        request.extensions_mut().insert(peer);
        let readers = request.extensions_mut().remove::<Readers>();
        async move {
            let path = request.uri().path();
            let is_metadata = path.starts_with(METADATA);
            // Before anything is decided: if a reload takes the endpoint away meanwhile, this says so.
            let endpoint = shared.routing.endpoint(path);
            let answer = match shared.refusal(&request, is_metadata) {
                Some(refusal) => refusal.answer(),
                None if is_metadata => {
                    let described = shared.routing.described_at(path);
                    metadata_answer(request.method(), described.as_ref())
                }
                None if Provisioning::is_at(path) => shared.provisioning.answer(request).await,
                None => ready(&mut stack, request).await,
            };
            let (route, ended) = endpoint
                .map(|endpoint| (endpoint.route, endpoint.ended))
                .unzip();
            let outcome = outcome(&answer);
            shared
                .metrics
                .answered(route.as_ref(), outcome, started.elapsed());
            log(peer, route.as_ref(), &answer, outcome, started);
            let answer = shared.watch(answer, ended);
            Ok(answer.map(|body| body.read_by(readers.as_ref())))
        }
    }
}

async fn ready<S, B>(service: &mut S, request: Request<B>) -> Response<AnswerBody>
where
    S: Service<Request<B>, Response = Response<AnswerBody>, Error = Infallible>,
{
    let Ok(()) = std::future::poll_fn(|context| service.poll_ready(context)).await;
    let Ok(answer) = service.call(request).await;
    answer
}

fn outcome(answer: &Response<AnswerBody>) -> &'static str {
    match answer.extensions().get::<Refused>() {
        Some(refused) => refused.code,
        None if answer.status().is_client_error() || answer.status().is_server_error() => "error",
        None => "ok",
    }
}

impl Shared {
    fn refusal<B>(&self, request: &Request<B>, is_metadata: bool) -> Option<Refusal> {
        if let Err(refusal) = self.hosts.check(request) {
            return Some(refusal);
        }
        // Anybody's page may read metadata (RFC 9728 is public); calls are for pages that are known (MCP, Streamable
        // HTTP, Security Warning).
        if !is_metadata && !self.knows_origin(request.headers()) {
            return Some(Refusal::Origin);
        }
        None
    }

    fn knows_origin(&self, headers: &HeaderMap) -> bool {
        let mut given = headers.get_all(header::ORIGIN).iter();
        given.all(|value| {
            self.origins
                .iter()
                .any(|known| known.as_bytes() == value.as_bytes())
        })
    }

    fn watch(
        &self,
        answer: Response<AnswerBody>,
        ended: Option<CancellationToken>,
    ) -> Response<Watched> {
        let is_standing = answer.extensions().get::<Standing>().is_some();
        answer.map(|body| {
            if body.known().is_some() {
                return Watched::known(body);
            }
            let ends = [Some(self.draining.clone()), ended];
            let ends = is_standing.then_some(ends).into_iter().flatten().flatten();
            Watched::stream(body, self.metrics.open_answer(), ends)
        })
    }
}

/// No header and no query: either may hold a secret.
fn log(
    peer: SocketAddr,
    route: Option<&gatewright_core::Route>,
    answer: &Response<AnswerBody>,
    outcome: &'static str,
    started: Instant,
) {
    let status = answer.status().as_u16();
    let millis = started.elapsed().as_millis();
    let tenant = route.map_or("", |route| route.tenant().as_str());
    let server = route.map_or("", |route| route.server().as_str());
    if status >= 500 {
        tracing::warn!(%peer, tenant, server, status, outcome, millis, "request failed");
    } else if answer.extensions().get::<Refused>().is_some() {
        tracing::info!(%peer, tenant, server, status, outcome, millis, "request refused");
    } else {
        tracing::debug!(%peer, tenant, server, status, outcome, millis, "request answered");
    }
}

/// Why a request is not for the layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// No usable `Host`, or more than one (RFC 9112 §3.2).
    NoHost,
    /// A `Host` that is not ours: a rebound name, or a proxy's mistake.
    Host,
    /// A page that nobody named.
    Origin,
}

impl Refusal {
    fn answer(self) -> Response<AnswerBody> {
        let (status, code_name, message) = match self {
            Self::NoHost => (
                StatusCode::BAD_REQUEST,
                "no-host",
                "one valid Host header is needed",
            ),
            Self::Host => (
                StatusCode::MISDIRECTED_REQUEST,
                "unknown-host",
                "this host is not served here; the operator can add it to `allowed_hosts`",
            ),
            Self::Origin => (
                StatusCode::FORBIDDEN,
                "unknown-origin",
                "pages of this origin may not call; the operator can add it to `allowed_origins`",
            ),
        };
        let refused = Refused {
            layer: "edge",
            code: code_name,
        };
        json_rpc_refusal(status, refused, None, code::INVALID_REQUEST, message, None)
    }
}

/// The future of a connection's request.
pub(crate) type Answering =
    Pin<Box<dyn Future<Output = Result<Response<Watched>, Infallible>> + Send>>;
