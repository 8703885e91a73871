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
    lines::{Lines, Next},
};

/// A checkpoint names every chain, so its line is longer than that of a record; in bytes.
const LONGEST_CHECKPOINT: usize = 64 * 1024 * 1024;

/// A hash that a checkpoint names.
#[derive(Clone, Copy, Debug)]
pub(super) struct Point {
    pub(super) hash: Digest,
    /// From the checkpoint that the caller gave.
    pub(super) outside: bool,
}

/// The hashes that checkpoints name: of the one from outside, and of the last of each writer. Earlier ones in
/// the log add nothing: the chain up to the last holds them.
#[derive(Default)]
pub(super) struct Points(BTreeMap<(TenantId, String), Named>);

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
            if let Some(last) = read_file(dir, &writer, &keys, report)? {
                points.add(&last, false);
            }
        }
        Ok(points)
    }

    fn add(&mut self, checkpoint: &Checkpoint, outside: bool) {
        for head in checkpoint.heads() {
            let chain = (head.tenant.clone(), head.writer.clone());
            let hash = head.hash;
            let named = self.0.entry(chain).or_default();
            named
                .entry(head.seq)
                .or_default()
                .push(Point { hash, outside });
        }
    }

    /// Takes out what is named of a chain.
    pub(super) fn of(&mut self, tenant: &TenantId, writer: &str) -> Named {
        self.0
            .remove(&(tenant.clone(), writer.to_owned()))
            .unwrap_or_default()
    }

    /// Chains that were not taken out, and the last record that is named of each.
    pub(super) fn rest(self) -> impl Iterator<Item = ((TenantId, String), u64)> {
        self.0
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
    for writer in layout::writers_with(dir, "checkpoint-key.", ".pub").map_err(failed)? {
        let path = layout::public_key(dir, &writer);
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

/// Reads a writer's checkpoints, and returns the last.
fn read_file(
    dir: &Path,
    writer: &str,
    keys: &[PublicKey],
    report: &mut Report,
) -> Result<Option<Checkpoint>, VerifyLogError> {
    let path = layout::checkpoints(dir, writer);
    let failed = |source: io::Error| VerifyLogError {
        path: path.clone(),
        source,
    };
    let file = File::open(&path).map_err(failed)?;
    let mut lines = Lines::with_longest(file, LONGEST_CHECKPOINT);
    let mut last = None;
    let mut number = 0;
    loop {
        let next = lines.advance().map_err(failed)?;
        number += 1;
        let checkpoint = match next {
            Next::End | Next::Unfinished => return Ok(last),
            Next::TooLong => None,
            Next::Line => std::str::from_utf8(lines.line())
                .ok()
                .and_then(Checkpoint::parse),
        };
        let problem = match &checkpoint {
            None => Some(Problem::BadCheckpoint),
            Some(checkpoint)
                if !keys.is_empty() && !keys.iter().any(|key| checkpoint.is_signed_by(key)) =>
            {
                Some(Problem::CheckpointUnsigned)
            }
            Some(_) => None,
        };
        if let Some(problem) = problem {
            report.findings.push(Finding {
                writer: Some(writer.to_owned()),
                line: Some(number),
                ..Finding::at(relative(dir, &path), problem)
            });
            // One is enough to distrust the file; what it says is not held against the chains.
            return Ok(last);
        }
        report.checkpoints += 1;
        last = checkpoint;
    }
}

fn relative(dir: &Path, path: &Path) -> PathBuf {
    path.strip_prefix(dir).unwrap_or(path).to_owned()
}
