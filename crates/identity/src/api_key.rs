//! Keys that this installation issues: to agents and, where a tenant allows it, to people.
//!
//! A key is `gwk_`, an id of 12 characters, a secret of 43 and a checksum of 6, all of `0-9A-Za-z`. Scanners of
//! repositories find it by `gwk_[0-9A-Za-z]{61}`; the checksum is the CRC-32 of what stands before it, in base 62, so that
//! a slip of the hand is told from a key that is gone. Of the secret (256 bits) only an HMAC is stored.

mod issue;
mod key;
mod mac;
mod record;
mod resolver;
mod ring;
#[cfg(test)]
mod tests;
mod text;

pub use self::{
    issue::{CreateApiKeyError, IssuedApiKey, NewApiKey},
    mac::{KeyMac, MacKey, MacKeys},
    record::{ApiKeyRecord, ApiKeys, ApiKeysError, KeyHolder},
    resolver::ApiKeyResolver,
    ring::{ApiKeyRing, RevokeApiKeyError},
    text::{ApiKeyId, InvalidApiKeyId},
};
