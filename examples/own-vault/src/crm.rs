use std::sync::Arc;

use axum::Router;
use http::{header, request::Parts};
use rmcp::{
    RoleServer, ServerHandler,
    service::RequestContext,
    tool, tool_handler, tool_router,
    transport::streamable_http_server::{
        StreamableHttpServerConfig, StreamableHttpService, session::never::NeverSessionManager,
    },
};

/// The server that needs keys: it says which one came.
#[derive(Clone, Copy, Debug)]
struct Crm;

#[tool_router]
impl Crm {
    #[tool(description = "The contacts of whoever's key it is")]
    async fn contacts(&self, context: RequestContext<RoleServer>) -> String {
        format!("contacts of {}", key(&context))
    }

    #[tool(description = "The report of the whole house")]
    async fn report(&self, context: RequestContext<RoleServer>) -> String {
        format!("report of {}", key(&context))
    }
}

#[tool_handler]
impl ServerHandler for Crm {}

fn key(context: &RequestContext<RoleServer>) -> &str {
    let parts = context.extensions.get::<Parts>();
    let value = parts.and_then(|parts| parts.headers.get(header::AUTHORIZATION));
    let value = value.and_then(|value| value.to_str().ok());
    value
        .and_then(|value| value.strip_prefix("Bearer "))
        .unwrap_or("nobody")
}

pub(crate) fn server() -> Router {
    let service = StreamableHttpService::new(
        || Ok(Crm),
        Arc::new(NeverSessionManager::default()),
        StreamableHttpServerConfig::default().with_legacy_session_mode(false),
    );
    Router::new().nest_service("/mcp", service)
}
