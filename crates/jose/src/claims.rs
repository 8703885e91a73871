use std::fmt;

use gatewright_core::Timestamp;
use serde_json::{Map, Value};

use crate::VerifyTokenError;

/// The claims of a token whose registered ones (RFC 7519 §4.1) have the right form. `Debug` shows their names only.
#[derive(Clone, PartialEq)]
pub struct Claims {
    all: Map<String, Value>,
    issuer: Box<str>,
    subject: Box<str>,
    expires_at: Timestamp,
    not_before: Option<Timestamp>,
    issued_at: Option<Timestamp>,
}

/// Longer names than any issuer gives are not worth holding.
const MAX_NAME_BYTES: usize = 1024;

impl Claims {
    pub(crate) fn new(all: Map<String, Value>) -> Result<Self, VerifyTokenError> {
        let name = |claim: &'static str| match all.get(claim) {
            None => Err(VerifyTokenError::Missing(claim)),
            Some(Value::String(text)) if !text.is_empty() && text.len() <= MAX_NAME_BYTES => {
                Ok(text.as_str().into())
            }
            Some(_) => Err(VerifyTokenError::Claim(claim)),
        };
        let time = |claim: &'static str| {
            all.get(claim)
                .map(|value| numeric_date(value).ok_or(VerifyTokenError::Claim(claim)))
                .transpose()
        };
        let (issuer, subject) = (name("iss")?, name("sub")?);
        let expires_at = time("exp")?.ok_or(VerifyTokenError::Missing("exp"))?;
        let (not_before, issued_at) = (time("nbf")?, time("iat")?);
        match all.get("aud") {
            None => return Err(VerifyTokenError::Missing("aud")),
            Some(Value::String(_)) => {}
            Some(Value::Array(list)) if list.iter().all(Value::is_string) => {}
            Some(_) => return Err(VerifyTokenError::Claim("aud")),
        }
        Ok(Self {
            issuer,
            subject,
            expires_at,
            not_before,
            issued_at,
            all,
        })
    }

    /// Who made the token (`iss`).
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Whom it is about (`sub`).
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// When it ends (`exp`).
    #[must_use]
    pub const fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// When it begins (`nbf`).
    #[must_use]
    pub const fn not_before(&self) -> Option<Timestamp> {
        self.not_before
    }

    /// When it was made (`iat`).
    #[must_use]
    pub const fn issued_at(&self) -> Option<Timestamp> {
        self.issued_at
    }

    /// Whether `aud` is exactly this, or a list with exactly this in it.
    #[must_use]
    pub fn is_for(&self, audience: &str) -> bool {
        match self.all.get("aud") {
            Some(Value::String(one)) => one == audience,
            Some(Value::Array(list)) => list.iter().any(|one| one == audience),
            _ => false,
        }
    }

    /// A claim as it came.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.all.get(name)
    }

    /// All claims as they came.
    #[must_use]
    pub const fn all(&self) -> &Map<String, Value> {
        &self.all
    }
}

impl fmt::Debug for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.all.keys()).finish()
    }
}

/// A `NumericDate` (RFC 7519 §2): seconds, possibly with a fraction.
#[must_use]
pub fn numeric_date(value: &Value) -> Option<Timestamp> {
    if let Some(seconds) = value.as_i64() {
        return Some(Timestamp::from_secs(seconds));
    }
    let millis = value.as_f64()? * 1000.0;
    // Within ±2^53 every whole number is exact, and that is far beyond any calendar.
    if !(-9.0e15..=9.0e15).contains(&millis) {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the range is checked above; a fraction of a millisecond says nothing"
    )]
    Some(Timestamp::from_millis(millis as i64))
}
