//! The official conformance suite against a server behind the gateway, in each revision that both speak.
//!
//! The suite is pinned in `tests/conformance` and installed beside the other peers; logs, configuration and data of a run are
//! in `target/conformance`. The suite cannot send tokens, so `bearer.mjs` stands before the gateway and adds one.

mod reached;
mod suite;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use serde_json::json;

use self::suite::{Score, Suite};
use super::gateway::{Gateway, route};
use super::log::Log;
use super::peers::Peers;
use super::process::{self, free_port};
use super::servers::{Program, SERVERS, Server};
use super::{Tally, Tokens, cleared, failure, prerequisites, program, take_turn, token};
use crate::Counted;
use crate::cargo::{self, Metadata};

#[derive(Debug, Default, Args)]
pub(crate) struct Options {
    /// Use the gateway that an earlier build left behind
    #[arg(long)]
    pub(crate) no_build: bool,
    /// Another gateway program than the debug build
    #[arg(long, value_name = "PATH")]
    pub(crate) gateway: Option<PathBuf>,
}

/// A revision of the protocol, spoken by the suite and by the server.
#[derive(Debug)]
struct Revision {
    name: &'static str,
    /// What makes the suite run its scenarios for it.
    arguments: &'static [&'static str],
    /// How many checks those make.
    checks: usize,
    /// What the audit log calls it.
    era: &'static str,
    /// Tools, prompts and resources that they use in this revision only.
    targets: &'static [&'static str],
}

const REVISIONS: &[Revision] = &[
    Revision {
        name: "2025-11-25",
        arguments: &["--requirements", "2025-11-25"],
        checks: 84,
        era: "legacy",
        targets: &[
            "test://watched-resource",
            "test_elicitation",
            "test_elicitation_sep1034_defaults",
            "test_elicitation_sep1330_enums",
            "test_reconnection",
            "test_sampling",
            "test_tool_with_logging",
        ],
    },
    Revision {
        name: "2026-07-28",
        arguments: &["--suite", "all", "--spec-version", "2026-07-28"],
        checks: 152,
        era: "modern",
        targets: &[
            "test_input_required_result_capabilities",
            "test_input_required_result_elicitation",
            "test_input_required_result_list_roots",
            "test_input_required_result_multi_round",
            "test_input_required_result_multiple_inputs",
            "test_input_required_result_prompt",
            "test_input_required_result_request_state",
            "test_input_required_result_sampling",
            "test_input_required_result_tampered_state",
            "test_logging_tool",
            "test_streaming_elicitation",
            "test_trigger_prompt_change",
            "test_trigger_tool_change",
            "test_x_mcp_header",
        ],
    },
];

/// Whose token the suite calls with.
const MEMBER: &str = "member";

/// `cargo xtask conformance`.
pub(crate) fn run(options: &Options) -> Result<()> {
    prerequisites::check()?;
    let metadata = Metadata::load()?;
    if !options.no_build && options.gateway.is_none() {
        cargo::build()?;
    }
    let program = program(options.gateway.as_ref(), &metadata)?;
    let _turn = take_turn(&metadata.target_directory)?;
    let peers = Peers::install(&metadata)?;
    let suite = Suite::install(&peers, &metadata.target_directory.join("peers/conformance"))?;
    let folder = cleared(&metadata.target_directory.join("conformance"))?;

    let mut tally = Tally::default();
    let mut scores = Vec::new();
    if let Err(error) = play(&program, &peers, &suite, &folder, &mut tally, &mut scores) {
        tally.note("set-up", "everything starts", Some(&format!("{error:#}")));
    }
    println!("the logs are in {}", folder.display());
    println!(
        "conformance: {} passed, {} failed",
        tally.passed, tally.failed
    );
    for (revision, score) in scores {
        let name = revision.name;
        println!("conformance server client={name} upstream={name}: {score}");
    }
    Counted::check("checks", tally.failed)
}

/// Starts everything, runs the suite for each revision and stops everything.
fn play(
    program: &Path,
    peers: &Peers,
    suite: &Suite,
    folder: &Path,
    tally: &mut Tally,
    scores: &mut Vec<(&Revision, Score)>,
) -> Result<()> {
    let mut provider = peers.start("provider", &peers.provider(), folder)?;
    let issuer = provider.announced_url("listening on ")?;
    let everything = everything()?;
    let mut server = peers.start("server", &peers.server(everything, folder)?, folder)?;
    let upstream = format!("{}/mcp", server.announced_url("Uvicorn running on ")?);
    let ports = (free_port()?, free_port()?);
    let resource = route(ports.0, everything.name);
    let tokens = login(peers, &issuer, &resource, folder)?;

    let mut shim = suite.shim(peers);
    shim.env("GATEWAY", &resource)
        .env("TOKEN", token(&tokens, MEMBER)?);
    let mut shim = peers.start("bearer", &shim, folder)?;
    let front = shim.announced_url("listening on ")?;
    let host = front.trim_start_matches("http://");
    // The suite takes what it is given for the server's own host, and a page of that origin for a good one.
    let more = format!("allowed_hosts = [\"{host}\"]\nallowed_origins = [\"{front}\"]\n");
    let organisation = organisation(&issuer, everything, &upstream);
    let gateway = Gateway::with_settings(program, folder, ports, &more, &organisation)?;
    let started = gateway.start(peers, folder)?;

    let url = format!("{front}/mcp/{}", everything.name);
    for revision in REVISIONS {
        let score = suite.run(peers, revision, &url, folder, tally)?;
        scores.push((revision, score));
    }

    gateway.keep_metrics(folder)?;
    let drained = started.terminate();
    let log = Log::new(&gateway, folder);
    for (check, outcome) in [
        ("drains on SIGTERM and ends with 0", drained),
        ("the log verifies", log.verifies()),
        ("no token is in logs or data", log.has_no_secret(&tokens)),
    ] {
        tally.note("gateway", check, failure(&outcome).as_deref());
    }
    let records = log.records()?;
    for revision in REVISIONS {
        let outcome = reached::check(&records, revision);
        let check = format!("calls of {} reach the server", revision.name);
        tally.note("gateway", &check, failure(&outcome).as_deref());
    }
    Ok(())
}

/// The one server that passes the suite in both revisions.
fn everything() -> Result<&'static Server> {
    let mut servers = SERVERS.iter();
    let server = servers.find(|server| server.program == Program::PythonEverything);
    server.context("there is no everything-server")
}

fn login(peers: &Peers, issuer: &str, resource: &str, folder: &Path) -> Result<Tokens> {
    let wanted = BTreeMap::from([(MEMBER, json!({"user": "alice", "resource": resource}))]);
    let request = json!({"issuer": issuer, "wanted": wanted});
    let output = process::ask(peers.login(), &request, folder, "login")
        .context("the login at the provider failed")?;
    serde_json::from_str(&output).context("the login script printed something else than tokens")
}

/// Whoever is in `staff` may do all that the suite does.
fn organisation(issuer: &str, server: &Server, upstream: &str) -> String {
    let name = server.name;
    format!(
        r#"create_people_on_sight = true

[[issuers]]
issuer = "{issuer}"
algorithms = ["RS256"]
groups_claim = "groups"

[[servers]]
name = "{name}"
url = "{upstream}"

[[roles]]
name = "suite"

[[roles.permissions]]
servers = ["{name}"]
tools = ["*"]
prompts = ["*"]
resources = ["*"]
methods = ["completion/complete", "logging/setLevel"]
server_requests = ["elicitation/create", "roots/list", "sampling/createMessage"]

[[grants]]
role = "suite"
group = "staff"
"#
    )
}
