//! What checkpoints say the chains must hold.

use std::{
    collections::BTreeMap,
    fs::File,
    io,
    path::{Path, PathBuf},
};

use gatewright_core::TenantId;

use super::{Finding, Named, Problem, Report, VerifyLogError, VerifyOptions};
use crate::{
    Checkpoint, PublicKey,
    chain::Digest,
    layout,
    lines::{LONGEST_CHECKPOINT, Lines, Next},
};

/// So many hashes of checkpoints in the log are kept.
const MOST_POINTS: usize = 250_000;

/// A hash that a checkpoint names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Point {
    pub(super) hash: Digest,
    /// From the checkpoint that the caller gave.
    pub(super) outside: bool,
}

/// The hashes that checkpoints name: the one from outside, and those in the log. Earlier ones count like the
/// last: a chain that was cut and then gone on with fits later ones only.
#[derive(Default)]
pub(super) struct Points {
    chains: BTreeMap<(TenantId, String), Named>,
    kept: usize,
    left_out: u64,
}

impl Points {
    pub(super) fn read(
        dir: &Path,
        options: &VerifyOptions,
        report: &mut Report,
    ) -> Result<Self, VerifyLogError> {
        let mut points = Self::default();
        let keys = keys(dir, options, report)?;
        if let Some(checkpoint) = &options.checkpoint {
            if keys.is_empty() {
                report.notes.push(
                    "the signature of the given checkpoint could not be checked: there is no public key".to_owned(),
                );
            } else if !keys.iter().any(|key| checkpoint.is_signed_by(key)) {
                report
                    .findings
                    .push(Finding::outside(Problem::GivenCheckpointUnsigned));
            }
            points.add(checkpoint, true);
        }
        let failed = |source| VerifyLogError {
            path: dir.to_owned(),
            source,
        };
        for writer in layout::writers_with(dir, "checkpoints.", ".jsonl").map_err(failed)? {
            points.read_file(dir, &writer, &keys, report)?;
        }
        if points.left_out > 0 {
            report.notes.push(format!(
                "{} checkpoints in the log were too many to hold against the chains",
                points.left_out
            ));
        }
        Ok(points)
    }

    fn add(&mut self, checkpoint: &Checkpoint, outside: bool) {
        for head in checkpoint.heads() {
            let chain = (head.tenant.clone(), head.writer.clone());
            let hash = head.hash;
            let named = self.chains.entry(chain).or_default();
            let named = named.entry(head.seq).or_default();
            let point = Point { hash, outside };
            if !named.contains(&point) {
                named.push(point);
                self.kept += 1;
            }
        }
    }

    /// Reads the checkpoints of a writer.
    fn read_file(
        &mut self,
        dir: &Path,
        writer: &str,
        keys: &[PublicKey],
        report: &mut Report,
    ) -> Result<(), VerifyLogError> {
        let path = layout::checkpoints(dir, writer);
        let failed = |source: io::Error| VerifyLogError {
            path: path.clone(),
            source,
        };
        let file = File::open(&path).map_err(failed)?;
        let mut lines = Lines::with_longest(file, LONGEST_CHECKPOINT);
        let mut last = None;
        let mut signed_by: Option<PublicKey> = None;
        for number in 1.. {
            let checkpoint = match lines.advance().map_err(failed)? {
                Next::End | Next::Unfinished => break,
                Next::TooLong => None,
                Next::Line => std::str::from_utf8(lines.line())
                    .ok()
                    .and_then(Checkpoint::parse),
            };
            let by = checkpoint.as_ref().and_then(|checkpoint| {
                // The key of the line before is the likely one.
                let keys = signed_by.iter().chain(keys);
                keys.copied().find(|key| checkpoint.is_signed_by(key))
            });
            let problem = match checkpoint {
                None => Problem::BadCheckpoint,
                Some(checkpoint) if by.is_none() && !keys.is_empty() => {
                    let beside = keys_beside(dir)?;
                    match beside.iter().find(|key| checkpoint.is_signed_by(key)) {
                        Some(key) => Problem::CheckpointOfAnotherKey { key: key.id() },
                        None => Problem::CheckpointUnsigned,
                    }
                }
                Some(checkpoint) => {
                    if signed_by.is_some_and(|before| by != Some(before)) {
                        report.notes.push(format!(
                            "{writer}: from line {number} of its checkpoints on another key signs, {}: whether the \
                             change was meant, the log cannot say",
                            checkpoint.key_id()
                        ));
                    }
                    signed_by = by;
                    report.checkpoints += 1;
                    if self.kept < MOST_POINTS {
                        self.add(&checkpoint, false);
                    } else {
                        self.left_out += 1;
                        last = Some(checkpoint);
                    }
                    continue;
                }
            };
            report.findings.push(Finding {
                writer: Some(writer.to_owned()),
                line: Some(number),
                ..Finding::at(relative(dir, &path), problem)
            });
            // One is enough to distrust what follows; it is not held against the chains.
            break;
        }
        if let Some(last) = last {
            self.add(&last, false);
        }
        Ok(())
    }

    /// Takes out what is named of a chain.
    pub(super) fn of(&mut self, tenant: &TenantId, writer: &str) -> Named {
        self.chains
            .remove(&(tenant.clone(), writer.to_owned()))
            .unwrap_or_default()
    }

    /// Chains that were not taken out, and the last record that is named of each.
    pub(super) fn rest(self) -> impl Iterator<Item = ((TenantId, String), u64)> {
        self.chains
            .into_iter()
            .filter_map(|(chain, named)| Some((chain, *named.keys().next_back()?)))
    }
}

fn keys(
    dir: &Path,
    options: &VerifyOptions,
    report: &mut Report,
) -> Result<Vec<PublicKey>, VerifyLogError> {
    if !options.public_keys.is_empty() {
        return Ok(options.public_keys.clone());
    }
    let failed = |source| VerifyLogError {
        path: dir.to_owned(),
        source,
    };
    let mut keys = Vec::new();
    for (writer, path) in layout::public_keys(dir).map_err(failed)? {
        match PublicKey::load(&path) {
            Ok(key) => keys.push(key),
            Err(_) => report.findings.push(Finding {
                writer: Some(writer),
                ..Finding::at(relative(dir, &path), Problem::BadPublicKey)
            }),
        }
    }
    Ok(keys)
}

/// The keys that lie in the log, those that are none left out.
fn keys_beside(dir: &Path) -> Result<Vec<PublicKey>, VerifyLogError> {
    PublicKey::all_beside(dir).map_err(|source| VerifyLogError {
        path: dir.to_owned(),
        source,
    })
}

fn relative(dir: &Path, path: &Path) -> PathBuf {
    path.strip_prefix(dir).unwrap_or(path).to_owned()
}
