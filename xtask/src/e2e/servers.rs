//! The MCP servers behind the gateway, and who may see and call what there.

use serde_json::{Value, json};

/// An MCP server behind the gateway.
#[derive(Debug)]
pub(super) struct Server {
    /// Its name in the configuration, and so in its route.
    pub(super) name: &'static str,
    pub(super) program: Program,
    /// What stands before the URL in its log.
    pub(super) announces: &'static str,
    /// Whether it speaks only revisions with sessions.
    pub(super) legacy_only: bool,
    /// Which scopes its calls need, as the configuration says it.
    pub(super) scopes: &'static str,
    pub(super) member: Permits,
    pub(super) visitor: Permits,
    /// A call that members and visitors may make, and text of its result.
    pub(super) call: Call,
    pub(super) result: &'static str,
    /// A call that only members may make.
    pub(super) refused: Call,
    /// A call that reports three steps of progress.
    pub(super) progress: Call,
    /// A call in the course of which the server asks the client something, and text of its result when that declines.
    /// Members and visitors may make it, and only members may be asked.
    pub(super) question: Option<(Call, &'static str)>,
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

/// What a role permits: names of each kind, sorted. All of them exist.
#[derive(Debug)]
pub(super) struct Permits {
    pub(super) tools: &'static [&'static str],
    pub(super) prompts: &'static [&'static str],
    pub(super) resources: &'static [&'static str],
    pub(super) templates: &'static [&'static str],
    pub(super) server_requests: &'static [&'static str],
}

impl Permits {
    const NOTHING: Self = Self {
        tools: &[],
        prompts: &[],
        resources: &[],
        templates: &[],
        server_requests: &[],
    };

    /// What lists must hold.
    pub(super) fn seen(&self) -> Value {
        json!({
            "tools": self.tools,
            "prompts": self.prompts,
            "resources": self.resources,
            "templates": self.templates,
        })
    }
}

/// A call of a tool.
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
    const fn bare(tool: &'static str) -> Self {
        Self {
            tool,
            arguments: &[],
        }
    }

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

    pub(super) fn plan(&self) -> Value {
        json!({"tool": self.tool, "arguments": self.arguments()})
    }
}

pub(super) const WORKBENCH: Server = Server {
    name: "workbench",
    program: Program::Workbench,
    announces: "Uvicorn running on ",
    legacy_only: false,
    scopes: r#"[{ targets = ["blob"], scopes = ["mcp:write"] }]"#,
    member: Permits {
        tools: &[
            "blob",
            "headers",
            "secret",
            "steps",
            "wait",
            "was_cancelled",
        ],
        ..Permits::NOTHING
    },
    visitor: Permits {
        tools: &["headers"],
        ..Permits::NOTHING
    },
    call: Call::bare("headers"),
    result: "accept",
    refused: Call::bare("secret"),
    progress: Call {
        tool: "steps",
        arguments: &[("count", Argument::Count(3))],
    },
    question: None,
};

const EVERYTHING_PY: Server = Server {
    name: "everything-py",
    program: Program::PythonEverything,
    announces: "Uvicorn running on ",
    legacy_only: false,
    scopes: "[]",
    member: Permits {
        tools: &[
            "test_image_content",
            "test_simple_text",
            "test_streaming_elicitation",
            "test_tool_with_progress",
        ],
        prompts: &["test_simple_prompt"],
        resources: &["test://static-text"],
        templates: &["test://template/{id}/data"],
        server_requests: &["elicitation/create"],
    },
    visitor: Permits {
        tools: &["test_simple_text", "test_streaming_elicitation"],
        ..Permits::NOTHING
    },
    call: Call::bare("test_simple_text"),
    result: "simple text",
    refused: Call::bare("test_image_content"),
    progress: Call::bare("test_tool_with_progress"),
    question: Some((
        Call::bare("test_streaming_elicitation"),
        "elicitation decline",
    )),
};

const EVERYTHING_NPM: Server = Server {
    name: "everything-npm",
    program: Program::NpmEverything,
    announces: "listening on ",
    legacy_only: true,
    scopes: "[]",
    member: Permits {
        tools: &["echo", "get-sum", "trigger-long-running-operation"],
        prompts: &["simple-prompt"],
        resources: &["demo://resource/static/document/features.md"],
        templates: &["demo://resource/dynamic/text/{resourceId}"],
        server_requests: &[],
    },
    visitor: Permits {
        tools: &["echo"],
        ..Permits::NOTHING
    },
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
    question: None,
};

pub(super) const SERVERS: &[Server] = &[EVERYTHING_PY, EVERYTHING_NPM, WORKBENCH];
