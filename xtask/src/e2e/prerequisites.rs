//! What a machine needs besides Rust, said before any time is spent.

use std::process::Command;

use anyhow::{Result, bail};

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

/// Fails with everything that has to be installed.
pub(crate) fn check() -> Result<()> {
    let mut missing: Vec<&str> = NEEDED
        .iter()
        .filter(|(program, args, _)| !answers(program, args))
        .map(|(_, _, remedy)| *remedy)
        .collect();
    if missing.last() != Some(&PYTHON) && !has_ensurepip() && !has_pip() {
        missing.push(PYTHON);
    }
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

fn has_pip() -> bool {
    answers("python3", &["-m", "pip", "--version"])
}

fn answers(program: &str, args: &[&str]) -> bool {
    Command::new(program)
        .args(args)
        .output()
        .is_ok_and(|output| output.status.success())
}
