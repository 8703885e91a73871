//! Texts that callers choose, made fit for a record.

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
        out.push_str(&format!("… (and {} bytes more)", cut.len()));
    }
    out
}

const fn misleading(c: char) -> bool {
    matches!(c, '\u{7f}'..='\u{9f}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
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
        assert_eq!(
            bounded(&long),
            format!("{}… (and 102 bytes more)", "a".repeat(511))
        );
    }

    #[test]
    fn what_a_terminal_obeys_is_written_out() {
        assert_eq!(bounded("a\u{9b}2Jb\u{202e}c"), "a\\u{9b}2Jb\\u{202e}c");
    }
}
