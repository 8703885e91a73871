//! Which client talks to which server, and what it must find there.

use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};

use super::gateway::Gateway;
use super::peers::Peers;
use super::servers::{Call, Program, SERVERS, Server, WORKBENCH};
use super::{Tokens, label, token};

const MODERN: &str = "2026-07-28";
const LEGACY: &str = "2025-11-25";

/// A client, in one of its modes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Client {
    PythonModern,
    PythonLegacy,
    PythonAuto,
    Python1,
    TypeScriptModern,
    TypeScriptAuto,
    TypeScript1,
    RmcpModern,
    RmcpLegacy,
    /// `mcp-remote`, which the Python client speaks to over standard streams.
    Bridge,
}

/// The program that a client is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sdk {
    Python,
    Python1,
    TypeScript,
    TypeScript1,
    Rmcp,
}

impl Client {
    pub(super) const ALL: &[Self] = &[
        Self::PythonModern,
        Self::PythonLegacy,
        Self::PythonAuto,
        Self::Python1,
        Self::TypeScriptModern,
        Self::TypeScriptAuto,
        Self::TypeScript1,
        Self::RmcpModern,
        Self::RmcpLegacy,
        Self::Bridge,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::PythonModern => "python modern",
            Self::PythonLegacy => "python legacy",
            Self::PythonAuto => "python auto",
            Self::Python1 => "python 1.x",
            Self::TypeScriptModern => "typescript modern",
            Self::TypeScriptAuto => "typescript auto",
            Self::TypeScript1 => "typescript 1.x",
            Self::RmcpModern => "rmcp modern",
            Self::RmcpLegacy => "rmcp legacy",
            Self::Bridge => "mcp-remote",
        }
    }

    pub(super) const fn sdk(self) -> Sdk {
        match self {
            Self::PythonModern | Self::PythonLegacy | Self::PythonAuto | Self::Bridge => {
                Sdk::Python
            }
            Self::Python1 => Sdk::Python1,
            Self::TypeScriptModern | Self::TypeScriptAuto => Sdk::TypeScript,
            Self::TypeScript1 => Sdk::TypeScript1,
            Self::RmcpModern | Self::RmcpLegacy => Sdk::Rmcp,
        }
    }

    const fn mode(self) -> &'static str {
        match self {
            Self::PythonModern | Self::TypeScriptModern | Self::RmcpModern => "modern",
            Self::PythonAuto | Self::TypeScriptAuto => "auto",
            Self::PythonLegacy
            | Self::Python1
            | Self::TypeScript1
            | Self::RmcpLegacy
            | Self::Bridge => "legacy",
        }
    }

    /// A client that insists on the newest revision cannot talk to a server that has sessions only.
    pub(super) fn can_reach(self, server: &Server) -> bool {
        server.clients.contains(&self) && !(self.mode() == "modern" && server.legacy_only)
    }

    /// The revision in which this client and this server meet.
    fn meets(self, server: &Server) -> &'static str {
        match self.mode() {
            "modern" => MODERN,
            "auto" if !server.legacy_only => MODERN,
            _ => LEGACY,
        }
    }
}

/// What clients take; `checks.py` describes it.
pub(super) fn plan(
    client: Client,
    server: &Server,
    url: &str,
    tokens: &Tokens,
    bridge: &Value,
) -> Result<Value> {
    let member = token(tokens, &label(server, "member"))?;
    let elsewhere = SERVERS
        .iter()
        .find(|other| other.name != server.name)
        .map_or("", |other| other.name);
    Ok(json!({
        "url": url,
        "mode": client.mode(),
        "bridge": match client {
            Client::Bridge => bridge.clone(),
            _ => Value::Null,
        },
        "protocol": client.meets(server),
        "member": member,
        "visitor": token(tokens, &label(server, "visitor"))?,
        "rejected": {
            "signature of another token": spliced(member, token(tokens, &label(server, "visitor"))?),
            "for another server": token(tokens, &format!("{elsewhere} member"))?,
            "an ID token": token(tokens, &label(server, "id"))?,
            "not a token": "not.a.token",
        },
        "sees": {
            "member": server.member.seen(server.offers),
            "visitor": server.visitor.seen(server.offers),
        },
        "call": server.call.plan(),
        "result": server.result,
        "refused": server.refused.plan(),
        "limited": server.limited.iter().map(Call::plan).collect::<Vec<_>>(),
        "progress": server.progress.as_ref().map(Call::plan),
        "question": server.question.as_ref().map(|(call, result)| {
            json!({"call": call.plan(), "declined": result})
        }),
        "workbench": server.program == Program::Workbench,
    }))
}

/// What `inspector.py` takes.
pub(super) fn inspector_plan(
    peers: &Peers,
    server: &Server,
    url: &str,
    tokens: &Tokens,
    folder: &Path,
) -> Result<Value> {
    let eras = if server.legacy_only {
        json!({"legacy": LEGACY})
    } else {
        json!({"legacy": LEGACY, "modern": MODERN})
    };
    Ok(json!({
        "plan": plan(Client::PythonLegacy, server, url, tokens, &Value::Null)?,
        "command": peers.inspector_command(),
        "eras": eras,
        "home": folder.join("inspector"),
    }))
}

/// What `raw_http.py` takes.
pub(super) fn raw_plan(issuer: &str, gateway: &Gateway, tokens: &Tokens) -> Result<Value> {
    Ok(json!({
        "url": gateway.route(WORKBENCH.name),
        "issuer": issuer,
        "member": token(tokens, &label(&WORKBENCH, "member"))?,
        "robot": token(tokens, "robot")?,
        "for_member": token(tokens, "for_member")?,
        "for_visitor": token(tokens, "for_visitor")?,
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
