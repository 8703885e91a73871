use std::sync::Arc;

use axum::Router;
use http::{header, request::Parts};
use rmcp::{
    RoleServer, ServerHandler,
    service::RequestContext,
    tool, tool_handler, tool_router,
    transport::streamable_http_server::{
        StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager,
    },
};

/// The server behind the gateway. It keeps sessions, and says whose key came.
#[derive(Clone, Copy, Debug)]
struct Desk;

#[tool_router]
impl Desk {
    #[tool(description = "Files a letter")]
    async fn file(&self, context: RequestContext<RoleServer>) -> String {
        let parts = context.extensions.get::<Parts>();
        let key = parts.and_then(|parts| parts.headers.get(header::AUTHORIZATION));
        let key = key.and_then(|key| key.to_str().ok()).unwrap_or("nobody");
        format!("filed for {key}")
    }

    #[tool(description = "Shreds a letter")]
    async fn shred(&self) -> String {
        "shredded".to_owned()
    }
}

#[tool_handler]
impl ServerHandler for Desk {}

pub(crate) fn server() -> Router {
    let service = StreamableHttpService::new(
        || Ok(Desk),
        Arc::new(LocalSessionManager::default()),
        StreamableHttpServerConfig::default(),
    );
    Router::new().nest_service("/mcp", service)
}
