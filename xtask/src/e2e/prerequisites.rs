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
    ("git", &["--version"], "git"),
    (
        "python3",
        &[
            "-c",
            "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))",
        ],
        "Python 3.10 or newer with venv (Debian, Ubuntu: apt install python3 python3-venv)",
    ),
    (
        "node",
        &[
            "-e",
            "process.exit(Number(process.versions.node.split('.')[0]) < 20 ? 1 : 0)",
        ],
        "Node.js 20 or newer (nodejs.org, or your distribution's package if it is new enough)",
    ),
    (
        "npm",
        &["--version"],
        "npm, which comes with Node.js (Debian, Ubuntu: apt install npm)",
    ),
];

/// Fails with everything that has to be installed.
pub(crate) fn check() -> Result<()> {
    let missing: Vec<&str> = NEEDED
        .iter()
        .filter(|(program, args, _)| !answers(program, args))
        .map(|(_, _, remedy)| *remedy)
        .collect();
    if !missing.is_empty() {
        bail!(
            "this machine lacks what the tests need; please install:\n  {}",
            missing.join("\n  ")
        );
    }
    Ok(())
}

fn answers(program: &str, args: &[&str]) -> bool {
    Command::new(program)
        .args(args)
        .output()
        .is_ok_and(|output| output.status.success())
}
