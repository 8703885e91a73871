//! An rmcp server in axum, guarded by the layers: who calls is checked, each call is decided by Cedar policies, lists
//! are filtered, and no call happens without a record.

use std::{error::Error, path::Path, sync::Arc};

use axum::Router;
use gatewright_audit::{AuditLayer, RecordLayer, SegmentFiles};
use gatewright_core::Route;
use gatewright_identity::{IdentityLayer, JwtResolver, RouteLayer, resource_metadata};
use gatewright_mcp::EnvelopeLayer;
use gatewright_policy::PolicyLayer;
use gatewright_policy_cedar::CedarEngine;
use http::Uri;
use rmcp::{
    ServerHandler,
    handler::server::wrapper::Parameters,
    tool, tool_handler, tool_router,
    transport::streamable_http_server::{
        StreamableHttpServerConfig, StreamableHttpService, session::never::NeverSessionManager,
    },
};
use tower::ServiceBuilder;

/// The server to guard: it knows nothing of users, tokens or policies.
#[derive(Clone, Copy, Debug)]
pub struct Billing;

/// What to pay.
#[derive(Debug, serde::Deserialize, schemars::JsonSchema)]
pub struct Payment {
    /// The invoice.
    pub invoice: String,
    /// In whole cents.
    pub amount: i64,
}

#[tool_router]
impl Billing {
    #[tool(description = "Lists open invoices")]
    async fn list_invoices(&self) -> String {
        "INV-1, INV-2".to_owned()
    }

    #[tool(description = "Pays an invoice")]
    async fn pay_invoice(&self, Parameters(payment): Parameters<Payment>) -> String {
        format!("paid {} for {}", payment.amount, payment.invoice)
    }
}

#[tool_handler]
impl ServerHandler for Billing {}

/// The server behind every layer: `resource` is its public URL, `issuer` signs its users' tokens, `policies` and `audit`
/// are directories.
///
/// # Errors
/// When `resource` is no URL, the issuer cannot be discovered, a policy does not parse, or the log cannot be opened.
#[rustfmt::skip] // the README shows the stack as it stands here
pub async fn guarded(resource: &str, issuer: &str, policies: &Path, audit: &Path) -> Result<Router, Box<dyn Error>> {
    let (sessions, config) = (Arc::new(NeverSessionManager::default()), config(resource)?);
    // example: guarded
    let route = Route::single("billing", resource)?.authorization_server(issuer); // resource = audience
    let log = SegmentFiles::open(audit)?;
    let guarded = ServiceBuilder::new()
        .layer(RouteLayer::new(route.clone()))
        .layer(AuditLayer::new(log.clone()))                       // sees every refusal below
        .layer(IdentityLayer::new(JwtResolver::discover(issuer).await?))
        .layer(EnvelopeLayer::new())                               // Request<B> -> Request<CallBody>
        .layer(PolicyLayer::new(CedarEngine::from_dir(policies)?)) // -> Request<Permitted>
        .layer(RecordLayer::new(log))                              // no record, no call
        .service(StreamableHttpService::new(|| Ok(Billing), sessions, config)); // rmcp
    let app = Router::new().nest_service("/mcp", guarded).merge(resource_metadata(&route));
    // end of example
    Ok(app)
}

/// The server answers to its own name only and to no web page, and keeps no sessions of legacy clients: an id that works
/// for whoever holds it would need `SessionLayer`.
fn config(resource: &str) -> Result<StreamableHttpServerConfig, Box<dyn Error>> {
    let resource: Uri = resource.parse()?;
    Ok(StreamableHttpServerConfig::default()
        .with_allowed_hosts(resource.host())
        .enforce_origin_validation()
        .with_legacy_session_mode(false))
}

#[cfg(test)]
mod tests;
