use std::sync::LazyLock;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use gatewright_core::Timestamp;
use gatewright_jose::{Algorithm, Expect, KeySet, Unverified, verify};
use serde_json::{Value, json};

const ISSUER: &str = "https://login.example.com";
const AUDIENCE: &str = "https://gw.example.com/mcp/billing";
const KID: &str = "k1";
const NOW: Timestamp = Timestamp::from_secs(900);

/// A key of a known seed, and the set that an issuer would publish of it.
static KEY: LazyLock<(Ed25519KeyPair, KeySet)> = LazyLock::new(|| {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a seed of 32 bytes");
    let public = URL_SAFE_NO_PAD.encode(pair.public_key());
    let set =
        json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": KID, "use": "sig", "x": public}]});
    let set = KeySet::parse(set.to_string().as_bytes()).expect("a key set");
    assert_eq!(set.keys().len(), 1);
    (pair, set)
});

/// The header of a token, as bytes of its own and within a token as it comes: a good signature carries no header that
/// another reader takes for something else, a token has one form only, and no other signature is good.
pub fn jwt_header(text: &[u8]) {
    signed(text);
    claimed(text);
    if let Ok(token) = std::str::from_utf8(text) {
        whole(token);
    }
}

fn check(token: &str) -> bool {
    verify(token, &KEY.1, &[], &Expect::new(ISSUER, AUDIENCE), NOW).is_ok()
}

fn claims() -> String {
    json!({"iss": ISSUER, "sub": "ann", "aud": AUDIENCE, "exp": 1_000}).to_string()
}

fn sign(header: &[u8], claims: &[u8]) -> String {
    let signed = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(claims)
    );
    let signature = KEY.0.sign(signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// The bytes as a header that the issuer has signed.
fn signed(header: &[u8]) {
    let token = sign(header, claims().as_bytes());
    let accepted = check(&token);
    assert_eq!(check(&token), accepted);
    let read = serde_json::from_slice::<Value>(header).ok();
    assert!(
        !accepted || read.as_ref().is_some_and(is_good),
        "{header:?}"
    );
    if accepted {
        // Nobody without the key has another token from this one.
        let (rest, signature) = token.rsplit_once('.').unwrap();
        assert!(!check(rest) && !check(&format!("{rest}.")));
        let first = if signature.starts_with('A') { 'B' } else { 'A' };
        assert!(!check(&format!("{rest}.{first}{}", &signature[1..])));
        assert!(!check(&format!("{token}=")) && !check(&format!(".{token}")));
    }
}

/// What every reader must see in a header that passes. RFC 7515 §4.1, RFC 9068 §2.1, RFC 8725 §3.
fn is_good(header: &Value) -> bool {
    let own_key = ["jwk", "jku", "x5u", "x5c", "crit", "b64", "enc", "zip"];
    let text = |name: &str| header[name].as_str().unwrap_or_default();
    let typ = text("typ").to_ascii_lowercase();
    own_key.iter().all(|name| header.get(name).is_none())
        && ["EdDSA", "Ed25519"].contains(&text("alg"))
        && ["at+jwt", "application/at+jwt"].contains(&&*typ)
        && header.get("kid").is_none_or(|kid| kid == KID)
}

/// The bytes as claims that the issuer has signed.
fn claimed(claims: &[u8]) {
    let token = sign(br#"{"alg":"EdDSA","typ":"at+jwt","kid":"k1"}"#, claims);
    if !check(&token) {
        return;
    }
    let read: Value = serde_json::from_slice(claims).expect("claims that pass are JSON");
    assert_eq!(read["iss"], ISSUER);
    assert!(
        read["sub"]
            .as_str()
            .is_some_and(|subject| !subject.is_empty())
    );
    let audiences = read["aud"]
        .as_array()
        .map_or(std::slice::from_ref(&read["aud"]), Vec::as_slice);
    assert!(audiences.iter().any(|one| one == AUDIENCE));
    assert!(read["exp"].as_f64().is_some_and(|end| end > 900.0));
}

/// The bytes as a token.
fn whole(token: &str) {
    assert!(!check(token), "a signature was made up");
    let Ok(read) = Unverified::parse(token) else {
        return;
    };
    // One token, one text: no part has a second spelling.
    let parts: Vec<&str> = token.split('.').collect();
    assert_eq!(parts.len(), 3);
    let decoded = parts
        .iter()
        .map(|part| URL_SAFE_NO_PAD.decode(part).expect("base64url"));
    let decoded: Vec<Vec<u8>> = decoded.collect();
    for (part, bytes) in parts.iter().zip(&decoded) {
        assert_eq!(*part, URL_SAFE_NO_PAD.encode(bytes));
    }
    let header: Value = serde_json::from_slice(&decoded[0]).unwrap();
    let algorithm = header["alg"].as_str().and_then(Algorithm::from_name);
    assert!(algorithm.is_some());
    assert_eq!(read.kid(), header["kid"].as_str());
    assert_eq!(read.typ(), header["typ"].as_str());
    let claims: Value = serde_json::from_slice(&decoded[1]).unwrap();
    assert_eq!(Some(read.claims().issuer()), claims["iss"].as_str());
    assert_eq!(Some(read.claims().subject()), claims["sub"].as_str());
}
