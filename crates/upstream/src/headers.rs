use gatewright_core::{Call, CallKind, UnfitSecret, UpstreamAuth};
use gatewright_wire::headers::{
    LAST_EVENT_ID, MCP_METHOD, MCP_NAME, MCP_PARAM_PREFIX, MCP_PROTOCOL_VERSION, MCP_SESSION_ID,
};
use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::failure::Failure;

/// What may go up besides `Mcp-Param-*`. Everything else stays here: credentials, cookies, hop-by-hop headers,
/// addresses of callers.
static UP: [HeaderName; 7] = [
    MCP_PROTOCOL_VERSION,
    MCP_METHOD,
    MCP_NAME,
    MCP_SESSION_ID,
    LAST_EVENT_ID,
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
];

/// What may come down.
static DOWN: [HeaderName; 7] = [
    header::CONTENT_TYPE,
    header::CACHE_CONTROL,
    header::RETRY_AFTER,
    header::ALLOW,
    MCP_SESSION_ID,
    MCP_PROTOCOL_VERSION,
    HeaderName::from_static("x-accel-buffering"),
];

/// The headers of the request to the server.
pub(crate) fn up(client: &HeaderMap, call: &Call) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(12);
    for (name, value) in client {
        if UP.contains(name) || name.as_str().starts_with(MCP_PARAM_PREFIX) {
            headers.append(name, value.clone());
        }
    }
    let accept = match call.kind() {
        CallKind::Stream => "text/event-stream",
        _ => "application/json, text/event-stream",
    };
    headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
    if !call.bytes().is_empty() {
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
    }
    headers.insert(header::USER_AGENT, HeaderValue::from_static("gatewright"));
    headers
}

/// Headers that make the message itself, or that the protocol decides on: no credential goes into one of them.
static TAKEN: [HeaderName; 11] = [
    header::ACCEPT,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::EXPECT,
    header::HOST,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::USER_AGENT,
];

/// The header that carries the credential. It never stands in for one that the caller may send, so that no caller can
/// put another in its place or beside it.
pub(crate) fn credential(
    auth: &UpstreamAuth,
) -> Result<Option<(HeaderName, HeaderValue)>, Failure> {
    let header = auth.header().map_err(|UnfitSecret| {
        Failure::UnfitSecret(
            "the stored credential has characters that no header may have: store it again, without line breaks",
        )
    })?;
    match &header {
        None if auth.owner().is_some() => Err(Failure::CredentialForm(
            "it goes into an environment, and the server is reached over HTTP",
        )),
        Some((name, _))
            if TAKEN.contains(name)
                || UP.contains(name)
                || name.as_str().starts_with("mcp-")
                || name.as_str().starts_with("proxy-") =>
        {
            Err(Failure::CredentialForm("its header has another meaning"))
        }
        _ => Ok(header),
    }
}

/// The headers of the answer to the client.
pub(crate) fn down(server: &HeaderMap) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(8);
    for name in &DOWN {
        for value in server.get_all(name) {
            headers.append(name, value.clone());
        }
    }
    headers
}

/// Whether the content type is this one, whatever its parameters.
pub(crate) fn is(headers: &HeaderMap, essence: &str) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|value| value.trim().eq_ignore_ascii_case(essence))
}
