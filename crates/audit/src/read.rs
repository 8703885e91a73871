//! Reading records out of a log: all of them, or the latest.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Seek as _, SeekFrom, Write},
    path::{Path, PathBuf},
};

use gatewright_core::{ReferenceId, TenantId, Timestamp};
use serde::Deserialize;

use crate::{
    chain::Line,
    layout,
    lines::{Backwards, Lines, Next},
};

/// [`Tail::more`] returns at most so many records at once.
const MOST_AT_ONCE: usize = 4096;

/// Why records could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadLogError {
    /// A file or directory cannot be read.
    #[error("cannot read `{}`: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is something else than records.
    #[error("`{}` holds something that is no record: verify the log", .0.display())]
    Damaged(PathBuf),
    /// The records cannot be written where they should go.
    #[error("cannot write the records: {0}")]
    Write(#[source] io::Error),
}

/// Which records are wanted. What is not said is not asked.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Filter {
    /// Of this tenant.
    pub tenant: Option<TenantId>,
    /// Not earlier than this.
    pub since: Option<Timestamp>,
    /// Earlier than this.
    pub until: Option<Timestamp>,
    /// Of requests by or for this subject: `issuer|id`, or the id alone.
    pub principal: Option<String>,
    /// Of the request with this reference, as a denial shows it.
    pub reference: Option<ReferenceId>,
}

/// What a filter looks at.
#[derive(Deserialize)]
struct Glimpse {
    ms: i64,
    #[serde(rename = "ref")]
    reference: Option<String>,
    who: Option<Who>,
    for_whom: Option<String>,
    subject: Option<String>,
}

#[derive(Deserialize)]
struct Who {
    user: Option<String>,
    agent: Option<String>,
}

impl Filter {
    /// The time of a record that is wanted.
    fn accept(&self, record: &str) -> Option<i64> {
        let glimpse: Glimpse = serde_json::from_str(record).ok()?;
        let time = Timestamp::from_millis(glimpse.ms);
        let in_time = self.since.is_none_or(|since| time >= since)
            && self.until.is_none_or(|until| time < until);
        let of_principal = self.principal.as_deref().is_none_or(|wanted| {
            let who = glimpse.who.iter();
            who.flat_map(|who| [&who.user, &who.agent])
                .chain([&glimpse.for_whom, &glimpse.subject])
                .flatten()
                .any(|subject| subject == wanted || id_of(subject) == Some(wanted))
        });
        let of_request = self.reference.is_none_or(|wanted| {
            glimpse.reference.as_deref().and_then(ReferenceId::parse) == Some(wanted)
        });
        (in_time && of_principal && of_request).then_some(glimpse.ms)
    }

    fn chains(&self, dir: &Path) -> Result<Vec<(TenantId, String)>, ReadLogError> {
        let mut chains = layout::chains(dir).map_err(failed(dir))?;
        chains.retain(|(tenant, _)| self.tenant.as_ref().is_none_or(|wanted| wanted == tenant));
        Ok(chains)
    }
}

fn id_of(subject: &str) -> Option<&str> {
    subject.split_once('|').map(|(_, id)| id)
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> ReadLogError {
    let path = path.to_owned();
    |source| ReadLogError::Io { path, source }
}

/// Writes the wanted records as JSON Lines, chain by chain in their order, and returns how many.
///
/// # Errors
/// [`ReadLogError`] when the log cannot be read to its end, or the records cannot be written.
pub fn export(dir: &Path, filter: &Filter, out: &mut impl Write) -> Result<u64, ReadLogError> {
    let mut count = 0;
    for (tenant, writer) in filter.chains(dir)? {
        let chain = layout::chain_dir(dir, &tenant, &writer);
        for number in layout::segments(&chain).map_err(failed(&chain))? {
            let path = chain.join(layout::segment_name(number));
            let mut lines = Lines::new(File::open(&path).map_err(failed(&path))?);
            loop {
                match lines.advance().map_err(failed(&path))? {
                    Next::End | Next::Unfinished => break,
                    Next::TooLong => return Err(ReadLogError::Damaged(path)),
                    Next::Line => {}
                }
                let Some(line) = Line::parse(lines.line()) else {
                    return Err(ReadLogError::Damaged(path));
                };
                if filter.accept(line.record).is_some() {
                    writeln!(out, "{}", line.record).map_err(ReadLogError::Write)?;
                    count += 1;
                }
            }
        }
    }
    out.flush().map_err(ReadLogError::Write)?;
    Ok(count)
}

/// The latest records, and those that come.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let log = gatewright_audit::SegmentFiles::open(dir.path())?;
/// use gatewright_audit::{Filter, Tail};
///
/// let (latest, mut tail) = Tail::open(dir.path(), Filter::default(), 20)?;
/// assert!(latest.is_empty());
/// assert!(tail.more()?.is_empty()); // and again after a while
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Tail {
    dir: PathBuf,
    filter: Filter,
    /// Up to where each chain was read: segment and offset.
    read: BTreeMap<(TenantId, String), (u64, u64)>,
}

impl Tail {
    /// The last `count` wanted records of the log, oldest first, and what goes on from there.
    ///
    /// # Errors
    /// [`ReadLogError`] when the log cannot be read.
    pub fn open(
        dir: &Path,
        filter: Filter,
        count: usize,
    ) -> Result<(Vec<String>, Self), ReadLogError> {
        let mut latest = Vec::new();
        let mut read = BTreeMap::new();
        for (tenant, writer) in filter.chains(dir)? {
            let chain = layout::chain_dir(dir, &tenant, &writer);
            if let Some(end) = last_of(&chain, &filter, count, &mut latest)? {
                read.insert((tenant, writer), end);
            }
        }
        latest.sort_by_key(|(ms, _)| *ms);
        let surplus = latest.len().saturating_sub(count);
        let latest = latest.into_iter().skip(surplus).map(|(_, record)| record);
        let tail = Self {
            dir: dir.to_owned(),
            filter,
            read,
        };
        Ok((latest.collect(), tail))
    }

    /// The wanted records since the last call, at most 4,096 at once.
    ///
    /// # Errors
    /// [`ReadLogError`] when the log cannot be read.
    pub fn more(&mut self) -> Result<Vec<String>, ReadLogError> {
        let mut found = Vec::new();
        for (tenant, writer) in self.filter.chains(&self.dir)? {
            let chain = layout::chain_dir(&self.dir, &tenant, &writer);
            let start = self.read.get(&(tenant.clone(), writer.clone())).copied();
            let (mut segment, mut offset) = start.unwrap_or((1, 0));
            for number in layout::segments(&chain).map_err(failed(&chain))? {
                if number < segment || found.len() >= MOST_AT_ONCE {
                    continue;
                }
                if number > segment {
                    (segment, offset) = (number, 0);
                }
                let path = chain.join(layout::segment_name(number));
                offset = follow(&path, offset, &self.filter, &mut found)?;
            }
            self.read.insert((tenant, writer), (segment, offset));
        }
        found.sort_by_key(|(ms, _)| *ms);
        Ok(found.into_iter().map(|(_, record)| record).collect())
    }
}

/// Adds the last wanted records of a chain, and returns where it ends.
fn last_of(
    chain: &Path,
    filter: &Filter,
    count: usize,
    latest: &mut Vec<(i64, String)>,
) -> Result<Option<(u64, u64)>, ReadLogError> {
    let mut end = None;
    let mut own = Vec::new();
    for number in layout::segments(chain)
        .map_err(failed(chain))?
        .into_iter()
        .rev()
    {
        let path = chain.join(layout::segment_name(number));
        let file = File::open(&path).map_err(failed(&path))?;
        let (mut lines, _) = Backwards::new(file).map_err(failed(&path))?;
        end.get_or_insert((number, lines.position()));
        while own.len() < count {
            let Some(line) = lines.line().map_err(failed(&path))? else {
                break;
            };
            let Some(line) = Line::parse(&line) else {
                return Err(ReadLogError::Damaged(path));
            };
            if let Some(ms) = filter.accept(line.record) {
                own.push((ms, line.record.to_owned()));
            }
        }
        if own.len() >= count {
            break;
        }
    }
    latest.extend(own.into_iter().rev());
    Ok(end)
}

/// Adds wanted records of a segment from an offset on, and returns the offset after them.
fn follow(
    path: &Path,
    mut offset: u64,
    filter: &Filter,
    found: &mut Vec<(i64, String)>,
) -> Result<u64, ReadLogError> {
    let mut file = File::open(path).map_err(failed(path))?;
    file.seek(SeekFrom::Start(offset)).map_err(failed(path))?;
    let mut lines = Lines::new(file);
    while found.len() < MOST_AT_ONCE {
        match lines.advance().map_err(failed(path))? {
            Next::End | Next::Unfinished => break,
            Next::TooLong => return Err(ReadLogError::Damaged(path.to_owned())),
            Next::Line => {}
        }
        let Some(line) = Line::parse(lines.line()) else {
            return Err(ReadLogError::Damaged(path.to_owned()));
        };
        offset += lines.line().len() as u64 + 1;
        if let Some(ms) = filter.accept(line.record) {
            found.push((ms, line.record.to_owned()));
        }
    }
    Ok(offset)
}

#[cfg(test)]
mod tests;
