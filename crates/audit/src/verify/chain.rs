//! One chain, from its first record to its last.

use std::{
    collections::HashMap,
    fs::File,
    io,
    path::{Path, PathBuf},
};

use gatewright_core::{ReferenceId, TenantId};
use serde::Deserialize;

use super::{ChainReport, Finding, Named, OpenAdmission, Problem, Report, VerifyLogError};
use crate::{
    RecordKind,
    chain::{Head, Line},
    layout,
    lines::{Lines, Next},
};

/// Admissions without outcome are kept until there are so many.
const MOST_OPEN: usize = 100_000;

/// What is read of a record.
#[derive(Deserialize)]
struct Glimpse {
    kind: RecordKind,
    ms: i64,
    #[serde(rename = "ref")]
    reference: Option<String>,
    lost: Option<Lost>,
}

#[derive(Deserialize)]
struct Lost {
    count: u64,
}

/// The verifier's way through a chain.
pub(super) struct Walk<'a> {
    dir: &'a Path,
    chain: PathBuf,
    named: Named,
    head: Head,
    open: HashMap<u128, (u64, i64)>,
    report: ChainReport,
}

/// Where the walk is.
struct Place {
    file: PathBuf,
    line: u64,
    seq: u64,
}

impl<'a> Walk<'a> {
    pub(super) fn new(dir: &'a Path, tenant: &TenantId, writer: &str, named: Named) -> Self {
        Self {
            dir,
            chain: layout::chain_dir(dir, tenant, writer),
            named,
            head: Head::genesis(tenant, writer),
            open: HashMap::new(),
            report: ChainReport::new(tenant, writer),
        }
    }

    /// Reads to the first thing that is wrong, or to the end, and adds what it saw to the report.
    pub(super) fn run(mut self, report: &mut Report) -> Result<(), VerifyLogError> {
        let found = match self.segments()? {
            Ok(()) => self.short_of_checkpoint(),
            Err(finding) => Some(finding),
        };
        report.findings.extend(found);
        report.chains.push(self.close());
        Ok(())
    }

    fn segments(&mut self) -> Result<Result<(), Finding>, VerifyLogError> {
        let segments = layout::segments(&self.chain).map_err(|source| VerifyLogError {
            path: self.chain.clone(),
            source,
        })?;
        let last = segments.last().copied();
        for (expected, number) in (1..).zip(segments) {
            if number != expected {
                let place = self.place(layout::segment_name(expected), 0);
                return Ok(Err(self.finding(&place, Problem::MissingSegment)));
            }
            let read = self.segment(number, last == Some(number));
            let path = self.chain.join(layout::segment_name(number));
            match read.map_err(|source| VerifyLogError { path, source })? {
                Ok(()) => {}
                Err(finding) => return Ok(Err(finding)),
            }
        }
        Ok(Ok(()))
    }

    fn segment(&mut self, number: u64, is_last: bool) -> io::Result<Result<(), Finding>> {
        let name = layout::segment_name(number);
        let mut lines = Lines::new(File::open(self.chain.join(&name))?);
        for line in 1.. {
            let next = lines.advance()?;
            let problem = match next {
                Next::End => break,
                Next::Unfinished if is_last => {
                    self.report.unfinished_bytes = lines.line().len() as u64;
                    break;
                }
                Next::Unfinished | Next::TooLong => Some(Problem::Malformed),
                Next::Line => self.record(lines.line()),
            };
            if let Some(problem) = problem {
                let place = self.place(name, line);
                return Ok(Err(self.finding(&place, problem)));
            }
        }
        Ok(Ok(()))
    }

    /// Takes the next record, or says what is wrong with it.
    fn record(&mut self, line: &[u8]) -> Option<Problem> {
        let Some(line) = Line::parse(line) else {
            return Some(Problem::Malformed);
        };
        let expected = self.head.seq + 1;
        if !line.is_intact() {
            return Some(Problem::Changed);
        }
        if line.head.seq != expected {
            let found = line.head.seq;
            return Some(Problem::OutOfOrder { found });
        }
        if line.prev != self.head.hash {
            return Some(Problem::Replaced);
        }
        let points = self.named.remove(&expected).unwrap_or_default();
        if points.iter().any(|point| point.hash != line.head.hash) {
            return Some(Problem::NotAsInCheckpoint);
        }
        let Ok(glimpse) = serde_json::from_str::<Glimpse>(line.record) else {
            return Some(Problem::Malformed);
        };
        for point in points {
            let proven = if point.outside {
                &mut self.report.proven_outside
            } else {
                &mut self.report.proven_inside
            };
            *proven = Some(expected);
        }
        self.head = line.head;
        self.report.records += 1;
        self.note(&glimpse);
        None
    }

    fn note(&mut self, glimpse: &Glimpse) {
        if let Some(lost) = &glimpse.lost {
            self.report.lost = self.report.lost.saturating_add(lost.count);
        }
        let reference = glimpse.reference.as_deref().and_then(key);
        let Some(reference) = reference else { return };
        match glimpse.kind {
            RecordKind::Admitted if self.open.len() >= MOST_OPEN => {
                self.report.open_beyond += 1;
            }
            RecordKind::Admitted => {
                self.open.insert(reference, (self.head.seq, glimpse.ms));
            }
            RecordKind::Outcome | RecordKind::Refused | RecordKind::Answered => {
                self.open.remove(&reference);
            }
            _ => {}
        }
    }

    /// Something that a checkpoint names lies beyond the end of the chain.
    fn short_of_checkpoint(&self) -> Option<Finding> {
        let (named, _) = self.named.last_key_value()?;
        let place = Place {
            file: self.chain.clone(),
            line: 0,
            seq: self.head.seq + 1,
        };
        Some(self.finding(&place, Problem::Truncated { named: *named }))
    }

    fn place(&self, file: String, line: u64) -> Place {
        Place {
            file: self.chain.join(file),
            line,
            seq: self.head.seq + 1,
        }
    }

    fn finding(&self, place: &Place, problem: Problem) -> Finding {
        let file = place.file.strip_prefix(self.dir).unwrap_or(&place.file);
        Finding {
            tenant: Some(self.report.tenant.clone()),
            writer: Some(self.report.writer.clone()),
            seq: Some(place.seq),
            line: (place.line > 0).then_some(place.line),
            ..Finding::at(file.to_owned(), problem)
        }
    }

    fn close(mut self) -> ChainReport {
        let open = self.open.into_iter();
        self.report.open = open
            .map(|(reference, (seq, ms))| OpenAdmission::new(reference, seq, ms))
            .collect();
        self.report.open.sort_unstable_by_key(|open| open.seq);
        self.report.head = (self.head.seq > 0).then_some(self.head.hash);
        self.report
    }
}

/// A reference as a number: 16 bytes in place of 36.
fn key(reference: &str) -> Option<u128> {
    ReferenceId::parse(reference)?;
    let digits: String = reference.chars().filter(|c| *c != '-').collect();
    u128::from_str_radix(&digits, 16).ok()
}
