//! Official MCP clients and servers, and a real OpenID provider, through the gateway.
//!
//! What is pinned in `tests/e2e` is installed once into `target/peers`; logs, configuration and data of a run are in
//! `target/e2e`. Everything listens on loopback, and every program is stopped by its id, also after a failure.

pub(crate) mod conformance;
mod credentials;
mod gateway;
mod grounds;
mod install;
mod log;
mod peers;
pub(crate) mod prerequisites;
pub(crate) mod process;
mod scenarios;
mod servers;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::{Value, json};

use self::gateway::Gateway;
use self::log::Log;
use self::peers::Peers;
use self::process::free_port;
use self::scenarios::Client;
use self::servers::{FILES, Reach, SERVERS, Server, WORKBENCH};
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
    /// Run only scenarios whose name contains this text
    #[arg(long, value_name = "TEXT")]
    pub(crate) only: Option<String>,
}

/// How the checks ended.
#[derive(Debug, Default)]
struct Tally {
    passed: usize,
    failed: usize,
}

impl Tally {
    fn note(&mut self, scenario: &str, check: &str, failure: Option<&str>) {
        match failure {
            None => {
                self.passed += 1;
                println!("ok    {scenario}: {check}");
            }
            Some(why) => {
                self.failed += 1;
                println!("FAIL  {scenario}: {check}: {why}");
            }
        }
    }

    /// Counts the lines `ok <check>` and `FAIL <check>: <why>` that a client script printed.
    fn note_output(&mut self, scenario: &str, output: &Result<String>) {
        match output {
            Err(error) => self.note(scenario, "runs to its end", Some(&format!("{error:#}"))),
            Ok(text) => {
                let before = self.passed + self.failed;
                for line in text.lines() {
                    if let Some(check) = line.strip_prefix("ok ") {
                        self.note(scenario, check, None);
                    } else if let Some(rest) = line.strip_prefix("FAIL ") {
                        let (check, why) = rest.split_once(": ").unwrap_or((rest, ""));
                        self.note(scenario, check, Some(why));
                    }
                }
                if self.passed + self.failed == before {
                    self.note(scenario, "runs its checks", Some("it made none"));
                }
            }
        }
    }
}

/// `cargo xtask e2e`.
pub(crate) fn run(options: &Options) -> Result<()> {
    prerequisites::check()?;
    let metadata = Metadata::load()?;
    if !options.no_build && options.gateway.is_none() {
        cargo::build()?;
    }
    let program = program(options.gateway.as_ref(), &metadata)?;
    let _turn = take_turn(&metadata.target_directory)?;
    let peers = Peers::install(
        &metadata.target_directory.join("peers"),
        metadata.binary("rmcp-client"),
    )?;
    let folder = cleared(&metadata.target_directory.join("e2e"))?;

    let mut tally = Tally::default();
    if let Err(error) = play(options, &program, &peers, &folder, &mut tally) {
        tally.note("set-up", "everything starts", Some(&format!("{error:#}")));
    }
    println!("the logs are in {}", folder.display());
    println!("e2e: {} passed, {} failed", tally.passed, tally.failed);
    Counted::check("checks", tally.failed)
}

/// The gateway's program: the one that is named, or else the debug build. Absolute, because it runs in another folder.
fn program(named: Option<&PathBuf>, metadata: &Metadata) -> Result<PathBuf> {
    let built = || metadata.binary("gatewright");
    Ok(std::path::absolute(named.cloned().unwrap_or_else(built))?)
}

/// A folder for this run, without what the last one left in it.
fn cleared(folder: &Path) -> Result<PathBuf> {
    if folder.exists() {
        fs::remove_dir_all(folder).context("cannot clear the folder of the last run")?;
    }
    fs::create_dir_all(folder)?;
    Ok(folder.to_owned())
}

/// Waits for another run in the same folders; the next may begin when this is dropped.
fn take_turn(target: &Path) -> Result<File> {
    fs::create_dir_all(target)?;
    let turn = File::create(target.join("e2e.lock"))?;
    if turn.try_lock().is_err() {
        println!("waiting for another end-to-end run");
        turn.lock()?;
    }
    Ok(turn)
}

/// Starts everything, runs the scenarios and stops everything.
fn play(
    options: &Options,
    program: &Path,
    peers: &Peers,
    folder: &Path,
    tally: &mut Tally,
) -> Result<()> {
    let mut provider = peers.start("provider", &peers.provider(), folder)?;
    let issuer = provider.announced_url("listening on ")?;
    // Held to the end of the run: dropping one stops it.
    let mut running = Vec::new();
    let mut reached = BTreeMap::new();
    for server in SERVERS {
        let program = peers.server(server, folder)?;
        let how = match server.reach {
            Reach::Process => gateway::as_process(&program)?,
            Reach::Announced(prefix) => {
                let mut started = peers.start(server.name, &program, folder)?;
                let url = started.announced_url(prefix)?;
                running.push(started);
                gateway::at_url(&format!("{url}/mcp"))
            }
        };
        reached.insert(server.name, how);
    }
    let (keeper, keepers) = credentials::start(peers, folder)?;
    running.push(keeper);
    // Last, and at once: the longer a port has been free, the likelier it is taken.
    let ports = (free_port()?, free_port()?);
    let gateway = Gateway::configure(program, folder, ports, &issuer, &reached, &keepers)?;
    let started = gateway.start(peers, folder)?;
    let tokens = tokens(peers, &issuer, &gateway, folder)?;
    let mut secrets = tokens.clone();

    // How often the visitor makes the call that it may make.
    let mut allowed: BTreeMap<&str, usize> = BTreeMap::new();
    for &client in Client::ALL {
        for server in SERVERS.iter().filter(|server| client.can_reach(server)) {
            let scenario = format!("{} to {}", client.name(), server.name);
            if selected(options, &scenario) {
                let url = gateway.route(server.name);
                let bridge = peers.bridge(&url, folder)?;
                let plan = scenarios::plan(client, server, &url, &tokens, &bridge)?;
                let output = process::ask(peers.client(client), &plan, folder, &scenario);
                tally.note_output(&scenario, &output);
                *allowed.entry(server.name).or_default() += 1;
            }
        }
    }
    for server in [&WORKBENCH, &FILES] {
        let scenario = format!("inspector to {}", server.name);
        if selected(options, &scenario) {
            let url = gateway.route(server.name);
            let plan = scenarios::inspector_plan(peers, server, &url, &tokens, folder)?;
            let output = process::ask(peers.inspector(), &plan, folder, &scenario);
            tally.note_output(&scenario, &output);
            // Once in each era.
            *allowed.entry(server.name).or_default() += if server.legacy_only { 1 } else { 2 };
        }
    }
    if selected(options, "raw HTTP") {
        let plan = raw_plan(&issuer, &gateway, &tokens)?;
        let output = process::ask(peers.raw_client(), &plan, folder, "raw-http");
        tally.note_output("raw HTTP", &output);
    }
    if selected(options, "credentials") {
        let plan = credentials::plan(&gateway, &mut secrets)?;
        let output = process::ask(peers.credentials_client(), &plan, folder, "credentials");
        tally.note_output("credentials", &output);
    }
    fs::write(folder.join("metrics"), gateway.metrics()?)?;

    let drained = started.terminate();
    let log = Log::new(&gateway, folder);
    for (check, outcome) in [
        ("drains on SIGTERM and ends with 0", drained),
        ("the log verifies", log.verifies()),
        (
            "no secret is in logs, data or metrics",
            log.has_no_secret(&secrets),
        ),
    ] {
        tally.note("gateway", check, failure(&outcome).as_deref());
    }
    // Of a part of the scenarios, a part would be missing.
    if options.only.is_none() {
        for (check, outcome) in [
            ("the log holds what happened", log.holds_what_happened()),
            ("the log holds every call", log.holds_every_call(&allowed)),
            ("the log holds every change", log.holds_changes()),
            (
                "what a server says of its key is redacted",
                log.keeps_what_servers_say(),
            ),
            ("a change of the log is found", log.change_is_found()),
        ] {
            tally.note("gateway", check, failure(&outcome).as_deref());
        }
    }
    Ok(())
}

fn selected(options: &Options, scenario: &str) -> bool {
    options
        .only
        .as_ref()
        .is_none_or(|text| scenario.contains(text))
}

fn failure(outcome: &Result<()>) -> Option<String> {
    outcome.as_ref().err().map(|error| format!("{error:#}"))
}

/// Tokens by label, as `login.py` returns them.
type Tokens = BTreeMap<String, String>;

/// Logs people and machines in at the provider: per server a member, a visitor and an ID token, and agents
/// on their own and for these.
fn tokens(peers: &Peers, issuer: &str, gateway: &Gateway, folder: &Path) -> Result<Tokens> {
    let mut wanted = serde_json::Map::new();
    for server in SERVERS {
        let resource = gateway.route(server.name);
        for (role, user) in [("member", "alice"), ("visitor", "guest")] {
            wanted.insert(
                label(server, role),
                json!({"user": user, "resource": resource}),
            );
        }
        let id_token = json!({"user": "alice", "resource": resource, "id_token": true});
        wanted.insert(label(server, "id"), id_token);
    }
    let resource = gateway.route(WORKBENCH.name);
    wanted.insert(
        "robot".to_owned(),
        json!({"robot": true, "resource": resource}),
    );
    for (agent, person) in [("for_member", "member"), ("for_visitor", "visitor")] {
        let act_for = label(&WORKBENCH, person);
        wanted.insert(
            agent.to_owned(),
            json!({"act_for": act_for, "resource": resource}),
        );
    }
    wanted.extend(credentials::wanted(gateway));
    let request = json!({"issuer": issuer, "wanted": wanted});
    let output = process::ask(peers.login(), &request, folder, "login")
        .context("the login at the provider failed")?;
    serde_json::from_str(&output).context("the login script printed something else than tokens")
}

fn label(server: &Server, role: &str) -> String {
    format!("{} {role}", server.name)
}

fn token<'a>(tokens: &'a Tokens, label: &str) -> Result<&'a str> {
    match tokens.get(label) {
        Some(token) => Ok(token),
        None => bail!("no token for `{label}`"),
    }
}

/// What `raw_http.py` takes.
fn raw_plan(issuer: &str, gateway: &Gateway, tokens: &Tokens) -> Result<Value> {
    Ok(json!({
        "url": gateway.route(WORKBENCH.name),
        "issuer": issuer,
        "member": token(tokens, &label(&WORKBENCH, "member"))?,
        "robot": token(tokens, "robot")?,
        "for_member": token(tokens, "for_member")?,
        "for_visitor": token(tokens, "for_visitor")?,
    }))
}
