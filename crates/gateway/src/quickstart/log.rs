//! The audit log of the demo: read, verified, and changed in a copy.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use gatewright_audit::{CheckpointKey, Filter, Problem, Tail, VerifyOptions, verify};
use gatewright_core::ReferenceId;
use serde_json::Value;

use super::tour::{Mismatch, same};
use crate::{
    keys::private_dir,
    serve::{self, Running},
};

/// How long a record may take until it is in the file: far longer than it does.
const PATIENCE: Duration = Duration::from_secs(5);
/// More records than any one step makes.
const LATEST: usize = 16;

/// The log of a gateway.
#[derive(Clone, Copy)]
pub(super) struct Log<'a> {
    gateway: &'a Running,
    /// Where there is room for a copy.
    scratch: &'a Path,
}

/// The record of one request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// `ann`, or `report-bot for ann`.
    pub(super) who: String,
    /// `allow` or `deny`.
    pub(super) effect: String,
    /// The tool.
    pub(super) target: String,
    /// Which policies decided.
    pub(super) policies: Vec<String>,
    /// Why it was denied.
    pub(super) reason: String,
}

/// `deny, …` or `allow, by …`
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.effect)?;
        if !self.reason.is_empty() {
            write!(f, ", {}", self.reason)?;
        }
        if !self.policies.is_empty() {
            write!(f, ", by {}", self.policies.join(" and "))?;
        }
        Ok(())
    }
}

/// What the verifier says of the log.
pub(super) struct Verified {
    records: u64,
    /// Up to which record a checkpoint from outside proves it.
    proven: u64,
    /// Up to which record it ought to.
    named: u64,
    /// Admissions without outcome.
    open: usize,
    findings: Vec<String>,
}

impl fmt::Display for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.findings.as_slice() {
            [] => write!(
                f,
                "{} records, each with the hash of the one before; a signed checkpoint proves \
                 them up to record {}",
                self.records, self.proven
            ),
            findings => f.write_str(&findings.join("; ")),
        }
    }
}

impl Verified {
    pub(super) fn is_whole(&self) -> Result<(), Mismatch> {
        if !self.findings.is_empty() {
            return Err(Mismatch::new("nothing found", self));
        }
        if self.named == 0 {
            return Err(Mismatch::new("records", "none"));
        }
        same("proven records", &self.named, &self.proven)?;
        same("admissions without outcome", &0, &self.open)
    }
}

/// A change of one byte, and what the verifier says of it.
pub(super) struct Change {
    /// What was changed.
    pub(super) what: String,
    /// What the verifier found.
    pub(super) finding: String,
    record: u64,
    found: Vec<(Option<u64>, Problem)>,
}

impl Change {
    pub(super) fn names_the_record(&self) -> Result<(), Mismatch> {
        match self.found.as_slice() {
            [(Some(seq), Problem::Changed)] if *seq == self.record => Ok(()),
            _ => Err(Mismatch::new(
                format_args!("record {} found changed", self.record),
                &self.finding,
            )),
        }
    }
}

impl<'a> Log<'a> {
    pub(super) const fn new(gateway: &'a Running, scratch: &'a Path) -> Self {
        Self { gateway, scratch }
    }

    /// The record of the request with this reference.
    pub(super) async fn entry(&self, reference: &str) -> Result<Entry, Mismatch> {
        let mut filter = Filter::default();
        filter.reference = ReferenceId::parse(reference);
        if filter.reference.is_none() {
            return Err(Mismatch::new("a reference", reference));
        }
        self.find(filter, |_| true).await
    }

    /// The latest record of a call that was let through.
    pub(super) async fn admitted(&self, who: &str, tool: &str) -> Result<Entry, Mismatch> {
        let mut filter = Filter::default();
        filter.principal = Some(who.to_owned());
        let wanted = |record: &Value| {
            let is = |pointer, wanted: &str| {
                record.pointer(pointer).and_then(Value::as_str) == Some(wanted)
            };
            is("/kind", "admitted") && is("/call/target", tool)
        };
        self.find(filter, wanted).await
    }

    /// The latest record that fits, once it is in the file.
    async fn find(
        &self,
        filter: Filter,
        wanted: impl Fn(&Value) -> bool,
    ) -> Result<Entry, Mismatch> {
        let dir = self.gateway.audit_dir();
        let found = async {
            loop {
                self.gateway.log().flush();
                let (records, _) = Tail::open(&dir, filter.clone(), LATEST)
                    .map_err(|error| Mismatch::new("a log that can be read", error))?;
                let records = records.iter().rev();
                let mut records = records.filter_map(|record| serde_json::from_str(record).ok());
                if let Some(record) = records.find(&wanted) {
                    return Ok(Entry::of(&record));
                }
                tokio::task::yield_now().await;
            }
        };
        let found = tokio::time::timeout(PATIENCE, found).await;
        found.unwrap_or_else(|_elapsed| Err(Mismatch::new("a record of it", "none")))
    }

    /// Verifies the log against a checkpoint that is not in it.
    pub(super) async fn verify(&self) -> Result<Verified, Mismatch> {
        let checkpoint = self.gateway.log().checkpoint().await;
        let checkpoint = checkpoint.map_err(|error| Mismatch::new("a checkpoint", error))?;
        let named = checkpoint.heads().iter().map(|head| head.seq).sum();
        let key = CheckpointKey::load_or_create(&serve::checkpoint_key(self.gateway.settings()))
            .map_err(|error| Mismatch::new("the key of checkpoints", error))?;
        let options = VerifyOptions::default()
            .checkpoint(checkpoint)
            .public_key(key.public());
        let report = verify(&self.gateway.audit_dir(), &options)
            .map_err(|error| Mismatch::new("a log that can be read", error))?;
        let proven = report
            .chains
            .iter()
            .filter_map(|chain| chain.proven_outside);
        Ok(Verified {
            records: report.records(),
            proven: proven.sum(),
            named,
            open: report.chains.iter().map(|chain| chain.open.len()).sum(),
            findings: report.findings.iter().map(ToString::to_string).collect(),
        })
    }

    /// Makes an amount that was paid larger, in a copy of the log, and verifies that.
    pub(super) fn change_a_copy(&self) -> Result<Change, Mismatch> {
        let copy = self.scratch.join("changed-copy");
        let changed = self.copy_and_change(&copy);
        let changed = changed.map_err(|error| Mismatch::new("a copy of the log", error))?;
        let record = changed.ok_or_else(|| Mismatch::new("a record of a payment", "none"))?;
        let report = verify(&copy, &VerifyOptions::default())
            .map_err(|error| Mismatch::new("a log that can be read", error))?;
        let findings = report.findings.iter().map(ToString::to_string);
        let finding = findings.collect::<Vec<_>>().join("; ");
        Ok(Change {
            what: format!("{BEFORE} made {AFTER} in record {record}"),
            finding: if finding.is_empty() {
                "nothing was found".to_owned()
            } else {
                finding
            },
            record,
            found: report
                .findings
                .into_iter()
                .map(|finding| (finding.seq, finding.problem))
                .collect(),
        })
    }

    /// Gives the number of the record that was changed.
    fn copy_and_change(&self, copy: &Path) -> io::Result<Option<u64>> {
        if copy.exists() {
            fs::remove_dir_all(copy)?;
        }
        copy_dir(&self.gateway.audit_dir(), copy)?;
        let mut segments = Vec::new();
        files_in(copy, &mut segments)?;
        segments.sort();
        for path in segments.iter().rev() {
            let Ok(text) = fs::read_to_string(path) else {
                continue;
            };
            let paid = text
                .lines()
                .rev()
                .find(|line| line.contains("\"kind\":\"admitted\"") && line.contains(BEFORE));
            if let Some(line) = paid {
                let record = serde_json::from_str::<Value>(line)
                    .ok()
                    .and_then(|line| line.get("seq")?.as_u64());
                fs::write(path, text.replace(line, &line.replacen(BEFORE, AFTER, 1)))?;
                return Ok(record);
            }
        }
        Ok(None)
    }
}

const BEFORE: &str = "\"amount\":250";
const AFTER: &str = "\"amount\":950";

impl Entry {
    fn of(record: &Value) -> Self {
        let text = |pointer| record.pointer(pointer).and_then(Value::as_str);
        // `issuer|id`
        let id = |pointer| text(pointer).and_then(|subject| subject.split('|').next_back());
        let who = match (id("/who/user").or(id("/who/agent")), id("/for_whom")) {
            (Some(who), Some(whom)) => format!("{who} for {whom}"),
            (Some(who), None) => who.to_owned(),
            (None, _) => "nobody".to_owned(),
        };
        let owned = |pointer| text(pointer).unwrap_or_default().to_owned();
        let policies = record.pointer("/decision/policies");
        let policies = policies.and_then(Value::as_array).into_iter().flatten();
        Self {
            who,
            effect: owned("/decision/effect"),
            target: owned("/call/target"),
            policies: policies
                .filter_map(|policy| policy.as_str().map(str::to_owned))
                .collect(),
            reason: owned("/decision/reason"),
        }
    }
}

fn copy_dir(from: &Path, to: &Path) -> io::Result<()> {
    private_dir(to).map_err(io::Error::other)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_dir(&entry.path(), &target)?;
        } else if entry.path().extension().is_some_and(|end| end != "reserve") {
            // The reserved space holds nothing.
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

fn files_in(dir: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            files_in(&entry.path(), found)?;
        } else {
            found.push(entry.path());
        }
    }
    Ok(())
}
