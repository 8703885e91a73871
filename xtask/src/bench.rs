//! What the gateway costs: builds it for release, as it ships, and the bench beside it, and starts the bench.

use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::cargo::{self, Metadata};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Only single layers, within one process
    #[arg(long)]
    micro: bool,
    /// Use what an earlier build left behind
    #[arg(long)]
    no_build: bool,
    /// Options of the bench; `-- --help` names them
    #[arg(last = true)]
    rest: Vec<String>,
}

/// `cargo xtask bench`. Ends with an error if a figure misses its reach.
pub(crate) fn run(options: &Options) -> Result<()> {
    let target = Metadata::load()?.target_directory;
    let released = target.join("release");
    if !options.no_build {
        // Each by itself: together, the gateway would be built with features that only the bench asks for.
        for package in ["gatewright", "gatewright-bench"] {
            cargo::run(&["build", "--release", "--package", package], &[])?;
        }
    }
    let mut bench = Command::new(released.join("gatewright-bench"));
    if options.micro {
        bench.arg("micro");
        bench.arg("--folder").arg(target.join("bench-micro"));
    } else {
        bench.args(["run", "--gateway"]);
        bench.arg(released.join("gatewright"));
        bench.arg("--folder").arg(target.join("bench"));
    }
    let status = bench
        .args(&options.rest)
        .status()
        .context("cannot start the bench")?;
    match status.code() {
        Some(0) => Ok(()),
        Some(1) => bail!("a figure misses its reach"),
        _ => bail!("the bench ended with {status}"),
    }
}
