use std::{fmt, sync::Arc};

use aws_lc_rs::error::Unspecified;
use gatewright_core::Secret;

const PREFIX: &str = "gwk_";
const ID_LEN: usize = 12;
/// 62^43 > 2^256.
const SECRET_LEN: usize = 43;
const CHECK_LEN: usize = 6;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Names a key. It is part of the key's text, and gives no access by itself.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ApiKeyId(Arc<str>);

/// A text that is no id of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the id of an API key is {ID_LEN} letters and digits: those after `gwk_`")]
pub struct InvalidApiKeyId;

impl ApiKeyId {
    /// An id from its text.
    ///
    /// # Errors
    /// [`InvalidApiKeyId`] for what is none.
    pub fn parse(text: &str) -> Result<Self, InvalidApiKeyId> {
        let fits = text.len() == ID_LEN && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        fits.then(|| Self(text.into())).ok_or(InvalidApiKeyId)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Found by the id's text, which is borrowed from a request.
impl std::borrow::Borrow<str> for ApiKeyId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ApiKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ApiKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The parts of a key's text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct KeyText<'a> {
    pub(crate) id: &'a str,
    pub(crate) secret: &'a str,
}

/// Whether a bearer token claims to be a key of ours. No other resolver may see one that does.
pub(crate) fn is_key(token: &str) -> bool {
    token.starts_with(PREFIX)
}

impl<'a> KeyText<'a> {
    /// The parts, where the checksum is that of the rest.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let rest = text.strip_prefix(PREFIX)?;
        let fits = rest.len() == ID_LEN + SECRET_LEN + CHECK_LEN
            && rest.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !fits {
            return None;
        }
        let (checked, check) = text.split_at_checked(PREFIX.len() + ID_LEN + SECRET_LEN)?;
        let (id, secret) = checked.strip_prefix(PREFIX)?.split_at_checked(ID_LEN)?;
        (check == checksum(checked)).then_some(Self { id, secret })
    }
}

impl fmt::Debug for KeyText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KeyText").field(&self.id).finish()
    }
}

/// A new key.
pub(crate) fn generate() -> Result<(ApiKeyId, Secret), Unspecified> {
    let id = random(ID_LEN)?;
    let secret = random(SECRET_LEN)?;
    let mut text = String::with_capacity(PREFIX.len() + ID_LEN + SECRET_LEN + CHECK_LEN);
    text.push_str(PREFIX);
    text.push_str(id.expose());
    text.push_str(secret.expose());
    let check = checksum(&text);
    text.push_str(&check);
    Ok((ApiKeyId(id.expose().into()), Secret::new(text)))
}

/// The text of these parts, as a forger would write it.
#[cfg(test)]
pub(crate) fn rebuilt(id: &str, secret: &str) -> String {
    let text = format!("{PREFIX}{id}{secret}");
    let check = checksum(&text);
    text + &check
}

/// Evenly random characters: bytes beyond the last whole alphabet are drawn again.
fn random(length: usize) -> Result<Secret, Unspecified> {
    const EVEN: usize = 256 / ALPHABET.len() * ALPHABET.len();
    let mut text = String::with_capacity(length);
    while text.len() < length {
        let mut byte = [0];
        aws_lc_rs::rand::fill(&mut byte)?;
        let value = usize::from(byte[0]);
        if value < EVEN {
            text.push(digit(value));
        }
    }
    Ok(Secret::new(text))
}

/// CRC-32 (ISO 3309) in base 62.
fn checksum(text: &str) -> String {
    let mut rest = crc32(text.as_bytes()) as usize;
    let mut digits = [' '; CHECK_LEN];
    for place in digits.iter_mut().rev() {
        *place = digit(rest);
        rest /= ALPHABET.len();
    }
    digits.iter().collect()
}

fn digit(value: usize) -> char {
    let byte = ALPHABET.get(value % ALPHABET.len());
    char::from(byte.copied().unwrap_or_default())
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            let carry = crc & 1;
            crc >>= 1;
            if carry == 1 {
                crc ^= 0xedb8_8320;
            }
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_checksum_is_the_usual_one() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32(b""), 0);
        // 0xcbf43926 in base 62.
        let value = checksum("123456789").bytes().fold(0_u64, |value, byte| {
            value * 62 + ALPHABET.iter().position(|known| *known == byte).unwrap() as u64
        });
        assert_eq!(value, 0xcbf4_3926);
    }

    #[test]
    fn a_key_is_what_scanners_look_for_and_shows_nothing() {
        let (id, text) = generate().unwrap();
        let (prefix, rest) = text.expose().split_at(4);
        assert_eq!((prefix, rest.len()), ("gwk_", 61));
        assert!(rest.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        let parsed = KeyText::parse(text.expose()).unwrap();
        assert_eq!(parsed.id, id.as_str());
        let shown = format!("{parsed:?} {text:?} {id:?}");
        assert!(!shown.contains(parsed.secret), "{shown}");
        assert_ne!(generate().unwrap().1, text);
    }

    #[test]
    fn every_character_is_drawn() {
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..40 {
            let text = random(43).unwrap();
            seen.extend(text.expose().bytes());
        }
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), ALPHABET);
    }

    #[test]
    fn what_is_no_key_is_none() {
        let (_, text) = generate().unwrap();
        let text = text.expose();
        let mut swapped: Vec<char> = text.chars().collect();
        swapped.swap(20, 21);
        let swapped: String = swapped.into_iter().collect();
        for bad in [
            "",
            "gwk_",
            text.strip_prefix('g').unwrap(),
            text.split_at(64).0,
            &format!("{text}0"),
            &format!(" {text}"),
            &text.replace("gwk_", "GWK_"),
            &text.replace("gwk_", "gwk-"),
            &swapped,
            &format!("gwk_{}", "é".repeat(30)),
        ] {
            // Two equal neighbours swapped are no slip.
            if bad != text {
                assert!(KeyText::parse(bad).is_none(), "{bad}");
            }
        }
    }

    #[test]
    fn an_id_has_its_length() {
        assert!(ApiKeyId::parse("0123456789aZ").is_ok());
        for bad in [
            "",
            "0123456789a",
            "0123456789abc",
            "0123456789a_",
            "0123456789é",
        ] {
            assert_eq!(ApiKeyId::parse(bad), Err(InvalidApiKeyId), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_slip_of_the_hand_is_noticed(at in 4_usize..65, other in "[0-9A-Za-z]") {
            let (_, text) = generate().unwrap();
            let mut changed = text.expose().to_owned();
            changed.replace_range(at..=at, &other);
            prop_assert_eq!(KeyText::parse(&changed).is_some(), changed == text.expose());
        }

        #[test]
        fn no_text_makes_the_reader_stumble(text in ".{0,80}") {
            let text = format!("gwk_{text}");
            prop_assert!(KeyText::parse(&text).is_none());
        }
    }
}
