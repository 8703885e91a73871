use bytes::Bytes;
use gatewright_upstream::frame::{Lines, TooLong, line};
use serde_json::Value;

use crate::chunks::cuts;

/// The framing of stdio, both ways: what a process writes gives the same lines whatever pieces it comes in, and
/// whatever a client sends is one line to every reader.
pub fn stdio_frame(text: &[u8]) {
    for longest in [0, 5, 64, usize::MAX] {
        let expected = expected(text, longest);
        for pieces in cuts(text) {
            assert_eq!(read(&pieces, longest), expected);
        }
    }

    let written = line(text);
    assert_eq!(written.last(), Some(&b'\n'));
    let message = &written[..written.len() - 1];
    assert!(!message.contains(&b'\n') && !message.contains(&b'\r'));
    let found = read(&[&written], usize::MAX);
    let one: &[Bytes] = &[Bytes::copy_from_slice(message)];
    assert_eq!(found.0, if message.is_empty() { &[] } else { one });

    let Ok(value) = serde_json::from_slice::<Value>(text) else {
        return;
    };
    let message = std::str::from_utf8(message).expect("JSON stays text");
    assert_eq!(serde_json::from_str::<Value>(message).unwrap(), value);
    assert!(!message.contains(['\u{85}', '\u{2028}', '\u{2029}']));
}

/// The lines, and whether one is too long. After each piece the lines are taken out.
fn read(pieces: &[&[u8]], longest: usize) -> (Vec<Bytes>, bool) {
    let mut lines = Lines::new(longest);
    let mut found = Vec::new();
    for piece in pieces {
        lines.push(piece);
        loop {
            match lines.next_line() {
                Ok(Some(line)) => found.push(line),
                Ok(None) => break,
                Err(TooLong) => return (found, true),
            }
        }
    }
    (found, false)
}

fn expected(text: &[u8], longest: usize) -> (Vec<Bytes>, bool) {
    let mut found = Vec::new();
    let mut lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
    // Never empty: what stands behind the last line end is the unfinished line.
    let unfinished = lines.pop().unwrap_or_default();
    for line in lines {
        if line.len() > longest {
            return (found, true);
        }
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if !line.is_empty() {
            found.push(Bytes::copy_from_slice(line));
        }
    }
    (found, unfinished.len() > longest)
}
