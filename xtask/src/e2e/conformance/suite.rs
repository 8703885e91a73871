//! The suite itself: its installation, a run, and what that found.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;

use super::Revision;
use crate::cargo;
use crate::e2e::Tally;
use crate::e2e::install::JAVASCRIPT_PINS;
use crate::e2e::peers::Peers;
use crate::e2e::process;

const PROGRAM: &str = "node_modules/@modelcontextprotocol/conformance/dist/index.js";

#[derive(Debug)]
pub(super) struct Suite {
    pins: PathBuf,
    folder: PathBuf,
}

/// How the checks of a run ended.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Score {
    passed: usize,
    failed: usize,
    /// Those that the suite itself counts neither way: it warned, or skipped them.
    excepted: usize,
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scored = self.passed + self.failed;
        write!(f, "{}/{scored} ({} excepted)", self.passed, self.excepted)
    }
}

/// One element of a scenario's `checks.json`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Check {
    id: String,
    description: String,
    status: Status,
    error_message: Option<String>,
    details: Option<Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Status {
    Success,
    Failure,
    Warning,
    Skipped,
    /// What went over the wire, for people who look for a fault.
    Info,
}

impl Suite {
    /// Installs into the folder, unless what is pinned now is there already.
    pub(super) fn install(peers: &Peers, folder: &Path) -> Result<Self> {
        let suite = Self {
            pins: cargo::root()?.join("tests/conformance"),
            folder: folder.to_owned(),
        };
        let mut wanted = String::new();
        for name in JAVASCRIPT_PINS {
            wanted.push_str(&fs::read_to_string(suite.pins.join(name))?);
        }
        let stamp = folder.join("installed");
        if !fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
            println!("installing the conformance suite");
            if folder.exists() {
                fs::remove_dir_all(folder)?;
            }
            fs::create_dir_all(folder)?;
            peers.installed.install_javascript(&suite.pins, folder)?;
            fs::write(stamp, wanted)?;
        }
        Ok(suite)
    }

    /// What adds the token.
    pub(super) fn shim(&self, peers: &Peers) -> Command {
        peers.node(&self.pins.join("bearer.mjs"))
    }

    /// Runs the scenarios of a revision and notes everything but success.
    pub(super) fn run(
        &self,
        peers: &Peers,
        revision: &Revision,
        url: &str,
        folder: &Path,
        tally: &mut Tally,
    ) -> Result<Score> {
        let results = folder.join(revision.name);
        let mut command = peers.node(&self.folder.join(PROGRAM));
        command
            .args(["server", "--url", url])
            .args(revision.arguments)
            .arg("--output-dir")
            .arg(&results)
            .current_dir(folder);
        let name = format!("suite {}", revision.name);
        // It also fails where checks fail, and those are noted by themselves below.
        let ended = process::ask(command, &Value::Null, folder, &name);

        let mut score = Score::default();
        for (scenario, checks) in read(&results)? {
            for check in checks {
                score.note(&name, &scenario, &check, tally);
            }
        }
        let scored = score.passed + score.failed;
        let all = (scored != revision.checks)
            .then(|| format!("{} were expected and {scored} were made", revision.checks));
        tally.note(&name, "makes all of its checks", all.as_deref());
        if score.failed == 0 {
            let failed = ended.err().map(|error| format!("{error:#}"));
            tally.note(&name, "runs to its end", failed.as_deref());
        }
        Ok(score)
    }
}

impl Score {
    fn note(&mut self, suite: &str, scenario: &str, check: &Check, tally: &mut Tally) {
        match check.status {
            Status::Success => self.passed += 1,
            Status::Failure => self.failed += 1,
            Status::Warning | Status::Skipped => self.excepted += 1,
            Status::Info => return,
        }
        let failure = (check.status != Status::Success).then(|| check.found());
        let name = format!("{scenario}, {}: {}", check.id, check.description);
        tally.note(suite, &name, failure.as_deref());
    }
}

impl Check {
    /// What the suite says of a check that did not succeed.
    fn found(&self) -> String {
        let details = self.details.as_ref().map(Value::to_string);
        let said = [self.error_message.clone(), details];
        let said: Vec<String> = said.into_iter().flatten().collect();
        format!("{:?}: {}", self.status, said.join(" "))
    }
}

/// Scenarios and their checks, in order of their names.
fn read(results: &Path) -> Result<Vec<(String, Vec<Check>)>> {
    let mut scenarios = Vec::new();
    let entries = fs::read_dir(results)
        .with_context(|| format!("the suite left nothing in {}", results.display()))?;
    for entry in entries {
        let folder = entry?.path();
        let file = folder.join("checks.json");
        let text =
            fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let checks = serde_json::from_str(&text)
            .with_context(|| format!("{} is not in the form of checks", file.display()))?;
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        scenarios.push((scenario(&name).to_owned(), checks));
    }
    scenarios.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(scenarios)
}

/// The scenario in `server-<scenario>-<time>`, as folders of results are named.
fn scenario(folder: &str) -> &str {
    const TIME: usize = "-2026-11-25T10-20-05-353Z".len();
    let name = folder.strip_prefix("server-").unwrap_or(folder);
    let end = name.len().saturating_sub(TIME);
    name.get(..end).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHECKS: &str = r#"[
        {"id": "a", "name": "A", "description": "answers", "status": "SUCCESS"},
        {"id": "b", "name": "B", "description": "says no", "status": "FAILURE", "errorMessage": "Expected 400, got 200"},
        {"id": "c", "name": "C", "description": "may", "status": "WARNING"},
        {"id": "d", "name": "D", "description": "sent", "status": "INFO", "details": {}}
    ]"#;

    #[test]
    fn results_are_read_and_counted_as_the_suite_does() {
        let folder = tempfile::tempdir().unwrap();
        let scenario = folder
            .path()
            .join("server-tools-list-2026-11-25T10-20-05-353Z");
        fs::create_dir(&scenario).unwrap();
        fs::write(scenario.join("checks.json"), CHECKS).unwrap();
        let results = read(folder.path()).unwrap();
        let [(name, checks)] = results.as_slice() else {
            panic!("one scenario was run");
        };
        assert_eq!(name, "tools-list");
        let (mut score, mut tally) = (Score::default(), Tally::default());
        for check in checks {
            score.note("suite", name, check, &mut tally);
        }
        assert_eq!(score.to_string(), "1/2 (1 excepted)");
        assert_eq!((tally.passed, tally.failed), (1, 2));
        assert_eq!(checks[1].found(), "Failure: Expected 400, got 200");
        // A run that came to nothing is no success.
        read(&folder.path().join("none")).unwrap_err();
    }
}
