//! Access tokens of the size that providers send.

use anyhow::{Context as _, Result};
use gatewright_core::{Clock as _, SystemClock};
use gatewright_jose::{Algorithm, SigningKey};
use serde_json::{Value, json};

use crate::organisation::{AGENT, CALLER_GROUPS, group};

/// The size of a token, in bytes.
const SIZE: usize = 900;

/// An issuer of tokens.
#[derive(Debug)]
pub(crate) struct Issuer {
    key: SigningKey,
    name: String,
}

impl Issuer {
    pub(crate) fn new() -> Result<Self> {
        let key = SigningKey::generate(Algorithm::Es256)?;
        Ok(Self {
            key,
            name: "http://127.0.0.1/bench".to_owned(),
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Its key set.
    pub(crate) fn keys(&self) -> Value {
        json!({"keys": [self.key.jwk()]})
    }

    /// A token for the bench's caller or another with the same groups.
    pub(crate) fn token(&self, user: &str, audience: &str) -> Result<String> {
        self.sign(user, audience, None)
    }

    /// A token with which the bench's agent acts for a user.
    pub(crate) fn delegated(&self, user: &str, audience: &str) -> Result<String> {
        self.sign(user, audience, Some(AGENT))
    }

    fn sign(&self, user: &str, audience: &str, agent: Option<&str>) -> Result<String> {
        let now = SystemClock.now().secs();
        let groups: Vec<String> = (0..CALLER_GROUPS).map(group).collect();
        let mut claims = json!({
            "iss": self.name, "sub": user, "aud": audience, "client_id": "bench-client",
            "iat": now, "nbf": now, "exp": now + 6 * 3600, "auth_time": now, "jti": format!("{user}-{now}"),
            "scope": "openid profile mcp", "groups": groups, "fill": "",
        });
        let fields = claims.as_object_mut().context("claims are an object")?;
        if let Some(agent) = agent {
            fields.insert("act".to_owned(), json!({"sub": agent}));
        }
        let short = self.key.sign("at+jwt", &claims)?;
        // Four characters of a token hold three bytes.
        let fill = "x".repeat(SIZE.saturating_sub(short.len()) * 3 / 4);
        if let Some(fields) = claims.as_object_mut() {
            fields.insert("fill".to_owned(), json!(fill));
        }
        Ok(self.key.sign("at+jwt", &claims)?)
    }
}
