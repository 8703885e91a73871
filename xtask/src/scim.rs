//! The tester of SCIM servers (PyPI: scim2-tester) against our service, on each of the stores.
//!
//! It is pinned in `tests/scim` and installed once into `target/peers/scim`; logs of a run are in `target/scim`. The server is
//! `tests/scim`, which has an empty store of its own.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use gatewright_test_postgres::{Server, VARIABLE};

use crate::Counted;
use crate::cargo::{self, Metadata};
use crate::e2e::install::Environment;
use crate::e2e::process::{Running, wait_for};
use crate::e2e::{cleared, prerequisites, take_turn};

/// What the Python reference server passes: whoever passes less has left something out.
const REFERENCE: usize = 135;
const STORES: [&str; 2] = ["sqlite", "postgres"];
/// How long the tester may take.
const LIMIT: std::time::Duration = std::time::Duration::from_secs(300);
/// The tester's command, which is no module that could be run.
const TESTER: &str = "import sys; from scim2_cli import cli; sys.argv[0] = 'scim2'; cli()";

#[derive(Debug, Default, Args)]
pub(crate) struct Options {
    /// Use the server that an earlier build left behind
    #[arg(long)]
    pub(crate) no_build: bool,
}

/// How the checks on one store ended.
#[derive(Debug, Default, PartialEq, Eq)]
struct Score {
    passed: usize,
    /// What the tester said of each that did not pass.
    failed: Vec<String>,
}

/// `cargo xtask scim`.
pub(crate) fn run(options: &Options) -> Result<()> {
    prerequisites::check()?;
    if !options.no_build {
        cargo::build()?;
    }
    let metadata = Metadata::load()?;
    let _turn = take_turn(&metadata.target_directory)?;
    let environment = install(&metadata.target_directory.join("peers/scim"))?;
    let folder = cleared(&metadata.target_directory.join("scim"))?;
    let postgres = Server::start()?;

    let mut failed = 0;
    for store in STORES {
        let mut server = Command::new(metadata.binary("scim-server"));
        server.arg(store).env(VARIABLE, postgres.url());
        let score = test(store, &server, &environment, &folder)
            .with_context(|| format!("the tester on {store}"))?;
        for what in &score.failed {
            println!("FAIL  {store}: {what}");
        }
        failed += score.failed.len();
        if score.passed < REFERENCE {
            println!(
                "FAIL  {store}: {} checks passed, and the reference server passes {REFERENCE}",
                score.passed
            );
            failed += 1;
        }
        println!(
            "scim {store}: {} passed, {} failed",
            score.passed,
            score.failed.len()
        );
    }
    println!("the logs are in {}", folder.display());
    Counted::check("checks", failed)
}

/// Installs the tester, unless what is pinned now is there already.
fn install(folder: &Path) -> Result<Environment> {
    let requirements = cargo::root()?.join("tests/scim/requirements.txt");
    let wanted = format!(
        "{}\n{}",
        folder.display(),
        fs::read_to_string(&requirements)?
    );
    let environment = Environment::at(&folder.join("python"));
    let stamp = folder.join("installed");
    if !fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
        println!("installing the tester of SCIM servers");
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
        fs::create_dir_all(folder)?;
        environment.make()?;
        environment.install(&requirements)?;
        fs::write(stamp, wanted)?;
    }
    Ok(environment)
}

fn test(store: &str, server: &Command, environment: &Environment, folder: &Path) -> Result<Score> {
    let mut tether = Command::new(environment.python());
    tether.arg(cargo::root()?.join("tests/e2e/tether.py"));
    let name = format!("server-{store}");
    let mut running = Running::start(&name, tether, server, folder)?;
    let url = running.announced_url("scim: ")?;
    let token = running.announced_url("token: ")?;

    let log = folder.join(format!("tester-{store}.log"));
    let output = fs::File::create(&log)?;
    let mut tester = Command::new(environment.python())
        .args(["-c", TESTER, "test", "--verbose"])
        .env("SCIM_CLI_URL", &url)
        .env("SCIM_CLI_HEADERS", format!("Authorization: Bearer {token}"))
        .stdout(output.try_clone()?)
        .stderr(output)
        .spawn()
        .context("cannot start the tester")?;
    let Some(status) = wait_for(&mut tester, LIMIT)? else {
        tester.kill()?;
        tester.wait()?;
        bail!("still running after {} s", LIMIT.as_secs());
    };
    running.terminate()?;
    let printed = fs::read_to_string(&log)?;
    let score = Score::of(&printed);
    ensure!(
        status.success() == score.failed.is_empty(),
        "the tester ended with {status}, and says: {}",
        printed.lines().next_back().unwrap_or_default()
    );
    Ok(score)
}

impl Score {
    /// Each check is a line with how it ended and what it is called, and lines with what there is to say of it.
    fn of(printed: &str) -> Self {
        let mut score = Self::default();
        let mut failing = false;
        for line in printed.lines() {
            if let Some(said) = line.strip_prefix("  ") {
                if failing && let Some(last) = score.failed.last_mut() {
                    last.push_str(": ");
                    last.push_str(said.trim());
                    failing = false;
                }
                continue;
            }
            let (status, check) = line.split_once(' ').unwrap_or((line, ""));
            failing = false;
            match status {
                "SUCCESS" => score.passed += 1,
                "ERROR" | "CRITICAL" | "DEVIATION" | "SKIPPED" | "COMPLIANT" | "ACCEPTABLE" => {
                    score.failed.push(format!("{status} {check}"));
                    failing = true;
                }
                // What it says of itself, and values of several lines.
                _ => {}
            }
        }
        score
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_are_counted_and_those_that_fail_are_named() {
        let printed = "Performing a SCIM compliance check on http://127.0.0.1 ...\n\
            SUCCESS object_creation\n  Successfully created User\n  {'id': 'ERROR'}\n\
            ERROR object_query\n  it is not there\n  more\nERROR of a value\nSKIPPED check_add_attribute\n";
        let score = Score::of(printed);
        assert_eq!(score.passed, 1);
        assert_eq!(
            score.failed,
            [
                "ERROR object_query: it is not there",
                "ERROR of a value",
                "SKIPPED check_add_attribute"
            ]
        );
        assert_eq!(Score::of(""), Score::default());
    }
}
