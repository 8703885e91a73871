//! Servers that the gateway starts as processes.

use super::super::scenarios::Client;
use super::http::EVERYTHING_NPM;
use super::{Argument, Call, Offers, Permits, Program, Reach, Server};

pub(super) const EVERYTHING_STDIO: Server = Server {
    name: "everything-stdio",
    reach: Reach::Process,
    clients: &[Client::PythonLegacy, Client::TypeScript1],
    ..EVERYTHING_NPM
};

/// What visitors may read is in one folder of two.
pub(in crate::e2e) const FILES: Server = Server {
    name: "files",
    program: Program::Files,
    reach: Reach::Process,
    legacy_only: true,
    offers: Offers::Tools,
    clients: &[
        Client::PythonAuto,
        Client::TypeScriptAuto,
        Client::TypeScript1,
        Client::RmcpLegacy,
    ],
    scopes: "[]",
    member: Permits {
        tools: &["list_directory", "read_text_file", "write_file"],
        ..Permits::NOTHING
    },
    visitor: Permits {
        tools: &["read_text_file"],
        when: r#"{ arguments = [{ argument = "path", like = "public/*" }] }"#,
        ..Permits::NOTHING
    },
    call: Call {
        tool: "read_text_file",
        arguments: &[("path", Argument::Text("public/note.txt"))],
    },
    result: "for everybody",
    refused: Call {
        tool: "list_directory",
        arguments: &[("path", Argument::Text("public"))],
    },
    limited: &[
        Call {
            tool: "read_text_file",
            arguments: &[("path", Argument::Text("private/note.txt"))],
        },
        Call {
            tool: "read_text_file",
            arguments: &[("path", Argument::Text("public/../private/note.txt"))],
        },
    ],
    progress: None,
    question: None,
};

pub(super) const GIT: Server = Server {
    name: "git",
    program: Program::Git,
    reach: Reach::Process,
    legacy_only: false,
    offers: Offers::Everything,
    clients: &[Client::PythonModern, Client::TypeScript1],
    scopes: "[]",
    member: Permits {
        tools: &["git_add", "git_log", "git_status"],
        ..Permits::NOTHING
    },
    visitor: Permits {
        tools: &["git_log"],
        ..Permits::NOTHING
    },
    call: Call {
        tool: "git_log",
        arguments: &[("repo_path", Argument::Text("."))],
    },
    result: "the first commit",
    refused: Call {
        tool: "git_add",
        arguments: &[
            ("repo_path", Argument::Text(".")),
            ("files", Argument::Texts(&["note.txt"])),
        ],
    },
    limited: &[],
    progress: None,
    question: None,
};

pub(super) const TIME: Server = Server {
    name: "time",
    program: Program::Time,
    reach: Reach::Process,
    legacy_only: false,
    offers: Offers::Everything,
    clients: &[
        Client::TypeScriptModern,
        Client::RmcpModern,
        Client::Python1,
    ],
    scopes: "[]",
    member: Permits {
        tools: &["convert_time", "get_current_time"],
        ..Permits::NOTHING
    },
    visitor: Permits {
        tools: &["get_current_time"],
        ..Permits::NOTHING
    },
    call: Call {
        tool: "get_current_time",
        arguments: &[("timezone", Argument::Text("UTC"))],
    },
    result: "UTC",
    refused: Call {
        tool: "convert_time",
        arguments: &[
            ("source_timezone", Argument::Text("UTC")),
            ("time", Argument::Text("12:00")),
            ("target_timezone", Argument::Text("Asia/Tokyo")),
        ],
    },
    limited: &[],
    progress: None,
    question: None,
};
