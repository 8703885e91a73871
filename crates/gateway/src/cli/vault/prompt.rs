//! A secret from whoever sits at the terminal, who does not see it there.

use std::io::{self, BufRead, Read as _, Write as _};

use gatewright_core::{Secret, SecretBytes};
use rustix::{
    fd::AsFd,
    termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr},
};

use super::{Failure, LONGEST};

const INTERRUPT: u8 = 0x03;
const END: u8 = 0x04;
const BACKSPACE: u8 = 0x08;
const DELETE: u8 = 0x7f;
const ERASE_LINE: u8 = 0x15;

/// Asks for a line on the terminal that is standard input.
pub(super) fn secret(question: &str) -> Result<Secret, Failure> {
    let input = io::stdin();
    let mut tell = io::stderr();
    // Before the question: what is typed after it is not shown.
    let _silent = Silent::new(&input).map_err(failed)?;
    tell.write_all(question.as_bytes())?;
    tell.flush()?;
    let line = line(input.lock());
    tell.write_all(b"\n")?;
    match line.map_err(failed)? {
        Some(line) => match str::from_utf8(line.expose()) {
            Ok(text) => Ok(Secret::new(text.to_owned())),
            Err(_other) => Err("the secret is no UTF-8 text: nothing was stored".into()),
        },
        None => Err("nothing was stored".into()),
    }
}

fn failed(error: impl std::fmt::Display) -> Failure {
    format!("the secret cannot be read from the terminal: {error}; pipe it in instead").into()
}

/// The line as it is typed, byte by byte; `None` if whoever types it gave up.
fn line(input: impl BufRead) -> io::Result<Option<SecretBytes>> {
    // With all of its room at once: a buffer that grows leaves copies behind.
    let mut line = Vec::with_capacity(usize::try_from(LONGEST).unwrap_or(usize::MAX));
    for byte in input.take(LONGEST).bytes() {
        match byte {
            Ok(b'\r' | b'\n') => return Ok(Some(SecretBytes::new(line))),
            Ok(BACKSPACE | DELETE) => {
                // The whole of a character.
                while line.pop().is_some_and(|byte: u8| byte & 0xc0 == 0x80) {}
            }
            Ok(ERASE_LINE) => line.clear(),
            Ok(INTERRUPT | END) | Err(_) => {
                drop(SecretBytes::new(line));
                return byte.map(|_given_up| None);
            }
            Ok(byte) => line.push(byte),
        }
    }
    drop(SecretBytes::new(line));
    Err(io::Error::other(
        "it ended before the line did, or the line is too long",
    ))
}

/// The terminal shows nothing of what is typed and hands it over as it comes, until this is dropped. It takes no signals
/// meanwhile, so that it is never left like this; and what comes in one piece with the line, as the second line of what was
/// pasted, goes to nobody.
struct Silent<'a> {
    terminal: &'a io::Stdin,
    before: Termios,
}

impl<'a> Silent<'a> {
    fn new(terminal: &'a io::Stdin) -> io::Result<Self> {
        let before = tcgetattr(terminal.as_fd())?;
        let mut silent = before.clone();
        silent.local_modes &= !(LocalModes::ECHO
            | LocalModes::ECHONL
            // Lines of the terminal have 4096 bytes at most.
            | LocalModes::ICANON
            | LocalModes::ISIG
            | LocalModes::IEXTEN);
        silent.special_codes[SpecialCodeIndex::VMIN] = 1;
        silent.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(terminal.as_fd(), OptionalActions::Flush, &silent)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Silent<'_> {
    fn drop(&mut self) {
        if let Err(error) = tcsetattr(self.terminal.as_fd(), OptionalActions::Flush, &self.before) {
            tracing::warn!(%error, "the terminal may not show what is typed: `stty sane` helps");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(keys: &[u8]) -> Option<String> {
        let line = line(keys).unwrap()?;
        Some(String::from_utf8(line.expose().to_vec()).unwrap())
    }

    #[test]
    fn a_line_is_what_was_typed_and_not_taken_back() {
        assert_eq!(typed(b"s3cret\r").as_deref(), Some("s3cret"));
        assert_eq!(typed(b"s3crte\x7f\x7fet\nmore").as_deref(), Some("s3cret"));
        assert_eq!(typed("a\u{fc}\x08b\n".as_bytes()).as_deref(), Some("ab"));
        assert_eq!(typed(b"wrong\x15right\n").as_deref(), Some("right"));
        assert_eq!(typed(b"\x7f\n").as_deref(), Some(""));
        let long = [b"k".repeat(100_000), b"\n".to_vec()].concat();
        assert_eq!(typed(&long).unwrap().len(), 100_000);
    }

    #[test]
    fn who_gives_up_stores_nothing() {
        assert_eq!(typed(b"s3cret\x03"), None);
        assert_eq!(typed(b"\x04"), None);
        for unfinished in [&b"s3cret"[..], &b"k".repeat(200_000)] {
            assert!(line(unfinished).is_err());
        }
    }
}
