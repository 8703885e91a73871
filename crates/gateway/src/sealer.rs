//! Seals what clients must bring back, under a key of this installation.

use std::path::Path;

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use gatewright_core::{OpenError, Purpose, SealError, Sealer, SecretBytes, Timestamp};

use crate::keys::{self, OpenKeyError};

const KEY_LEN: usize = 32;
/// Names the form, so that another one can be told from it later.
const VERSION: u8 = 1;
/// Version, expiry in milliseconds, nonce.
const HEAD_LEN: usize = 1 + 8 + NONCE_LEN;
/// More than any text of ours; a header that is longer is not worth decoding.
const LONGEST: usize = 16 << 10;

/// AES-256-GCM-SIV with random nonces: that two texts ever share one harms nothing but their likeness.
#[derive(Debug)]
pub struct FileSealer(RandomizedNonceKey);

impl FileSealer {
    /// Under the key in `seal.key` of this directory, which is made if it is not there.
    ///
    /// # Errors
    /// [`OpenKeyError`] when the key cannot be read or made, or others can read it.
    pub fn open(dir: &Path) -> Result<Self, OpenKeyError> {
        Self::new(&keys::open_or_create(dir, "seal.key", KEY_LEN)?)
    }

    fn new(key: &SecretBytes) -> Result<Self, OpenKeyError> {
        let key = RandomizedNonceKey::new(&AES_256_GCM_SIV, key.expose());
        key.map(Self).map_err(|_unspecified| OpenKeyError::Random)
    }
}

impl Sealer for FileSealer {
    fn seal(
        &self,
        purpose: Purpose,
        bound: &[&str],
        expires: Timestamp,
        plaintext: &[u8],
    ) -> Result<String, SealError> {
        let mut sealed = plaintext.to_vec();
        let nonce = self
            .0
            .seal_in_place_append_tag(Aad::from(bound_to(purpose, bound, expires)), &mut sealed)
            .map_err(|_unspecified| SealError("encryption failed".to_owned()))?;
        let mut text = Vec::with_capacity(HEAD_LEN + sealed.len());
        text.push(VERSION);
        text.extend_from_slice(&expires.millis().to_be_bytes());
        text.extend_from_slice(nonce.as_ref());
        text.extend_from_slice(&sealed);
        Ok(URL_SAFE_NO_PAD.encode(text))
    }

    fn open(
        &self,
        purpose: Purpose,
        bound: &[&str],
        now: Timestamp,
        sealed: &str,
    ) -> Result<Vec<u8>, OpenError> {
        if sealed.len() > LONGEST {
            return Err(OpenError);
        }
        let text = URL_SAFE_NO_PAD.decode(sealed).map_err(|_form| OpenError)?;
        let (head, body) = text.split_at_checked(HEAD_LEN).ok_or(OpenError)?;
        let (version, head) = head.split_first().ok_or(OpenError)?;
        let (expires, nonce) = head.split_first_chunk::<8>().ok_or(OpenError)?;
        let expires = Timestamp::from_millis(i64::from_be_bytes(*expires));
        if *version != VERSION || expires <= now {
            return Err(OpenError);
        }
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_length| OpenError)?;
        let mut body = body.to_vec();
        let opened = self
            .0
            .open_in_place(
                nonce,
                Aad::from(bound_to(purpose, bound, expires)),
                &mut body,
            )
            .map_err(|_unspecified| OpenError)?;
        Ok(opened.to_vec())
    }
}

/// What a text is bound to, each part with its length in front, so that no choice of parts reads as another.
fn bound_to(purpose: Purpose, bound: &[&str], expires: Timestamp) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    bytes.extend_from_slice(&expires.millis().to_be_bytes());
    for part in [purpose.name()].iter().chain(bound) {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part.as_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUND: [&str; 3] = ["default", "billing", "user:https://idp|ann"];

    fn sealer(byte: u8) -> FileSealer {
        FileSealer::new(&SecretBytes::new(vec![byte; KEY_LEN])).unwrap()
    }

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    fn sealed() -> String {
        sealer(1)
            .seal(Purpose::Session, &BOUND, at(100), b"upstream-id")
            .unwrap()
    }

    #[test]
    fn a_sealed_text_opens_for_its_owner_until_it_expires() {
        let text = sealed();
        assert!(
            text.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)),
            "{text}"
        );
        let open = |now| sealer(1).open(Purpose::Session, &BOUND, at(now), &text);
        assert_eq!(open(99), Ok(b"upstream-id".to_vec()));
        assert_eq!(open(100), Err(OpenError));
        assert_eq!(open(i64::MAX), Err(OpenError));
    }

    #[test]
    fn a_sealed_text_opens_for_nobody_else() {
        let text = sealed();
        for bound in [
            &["acme", "billing", "user:https://idp|ann"] as &[&str],
            &["default", "notes", "user:https://idp|ann"],
            &["default", "billing", "user:https://idp|ben"],
            // The same letters, cut elsewhere.
            &["defaultb", "illing", "user:https://idp|ann"],
            &["default", "billing"],
            &["default", "billing", "user:https://idp|ann", ""],
            &[],
        ] {
            assert_eq!(
                sealer(1).open(Purpose::Session, bound, at(0), &text),
                Err(OpenError),
                "{bound:?}"
            );
        }
        assert_eq!(
            sealer(2).open(Purpose::Session, &BOUND, at(0), &text),
            Err(OpenError)
        );
    }

    #[test]
    fn the_purpose_is_bound() {
        // There is one purpose yet: the name is what another would differ in.
        let other = bound_to(Purpose::Session, &BOUND, at(1));
        assert!(other.windows(7).any(|window| window == b"session"));
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let bytes = URL_SAFE_NO_PAD.decode(sealed()).unwrap();
        for index in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[index] ^= 1;
            let text = URL_SAFE_NO_PAD.encode(changed);
            assert_eq!(
                sealer(1).open(Purpose::Session, &BOUND, at(0), &text),
                Err(OpenError),
                "{index}"
            );
        }
        for length in 0..bytes.len() {
            let text = URL_SAFE_NO_PAD.encode(&bytes[..length]);
            assert_eq!(
                sealer(1).open(Purpose::Session, &BOUND, at(0), &text),
                Err(OpenError),
                "{length}"
            );
        }
    }

    #[test]
    fn what_was_never_sealed_does_not_open() {
        for text in ["", "x", "é", "====", &"A".repeat(20_000), &"A".repeat(100)] {
            assert_eq!(
                sealer(1).open(Purpose::Session, &BOUND, at(0), text),
                Err(OpenError)
            );
        }
    }

    #[test]
    fn two_seals_of_one_text_differ() {
        assert_ne!(sealed(), sealed());
    }
}
