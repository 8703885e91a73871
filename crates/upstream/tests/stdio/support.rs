use std::{future::Future, time::Duration};

use bytes::Bytes;
use gatewright_core::{
    AnswerBody, AnyIdentified, CallBody, CredentialForm, CredentialOwner, Decision, Identity,
    Outcome, Party, Permitted, Route, Secret, ServerName, Subject, SystemClock, TenantId,
    UpstreamAuth, authenticate, authorize, engine_fn, resolver_fn,
};
use gatewright_egress::Egress;
use gatewright_test_support::{legacy_request, message, modern_request};
use gatewright_upstream::{EraSetting, Program, Target, Timeouts, Upstream};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    net::{TcpListener, TcpStream},
};
use tower::ServiceExt;

const URL: &str = "http://gw.example/mcp/s";
/// Far more than anything here takes: a test that waits as long has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// Fails the test where it would hang.
pub(crate) async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work)
        .await
        .expect("it happens soon")
}

/// Sees children live, read and die.
pub(crate) struct Watch(TcpListener);

impl Watch {
    pub(crate) async fn start() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    pub(crate) fn address(&self) -> String {
        self.0.local_addr().unwrap().to_string()
    }

    /// The fixture, watched by us.
    pub(crate) fn program<const N: usize>(&self, arguments: [&str; N]) -> Program {
        Program::new(env!("CARGO_BIN_EXE_stdio-fixture"))
            .with_arguments(["--watch", &self.address()])
            .with_arguments(arguments)
    }

    /// The next process that starts.
    pub(crate) async fn child(&self) -> Seen {
        let (connection, _) = soon(self.0.accept()).await.unwrap();
        let mut lines = BufReader::new(connection).lines();
        let pid = soon(lines.next_line()).await.unwrap().unwrap();
        Seen {
            pid: pid.parse().unwrap(),
            lines,
        }
    }

    /// No process has started that nobody asked about.
    pub(crate) async fn nothing_more(&self) {
        let more = tokio::time::timeout(Duration::from_millis(1), self.0.accept()).await;
        assert!(more.is_err(), "another process was started");
    }
}

/// Holds back a child that was told to `wait`.
pub(crate) struct Gate(TcpListener);

impl Gate {
    pub(crate) async fn new() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    pub(crate) fn address(&self) -> Value {
        json!({"address": self.0.local_addr().unwrap().to_string()})
    }

    /// A child waits; it goes on when this is dropped.
    pub(crate) async fn waits(&self) -> TcpStream {
        soon(self.0.accept()).await.unwrap().0
    }
}

/// One process.
pub(crate) struct Seen {
    pub(crate) pid: u32,
    lines: Lines<BufReader<TcpStream>>,
}

impl Seen {
    /// The next line that it reads which contains `what`.
    pub(crate) async fn hears(&mut self, what: &str) -> Value {
        loop {
            let line = soon(self.lines.next_line()).await.unwrap();
            let line = line.expect("it lives until it hears");
            if line.contains(what) {
                return serde_json::from_str(&line).unwrap();
            }
        }
    }

    /// Waits for its death, and says what it heard until then.
    pub(crate) async fn dies(mut self) -> Vec<String> {
        let mut heard = Vec::new();
        // A killed process may leave its connection with an error.
        while let Ok(Some(line)) = soon(self.lines.next_line()).await {
            heard.push(line);
        }
        heard
    }
}

/// Somebody with a credential, before a server.
#[derive(Clone)]
pub(crate) struct Caller {
    upstream: Upstream,
    tenant: &'static str,
    server: &'static str,
    user: &'static str,
    auth: UpstreamAuth,
    session: Option<String>,
}

pub(crate) fn times() -> Timeouts {
    Timeouts {
        first_byte: PATIENCE / 2,
        idle: PATIENCE / 2,
        ..Timeouts::default()
    }
}

/// Of an era that is probed, with answers of at most 64 KiB.
pub(crate) fn target(program: Program) -> Target {
    Target::stdio(program)
        .with_timeouts(times())
        .with_max_response(64 * 1024)
}

pub(crate) fn upstream(target: Target) -> Upstream {
    Upstream::new(target, &Egress::builder().build())
}

pub(crate) fn modern_at(program: Program) -> Upstream {
    upstream(target(program).with_era(EraSetting::Modern))
}

pub(crate) fn key(version: u64, secret: &str) -> UpstreamAuth {
    let variable = "API_KEY".to_owned();
    UpstreamAuth::new(
        CredentialOwner::Shared,
        version,
        CredentialForm::Environment { variable },
        Secret::new(secret.to_owned()),
    )
}

pub(crate) fn call(id: impl Into<Value>, tool: &str, arguments: Value) -> Value {
    let params = Value::Object(
        [
            ("name".into(), tool.into()),
            ("arguments".into(), arguments),
        ]
        .into_iter()
        .collect(),
    );
    json!({"jsonrpc": "2.0", "id": id.into(), "method": "tools/call", "params": params})
}

impl Caller {
    pub(crate) fn new(upstream: &Upstream, user: &'static str) -> Self {
        Self {
            upstream: upstream.clone(),
            tenant: "default",
            server: "s",
            user,
            auth: UpstreamAuth::none(),
            session: None,
        }
    }

    pub(crate) const fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    pub(crate) fn with(&self, auth: UpstreamAuth) -> Self {
        Self {
            auth,
            ..self.clone()
        }
    }

    pub(crate) fn as_user(&self, user: &'static str) -> Self {
        Self {
            user,
            ..self.clone()
        }
    }

    pub(crate) fn at(&self, tenant: &'static str, server: &'static str) -> Self {
        Self {
            tenant,
            server,
            ..self.clone()
        }
    }

    pub(crate) fn in_session(&self, session: &str) -> Self {
        Self {
            session: Some(session.to_owned()),
            ..self.clone()
        }
    }

    pub(crate) fn session(&self) -> &str {
        self.session.as_deref().unwrap()
    }

    async fn permit(&self, request: Request<Bytes>) -> Request<Permitted> {
        let route = Route::new(
            TenantId::new(self.tenant).unwrap(),
            ServerName::new(self.server).unwrap(),
            &format!("https://gw.example/{}/{}", self.tenant, self.server),
            Default::default(),
        )
        .unwrap();
        let (mut parts, body) = request.into_parts();
        parts.extensions.insert(route.clone());
        parts.extensions.insert(self.auth.clone());
        let user = self.user.to_owned();
        let resolver = resolver_fn(move |_| {
            let party = Party::new(Subject::new("i", &user));
            Outcome::Identified(Box::new(Identity::user(party)))
        });
        let principal = authenticate(&resolver, &AnyIdentified, &SystemClock, &parts)
            .await
            .unwrap();
        let call = CallBody::parse(&route, &parts, body, &Default::default()).unwrap();
        let engine = engine_fn(|_, _| Decision::allow(["all"]));
        let permitted = authorize(&engine, &principal, call).await.unwrap();
        Request::from_parts(parts, permitted)
    }

    /// Sends a request and gives the head and the open body.
    pub(crate) async fn open(&self, request: Request<Bytes>) -> Response<AnswerBody> {
        let request = self.permit(request).await;
        soon(self.upstream.clone().oneshot(request)).await.unwrap()
    }

    pub(crate) async fn send(&self, request: Request<Bytes>) -> Response<Bytes> {
        let (parts, body) = self.open(request).await.into_parts();
        let body = soon(body.collect()).await.unwrap().to_bytes();
        Response::from_parts(parts, body)
    }

    pub(crate) fn modern(method: &str, id: i64, params: Value) -> Request<Bytes> {
        modern_request(URL, None, id, method, params)
    }

    pub(crate) fn legacy(&self, message: &Value) -> Request<Bytes> {
        legacy_request(URL, None, self.session.as_deref(), message)
    }

    pub(crate) fn bare(&self, method: &str) -> Request<Bytes> {
        let mut request = self.legacy(&Value::Null).map(|_| Bytes::new());
        *request.method_mut() = method.parse().unwrap();
        request
    }

    /// The answer to a modern call of a tool.
    pub(crate) async fn tool(&self, tool: &str, arguments: Value) -> Value {
        let params = json!({"name": tool, "arguments": arguments});
        message(&self.send(Self::modern("tools/call", 7, params)).await)
    }

    /// The answer to a legacy message.
    pub(crate) async fn says(&self, message: &Value) -> (StatusCode, Value) {
        let answer = self.send(self.legacy(message)).await;
        (answer.status(), gatewright_test_support::message(&answer))
    }

    /// The answer to a legacy call of a tool.
    pub(crate) async fn legacy_tool(&self, tool: &str, arguments: Value) -> Value {
        self.says(&call(7, tool, arguments)).await.1
    }

    /// Opens a session.
    pub(crate) async fn initialize(&self) -> Self {
        let answer = self.send(self.legacy(&initialize("2025-11-25"))).await;
        assert_eq!(answer.status(), 200, "{answer:?}");
        let session = answer.headers()["mcp-session-id"].to_str().unwrap();
        let opened = self.in_session(session);
        let note = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        assert_eq!(opened.says(&note).await.0, 202);
        opened
    }
}

pub(crate) fn initialize(version: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": "open", "method": "initialize", "params": {
        "protocolVersion": version, "capabilities": {"roots": {}},
        "clientInfo": {"name": "c", "version": "1"}}})
}

/// The messages of an event stream, as they come.
pub(crate) struct Events {
    body: AnswerBody,
    text: String,
}

impl Events {
    pub(crate) fn of(answer: Response<AnswerBody>) -> Self {
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        Self {
            body: answer.into_body(),
            text: String::new(),
        }
    }

    /// The next one; `None` when the stream has ended.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let data = event.strip_prefix("data: ").map(str::to_owned);
                self.text = rest.to_owned();
                if let Some(data) = data {
                    return Some(serde_json::from_str(&data).unwrap());
                }
                continue;
            }
            let frame = soon(self.body.frame()).await?.unwrap();
            let data = frame.into_data().unwrap();
            self.text.push_str(std::str::from_utf8(&data).unwrap());
        }
    }

    pub(crate) async fn all(mut self) -> Vec<Value> {
        let mut all = Vec::new();
        while let Some(message) = self.next().await {
            all.push(message);
        }
        all
    }
}

pub(crate) fn code(answer: &Value) -> i64 {
    answer["error"]["code"].as_i64().unwrap_or_default()
}
