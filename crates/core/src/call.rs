mod subscriptions;

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use gatewright_wire::{
    Disagreement, Envelope, EnvelopeError, Era, EraError, Id, ItemKind, Kind, Limits, MethodInfo,
    Peer, Version, headers,
};
use http::{HeaderMap, Method, StatusCode, request::Parts};
use http_body::{Body, Frame, SizeHint};

use crate::{AnswerBody, Route};

pub use self::subscriptions::SubscriptionsError;

/// What a call is. Every layer handles each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallKind {
    /// A JSON-RPC request: it gets an answer.
    Request,
    /// A JSON-RPC notification: it gets none.
    Notification,
    /// A JSON-RPC response: the answer of a client to a request of the server (legacy sessions only).
    Response,
    /// `GET`: opens the standing stream of a legacy session.
    Stream,
    /// `DELETE`: ends a legacy session.
    EndSession,
}

impl CallKind {
    /// A stable name for records and policies.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Notification => "notification",
            Self::Response => "response",
            Self::Stream => "stream",
            Self::EndSession => "end-session",
        }
    }
}

/// Why a request is not a call.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ParseCallError {
    /// The body is not one well-formed MCP message.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// The era cannot be told, or does not know the method.
    #[error("{error}")]
    Era {
        /// What is wrong.
        error: EraError,
        /// The id of the request, for the answer.
        id: Option<Id>,
    },
    /// Headers and body disagree (2026-07-28).
    #[error("{error}")]
    Headers {
        /// What is wrong.
        error: Disagreement,
        /// The id of the request, for the answer.
        id: Option<Id>,
    },
    /// A `GET` or `DELETE` with a body, or of a modern client.
    #[error("{0}")]
    Http(&'static str),
    /// Another HTTP method than POST, GET or DELETE.
    #[error("`{0}` is not a method of this endpoint: use POST, or GET and DELETE in a session")]
    Method(Method),
}

impl ParseCallError {
    /// The HTTP status of the answer.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Envelope(error) => error.status(),
            Self::Era { error, .. } => error.status(),
            Self::Headers { .. } | Self::Http(_) => StatusCode::BAD_REQUEST,
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
        }
    }
}

/// One call: what a client asks of a server, or a server of a client. Byte ranges over the original bytes;
/// there is no second copy to disagree with.
#[derive(Clone, Debug)]
pub struct Call {
    route: Route,
    from: Peer,
    kind: CallKind,
    era: Era,
    version: Option<Version>,
    envelope: Option<Arc<Envelope>>,
    bytes: Bytes,
}

impl Call {
    /// A message that the server behind `route` sends to a client: a call in reverse.
    ///
    /// # Errors
    /// [`EnvelopeError`] when it is not one well-formed message.
    pub fn from_server(
        route: &Route,
        era: Era,
        bytes: Bytes,
        limits: &Limits,
    ) -> Result<Self, EnvelopeError> {
        let envelope = Envelope::parse(&bytes, Peer::Server, limits)?;
        Ok(Self::of_server(route, era, bytes, Arc::new(envelope)))
    }

    /// The same of a message that was read already; `None` if the body is not made of one.
    #[must_use]
    pub fn from_answer(route: &Route, era: Era, answer: &AnswerBody) -> Option<Self> {
        let (bytes, envelope) = answer.read()?;
        Some(Self::of_server(
            route,
            era,
            bytes.clone(),
            Arc::clone(envelope),
        ))
    }

    /// The message as the body of an answer, which need not be read again.
    #[must_use]
    pub fn into_answer(self) -> AnswerBody {
        match self.envelope {
            Some(envelope) => AnswerBody::of_read(self.bytes, envelope),
            None => AnswerBody::empty(),
        }
    }

    fn of_server(route: &Route, era: Era, bytes: Bytes, envelope: Arc<Envelope>) -> Self {
        Self {
            route: route.clone(),
            from: Peer::Server,
            kind: kind_of(&envelope),
            era,
            version: None,
            envelope: Some(envelope),
            bytes,
        }
    }

    /// The call that uses an item of a list, without arguments: what a list filter asks about.
    ///
    /// # Errors
    /// [`EnvelopeError`] when no call can name the item.
    pub fn using(route: &Route, kind: ItemKind, name: &str) -> Result<Self, EnvelopeError> {
        let (method, field) = match kind {
            ItemKind::Tool => ("tools/call", "name"),
            ItemKind::Prompt => ("prompts/get", "name"),
            ItemKind::Resource | ItemKind::ResourceTemplate => ("resources/read", "uri"),
        };
        let message = serde_json::json!({"jsonrpc": "2.0", "id": 0, "method": method, "params": {field: name}});
        let bytes = Bytes::from(message.to_string());
        let envelope = Envelope::parse(&bytes, Peer::Client, &Limits::default())?;
        Ok(Self {
            route: route.clone(),
            from: Peer::Client,
            kind: CallKind::Request,
            era: Era::Modern,
            version: None,
            envelope: Some(Arc::new(envelope)),
            bytes,
        })
    }

    /// The endpoint, and with it tenant and server.
    #[must_use]
    pub const fn route(&self) -> &Route {
        &self.route
    }

    /// Who sends it.
    #[must_use]
    pub const fn from(&self) -> Peer {
        self.from
    }

    /// What it is.
    #[must_use]
    pub const fn kind(&self) -> CallKind {
        self.kind
    }

    /// The era of the protocol that it is written in.
    #[must_use]
    pub const fn era(&self) -> Era {
        self.era
    }

    /// The revision that it names; a legacy call may name none.
    #[must_use]
    pub const fn version(&self) -> Option<Version> {
        self.version
    }

    /// The parsed envelope; `Stream` and `EndSession` have none.
    #[must_use]
    pub fn envelope(&self) -> Option<&Envelope> {
        self.envelope.as_deref()
    }

    /// The message as it was sent; empty for `Stream` and `EndSession`.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The JSON-RPC method.
    #[must_use]
    pub fn method(&self) -> Option<&str> {
        self.envelope()?.method()
    }

    /// What we know of the method; `None` for methods that this version does not know.
    #[must_use]
    pub fn info(&self) -> Option<&'static MethodInfo> {
        self.envelope()?.info()
    }

    /// The JSON-RPC id.
    #[must_use]
    pub fn id(&self) -> Option<&Id> {
        self.envelope()?.id()
    }

    /// Name or URI of the tool, prompt or resource (or id of the task) that it is about.
    #[must_use]
    pub fn target(&self) -> Option<&str> {
        self.envelope()?.target()
    }

    /// The raw JSON text of `params.arguments`.
    #[must_use]
    pub fn arguments(&self) -> Option<&str> {
        let range = self.envelope()?.arguments_range()?;
        std::str::from_utf8(self.bytes.get(range)?).ok()
    }

    /// [`arguments`](Self::arguments) as a slice of the message that shares its memory.
    #[must_use]
    pub fn arguments_bytes(&self) -> Option<Bytes> {
        let range = self.envelope()?.arguments_range()?;
        (range.end <= self.bytes.len() && range.start <= range.end).then(|| self.bytes.slice(range))
    }

    /// The raw JSON text of `params`.
    #[must_use]
    pub fn params(&self) -> Option<&str> {
        let range = self.envelope()?.params_range()?;
        std::str::from_utf8(self.bytes.get(range)?).ok()
    }

    /// Whether the answer stays open for messages of later: a `GET` stream or `subscriptions/listen`.
    #[must_use]
    pub fn is_standing(&self) -> bool {
        self.kind == CallKind::Stream || self.method() == Some("subscriptions/listen")
    }
}

/// A request body that *is* a parsed call, and streams exactly the bytes that were parsed.
#[derive(Debug)]
pub struct CallBody {
    call: Call,
    sent: bool,
}

impl CallBody {
    /// The only maker: reads one MCP message, tells its era, and in the modern era holds the headers against
    /// the body.
    ///
    /// # Errors
    /// [`ParseCallError`] names the fault and the answer's status.
    pub fn parse(
        route: &Route,
        parts: &Parts,
        bytes: Bytes,
        limits: &Limits,
    ) -> Result<Self, ParseCallError> {
        let call = match parts.method {
            Method::POST => Self::message(route, &parts.headers, bytes, limits)?,
            Method::GET => Self::bare(route, CallKind::Stream, &parts.headers, bytes)?,
            Method::DELETE => Self::bare(route, CallKind::EndSession, &parts.headers, bytes)?,
            ref other => return Err(ParseCallError::Method(other.clone())),
        };
        Ok(Self { call, sent: false })
    }

    fn message(
        route: &Route,
        headers: &HeaderMap,
        bytes: Bytes,
        limits: &Limits,
    ) -> Result<Call, ParseCallError> {
        let envelope = Envelope::parse(&bytes, Peer::Client, limits)?;
        let id = || envelope.id().cloned();
        let (era, version) = headers::era(headers, &envelope, &bytes)
            .map_err(|error| ParseCallError::Era { error, id: id() })?;
        if era == Era::Modern {
            headers::agreement(headers, &envelope)
                .map_err(|error| ParseCallError::Headers { error, id: id() })?;
        }
        let kind = kind_of(&envelope);
        if era == Era::Modern && kind == CallKind::Response {
            return Err(ParseCallError::Http(
                "clients of 2026-07-28 send requests and notifications only",
            ));
        }
        let envelope = Some(Arc::new(envelope));
        Ok(Call {
            route: route.clone(),
            from: Peer::Client,
            kind,
            era,
            version,
            envelope,
            bytes,
        })
    }

    fn bare(
        route: &Route,
        kind: CallKind,
        headers: &HeaderMap,
        bytes: Bytes,
    ) -> Result<Call, ParseCallError> {
        if !bytes.is_empty() {
            return Err(ParseCallError::Http("GET and DELETE carry no body"));
        }
        let version =
            headers::version(headers).map_err(|error| ParseCallError::Era { error, id: None })?;
        if version.is_some_and(|version| version.era() == Era::Modern) {
            // 2026-07-28 has neither the standing stream nor sessions.
            return Err(ParseCallError::Method(match kind {
                CallKind::EndSession => Method::DELETE,
                _ => Method::GET,
            }));
        }
        let route = route.clone();
        Ok(Call {
            route,
            from: Peer::Client,
            kind,
            era: Era::Legacy,
            version,
            envelope: None,
            bytes,
        })
    }

    /// The call.
    #[must_use]
    pub const fn call(&self) -> &Call {
        &self.call
    }
}

fn kind_of(envelope: &Envelope) -> CallKind {
    match envelope.kind() {
        Kind::Request => CallKind::Request,
        Kind::Notification => CallKind::Notification,
        Kind::Response | Kind::ErrorResponse => CallKind::Response,
    }
}

impl Body for CallBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.is_end_stream() {
            return Poll::Ready(None);
        }
        self.sent = true;
        Poll::Ready(Some(Ok(Frame::data(self.call.bytes.clone()))))
    }

    fn is_end_stream(&self) -> bool {
        self.sent || self.call.bytes.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(if self.is_end_stream() {
            0
        } else {
            self.call.bytes.len() as u64
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route() -> Route {
        Route::single("s", "https://a/mcp").unwrap()
    }

    fn parse(request: http::Request<&'static str>) -> Result<CallBody, ParseCallError> {
        let (parts, body) = request.into_parts();
        CallBody::parse(&route(), &parts, body.into(), &Limits::default())
    }

    fn post(body: &'static str) -> http::Request<&'static str> {
        http::Request::post("/mcp").body(body).unwrap()
    }

    #[test]
    fn each_kind_of_call_is_told_apart() {
        for (request, kind) in [
            (
                post(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#),
                CallKind::Request,
            ),
            (
                post(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#),
                CallKind::Notification,
            ),
            (
                post(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#),
                CallKind::Response,
            ),
            (
                post(r#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"no"}}"#),
                CallKind::Response,
            ),
            (
                http::Request::get("/mcp").body("").unwrap(),
                CallKind::Stream,
            ),
            (
                http::Request::delete("/mcp").body("").unwrap(),
                CallKind::EndSession,
            ),
        ] {
            let call = parse(request).unwrap();
            assert_eq!(call.call().kind(), kind);
            assert_eq!(call.call().era(), Era::Legacy);
        }
    }

    #[test]
    fn other_http_methods_and_bodies_that_do_not_belong_are_refused() {
        let put = parse(http::Request::put("/mcp").body("").unwrap()).unwrap_err();
        assert_eq!(put.status(), StatusCode::METHOD_NOT_ALLOWED);
        let get = parse(http::Request::get("/mcp").body("{}").unwrap()).unwrap_err();
        assert_eq!(get.status(), StatusCode::BAD_REQUEST);
        let modern = http::Request::get("/mcp")
            .header("mcp-protocol-version", "2026-07-28")
            .body("");
        assert_eq!(
            parse(modern.unwrap()).unwrap_err().status(),
            StatusCode::METHOD_NOT_ALLOWED
        );
    }

    #[tokio::test]
    async fn the_body_is_exactly_what_was_parsed() {
        use http_body_util::BodyExt;
        let text = r#"{ "jsonrpc":"2.0", "x":1.50, "id":1,"method":"tools/call","params":{"name":"a","arguments":{"b": 1}} }"#;
        let call = parse(post(text)).unwrap();
        assert_eq!(call.call().arguments(), Some(r#"{"b": 1}"#));
        assert_eq!(call.call().arguments_bytes().unwrap(), r#"{"b": 1}"#);
        assert_eq!(call.call().target(), Some("a"));
        assert_eq!(call.collect().await.unwrap().to_bytes(), text);
    }

    #[test]
    fn headers_that_disagree_with_the_body_are_refused() {
        let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;
        let with = |name| {
            let request = http::Request::post("/mcp")
                .header("mcp-protocol-version", "2026-07-28")
                .header("mcp-method", "tools/call")
                .header("mcp-name", name);
            parse(request.body(body).unwrap())
        };
        assert_eq!(with("a").unwrap().call().era(), Era::Modern);
        let refused = with("b").unwrap_err();
        assert!(
            matches!(refused, ParseCallError::Headers { id: Some(_), .. }),
            "{refused}"
        );
    }
}
