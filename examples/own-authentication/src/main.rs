//! Policy alone, on a server that has an authentication of its own.
//!
//! The server below had a middleware that knows its users by an API key, and keeps it: a closure tells the layers who was
//! let in, another closure decides, and the rmcp server behind them stays as it was.
//!
//! `--once` calls it a few times and ends; without it the server stays up and prints how to call it.
#![expect(clippy::print_stdout, reason = "this is a program for a terminal")]

use std::{error::Error, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::Request,
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
};
use gatewright_core::{
    Call, Decision, Identity, InvalidRoute, Outcome, Party, Principal, Route, Subject, engine_fn,
    resolver_fn,
};
use gatewright_identity::{IdentityLayer, RouteLayer};
use gatewright_mcp::EnvelopeLayer;
use gatewright_policy::PolicyLayer;
use http::StatusCode;
use http_body_util::BodyExt as _;
use rmcp::{
    ServerHandler, tool, tool_handler, tool_router,
    transport::streamable_http_server::{
        StreamableHttpServerConfig, StreamableHttpService, session::never::NeverSessionManager,
    },
};
use tokio::net::TcpListener;
use tower::{ServiceBuilder, ServiceExt as _};

/// The server to guard.
#[derive(Clone, Copy, Debug)]
struct Wiki;

#[tool_router]
impl Wiki {
    #[tool(description = "Reads the front page")]
    async fn read(&self) -> String {
        "Welcome".to_owned()
    }

    #[tool(description = "Deletes everything")]
    async fn delete_everything(&self) -> String {
        "gone".to_owned()
    }
}

#[tool_handler]
impl ServerHandler for Wiki {}

/// What the server's own authentication leaves in the request.
#[derive(Clone, Copy, Debug)]
struct SignedIn(&'static str);

/// The authentication that the server has had all along.
async fn authenticate(mut request: Request, next: Next) -> Response {
    let key = request.headers().get("x-api-key");
    let user = match key.map(http::HeaderValue::as_bytes) {
        Some(b"ann's key") => "ann",
        Some(b"admin's key") => "admin",
        _ => return StatusCode::UNAUTHORIZED.into_response(),
    };
    request.extensions_mut().insert(SignedIn(user));
    next.run(request).await
}

/// Everybody may read, and see nothing else. The administrator may do everything.
fn decide(principal: &Principal, call: &Call) -> Decision {
    let is_admin = principal
        .user()
        .is_some_and(|user| user.subject().id() == "admin");
    match call.target() {
        // What names no tool: lists, and what keeps a connection.
        None => Decision::allow(["everybody-connects"]),
        Some("read") => Decision::allow(["everybody-reads"]),
        Some(_) if is_admin => Decision::allow(["administrator"]),
        Some(_) => Decision::deny("only the administrator may"),
    }
}

fn guarded(resource: &str) -> Result<Router, InvalidRoute> {
    // A request that came past the authentication has nobody in it, and is refused.
    let who = resolver_fn(|parts| match parts.extensions.get::<SignedIn>() {
        Some(SignedIn(user)) => {
            let user = Party::new(Subject::new("wiki", user));
            Outcome::Identified(Box::new(Identity::user(user)))
        }
        None => Outcome::NoCredential,
    });
    let server = StreamableHttpService::new(
        || Ok(Wiki),
        Arc::new(NeverSessionManager::default()),
        // Sessions would need the layer that keeps them for their owners.
        StreamableHttpServerConfig::default().with_legacy_session_mode(false),
    );
    let service = ServiceBuilder::new()
        .layer(RouteLayer::new(Route::single("wiki", resource)?))
        .layer(IdentityLayer::new(who))
        .layer(EnvelopeLayer::new())
        .layer(PolicyLayer::new(engine_fn(decide)))
        .service(server);
    Ok(Router::new()
        .nest_service("/mcp", service)
        .layer(middleware::from_fn(authenticate)))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let resource = format!("http://{}/mcp", listener.local_addr()?);
    let app = guarded(&resource)?;
    if std::env::args().any(|argument| argument == "--once") {
        return show(&app).await;
    }
    println!(
        "curl {resource} -H 'content-type: application/json' \
         -H 'accept: application/json, text/event-stream' -H \"x-api-key: ann's key\" \
         -d '{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"}}'"
    );
    Ok(axum::serve(listener, app).await?)
}

async fn show(app: &Router) -> Result<(), Box<dyn Error>> {
    let read = r#""method":"tools/call","params":{"name":"read"}"#;
    let delete = r#""method":"tools/call","params":{"name":"delete_everything"}"#;
    let list = r#""method":"tools/list""#;
    for (key, message, status, said, unsaid) in [
        ("ann's key", read, StatusCode::OK, "Welcome", "denied"),
        (
            "ann's key",
            delete,
            StatusCode::OK,
            "denied by policy",
            "gone",
        ),
        ("admin's key", delete, StatusCode::OK, "gone", "denied"),
        (
            "ann's key",
            list,
            StatusCode::OK,
            "read",
            "delete_everything",
        ),
        (
            "admin's key",
            list,
            StatusCode::OK,
            "delete_everything",
            "denied",
        ),
        ("no key", read, StatusCode::UNAUTHORIZED, "", "Welcome"),
    ] {
        let request = Request::post("/mcp")
            .header("host", "localhost")
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .header("x-api-key", key)
            .body(Body::from(format!(
                r#"{{"jsonrpc":"2.0","id":1,{message}}}"#
            )))?;
        let answer = app.clone().oneshot(request).await?;
        assert_eq!(answer.status(), status, "{key}: {message}");
        let body = answer.into_body().collect().await?.to_bytes();
        let text = String::from_utf8_lossy(&body);
        assert!(
            text.contains(said) && !text.contains(unsaid),
            "{key}: {message}: {text}"
        );
        println!("{key}: {status} {}", text.trim());
    }
    Ok(())
}
