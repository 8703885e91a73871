//! Reading segment files in bounded memory, forwards and backwards.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read as _},
    os::unix::fs::FileExt as _,
};

/// No line of a log is longer than this, in bytes.
pub(crate) const LONGEST_LINE: usize = 1024 * 1024;
/// A checkpoint names every chain, so its line is longer than that of a record.
pub(crate) const LONGEST_CHECKPOINT: usize = 64 * 1024 * 1024;
const CHUNK: usize = 8 * 1024;

/// What comes next in a segment.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// A line, without its line feed.
    Line,
    /// Bytes without a line feed at the end of the file.
    Unfinished,
    /// A line beyond any that is written.
    TooLong,
    /// The end.
    End,
}

/// Reads a segment line by line.
pub(crate) struct Lines {
    file: BufReader<File>,
    line: Vec<u8>,
    longest: usize,
}

impl Lines {
    pub(crate) fn new(file: File) -> Self {
        Self::with_longest(file, LONGEST_LINE)
    }

    /// Reads lines of up to `longest` bytes.
    pub(crate) fn with_longest(file: File, longest: usize) -> Self {
        Self {
            file: BufReader::with_capacity(64 * 1024, file),
            line: Vec::new(),
            longest,
        }
    }

    pub(crate) fn advance(&mut self) -> io::Result<Next> {
        self.line.clear();
        let limit = (self.longest + 1) as u64;
        self.file
            .by_ref()
            .take(limit)
            .read_until(b'\n', &mut self.line)?;
        if self.line.last() == Some(&b'\n') {
            self.line.pop();
            return Ok(Next::Line);
        }
        Ok(match self.line.len() {
            0 => Next::End,
            length if length > self.longest => Next::TooLong,
            _ => Next::Unfinished,
        })
    }

    /// What [`advance`](Self::advance) read.
    pub(crate) fn line(&self) -> &[u8] {
        &self.line
    }
}

/// Reads a file from its end, line by line.
pub(crate) struct Backwards {
    file: File,
    /// Everything from here on was read.
    end: u64,
    longest: usize,
}

impl Backwards {
    /// Starts at the end; also returns how many bytes there follow the last line feed.
    pub(crate) fn new(file: File) -> io::Result<(Self, u64)> {
        Self::with_longest(file, LONGEST_LINE)
    }

    /// The same for lines of up to `longest` bytes.
    pub(crate) fn with_longest(file: File, longest: usize) -> io::Result<(Self, u64)> {
        let length = file.metadata()?.len();
        let end = after_last_line_feed(&file, length)?;
        Ok((Self { file, end, longest }, length - end))
    }

    /// Where the part begins that was read.
    pub(crate) const fn position(&self) -> u64 {
        self.end
    }

    /// The line before, without its line feed; an error where it is longer than any that is written.
    pub(crate) fn line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let Some(line_feed) = self.end.checked_sub(1) else {
            return Ok(None);
        };
        let start = after_last_line_feed(&self.file, line_feed)?;
        let length = usize::try_from(line_feed - start)
            .ok()
            .filter(|length| *length <= self.longest)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a line is too long"))?;
        let mut line = vec![0; length];
        self.file.read_exact_at(&mut line, start)?;
        self.end = start;
        Ok(Some(line))
    }
}

/// The offset after the last line feed before `end`, 0 if there is none.
fn after_last_line_feed(file: &File, mut end: u64) -> io::Result<u64> {
    let mut chunk = [0; CHUNK];
    while end > 0 {
        let start = end.saturating_sub(CHUNK as u64);
        let length = usize::try_from(end - start).unwrap_or(CHUNK);
        let Some(part) = chunk.get_mut(..length) else {
            break;
        };
        file.read_exact_at(part, start)?;
        if let Some(at) = part.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> (tempfile::NamedTempFile, File) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let open = File::open(file.path()).unwrap();
        (file, open)
    }

    #[test]
    fn lines_are_read_forwards() {
        let (_held, open) = file("a\n\nbc");
        let mut lines = Lines::new(open);
        assert_eq!(lines.advance().unwrap(), Next::Line);
        assert_eq!(lines.line(), b"a");
        assert_eq!(lines.advance().unwrap(), Next::Line);
        assert_eq!(lines.line(), b"");
        assert_eq!(lines.advance().unwrap(), Next::Unfinished);
        assert_eq!(lines.advance().unwrap(), Next::End);
    }

    #[test]
    fn a_line_without_end_does_not_fill_the_memory() {
        let (_held, open) = file(&"x".repeat(LONGEST_LINE + 2));
        assert_eq!(Lines::new(open).advance().unwrap(), Next::TooLong);
    }

    #[test]
    fn lines_are_read_backwards_across_chunks() {
        let long = "l".repeat(3 * CHUNK);
        let (_held, open) = file(&format!("first\n{long}\nlast\nunfinished"));
        let (mut lines, unfinished) = Backwards::new(open).unwrap();
        assert_eq!(unfinished, 10);
        assert_eq!(lines.line().unwrap().unwrap(), b"last");
        assert_eq!(lines.line().unwrap().unwrap(), long.as_bytes());
        assert_eq!(lines.line().unwrap().unwrap(), b"first");
        assert_eq!(lines.line().unwrap(), None);
    }

    #[test]
    fn an_empty_file_has_no_lines() {
        let (_held, open) = file("");
        let (mut lines, unfinished) = Backwards::new(open).unwrap();
        assert_eq!((lines.line().unwrap(), unfinished), (None, 0));
    }
}
