//! The first words with a child: which era it speaks, and the handshake of the legacy era.

use std::{borrow::Cow, sync::Arc};

use bytes::Bytes;
use gatewright_wire::{Envelope, Era, Kind, Limits, Peer, Version, code, json};
use http::StatusCode;
use tokio::time::timeout;

use super::{
    link::{Audience, Known, Link, Question},
    session::Session,
};
use crate::{
    era::{self, Spoken},
    failure::Failure,
    target::{EraSetting, Target},
};

/// What ends the legacy handshake.
const INITIALIZED: &[u8] = br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
/// Capabilities that need something kept for one caller, and those of the members of others.
const OF_ONE: &[&str] = &["logging", "tasks"];
const OF_ONE_IN: &[&str] = &["subscribe", "listChanged"];

/// As a modern server. Unless its era is configured it is asked, each new child again: a legacy server could carry out,
/// under other rules, what no handshake has prepared it for (2026-07-28, stdio, Backward Compatibility).
pub(crate) async fn modern(
    link: Arc<Link>,
    target: &Target,
    audience: Audience,
) -> Result<(), Failure> {
    if target.era() == EraSetting::Probe {
        let spoken = probe(&link, target).await?;
        target.memory.remember(&spoken);
        if spoken == Spoken::Legacy {
            return Err(Failure::LegacyOnly);
        }
    }
    link.is_known_as(Known {
        era: Era::Modern,
        audience,
        greeting: None,
    });
    Ok(())
}

async fn probe(link: &Arc<Link>, target: &Target) -> Result<Spoken, Failure> {
    // A legacy server need not answer at all, and one that starts slowly is not to be taken for it.
    let patience = target.timeouts().first_byte / 2;
    match timeout(patience, ask(link, &era::question())).await {
        Ok(Ok(answer)) => Ok(era::verdict(StatusCode::OK, Some(&answer))),
        // Silence, and leaving at a first message that is not `initialize`, are how legacy servers say no.
        Err(_) | Ok(Err(Failure::Gone)) => Ok(Spoken::Legacy),
        Ok(Err(failure)) => Err(failure),
    }
}

/// As a legacy server without state, on behalf of all callers: the gateway itself is the client, without capabilities.
pub(crate) async fn for_callers(
    link: Arc<Link>,
    target: &Target,
    version: Version,
) -> Result<(), Failure> {
    let message = serde_json::json!({
        "jsonrpc": "2.0", "id": 0, "method": "initialize",
        "params": {
            "protocolVersion": version.as_str(),
            "capabilities": {},
            "clientInfo": {"name": "gatewright", "version": env!("CARGO_PKG_VERSION")},
        },
    });
    let answer = ask(&link, message.to_string().as_bytes()).await?;
    if !is_result(&answer)
        && let Some(failure) = refused(&link, target, &answer).await
    {
        return Err(failure);
    }
    let greeting = shared(opened(&answer)?);
    link.send(INITIALIZED).await?;
    link.is_known_as(Known {
        era: Era::Legacy,
        audience: Audience::Callers,
        greeting: Some(greeting),
    });
    Ok(())
}

/// As a legacy server whose session a client has opened already, with the client's own words.
pub(crate) async fn again(link: Arc<Link>, session: &Arc<Session>) -> Result<(), Failure> {
    let answer = ask(&link, session.opening()).await?;
    opened(&answer)?;
    link.send(INITIALIZED).await?;
    belongs(&link, session)
}

/// From here on the child speaks with the client of this session.
pub(crate) fn belongs(link: &Arc<Link>, session: &Arc<Session>) -> Result<(), Failure> {
    if !session.attach() {
        return Err(Failure::NoSession);
    }
    link.is_known_as(Known {
        era: Era::Legacy,
        audience: Audience::Session(Arc::downgrade(session)),
        greeting: None,
    });
    Ok(())
}

/// A request, and the answer under its own id.
pub(crate) async fn ask(link: &Arc<Link>, message: &[u8]) -> Result<Bytes, Failure> {
    let limits = Limits {
        max_bytes: message.len(),
        max_depth: Limits::DEEPEST,
    };
    let envelope = Envelope::parse(message, Peer::Client, &limits)
        .map_err(|_any| Failure::Protocol("the first words are not a message"))?;
    let exchange = link.begin(Question {
        envelope: &envelope,
        bytes: message,
        caller: None,
        standing: false,
    });
    exchange.await?.answer().await
}

/// The result of an `initialize` that was taken.
fn opened(answer: &Bytes) -> Result<&str, Failure> {
    let text = std::str::from_utf8(answer).unwrap_or_default();
    match json::member(text, "result") {
        Some(result) if json::member(result, "protocolVersion").is_some() => Ok(result),
        Some(_) => Err(Failure::Protocol("it opened no session")),
        None => Err(Failure::Protocol("it refused `initialize`")),
    }
}

/// Why `initialize` was refused, where the reason is that there is no version to agree on.
pub(crate) async fn refused(link: &Arc<Link>, target: &Target, answer: &[u8]) -> Option<Failure> {
    let text = std::str::from_utf8(answer).unwrap_or_default();
    if let Some(failure) = modern_only(text) {
        return Some(failure);
    }
    let spoken = match era::known(target) {
        Some(spoken) => spoken,
        None => {
            let spoken = probe(link, target).await.ok()?;
            target.memory.remember(&spoken);
            spoken
        }
    };
    match spoken {
        Spoken::Modern { supported } => only_modern(supported),
        Spoken::Legacy => None,
    }
}

/// What a refusal of `initialize` says of a server that names its versions.
fn modern_only(text: &str) -> Option<Failure> {
    let error = json::member(text, "error")?;
    let names = json::pointer(error, &["data", "supported"]);
    let supported: Vec<String> = names
        .and_then(json::items)?
        .into_iter()
        .filter_map(json::string)
        .filter(|name| name.len() <= 32 && name.bytes().all(|byte| byte.is_ascii_graphic()))
        .take(16)
        .map(Cow::into_owned)
        .collect();
    let modern = |name: &String| Version::parse(name).is_some_and(|it| it.era() == Era::Modern);
    let says_so = json::member(error, "code")
        .and_then(|raw| raw.parse::<i64>().ok())
        .is_some_and(|raw| raw == code::UNSUPPORTED_VERSION);
    if says_so || supported.iter().any(modern) {
        return only_modern(supported.into());
    }
    None
}

/// What is said where no version is left that `initialize` could agree on.
fn only_modern(supported: Arc<[String]>) -> Option<Failure> {
    let legacy = |name: &String| Version::parse(name).is_some_and(|it| it.era() == Era::Legacy);
    (!supported.iter().any(legacy)).then_some(Failure::ModernOnly { supported })
}

/// Whether it is a result and not an error.
pub(crate) fn is_result(answer: &Bytes) -> bool {
    let limits = Limits {
        max_bytes: answer.len(),
        max_depth: Limits::DEEPEST,
    };
    Envelope::parse(answer, Peer::Server, &limits)
        .is_ok_and(|envelope| envelope.kind() == Kind::Response)
}

/// The result as each of many callers may have it: without capabilities that would keep something for one of them.
fn shared(result: &str) -> String {
    let change = |(name, value): (&str, &str)| match name {
        "capabilities" => Some(members(value, |(name, value)| {
            if OF_ONE.contains(&name) {
                return None;
            }
            Some(members(value, |(name, value)| {
                (!OF_ONE_IN.contains(&name)).then(|| value.to_owned())
            }))
        })),
        _ => Some(value.to_owned()),
    };
    members(result, change)
}

/// An object with each member changed or left out; what is no object stays as it is.
fn members(object: &str, change: impl Fn((&str, &str)) -> Option<String>) -> String {
    let Some(members) = json::members(object) else {
        return object.to_owned();
    };
    let kept: Vec<String> = members
        .iter()
        .filter_map(|(name, value)| {
            let value = change((name, value))?;
            Some(format!("{}:{value}", json::quote(name)))
        })
        .collect();
    format!("{{{}}}", kept.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_server_has_no_capability_that_keeps_something_for_one() {
        let result = r#"{"protocolVersion":"2025-11-25","capabilities":{"logging":{},"tools":{"listChanged":true},
            "resources":{"subscribe":true,"listChanged":true,"x":1.50},"tasks":{},"completions":{}},"instructions":"a\nb"}"#;
        let read: serde_json::Value = serde_json::from_str(&shared(result)).unwrap();
        let expected = serde_json::json!({"protocolVersion": "2025-11-25", "instructions": "a\nb",
            "capabilities": {"tools": {}, "resources": {"x": 1.5}, "completions": {}}});
        assert_eq!(read, expected);
    }

    #[test]
    fn a_modern_server_is_known_by_its_refusal() {
        let refusal = Bytes::from_static(
            br#"{"jsonrpc":"2.0","id":1,"error":{"code":-32022,"message":"m","data":{"supported":["2026-07-28"]}}}"#,
        );
        let text = std::str::from_utf8(&refusal).unwrap();
        let supported = ["2026-07-28".to_owned()].into();
        assert_eq!(modern_only(text), Some(Failure::ModernOnly { supported }));
        let both = text.replace("[\"2026", "[\"2025-11-25\",\"2026");
        assert_eq!(modern_only(&both), None);
        let other = Bytes::from_static(
            br#"{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"m"}}"#,
        );
        assert!(matches!(opened(&other), Err(Failure::Protocol(_))));
    }
}
