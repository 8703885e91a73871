//! Where lines end is not the same for every reader of event streams.
//!
//! WHATWG HTML §9.2 knows CR, LF and CRLF. Clients whose language splits lines at more than that (Python's
//! `str.splitlines`) would find events where we and the standard see the middle of a string, and nobody would have
//! looked at those. What could be read so is written in another way that means the same.

use std::fmt::Write as _;

use bytes::Bytes;
use gatewright_wire::sse::Event;

/// A comment, which keeps a connection alive and says nothing.
pub(crate) const STILL_HERE: &[u8] = b":\n\n";

/// An event as it is to be `written`, unless it can be read in two ways: then its id, its pause and its data, a
/// JSON text, in a form that cannot.
pub(crate) fn unambiguous(event: &Event, written: Bytes, data: Option<&Bytes>) -> Bytes {
    if is_plain(&written) {
        return written;
    }
    let mut rewritten = String::new();
    if let Some(id) = event.id().filter(|id| is_plain(id.as_bytes())) {
        rewritten.push_str("id: ");
        rewritten.push_str(&id);
        rewritten.push('\n');
    }
    if let Some(retry) = event.retry() {
        // Writing to a string does not fail.
        let _written = writeln!(rewritten, "retry: {retry}");
    }
    let Some(data) = data else {
        if rewritten.is_empty() {
            return Bytes::from_static(STILL_HERE);
        }
        rewritten.push('\n');
        return rewritten.into();
    };
    let mut rewritten = rewritten.into_bytes();
    rewritten.extend_from_slice(&Event::message(&escaped(data)));
    rewritten.into()
}

/// A JSON text without such line ends. They can stand in its strings only, where an escape means the same.
fn escaped(json: &[u8]) -> String {
    let text = std::str::from_utf8(json).unwrap_or_default();
    let mut escaped = String::with_capacity(text.len() + 16);
    for char in text.chars() {
        match char {
            '\u{85}' => escaped.push_str("\\u0085"),
            '\u{2028}' => escaped.push_str("\\u2028"),
            '\u{2029}' => escaped.push_str("\\u2029"),
            char => escaped.push(char),
        }
    }
    escaped
}

/// Whether the text has no other line ends than those of the standard, and reads as UTF-8, so that no reader makes
/// one out of what it replaces.
fn is_plain(text: &[u8]) -> bool {
    let ends_a_line = |char| {
        matches!(
            char,
            '\u{b}' | '\u{c}' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}'
        )
    };
    std::str::from_utf8(text).is_ok_and(|text| !text.contains(ends_a_line))
}
