//! Official MCP clients and servers, and a real OpenID provider, through the gateway.
//!
//! What is pinned in `tests/e2e` is installed once into `target/peers`; logs, configuration and data of a run are in
//! `target/e2e`. Everything listens on loopback, and every program is stopped by its id, also after a failure.

pub(crate) mod conformance;
mod credentials;
mod gateway;
mod grounds;
pub(crate) mod install;
mod log;
mod peers;
pub(crate) mod prerequisites;
pub(crate) mod process;
mod scenarios;
mod servers;
mod tokens;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;

use self::gateway::Gateway;
use self::log::Log;
use self::peers::Peers;
use self::process::free_port;
use self::scenarios::Client;
use self::servers::{FILES, Reach, SERVERS, WORKBENCH};
use self::tokens::{Tokens, label, token};
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
    let peers = Peers::install(&metadata)?;
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
pub(crate) fn cleared(folder: &Path) -> Result<PathBuf> {
    if folder.exists() {
        fs::remove_dir_all(folder).context("cannot clear the folder of the last run")?;
    }
    fs::create_dir_all(folder)?;
    Ok(folder.to_owned())
}

/// Waits for another run in the same folders; the next may begin when this is dropped.
pub(crate) fn take_turn(target: &Path) -> Result<File> {
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
    let tokens = tokens::tokens(peers, &issuer, &gateway, folder)?;
    let mut secrets = tokens.clone();

    let bed = Bed {
        options,
        peers,
        folder,
        gateway: &gateway,
        tokens: &tokens,
    };
    let mut allowed = BTreeMap::new();
    bed.clients(tally, &mut allowed)?;
    bed.inspector(tally, &mut allowed)?;
    if selected(options, "raw HTTP") {
        let plan = scenarios::raw_plan(&issuer, &gateway, &tokens)?;
        let output = process::ask(peers.raw_client(), &plan, folder, "raw-http");
        tally.note_output("raw HTTP", &output);
    }
    if selected(options, "credentials") {
        let plan = credentials::plan(&gateway, &mut secrets)?;
        let output = process::ask(peers.credentials_client(), &plan, folder, "credentials");
        tally.note_output("credentials", &output);
    }
    gateway.keep_metrics(folder)?;

    let drained = started.terminate();
    tally.note(
        "gateway",
        "drains on SIGTERM and ends with 0",
        failure(&drained).as_deref(),
    );
    // Of a part of the scenarios, a part would be missing.
    let whole = options.only.is_none().then_some(&allowed);
    look_back(&Log::new(&gateway, folder), &secrets, whole, tally);
    Ok(())
}

/// How often visitors have made the call that they may make, by server.
type Allowed = BTreeMap<&'static str, usize>;

/// Everything that runs.
struct Bed<'a> {
    options: &'a Options,
    peers: &'a Peers,
    folder: &'a Path,
    gateway: &'a Gateway,
    tokens: &'a Tokens,
}

impl Bed<'_> {
    fn clients(&self, tally: &mut Tally, allowed: &mut Allowed) -> Result<()> {
        for &client in Client::ALL {
            for server in SERVERS.iter().filter(|server| client.can_reach(server)) {
                let scenario = format!("{} to {}", client.name(), server.name);
                if selected(self.options, &scenario) {
                    let url = self.gateway.route(server.name);
                    let bridge = self.peers.bridge(&url, self.folder)?;
                    let plan = scenarios::plan(client, server, &url, self.tokens, &bridge)?;
                    let program = self.peers.client(client);
                    let output = process::ask(program, &plan, self.folder, &scenario);
                    tally.note_output(&scenario, &output);
                    *allowed.entry(server.name).or_default() += 1;
                }
            }
        }
        Ok(())
    }

    fn inspector(&self, tally: &mut Tally, allowed: &mut Allowed) -> Result<()> {
        for server in [&WORKBENCH, &FILES] {
            let scenario = format!("inspector to {}", server.name);
            if selected(self.options, &scenario) {
                let url = self.gateway.route(server.name);
                let Self {
                    peers,
                    folder,
                    tokens,
                    ..
                } = self;
                let plan = scenarios::inspector_plan(peers, server, &url, tokens, folder)?;
                let output = process::ask(peers.inspector(), &plan, folder, &scenario);
                tally.note_output(&scenario, &output);
                // Once in each era.
                *allowed.entry(server.name).or_default() += if server.legacy_only { 1 } else { 2 };
            }
        }
        Ok(())
    }
}

/// What the gateway has left behind; of a whole run also that nothing is missing.
fn look_back(log: &Log<'_>, secrets: &Tokens, whole: Option<&Allowed>, tally: &mut Tally) {
    let mut found = vec![
        ("the log verifies", log.verifies()),
        (
            "no secret is in logs, data or metrics",
            log.has_no_secret(secrets),
        ),
    ];
    if let Some(allowed) = whole {
        found.extend([
            ("the log holds what happened", log.holds_what_happened()),
            ("the log holds every call", log.holds_every_call(allowed)),
            ("the log holds every change", log.holds_changes()),
            (
                "what a server says of its key is redacted",
                log.keeps_what_servers_say(),
            ),
            ("a change of the log is found", log.change_is_found()),
        ]);
    }
    for (check, outcome) in found {
        tally.note("gateway", check, failure(&outcome).as_deref());
    }
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
