//! What cargo knows about the workspace, and how to run it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

/// The parts of `cargo metadata` that the tasks read.
#[derive(Debug, Deserialize)]
pub(crate) struct Metadata {
    pub(crate) packages: Vec<Package>,
    pub(crate) workspace_members: Vec<String>,
    pub(crate) target_directory: PathBuf,
    pub(crate) resolve: Resolve,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) manifest_path: PathBuf,
    pub(crate) dependencies: Vec<Dependency>,
    pub(crate) targets: Vec<Target>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// `None` is a normal dependency; else `dev` or `build`.
    pub(crate) kind: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Target {
    pub(crate) name: String,
    pub(crate) kind: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Resolve {
    pub(crate) nodes: Vec<Node>,
}

/// A package as it takes part in the build, with its features united.
#[derive(Debug, Deserialize)]
pub(crate) struct Node {
    pub(crate) id: String,
    pub(crate) features: Vec<String>,
}

impl Metadata {
    /// Asks cargo.
    pub(crate) fn load() -> Result<Self> {
        let printed = output(&["metadata", "--format-version", "1"])?;
        serde_json::from_slice(&printed)
            .context("cargo metadata printed something else than metadata")
    }

    /// The workspace's own packages.
    pub(crate) fn members(&self) -> impl Iterator<Item = &Package> {
        self.packages
            .iter()
            .filter(|package| self.workspace_members.contains(&package.id))
    }

    /// Names of all packages by id.
    pub(crate) fn names(&self) -> BTreeMap<&str, &str> {
        self.packages
            .iter()
            .map(|package| (package.id.as_str(), package.name.as_str()))
            .collect()
    }

    /// A binary that a debug build of the workspace leaves behind.
    pub(crate) fn binary(&self, name: &str) -> PathBuf {
        self.target_directory.join("debug").join(name)
    }
}

impl Package {
    /// Whether the package lies in this folder of the repository.
    pub(crate) fn is_under(&self, folder: &str) -> bool {
        root().is_ok_and(|root| self.manifest_path.starts_with(root.join(folder)))
    }
}

/// The repository's root.
pub(crate) fn root() -> Result<&'static Path> {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("the manifest of xtask has no parent folder")
}

/// Runs cargo at the root with its output shown; anything but success is an error.
pub(crate) fn run(args: &[&str], environment: &[(&str, &str)]) -> Result<()> {
    let status = Command::new("cargo")
        .args(args)
        .envs(environment.iter().copied())
        .current_dir(root()?)
        .status()
        .context("cannot run cargo")?;
    ensure!(status.success(), "`cargo {}` failed", args.join(" "));
    Ok(())
}

/// The names of all packages that a build of the workspace for a platform takes. `cargo metadata` would name more: it
/// counts dependencies whose features are asked for only in case that they are there.
pub(crate) fn built_for(platform: &str) -> Result<BTreeSet<String>> {
    let printed = output(&[
        "tree",
        "--workspace",
        "--target",
        platform,
        "--prefix",
        "none",
        "--format",
        "{p}",
    ])?;
    let names = String::from_utf8(printed)?;
    Ok(names
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect())
}

/// What cargo prints when it is run at the root.
fn output(args: &[&str]) -> Result<Vec<u8>> {
    let output = Command::new("cargo")
        .args(args)
        .current_dir(root()?)
        .output()
        .context("cannot run cargo")?;
    ensure!(
        output.status.success(),
        "`cargo {}` failed: {}",
        args.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(output.stdout)
}

/// Builds all programs, from the same dependencies as the tests (`--examples` takes the tests' features in).
pub(crate) fn build() -> Result<()> {
    run(&["build", "--workspace", "--bins", "--examples"], &[])
}

/// Whether a cargo subcommand is installed.
pub(crate) fn has_subcommand(name: &str) -> bool {
    Command::new("cargo")
        .args([name, "--version"])
        .output()
        .is_ok_and(|output| output.status.success())
}
