//! The MCP servers behind the gateway, and who may see and call what there.

mod http;
mod processes;

use serde_json::{Value, json};

use super::scenarios::Client;

pub(super) use self::http::WORKBENCH;
use self::http::{EVERYTHING_NPM, EVERYTHING_PY};
pub(super) use self::processes::FILES;
use self::processes::{EVERYTHING_STDIO, GIT, TIME};

/// An MCP server behind the gateway.
#[derive(Debug)]
pub(super) struct Server {
    /// Its name in the configuration, and so in its route.
    pub(super) name: &'static str,
    pub(super) program: Program,
    pub(super) reach: Reach,
    /// Whether it speaks only revisions with sessions.
    pub(super) legacy_only: bool,
    pub(super) offers: Offers,
    /// Who talks to it, as far as they share a revision.
    pub(super) clients: &'static [Client],
    /// Which scopes its calls need, as the configuration says it.
    pub(super) scopes: &'static str,
    pub(super) member: Permits,
    pub(super) visitor: Permits,
    /// A call that members and visitors may make, and text of its result.
    pub(super) call: Call,
    pub(super) result: &'static str,
    /// A call that only members may make.
    pub(super) refused: Call,
    /// Calls of a tool that visitors may use too, but not with these arguments.
    pub(super) limited: &'static [Call],
    /// A call that reports three steps of progress.
    pub(super) progress: Option<Call>,
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
    /// Reads and writes files of a folder.
    Files,
    /// Reads and writes a repository.
    Git,
    /// Tells and converts the time.
    Time,
}

/// How the gateway comes to a server.
#[derive(Debug, Clone, Copy)]
pub(super) enum Reach {
    /// It listens for HTTP, and in its log its URL stands after this.
    Announced(&'static str),
    /// The gateway starts it, and speaks to it over its standard streams.
    Process,
}

/// Which kinds of things a server has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Offers {
    Everything,
    Tools,
}

/// What a role permits: names of each kind, sorted. All of them exist.
#[derive(Debug)]
pub(super) struct Permits {
    pub(super) tools: &'static [&'static str],
    pub(super) prompts: &'static [&'static str],
    pub(super) resources: &'static [&'static str],
    pub(super) templates: &'static [&'static str],
    pub(super) server_requests: &'static [&'static str],
    /// Conditions on all of them, as the configuration says it.
    pub(super) when: &'static str,
}

impl Permits {
    const NOTHING: Self = Self {
        tools: &[],
        prompts: &[],
        resources: &[],
        templates: &[],
        server_requests: &[],
        when: "{}",
    };

    /// What the lists must hold that a server has.
    pub(super) fn seen(&self, offers: Offers) -> Value {
        match offers {
            Offers::Tools => json!({"tools": self.tools}),
            Offers::Everything => json!({
                "tools": self.tools,
                "prompts": self.prompts,
                "resources": self.resources,
                "templates": self.templates,
            }),
        }
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
    Texts(&'static [&'static str]),
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
            Argument::Texts(texts) => json!(texts),
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

pub(super) const SERVERS: &[Server] = &[
    EVERYTHING_PY,
    EVERYTHING_NPM,
    WORKBENCH,
    EVERYTHING_STDIO,
    FILES,
    GIT,
    TIME,
];
