use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use aws_lc_rs::hmac;
use axum::{
    Json, Router,
    extract::State,
    response::{IntoResponse as _, Response},
};
use gatewright_core::{Clock, SystemClock};
use http::{StatusCode, Uri};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::{Algorithm, SigningKey, key::base64url, listen::Listening};

/// An identity provider: discovery (RFC 8414 and OIDC), a key set that rotates, and tokens good and bad.
/// Clones are the same provider.
#[derive(Clone)]
pub struct FakeIdp {
    shared: Arc<Shared>,
    listening: Listening,
}

struct Shared {
    issuer: String,
    path: String,
    clock: Arc<dyn Clock>,
    keys: Mutex<Vec<Arc<SigningKey>>>,
    made: AtomicUsize,
    metadata: Mutex<Option<Value>>,
    jwks: Mutex<Option<Value>>,
    down: AtomicBool,
    discoveries: AtomicUsize,
    key_fetches: AtomicUsize,
}

impl FakeIdp {
    /// A provider with one ES256 key, on the machine's clock.
    pub async fn start() -> Self {
        Self::start_with("", Algorithm::Es256, SystemClock).await
    }

    /// A provider whose issuer has this path (`/tenant`, or nothing), with a key of this algorithm; `iat` and
    /// `exp` of its tokens follow the clock.
    pub async fn start_with(path: &str, algorithm: Algorithm, clock: impl Clock) -> Self {
        let mut made = None;
        let listening = Listening::start(|address| {
            let shared = Arc::new(Shared {
                issuer: format!("http://{address}{path}"),
                path: path.to_owned(),
                clock: Arc::new(clock),
                keys: Mutex::new(vec![Arc::new(SigningKey::generate(algorithm, "key-1"))]),
                made: AtomicUsize::new(1),
                metadata: Mutex::new(None),
                jwks: Mutex::new(None),
                down: AtomicBool::new(false),
                discoveries: AtomicUsize::new(0),
                key_fetches: AtomicUsize::new(0),
            });
            made = Some(Arc::clone(&shared));
            Router::new().fallback(answer).with_state(shared)
        })
        .await;
        Self {
            shared: made.expect("the router was asked for"),
            listening,
        }
    }

    /// Its issuer identifier: the `iss` of its tokens.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.shared.issuer
    }

    /// Where its key set is.
    #[must_use]
    pub fn jwks_url(&self) -> String {
        self.listening.url("/jwks")
    }

    /// The key that signs now.
    #[must_use]
    pub fn key(&self) -> Arc<SigningKey> {
        Arc::clone(
            lock(&self.shared.keys)
                .last()
                .expect("there is always a key"),
        )
    }

    /// Signs with a new key from now on; the old ones stay in the key set.
    pub fn rotate(&self) {
        self.add_key(Algorithm::Es256);
    }

    /// Signs with a new key of this algorithm from now on; the old ones stay in the key set.
    pub fn add_key(&self, algorithm: Algorithm) {
        let number = self.shared.made.fetch_add(1, Ordering::Relaxed) + 1;
        let key = SigningKey::generate(algorithm, &format!("key-{number}"));
        lock(&self.shared.keys).push(Arc::new(key));
    }

    /// Takes every key but the newest out of the key set.
    pub fn forget_old_keys(&self) {
        let mut keys = lock(&self.shared.keys);
        let newest = keys.pop().expect("there is always a key");
        keys.clear();
        keys.push(newest);
    }

    /// While down, everything is answered with 503.
    pub fn set_down(&self, down: bool) {
        self.shared.down.store(down, Ordering::Relaxed);
    }

    /// Serves this instead of the true metadata.
    pub fn set_metadata(&self, metadata: Value) {
        *lock(&self.shared.metadata) = Some(metadata);
    }

    /// Serves this instead of the true key set.
    pub fn set_jwks(&self, jwks: Value) {
        *lock(&self.shared.jwks) = Some(jwks);
    }

    /// How often metadata was fetched.
    #[must_use]
    pub fn discoveries(&self) -> usize {
        self.shared.discoveries.load(Ordering::Relaxed)
    }

    /// How often the key set was fetched.
    #[must_use]
    pub fn key_fetches(&self) -> usize {
        self.shared.key_fetches.load(Ordering::Relaxed)
    }

    /// The true metadata.
    #[must_use]
    pub fn metadata(&self) -> Value {
        self.shared.true_metadata()
    }

    /// An access token (RFC 9068) for `subject` at `audience`, valid for five minutes from now; the builder
    /// bends it.
    pub fn token(&self, subject: &str, audience: &str) -> TokenBuilder {
        let key = self.key();
        let now = self.shared.clock.now().secs();
        let header = json!({"alg": key.alg(), "typ": "at+jwt", "kid": key.kid()});
        let claims = json!({
            "iss": self.issuer(),
            "sub": subject,
            "aud": audience,
            "client_id": "test-client",
            "iat": now,
            "exp": now + 300,
            "jti": format!("{subject}-{now}"),
        });
        TokenBuilder {
            header: fields(header),
            claims: fields(claims),
            now,
            key,
        }
    }
}

impl fmt::Debug for FakeIdp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FakeIdp").field(&self.shared.issuer).finish()
    }
}

impl Shared {
    fn true_metadata(&self) -> Value {
        let at = |path: &str| format!("{}{path}", self.issuer);
        json!({
            "issuer": self.issuer,
            "jwks_uri": format!("{}/jwks", self.issuer.strip_suffix(&self.path).unwrap_or(&self.issuer)),
            "authorization_endpoint": at("/authorize"),
            "token_endpoint": at("/token"),
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256", "EdDSA", "RS256"],
            "code_challenge_methods_supported": ["S256"],
        })
    }
}

async fn answer(State(idp): State<Arc<Shared>>, uri: Uri) -> Response {
    // RFC 8414 §3.1 puts the well-known part before the issuer's path, OIDC Discovery §4 after it.
    let oauth = format!("/.well-known/oauth-authorization-server{}", idp.path);
    let oidc_inserted = format!("/.well-known/openid-configuration{}", idp.path);
    let oidc = format!("{}/.well-known/openid-configuration", idp.path);
    let path = uri.path();
    let is_metadata = path == oauth || path == oidc_inserted || path == oidc;
    if is_metadata {
        idp.discoveries.fetch_add(1, Ordering::Relaxed);
    } else if path == "/jwks" {
        idp.key_fetches.fetch_add(1, Ordering::Relaxed);
    }
    if idp.down.load(Ordering::Relaxed) {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    if is_metadata {
        let document = lock(&idp.metadata).clone();
        return Json(document.unwrap_or_else(|| idp.true_metadata())).into_response();
    }
    if path == "/jwks" {
        let document = lock(&idp.jwks).clone();
        let keys: Vec<Value> = lock(&idp.keys).iter().map(|key| key.jwk()).collect();
        return Json(document.unwrap_or_else(|| json!({ "keys": keys }))).into_response();
    }
    StatusCode::NOT_FOUND.into_response()
}

/// A token in the making. Every part of it can be bent, for tokens that must be refused.
#[derive(Debug)]
#[must_use = "a builder does nothing until it signs"]
pub struct TokenBuilder {
    header: Map<String, Value>,
    claims: Map<String, Value>,
    now: i64,
    key: Arc<SigningKey>,
}

impl TokenBuilder {
    /// Sets a claim.
    pub fn claim(mut self, name: &str, value: impl Serialize) -> Self {
        self.claims.insert(name.to_owned(), json!(value));
        self
    }

    /// Takes a claim away.
    pub fn without(mut self, name: &str) -> Self {
        self.claims.remove(name);
        self
    }

    /// Sets a header parameter.
    pub fn header(mut self, name: &str, value: impl Serialize) -> Self {
        self.header.insert(name.to_owned(), json!(value));
        self
    }

    /// Takes a header parameter away.
    pub fn without_header(mut self, name: &str) -> Self {
        self.header.remove(name);
        self
    }

    /// The agent that acts for the subject (RFC 8693 §4.1).
    pub fn act(self, agent: &str) -> Self {
        self.claim("act", json!({ "sub": agent }))
    }

    /// Ends so many seconds from now; a negative number ended long ago.
    pub fn expires_in(mut self, seconds: i64) -> Self {
        self.claims
            .insert("exp".to_owned(), json!(self.now.saturating_add(seconds)));
        self
    }

    /// The claims so far.
    #[must_use]
    pub fn claims(&self) -> &Map<String, Value> {
        &self.claims
    }

    /// Signed by the provider's key, whatever the header says.
    #[must_use]
    pub fn sign(&self) -> String {
        self.sign_with(&self.key)
    }

    /// Signed by another key, whatever the header says.
    #[must_use]
    pub fn sign_with(&self, key: &SigningKey) -> String {
        let input = self.signing_input();
        let signature = key.sign(input.as_bytes());
        format!("{input}.{}", base64url(&signature))
    }

    /// With `alg: HS256` and an HMAC over these bytes, as if a public key were a shared secret.
    #[must_use]
    pub fn sign_with_hmac(mut self, secret: &[u8]) -> String {
        self.header.insert("alg".to_owned(), json!("HS256"));
        let input = self.signing_input();
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), input.as_bytes());
        format!("{input}.{}", base64url(tag.as_ref()))
    }

    /// With `alg: none` and an empty signature (RFC 7519 §6).
    #[must_use]
    pub fn unsigned(mut self) -> String {
        self.header.insert("alg".to_owned(), json!("none"));
        format!("{}.", self.signing_input())
    }

    fn signing_input(&self) -> String {
        let part = |fields: &Map<String, Value>| base64url(json!(fields).to_string().as_bytes());
        format!("{}.{}", part(&self.header), part(&self.claims))
    }
}

fn fields(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
