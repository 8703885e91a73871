//! The offline verifier (invariant 8).

mod chain;
mod checkpoints;
mod report;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
};

use gatewright_core::TenantId;

use self::{chain::Walk, checkpoints::Points};
use crate::{Checkpoint, PublicKey, layout};

pub use self::report::{ChainReport, Finding, OpenAdmission, Problem, Report};

/// What the verifier is given besides the log.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct VerifyOptions {
    /// A checkpoint that was kept outside: everything before it is proven, or found.
    pub checkpoint: Option<Checkpoint>,
    /// Keys whose signatures count, from outside. Without any, the copies in the log are used, which prove
    /// nothing against whoever can write there.
    pub public_keys: Vec<PublicKey>,
}

impl VerifyOptions {
    /// With a checkpoint that was kept outside.
    #[must_use]
    pub fn checkpoint(mut self, checkpoint: Checkpoint) -> Self {
        self.checkpoint = Some(checkpoint);
        self
    }

    /// With a key whose signatures count.
    #[must_use]
    pub fn public_key(mut self, key: PublicKey) -> Self {
        self.public_keys.push(key);
        self
    }
}

/// Why a log could not be verified: it could not be read. What is wrong in it is a [`Finding`].
#[derive(Debug, thiserror::Error)]
#[error("cannot read `{}`: {source}", path.display())]
pub struct VerifyLogError {
    /// What could not be read.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

/// Reads the whole log in bounded memory and reports what was done to it since it was written.
///
/// # Errors
/// [`VerifyLogError`] when a file or directory cannot be read.
pub fn verify(dir: &Path, options: &VerifyOptions) -> Result<Report, VerifyLogError> {
    let mut report = Report::default();
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| VerifyLogError { path, source }
    };
    // Before the chains: a log that grows meanwhile then holds all that its checkpoints name.
    let mut points = Points::read(dir, options, &mut report)?;
    let chains: BTreeSet<(TenantId, String)> = layout::chains(dir)
        .map_err(failed(dir))?
        .into_iter()
        .collect();

    for (tenant, writer) in chains {
        let named = points.of(&tenant, &writer);
        Walk::new(dir, &tenant, &writer, named).run(&mut report)?;
    }
    for ((tenant, writer), point) in points.rest() {
        report.findings.push(Finding {
            file: PathBuf::from(tenant.as_str()).join(&writer),
            tenant: Some(tenant),
            writer: Some(writer),
            seq: Some(1),
            line: None,
            problem: Problem::MissingChain { seq: point },
        });
    }
    report.note_limits(options);
    Ok(report)
}

/// Hashes that a chain must have, by record; and whether they come from outside.
type Named = BTreeMap<u64, Vec<checkpoints::Point>>;

#[cfg(test)]
mod tests;
