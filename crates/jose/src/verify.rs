use std::{fmt, time::Duration};

use gatewright_core::{JsonLimits, Timestamp, json};
use serde_json::{Map, Value};

use crate::{
    Algorithm, Claims, Key, KeySet, Thumbprint,
    key::{MAX_KID_BYTES, decode},
};

/// The longest token that is looked at.
pub const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// By how much an issuer's clock may be ahead of ours, unless said otherwise.
pub const LEEWAY: Duration = Duration::from_secs(60);

/// How many keys are tried for a token without `kid`: each costs a signature check.
const MAX_TRIES: usize = 4;

/// Why a token is no good. Nothing in it comes from the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyTokenError {
    /// Longer than [`MAX_TOKEN_BYTES`].
    #[error("the token is too large")]
    TooLarge,
    /// Not a compact JWS (RFC 7515 §7.1) of two JSON objects without duplicate names.
    #[error("the token is no JWT")]
    Malformed,
    /// The header has a parameter that brings or names a key (`jwk`, `jku`, `x5u`, `x5c`), or one that has to be
    /// understood and is not (`crit`, RFC 7515 §4.1.11; `b64`, RFC 7797; `enc`, `zip`).
    #[error("the token's header has the parameter `{0}`")]
    Header(&'static str),
    /// `none`, an HMAC, or an algorithm that the configuration does not allow (RFC 8725 §3.1).
    #[error("the token's algorithm is not allowed")]
    Algorithm,
    /// The `typ` is that of another kind of token (RFC 9068 §4, RFC 8725 §3.11).
    #[error("the token is not of the type of access tokens")]
    Type,
    /// The claims are those of an ID token (RFC 9068 §5: one must not pass for the other).
    #[error("an ID token is no access token")]
    IdToken,
    /// A claim that has to be there is not.
    #[error("the token has no `{0}`")]
    Missing(&'static str),
    /// A claim has another form than it should.
    #[error("the token's `{0}` is not of the right form")]
    Claim(&'static str),
    /// No key of the issuer has the token's `kid`, or suits its algorithm.
    #[error("no key of the issuer fits the token")]
    UnknownKey,
    /// The signature is not by a key of the issuer.
    #[error("the token's signature is not by the issuer")]
    Signature,
    /// From another issuer.
    #[error("the token is of another issuer")]
    Issuer,
    /// For another audience (RFC 9068 §4, RFC 8707).
    #[error("the token is for another audience")]
    Audience,
    /// It has ended.
    #[error("the token has expired")]
    Expired,
    /// It has not begun (`nbf`).
    #[error("the token is not valid yet")]
    NotYetValid,
    /// It was made in the future (`iat`).
    #[error("the token was issued in the future")]
    IssuedInFuture,
}

impl VerifyTokenError {
    /// A stable code in kebab case, for records and metrics.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::TooLarge => "token-too-large",
            Self::Malformed => "malformed-token",
            Self::Header(_) => "forbidden-header",
            Self::Algorithm => "wrong-algorithm",
            Self::Type => "wrong-type",
            Self::IdToken => "id-token",
            Self::Missing(_) => "missing-claim",
            Self::Claim(_) => "malformed-claim",
            Self::UnknownKey => "unknown-key",
            Self::Signature => "bad-signature",
            Self::Issuer => "wrong-issuer",
            Self::Audience => "wrong-audience",
            Self::Expired => "expired",
            Self::NotYetValid => "not-yet-valid",
            Self::IssuedInFuture => "issued-in-future",
        }
    }
}

/// Which forms of access token an issuer sends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Profile {
    /// `typ: at+jwt` (RFC 9068 §2.1), and nothing else.
    #[default]
    Rfc9068,
    /// Also `typ: JWT` or none, as issuers older than RFC 9068 send, unless the claims are those of an ID token.
    Plain,
}

/// What a token must say of itself.
#[derive(Clone, Copy, Debug)]
pub struct Expect<'a> {
    /// The `iss`, exactly.
    pub issuer: &'a str,
    /// One of the `aud`, exactly.
    pub audience: &'a str,
    /// Which `typ`.
    pub profile: Profile,
    /// By how much the issuer's clock may be ahead of ours (`nbf`, `iat`). A token's end is its end.
    pub leeway: Duration,
}

impl<'a> Expect<'a> {
    /// A token of this issuer for this audience, as RFC 9068 says, with clocks a minute apart at most.
    #[must_use]
    pub const fn new(issuer: &'a str, audience: &'a str) -> Self {
        Self {
            issuer,
            audience,
            profile: Profile::Rfc9068,
            leeway: LEEWAY,
        }
    }

    /// Whether claims of a token of this type are as expected at this moment.
    ///
    /// # Errors
    /// [`VerifyTokenError`] names the first that is not.
    pub fn check(
        &self,
        typ: Option<&str>,
        claims: &Claims,
        now: Timestamp,
    ) -> Result<(), VerifyTokenError> {
        self.check_type(typ, claims)?;
        if claims.issuer() != self.issuer {
            return Err(VerifyTokenError::Issuer);
        }
        if !claims.is_for(self.audience) {
            return Err(VerifyTokenError::Audience);
        }
        if claims.expires_at() <= now {
            return Err(VerifyTokenError::Expired);
        }
        let latest = now.plus(self.leeway);
        if claims.not_before().is_some_and(|begin| begin > latest) {
            return Err(VerifyTokenError::NotYetValid);
        }
        if claims.issued_at().is_some_and(|made| made > latest) {
            return Err(VerifyTokenError::IssuedInFuture);
        }
        Ok(())
    }

    fn check_type(&self, typ: Option<&str>, claims: &Claims) -> Result<(), VerifyTokenError> {
        // RFC 7515 §4.1.9: a media type, whose `application/` may be left out.
        let typ = typ.map(|typ| {
            let typ = typ.to_ascii_lowercase();
            typ.strip_prefix("application/")
                .map_or_else(|| typ.clone(), str::to_owned)
        });
        match (typ.as_deref(), self.profile) {
            (Some("at+jwt"), _) => Ok(()),
            (Some("jwt") | None, Profile::Plain) => {
                let of_id_token = ["nonce", "at_hash", "c_hash"];
                match of_id_token.iter().any(|name| claims.get(name).is_some()) {
                    true => Err(VerifyTokenError::IdToken),
                    false => Ok(()),
                }
            }
            _ => Err(VerifyTokenError::Type),
        }
    }
}

/// Checks everything at once: form, signature, and what the token says of itself.
///
/// `algorithms` are those that the configuration allows; empty means whatever the keys are for.
///
/// # Errors
/// [`VerifyTokenError`] names the first thing that is wrong.
pub fn verify(
    token: &str,
    keys: &KeySet,
    algorithms: &[Algorithm],
    expect: &Expect<'_>,
    now: Timestamp,
) -> Result<Claims, VerifyTokenError> {
    let unverified = Unverified::parse(token)?;
    expect.check(unverified.typ(), unverified.claims(), now)?;
    Ok(unverified.verify(keys, algorithms)?.claims)
}

/// A token of the right form whose signature nobody has checked: for choosing the issuer whose keys to check it by.
pub struct Unverified<'a> {
    signed: &'a str,
    signature: Vec<u8>,
    algorithm: Algorithm,
    kid: Option<Box<str>>,
    typ: Option<Box<str>>,
    claims: Claims,
}

impl<'a> Unverified<'a> {
    /// Reads a token.
    ///
    /// # Errors
    /// [`VerifyTokenError`] when it is no JWT that could ever be good.
    pub fn parse(token: &'a str) -> Result<Self, VerifyTokenError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(VerifyTokenError::TooLarge);
        }
        let malformed = || VerifyTokenError::Malformed;
        let (signed, signature) = token.rsplit_once('.').ok_or_else(malformed)?;
        let (header, claims) = signed.split_once('.').ok_or_else(malformed)?;
        // A third dot stands in neither alphabet, so `decode` refuses it.
        let header = object(header)?;
        let algorithm = check_header(&header)?;
        let text = |name: &str, max: usize| match header.get(name) {
            None => Ok(None),
            Some(Value::String(text)) if text.len() <= max => Ok(Some(text.as_str().into())),
            Some(_) => Err(VerifyTokenError::Malformed),
        };
        Ok(Self {
            kid: text("kid", MAX_KID_BYTES)?,
            typ: text("typ", 64)?,
            claims: Claims::new(object(claims)?)?,
            signature: decode(signature).ok_or_else(malformed)?,
            signed,
            algorithm,
        })
    }

    /// What it claims. Nobody has vouched for it.
    #[must_use]
    pub const fn claims(&self) -> &Claims {
        &self.claims
    }

    /// The key that it says to be signed by.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The type that it says to be of.
    #[must_use]
    pub fn typ(&self) -> Option<&str> {
        self.typ.as_deref()
    }

    /// Checks the signature.
    ///
    /// # Errors
    /// [`VerifyTokenError::Algorithm`], [`UnknownKey`](VerifyTokenError::UnknownKey) or
    /// [`Signature`](VerifyTokenError::Signature).
    pub fn verify(
        self,
        keys: &KeySet,
        algorithms: &[Algorithm],
    ) -> Result<Verified, VerifyTokenError> {
        if !algorithms.is_empty() && !algorithms.contains(&self.algorithm) {
            return Err(VerifyTokenError::Algorithm);
        }
        let named = |key: &&Key| self.kid.is_none() || key.kid() == self.kid.as_deref();
        let mut fitting = keys
            .keys()
            .iter()
            .filter(named)
            // INVARIANT: the key says what it is for; a header that disagrees finds no key.
            .filter(|key| key.algorithms().contains(&self.algorithm))
            .peekable();
        if fitting.peek().is_none() {
            return Err(VerifyTokenError::UnknownKey);
        }
        let by = fitting
            .take(MAX_TRIES)
            .find(|key| key.checks(self.algorithm, self.signed.as_bytes(), &self.signature));
        let key = by.ok_or(VerifyTokenError::Signature)?.thumbprint();
        Ok(Verified {
            claims: self.claims,
            typ: self.typ,
            algorithm: self.algorithm,
            key,
        })
    }
}

impl fmt::Debug for Unverified<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unverified")
            .field("algorithm", &self.algorithm)
            .field("claims", &self.claims)
            .finish_non_exhaustive()
    }
}

/// A token whose signature is good. Whether it is good here and now, [`Expect::check`] says, at every use.
#[derive(Clone, Debug)]
pub struct Verified {
    claims: Claims,
    typ: Option<Box<str>>,
    algorithm: Algorithm,
    key: Thumbprint,
}

impl Verified {
    /// What it claims.
    #[must_use]
    pub const fn claims(&self) -> &Claims {
        &self.claims
    }

    /// Its type.
    #[must_use]
    pub fn typ(&self) -> Option<&str> {
        self.typ.as_deref()
    }

    /// Whether the key that it was checked by is still good for it: whoever holds a `Verified` for long has to ask.
    #[must_use]
    pub fn is_still_by(&self, keys: &KeySet, algorithms: &[Algorithm]) -> bool {
        (algorithms.is_empty() || algorithms.contains(&self.algorithm))
            && keys.still_has(self.key, self.algorithm)
    }
}

/// The algorithm, if the header has nothing that must not be there.
fn check_header(header: &Map<String, Value>) -> Result<Algorithm, VerifyTokenError> {
    const FORBIDDEN: [&str; 8] = ["jwk", "jku", "x5u", "x5c", "crit", "b64", "enc", "zip"];
    for name in FORBIDDEN {
        if header.contains_key(name) {
            return Err(VerifyTokenError::Header(name));
        }
    }
    let algorithm = header.get("alg").and_then(Value::as_str);
    algorithm
        .and_then(Algorithm::from_name)
        .ok_or(VerifyTokenError::Algorithm)
}

/// A part that is base64url of a JSON object.
fn object(part: &str) -> Result<Map<String, Value>, VerifyTokenError> {
    let limits = JsonLimits {
        max_bytes: MAX_TOKEN_BYTES,
        max_depth: 32,
    };
    let read = || {
        let bytes = decode(part)?;
        let text = json::check(&bytes, &limits).ok()?;
        serde_json::from_str(text).ok()
    };
    read().ok_or(VerifyTokenError::Malformed)
}

#[cfg(test)]
mod tests;
