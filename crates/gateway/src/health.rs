//! Health and metrics, on a listener of their own that the public does not reach.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};

use crate::metrics::Metrics;

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
    use axum::body::Body;
    use http::Request;
    use tower::ServiceExt as _;

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
