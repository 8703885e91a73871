//! rmcp's client, in one protocol mode against one server: takes the plan that `checks.py` describes, on standard input, and
//! prints the same lines.
#![expect(
    clippy::print_stdout,
    reason = "a command-line tool reports on standard output"
)]

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use rmcp::model::{
    CallToolRequestParams, CallToolResult, ClientConfig, ElicitRequestParams, ElicitResult,
    ElicitationAction, ElicitationCapability, ErrorData, GetPromptRequestParams, Implementation,
    JsonObject, ProgressNotificationParam, ProtocolVersion, ReadResourceRequestParams,
};
use rmcp::service::{
    ClientInitializeError, ClientLifecycleMode, ClientServiceExt as _, NotificationContext,
    RequestContext, RunningService, ServiceError,
};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::{ClientHandler, RoleClient};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{Mutex, mpsc};
use tokio::time::timeout;

const TEN_MEBIBYTES: usize = 10 * 1024 * 1024;
/// The server sends a text twice, once as structured content.
const LARGEST: usize = 3 * TEN_MEBIBYTES;
const CHECK_LIMIT: Duration = Duration::from_secs(90);
const NOTIFICATION_LIMIT: Duration = Duration::from_secs(30);

#[derive(Debug, Deserialize)]
struct Plan {
    url: String,
    mode: String,
    protocol: String,
    member: String,
    visitor: String,
    rejected: std::collections::BTreeMap<String, String>,
    sees: Sees,
    call: Call,
    result: String,
    refused: Call,
    limited: Vec<Call>,
    progress: Option<Call>,
    question: Option<Question>,
    workbench: bool,
}

#[derive(Debug, Deserialize)]
struct Sees {
    member: Value,
    visitor: Value,
}

#[derive(Debug, Deserialize)]
struct Call {
    tool: String,
    arguments: JsonObject,
}

#[derive(Debug, Deserialize)]
struct Question {
    call: Call,
    declined: String,
}

/// What the server sends by itself.
#[derive(Debug)]
struct Listener {
    may_be_asked: bool,
    asked: Mutex<Vec<String>>,
    progress: mpsc::UnboundedSender<f64>,
}

#[derive(Debug, Clone)]
struct Handler(Arc<Listener>);

impl ClientHandler for Handler {
    fn get_info(&self) -> ClientConfig {
        let mut info = ClientConfig::default();
        info.client_info = Implementation::new("end-to-end", "1");
        if self.0.may_be_asked {
            info.capabilities.elicitation = Some(ElicitationCapability::default());
        }
        info
    }

    async fn create_elicitation(
        &self,
        request: ElicitRequestParams,
        _context: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        let (ElicitRequestParams::FormElicitationParams { message, .. }
        | ElicitRequestParams::UrlElicitationParams { message, .. }) = request
        else {
            return Err(ErrorData::invalid_params("an unknown form", None));
        };
        self.0.asked.lock().await.push(message);
        Ok(ElicitResult::new(ElicitationAction::Decline))
    }

    async fn on_progress(
        &self,
        params: ProgressNotificationParam,
        _context: NotificationContext<RoleClient>,
    ) {
        // Nobody listens any more once the check is over.
        let _: Result<(), _> = self.0.progress.send(params.progress);
    }
}

/// A connection as one principal.
struct Connection {
    service: RunningService<RoleClient, Handler>,
    listener: Arc<Listener>,
    progress: mpsc::UnboundedReceiver<f64>,
}

impl Plan {
    async fn connect(&self, token: &str, may_be_asked: bool) -> Result<Connection, Refused> {
        let (sender, progress) = mpsc::unbounded_channel();
        let listener = Arc::new(Listener {
            may_be_asked,
            asked: Mutex::default(),
            progress: sender,
        });
        let config = StreamableHttpClientTransportConfig::with_uri(self.url.as_str())
            .auth_header(token)
            .max_sse_event_size(LARGEST)
            .max_json_response_size(LARGEST);
        let modern = vec![ProtocolVersion::V_2026_07_28];
        let lifecycle = match self.mode.as_str() {
            "modern" => ClientLifecycleMode::Discover {
                preferred_versions: modern,
            },
            "auto" => ClientLifecycleMode::Auto {
                preferred_versions: modern,
                legacy_version: None,
            },
            _ => ClientLifecycleMode::Initialize,
        };
        let transport = StreamableHttpClientTransport::from_config(config);
        let service = Handler(Arc::clone(&listener))
            .serve_with_lifecycle(transport, lifecycle)
            .await
            .map_err(|error| Refused(Box::new(error)))?;
        Ok(Connection {
            service,
            listener,
            progress,
        })
    }

    async fn negotiates(&self) -> Result<()> {
        let client = self.connect(&self.member, false).await?;
        let info = client.service.peer_info().context("no information")?;
        let found = info.protocol_version.as_str().to_owned();
        client.close().await?;
        ensure!(found == self.protocol, "{found}");
        Ok(())
    }

    async fn filtered_lists(&self) -> Result<()> {
        for (token, sees) in [
            (&self.member, &self.sees.member),
            (&self.visitor, &self.sees.visitor),
        ] {
            let client = self.connect(token, false).await?;
            for (kind, wanted) in sees.as_object().context("no lists")? {
                let found = client.names(kind).await?;
                ensure!(json!(found) == *wanted, "{kind}: {found:?}");
            }
            client.close().await?;
        }
        Ok(())
    }

    async fn allowed_call(&self) -> Result<()> {
        for token in [&self.member, &self.visitor] {
            let client = self.connect(token, false).await?;
            let text = client.succeed(&self.call).await?;
            ensure!(text.contains(&self.result), "{text}");
            client.close().await?;
        }
        Ok(())
    }

    async fn for_members_only(&self, call: &Call) -> Result<()> {
        let client = self.connect(&self.member, false).await?;
        client.succeed(call).await?;
        client.close().await?;
        let client = self.connect(&self.visitor, false).await?;
        let unknown = Call {
            tool: "no_such_tool".to_owned(),
            arguments: JsonObject::new(),
        };
        alike(client.call(call).await, client.call(&unknown).await)?;
        client.close().await
    }

    async fn limited_calls(&self) -> Result<()> {
        for call in &self.limited {
            self.for_members_only(call).await?;
        }
        Ok(())
    }

    async fn rejected_tokens(&self) -> Result<()> {
        for (reason, token) in &self.rejected {
            let Err(Refused(error)) = self.connect(token, false).await else {
                bail!("{reason}: accepted");
            };
            let challenged = error.auth_challenge().is_some_and(|said| {
                said.starts_with("Bearer") && said.contains("resource_metadata=")
            });
            ensure!(challenged, "{reason}: {error}");
        }
        Ok(())
    }

    async fn progress(&self, call: &Call) -> Result<()> {
        let mut client = self.connect(&self.member, false).await?;
        client.succeed(call).await?;
        for step in 1..=3 {
            client
                .next_progress()
                .await
                .with_context(|| format!("step {step} is missing"))?;
        }
        client.close().await
    }

    async fn reading(&self) -> Result<()> {
        let first = |kind: &str| {
            let name = self.sees.member.pointer(&format!("/{kind}/0"));
            name.and_then(Value::as_str).map(str::to_owned)
        };
        let prompt = first("prompts").context("no prompt")?;
        let resource = first("resources").context("no resource")?;
        let get = |name: &str| GetPromptRequestParams::new(name);
        let read = |uri: &str| ReadResourceRequestParams::new(uri);
        let client = self.connect(&self.member, false).await?;
        let got = client.service.get_prompt(get(&prompt)).await?;
        ensure!(!got.messages.is_empty(), "no messages");
        let got = client.service.read_resource(read(&resource)).await?;
        ensure!(!got.contents.is_empty(), "no contents");
        client.close().await?;
        let client = self.connect(&self.visitor, false).await?;
        alike(
            client.service.get_prompt(get(&prompt)).await,
            client.service.get_prompt(get("no_such_prompt")).await,
        )?;
        alike(
            client.service.read_resource(read(&resource)).await,
            client
                .service
                .read_resource(read("no-such://resource"))
                .await,
        )?;
        client.close().await
    }

    async fn question(&self, question: &Question) -> Result<()> {
        let client = self.connect(&self.member, true).await?;
        let text = text_of(&client.call(&question.call).await?);
        ensure!(text.contains(&question.declined), "{text}");
        ensure!(client.listener.asked.lock().await.len() == 1, "not asked");
        client.close().await?;
        let client = self.connect(&self.visitor, true).await?;
        match client.call(&question.call).await {
            Err(ServiceError::McpError(_)) => {}
            Err(error) => return Err(error.into()),
            Ok(result) => ensure!(result.is_error == Some(true), "{result:?}"),
        }
        ensure!(
            client.listener.asked.lock().await.is_empty(),
            "the visitor was asked"
        );
        client.close().await
    }

    async fn cancellation(&self) -> Result<()> {
        let mut client = self.connect(&self.member, false).await?;
        let arguments = |key: &str| JsonObject::from_iter([("key".to_owned(), json!(key))]);
        let key = format!("rmcp {}", self.mode);
        let wait = Call {
            tool: "wait".to_owned(),
            arguments: arguments(&key),
        };
        let Connection {
            service, progress, ..
        } = &mut client;
        let started = timeout(NOTIFICATION_LIMIT, progress.recv());
        tokio::select! {
            // Giving the call up is what drops it.
            started = started => started?.map(drop).context("no progress")?,
            ended = service.call_tool(wait.params()) => bail!("the call ended by itself: {ended:?}"),
        }
        let was_cancelled = Call {
            tool: "was_cancelled".to_owned(),
            arguments: arguments(&key),
        };
        let text = client.succeed(&was_cancelled).await?;
        ensure!(text == "true", "the server saw no cancellation: {text}");
        client.close().await
    }

    async fn large_result(&self) -> Result<()> {
        let client = self.connect(&self.member, false).await?;
        let blob = Call {
            tool: "blob".to_owned(),
            arguments: JsonObject::from_iter([("size".to_owned(), json!(TEN_MEBIBYTES))]),
        };
        let text = client.succeed(&blob).await?;
        ensure!(
            text.len() == TEN_MEBIBYTES && text.bytes().all(|byte| byte == b'x'),
            "{} bytes",
            text.len()
        );
        client.close().await
    }
}

impl Connection {
    async fn names(&self, kind: &str) -> Result<Vec<String>> {
        let service = &self.service;
        let mut names: Vec<String> = match kind {
            "tools" => {
                let tools = service.list_all_tools().await?;
                tools.into_iter().map(|tool| tool.name.into()).collect()
            }
            "prompts" => {
                let prompts = service.list_all_prompts().await?;
                prompts.into_iter().map(|prompt| prompt.name).collect()
            }
            "resources" => {
                let resources = service.list_all_resources().await?;
                resources.into_iter().map(|one| one.uri).collect()
            }
            _ => {
                let templates = service.list_all_resource_templates().await?;
                templates.into_iter().map(|one| one.uri_template).collect()
            }
        };
        names.sort();
        Ok(names)
    }

    async fn call(&self, call: &Call) -> Result<CallToolResult, ServiceError> {
        self.service.call_tool(call.params()).await
    }

    async fn succeed(&self, call: &Call) -> Result<String> {
        let result = self.call(call).await?;
        let text = text_of(&result);
        ensure!(result.is_error != Some(true), "{}: {text}", call.tool);
        Ok(text)
    }

    async fn next_progress(&mut self) -> Result<f64> {
        let next = timeout(NOTIFICATION_LIMIT, self.progress.recv()).await?;
        next.context("no more progress")
    }

    async fn close(self) -> Result<()> {
        self.service.cancel().await?;
        Ok(())
    }
}

impl Call {
    fn params(&self) -> CallToolRequestParams {
        CallToolRequestParams::new(self.tool.clone()).with_arguments(self.arguments.clone())
    }
}

/// Why there is no connection.
#[derive(Debug)]
struct Refused(Box<ClientInitializeError>);

impl From<Refused> for anyhow::Error {
    fn from(refused: Refused) -> Self {
        (*refused.0).into()
    }
}

fn text_of(result: &CallToolResult) -> String {
    let texts = result.content.iter().filter_map(|part| part.as_text());
    texts.map(|part| part.text.as_str()).collect()
}

/// What exists and is hidden must not differ from what does not exist.
fn alike<T>(forbidden: Result<T, ServiceError>, unknown: Result<T, ServiceError>) -> Result<()> {
    let of = |answer: Result<T, ServiceError>, what: &str| match answer {
        Err(ServiceError::McpError(error)) => Ok((error.code, error.message)),
        Err(error) => Err(error.into()),
        Ok(_) => Err(anyhow!("{what} was not refused")),
    };
    let forbidden = of(forbidden, "what is forbidden")?;
    let unknown = of(unknown, "what does not exist")?;
    ensure!(forbidden == unknown, "{forbidden:?} / {unknown:?}");
    Ok(())
}

async fn check(name: &str, body: impl Future<Output = Result<()>>) {
    let outcome = match timeout(CHECK_LIMIT, body).await {
        Ok(outcome) => outcome,
        Err(_elapsed) => Err(anyhow!("no outcome within {} s", CHECK_LIMIT.as_secs())),
    };
    match outcome {
        Ok(()) => println!("ok {name}"),
        Err(error) => {
            let why: String = format!("{error:#}").replace('\n', " ");
            println!("FAIL {name}: {}", why.chars().take(600).collect::<String>());
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let plan: Plan = serde_json::from_reader(io::stdin())?;
    check(&format!("negotiates {}", plan.protocol), plan.negotiates()).await;
    check("lists are filtered", plan.filtered_lists()).await;
    check("allowed call", plan.allowed_call()).await;
    check(
        "refused call looks like an unknown tool",
        plan.for_members_only(&plan.refused),
    )
    .await;
    check("bad token is challenged", plan.rejected_tokens()).await;
    if !plan.limited.is_empty() {
        check(
            "arguments that are not permitted are refused",
            plan.limited_calls(),
        )
        .await;
    }
    if let Some(call) = &plan.progress {
        check("progress", plan.progress(call)).await;
    }
    if plan.sees.member.pointer("/prompts/0").is_some() {
        check("prompts and resources are got as permitted", plan.reading()).await;
    }
    if let Some(question) = &plan.question {
        check("server asks only who may be asked", plan.question(question)).await;
    }
    if plan.workbench {
        check("cancellation reaches the server", plan.cancellation()).await;
        check("10 MiB result", plan.large_result()).await;
    }
    Ok(())
}
