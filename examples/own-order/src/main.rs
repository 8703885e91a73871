//! The whole stack from the crates, in another order of the layers that may change places.
//!
//! The types hold most of the order: what reads a call stands below [`EnvelopeLayer`], what takes a decision below
//! [`PolicyLayer`]. [`RouteLayer`], [`AuditLayer`] and [`IdentityLayer`] come first and in this order, since each needs
//! what the one above it adds. The rest may move:
//!
//! - the **limit by principal** stands anywhere below identity. Above the envelope, as in the binary, what is too much
//!   costs least. Here it stands below policy: what was denied uses nothing up of what a person may do.
//! - the **limit by server** stands anywhere below the envelope. Below sessions and above policy, as in the binary, a
//!   call is decided on when its turn has come. Here it stands above sessions: whoever guesses at session ids waits in
//!   line like everybody.
//! - the **session layer** stands anywhere between envelope and policy.
//! - **credentials and records** stand below policy, in this order: a record says whose credential a call went up with.
//!
//! A layer that moves takes its refusals along, and `--once` shows that each comes from where the stack says. Without
//! it the gateway stays up and prints how to call it.
#![expect(clippy::print_stdout, reason = "this is a program for a terminal")]

mod cloakroom;
mod desk;
mod show;

use std::{error::Error, path::Path, sync::Arc};

use axum::Router;
use gatewright_audit::{AuditLayer, AuditSink, RecordLayer, SegmentFiles};
use gatewright_core::{
    CredentialMode, CredentialOwner, Identity, Outcome, Party, Route, Secret, ServerName, Subject,
    TenantId, resolver_fn,
};
use gatewright_egress::Egress;
use gatewright_guard::{LimitLayer, Limits};
use gatewright_identity::{IdentityLayer, RouteLayer, Routes};
use gatewright_mcp::{EnvelopeLayer, SessionLayer};
use gatewright_policy::PolicyLayer;
use gatewright_policy_cedar::CedarEngine;
use gatewright_store::SqliteStore;
use gatewright_upstream::{Target, Upstream};
use gatewright_vault::{CredentialLayer, FileKeys, RecordKey, SealedVault};
use http::{HeaderMap, Uri};
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;
use tower::ServiceBuilder;

use crate::cloakroom::Cloakroom;

/// Everybody may use the desk. Nobody shreds.
const POLICIES: &str = r#"
    @id("everybody")
    permit(principal, action, resource in Gatewright::Server::"desk");
    @id("nobody-shreds")
    forbid(principal, action == Gatewright::Action::"tools/call", resource == Gatewright::Tool::"desk/shred");
"#;

/// One endpoint, at its own path only.
#[derive(Clone, Debug)]
struct OnePath(Route);

impl Routes for OnePath {
    fn find(&self, uri: &Uri, _: &HeaderMap) -> Option<Route> {
        (uri.path() == "/mcp").then(|| self.0.clone())
    }
}

/// What may be asked for.
#[derive(Debug)]
struct Bounds {
    by_server: Limits,
    by_principal: Limits,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            by_server: Limits::for_servers(),
            by_principal: Limits::for_principals(),
        }
    }
}

/// The gateway at `resource` before the server at `desk`.
fn guarded(
    resource: &str,
    desk: Uri,
    vault: SealedVault,
    log: impl AuditSink,
    bounds: Bounds,
) -> Result<Router, Box<dyn Error>> {
    let route = Route::single("desk", resource)?
        .map_profile(|profile| profile.credential.mode = CredentialMode::PerUser);
    // A stand-in for a sign-in: see the other examples.
    let who =
        resolver_fn(
            |parts| match parts.headers.get("x-user").map(http::HeaderValue::to_str) {
                Some(Ok(user)) => {
                    let user = Party::new(Subject::new("house", user));
                    Outcome::Identified(Box::new(Identity::user(user)))
                }
                _ => Outcome::NoCredential,
            },
        );
    let engine = CedarEngine::builder()
        .policies("desk.cedar", POLICIES)
        .build()?;
    // The server of this example listens on loopback, which nothing reaches otherwise.
    let egress = Egress::builder().development(true).build();
    let log = Arc::new(log);
    let stack = ServiceBuilder::new()
        .layer(RouteLayer::new(OnePath(route)))
        .layer(AuditLayer::new(Arc::clone(&log)))
        .layer(IdentityLayer::new(who))
        .layer(EnvelopeLayer::new()) // Request<B> -> Request<CallBody>
        .layer(LimitLayer::per_server(bounds.by_server)) // in the binary below sessions
        .layer(SessionLayer::new(Arc::new(Cloakroom::default())))
        .layer(PolicyLayer::new(engine)) // -> Request<Permitted>
        .layer(LimitLayer::per_principal(bounds.by_principal)) // in the binary above the envelope
        .layer(CredentialLayer::new(vault))
        .layer(RecordLayer::new(log))
        .service(Upstream::new(Target::new(desk), &egress));
    Ok(Router::new().fallback_service(stack))
}

/// A vault in this directory, in which Ann's key for the desk is.
async fn vault(dir: &Path) -> Result<SealedVault, Box<dyn Error>> {
    let store = SqliteStore::open(&dir.join("vault.db")).await?;
    let vault = SealedVault::new(store, FileKeys::open(&dir.join("keys"))?);
    let key = RecordKey {
        owner: CredentialOwner::User(Subject::new("house", "ann")),
        server: ServerName::new("desk")?,
    };
    let secret = Secret::new("anns-key".to_owned());
    vault.put(&TenantId::default(), key, secret).await?;
    Ok(vault)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let behind = TcpListener::bind("127.0.0.1:0").await?;
    let desk: Uri = format!("http://{}/mcp", behind.local_addr()?).parse()?;
    let tasks = TaskTracker::new();
    tasks.spawn(async move { axum::serve(behind, desk::server()).await });

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let resource = format!("http://{}/mcp", listener.local_addr()?);
    let vault = vault(dir.path()).await?;
    if std::env::args().any(|argument| argument == "--once") {
        return show::show(&resource, &desk, &vault, dir.path()).await;
    }
    let log = SegmentFiles::open(dir.path().join("audit"))?;
    let app = guarded(&resource, desk, vault, log, Bounds::default())?;
    println!(
        "curl {resource} -H 'content-type: application/json' \
         -H 'accept: application/json, text/event-stream' -H 'x-user: ann' \
         -d '{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{{\"protocolVersion\":\"2025-11-25\",\
         \"capabilities\":{{}},\"clientInfo\":{{\"name\":\"curl\",\"version\":\"1\"}}}}}}'"
    );
    Ok(axum::serve(listener, app).await?)
}
