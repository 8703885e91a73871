use std::fmt;

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
        Ed25519KeyPair, KeyPair as _,
    },
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::{Algorithm, Key, KeySet};

/// Why a key cannot be made or does not sign.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// We do not sign with this algorithm.
    #[error("keys for `{0}` are not made here")]
    Algorithm(Algorithm),
    /// The machine has no randomness, or the library refuses the key.
    #[error("the cryptographic library refuses")]
    Library,
}

/// A key pair that signs tokens. `Debug` shows its `kid` only.
pub struct SigningKey {
    algorithm: Algorithm,
    pair: Pair,
    jwk: Value,
    public: Key,
}

enum Pair {
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl SigningKey {
    /// A fresh key for `ES256`, `ES384` or `EdDSA`. Its `kid` is its thumbprint (RFC 7638).
    ///
    /// # Errors
    /// [`SignError::Algorithm`] for any other algorithm.
    pub fn generate(algorithm: Algorithm) -> Result<Self, SignError> {
        let library = |_unspecified| SignError::Library;
        let ecdsa = |kind| EcdsaKeyPair::generate(kind).map_err(library);
        let (pair, mut jwk) = match algorithm {
            Algorithm::Es256 => {
                let pair = ecdsa(&ECDSA_P256_SHA256_FIXED_SIGNING)?;
                let jwk = point("P-256", pair.public_key().as_ref())?;
                (Pair::Ecdsa(pair), jwk)
            }
            Algorithm::Es384 => {
                let pair = ecdsa(&ECDSA_P384_SHA384_FIXED_SIGNING)?;
                let jwk = point("P-384", pair.public_key().as_ref())?;
                (Pair::Ecdsa(pair), jwk)
            }
            Algorithm::EdDsa => {
                let pair = Ed25519KeyPair::generate().map_err(library)?;
                let x = encode(pair.public_key().as_ref());
                (
                    Pair::Ed25519(pair),
                    json!({"kty": "OKP", "crv": "Ed25519", "x": x}),
                )
            }
            other => return Err(SignError::Algorithm(other)),
        };
        let bare = public(&jwk)?;
        if let Some(fields) = jwk.as_object_mut() {
            fields.insert("alg".to_owned(), json!(algorithm.name()));
            fields.insert("use".to_owned(), json!("sig"));
            fields.insert("kid".to_owned(), json!(bare.thumbprint().to_string()));
        }
        Ok(Self {
            algorithm,
            pair,
            public: public(&jwk)?,
            jwk,
        })
    }

    /// Its name in a key set.
    #[must_use]
    pub fn kid(&self) -> &str {
        self.public.kid().unwrap_or_default()
    }

    /// The public half (RFC 7517 §4).
    #[must_use]
    pub const fn jwk(&self) -> &Value {
        &self.jwk
    }

    /// The public half as a set, to verify with.
    #[must_use]
    pub fn key_set(&self) -> KeySet {
        self.public.clone().into()
    }

    /// A JWT of this type and these claims.
    ///
    /// # Errors
    /// [`SignError::Library`] when there is no randomness to sign with.
    pub fn sign(&self, typ: &str, claims: &Value) -> Result<String, SignError> {
        let header = json!({"alg": self.algorithm.name(), "typ": typ, "kid": self.kid()});
        self.sign_parts(&header, claims)
    }

    /// Signs whatever the header says.
    pub(crate) fn sign_parts(&self, header: &Value, claims: &Value) -> Result<String, SignError> {
        let part = |value: &Value| encode(value.to_string().as_bytes());
        let input = format!("{}.{}", part(header), part(claims));
        let signature = self.sign_text(&input)?;
        Ok(format!("{input}.{signature}"))
    }

    /// The signature of a text, as a JWS has it.
    pub(crate) fn sign_text(&self, input: &str) -> Result<String, SignError> {
        let signature = match &self.pair {
            Pair::Ecdsa(pair) => pair
                .sign(&SystemRandom::new(), input.as_bytes())
                .map_err(|_unspecified| SignError::Library)?,
            Pair::Ed25519(pair) => pair.sign(input.as_bytes()),
        };
        Ok(encode(signature.as_ref()))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SigningKey").field(&self.kid()).finish()
    }
}

fn public(jwk: &Value) -> Result<Key, SignError> {
    let key = jwk.as_object().and_then(Key::from_jwk);
    key.ok_or(SignError::Library)
}

/// An uncompressed point is a 4 and both coordinates (SEC 1 §2.3.3).
fn point(curve: &str, point: &[u8]) -> Result<Value, SignError> {
    let coordinates = point.strip_prefix(&[4]).ok_or(SignError::Library)?;
    let (x, y) = coordinates.split_at(coordinates.len() / 2);
    Ok(json!({"kty": "EC", "crv": curve, "x": encode(x), "y": encode(y)}))
}

pub(crate) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
