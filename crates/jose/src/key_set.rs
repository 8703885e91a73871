use gatewright_core::{JsonError, JsonLimits, json};
use serde_json::{Map, Value};

use crate::{Algorithm, Key, Thumbprint};

/// The largest set that is read, in keys. Issuers publish a handful.
const MAX_KEYS: usize = 100;
/// The largest set that is read, in bytes.
const MAX_BYTES: usize = 256 * 1024;

/// Why a text is not a key set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseKeySetError {
    /// It is not acceptable JSON.
    #[error("the key set is no acceptable JSON: {0}")]
    Json(#[from] JsonError),
    /// It has no list of objects named `keys` (RFC 7517 §5).
    #[error("the key set has no list `keys` of objects")]
    Form,
    /// It has too many keys.
    #[error("the key set has more than {limit} keys")]
    TooMany {
        /// The limit.
        limit: usize,
    },
}

/// The keys of an issuer that may check signatures.
#[derive(Clone, Debug, Default)]
pub struct KeySet {
    keys: Vec<Key>,
    ignored: usize,
}

impl KeySet {
    /// Reads a JWK Set. Keys that are not for checking signatures are left out (RFC 7517 §5); a set may be empty.
    ///
    /// # Errors
    /// [`ParseKeySetError`] when the text is no key set.
    pub fn parse(text: &[u8]) -> Result<Self, ParseKeySetError> {
        let limits = JsonLimits {
            max_bytes: MAX_BYTES,
            max_depth: 8,
        };
        let text = json::check(text, &limits)?;
        let value: Value =
            serde_json::from_str(text).map_err(|_unreadable| ParseKeySetError::Form)?;
        let keys = value.get("keys").and_then(Value::as_array);
        Self::of(keys.ok_or(ParseKeySetError::Form)?)
    }

    fn of(values: &[Value]) -> Result<Self, ParseKeySetError> {
        if values.len() > MAX_KEYS {
            return Err(ParseKeySetError::TooMany { limit: MAX_KEYS });
        }
        let objects: Option<Vec<&Map<String, Value>>> =
            values.iter().map(Value::as_object).collect();
        let objects = objects.ok_or(ParseKeySetError::Form)?;
        let keys: Vec<Key> = objects.into_iter().filter_map(Key::from_jwk).collect();
        Ok(Self {
            ignored: values.len() - keys.len(),
            keys,
        })
    }

    /// The keys.
    #[must_use]
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// How many keys were left out.
    #[must_use]
    pub const fn ignored(&self) -> usize {
        self.ignored
    }

    /// Whether a key has this name.
    #[must_use]
    pub fn has_kid(&self, kid: &str) -> bool {
        self.keys.iter().any(|key| key.kid() == Some(kid))
    }

    /// Whether this key is in the set and may still check this algorithm.
    #[must_use]
    pub fn still_has(&self, thumbprint: Thumbprint, algorithm: Algorithm) -> bool {
        self.keys
            .iter()
            .any(|key| key.thumbprint() == thumbprint && key.algorithms().contains(&algorithm))
    }
}

/// A set of one.
impl From<Key> for KeySet {
    fn from(key: Key) -> Self {
        Self {
            keys: vec![key],
            ignored: 0,
        }
    }
}

#[cfg(test)]
mod tests;
