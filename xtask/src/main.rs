//! Repository tasks: `cargo xtask test` runs everything that has to hold before a change goes in.
#![expect(
    clippy::print_stdout,
    reason = "a command-line tool reports on standard output"
)]

mod bench;
mod cargo;
mod deps;
mod e2e;
mod scim;
mod steps;
mod tidy;

use std::fmt;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    about = "Repository tasks",
    disable_help_subcommand = true
)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Everything: format, tidy, deps, lints, tests, docs, examples, quickstart, end to end, conformance
    Test,
    /// `test`, and the licence, ban and source checks where cargo-deny is installed
    Ci,
    /// Rules about the repository's text and manifests
    Tidy,
    /// The allowed dependencies between the workspace's crates, and on others
    Deps,
    /// What the gateway costs, beside a plain proxy (not part of `test`)
    Bench(bench::Options),
    /// Official MCP clients and servers, and a real OpenID provider, through the gateway
    E2e(e2e::Options),
    /// The official MCP conformance suite, through the gateway
    Conformance(e2e::conformance::Options),
    /// The tester of SCIM servers, on each of the stores
    Scim(scim::Options),
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().task {
        Task::Test => steps::test(),
        Task::Ci => steps::ci(),
        Task::Tidy => tidy::run(),
        Task::Deps => deps::run(),
        Task::Bench(options) => bench::run(&options),
        Task::E2e(options) => e2e::run(&options),
        Task::Conformance(options) => e2e::conformance::run(&options),
        Task::Scim(options) => scim::run(&options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if !error.is::<Counted>() {
                println!("error: {error:#}");
            }
            ExitCode::FAILURE
        }
    }
}

/// Failures that a task has shown and counted: its summary stays the last line.
#[derive(Debug)]
struct Counted {
    what: &'static str,
    failed: usize,
}

impl Counted {
    /// An error, unless nothing failed.
    fn check(what: &'static str, failed: usize) -> Result<()> {
        if failed == 0 {
            Ok(())
        } else {
            Err(Self { what, failed }.into())
        }
    }
}

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} failed", self.failed, self.what)
    }
}

impl std::error::Error for Counted {}
