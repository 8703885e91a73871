//! What Prometheus scrapes. Labels come from the configuration and from codes of our own, never from requests.

use std::{
    fmt,
    sync::{Arc, atomic::AtomicI64},
    time::Duration,
};

use gatewright_core::Route;
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

/// From a millisecond to what a patient client waits, in seconds.
const BUCKETS: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0, 120.0,
];

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Endpoint {
    tenant: String,
    server: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Outcome {
    tenant: String,
    server: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Reload {
    result: &'static str,
}

/// Every number of the process. Clones share them.
#[derive(Clone)]
pub(crate) struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    requests: Family<Outcome, Counter>,
    seconds: Family<Endpoint, Histogram, fn() -> Histogram>,
    open: Gauge,
    connections: Gauge,
    reloads: Family<Reload, Counter>,
    audit_lost: Gauge,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let histogram: fn() -> Histogram = || Histogram::new(BUCKETS);
        let mut inner = Inner {
            registry: Registry::with_prefix("gatewright"),
            requests: Family::default(),
            seconds: Family::new_with_constructor(histogram),
            open: Gauge::default(),
            connections: Gauge::default(),
            reloads: Family::default(),
            audit_lost: Gauge::default(),
        };
        let Inner {
            registry,
            requests,
            seconds,
            open,
            connections,
            reloads,
            audit_lost,
        } = &mut inner;
        let outcome = "Requests by endpoint and outcome: ok, error (the server's own), or the code of our refusal";
        registry.register("requests", outcome, requests.clone());
        registry.register(
            "request_seconds",
            "Time until the head of the answer",
            seconds.clone(),
        );
        registry.register(
            "open_answers",
            "Answers whose body is under way",
            open.clone(),
        );
        registry.register("connections", "Connections of clients", connections.clone());
        registry.register(
            "reloads",
            "Configurations that were read again, by result",
            reloads.clone(),
        );
        let lost = "Records that could not be written for servers with audit = \"best-effort\"";
        registry.register("audit_lost_records", lost, audit_lost.clone());
        Self(Arc::new(inner))
    }

    /// One request was answered. Requests to no endpoint share their labels.
    pub(crate) fn answered(&self, route: Option<&Route>, outcome: &'static str, after: Duration) {
        let tenant = route.map_or_else(String::new, |route| route.tenant().to_string());
        let server = route.map_or_else(String::new, |route| route.server().to_string());
        let endpoint = Endpoint {
            tenant: tenant.clone(),
            server: server.clone(),
        };
        self.0
            .requests
            .get_or_create(&Outcome {
                tenant,
                server,
                outcome,
            })
            .inc();
        self.0
            .seconds
            .get_or_create(&endpoint)
            .observe(after.as_secs_f64());
    }

    /// A body is under way until this is dropped.
    pub(crate) fn open_answer(&self) -> Counted {
        Counted::new(&self.0.open)
    }

    /// A client is connected until this is dropped.
    pub(crate) fn connection(&self) -> Counted {
        Counted::new(&self.0.connections)
    }

    pub(crate) fn reloaded(&self, result: &'static str) {
        self.0.reloads.get_or_create(&Reload { result }).inc();
    }

    /// The text that is scraped.
    pub(crate) fn text(&self, audit_lost: u64) -> String {
        self.0
            .audit_lost
            .set(i64::try_from(audit_lost).unwrap_or(i64::MAX));
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _written = encode(&mut text, &self.0.registry);
        text
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

/// One of something, until it is dropped.
pub(crate) struct Counted(Gauge<i64, AtomicI64>);

impl Counted {
    fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happened_is_counted_by_endpoint_and_code() {
        let metrics = Metrics::new();
        let route = Route::single("billing", "https://gw.example/mcp/billing").unwrap();
        metrics.answered(Some(&route), "denied", Duration::from_millis(3));
        metrics.answered(None, "unknown-host", Duration::ZERO);
        let open = metrics.open_answer();
        let text = metrics.text(7);
        for line in [
            "gatewright_requests_total{tenant=\"default\",server=\"billing\",outcome=\"denied\"} 1",
            "gatewright_requests_total{tenant=\"\",server=\"\",outcome=\"unknown-host\"} 1",
            "gatewright_open_answers 1",
            "gatewright_audit_lost_records 7",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        drop(open);
        assert!(metrics.text(7).contains("gatewright_open_answers 0"));
    }
}
