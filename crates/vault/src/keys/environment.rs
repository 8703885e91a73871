use std::fmt;

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use gatewright_core::{Secret, SecretBytes};
use zeroize::Zeroizing;

use super::{
    DerivedKey, KeyProvider, MasterKeyId, RotateMasterKeyError, UseMasterKeyError, WrappedKey,
    ring::{KEY_LEN, Ring},
};

/// Why a text is no master key. It shows nothing of the text.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidMasterKey {
    /// It is not 32 bytes in base64.
    #[error(
        "master key {0} is not 32 bytes in base64: make one with `openssl rand -base64 32`, and separate several by commas"
    )]
    Form(usize),
    /// It cannot be used.
    #[error(transparent)]
    Unusable(#[from] UseMasterKeyError),
}

/// Master keys from the value of an environment variable, which the binary reads and passes in.
#[derive(Debug)]
pub struct EnvironmentKeys(Ring);

impl EnvironmentKeys {
    /// One key of 32 bytes in base64, or several with commas between them: the current one first, then those that older
    /// records are still wrapped under.
    ///
    /// # Errors
    /// [`InvalidMasterKey`] when any of them is no such key.
    pub fn parse(value: &Secret) -> Result<Self, InvalidMasterKey> {
        let mut keys = value
            .expose()
            .split(',')
            .enumerate()
            .map(|(index, text)| decoded(text).ok_or(InvalidMasterKey::Form(index + 1)))
            .collect::<Result<Vec<SecretBytes>, _>>()?
            .into_iter();
        let current = keys.next().ok_or(InvalidMasterKey::Form(1))?;
        Ok(Self(Ring::new(current, keys)?))
    }
}

fn decoded(text: &str) -> Option<SecretBytes> {
    let mut bytes = Zeroizing::new(vec![0; KEY_LEN + 1]);
    let length = STANDARD.decode_slice(text.trim(), &mut bytes).ok()?;
    bytes.truncate(length);
    (length == KEY_LEN).then(|| SecretBytes::new(std::mem::take(&mut *bytes)))
}

#[async_trait]
impl KeyProvider for EnvironmentKeys {
    fn current(&self) -> MasterKeyId {
        self.0.current()
    }

    async fn wrap(&self, key: &SecretBytes, bound: &[u8]) -> Result<WrappedKey, UseMasterKeyError> {
        self.0.wrap(key, bound)
    }

    async fn unwrap(
        &self,
        wrapped: &WrappedKey,
        bound: &[u8],
    ) -> Result<SecretBytes, UseMasterKeyError> {
        self.0.unwrap(wrapped, bound)
    }

    async fn derive(&self, purpose: &str) -> Result<Vec<DerivedKey>, UseMasterKeyError> {
        self.0.derive(purpose)
    }

    async fn rotate(&self) -> Result<MasterKeyId, RotateMasterKeyError> {
        Err(RotateMasterKeyError::Elsewhere)
    }
}

impl fmt::Display for EnvironmentKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "master key `{}` of the environment", self.0.current())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(byte: u8) -> String {
        STANDARD.encode([byte; KEY_LEN])
    }

    fn keys(value: &str) -> Result<EnvironmentKeys, InvalidMasterKey> {
        EnvironmentKeys::parse(&Secret::new(value.to_owned()))
    }

    #[test]
    fn the_first_key_is_the_current_one_and_the_others_still_open() {
        let old = keys(&text(1)).unwrap();
        let wrapped = old.0.wrap(&SecretBytes::new(vec![9; 32]), b"x").unwrap();
        let both = keys(&format!(" {} , {}\n", text(2), text(1))).unwrap();
        assert_eq!(both.current(), keys(&text(2)).unwrap().current());
        assert!(both.0.unwrap(&wrapped, b"x").is_ok());
        assert!(keys(&text(2)).unwrap().0.unwrap(&wrapped, b"x").is_err());
    }

    #[test]
    fn what_is_no_key_is_refused_and_not_shown() {
        let short = STANDARD.encode([7; 31]);
        let long = STANDARD.encode([7; 33]);
        let two = format!("{},{short}", text(1));
        for (bad, which) in [
            ("", 1),
            ("planted", 1),
            (&short, 1),
            (&long, 1),
            (&two, 2),
            (&format!("{},", text(1)), 2),
        ] {
            let refused = keys(bad).unwrap_err().to_string();
            assert!(
                refused.starts_with(&format!("master key {which} is not")),
                "{refused}"
            );
            assert!(!refused.contains("planted") && !refused.contains(&short));
        }
        let shown = format!("{0:?} {0}", keys(&text(7)).unwrap());
        assert!(
            !shown.contains(&text(7)) && !shown.contains("7, 7"),
            "{shown}"
        );
    }
}
