//! Which era a server speaks: asked once, remembered, asked again when it is in doubt.

use std::{
    sync::{PoisonError, RwLock},
    time::Duration,
};

use bytes::Bytes;
use gatewright_wire::{
    Envelope, Id, Kind, Limits, Peer, Version, code, headers as names, json, sse::Scanner,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use tokio::{sync::Mutex, time::Instant};

use crate::{
    failure::Failure,
    headers,
    service::Client,
    target::{EraSetting, Target},
};

/// How long a legacy verdict holds: servers learn the modern era by an update, never the other way.
const LEGACY_HOLDS: Duration = Duration::from_secs(5 * 60);
/// The largest answer to the probe, in bytes.
const LARGEST: usize = 1024 * 1024;

/// What a server speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Spoken {
    /// `initialize` and sessions.
    Legacy,
    /// 2026-07-28 or later, as it says itself; it may take `initialize` too.
    Modern { supported: Vec<String> },
}

/// What is remembered of a server.
#[derive(Debug, Default)]
pub(crate) struct EraMemory {
    verdict: RwLock<Option<(Spoken, Instant)>>,
    /// Held while asking, so that a burst of calls asks once.
    asking: Mutex<()>,
}

impl EraMemory {
    pub(crate) fn remembered(&self) -> Option<Spoken> {
        let verdict = self.verdict.read().unwrap_or_else(PoisonError::into_inner);
        match verdict.as_ref()? {
            (Spoken::Legacy, since) if since.elapsed() > LEGACY_HOLDS => None,
            (spoken, _) => Some(spoken.clone()),
        }
    }

    pub(crate) fn remember(&self, spoken: &Spoken) {
        let verdict = Some((spoken.clone(), Instant::now()));
        *self.verdict.write().unwrap_or_else(PoisonError::into_inner) = verdict;
    }

    /// The next call asks again.
    pub(crate) fn forget(&self) {
        *self.verdict.write().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// What is known of the server's era without asking it.
pub(crate) fn known(target: &Target) -> Option<Spoken> {
    match target.era() {
        EraSetting::Legacy => Some(Spoken::Legacy),
        EraSetting::Modern => Some(Spoken::Modern {
            supported: vec![Version::V2026_07_28.as_str().to_owned()],
        }),
        EraSetting::Probe => target.memory.remembered(),
    }
}

/// What the server at `url` speaks. It is asked under the caller's credential, since servers may answer nothing
/// without one; a refusal of the credential says nothing of the era and is not remembered.
pub(crate) async fn spoken(
    client: &Client,
    target: &Target,
    url: &Uri,
    credential: Option<&(HeaderName, HeaderValue)>,
) -> Result<Spoken, Failure> {
    if let Some(spoken) = known(target) {
        return Ok(spoken);
    }
    let _asking = target.memory.asking.lock().await;
    if let Some(spoken) = target.memory.remembered() {
        return Ok(spoken);
    }
    let request = discover(url, credential);
    let asked = tokio::time::timeout(target.timeouts().first_byte, ask(client, request)).await;
    let spoken = asked.unwrap_or(Err(Failure::Timeout))?;
    target.memory.remember(&spoken);
    Ok(spoken)
}

async fn ask(client: &Client, request: Request<Full<Bytes>>) -> Result<Spoken, Failure> {
    let answer = client
        .request(request)
        .await
        .map_err(|_any| Failure::Unreachable)?;
    let (parts, body) = answer.into_parts();
    let Ok(body) = Limited::new(body, LARGEST).collect().await else {
        return Err(Failure::Unreachable);
    };
    let message = message(&parts.headers, body.to_bytes());
    match parts.status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(Failure::Credential),
        status if status.is_server_error() && message.is_none() => Err(Failure::Unreachable),
        status => Ok(verdict(status, message.as_deref())),
    }
}

/// The probe: what a modern server must answer, and no legacy server knows.
pub(crate) fn question() -> Bytes {
    let version = Version::V2026_07_28.as_str();
    let message = serde_json::json!({
        "jsonrpc": "2.0", "id": 0, "method": "server/discover",
        "params": {"_meta": {
            "io.modelcontextprotocol/protocolVersion": version,
            "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/clientInfo": {"name": "gatewright", "version": env!("CARGO_PKG_VERSION")},
        }},
    });
    Bytes::from(message.to_string())
}

fn discover(url: &Uri, credential: Option<&(HeaderName, HeaderValue)>) -> Request<Full<Bytes>> {
    let version = Version::V2026_07_28.as_str();
    let mut request = Request::new(Full::new(question()));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = url.clone();
    let fields = request.headers_mut();
    fields.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    fields.insert(
        header::ACCEPT,
        HeaderValue::from_static("application/json, text/event-stream"),
    );
    fields.insert(header::USER_AGENT, HeaderValue::from_static("gatewright"));
    fields.insert(
        names::MCP_PROTOCOL_VERSION,
        HeaderValue::from_static(version),
    );
    fields.insert(
        names::MCP_METHOD,
        HeaderValue::from_static("server/discover"),
    );
    if let Some((name, value)) = credential {
        fields.insert(name, value.clone());
    }
    request
}

/// The JSON-RPC answer in a body of either form.
fn message(fields: &HeaderMap, body: Bytes) -> Option<Bytes> {
    let message = if headers::is(fields, "text/event-stream") {
        let mut scanner = Scanner::new(LARGEST);
        scanner.push(body).ok()?;
        std::iter::from_fn(|| scanner.next_event())
            .filter_map(|event| event.data())
            .last()?
    } else {
        body
    };
    let envelope = Envelope::parse(
        &message,
        Peer::Server,
        &Limits {
            max_bytes: LARGEST,
            ..Limits::default()
        },
    )
    .ok()?;
    let ours = envelope.id().is_none_or(|id| *id == Id::number(0));
    (ours && matches!(envelope.kind(), Kind::Response | Kind::ErrorResponse)).then_some(message)
}

/// A result, or an error that only the modern era has, comes from a modern server. Everything else is what a
/// server says that does not know the method: not one code, but the absence of the modern ones.
pub(crate) fn verdict(status: StatusCode, message: Option<&[u8]>) -> Spoken {
    let text = message
        .and_then(|message| std::str::from_utf8(message).ok())
        .unwrap_or_default();
    let versions = |path: &[&str]| -> Vec<String> {
        let listed = json::pointer(text, path)
            .and_then(json::items)
            .unwrap_or_default();
        listed
            .into_iter()
            .filter_map(json::string)
            .map(|version| version.chars().take(32).collect())
            .collect()
    };
    let modern = |supported: Vec<String>| {
        let knows = |version: &String| {
            Version::parse(version).is_some_and(|version| Version::MODERN.contains(&version))
        };
        if supported.iter().any(knows) {
            Spoken::Modern { supported }
        } else {
            Spoken::Legacy
        }
    };
    if json::pointer(text, &["result"]).is_some() {
        return modern(versions(&["result", "supportedVersions"]));
    }
    let error = json::pointer(text, &["error", "code"]).and_then(|code| code.parse::<i64>().ok());
    match (error, status) {
        (Some(code::UNSUPPORTED_VERSION), _) => modern(versions(&["error", "data", "supported"])),
        (Some(code::HEADER_MISMATCH | code::MISSING_CAPABILITY), _)
        | (Some(code::METHOD_NOT_FOUND), StatusCode::NOT_FOUND) => Spoken::Modern {
            supported: vec![Version::V2026_07_28.as_str().to_owned()],
        },
        _ => Spoken::Legacy,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(status: u16, message: &str) -> Spoken {
        verdict(
            StatusCode::from_u16(status).unwrap(),
            Some(message.as_bytes()),
        )
    }

    #[test]
    fn modern_servers_are_known_by_what_only_they_say() {
        let modern = Spoken::Modern {
            supported: vec!["2026-07-28".to_owned()],
        };
        for (status, message) in [
            (
                200,
                r#"{"jsonrpc":"2.0","id":0,"result":{"supportedVersions":["2026-07-28"]}}"#,
            ),
            (
                400,
                r#"{"jsonrpc":"2.0","id":0,"error":{"code":-32020,"message":"m"}}"#,
            ),
            (
                400,
                r#"{"jsonrpc":"2.0","id":0,"error":{"code":-32021,"message":"m"}}"#,
            ),
            (
                400,
                r#"{"jsonrpc":"2.0","id":0,"error":{"code":-32022,"message":"m","data":{"supported":["2026-07-28"]}}}"#,
            ),
            (
                404,
                r#"{"jsonrpc":"2.0","id":0,"error":{"code":-32601,"message":"m"}}"#,
            ),
        ] {
            assert_eq!(says(status, message), modern, "{message}");
        }
    }

    #[test]
    fn everything_else_is_a_legacy_server() {
        for (status, message) in [
            (
                400,
                r#"{"jsonrpc":"2.0","id":0,"error":{"code":-32000,"message":"Bad Request"}}"#,
            ),
            (
                200,
                r#"{"jsonrpc":"2.0","id":0,"error":{"code":-32601,"message":"m"}}"#,
            ),
            (
                200,
                r#"{"jsonrpc":"2.0","id":0,"result":{"supportedVersions":["2025-11-25"]}}"#,
            ),
            (404, "Not Found"),
            (405, ""),
        ] {
            assert_eq!(says(status, message), Spoken::Legacy, "{message}");
        }
    }
}
