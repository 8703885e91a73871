//! The gateway's own answer to a server whose request the client does not get.

use std::{future::poll_fn, time::Duration};

use bytes::Bytes;
use gatewright_core::{
    Call, CallBody, Decision, Draft, DraftDecision, Effect, Permitted, Principal, ReferenceId,
    Route, authorize, engine_fn,
};
use gatewright_wire::{Limits, headers};
use http::{HeaderMap, HeaderValue, Method, Request, header, request::Parts};
use tower_service::Service;

/// How long a server may take to accept an answer; its stream waits for that.
const PATIENCE: Duration = Duration::from_secs(10);

/// The policy that records name for these answers.
const POLICY: &str = "gateway:answers-denied-request";

/// Sends responses to the server that a call went to, on the session of that call.
pub(crate) struct Reply<S> {
    inner: S,
    parts: Parts,
    route: Route,
    principal: Principal,
    draft: Option<Draft>,
}

impl<S: Clone> Reply<S> {
    pub(crate) fn new(inner: S, parts: &Parts, principal: Principal, call: &Call) -> Self {
        let (mut own, ()) = Request::new(()).into_parts();
        own.method = Method::POST;
        own.uri.clone_from(&parts.uri);
        own.version = parts.version;
        own.extensions.clone_from(&parts.extensions);
        // The draft is the record of the client's call; this call has its own.
        let draft = own.extensions.remove::<Draft>();
        own.headers = HeaderMap::new();
        for name in [headers::MCP_SESSION_ID, headers::MCP_PROTOCOL_VERSION] {
            if let Some(value) = parts.headers.get(&name) {
                own.headers.insert(name, value.clone());
            }
        }
        let accept = HeaderValue::from_static("application/json, text/event-stream");
        own.headers.insert(header::ACCEPT, accept);
        own.headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        Self {
            inner,
            parts: own,
            route: call.route().clone(),
            principal,
            draft,
        }
    }

    /// Sends one response. What the server makes of it changes nothing here.
    pub(crate) fn send(&self, message: Bytes) -> impl Future<Output = ()> + Send + 'static
    where
        S: Service<Request<Permitted>> + Send + 'static,
        S::Future: Send,
        S::Response: Send,
    {
        let (mut inner, mut parts) = (self.inner.clone(), self.parts.clone());
        let (route, principal) = (self.route.clone(), self.principal.clone());
        let draft = self.draft.as_ref().map(own_draft);
        async move {
            // Both proofs are asked for here as everywhere; the engine allows since the gateway itself speaks.
            let Ok(body) = CallBody::parse(&route, &parts, message, &Limits::default()) else {
                return;
            };
            if let Some(draft) = draft {
                draft.fill(|fields| fields.call = Some(body.call().clone()));
                parts.extensions.insert(draft);
            }
            let engine = engine_fn(|_, _| Decision::allow([POLICY]));
            let Ok(permitted) = authorize(&engine, &principal, body).await else {
                return;
            };
            let sent = async {
                if poll_fn(|context| inner.poll_ready(context)).await.is_ok() {
                    drop(inner.call(Request::from_parts(parts, permitted)).await);
                }
            };
            if tokio::time::timeout(PATIENCE, sent).await.is_err() {
                tracing::warn!(server = %route.server(), "the server does not take the answer to its request");
            }
        }
    }
}

/// A record of its own, that names who and where as the client's call did.
fn own_draft(of: &Draft) -> Draft {
    let (started, peer, route, principal, trace) = of.read(|fields| {
        let (route, principal) = (fields.route.clone(), fields.principal.clone());
        (
            fields.started,
            fields.peer,
            route,
            principal,
            fields.trace.clone(),
        )
    });
    let draft = Draft::new(ReferenceId::random(), started);
    draft.fill(|fields| {
        fields.alone = true;
        (fields.peer, fields.route, fields.principal, fields.trace) =
            (peer, route, principal, trace);
        fields.decision = Some(DraftDecision {
            effect: Effect::Allow,
            policies: [POLICY.into()].into(),
            reason: Some("the server's request to the client was denied".to_owned()),
            snapshot: Default::default(),
        });
    });
    draft
}
