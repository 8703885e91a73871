//! `RouteLayer`: which tenant, which endpoint?

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use gatewright_core::{AnswerBody, BoxError, Refused, Route, json_rpc_refusal};
use gatewright_wire::code;
use http::{HeaderMap, Request, Response, StatusCode, Uri};
use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;

/// Finds the endpoint that a request is for. A [`Route`] is the table of a service with one endpoint: every request
/// that reaches its layer is for it.
pub trait Routes: Send + Sync + 'static {
    /// The endpoint, or `None` where there is none.
    fn find(&self, uri: &Uri, headers: &HeaderMap) -> Option<Route>;
}

impl Routes for Route {
    fn find(&self, _: &Uri, _: &HeaderMap) -> Option<Route> {
        Some(self.clone())
    }
}

/// Adds the [`Route`] to the request, or answers 404. Belongs on top: nothing below can be decided without it.
pub struct RouteLayer<R> {
    routes: Arc<R>,
}

impl<R: Routes> RouteLayer<R> {
    /// A layer that looks up in this table.
    #[must_use]
    pub fn new(routes: R) -> Self {
        Self {
            routes: Arc::new(routes),
        }
    }
}

impl<S, R> Layer<S> for RouteLayer<R> {
    type Service = RouteService<S, R>;

    fn layer(&self, inner: S) -> Self::Service {
        RouteService {
            inner,
            routes: Arc::clone(&self.routes),
        }
    }
}

impl<R> Clone for RouteLayer<R> {
    fn clone(&self) -> Self {
        Self {
            routes: Arc::clone(&self.routes),
        }
    }
}

impl<R> fmt::Debug for RouteLayer<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RouteLayer").finish_non_exhaustive()
    }
}

/// See [`RouteLayer`].
pub struct RouteService<S, R> {
    inner: S,
    routes: Arc<R>,
}

impl<S, R, B, RB> Service<Request<B>> for RouteService<S, R>
where
    S: Service<Request<B>, Response = Response<RB>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    R: Routes,
    RB: Body<Data = Bytes> + Send + 'static,
    RB::Error: Into<BoxError>,
{
    type Response = Response<AnswerBody>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let Some(route) = self.routes.find(request.uri(), request.headers()) else {
            return Box::pin(async { Ok(unknown_route()) });
        };
        request.extensions_mut().insert(route);
        let answer = self.inner.call(request);
        Box::pin(async move { Ok(answer.await?.map(AnswerBody::wrap)) })
    }
}

fn unknown_route() -> Response<AnswerBody> {
    let refused = Refused {
        layer: "route",
        code: "unknown-route",
    };
    let message = "there is no such endpoint: check the URL";
    json_rpc_refusal(
        StatusCode::NOT_FOUND,
        refused,
        None,
        code::INVALID_REQUEST,
        message,
        None,
    )
}

impl<S: Clone, R> Clone for RouteService<S, R> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            routes: Arc::clone(&self.routes),
        }
    }
}

impl<S, R> fmt::Debug for RouteService<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RouteService").finish_non_exhaustive()
    }
}
