use gatewright_core::{Call, CallKind, UnfitSecret, UpstreamAuth};
use gatewright_wire::{
    Era,
    headers::{
        LAST_EVENT_ID, MCP_METHOD, MCP_NAME, MCP_PARAM_PREFIX, MCP_PROTOCOL_VERSION, MCP_SESSION_ID,
    },
};
use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::failure::Failure;

pub(crate) const JSON: &str = "application/json";
pub(crate) const EVENTS: &str = "text/event-stream";

/// What may go up as it came (W3C Trace Context). Everything else that is not of the protocol stays here:
/// credentials, cookies, hop-by-hop headers, addresses of callers.
static TRACE: [HeaderName; 2] = [
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
];

/// What may come down.
static DOWN: [HeaderName; 6] = [
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
    copy_single(client, &MCP_PROTOCOL_VERSION, &mut headers);
    match call.era() {
        // `initialize` opens a session: an id that comes along means nothing.
        Era::Legacy if call.method() == Some("initialize") => {}
        Era::Legacy => {
            copy_single(client, &MCP_SESSION_ID, &mut headers);
            // Without a session, whose stream it is would be known by the id of an event alone (invariant 6).
            if call.kind() == CallKind::Stream && headers.contains_key(&MCP_SESSION_ID) {
                copy_single(client, &LAST_EVENT_ID, &mut headers);
            }
        }
        // Only here was held against the body what these headers say; in a legacy call they would reach a server
        // that believes them unchecked.
        Era::Modern => {
            copy_single(client, &MCP_METHOD, &mut headers);
            if call.info().is_none_or(|info| info.named_in_header) {
                copy_single(client, &MCP_NAME, &mut headers);
            }
            for (name, value) in client {
                if name.as_str().starts_with(MCP_PARAM_PREFIX) {
                    headers.append(name, value.clone());
                }
            }
        }
    }
    for name in &TRACE {
        for value in client.get_all(name) {
            headers.append(name, value.clone());
        }
    }
    let accept = match call.kind() {
        CallKind::Stream => EVENTS,
        _ => "application/json, text/event-stream",
    };
    headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
    if !call.bytes().is_empty() {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(JSON));
    }
    headers.insert(header::USER_AGENT, HeaderValue::from_static("gatewright"));
    headers
}

/// A header that stands twice says nothing.
fn copy_single(from: &HeaderMap, name: &HeaderName, to: &mut HeaderMap) {
    let mut values = from.get_all(name).iter();
    if let (Some(value), None) = (values.next(), values.next()) {
        to.insert(name, value.clone());
    }
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

/// Whether a credential may go up in this header: not in one that makes the message, or that callers may send.
#[must_use]
pub fn may_carry_credential(name: &HeaderName) -> bool {
    !(TAKEN.contains(name)
        || TRACE.contains(name)
        || name == LAST_EVENT_ID
        || name.as_str().starts_with("mcp-")
        || name.as_str().starts_with("proxy-"))
}

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
        Some((name, _)) if !may_carry_credential(name) => {
            Err(Failure::CredentialForm("its header has another meaning"))
        }
        _ => Ok(header),
    }
}

/// The headers of the answer to the client. 2026-07-28 has no sessions.
pub(crate) fn down(server: &HeaderMap, era: Era) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(8);
    for name in &DOWN {
        for value in server.get_all(name) {
            headers.append(name, value.clone());
        }
    }
    if era == Era::Modern {
        headers.remove(&MCP_SESSION_ID);
    }
    headers
}

/// Whether the content is of this type, whatever its parameters, and can be read as it is.
pub(crate) fn is(headers: &HeaderMap, essence: &str) -> bool {
    let typed = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|value| value.trim().eq_ignore_ascii_case(essence));
    // Nobody asked for a compressed answer.
    let mut encodings = headers.get_all(header::CONTENT_ENCODING).iter();
    typed && encodings.all(|value| value.as_bytes().eq_ignore_ascii_case(b"identity"))
}
