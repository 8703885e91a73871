//! Which era a server speaks: asked once, remembered, asked again when it is in doubt.

use std::{
    borrow::Cow,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use bytes::Bytes;
use gatewright_wire::{
    Envelope, Era, Id, Kind, Limits, Peer, Version, code, headers as names, json, sse::Scanner,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use tokio::{sync::Mutex, time::Instant};

use crate::{
    failure::Failure,
    headers::{self, EVENTS, JSON},
    service::Client,
    target::{EraSetting, Target},
};

/// How long a legacy verdict holds: servers learn the modern era by an update, never the other way.
const LEGACY_HOLDS: Duration = Duration::from_secs(5 * 60);
/// The largest answer to the probe, in bytes.
const LARGEST: usize = 1024 * 1024;
/// How many versions a server may name.
const MOST_VERSIONS: usize = 16;

/// What a server speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Spoken {
    /// `initialize` and sessions.
    Legacy,
    /// 2026-07-28 or later, as it says itself.
    Modern { supported: Arc<[String]> },
}

impl Spoken {
    fn modern_only() -> Self {
        let supported = Version::MODERN
            .iter()
            .map(|version| version.as_str().to_owned());
        Self::Modern {
            supported: supported.collect(),
        }
    }
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
        EraSetting::Modern => Some(Spoken::modern_only()),
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
    // Waiting for another call that asks counts, or a queue of them would wait for ever.
    let asked = tokio::time::timeout(target.timeouts().first_byte, async {
        let _asking = target.memory.asking.lock().await;
        if let Some(spoken) = target.memory.remembered() {
            return Ok(spoken);
        }
        let spoken = ask(client, url, credential).await?;
        target.memory.remember(&spoken);
        Ok(spoken)
    });
    asked.await.unwrap_or(Err(Failure::Timeout))
}

async fn ask(
    client: &Client,
    url: &Uri,
    credential: Option<&(HeaderName, HeaderValue)>,
) -> Result<Spoken, Failure> {
    let answer = client
        .request(discover(url, credential))
        .await
        .map_err(|error| Failure::unreachable(url, &error))?;
    let (parts, body) = answer.into_parts();
    let message = message(&parts.headers, body).await;
    match parts.status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(Failure::Credential),
        // What stands before a server says so when that is down. 500 is said by servers that the question upsets.
        StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT
        | StatusCode::TOO_MANY_REQUESTS
            if message.is_none() =>
        {
            Err(Failure::Unreachable)
        }
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
    fields.insert(header::CONTENT_TYPE, HeaderValue::from_static(JSON));
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

/// The JSON-RPC answer in a body of either form; nothing more is read.
async fn message(fields: &HeaderMap, mut body: Incoming) -> Option<Bytes> {
    if headers::is(fields, JSON) {
        let body = Limited::new(body, LARGEST).collect().await.ok()?;
        return Some(body.to_bytes()).filter(|message| is_answer(message));
    }
    if !headers::is(fields, EVENTS) {
        return None;
    }
    let (mut scanner, mut left) = (Scanner::new(LARGEST), LARGEST);
    loop {
        let data = body.frame().await?.ok()?.into_data().unwrap_or_default();
        left = left.checked_sub(data.len())?;
        scanner.push(data).ok()?;
        while let Some(event) = scanner.next_event() {
            if let Some(message) = event.data().filter(|data| is_answer(data)) {
                return Some(message);
            }
        }
    }
}

fn is_answer(message: &[u8]) -> bool {
    let limits = Limits {
        max_bytes: LARGEST,
        ..Limits::default()
    };
    Envelope::parse(message, Peer::Server, &limits).is_ok_and(|envelope| {
        let ours = envelope.id().is_none_or(|id| *id == Id::number(0));
        ours && matches!(envelope.kind(), Kind::Response | Kind::ErrorResponse)
    })
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
        // They are shown to clients: nothing that does not look like a version gets there.
        let looks_like_one = |version: &Cow<'_, str>| {
            version.len() <= 32
                && version
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        listed
            .into_iter()
            .filter_map(json::string)
            .filter(looks_like_one)
            .take(MOST_VERSIONS)
            .map(Cow::into_owned)
            .collect()
    };
    let modern = |supported: Vec<String>| {
        let knows = |version: &String| {
            Version::parse(version).is_some_and(|version| version.era() == Era::Modern)
        };
        if supported.iter().any(knows) {
            Spoken::Modern {
                supported: supported.into(),
            }
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
        | (Some(code::METHOD_NOT_FOUND), StatusCode::NOT_FOUND) => Spoken::modern_only(),
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
        let modern = Spoken::modern_only();
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
