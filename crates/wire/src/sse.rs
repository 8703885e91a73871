//! Event streams (WHATWG HTML §9.2), read without losing a byte.
//!
//! ```
//! use bytes::Bytes;
//! use gatewright_wire::sse::Scanner;
//!
//! let mut scanner = Scanner::new(1024);
//! scanner.push(Bytes::from(": still here\n\nid: 4\ndata: {\"a\":"))?;
//! let comment = scanner.next_event().unwrap();
//! assert!(comment.is_comment());
//! assert_eq!(scanner.next_event(), None);
//!
//! scanner.push(Bytes::from("\ndata: 1}\n\n"))?;
//! let event = scanner.next_event().unwrap();
//! assert_eq!(event.data().unwrap(), "{\"a\":\n1}");
//! assert_eq!(event.with_data("{}"), "id: 4\ndata: {}\n\n");
//! # Ok::<(), gatewright_wire::sse::SseError>(())
//! ```

use std::{borrow::Cow, collections::VecDeque};

use bytes::{Bytes, BytesMut};

/// Why a stream cannot be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SseError {
    /// An event is longer than allowed.
    #[error("an event of the stream is larger than {limit} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// A later event than the first begins with a byte order mark. The standard has that as a part of
    /// a field's name; but should such an event come to stand first in another stream, its receiver
    /// would read a field that we did not.
    #[error("an event of the stream begins with a byte order mark")]
    StrayMark,
}

const BOM: &[u8] = b"\xef\xbb\xbf";

/// Cuts a stream into events as it arrives. An event is handed out as soon as its blank line is there,
/// and the concatenation of all [`Event::raw`] and of what [`Scanner::finish`] gives is what came in.
#[derive(Debug)]
pub struct Scanner {
    max_event: usize,
    ready: VecDeque<Event>,
    /// The event under way.
    pending: BytesMut,
    /// The length of its unfinished line.
    line: usize,
    /// Nothing but (a beginning of) a byte order mark stands in this line, the stream's first.
    bom: bool,
    /// The last byte was a CR: a LF now belongs to the same line end.
    after_cr: bool,
    /// How many bytes before the first line of the event under way are not part of it.
    skip: usize,
    /// The event under way is the stream's first.
    first: bool,
    failed: Option<SseError>,
}

impl Scanner {
    /// At most `max_event` bytes for one event, and for the unfinished rest.
    #[must_use]
    pub fn new(max_event: usize) -> Self {
        Self {
            max_event,
            ready: VecDeque::new(),
            pending: BytesMut::new(),
            line: 0,
            bom: true,
            after_cr: false,
            skip: 0,
            first: true,
            failed: None,
        }
    }

    /// Takes what arrived. Take all events out before pushing more, so that memory stays bounded by
    /// one chunk and one event.
    ///
    /// # Errors
    /// [`SseError`]. Events before the bad one can still be taken; every later push fails.
    pub fn push(&mut self, chunk: Bytes) -> Result<(), SseError> {
        let read = self.failed.map_or_else(|| self.read(chunk), Err);
        self.failed = read.err();
        read
    }

    fn read(&mut self, mut chunk: Bytes) -> Result<(), SseError> {
        while let Some(end) = self.end_of_event(&chunk) {
            // INVARIANT: `end` is within the chunk.
            let tail = chunk.split_to(end.min(chunk.len()));
            self.bounded(tail.len())?;
            let raw = if self.pending.is_empty() {
                tail
            } else {
                self.pending.extend_from_slice(&tail);
                self.pending.split().freeze()
            };
            let event = Event {
                skip: std::mem::take(&mut self.skip),
                raw,
            };
            if !std::mem::take(&mut self.first) && event.lines().0.starts_with(BOM) {
                return Err(SseError::StrayMark);
            }
            self.ready.push_back(event);
        }
        self.bounded(chunk.len())?;
        self.pending.extend_from_slice(&chunk);
        Ok(())
    }

    fn bounded(&self, more: usize) -> Result<(), SseError> {
        if self.pending.len() + more > self.max_event {
            return Err(SseError::TooLarge {
                limit: self.max_event,
            });
        }
        Ok(())
    }

    /// The next whole event.
    pub fn next_event(&mut self) -> Option<Event> {
        self.ready.pop_front()
    }

    /// At the end of the stream: what has not become an event, if anything. A lone LF is the second
    /// half of the last event's CRLF; anything else is an event that was cut off.
    pub fn finish(&mut self) -> Option<Bytes> {
        let rest = self.pending.split().freeze();
        (!rest.is_empty()).then_some(rest)
    }

    /// Reads on through `chunk`; if the event under way ends in it, gives the length up to its end.
    fn end_of_event(&mut self, chunk: &[u8]) -> Option<usize> {
        let mut at = 0;
        while let Some(&byte) = chunk.get(at) {
            if std::mem::take(&mut self.after_cr) && byte == b'\n' {
                // Behind an event that ended in CR, its LF comes first here and is no line.
                if self.pending.is_empty() && at == 0 {
                    self.skip = 1;
                }
                at += 1;
                continue;
            }
            if !matches!(byte, b'\r' | b'\n') {
                let rest = chunk.get(at..).unwrap_or_default();
                let len = rest
                    .iter()
                    .position(|byte| matches!(byte, b'\r' | b'\n'))
                    .unwrap_or(rest.len());
                self.read_line(rest.get(..len).unwrap_or_default());
                at += len;
                continue;
            }
            let only_bom = self.bom && self.line == BOM.len();
            let blank = self.line == 0 || only_bom;
            if only_bom || (self.bom && self.line > BOM.len()) {
                self.skip = BOM.len();
            }
            (self.line, self.bom, self.after_cr) = (0, false, byte == b'\r');
            at += 1;
            if blank {
                // Where the LF of a CRLF is here already, it is the event's.
                if self.after_cr && chunk.get(at) == Some(&b'\n') {
                    self.after_cr = false;
                    at += 1;
                }
                return Some(at);
            }
        }
        None
    }

    /// Counts a piece of a line, and watches for the mark that may begin the stream.
    fn read_line(&mut self, piece: &[u8]) {
        if self.bom {
            let expected = BOM.get(self.line..).unwrap_or_default();
            self.bom = expected
                .iter()
                .zip(piece)
                .all(|(expected, byte)| expected == byte);
        }
        self.line += piece.len();
    }
}

/// One event, comment block or extra blank line, with exactly the bytes that it arrived as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    raw: Bytes,
    /// Bytes in front that are not part of its lines: a byte order mark, the LF of a CRLF before.
    skip: usize,
}

impl Event {
    /// Writes an event of type `message` without an id.
    #[must_use]
    pub fn message(data: &str) -> Bytes {
        let mut written = Vec::with_capacity(data.len() + 16);
        write_data(&mut written, data);
        written.push(b'\n');
        written.into()
    }

    /// The bytes, blank line included.
    #[must_use]
    pub const fn raw(&self) -> &Bytes {
        &self.raw
    }

    /// The bytes, blank line included.
    #[must_use]
    pub fn into_raw(self) -> Bytes {
        self.raw
    }

    /// The data, its lines joined by LF. `None` if there is no data line, which makes it no event
    /// for receivers.
    #[must_use]
    pub fn data(&self) -> Option<Bytes> {
        let mut values = self
            .fields()
            .filter(|(name, _)| *name == b"data")
            .map(|(_, value)| value);
        let first = values.next()?;
        let Some(second) = values.next() else {
            return Some(self.raw.slice_ref(first));
        };
        let mut joined = first.to_vec();
        for value in std::iter::once(second).chain(values) {
            joined.push(b'\n');
            joined.extend_from_slice(value);
        }
        Some(joined.into())
    }

    /// The type of the event; `None` stands for `message`.
    #[must_use]
    pub fn event_type(&self) -> Option<Cow<'_, str>> {
        self.last(b"event")
            .filter(|value| !value.is_empty())
            .map(String::from_utf8_lossy)
    }

    /// The id that a client would resume after. May be empty, which resets it.
    #[must_use]
    pub fn id(&self) -> Option<Cow<'_, str>> {
        let ids = self
            .fields()
            .filter(|(name, value)| *name == b"id" && !value.contains(&0));
        ids.last().map(|(_, value)| String::from_utf8_lossy(value))
    }

    /// The pause before reconnecting, in milliseconds.
    #[must_use]
    pub fn retry(&self) -> Option<u64> {
        let value = self.last(b"retry")?;
        if !value.iter().all(u8::is_ascii_digit) {
            return None;
        }
        std::str::from_utf8(value).ok()?.parse().ok()
    }

    /// Whether it has no field at all: comments or blank lines, which only keep the connection alive.
    #[must_use]
    pub fn is_comment(&self) -> bool {
        self.fields().next().is_none()
    }

    /// The event with other data. Every other line, known or not, keeps its bytes and order.
    #[must_use]
    pub fn with_data(&self, data: &str) -> Bytes {
        let mut written = self.raw.get(..self.skip).unwrap_or_default().to_vec();
        let mut placed = false;
        for line in self.lines() {
            if line.text.is_empty() {
                continue;
            }
            if !matches!(field(line.text), Some((b"data", _))) {
                written.extend_from_slice(line.whole);
            } else if !std::mem::replace(&mut placed, true) {
                write_data(&mut written, data);
            }
        }
        if !placed {
            write_data(&mut written, data);
        }
        if written.ends_with(b"\r") {
            // A LF alone would make this CR a CRLF, and the event would not end.
            written.push(b'\n');
        }
        written.push(b'\n');
        written.into()
    }

    fn last(&self, wanted: &[u8]) -> Option<&[u8]> {
        self.fields()
            .filter(|(name, _)| *name == wanted)
            .last()
            .map(|(_, value)| value)
    }

    fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.lines().filter_map(|line| field(line.text))
    }

    fn lines(&self) -> Lines<'_> {
        Lines(self.raw.get(self.skip..).unwrap_or_default())
    }
}

/// Splits a line into name and value. `None` for comments and blank lines.
fn field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = line.iter().position(|byte| *byte == b':');
    let (name, value) = match colon {
        Some(0) => return None,
        Some(at) => (line.get(..at)?, line.get(at + 1..)?),
        None if line.is_empty() => return None,
        None => (line, line.get(line.len()..)?),
    };
    Some((name, value.strip_prefix(b" ").unwrap_or(value)))
}

fn write_data(written: &mut Vec<u8>, data: &str) {
    // A CR cannot stand in a line either; it comes out as the LF that lines are joined by.
    for line in Lines(data.as_bytes()) {
        written.extend_from_slice(b"data: ");
        written.extend_from_slice(line.text);
        written.push(b'\n');
    }
    if data.is_empty() || data.ends_with(['\r', '\n']) {
        written.extend_from_slice(b"data: \n");
    }
}

struct Line<'a> {
    /// Without its end.
    text: &'a [u8],
    /// With it.
    whole: &'a [u8],
}

/// The lines of a text, each ended by CRLF, CR, LF or the end.
struct Lines<'a>(&'a [u8]);

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    fn next(&mut self) -> Option<Line<'a>> {
        if self.0.is_empty() {
            return None;
        }
        let len = self
            .0
            .iter()
            .position(|byte| matches!(byte, b'\r' | b'\n'))
            .unwrap_or(self.0.len());
        let (text, end) = self.0.split_at_checked(len)?;
        let end = match end {
            [b'\r', b'\n', ..] => 2,
            [] => 0,
            _ => 1,
        };
        let (whole, rest) = self.0.split_at_checked(len + end)?;
        self.0 = rest;
        Some(Line { text, whole })
    }
}

#[cfg(test)]
mod tests;
