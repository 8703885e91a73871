//! What the verifier found, and what it cannot know.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use gatewright_core::{ReferenceId, TenantId, Timestamp};

use super::VerifyOptions;
use crate::Digest;

/// What is wrong at one place of a log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The bytes are no record at all.
    #[error("this is not a record")]
    Malformed,
    /// The record's own hash does not fit it.
    #[error("the record was changed")]
    Changed,
    /// Records before it were removed or added, or it was moved.
    #[error("record {found} stands here: records were removed, added or moved")]
    OutOfOrder {
        /// The number that stands there.
        found: u64,
    },
    /// Its own hash fits, and it does not follow from the record before.
    #[error("the record does not follow from the one before: one of the two was replaced")]
    Replaced,
    /// It follows, and a checkpoint names another.
    #[error("a checkpoint names another record here: the chain was written anew")]
    NotAsInCheckpoint,
    /// A segment file is not there.
    #[error("the file is missing")]
    MissingSegment,
    /// The chain ends before a record that a checkpoint names.
    #[error("the chain ends before record {named}, which a checkpoint names: its end was cut off")]
    Truncated {
        /// The last record that a checkpoint names.
        named: u64,
    },
    /// A chain that a checkpoint names is not there at all.
    #[error("the chain is missing, of which a checkpoint names record {seq}")]
    MissingChain {
        /// The last record that a checkpoint names.
        seq: u64,
    },
    /// A line among the checkpoints is none.
    #[error("this is not a checkpoint")]
    BadCheckpoint,
    /// A checkpoint in the log is signed by none of the keys.
    #[error("the checkpoint was changed, or is signed by another key")]
    CheckpointUnsigned,
    /// A checkpoint in the log is signed by none of the given keys, and by one that lies in the log.
    #[error(
        "the checkpoint is signed by the key {key}, which was not given: if it was yours before, give it as well"
    )]
    CheckpointOfAnotherKey {
        /// Names the key.
        key: String,
    },
    /// The checkpoint from outside is signed by none of the keys.
    #[error("the given checkpoint was changed, or is signed by another key")]
    GivenCheckpointUnsigned,
    /// The public key that lies in the log is none.
    #[error("this is not a public key")]
    BadPublicKey,
}

/// A problem, and the first record that it concerns.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// Whose chain.
    pub tenant: Option<TenantId>,
    /// Which writer's.
    pub writer: Option<String>,
    /// The record that should stand there.
    pub seq: Option<u64>,
    /// Which file, from the log's directory on.
    pub file: PathBuf,
    /// Which line of it, from 1.
    pub line: Option<u64>,
    /// What is wrong.
    pub problem: Problem,
}

impl Finding {
    pub(super) fn at(file: PathBuf, problem: Problem) -> Self {
        Self {
            tenant: None,
            writer: None,
            seq: None,
            file,
            line: None,
            problem,
        }
    }

    pub(super) fn outside(problem: Problem) -> Self {
        Self::at(PathBuf::new(), problem)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.file != Path::new("") {
            write!(f, "{}", self.file.display())?;
            if let Some(line) = self.line {
                write!(f, ":{line}")?;
            }
            f.write_str(": ")?;
        }
        if let (Some(tenant), Some(seq)) = (&self.tenant, self.seq) {
            let writer = self.writer.as_deref().unwrap_or("unknown");
            write!(f, "record {seq} of {tenant}/{writer}: ")?;
        }
        self.problem.fmt(f)
    }
}

/// An admission whose outcome is not in the log: the call was under way, or the process ended with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenAdmission {
    /// Number of the admission.
    pub seq: u64,
    /// The request.
    pub reference: ReferenceId,
    /// When it was admitted.
    pub time: Timestamp,
}

impl OpenAdmission {
    pub(super) fn new(reference: u128, seq: u64, ms: i64) -> Self {
        Self {
            seq,
            reference: ReferenceId::parse(&format!("{reference:032x}"))
                .unwrap_or_else(ReferenceId::random),
            time: Timestamp::from_millis(ms),
        }
    }
}

/// What is known of one chain.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChainReport {
    /// Whose.
    pub tenant: TenantId,
    /// Which replica wrote it.
    pub writer: String,
    /// How many records follow from each other, from the first on.
    pub records: u64,
    /// The hash of the last of them.
    pub head: Option<Digest>,
    /// Up to this record the checkpoint from outside proves the chain.
    pub proven_outside: Option<u64>,
    /// Up to this record a checkpoint in the log does.
    pub proven_inside: Option<u64>,
    /// Admissions without outcome.
    pub open: Vec<OpenAdmission>,
    /// Further admissions, of which it was not kept whether they have an outcome.
    pub open_beyond: u64,
    /// Records that the writer says it lost.
    pub lost: u64,
    /// Bytes after the last record: a write under way, or one that a crash cut off.
    pub unfinished_bytes: u64,
}

impl ChainReport {
    pub(super) fn new(tenant: &TenantId, writer: &str) -> Self {
        Self {
            tenant: tenant.clone(),
            writer: writer.to_owned(),
            records: 0,
            head: None,
            proven_outside: None,
            proven_inside: None,
            open: Vec::new(),
            open_beyond: 0,
            lost: 0,
            unfinished_bytes: 0,
        }
    }
}

/// What the verifier saw.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// Every chain, in order.
    pub chains: Vec<ChainReport>,
    /// What is wrong: of each chain the first thing, for what follows it proves nothing.
    pub findings: Vec<Finding>,
    /// How many checkpoints in the log are as they were signed.
    pub checkpoints: u64,
    /// What could not be known.
    pub notes: Vec<String>,
}

impl Report {
    /// Whether nothing was found.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.findings.is_empty()
    }

    /// Records in all chains.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.chains.iter().map(|chain| chain.records).sum()
    }

    pub(super) fn note_limits(&mut self, options: &VerifyOptions) {
        if options.checkpoint.is_none() {
            self.notes.push(
                "no checkpoint from outside was given: that the end of the log was cut off together with its \
                 checkpoints, or all of it written anew with its key, cannot be seen"
                    .to_owned(),
            );
        }
        if options.public_keys.is_empty() {
            self.notes.push(
                "no public key from outside was given: the signatures in the log were checked with the key that \
                 lies beside them"
                    .to_owned(),
            );
        }
        for chain in &self.chains {
            let (tenant, writer) = (&chain.tenant, &chain.writer);
            let proven = chain.proven_outside.max(chain.proven_inside);
            let outside = chain.proven_outside.unwrap_or(0);
            if options.checkpoint.is_some() && chain.records > outside {
                self.notes.push(format!(
                    "{tenant}/{writer}: records {} to {} are later than the given checkpoint: whoever can write the \
                     log and read its key could have written them anew, and cut off others after them",
                    outside + 1,
                    chain.records
                ));
            }
            if chain.records > proven.unwrap_or(0) {
                self.notes.push(format!(
                    "{tenant}/{writer}: records {} to {} are later than the last checkpoint: whoever can write the \
                     log could have written them anew, and cut off others after them",
                    proven.unwrap_or(0) + 1,
                    chain.records
                ));
            }
            if chain.unfinished_bytes > 0 {
                self.notes.push(format!(
                    "{tenant}/{writer}: {} bytes after the last record are no whole record: a write under way, or \
                     one that a crash cut off",
                    chain.unfinished_bytes
                ));
            }
            if chain.lost > 0 {
                self.notes.push(format!(
                    "{tenant}/{writer}: the writer says that it lost {} records",
                    chain.lost
                ));
            }
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chain in &self.chains {
            let (tenant, writer, records) = (&chain.tenant, &chain.writer, chain.records);
            writeln!(
                f,
                "{tenant}/{writer}: {records} records follow from each other"
            )?;
            if !chain.open.is_empty() || chain.open_beyond > 0 {
                let count = chain.open.len();
                writeln!(f, "  {count} admissions without outcome")?;
                for open in chain.open.iter().take(10) {
                    writeln!(f, "    record {}, {}", open.seq, open.reference)?;
                }
                if count > 10 {
                    writeln!(f, "    and {} more", count - 10)?;
                }
                if chain.open_beyond > 0 {
                    writeln!(f, "    {} more were not followed up", chain.open_beyond)?;
                }
            }
        }
        writeln!(f, "{} checkpoints in the log", self.checkpoints)?;
        for note in &self.notes {
            writeln!(f, "not known: {note}")?;
        }
        for finding in &self.findings {
            writeln!(f, "WRONG: {finding}")?;
        }
        let verdict = if self.is_sound() {
            "nothing was found"
        } else {
            "the log is not as it was written"
        };
        writeln!(f, "{verdict}")
    }
}
