//! The issuer of the demo's tokens. Nothing but `quickstart` starts one: it gives nobody a token, it only publishes
//! the key of those that were made with it.

use std::{io, time::Duration};

use axum::{Json, Router, routing::get};
use gatewright_core::Timestamp;
use gatewright_jose::{Algorithm, SignError, SigningKey};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{StartDemoError, loopback::Loopback};

/// How long a token is good, if the demo stays up for so long.
const LIFETIME: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A key of its own, whose public half it publishes until it is dropped.
#[derive(Debug)]
pub(super) struct DemoIssuer {
    id: String,
    key: SigningKey,
    _listening: Loopback,
}

impl DemoIssuer {
    pub(super) async fn start() -> Result<Self, StartDemoError> {
        let key = SigningKey::generate(Algorithm::Es256)?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let id = format!("http://{}", listener.local_addr()?);
        let router = router(&id, &key);
        Ok(Self {
            id,
            key,
            _listening: Loopback::serve_on(listener, router)?,
        })
    }

    /// Its identifier, the `iss` of its tokens.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// An access token (RFC 9068) with these claims besides those of every token.
    pub(super) fn token(
        &self,
        claims: &Value,
        audience: &str,
        now: Timestamp,
    ) -> Result<String, SignError> {
        let mut claims = claims.clone();
        if let Some(fields) = claims.as_object_mut() {
            let id = unique::<16>().map_err(|_random| SignError::Library)?;
            for (name, value) in [
                ("iss", json!(self.id)),
                ("aud", json!(audience)),
                ("iat", json!(now.secs())),
                ("exp", json!(now.plus(LIFETIME).secs())),
                ("jti", json!(id)),
            ] {
                fields.insert(name.to_owned(), value);
            }
        }
        self.key.sign("at+jwt", &claims)
    }
}

fn router(id: &str, key: &SigningKey) -> Router {
    // RFC 8414 §2. There is no endpoint to get a token from: the tokens of the demo are made beforehand.
    let metadata = json!({
        "issuer": id,
        "jwks_uri": format!("{id}/keys"),
        "response_types_supported": [],
        "grant_types_supported": [],
    });
    let keys = json!({ "keys": [key.jwk()] });
    Router::new()
        .route(
            "/.well-known/oauth-authorization-server",
            get(async || Json(metadata)),
        )
        .route("/keys", get(async || Json(keys)))
}

/// So many random bytes, in hexadecimal.
pub(super) fn unique<const BYTES: usize>() -> io::Result<String> {
    let mut bytes = [0; BYTES];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_unspecified| io::ErrorKind::Other)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
