//! The tokens that identity providers bring. They are of the directory; here is what they look like and how they are kept.

use aws_lc_rs::{digest, error::Unspecified, rand};
use gatewright_core::Secret;

/// By this a scanner knows a token that has got where it should not be.
const PREFIX: &str = "gws_";
/// 32 random bytes, in hexadecimal.
const RANDOM: usize = 32;

/// There is no randomness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system has no random numbers now")]
pub struct NoRandomness;

impl From<Unspecified> for NoRandomness {
    fn from(_: Unspecified) -> Self {
        Self
    }
}

/// A new token: `gws_` and 256 random bits. It is shown once; what is kept is its [`digest_of_token`].
///
/// # Errors
/// [`NoRandomness`] when the system has none.
pub fn new_token() -> Result<Secret, NoRandomness> {
    let mut bytes = [0_u8; RANDOM];
    rand::fill(&mut bytes)?;
    Ok(Secret::new(format!("{PREFIX}{}", hexadecimal(&bytes))))
}

/// What is kept of a token: its SHA-256, in hexadecimal. `None` for what is no token.
#[must_use]
pub fn digest_of_token(token: &str) -> Option<String> {
    let rest = token.strip_prefix(PREFIX)?;
    let fits = rest.len() == 2 * RANDOM
        && rest
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    fits.then(|| hexadecimal(digest::digest(&digest::SHA256, token.as_bytes()).as_ref()))
}

fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _written = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_kept_as_its_digest_and_shows_nothing() {
        let token = new_token().unwrap();
        let digest = digest_of_token(token.expose()).unwrap();
        assert_eq!(digest.len(), 64);
        assert!(!token.expose().contains(&digest));
        assert!(!format!("{token:?}").contains(token.expose()));
        assert_ne!(new_token().unwrap(), token);
        let zeros = format!("gws_{}", "0".repeat(64));
        assert_eq!(
            digest_of_token(&zeros).unwrap(),
            "ea2e554d8b44961a62395c1b5f7060afdf92e6629385a40f46c5e34201d5b754",
        );
    }

    #[test]
    fn what_is_no_token_has_no_digest() {
        let good = format!("gws_{}", "0a".repeat(32));
        assert!(digest_of_token(&good).is_some());
        for bad in [
            "",
            "gws_",
            &good.replace("gws_", "gwk_"),
            &format!("{good}0"),
            &good.to_uppercase(),
            &good.replace('a', "g"),
        ] {
            assert!(digest_of_token(bad).is_none(), "{bad}");
        }
    }
}
