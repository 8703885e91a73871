//! What is looked at when the gateway has ended: the audit log of the run, and that no secret stayed behind.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::Tokens;
use super::credentials::{CHANGES, SAID};
use super::gateway::Gateway;
use super::servers::{SERVERS, WORKBENCH};

const TEN_MEBIBYTES: u64 = 10 * 1024 * 1024;
/// How much of a secret's end is looked for.
const MARKER: usize = 40;

/// The audit log that a run has left behind.
#[derive(Debug)]
pub(super) struct Log<'a> {
    gateway: &'a Gateway,
    folder: &'a Path,
}

impl<'a> Log<'a> {
    pub(super) const fn new(gateway: &'a Gateway, folder: &'a Path) -> Self {
        Self { gateway, folder }
    }

    /// The offline verifier finds everything in order, up to a checkpoint that was kept elsewhere.
    pub(super) fn verifies(&self) -> Result<()> {
        let checkpoints = fs::read_to_string(self.gateway.audit().join("checkpoints.local.jsonl"))?;
        let last = checkpoints.lines().last().context("no checkpoint")?;
        let kept = self.folder.join("checkpoint");
        fs::write(&kept, last)?;
        let mut verify = self.gateway.command("audit", "verify");
        let output = verify.arg("--checkpoint").arg(kept).output()?;
        let said = String::from_utf8_lossy(&output.stdout);
        ensure!(
            output.status.success(),
            "the verifier ended with {}: {said}{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        ensure!(
            said.contains("records follow from each other"),
            "the verifier said something else: {said}"
        );
        Ok(())
    }

    /// In a copy, one letter of one record is changed, and the verifier names the place.
    pub(super) fn change_is_found(&self) -> Result<()> {
        let copy = self.folder.join("changed");
        let mut files = Vec::new();
        collect_files(&self.gateway.audit(), &mut files)?;
        let mut changed = None;
        for file in files {
            let path = copy.join(file.strip_prefix(self.gateway.audit())?);
            fs::create_dir_all(path.parent().context("a file is in a folder")?)?;
            let mut content = fs::read(&file)?;
            let guest = b"|guest\"";
            let found = content
                .windows(guest.len())
                .position(|window| window == guest);
            if let (None, Some(at)) = (&changed, found) {
                content.splice(at..at + guest.len(), *b"|Guest\"");
                changed = Some(file.file_name().context("a file has a name")?.to_owned());
            }
            fs::write(path, content)?;
        }
        let changed = changed.context("nothing of the guest is in the log")?;
        let mut verify = self.gateway.command("audit", "verify");
        let output = verify.arg("--dir").arg(copy).output()?;
        let said = String::from_utf8_lossy(&output.stdout);
        ensure!(
            output.status.code() == Some(1)
                && said.contains("the record was changed")
                && said.contains(&*changed.to_string_lossy()),
            "the verifier ended with {}: {said}",
            output.status
        );
        Ok(())
    }

    /// Each admission has its outcome, and what the clients did is there.
    pub(super) fn holds_what_happened(&self) -> Result<()> {
        let records = self.records()?;
        let admitted = references(&records, "admitted");
        let ended = references(&records, "outcome");
        ensure!(!admitted.is_empty(), "nothing was admitted");
        if let Some(open) = admitted.difference(&ended).next() {
            bail!("`{open}` was admitted and has no outcome");
        }
        for server in SERVERS {
            let refused = |record: &&Value| {
                text(record, "/kind") == "refused"
                    && text(record, "/server") == server.name
                    && text(record, "/call/target") == server.refused.tool
                    && text(record, "/who/user").ends_with("|guest")
                    && text(record, "/decision/effect") == "deny"
            };
            ensure!(
                records.iter().any(|record| refused(&record)),
                "the refusal of `{}` at {} is missing",
                server.refused.tool,
                server.name
            );
        }
        let of = |tool: &str| -> BTreeSet<&str> {
            let admitted = records.iter().filter(|record| {
                text(record, "/kind") == "admitted"
                    && text(record, "/server") == WORKBENCH.name
                    && text(record, "/call/target") == tool
            });
            admitted.map(|record| text(record, "/ref")).collect()
        };
        let outcome = |references: &BTreeSet<&str>, fits: &dyn Fn(&Value) -> bool| {
            records.iter().any(|record| {
                text(record, "/kind") == "outcome"
                    && references.contains(text(record, "/ref"))
                    && fits(record)
            })
        };
        let large = |record: &Value| {
            let bytes = record.pointer("/outcome/bytes").and_then(Value::as_u64);
            bytes.is_some_and(|bytes| bytes >= TEN_MEBIBYTES)
        };
        ensure!(outcome(&of("blob"), &large), "no result of 10 MiB");
        let cancelled = |record: &Value| text(record, "/outcome/ended") == "client-gone";
        ensure!(
            outcome(&of("wait"), &cancelled),
            "no call whose client has gone"
        );
        Ok(())
    }

    /// Of the call that visitors may make at a server, so many were admitted as they made.
    pub(super) fn holds_every_call(&self, made: &BTreeMap<&str, usize>) -> Result<()> {
        let records = self.records()?;
        for server in SERVERS {
            let admitted = records.iter().filter(|record| {
                text(record, "/kind") == "admitted"
                    && text(record, "/server") == server.name
                    && text(record, "/call/target") == server.call.tool
                    && text(record, "/who/user").ends_with("|guest")
                    && text(record, "/who/agent").is_empty()
            });
            let (found, made) = (admitted.count(), made.get(server.name).copied());
            ensure!(
                Some(found) == made,
                "{found} calls of `{}` at {} were admitted, and {made:?} made",
                server.call.tool,
                server.name
            );
        }
        Ok(())
    }

    /// What operators changed is there with who it was, and that it was done.
    pub(super) fn holds_changes(&self) -> Result<()> {
        let records = self.records()?;
        for &(action, made) in CHANGES {
            for stage in ["begun", "done"] {
                let changed = records.iter().filter(|record| {
                    text(record, "/kind") == "changed"
                        && text(record, "/change/action") == action
                        && text(record, "/change/stage") == stage
                        && record.pointer("/who/operator").is_some()
                });
                let found = changed.count();
                ensure!(
                    found == made,
                    "`{action}` is {stage} {found} times, and was asked for {made} times"
                );
            }
        }
        Ok(())
    }

    /// What a server writes of its credential is in the gateway's log without it; `has_no_secret` says the rest.
    pub(super) fn keeps_what_servers_say(&self) -> Result<()> {
        let log = fs::read_to_string(self.folder.join("gateway.log"))?;
        let said = log.lines().filter(|line| line.contains(SAID));
        let known = said.filter(|line| line.contains("[redacted]")).count();
        ensure!(
            known > 0,
            "no line with `{SAID}` and the credential's place"
        );
        Ok(())
    }

    /// No token, API key or credential of this run stands in anything that the gateway wrote or counted.
    pub(super) fn has_no_secret(&self, secrets: &Tokens) -> Result<()> {
        let mut files = vec![self.folder.join("gateway.log"), self.folder.join("metrics")];
        for folder in self.gateway.folders() {
            let before = files.len();
            collect_files(&folder, &mut files)?;
            ensure!(files.len() > before, "{} is empty", folder.display());
        }
        for file in files {
            let content = fs::read(&file)?;
            for (label, secret) in secrets {
                // Its end alone would do harm enough as a marker: that of a token's signature is in no other token, and
                // an API key begins with an id that may be told.
                let secret = secret.as_bytes();
                let marker = secret.split_at(secret.len().saturating_sub(MARKER)).1;
                let found = content.windows(marker.len()).any(|window| window == marker);
                ensure!(!found, "{label} is in {}", file.display());
            }
        }
        Ok(())
    }

    /// All records.
    pub(super) fn records(&self) -> Result<Vec<Value>> {
        let output = self.gateway.command("audit", "export").output()?;
        ensure!(
            output.status.success(),
            "the export ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout)?
            .lines()
            .map(|line| serde_json::from_str(line).context("a record is no JSON"))
            .collect()
    }
}

fn references<'a>(records: &'a [Value], kind: &str) -> BTreeSet<&'a str> {
    let of_kind = records
        .iter()
        .filter(|record| text(record, "/kind") == kind);
    of_kind.map(|record| text(record, "/ref")).collect()
}

/// The text at a place in a record, empty where there is none.
pub(super) fn text<'a>(record: &'a Value, pointer: &str) -> &'a str {
    record
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn collect_files(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?
    {
        let path = entry?.path();
        if path.is_dir() {
            collect_files(&path, files)?;
        } else if path.is_file() {
            files.push(path);
        }
    }
    Ok(())
}
