//! Which client talks to which server, and what it must find there.

use anyhow::Result;
use serde_json::{Value, json};

use super::servers::{Program, SERVERS, Server};
use super::{Tokens, label, token};

const MODERN: &str = "2026-07-28";
const LEGACY: &str = "2025-11-25";

/// An official client, in one of its modes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Client {
    PythonModern,
    PythonLegacy,
    PythonAuto,
    TypeScript,
}

impl Client {
    pub(super) const ALL: [Self; 4] = [
        Self::PythonModern,
        Self::PythonLegacy,
        Self::PythonAuto,
        Self::TypeScript,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::PythonModern => "python modern",
            Self::PythonLegacy => "python legacy",
            Self::PythonAuto => "python auto",
            Self::TypeScript => "typescript",
        }
    }

    pub(super) const fn is_python(self) -> bool {
        !matches!(self, Self::TypeScript)
    }

    const fn mode(self) -> &'static str {
        match self {
            Self::PythonModern => "modern",
            Self::PythonAuto => "auto",
            Self::PythonLegacy | Self::TypeScript => "legacy",
        }
    }

    /// A client that insists on the newest revision cannot talk to a server that has sessions only.
    pub(super) const fn can_reach(self, server: &Server) -> bool {
        !(matches!(self, Self::PythonModern) && server.legacy_only)
    }

    /// The revision in which this client and this server meet.
    const fn meets(self, server: &Server) -> &'static str {
        match self {
            Self::PythonModern => MODERN,
            Self::PythonAuto if !server.legacy_only => MODERN,
            Self::PythonAuto | Self::PythonLegacy | Self::TypeScript => LEGACY,
        }
    }
}

/// What `sdk_client.py` and `sdk_client.mjs` take; the former describes it.
pub(super) fn plan(client: Client, server: &Server, url: &str, tokens: &Tokens) -> Result<Value> {
    let member = token(tokens, &label(server, "member"))?;
    let elsewhere = SERVERS
        .iter()
        .find(|other| other.name != server.name)
        .map_or("", |other| other.name);
    Ok(json!({
        "url": url,
        "mode": client.mode(),
        "protocol": client.meets(server),
        "member": member,
        "visitor": token(tokens, &label(server, "visitor"))?,
        "rejected": {
            "signature of another token": spliced(member, token(tokens, &label(server, "visitor"))?),
            "for another server": token(tokens, &format!("{elsewhere} member"))?,
            "an ID token": token(tokens, &label(server, "id"))?,
            "not a token": "not.a.token",
        },
        "sees": {"member": server.member.seen(), "visitor": server.visitor.seen()},
        "call": server.call.plan(),
        "result": server.result,
        "refused": server.refused.plan(),
        "progress": server.progress.plan(),
        "question": server.question.as_ref().map(|(call, result)| {
            json!({"call": call.plan(), "declined": result})
        }),
        "workbench": server.program == Program::Workbench,
    }))
}

/// One token's claims under another's signature.
fn spliced(claims: &str, signature: &str) -> String {
    let head = claims.rsplit_once('.').map_or(claims, |(head, _)| head);
    let tail = signature
        .rsplit_once('.')
        .map_or(signature, |(_, tail)| tail);
    format!("{head}.{tail}")
}
