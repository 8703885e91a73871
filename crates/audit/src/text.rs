//! Texts that callers choose, made fit for a record.

use crate::chain::Digest;

/// No text of a caller is longer than this in a record, in bytes.
const LONGEST: usize = 512;

/// The text, cut where it is too long, and with what a terminal might obey written out.
///
/// JSON escapes the first 32 control characters by itself; those from U+0080 on, and the characters that turn
/// the direction of writing, would reach the terminal of whoever reads the log.
pub(crate) fn bounded(text: &str) -> String {
    let mut end = text.len().min(LONGEST);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let (kept, cut) = text.split_at(end);
    let mut out = String::with_capacity(kept.len());
    for c in kept.chars() {
        if misleading(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    if !cut.is_empty() {
        // Two texts that begin alike must not look alike.
        let digest = Digest::of(&[text.as_bytes()]);
        out.push_str(&format!(
            "… (and {} bytes more; SHA-256 of all: {digest})",
            cut.len()
        ));
    }
    out
}

/// JSON with the same characters written as JSON escapes: outside of strings, no JSON text has them.
pub(crate) fn plain_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            // Outside of strings a line break is white space, inside it is escaped already.
            '\n' | '\r' => out.push(' '),
            c if misleading(c) => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}

/// What a terminal obeys, and what some readers take for the end of a line. All of it is below U+10000.
const fn misleading(c: char) -> bool {
    matches!(
        c,
        '\u{7f}'..='\u{9f}'
            | '\u{61c}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_texts_stay_as_they_are() {
        assert_eq!(bounded("tools/call"), "tools/call");
        assert_eq!(bounded("größe"), "größe");
    }

    #[test]
    fn long_texts_are_cut_between_characters_and_say_so() {
        let long = format!("{}é{}", "a".repeat(511), "b".repeat(100));
        let digest = Digest::of(&[long.as_bytes()]);
        assert_eq!(
            bounded(&long),
            format!(
                "{}… (and 102 bytes more; SHA-256 of all: {digest})",
                "a".repeat(511)
            )
        );
        assert_ne!(bounded(&long), bounded(&long.replace('b', "c")));
    }

    #[test]
    fn what_a_terminal_obeys_is_written_out() {
        assert_eq!(bounded("a\u{9b}2Jb\u{202e}c"), "a\\u{9b}2Jb\\u{202e}c");
    }

    #[test]
    fn what_some_readers_take_for_a_line_break_is_written_out() {
        let forged = bounded("pay\u{2028}{\"kind\":\"closed\"}\u{85}");
        assert_eq!(forged, "pay\\u{2028}{\"kind\":\"closed\"}\\u{85}");
    }

    #[test]
    fn json_keeps_its_value_and_is_one_plain_line() {
        let json = "{\r\n\"a\u{9b}\":\n\"x\u{2028}\u{202e}\u{7f}\\n\"}";
        let plain = plain_json(json);
        assert_eq!(plain, r#"{  "a\u009b": "x\u2028\u202e\u007f\n"}"#);
        let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(value(&plain), value(json));
    }
}
