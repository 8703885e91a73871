//! Which client talks to which server, and what it must find there.

use anyhow::Result;
use serde_json::{Value, json};

use super::{Tokens, label, token};

const MODERN: &str = "2026-07-28";
const LEGACY: &str = "2025-11-25";

/// An MCP server behind the gateway.
#[derive(Debug)]
pub(super) struct Server {
    /// Its name in the configuration, and so in its route.
    pub(super) name: &'static str,
    pub(super) program: Program,
    /// What stands before the URL in its log.
    pub(super) announces: &'static str,
    /// Whether it speaks only revisions with sessions.
    legacy_only: bool,
    /// What members see, sorted.
    pub(super) member_tools: &'static [&'static str],
    /// What visitors see, sorted.
    pub(super) visitor_tools: &'static [&'static str],
    /// A call that members and visitors may make, and text of its result.
    pub(super) call: Call,
    result: &'static str,
    /// A call that only members may make.
    refused: Call,
    /// A call that reports three steps of progress.
    progress: Call,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Program {
    /// The everything-server of the Python SDK.
    PythonEverything,
    /// The reference everything-server from npm.
    NpmEverything,
    /// `tests/e2e/servers/workbench.py`.
    Workbench,
}

#[derive(Debug)]
pub(super) struct Call {
    pub(super) tool: &'static str,
    /// Names and numbers or texts of arguments.
    arguments: &'static [(&'static str, Argument)],
}

#[derive(Debug)]
enum Argument {
    Text(&'static str),
    Number(f64),
    Count(u64),
}

impl Call {
    pub(super) fn arguments(&self) -> Value {
        let value = |argument: &Argument| match argument {
            Argument::Text(text) => json!(text),
            Argument::Number(number) => json!(number),
            Argument::Count(count) => json!(count),
        };
        self.arguments
            .iter()
            .map(|(name, argument)| ((*name).to_owned(), value(argument)))
            .collect()
    }
}

pub(super) const WORKBENCH: Server = Server {
    name: "workbench",
    program: Program::Workbench,
    announces: "Uvicorn running on ",
    legacy_only: false,
    member_tools: &[
        "blob",
        "headers",
        "secret",
        "steps",
        "wait",
        "was_cancelled",
    ],
    visitor_tools: &["headers"],
    call: Call {
        tool: "headers",
        arguments: &[],
    },
    result: "accept",
    refused: Call {
        tool: "secret",
        arguments: &[],
    },
    progress: Call {
        tool: "steps",
        arguments: &[("count", Argument::Count(3))],
    },
};

pub(super) const SERVERS: &[Server] = &[
    Server {
        name: "everything-py",
        program: Program::PythonEverything,
        announces: "Uvicorn running on ",
        legacy_only: false,
        member_tools: &[
            "test_image_content",
            "test_simple_text",
            "test_tool_with_progress",
        ],
        visitor_tools: &["test_simple_text"],
        call: Call {
            tool: "test_simple_text",
            arguments: &[],
        },
        result: "simple text",
        refused: Call {
            tool: "test_image_content",
            arguments: &[],
        },
        progress: Call {
            tool: "test_tool_with_progress",
            arguments: &[],
        },
    },
    Server {
        name: "everything-npm",
        program: Program::NpmEverything,
        announces: "listening on ",
        legacy_only: true,
        member_tools: &["echo", "get-sum", "trigger-long-running-operation"],
        visitor_tools: &["echo"],
        call: Call {
            tool: "echo",
            arguments: &[("message", Argument::Text("hi"))],
        },
        result: "Echo: hi",
        refused: Call {
            tool: "get-sum",
            arguments: &[("a", Argument::Count(1)), ("b", Argument::Count(2))],
        },
        progress: Call {
            tool: "trigger-long-running-operation",
            arguments: &[
                ("duration", Argument::Number(0.3)),
                ("steps", Argument::Count(3)),
            ],
        },
    },
    WORKBENCH,
];

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
        "member_sees": server.member_tools,
        "visitor_sees": server.visitor_tools,
        "call": {"tool": server.call.tool, "arguments": server.call.arguments(), "text": server.result},
        "refused": {"tool": server.refused.tool, "arguments": server.refused.arguments()},
        "progress": {"tool": server.progress.tool, "arguments": server.progress.arguments(), "steps": 3},
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
