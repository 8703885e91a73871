//! What a child writes to its standard error, into the log: bounded, escaped, and without its credential.

use std::time::Duration;

use gatewright_core::Secret;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    time::Instant,
};

/// The most of a line that is logged, in bytes.
const LONGEST: usize = 1024;
/// The most lines in one [`WINDOW`].
const MOST: u32 = 50;
const WINDOW: Duration = Duration::from_secs(10);
/// The shortest credential that is looked for: shorter ones are in every second word.
const SHORTEST_SECRET: usize = 4;

/// Whose lines they are.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) tenant: String,
    pub(crate) server: String,
    pub(crate) process: i32,
}

/// Logs line by line until the stream ends.
pub(crate) async fn log(
    mut errors: impl AsyncRead + Unpin,
    source: Source,
    credential: Option<Secret>,
) {
    let mut log = Log::new(credential);
    let mut piece = [0; 4096];
    // An error of the pipe is the end of it.
    while let Ok(read @ 1..) = errors.read(&mut piece).await {
        let piece = piece.get(..read).unwrap_or_default();
        for shown in log.take(piece, Instant::now()) {
            tell(&source, &shown);
        }
    }
    if let Some(shown) = log.rest() {
        tell(&source, &shown);
    }
}

fn tell(source: &Source, shown: &Shown) {
    let Source {
        tenant,
        server,
        process,
    } = source;
    match shown {
        Shown::Line(line) => {
            tracing::info!(target: "gatewright_upstream::stderr", tenant, server, process, "{line}");
        }
        Shown::Suppressed(lines) => tracing::warn!(
            target: "gatewright_upstream::stderr",
            tenant, server, process, lines,
            "a child wrote too much to its standard error; lines were left out"
        ),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Shown {
    Line(String),
    Suppressed(u64),
}

/// The lines of one child, without I/O.
struct Log {
    line: Vec<u8>,
    /// How much of a line is held: enough to find a credential that begins within what is logged.
    held: usize,
    credential: Option<Secret>,
    window: Option<Instant>,
    shown: u32,
    suppressed: u64,
}

impl Log {
    fn new(credential: Option<Secret>) -> Self {
        let credential = credential.filter(|secret| secret.expose().len() >= SHORTEST_SECRET);
        Self {
            line: Vec::new(),
            held: LONGEST
                + credential
                    .as_ref()
                    .map_or(0, |secret| secret.expose().len()),
            credential,
            window: None,
            shown: 0,
            suppressed: 0,
        }
    }

    fn take(&mut self, piece: &[u8], now: Instant) -> Vec<Shown> {
        let mut all = Vec::new();
        for byte in piece {
            if *byte == b'\n' {
                self.end_line(now, &mut all);
            } else if self.line.len() < self.held {
                self.line.push(*byte);
            }
        }
        all
    }

    /// A last line without an end.
    fn rest(&mut self) -> Option<Shown> {
        let text = self.text();
        if self.suppressed > 0 {
            return Some(Shown::Suppressed(self.suppressed));
        }
        (!text.is_empty()).then_some(Shown::Line(text))
    }

    fn end_line(&mut self, now: Instant, all: &mut Vec<Shown>) {
        let text = self.text();
        if self.window.is_none_or(|began| now - began >= WINDOW) {
            self.window = Some(now);
            self.shown = 0;
            if self.suppressed > 0 {
                all.push(Shown::Suppressed(self.suppressed));
                self.suppressed = 0;
            }
        }
        if text.is_empty() {
            return;
        }
        if self.shown < MOST {
            self.shown += 1;
            all.push(Shown::Line(text));
        } else {
            self.suppressed += 1;
        }
    }

    /// Control characters are escaped: a child must not write lines of the log, nor to the terminal of who reads it.
    fn text(&mut self) -> String {
        let line = std::mem::take(&mut self.line);
        let mut text = String::from_utf8_lossy(&line).into_owned();
        if let Some(secret) = &self.credential {
            text = text.replace(secret.expose(), "[redacted]");
            if line.len() >= self.held {
                // The cut may have left the beginning of one.
                let kept = text.len().saturating_sub(secret.expose().len());
                text.truncate(text.floor_char_boundary(kept));
            }
        }
        let mut shown = String::new();
        for character in text.trim_end().chars() {
            if shown.len() >= LONGEST {
                shown.push('…');
                break;
            }
            match character {
                '"' | '\'' | '\\' => shown.push(character),
                other => shown.extend(other.escape_debug()),
            }
        }
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(log: &mut Log, text: &str) -> Vec<Shown> {
        log.take(text.as_bytes(), Instant::now())
    }

    #[tokio::test]
    async fn a_line_cannot_write_others() {
        let mut log = Log::new(None);
        let shown = lines(&mut log, "ready\r\n\x1b[31mred\u{2028}x\x07\n\n");
        assert_eq!(
            shown,
            [
                Shown::Line("ready".to_owned()),
                Shown::Line("\\u{1b}[31mred\\u{2028}x\\u{7}".to_owned())
            ]
        );
    }

    #[tokio::test]
    async fn the_credential_is_not_shown_wherever_a_line_is_cut() {
        for before in [0, 10, LONGEST - 12, LONGEST - 5, LONGEST - 1] {
            let mut log = Log::new(Some(Secret::new("planted-secret".into())));
            let text = format!("{}planted-secret and more\n", "x".repeat(before));
            let shown = format!("{:?}", lines(&mut log, &text));
            assert!(!shown.contains("plant"), "{before}: {shown}");
        }
        let mut log = Log::new(Some(Secret::new("planted-secret".into())));
        let shown = format!(
            "{:?}",
            lines(&mut log, &format!("{}\n", "planted-secret".repeat(500)))
        );
        assert!(
            shown.contains("redacted") && !shown.contains("plant"),
            "{shown}"
        );
    }

    #[tokio::test]
    async fn long_lines_are_cut_and_floods_are_counted() {
        let mut log = Log::new(None);
        let shown = lines(&mut log, &format!("{}\n", "y".repeat(100_000)));
        assert!(matches!(&shown[..], [Shown::Line(line)] if line.len() < LONGEST + 10));
        assert_eq!(lines(&mut log, &"z\n".repeat(500)).len(), 49);
        let later = Instant::now() + WINDOW;
        let shown = log.take(b"z\n", later);
        assert_eq!(shown, [Shown::Suppressed(451), Shown::Line("z".to_owned())]);
    }

    #[tokio::test]
    async fn a_last_line_needs_no_end() {
        let mut log = Log::new(None);
        assert!(lines(&mut log, "panicked").is_empty());
        assert_eq!(log.rest(), Some(Shown::Line("panicked".to_owned())));
        assert_eq!(log.rest(), None);
    }
}
