use std::fmt;

use aws_lc_rs::digest;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{DecodingKey, crypto::aws_lc};
use serde_json::{Map, Value};

use crate::Algorithm;

/// The longest `kid` that is looked at. Key ids are hashes or short names; they are compared and nothing else.
pub(crate) const MAX_KID_BYTES: usize = 256;

/// SHA-256 over the members that make a key what it is (RFC 7638): two keys with the same one are the same key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Thumbprint([u8; 32]);

impl Thumbprint {
    /// From the canonical JSON of RFC 7638 §3.
    pub(crate) fn of(canonical: &str) -> Self {
        let mut bytes = [0; 32];
        let hash = digest::digest(&digest::SHA256, canonical.as_bytes());
        bytes.copy_from_slice(hash.as_ref());
        Self(bytes)
    }
}

/// base64url without padding, as RFC 7638 writes it.
impl fmt::Display for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

/// A public key that may check signatures, with the algorithms that it may check them for.
#[derive(Clone)]
pub struct Key {
    kid: Option<Box<str>>,
    algorithms: Vec<Algorithm>,
    thumbprint: Thumbprint,
    decoding: DecodingKey,
}

impl Key {
    /// Takes a JWK that is good for checking signatures; `None` for all others, which a set may hold for other uses
    /// (RFC 7517 §5).
    ///
    /// Not good are: symmetric keys and private keys (whoever publishes one has lost it), RSA under 2048 bits,
    /// unknown types and curves, keys for another `use`, and those whose members are not what they should be.
    #[must_use]
    pub(crate) fn from_jwk(jwk: &Map<String, Value>) -> Option<Self> {
        let text = |name: &str| jwk.get(name)?.as_str();
        if ["d", "k", "p", "q", "dp", "dq", "qi", "oth"]
            .iter()
            .any(|secret| jwk.contains_key(*secret))
            || !is_for_signatures(jwk)
        {
            return None;
        }
        let (decoding, possible, thumbprint) = match text("kty")? {
            "RSA" => rsa(text("n")?, text("e")?)?,
            "EC" => ec(text("crv")?, text("x")?, text("y")?)?,
            "OKP" => okp(text("crv")?, text("x")?)?,
            _ => return None,
        };
        let algorithms = match jwk.get("alg") {
            None => possible,
            // The key's own word narrows what its type allows, and never widens it.
            Some(alg) => {
                let alg = Algorithm::from_name(alg.as_str()?)?;
                possible.into_iter().filter(|one| *one == alg).collect()
            }
        };
        let kid = match jwk.get("kid") {
            None => None,
            Some(kid) => Some(kid.as_str().filter(|kid| kid.len() <= MAX_KID_BYTES)?),
        };
        (!algorithms.is_empty()).then(|| Self {
            kid: kid.map(Into::into),
            algorithms,
            thumbprint: Thumbprint::of(&thumbprint),
            decoding,
        })
    }

    /// Its name in its set.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// What it may check: by its type, and by its `alg` where it has one.
    #[must_use]
    pub fn algorithms(&self) -> &[Algorithm] {
        &self.algorithms
    }

    /// Tells keys apart.
    #[must_use]
    pub const fn thumbprint(&self) -> Thumbprint {
        self.thumbprint
    }

    /// Whether the signature over `message` is by this key. `algorithm` is one of [`algorithms`](Self::algorithms).
    pub(crate) fn checks(&self, algorithm: Algorithm, message: &[u8], signature: &Vec<u8>) -> bool {
        // The provider is named: the process-wide default panics when another crate turns a second one on.
        let verifier =
            (aws_lc::DEFAULT_PROVIDER.verifier_factory)(&algorithm.backend(), &self.decoding);
        verifier.is_ok_and(|verifier| verifier.verify(message, signature).is_ok())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("kid", &self.kid)
            .field("algorithms", &self.algorithms)
            .finish_non_exhaustive()
    }
}

/// RFC 7517 §4.2 and §4.3.
fn is_for_signatures(jwk: &Map<String, Value>) -> bool {
    let by_use = jwk.get("use").is_none_or(|value| value == "sig");
    let by_operation = jwk.get("key_ops").is_none_or(|value| {
        value
            .as_array()
            .is_some_and(|operations| operations.iter().any(|one| one == "verify"))
    });
    by_use && by_operation
}

type Parts = (DecodingKey, Vec<Algorithm>, String);

fn rsa(n: &str, e: &str) -> Option<Parts> {
    let (modulus, exponent) = (decode(n)?, decode(e)?);
    let bits =
        modulus.len().checked_mul(8)? - usize::try_from(modulus.first()?.leading_zeros()).ok()?;
    let is_odd = exponent.last()? & 1 == 1;
    // RFC 7518 §3.3 demands 2048 bits; 8192 bounds what one check can cost, and the exponent has the size that
    // the library takes (up to 33 bits), in its shortest form, so that one key has one thumbprint.
    if !(2048..=8192).contains(&bits)
        || modulus.first() == Some(&0)
        || exponent.first() == Some(&0)
        || exponent.len() > 4
        || !is_odd
        || exponent == [1]
    {
        return None;
    }
    let thumbprint = format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#);
    let decoding = DecodingKey::from_rsa_raw_components(&modulus, &exponent);
    Some((decoding, Algorithm::RSA.to_vec(), thumbprint))
}

fn ec(curve: &str, x: &str, y: &str) -> Option<Parts> {
    let (algorithm, size) = match curve {
        "P-256" => (Algorithm::Es256, 32),
        "P-384" => (Algorithm::Es384, 48),
        _ => return None,
    };
    // RFC 7518 §6.2.1.2: coordinates have their full length.
    if decode(x)?.len() != size || decode(y)?.len() != size {
        return None;
    }
    let thumbprint = format!(r#"{{"crv":"{curve}","kty":"EC","x":"{x}","y":"{y}"}}"#);
    let decoding = DecodingKey::from_ec_components(x, y).ok()?;
    Some((decoding, vec![algorithm], thumbprint))
}

fn okp(curve: &str, x: &str) -> Option<Parts> {
    if curve != "Ed25519" || decode(x)?.len() != 32 {
        return None;
    }
    let thumbprint = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
    let decoding = DecodingKey::from_ed_components(x).ok()?;
    Some((decoding, vec![Algorithm::EdDsa], thumbprint))
}

/// Strict: no padding, no other alphabet, no stray bits at the end.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}
