//! Health and metrics, on a listener of their own that the public does not reach.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::State,
    http::{Request, StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use gatewright_core::AnswerBody;
use hyper::body::Incoming;
use tower::ServiceExt as _;

use crate::{
    config::Limits,
    edge::{Answering, Watched},
    metrics::Metrics,
};

/// Small requests of few clients, whose connections a drain does not wait for.
pub(crate) const LIMITS: Limits = Limits {
    header_bytes: 16 << 10,
    connections: 64,
    streams: 8,
    drain: Duration::from_secs(1),
    ..Limits::DEFAULT
};

/// Whether new requests are welcome. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Readiness(Arc<AtomicBool>);

impl Readiness {
    pub(crate) fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::Release);
    }

    fn is_ready(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// How many audit records were lost so far.
pub(crate) type Lost = Arc<dyn Fn() -> u64 + Send + Sync>;

#[derive(Clone)]
struct Health {
    readiness: Readiness,
    metrics: Metrics,
    lost: Lost,
}

/// `/healthz`: the process lives. `/readyz`: it takes requests. `/metrics`: what it counted.
pub(crate) fn router(readiness: Readiness, metrics: Metrics, lost: Lost) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(scrape))
        .with_state(Health {
            readiness,
            metrics,
            lost,
        })
}

/// Answers one request with such a router.
pub(crate) fn answer(router: Router, request: Request<Incoming>) -> Answering {
    Box::pin(async move {
        let answer = router.oneshot(request.map(Body::new)).await?;
        Ok(answer.map(|body| Watched::known(AnswerBody::wrap(body))))
    })
}

async fn ready(State(health): State<Health>) -> impl IntoResponse {
    if health.readiness.is_ready() {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "draining\n")
    }
}

async fn scrape(State(health): State<Health>) -> impl IntoResponse {
    let form = [(
        header::CONTENT_TYPE,
        "application/openmetrics-text; version=1.0.0; charset=utf-8",
    )];
    (form, health.metrics.text((health.lost)()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn readiness_follows_the_drain_and_health_does_not() {
        let readiness = Readiness::default();
        let router = router(readiness.clone(), Metrics::new(), Arc::new(|| 3));
        let get = async |path: &str| {
            let request = Request::get(path).body(Body::empty()).unwrap();
            router
                .clone()
                .oneshot(request)
                .await
                .unwrap()
                .status()
                .as_u16()
        };
        assert_eq!((get("/healthz").await, get("/readyz").await), (200, 503));
        readiness.set(true);
        assert_eq!((get("/healthz").await, get("/readyz").await), (200, 200));
        readiness.set(false);
        assert_eq!((get("/healthz").await, get("/readyz").await), (200, 503));
        assert_eq!((get("/metrics").await, get("/").await), (200, 404));
    }
}
