//! Where a chain on the disk ends, and what a crash left behind it.

use std::{
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
};

use gatewright_core::TenantId;

use crate::{
    Checkpoint,
    chain::{Head, Line},
    layout,
    lines::{Backwards, LONGEST_CHECKPOINT, LONGEST_LINE},
};

/// Why a chain cannot be continued.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecoverError {
    /// Its files cannot be read or written.
    #[error("cannot use `{}`: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Its last line is not one that this software wrote. To continue it would hide that.
    #[error(
        "the last record in `{}` is damaged: `gatewright audit verify` says what else is; \
         move the log's directory aside to begin a new one",
        .0.display()
    )]
    Damaged(PathBuf),
    /// It ends before a record that a checkpoint names, or with another. A crash does not do that.
    #[error(
        "`{}` is not what the last checkpoint names: `gatewright audit verify` says more; \
         move the log's directory aside to begin a new one",
        .0.display()
    )]
    Shortened(PathBuf),
}

/// Where a chain ends.
#[derive(Debug)]
pub(crate) struct Tail {
    /// Number of the last segment; 1 if there is none.
    pub(crate) segment: u64,
    /// How much of the last segment is whole lines.
    pub(crate) len: u64,
    pub(crate) head: Head,
    /// Bytes after the last whole line.
    pub(crate) unfinished: u64,
}

/// Finds the end of a chain without reading all of it.
pub(crate) fn tail(dir: &Path, tenant: &TenantId, writer: &str) -> Result<Tail, RecoverError> {
    let chain = layout::chain_dir(dir, tenant, writer);
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| RecoverError::Io { path, source }
    };
    let segments = layout::segments(&chain).map_err(failed(&chain))?;
    let mut tail = Tail {
        segment: segments.last().copied().unwrap_or(1),
        len: 0,
        head: Head::genesis(tenant, writer),
        unfinished: 0,
    };
    for number in segments.into_iter().rev() {
        let path = chain.join(layout::segment_name(number));
        let file = File::open(&path).map_err(failed(&path))?;
        let (mut lines, unfinished) = Backwards::new(file).map_err(failed(&path))?;
        if number == tail.segment {
            tail.len = lines.position();
            tail.unfinished = unfinished;
        } else if unfinished > 0 {
            return Err(RecoverError::Damaged(path));
        }
        match lines.line() {
            Ok(Some(line)) => match Line::parse(&line).filter(Line::is_intact) {
                Some(line) => {
                    tail.head = line.head;
                    return Ok(tail);
                }
                None => return Err(RecoverError::Damaged(path)),
            },
            Ok(None) => {}
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return Err(RecoverError::Damaged(path));
            }
            Err(error) => return Err(failed(&path)(error)),
        }
    }
    Ok(tail)
}

/// Moves the unfinished end of the last segment into a file of its own, and returns its beginning.
pub(crate) fn cut(
    dir: &Path,
    tenant: &TenantId,
    writer: &str,
    tail: &Tail,
) -> Result<Vec<u8>, RecoverError> {
    let chain = layout::chain_dir(dir, tenant, writer);
    let path = chain.join(layout::segment_name(tail.segment));
    let failed = |source| RecoverError::Io {
        path: path.clone(),
        source,
    };
    let read = || -> io::Result<Vec<u8>> {
        use std::os::unix::fs::FileExt as _;
        // A line is what a crash cuts; more than that (zeros after a loss of power) is not worth keeping whole.
        let kept = usize::try_from(tail.unfinished)
            .unwrap_or(LONGEST_LINE)
            .min(LONGEST_LINE);
        let mut bytes = vec![0; kept];
        File::open(&path)?.read_exact_at(&mut bytes, tail.len)?;
        Ok(bytes)
    };
    let bytes = read().map_err(failed)?;
    let aside = chain.join(layout::cut_name(tail.segment));
    let keep = || -> io::Result<()> {
        use std::io::Write as _;
        let mut file = layout::private_append(&aside)?;
        file.write_all(&bytes)?;
        file.write_all(b"\n")?;
        file.sync_all()
    };
    keep().map_err(|source| RecoverError::Io {
        path: aside.clone(),
        source,
    })?;
    // Only now: the bytes are safe elsewhere.
    let file = OpenOptions::new().write(true).open(&path).map_err(failed)?;
    file.set_len(tail.len).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    Ok(bytes)
}

/// The last checkpoint of a writer. Takes an unfinished line after it out: nothing was promised on it.
pub(crate) fn last_checkpoint(
    dir: &Path,
    writer: &str,
) -> Result<Option<Checkpoint>, RecoverError> {
    let path = layout::checkpoints(dir, writer);
    let failed = |source| RecoverError::Io {
        path: path.clone(),
        source,
    };
    if !fs::exists(&path).map_err(failed)? {
        return Ok(None);
    }
    let open = || Backwards::with_longest(File::open(&path)?, LONGEST_CHECKPOINT);
    let (mut lines, unfinished) = open().map_err(failed)?;
    if unfinished > 0 {
        let file = OpenOptions::new().write(true).open(&path).map_err(failed)?;
        file.set_len(lines.position()).map_err(failed)?;
    }
    let Some(line) = lines.line().map_err(failed)? else {
        return Ok(None);
    };
    let checkpoint = std::str::from_utf8(&line).ok().and_then(Checkpoint::parse);
    checkpoint
        .map(Some)
        .ok_or_else(|| RecoverError::Damaged(path.clone()))
}

/// Refuses to go on with a chain that lacks what was durable when the checkpoint was signed: what is written
/// after it would hide that.
pub(crate) fn hold_against(
    dir: &Path,
    writer: &str,
    checkpoint: &Checkpoint,
) -> Result<(), RecoverError> {
    for named in checkpoint
        .heads()
        .iter()
        .filter(|named| named.writer == writer)
    {
        let head = tail(dir, &named.tenant, writer)?.head;
        if head.seq < named.seq || (head.seq == named.seq && head.hash != named.hash) {
            let chain = layout::chain_dir(dir, &named.tenant, writer);
            return Err(RecoverError::Shortened(chain));
        }
    }
    Ok(())
}
