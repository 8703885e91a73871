//! JWS, JWT and JWK: verification, signing, key sources.
//!
//! A token says by itself how it wants to be checked, and most forgeries use that: `alg: none`, an HMAC over a public
//! key, a key that the token brings along. Here the key and the configuration say how a token is checked, and the
//! header only which of the known keys to take. Every claim that an access token needs is demanded, and the time is
//! a parameter.
//!
//! ```
//! use gatewright_core::Timestamp;
//! use gatewright_jose::{Algorithm, Expect, Profile, SigningKey, VerifyTokenError, verify};
//! use serde_json::json;
//!
//! let key = SigningKey::generate(Algorithm::Es256)?;
//! let token = key.sign("at+jwt", &json!({
//!     "iss": "https://login.example.com", "sub": "ann", "aud": "https://api.example.com/mcp", "exp": 1_000,
//! }))?;
//!
//! let mut expect = Expect::new("https://login.example.com", "https://api.example.com/mcp");
//! let claims = verify(&token, &key.key_set(), &[], &expect, Timestamp::from_secs(900))?;
//! assert_eq!(claims.subject(), "ann");
//!
//! let late = verify(&token, &key.key_set(), &[], &expect, Timestamp::from_secs(1_000));
//! assert_eq!(late.unwrap_err(), VerifyTokenError::Expired);
//!
//! expect.audience = "https://other.example.com/mcp";
//! let elsewhere = verify(&token, &key.key_set(), &[], &expect, Timestamp::from_secs(900));
//! assert_eq!(elsewhere.unwrap_err(), VerifyTokenError::Audience);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! **Reads** compact JWS (RFC 7515), JWTs (RFC 7519, RFC 9068) and key sets (RFC 7517).
//!
//! **Refuses** what is not exactly that: other algorithms than asymmetric ones, headers that bring or name keys,
//! `crit`, duplicate member names, keys that are too small, secret or meant for something else.
//!
//! **Fails** with [`VerifyTokenError`], whose texts and codes hold nothing of the token. A [`KeySource`] that cannot
//! get the issuer's keys fails with [`KeysUnavailable`]: what cannot be checked is not taken.

mod algorithm;
mod claims;
mod document;
mod key;
mod key_set;
mod sign;
mod source;
mod verify;

pub use algorithm::Algorithm;
pub use claims::{Claims, numeric_date};
pub use document::{FetchKeysError, JwksUrl, fetch_document, fetch_keys};
pub use key::{Key, Thumbprint};
pub use key_set::{KeySet, ParseKeySetError};
pub use sign::{SignError, SigningKey};
pub use source::{CacheTimes, FetchKeys, KeySource, KeysUnavailable};
pub use verify::{
    Expect, LEEWAY, MAX_TOKEN_BYTES, Profile, Unverified, Verified, VerifyTokenError, verify,
};
