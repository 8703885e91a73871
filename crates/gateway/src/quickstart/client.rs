//! What a small MCP client does: requests of both eras, answers as JSON or as an event stream.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::{
    client::legacy::{Client as HyperClient, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Value, json};

const MODERN: &str = "2026-07-28";
const LEGACY: &str = "2025-11-25";
const PATIENCE: Duration = Duration::from_secs(10);
const MOST_BYTES: usize = 1 << 20;

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendError {
    #[error("the request could not be made: {0}")]
    Request(#[from] http::Error),
    #[error("no answer: {0}")]
    Connection(#[from] hyper_util::client::legacy::Error),
    #[error("the answer broke off: {0}")]
    Body(Box<dyn std::error::Error + Send + Sync>),
    #[error("no answer within {} seconds", PATIENCE.as_secs())]
    Timeout,
}

/// A status, headers and the JSON of a body.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// The JSON-RPC answer, or another document; `null` if there is neither.
    pub(super) message: Value,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

#[derive(Clone, Debug)]
pub(super) struct Client(HyperClient<HttpConnector, Full<Bytes>>);

impl Client {
    pub(super) fn new() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Self(HyperClient::builder(TokioExecutor::new()).build(connector))
    }

    pub(super) async fn get(&self, url: &str) -> Result<Answer, SendError> {
        self.send(Request::get(url).body(Full::default())?).await
    }

    /// One stateless request of the modern era (2026-07-28), with its headers and `_meta`.
    pub(super) async fn modern(
        &self,
        url: &str,
        token: Option<&str>,
        method: &str,
        params: &Value,
    ) -> Result<Answer, SendError> {
        let mut params = params.as_object().cloned().unwrap_or_default();
        let mut request = post(url, token, MODERN).header("mcp-method", method);
        if let Some(name) = params.get("name").and_then(Value::as_str) {
            request = request.header("mcp-name", name);
        }
        params.insert(
            "_meta".to_owned(),
            json!({
                "io.modelcontextprotocol/protocolVersion": MODERN,
                "io.modelcontextprotocol/clientCapabilities": {},
                "io.modelcontextprotocol/clientInfo": this(),
            }),
        );
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        self.send(request.body(message.to_string().into())?).await
    }

    /// The handshake of the legacy era; the answer's `Mcp-Session-Id` names the session.
    pub(super) async fn initialize(&self, url: &str, token: &str) -> Result<Answer, SendError> {
        let params = json!({"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": this()});
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params});
        self.send(post(url, Some(token), LEGACY).body(message.to_string().into())?)
            .await
    }

    /// A message within a session of the legacy era.
    pub(super) async fn in_session(
        &self,
        url: &str,
        token: &str,
        session: &str,
        message: &Value,
    ) -> Result<Answer, SendError> {
        let request = post(url, Some(token), LEGACY).header("mcp-session-id", session);
        self.send(request.body(message.to_string().into())?).await
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Result<Answer, SendError> {
        let answer = async {
            let (head, body) = self.0.request(request).await?.into_parts();
            let body = Limited::new(body, MOST_BYTES)
                .collect()
                .await
                .map_err(SendError::Body)?
                .to_bytes();
            let is_stream = head
                .headers
                .get(header::CONTENT_TYPE)
                .is_some_and(|value| value.as_bytes().starts_with(b"text/event-stream"));
            let message = if is_stream {
                answer_in(&body)
            } else {
                serde_json::from_slice(&body).ok()
            };
            Ok(Answer {
                status: head.status,
                headers: head.headers,
                message: message.unwrap_or_default(),
            })
        };
        // A timeout is an answer of its own: the elapsed error says nothing more.
        tokio::time::timeout(PATIENCE, answer)
            .await
            .unwrap_or(Err(SendError::Timeout))
    }
}

fn this() -> Value {
    json!({"name": "gatewright-quickstart", "version": env!("CARGO_PKG_VERSION")})
}

fn post(url: &str, token: Option<&str>, version: &str) -> http::request::Builder {
    let request = Request::post(url)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::ACCEPT, "application/json, text/event-stream")
        .header("mcp-protocol-version", version);
    match token {
        Some(token) => request.header(header::AUTHORIZATION, format!("Bearer {token}")),
        None => request,
    }
}

/// The answer among the messages of an event stream: the last one that is neither request nor notification.
fn answer_in(stream: &[u8]) -> Option<Value> {
    String::from_utf8_lossy(stream)
        .lines()
        .filter_map(|line| line.strip_prefix("data:"))
        .filter_map(|data| serde_json::from_str::<Value>(data.trim_start()).ok())
        .rfind(|message| message.get("method").is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_of_a_stream_is_neither_a_priming_event_nor_a_notification() {
        let stream =
            b"id: 0\nretry: 3000\ndata:\n\ndata: {\"method\":\"notifications/progress\"}\n\n\
            data: {\"id\":1,\"result\":{}}\n\n";
        assert_eq!(answer_in(stream), Some(json!({"id": 1, "result": {}})));
        assert_eq!(answer_in(b": nothing\n\n"), None);
    }
}
