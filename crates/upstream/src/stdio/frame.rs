//! One message, one line: the framing of stdio, without I/O.
//!
//! ```
//! use gatewright_upstream::frame::{Lines, line};
//!
//! let mut lines = Lines::new(1024);
//! lines.push(b"{\"jsonrpc\":\"2.0\",");
//! assert_eq!(lines.next_line(), Ok(None));
//! lines.push(b"\"id\":1}\n");
//! assert_eq!(lines.next_line().unwrap().unwrap(), "{\"jsonrpc\":\"2.0\",\"id\":1}");
//!
//! assert_eq!(line(b"{\"id\":\n1}"), "{\"id\": 1}\n");
//! ```

use bytes::{Bytes, BytesMut};

/// A line is longer than a message may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a line is longer than a message may be")]
pub struct TooLong;

/// Cuts what a process writes into lines, whatever pieces it arrives in.
#[derive(Debug)]
pub struct Lines {
    buffer: BytesMut,
    /// How much of the buffer is known to have no line end.
    searched: usize,
    longest: usize,
}

impl Lines {
    /// Of lines of at most `longest` bytes, line end apart.
    #[must_use]
    pub fn new(longest: usize) -> Self {
        Self {
            buffer: BytesMut::new(),
            searched: 0,
            longest,
        }
    }

    /// Takes a piece in. Take the lines out before the next one: what is held is then at most one line and a piece.
    pub fn push(&mut self, piece: &[u8]) {
        self.buffer.extend_from_slice(piece);
    }

    /// The next complete line, without its end. Empty lines are no messages and are passed over.
    ///
    /// # Errors
    /// [`TooLong`], from then on: nothing behind such a line can be told apart.
    pub fn next_line(&mut self) -> Result<Option<Bytes>, TooLong> {
        loop {
            let unsearched = self.buffer.get(self.searched..).unwrap_or_default();
            let Some(at) = unsearched.iter().position(|byte| *byte == b'\n') else {
                self.searched = self.buffer.len();
                return if self.searched > self.longest {
                    Err(TooLong)
                } else {
                    Ok(None)
                };
            };
            let end = self.searched + at;
            if end > self.longest {
                return Err(TooLong);
            }
            let mut line = self.buffer.split_to(end + 1);
            self.searched = 0;
            line.truncate(end);
            if line.last() == Some(&b'\r') {
                line.truncate(end - 1);
            }
            if !line.is_empty() {
                return Ok(Some(line.freeze()));
            }
        }
    }
}

/// A message as one line.
///
/// INVARIANT: a reader of lines finds exactly one line in it, whatever it takes for a line end. Clients choose the white
/// space of their messages, and a line end between two tokens would make a second message of what stands behind it, on
/// which nobody has decided. JSON has line ends as white space only, where a space stands for them; the others of Unicode
/// stand within strings only, where an escape stands for them.
#[must_use]
pub fn line(message: &[u8]) -> Bytes {
    let mut line = Vec::with_capacity(message.len() + 1);
    let mut rest = message;
    let special = |byte: &u8| matches!(byte, b'\n' | b'\r' | 0xc2 | 0xe2);
    while let Some((plain, found)) = rest
        .iter()
        .position(special)
        .and_then(|at| rest.split_at_checked(at))
    {
        line.extend_from_slice(plain);
        let (stands_for_it, len): (&[u8], usize) = match found {
            [b'\n' | b'\r', ..] => (b" ", 1),
            [0xe2, 0x80, 0xa8, ..] => (br"\u2028", 3),
            [0xe2, 0x80, 0xa9, ..] => (br"\u2029", 3),
            [0xc2, 0x85, ..] => (br"\u0085", 2),
            other => (other.get(..1).unwrap_or_default(), 1),
        };
        line.extend_from_slice(stands_for_it);
        rest = found.get(len..).unwrap_or_default();
    }
    line.extend_from_slice(rest);
    line.push(b'\n');
    line.into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cut(text: &[u8], at: &[usize], longest: usize) -> (Vec<Bytes>, bool) {
        let mut lines = Lines::new(longest);
        let mut found = Vec::new();
        let mut ends: Vec<usize> = at.iter().map(|at| at % (text.len() + 1)).collect();
        ends.push(text.len());
        ends.sort_unstable();
        let mut start = 0;
        for end in ends {
            lines.push(&text[start..end]);
            start = end;
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

    #[test]
    fn lines_end_with_a_newline_and_empty_ones_are_none() {
        let (found, too_long) = cut(b"{\"a\":1}\n\n\r\n{}\r\nrest", &[], 100);
        assert_eq!(found, ["{\"a\":1}", "{}"]);
        assert!(!too_long);
    }

    #[test]
    fn a_line_that_never_ends_is_too_long_before_it_is_held() {
        let mut lines = Lines::new(8);
        lines.push(b"12345678");
        assert_eq!(lines.next_line(), Ok(None));
        lines.push(b"9");
        assert_eq!(lines.next_line(), Err(TooLong));
    }

    #[test]
    fn no_white_space_of_a_client_makes_a_second_message() {
        let smuggled = b"{\"id\":1,\"params\":{\"x\":\n{\"id\":2,\"method\":\"tools/call\"}\r}}";
        let line = line(smuggled);
        assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
        assert!(line.ends_with(b"}}\n") && !line.contains(&b'\r'));
    }

    #[test]
    fn what_others_take_for_line_ends_is_escaped() {
        let text = "{\"a\":\"x\u{2028}y\u{2029}z\u{85}é\"}";
        let line = line(text.as_bytes());
        let line = std::str::from_utf8(&line).unwrap();
        assert_eq!(line.lines().count(), 1);
        assert!(!line.contains(['\u{2028}', '\u{2029}', '\u{85}']));
        let read: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(read["a"], "x\u{2028}y\u{2029}z\u{85}é");
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(
            text in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), any::<u8>()], 0..200),
            at in proptest::collection::vec(any::<usize>(), 0..20),
            longest in 0_usize..60,
        ) {
            let (whole, too_long) = cut(&text, &[], longest);
            let (pieces, too_long_in_pieces) = cut(&text, &at, longest);
            prop_assert_eq!(whole, pieces);
            prop_assert_eq!(too_long, too_long_in_pieces);
        }

        #[test]
        fn a_line_of_ours_is_read_back_as_the_same_value(value in any_json()) {
            let pretty = serde_json::to_string_pretty(&value).unwrap().replace('\n', "\r\n");
            let line = line(pretty.as_bytes());
            let (found, _) = cut(&line, &[], usize::MAX);
            prop_assert_eq!(found.len(), 1);
            let read: serde_json::Value = serde_json::from_slice(&found[0]).unwrap();
            prop_assert_eq!(read, value);
        }
    }

    fn any_json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            any::<i64>().prop_map(serde_json::Value::from),
            "\\PC{0,12}|[\n\r\u{2028}\u{85}a]{0,6}".prop_map(serde_json::Value::from),
        ];
        leaf.prop_recursive(3, 20, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
                proptest::collection::hash_map("[a-z\n\u{2029}]{0,4}", inner, 0..4)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }
}
