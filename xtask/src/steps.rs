//! The list of what `test` and `ci` run, and their summary.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use gatewright_test_postgres::{Server, VARIABLE};

use crate::cargo::{self, Metadata};
use crate::e2e::{self, conformance, prerequisites};
use crate::{Counted, deps, scim, tidy};

/// How long an example may run.
const EXAMPLE_LIMIT: Duration = Duration::from_secs(60);

/// Runs steps, shows how each ended, and counts.
#[derive(Debug, Default)]
struct Report {
    lines: Vec<String>,
    passed: usize,
    failed: usize,
}

impl Report {
    fn step(&mut self, name: &str, step: impl FnOnce() -> Result<()>) -> bool {
        println!("\n== {name}");
        let start = Instant::now();
        let outcome = step();
        let seconds = start.elapsed().as_secs();
        let line = match &outcome {
            Ok(()) => format!("ok    {name} ({seconds} s)"),
            Err(error) => format!("FAIL  {name} ({seconds} s): {error:#}"),
        };
        println!("{line}");
        self.lines.push(line);
        match outcome {
            Ok(()) => self.passed += 1,
            Err(_) => self.failed += 1,
        }
        outcome.is_ok()
    }

    /// Says, here and in the summary, that a step was left out.
    fn leave_out(&mut self, name: &str, why: &str) {
        let line = format!("--    {name}: not run: {why}");
        println!("\n{line}");
        self.lines.push(line);
    }

    /// A step that makes no sense without an earlier one counts as failed.
    fn step_after(&mut self, ready: bool, name: &str, step: impl FnOnce() -> Result<()>) -> bool {
        self.step(name, || {
            if ready {
                step()
            } else {
                bail!("not run, because the build failed")
            }
        })
    }

    fn finish(self) -> Result<()> {
        println!();
        for line in &self.lines {
            println!("{line}");
        }
        println!("steps: {} passed, {} failed", self.passed, self.failed);
        Counted::check("steps", self.failed)
    }
}

/// `cargo xtask test`.
pub(crate) fn test() -> Result<()> {
    // Said first: what is missing here would otherwise show after minutes of compiling.
    prerequisites::check()?;
    let mut report = Report::default();
    add_test_steps(&mut report);
    report.finish()
}

/// `cargo xtask ci`.
pub(crate) fn ci() -> Result<()> {
    prerequisites::check()?;
    let mut report = Report::default();
    if cargo::has_subcommand("deny") {
        report.step("deny", || {
            cargo::run(&["deny", "check", "bans", "licenses", "sources"], &[])
        });
    } else {
        report.leave_out(
            "deny",
            "cargo-deny is not installed (cargo install --locked cargo-deny)",
        );
    }
    add_test_steps(&mut report);
    report.finish()
}

fn add_test_steps(report: &mut Report) {
    report.step("fmt", || cargo::run(&["fmt", "--all", "--check"], &[]));
    report.step("tidy", tidy::run);
    report.step("deps", deps::run);
    // Always the whole workspace: a choice of packages would unite features differently and build dependencies again.
    report.step("clippy", || {
        cargo::run(
            &[
                "clippy",
                "--workspace",
                "--all-targets",
                "--",
                "-D",
                "warnings",
            ],
            &[],
        )
    });
    report.step("docs", || {
        // `--examples` takes the tests' features in, so that what clippy checked is used again.
        let targets = ["doc", "--workspace", "--no-deps", "--lib", "--examples"];
        cargo::run(&targets, &[("RUSTDOCFLAGS", "-D warnings")])
    });
    report.step("tests", tests);
    report.step("doc tests", || {
        cargo::run(&["test", "--workspace", "--doc"], &[])
    });
    let built = report.step("build", cargo::build);
    report.step_after(built, "examples", run_examples);
    report.step_after(built, "quickstart", || {
        let gatewright = Metadata::load()?.binary("gatewright");
        run_for(&gatewright, &["quickstart", "--once"], 2 * EXAMPLE_LIMIT)
    });
    report.step_after(built, "e2e", || {
        e2e::run(&e2e::Options {
            no_build: true,
            ..e2e::Options::default()
        })
    });
    report.step_after(built, "conformance", || {
        conformance::run(&conformance::Options {
            no_build: true,
            ..conformance::Options::default()
        })
    });
    report.step_after(built, "scim", || {
        scim::run(&scim::Options { no_build: true })
    });
}

/// Every test of the workspace, with one Postgres server for all of them.
fn tests() -> Result<()> {
    let postgres = Server::start()?;
    let environment = [(VARIABLE, postgres.url())];
    if cargo::has_subcommand("nextest") {
        let nextest = [
            "nextest",
            "run",
            "--workspace",
            "--no-tests",
            "pass",
            "--no-fail-fast",
        ];
        return cargo::run(&nextest, &environment);
    }
    let test = [
        "test",
        "--workspace",
        "--no-fail-fast",
        "--lib",
        "--bins",
        "--tests",
        "--examples",
    ];
    cargo::run(&test, &environment)
}

/// Runs each binary of `examples/*` with the one argument `--once`: it has to check itself and end with status 0.
fn run_examples() -> Result<()> {
    let metadata = Metadata::load()?;
    let binaries = metadata
        .members()
        .filter(|package| package.is_under("examples"))
        .flat_map(|package| &package.targets)
        .filter(|target| target.kind.iter().any(|kind| kind == "bin"));
    for target in binaries {
        println!("-- {}", target.name);
        run_for(&metadata.binary(&target.name), &["--once"], EXAMPLE_LIMIT)
            .with_context(|| format!("example `{}`", target.name))?;
    }
    Ok(())
}

/// Runs a program to its end, or kills it at the limit.
fn run_for(program: &Path, args: &[&str], limit: Duration) -> Result<()> {
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .current_dir(cargo::root()?)
        .spawn()
        .with_context(|| format!("cannot start {}", program.display()))?;
    let Some(status) = e2e::process::wait_for(&mut child, limit)? else {
        child.kill()?;
        child.wait()?;
        bail!("still running after {} s", limit.as_secs());
    };
    ensure!(status.success(), "ended with {status}");
    Ok(())
}
