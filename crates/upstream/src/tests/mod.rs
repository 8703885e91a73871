//! The relay over a server that answers what it is told.

mod answers;
mod cancel;
mod credential;
mod eras;
mod headers;
mod streams;

use std::time::Duration;

use bytes::Bytes;
use gatewright_core::{
    AnswerBody, AnyIdentified, CallBody, Decision, Draft, Identity, Outcome, Party, Permitted,
    ReferenceId, Route, Subject, SystemClock, Timestamp, UpstreamAuth, authenticate, authorize,
    engine_fn, resolver_fn,
};
use gatewright_egress::Egress;
use gatewright_test_support::{Answer, FakeServer, RawServer, Recorded, modern_request};
use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::{EraSetting, Target, Timeouts, Upstream};

const SESSION: &str = "upstream-session";
/// How long an impatient gateway waits for the head of an answer, and for the next piece.
const SHORT: Duration = Duration::from_secs(1);

/// What the layers above hand down.
async fn permit(request: Request<Bytes>) -> Request<Permitted> {
    let route = Route::single("s", "https://gw.example/mcp/s").unwrap();
    let (mut parts, body) = request.into_parts();
    parts.extensions.insert(route.clone());
    let resolver = resolver_fn(|_| {
        let ann = Party::new(Subject::new("i", "ann"));
        Outcome::Identified(Box::new(Identity::user(ann)))
    });
    let ann = authenticate(&resolver, &AnyIdentified, &SystemClock, &parts)
        .await
        .unwrap();
    let call = CallBody::parse(&route, &parts, body, &Default::default()).unwrap();
    let engine = engine_fn(|_, _| Decision::allow(["all"]));
    parts.extensions.get_or_insert_with(UpstreamAuth::none);
    Request::from_parts(parts, authorize(&engine, &ann, call).await.unwrap())
}

/// A modern call of id 7.
fn modern() -> Request<Bytes> {
    let params = json!({"name": "echo", "arguments": {}});
    modern_request(
        "http://gw.example/mcp/s",
        Some("token"),
        7,
        "tools/call",
        params,
    )
}

/// A message in a legacy session.
fn legacy(message: &Value) -> Request<Bytes> {
    gatewright_test_support::legacy_request("http://gw.example/mcp/s", None, Some(SESSION), message)
}

/// A legacy call of id 7.
fn call() -> Request<Bytes> {
    legacy(
        &json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "echo", "arguments": {}}}),
    )
}

fn initialize() -> Request<Bytes> {
    legacy(
        &json!({"jsonrpc": "2.0", "id": 7, "method": "initialize", "params": {
            "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"},
        }}),
    )
}

fn get() -> http::request::Builder {
    Request::get("http://gw.example/mcp/s")
        .header("mcp-protocol-version", "2025-11-25")
        .header("mcp-session-id", SESSION)
}

/// Patient, so that a busy machine fails no test.
fn target(server: &RawServer, era: EraSetting) -> Target {
    Target::new(server.url("/mcp").parse().unwrap())
        .with_era(era)
        .with_max_response(10_000)
}

fn impatient(server: &RawServer, era: EraSetting) -> Upstream {
    let timeouts = Timeouts {
        first_byte: SHORT,
        idle: SHORT,
        ..Timeouts::default()
    };
    to(target(server, era).with_timeouts(timeouts))
}

fn to(target: Target) -> Upstream {
    Upstream::new(target, &Egress::builder().development(true).build())
}

fn upstream(server: &RawServer, era: EraSetting) -> Upstream {
    to(target(server, era))
}

async fn send(upstream: &Upstream, request: Request<Bytes>) -> Response<AnswerBody> {
    upstream
        .clone()
        .oneshot(permit(request).await)
        .await
        .unwrap()
}

async fn read(answer: Response<AnswerBody>) -> (u16, HeaderMap, String) {
    let (parts, body) = answer.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let text = String::from_utf8_lossy(&body).into_owned();
    (parts.status.as_u16(), parts.headers, text)
}

/// The era that a request is of.
fn era_of(request: &Request<Bytes>) -> EraSetting {
    match request.headers().get("mcp-protocol-version") {
        Some(version) if version == "2026-07-28" => EraSetting::Modern,
        _ => EraSetting::Legacy,
    }
}

/// Sends a request to a server of its own era.
async fn relay(server: &RawServer, request: Request<Bytes>) -> (u16, HeaderMap, String) {
    let upstream = upstream(server, era_of(&request));
    read(send(&upstream, request).await).await
}

/// The same without patience.
async fn relay_at_once(server: &RawServer, request: Request<Bytes>) -> (u16, HeaderMap, String) {
    let upstream = impatient(server, era_of(&request));
    read(send(&upstream, request).await).await
}

async fn always(answer: Answer) -> RawServer {
    RawServer::start(move |_| answer.clone()).await
}

/// A server that answers its calls so, and takes everything else.
async fn calls(answer: Answer) -> RawServer {
    RawServer::start(move |request| match request.json()["method"].as_str() {
        Some("tools/call" | "initialize") => answer.clone(),
        _ => Answer::status(202),
    })
    .await
}

fn is_call(request: &Recorded) -> bool {
    request.json()["method"] == "tools/call"
}

/// A response to the call of id 7.
fn answer(result: &Value) -> String {
    json!({"jsonrpc": "2.0", "id": 7, "result": result}).to_string()
}

/// The last message of a stream.
fn last(stream: &str) -> Value {
    let message = stream.rsplit("data: ").next().unwrap();
    serde_json::from_str(message.trim()).unwrap()
}
