use std::{borrow::Cow, sync::Arc};

use axum::Router;
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    handler::server::{
        router::{prompt::PromptRouter, tool::ToolRouter},
        tool::InputResponses as ToolInputResponses,
        wrapper::Parameters,
    },
    model::{
        CallToolResponse, CallToolResult, ContentBlock, ElicitRequest, ElicitRequestParams,
        InputRequest, InputRequests, InputRequiredResult, ListResourceTemplatesResult,
        ListResourcesResult, PaginatedRequestParams, ProgressNotificationParam, PromptMessage,
        ProtocolVersion, ReadResourceRequestParams, ReadResourceResponse, ReadResourceResult,
        Resource, ResourceContents, ResourceTemplate, Role, ServerCapabilities, ServerConfig,
    },
    prompt, prompt_handler, prompt_router,
    service::RequestContext,
    tool, tool_handler, tool_router,
    transport::streamable_http_server::{
        StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager,
    },
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::watch;

use crate::listen::Listening;

/// A real MCP server, of the official Rust SDK, that speaks both eras at `/mcp`.
///
/// | tool | does |
/// | --- | --- |
/// | `echo {text}` | answers the text |
/// | `add {a, b}` | answers the sum |
/// | `slow {}` | reports progress 1, then never ends; [`cancelled`](FakeServer::cancelled) counts those given up |
/// | `progress {steps}` | reports so many steps |
/// | `big {size}` | answers so many bytes |
/// | `ask {}` | asks the user for a name, as the era of the call does it |
/// | `headers {}` | answers the names of the headers that came with the call |
///
/// Prompt: `greet {name}`. Resources: `memo://today`, template `memo://{day}`.
#[derive(Clone, Debug)]
pub struct FakeServer {
    listening: Listening,
    counts: watch::Sender<Counts>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    calls: usize,
    cancelled: usize,
}

impl FakeServer {
    /// A server of both eras.
    pub async fn start() -> Self {
        Self::start_with(ProtocolVersion::KNOWN_VERSIONS).await
    }

    /// A server of the legacy era only: it knows `initialize` and sessions, and refuses `server/discover`.
    pub async fn start_legacy() -> Self {
        Self::start_with(&[
            ProtocolVersion::V_2024_11_05,
            ProtocolVersion::V_2025_03_26,
            ProtocolVersion::V_2025_06_18,
            ProtocolVersion::V_2025_11_25,
        ])
        .await
    }

    /// A server of the modern era only.
    pub async fn start_modern() -> Self {
        Self::start_with(&[ProtocolVersion::V_2026_07_28]).await
    }

    async fn start_with(versions: &'static [ProtocolVersion]) -> Self {
        let counts = watch::Sender::default();
        let tools = Tools {
            versions,
            counts: counts.clone(),
            tool_router: Tools::tool_router(),
            prompt_router: Tools::prompt_router(),
        };
        let service = StreamableHttpService::new(
            move || Ok(tools.clone()),
            Arc::new(LocalSessionManager::default()),
            StreamableHttpServerConfig::default().with_sse_keep_alive(None),
        );
        let router = Router::new().nest_service("/mcp", service);
        Self {
            listening: Listening::start(|_| router).await,
            counts,
        }
    }

    /// Its endpoint.
    #[must_use]
    pub fn url(&self) -> String {
        self.listening.url("/mcp")
    }

    /// How many tool calls reached it.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.counts.borrow().calls
    }

    /// Waits until so many calls of `slow` were cancelled.
    pub async fn cancelled(&self, count: usize) {
        let mut counts = self.counts.subscribe();
        counts
            .wait_for(|counts| counts.cancelled >= count)
            .await
            .expect("the sender lives as long as the server");
    }
}

#[derive(Clone)]
struct Tools {
    versions: &'static [ProtocolVersion],
    counts: watch::Sender<Counts>,
    tool_router: ToolRouter<Self>,
    prompt_router: PromptRouter<Self>,
}

#[derive(Deserialize, JsonSchema)]
struct Echo {
    text: String,
}

#[derive(Deserialize, JsonSchema)]
struct Add {
    a: i64,
    b: i64,
}

#[derive(Deserialize, JsonSchema)]
struct Progress {
    steps: u32,
}

#[derive(Deserialize, JsonSchema)]
struct Big {
    size: usize,
}

#[derive(Deserialize, JsonSchema)]
struct Greet {
    name: String,
}

#[tool_router]
impl Tools {
    #[tool(description = "Answers the text", annotations(read_only_hint = true))]
    async fn echo(&self, Parameters(Echo { text }): Parameters<Echo>) -> String {
        self.called();
        text
    }

    #[tool(description = "Answers the sum", annotations(read_only_hint = true))]
    async fn add(&self, Parameters(Add { a, b }): Parameters<Add>) -> String {
        self.called();
        a.saturating_add(b).to_string()
    }

    #[tool(description = "Reports that it started, then never ends")]
    async fn slow(&self, context: RequestContext<RoleServer>) -> Result<String, ErrorData> {
        self.called();
        let _noted = NoteCancelled(self.counts.clone());
        report(&context, 1, 2).await?;
        context.ct.cancelled().await;
        Err(ErrorData::internal_error("cancelled", None))
    }

    #[tool(description = "Reports so many steps of progress")]
    async fn progress(
        &self,
        Parameters(Progress { steps }): Parameters<Progress>,
        context: RequestContext<RoleServer>,
    ) -> Result<String, ErrorData> {
        self.called();
        for step in 1..=steps {
            report(&context, step, steps).await?;
        }
        Ok(format!("{steps} steps"))
    }

    #[tool(description = "Answers so many bytes")]
    async fn big(&self, Parameters(Big { size }): Parameters<Big>) -> String {
        self.called();
        "x".repeat(size)
    }

    #[tool(description = "Asks the user for a name")]
    async fn ask(
        &self,
        ToolInputResponses(responses): ToolInputResponses,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        self.called();
        let modern = context
            .protocol_version()
            .is_some_and(|version| version.as_str() >= ProtocolVersion::V_2026_07_28.as_str());
        let name = if modern {
            let answer = responses
                .as_ref()
                .and_then(|responses| responses.get("name"));
            let Some(answer) = answer else {
                let mut requests = InputRequests::new();
                requests.insert(
                    "name".to_owned(),
                    InputRequest::Elicitation(ElicitRequest::new(question())),
                );
                return Ok(
                    InputRequiredResult::new(Some(requests), Some("asked".to_owned())).into(),
                );
            };
            answer.pointer("/content/name").cloned()
        } else {
            let asked = context.peer.create_elicitation(question()).await;
            let answer =
                asked.map_err(|error| ErrorData::internal_error(error.to_string(), None))?;
            answer
                .content
                .and_then(|content| content.get("name").cloned())
        };
        let text = format!(
            "hello {}",
            name.as_ref()
                .and_then(|name| name.as_str())
                .unwrap_or("nobody")
        );
        Ok(CallToolResult::success(vec![ContentBlock::text(text)]).into())
    }

    #[tool(description = "Answers the names of the headers that came with the call")]
    async fn headers(&self, context: RequestContext<RoleServer>) -> String {
        self.called();
        let parts = context.extensions.get::<http::request::Parts>();
        let names = parts.map(|parts| {
            parts
                .headers
                .keys()
                .map(http::HeaderName::as_str)
                .collect::<Vec<_>>()
        });
        names.unwrap_or_default().join("\n")
    }
}

#[prompt_router]
impl Tools {
    #[prompt(name = "greet", description = "A greeting")]
    async fn greet(&self, Parameters(Greet { name }): Parameters<Greet>) -> Vec<PromptMessage> {
        vec![PromptMessage::new_text(
            Role::User,
            format!("Greet {name}."),
        )]
    }
}

#[tool_handler(router = self.tool_router)]
#[prompt_handler(router = self.prompt_router)]
impl ServerHandler for Tools {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_prompts()
            .enable_resources()
            .build();
        let mut info = ServerConfig::new(capabilities);
        info.instructions = Some("A fake for tests.".to_owned());
        info
    }

    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        Cow::Borrowed(self.versions)
    }

    async fn list_resources(
        &self,
        _page: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        Ok(ListResourcesResult {
            resources: vec![Resource::new("memo://today", "today")],
            ..Default::default()
        })
    }

    async fn list_resource_templates(
        &self,
        _page: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Ok(ListResourceTemplatesResult {
            resource_templates: vec![ResourceTemplate::new("memo://{day}", "memo")],
            ..Default::default()
        })
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let day = request
            .uri
            .strip_prefix("memo://")
            .filter(|day| !day.is_empty());
        let day = day.ok_or_else(|| ErrorData::invalid_params("no such memo", None))?;
        let text = ResourceContents::text(format!("memo of {day}"), request.uri.clone());
        Ok(ReadResourceResult::new(vec![text]).into())
    }
}

impl Tools {
    fn called(&self) {
        self.counts.send_modify(|counts| counts.calls += 1);
    }
}

/// Counts a `slow` call when it is given up, however that happens.
struct NoteCancelled(watch::Sender<Counts>);

impl Drop for NoteCancelled {
    fn drop(&mut self) {
        self.0.send_modify(|counts| counts.cancelled += 1);
    }
}

async fn report(context: &RequestContext<RoleServer>, step: u32, of: u32) -> Result<(), ErrorData> {
    let Some(token) = context.meta.get_progress_token() else {
        return Ok(());
    };
    let progress = ProgressNotificationParam::new(token, f64::from(step)).with_total(f64::from(of));
    let sent = context.peer.notify_progress(progress).await;
    sent.map_err(|error| ErrorData::internal_error(error.to_string(), None))
}

fn question() -> ElicitRequestParams {
    ElicitRequestParams::FormElicitationParams {
        meta: None,
        message: "Your name?".to_owned(),
        requested_schema: serde_json::from_value(json!({
            "type": "object",
            "properties": {"name": {"type": "string"}},
            "required": ["name"],
        }))
        .expect("a schema"),
    }
}
