//! What a machine needs besides Rust, said before any time is spent.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use gatewright_test_postgres::Programs;

/// Each with how it is asked for and what to install when the answer is no.
const NEEDED: &[(&str, &[&str], &str)] = &[
    (
        "cc",
        &["--version"],
        "a C compiler (Debian, Ubuntu: apt install build-essential)",
    ),
    (
        "git",
        &["--version"],
        "git (Debian, Ubuntu: apt install git)",
    ),
    ("python3", &["-c", PYTHON_SUFFICES], PYTHON),
];

const PYTHON_SUFFICES: &str = "import sys, venv; sys.exit(sys.version_info < (3, 10))";
const PYTHON: &str =
    "Python 3.10 or newer with venv or pip (Debian, Ubuntu: apt install python3 python3-venv)";

/// The one program of Debian's and Ubuntu's that installs others.
const APT: &str = "/usr/bin/apt-get";

/// Fails with everything that has to be installed, and cannot be from here.
pub(crate) fn check() -> Result<()> {
    let postgres = install_postgres();
    let mut missing: Vec<&str> = NEEDED
        .iter()
        .filter(|(program, args, _)| !answers(program, args))
        .map(|(_, _, remedy)| *remedy)
        .collect();
    if missing.last() != Some(&PYTHON) && !has_ensurepip() && !has_pip() {
        missing.push(PYTHON);
    }
    let postgres = postgres.err().map(|error| format!("{error:#}"));
    missing.extend(postgres.as_deref());
    if !missing.is_empty() {
        bail!(
            "this machine lacks what the tests need; please install:\n  {}",
            missing.join("\n  ")
        );
    }
    Ok(())
}

/// Whether Python can put pip into an environment. Distributions package that apart from Python.
pub(super) fn has_ensurepip() -> bool {
    answers("python3", &["-c", "import ensurepip"])
}

/// Installs a Postgres server where there is none and this process may. Its own cluster is left as the package makes it: the
/// tests start a server of theirs.
fn install_postgres() -> Result<()> {
    let missing = match Programs::find() {
        Ok(_programs) => return Ok(()),
        Err(error) => error,
    };
    let is_root = Command::new("id").arg("-u").output()?.stdout == b"0\n";
    if !is_root || !Path::new(APT).exists() {
        return Err(missing.into());
    }
    println!("installing a Postgres server");
    let apt = |args: &[&str]| {
        Command::new(APT)
            .args(args)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .status()
            .is_ok_and(|status| status.success())
    };
    let install = [
        "install",
        "--yes",
        "--quiet",
        "--no-install-recommends",
        "postgresql",
    ];
    // What the list of packages says may be out of date, or not there at all.
    if !apt(&install) && apt(&["update", "--quiet"]) {
        apt(&install);
    }
    Programs::find().context("apt-get did not install one")?;
    Ok(())
}

fn has_pip() -> bool {
    answers("python3", &["-m", "pip", "--version"])
}

fn answers(program: &str, args: &[&str]) -> bool {
    Command::new(program)
        .args(args)
        .output()
        .is_ok_and(|output| output.status.success())
}
