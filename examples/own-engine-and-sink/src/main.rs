//! A policy engine and an audit sink of one's own, by trait, around a server that is written by hand.
//!
//! `--once` calls it a few times and ends; without it the server stays up and prints how to call it.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is a program for a terminal"
)]

mod engine;
mod sink;

use std::{
    convert::Infallible,
    error::Error,
    io::{self, Write},
    sync::{Arc, Mutex, PoisonError},
};

use axum::{Router, body::Body};
use gatewright_audit::{AuditLayer, AuditSink, RecordLayer};
use gatewright_core::{
    AnswerBody, Identity, InvalidRoute, Outcome, Party, Permitted, Route, Subject, resolver_fn,
};
use gatewright_identity::{IdentityLayer, RouteLayer};
use gatewright_mcp::EnvelopeLayer;
use gatewright_policy::PolicyLayer;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::json;
use tokio::net::TcpListener;
use tower::{ServiceBuilder, ServiceExt as _, service_fn};

use crate::{engine::AccessTable, sink::Lines};

const TABLE: AccessTable = AccessTable(&[("ann", &["open", "close"]), ("bob", &["open"])]);

/// A server of two tools. It takes `Permitted` and nothing else: without a decision it cannot be called.
async fn door(request: Request<Permitted>) -> Result<Response<AnswerBody>, Infallible> {
    let (call, principal) = (request.body().call(), request.body().principal());
    let result = match (call.method(), call.target()) {
        (Some("tools/list"), _) => {
            let tool = |name| json!({"name": name, "inputSchema": {"type": "object"}});
            json!({"tools": [tool("open"), tool("close")]})
        }
        (_, Some(tool)) => {
            let text = format!("{tool}: done for {}", principal.key());
            json!({"content": [{"type": "text", "text": text}]})
        }
        _ => json!({}),
    };
    // The id is copied as it came.
    let id = call.id().map_or("null", |id| id.as_json());
    let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#);
    let mut answer = Response::new(AnswerBody::full(body.into()));
    let json = http::HeaderValue::from_static("application/json");
    answer
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, json);
    Ok(answer)
}

/// Who a badge is given to.
fn holder(badge: &[u8]) -> Option<&'static str> {
    match badge {
        b"7" => Some("ann"),
        b"8" => Some("bob"),
        _ => None,
    }
}

fn guarded(resource: &str, log: impl AuditSink) -> Result<Router, InvalidRoute> {
    let who = resolver_fn(|parts| {
        let badge = parts.headers.get("x-badge");
        match badge.and_then(|badge| holder(badge.as_bytes())) {
            Some(name) => {
                let user = Party::new(Subject::new("door", name));
                Outcome::Identified(Box::new(Identity::user(user)))
            }
            None => Outcome::NoCredential,
        }
    });
    let log = Arc::new(log);
    let service = ServiceBuilder::new()
        .layer(RouteLayer::new(Route::single("door", resource)?))
        .layer(AuditLayer::new(Arc::clone(&log)))
        .layer(IdentityLayer::new(who))
        .layer(EnvelopeLayer::new())
        .layer(PolicyLayer::new(TABLE))
        .layer(RecordLayer::new(log))
        .service(service_fn(door));
    Ok(Router::new().nest_service("/mcp", service))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let resource = format!("http://{}/mcp", listener.local_addr()?);
    if std::env::args().any(|argument| argument == "--once") {
        return show(&resource).await;
    }
    println!(
        "curl {resource} -H 'content-type: application/json' -H 'x-badge: 8' \
         -d '{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"}}'"
    );
    Ok(axum::serve(listener, guarded(&resource, Lines::new(io::stdout()))?).await?)
}

async fn show(resource: &str) -> Result<(), Box<dyn Error>> {
    let lines = Kept::default();
    let app = guarded(resource, Lines::new(lines.clone()))?;
    let open = r#""method":"tools/call","params":{"name":"open"}"#;
    let close = r#""method":"tools/call","params":{"name":"close"}"#;
    let list = r#""method":"tools/list""#;

    assert!(
        send(&app, "8", open)
            .await?
            .1
            .contains("open: done for user:door|bob")
    );
    assert!(send(&app, "8", close).await?.1.contains("denied by policy"));
    assert!(
        send(&app, "7", close)
            .await?
            .1
            .contains("close: done for user:door|ann")
    );
    assert!(send(&app, "7", list).await?.1.contains("close"));
    assert!(!send(&app, "8", list).await?.1.contains("close"));
    assert_eq!(send(&app, "9", open).await?.0, StatusCode::UNAUTHORIZED);
    drop(app);

    let records = lines.text();
    let of = |kind: &str| records.matches(&format!(r#""kind":"{kind}""#)).count();
    // Two calls and two lists were admitted; the denied call and the unknown badge were refused.
    assert_eq!(
        (of("admitted"), of("outcome"), of("refused")),
        (4, 4, 2),
        "{records}"
    );
    print!("{records}");

    // No record, no call.
    let app = guarded(resource, Lines::new(Full))?;
    assert_eq!(
        send(&app, "7", open).await?.0,
        StatusCode::SERVICE_UNAVAILABLE
    );
    Ok(())
}

async fn send(
    app: &Router,
    badge: &str,
    message: &str,
) -> Result<(StatusCode, String), Box<dyn Error>> {
    let request = Request::post("/mcp")
        .header("content-type", "application/json")
        .header("x-badge", badge)
        .body(Body::from(format!(
            r#"{{"jsonrpc":"2.0","id":1,{message}}}"#
        )))?;
    let answer = app.clone().oneshot(request).await?;
    let status = answer.status();
    let body = answer.into_body().collect().await?.to_bytes();
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}

/// Keeps what is written.
#[derive(Clone, Debug, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Kept {
    fn text(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Takes nothing.
#[derive(Debug)]
struct Full;

impl Write for Full {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::StorageFull.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
