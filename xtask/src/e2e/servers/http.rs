//! Servers that listen for HTTP.

use super::super::scenarios::Client;
use super::{Argument, Call, Offers, Permits, Program, Reach, Server};

pub(in crate::e2e) const WORKBENCH: Server = Server {
    name: "workbench",
    program: Program::Workbench,
    reach: Reach::Announced("Uvicorn running on "),
    legacy_only: false,
    offers: Offers::Everything,
    clients: Client::ALL,
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
    progress: Some(Call {
        tool: "steps",
        arguments: &[("count", Argument::Count(3))],
    }),
    limited: &[],
    question: None,
};

pub(super) const EVERYTHING_PY: Server = Server {
    name: "everything-py",
    program: Program::PythonEverything,
    reach: Reach::Announced("Uvicorn running on "),
    legacy_only: false,
    offers: Offers::Everything,
    clients: Client::ALL,
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
        when: "{}",
    },
    visitor: Permits {
        tools: &["test_simple_text", "test_streaming_elicitation"],
        ..Permits::NOTHING
    },
    call: Call::bare("test_simple_text"),
    result: "simple text",
    refused: Call::bare("test_image_content"),
    progress: Some(Call::bare("test_tool_with_progress")),
    limited: &[],
    question: Some((
        Call::bare("test_streaming_elicitation"),
        "elicitation decline",
    )),
};

pub(super) const EVERYTHING_NPM: Server = Server {
    name: "everything-npm",
    program: Program::NpmEverything,
    reach: Reach::Announced("listening on "),
    legacy_only: true,
    offers: Offers::Everything,
    clients: &[
        Client::PythonLegacy,
        Client::PythonAuto,
        Client::Python1,
        Client::TypeScriptAuto,
        Client::TypeScript1,
        Client::RmcpLegacy,
    ],
    scopes: "[]",
    member: Permits {
        tools: &["echo", "get-sum", "trigger-long-running-operation"],
        prompts: &["simple-prompt"],
        resources: &["demo://resource/static/document/features.md"],
        templates: &["demo://resource/dynamic/text/{resourceId}"],
        server_requests: &[],
        when: "{}",
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
    progress: Some(Call {
        tool: "trigger-long-running-operation",
        arguments: &[
            ("duration", Argument::Number(0.3)),
            ("steps", Argument::Count(3)),
        ],
    }),
    limited: &[],
    question: None,
};
