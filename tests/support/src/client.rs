use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::{client::legacy, client::legacy::connect::HttpConnector, rt::TokioExecutor};
use serde_json::{Value, json};

/// A plain HTTP client: it sends what it is given and follows nothing.
#[derive(Clone, Debug)]
pub struct Client(legacy::Client<HttpConnector, Full<Bytes>>);

impl Default for Client {
    fn default() -> Self {
        Self(legacy::Client::builder(TokioExecutor::new()).build_http())
    }
}

impl Client {
    /// Sends a request and reads the whole answer.
    pub async fn send(&self, request: Request<Bytes>) -> Response<Bytes> {
        let (head, body) = self.open(request).await.into_parts();
        let body = body
            .collect()
            .await
            .expect("the answer ends well")
            .to_bytes();
        Response::from_parts(head, body)
    }

    /// Sends a request and leaves the answer's body to the caller: to read it by pieces, or to drop it.
    pub async fn open(&self, request: Request<Bytes>) -> Response<Incoming> {
        self.0
            .request(request.map(Full::new))
            .await
            .expect("the server answers")
    }

    /// Sends a request to a server that may go away meanwhile: `None` where no whole answer comes.
    pub async fn try_send(&self, request: Request<Bytes>) -> Option<Response<Bytes>> {
        let answer = self.0.request(request.map(Full::new)).await.ok()?;
        let (head, body) = answer.into_parts();
        let body = body.collect().await.ok()?.to_bytes();
        Some(Response::from_parts(head, body))
    }

    /// Fetches a URL.
    pub async fn get(&self, url: &str) -> Response<Bytes> {
        self.send(
            Request::get(url)
                .body(Bytes::new())
                .expect("a well-formed request"),
        )
        .await
    }
}

/// A request of the modern era (2026-07-28) with its headers and `_meta`; what `params` holds already stays.
#[must_use]
pub fn modern_request(
    url: &str,
    token: Option<&str>,
    id: i64,
    method: &str,
    params: Value,
) -> Request<Bytes> {
    let mut params = params;
    let name = params.get("name").or_else(|| params.get("uri")).cloned();
    if let Some(fields) = params.as_object_mut() {
        let meta = fields.entry("_meta").or_insert_with(|| json!({}));
        if let Some(meta) = meta.as_object_mut() {
            let version = "io.modelcontextprotocol/protocolVersion";
            meta.entry(version).or_insert_with(|| json!("2026-07-28"));
            let capabilities = "io.modelcontextprotocol/clientCapabilities";
            meta.entry(capabilities).or_insert_with(|| json!({}));
        }
    }
    let mut request = request(url, token)
        .header("mcp-protocol-version", "2026-07-28")
        .header("mcp-method", method);
    let named = matches!(method, "tools/call" | "prompts/get" | "resources/read");
    if let Some(name) = name.as_ref().and_then(Value::as_str).filter(|_| named) {
        request = request.header("mcp-name", name);
    }
    let message = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
    request
        .body(message.to_string().into())
        .expect("a well-formed request")
}

/// A POST of the legacy era with this message, in this session if there is one.
#[must_use]
pub fn legacy_request(
    url: &str,
    token: Option<&str>,
    session: Option<&str>,
    message: &Value,
) -> Request<Bytes> {
    let mut request = request(url, token).header("mcp-protocol-version", "2025-11-25");
    if let Some(session) = session {
        request = request.header("mcp-session-id", session);
    }
    request
        .body(message.to_string().into())
        .expect("a well-formed request")
}

fn request(url: &str, token: Option<&str>) -> http::request::Builder {
    let request = Request::post(url)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::ACCEPT, "application/json, text/event-stream");
    match token {
        Some(token) => request.header(header::AUTHORIZATION, format!("Bearer {token}")),
        None => request,
    }
}

/// The JSON-RPC answer in a response, be it JSON or the last message of an event stream; `null` if there is none.
#[must_use]
pub fn message(response: &Response<Bytes>) -> Value {
    let is_stream = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"text/event-stream"));
    if !is_stream {
        return serde_json::from_slice(response.body()).unwrap_or(Value::Null);
    }
    let text = String::from_utf8_lossy(response.body());
    let mut messages = text
        .lines()
        .filter_map(|line| line.strip_prefix("data:"))
        .filter_map(|data| serde_json::from_str::<Value>(data.trim_start()).ok());
    messages
        .rfind(|message| message.get("method").is_none())
        .unwrap_or(Value::Null)
}
