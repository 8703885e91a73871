//! What a browser needs to know before a page may call (Fetch, CORS protocol). Pages of other origins get nothing.

use std::sync::Arc;

use gatewright_core::AnswerBody;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header, request::Parts};

/// Headers of answers that scripts need: a session to go on with, and the challenge.
const READABLE: &str = "mcp-session-id, mcp-protocol-version, www-authenticate, retry-after";

/// The origins whose pages may call.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origins(Arc<[String]>);

impl Origins {
    pub(crate) fn new(origins: impl IntoIterator<Item = String>) -> Self {
        Self(origins.into_iter().collect())
    }

    /// The request's origin, if it is one of these.
    pub(crate) fn of(&self, parts: &Parts) -> Option<Origin> {
        let mut given = parts.headers.get_all(header::ORIGIN).iter();
        let (Some(origin), None) = (given.next(), given.next()) else {
            return None;
        };
        let known = |known: &String| known.as_bytes() == origin.as_bytes();
        self.0.iter().any(known).then(|| Origin(origin.clone()))
    }

    /// The answer to a preflight of one of these. It carries no credential, so it is answered before any challenge;
    /// every other preflight is a request without a credential.
    pub(crate) fn preflight(&self, parts: &Parts) -> Option<Response<AnswerBody>> {
        if parts.method != Method::OPTIONS {
            return None;
        }
        parts.headers.get(header::ACCESS_CONTROL_REQUEST_METHOD)?;
        let origin = self.of(parts)?;
        let mut answer = Response::new(AnswerBody::empty());
        *answer.status_mut() = StatusCode::NO_CONTENT;
        origin.may_read(&mut answer);
        let headers = answer.headers_mut();
        let methods = HeaderValue::from_static("GET, POST, DELETE");
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
        // The page is trusted, and `Mcp-Param-*` are as many as tools have parameters: what it asks for it may send.
        if let Some(asked) = parts.headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
        }
        headers.insert(
            header::ACCESS_CONTROL_MAX_AGE,
            HeaderValue::from_static("600"),
        );
        Some(answer)
    }
}

/// An origin whose pages may call.
pub(crate) struct Origin(HeaderValue);

impl Origin {
    /// Lets the page read the answer. Without `Access-Control-Allow-Credentials`: tokens are sent by the page itself.
    pub(crate) fn may_read(self, answer: &mut Response<AnswerBody>) {
        let headers = answer.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, self.0);
        headers.append(header::VARY, HeaderValue::from_static("origin"));
        let readable = HeaderValue::from_static(READABLE);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, readable);
    }
}

/// Lets every page read, as for a public document.
pub(crate) fn anybody_may_read(headers: &mut HeaderMap) {
    let anybody = HeaderValue::from_static("*");
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, anybody.clone());
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, anybody);
    let methods = HeaderValue::from_static("GET, HEAD");
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
}
