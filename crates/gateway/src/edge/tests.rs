use std::path::Path;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use tower::service_fn;

use super::*;
use crate::config::{Organisation, Settings};

fn settings() -> Settings {
    let text = "public_url = 'https://gw.example'\nallowed_hosts = ['gw.internal:8443']\n\
        allowed_origins = ['https://app.example']";
    Settings::parse(text, Path::new("/x")).unwrap()
}

fn organisation() -> Organisation {
    let text = "[[issuers]]\nissuer = 'https://idp.example'\n\
        [[servers]]\nname = 'billing'\nurl = 'https://billing.example/mcp'\n";
    Organisation::parse(text, Path::new("org.toml"), &settings()).unwrap()
}

fn shared() -> Shared {
    let settings = settings();
    let routing = Routing::default();
    routing.replace(&organisation(), &settings).unwrap();
    Shared {
        hosts: Hosts::new(&settings.public_url, &settings.allowed_hosts),
        origins: settings.allowed_origins,
        routing,
        provisioning: Provisioning::new(axum::Router::new()),
        metrics: Metrics::new(),
        draining: CancellationToken::new(),
    }
}

async fn says(what: &'static str) -> Result<Response<AnswerBody>, Infallible> {
    Ok(Response::new(AnswerBody::full(Bytes::from_static(
        what.as_bytes(),
    ))))
}

async fn send(request: Request<Empty<Bytes>>) -> (u16, String) {
    let edge = Edge::new(service_fn(|_| says("stack")), shared());
    let peer = SocketAddr::from(([192, 0, 2, 1], 1));
    let Ok(answer) = edge.answer(request, peer).await;
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8_lossy(&body).into_owned())
}

async fn get(uri: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let mut request = Request::get(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    send(request.body(Empty::new()).unwrap()).await
}

const OURS: (u16, &str) = (200, "stack");

#[tokio::test]
async fn our_hosts_are_served_in_every_way_of_writing_them() {
    for host in [
        "gw.example",
        "GW.Example",
        "gw.example:443",
        "gw.internal:8443",
    ] {
        let (status, body) = get("/mcp/x", &[("host", host)]).await;
        assert_eq!((status, body.as_str()), OURS, "{host}");
    }
    // HTTP/2, and the absolute form of a proxy.
    let (status, body) = get("https://gw.example/mcp/x", &[]).await;
    assert_eq!((status, body.as_str()), OURS);
}

#[tokio::test]
async fn foreign_hosts_are_misdirected() {
    for host in [
        "evil.example",
        "gw.example.evil.example",
        "gw.example:80",
        "gw.internal",
        "127.0.0.1",
        "localhost",
    ] {
        let (status, body) = get("/mcp/x", &[("host", host)]).await;
        assert_eq!(status, 421, "{host}");
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["id"], serde_json::Value::Null);
        assert_eq!(body["error"]["code"], -32600);
    }
    // Metadata is public, and says nothing to a rebound name either.
    assert_eq!(get(METADATA, &[("host", "evil.example")]).await.0, 421);
}

#[tokio::test]
async fn a_request_names_one_host() {
    for headers in [
        &[] as &[(&str, &str)],
        &[("host", "gw.example"), ("host", "gw.example")],
        &[("host", "")],
        &[("host", "ann@gw.example")],
        &[("host", "gw example")],
        &[("host", "https://gw.example")],
    ] {
        assert_eq!(get("/mcp/x", headers).await.0, 400, "{headers:?}");
    }
    assert_eq!(
        get("https://evil.example/mcp/x", &[("host", "gw.example")])
            .await
            .0,
        421
    );
    assert_eq!(
        get("https://gw.example/mcp/x", &[("host", "evil.example")])
            .await
            .0,
        421
    );
}

#[tokio::test]
async fn pages_of_unknown_origins_may_not_call() {
    let from = async |origin: &str| {
        get("/mcp/x", &[("host", "gw.example"), ("origin", origin)])
            .await
            .0
    };
    assert_eq!(from("https://app.example").await, 200);
    for origin in [
        "https://evil.example",
        "null",
        "",
        "http://app.example",
        "https://app.example:8443",
        "https://gw.example",
    ] {
        assert_eq!(from(origin).await, 403, "{origin}");
    }
    let two = [
        ("host", "gw.example"),
        ("origin", "https://app.example"),
        ("origin", "https://evil.example"),
    ];
    assert_eq!(get("/mcp/x", &two).await.0, 403);
}

#[tokio::test]
async fn metadata_is_for_every_origin() {
    let headers = [
        ("host", "gw.example"),
        ("origin", "https://anywhere.example"),
    ];
    let (status, body) = get(&format!("{METADATA}/mcp/billing"), &headers).await;
    let document: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(status, 200);
    assert_eq!(document["resource"], "https://gw.example/mcp/billing");
    assert_eq!(
        document["authorization_servers"],
        serde_json::json!(["https://idp.example"])
    );
    for unknown in ["", "/", "/mcp/x", "x", "/t/default/mcp/billing"] {
        let (status, body) = get(&format!("{METADATA}{unknown}"), &headers).await;
        assert_eq!(status, 404, "{unknown}: {body}");
    }
}

/// A body that never says anything; standing, or the answer of a call.
fn silent(standing: bool) -> Response<AnswerBody> {
    let frames = futures_util::stream::pending::<Result<http_body::Frame<Bytes>, Infallible>>();
    let mut answer = Response::new(AnswerBody::wrap(StreamBody::new(frames)));
    if standing {
        answer.extensions_mut().insert(Standing);
    }
    answer
}

async fn stays_open(body: &mut Watched) -> bool {
    let frame = tokio::time::timeout(std::time::Duration::from_millis(10), body.frame());
    frame.await.is_err()
}

#[tokio::test]
async fn a_drain_ends_standing_streams_and_no_others() {
    let shared = shared();
    let standing = shared.watch(silent(true), None).into_body();
    let mut call = shared.watch(silent(false), None).into_body();
    assert!(shared.metrics.text(0).contains("gatewright_open_answers 2"));
    shared.draining.cancel();
    assert!(standing.collect().await.unwrap().to_bytes().is_empty());
    assert!(stays_open(&mut call).await);
    drop(call);
    assert!(shared.metrics.text(0).contains("gatewright_open_answers 0"));
}

#[tokio::test]
async fn a_reload_without_the_server_ends_its_standing_streams_and_no_others() {
    let edge = Edge::new(
        service_fn(|request: Request<Empty<Bytes>>| async move {
            Ok::<_, Infallible>(silent(request.method() == http::Method::GET))
        }),
        shared(),
    );
    let open = async |method: &str| {
        let request = Request::builder()
            .method(method)
            .uri("https://gw.example/mcp/billing");
        let request = request.body(Empty::new()).unwrap();
        let peer = SocketAddr::from(([192, 0, 2, 1], 1));
        let Ok(answer) = edge.answer(request, peer).await;
        answer.into_body()
    };
    let (mut standing, mut call) = (open("GET").await, open("POST").await);
    let routing = &edge.shared.routing;
    routing.replace(&organisation(), &settings()).unwrap();
    assert!(stays_open(&mut standing).await, "nothing has changed");
    let nothing = Organisation::parse("", Path::new("org.toml"), &settings()).unwrap();
    routing.replace(&nothing, &settings()).unwrap();
    assert!(standing.collect().await.unwrap().to_bytes().is_empty());
    assert!(stays_open(&mut call).await);
}

#[tokio::test]
async fn answers_are_counted_by_what_became_of_them() {
    let shared = shared();
    let metrics = shared.metrics.clone();
    let refusing = service_fn(|_: Request<Full<Bytes>>| async {
        Ok::<_, Infallible>(gatewright_core::miswired("policy", "Principal"))
    });
    let edge = Edge::new(refusing, shared);
    let request = Request::get("/mcp/x")
        .header("host", "gw.example")
        .body(Full::default())
        .unwrap();
    let Ok(_answer) = edge
        .answer(request, SocketAddr::from(([192, 0, 2, 1], 1)))
        .await;
    assert!(
        metrics.text(0).contains("outcome=\"miswired\"} 1"),
        "{}",
        metrics.text(0)
    );
}
