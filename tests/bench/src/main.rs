//! What the gateway costs, beside a plain proxy. `cargo xtask bench` builds and starts it.
#![expect(
    clippy::print_stdout,
    reason = "a command-line tool reports on standard output"
)]

mod connection;
mod fixture;
mod load;
mod machine;
mod micro;
mod nginx;
mod organisation;
mod process;
mod reach;
mod report;
mod rows;
mod tokens;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(
    name = "gatewright-bench",
    about = "What the gateway costs",
    disable_help_subcommand = true
)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Measures the gateway, a plain proxy and other gateways side by side
    Run(rows::Options),
    /// Measures single layers within this process
    Micro(micro::Options),
    /// One of the layers for a number of calls, for `micro`
    #[command(hide = true)]
    Span(micro::SpanOptions),
    /// The server behind all of them; ends with its standard input
    Fixture(fixture::Options),
}

fn main() -> ExitCode {
    match run() {
        Ok(missed) if missed.is_empty() => ExitCode::SUCCESS,
        Ok(missed) => {
            for figure in missed {
                println!("missed: {figure}");
            }
            ExitCode::FAILURE
        }
        Err(error) => {
            println!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Returns the figures that miss their reach.
fn run() -> Result<Vec<String>> {
    match Cli::parse().task {
        Task::Run(options) => rows::run(&options),
        Task::Micro(options) => micro::run(&options).map(|()| Vec::new()),
        Task::Span(options) => micro::span(&options).map(|()| Vec::new()),
        Task::Fixture(options) => fixture::run(&options).map(|()| Vec::new()),
    }
}
