use aws_lc_rs::{
    rsa::KeySize,
    signature::{KeyPair as _, RsaKeyPair},
};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{SigningKey, sign::encode};

fn parse(keys: &[Value]) -> KeySet {
    KeySet::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
}

fn jwk() -> Value {
    SigningKey::generate(Algorithm::Es256)
        .unwrap()
        .jwk()
        .clone()
}

fn bend(name: &str, value: Value) -> Value {
    let mut jwk = jwk();
    match value {
        Value::Null => jwk.as_object_mut().unwrap().remove(name),
        value => jwk.as_object_mut().unwrap().insert(name.into(), value),
    };
    jwk
}

#[test]
fn keys_for_something_else_are_left_out_rfc7517_5() {
    let good = parse(&[
        jwk(),
        bend("key_ops", json!(["verify"])),
        bend("use", json!(null)),
        bend("alg", json!(null)),
        bend("kid", json!(null)),
        bend("x-more", json!({})),
    ]);
    assert_eq!((good.keys().len(), good.ignored()), (6, 0));
    let bad = [
        bend("use", json!("enc")),
        bend("use", json!(["sig"])),
        bend("key_ops", json!(["sign"])),
        bend("key_ops", json!("verify")),
        bend("alg", json!("ES384")),
        bend("alg", json!("HS256")),
        bend("alg", json!(1)),
        bend("kty", json!("oct")),
        bend("kty", json!("RSA")),
        bend("kty", json!(null)),
        bend("crv", json!("P-521")),
        bend("crv", json!("secp256k1")),
        bend("x", json!("AAAA")),
        bend("x", json!("!")),
        bend("y", json!(null)),
        bend("kid", json!(7)),
        bend("kid", json!("k".repeat(257))),
        json!({"kty": "OKP", "crv": "Ed448", "x": "AAAA"}),
        json!({"kty": "OKP", "crv": "X25519", "x": encode(&[1; 32])}),
        json!({"kty": "unheard-of"}),
        json!({}),
    ];
    let set = parse(&bad);
    assert_eq!((set.keys().len(), set.ignored()), (0, bad.len()));
}

#[test]
fn secret_keys_in_a_key_set_are_never_used() {
    let set = parse(&[
        json!({"kty": "oct", "kid": "hmac", "k": "c2VjcmV0", "alg": "HS256"}),
        json!({"kty": "oct", "kid": "hmac", "k": "c2VjcmV0", "alg": "ES256"}),
        bend("d", json!("AAAA")),
    ]);
    assert_eq!((set.keys().len(), set.ignored()), (0, 3));
}

#[test]
fn small_rsa_keys_are_left_out_rfc7518_3_3() {
    let rsa = |n: &[u8], e: &[u8]| json!({"kty": "RSA", "n": encode(n), "e": encode(e)});
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let n = pair
        .public_key()
        .modulus()
        .big_endian_without_leading_zero();
    assert_eq!(parse(&[rsa(n, &[1, 0, 1])]).keys().len(), 1);
    let mut small = n[..255].to_vec();
    small[0] |= 0x80;
    let mut padded = vec![0];
    padded.extend_from_slice(n);
    let bad = [
        rsa(&small, &[1, 0, 1]),
        rsa(&[0xff; 1025], &[1, 0, 1]),
        rsa(&padded, &[1, 0, 1]),
        rsa(&[], &[1, 0, 1]),
        rsa(n, &[]),
        rsa(n, &[1]),
        rsa(n, &[4]),
        rsa(n, &[0, 1, 0, 1]),
        rsa(n, &[1, 1, 1, 1, 1]),
        json!({"kty": "RSA", "n": encode(n)}),
    ];
    assert_eq!(parse(&bad).keys().len(), 0);
}

#[test]
fn what_is_no_key_set_is_refused() {
    let refused = |text: &str| KeySet::parse(text.as_bytes()).unwrap_err();
    for text in [
        "{}",
        "[]",
        r#"{"keys":{}}"#,
        r#"{"keys":[1]}"#,
        r#"{"keys":["x"]}"#,
        "null",
    ] {
        assert_eq!(refused(text), ParseKeySetError::Form, "{text}");
    }
    for text in [
        "",
        "<html>",
        r#"{"keys":[],"keys":[]}"#,
        r#"{"keys":[{"kid":"a","k\u0069d":"b"}]}"#,
        r#"{"keys":[]} x"#,
    ] {
        assert!(matches!(refused(text), ParseKeySetError::Json(_)), "{text}");
    }
    let many = json!({ "keys": vec![json!({}); 101] }).to_string();
    assert_eq!(refused(&many), ParseKeySetError::TooMany { limit: 100 });
    assert_eq!(
        KeySet::parse(br#"{"keys":[]}"#).unwrap().keys().len(),
        0,
        "an issuer may revoke them all"
    );
}

#[test]
fn a_thumbprint_is_that_of_rfc7638_3_1() {
    let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMst\
        n64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbI\
        SD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
    let n: String = n.split_whitespace().collect();
    let set =
        parse(&[json!({"kty": "RSA", "n": n, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29"})]);
    assert_eq!(
        set.keys()[0].thumbprint().to_string(),
        "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
    );
}

proptest! {
    /// Whatever an issuer publishes: what is kept of a key is public and is for signatures.
    #[test]
    fn a_key_with_anything_odd_is_left_out_without_a_panic(
        name in prop::sample::select(vec!["kty", "crv", "x", "y", "use", "key_ops", "alg", "kid", "d", "k", "n", "e"]),
        value in prop_oneof![
            any::<String>().prop_map(Value::from),
            "[A-Za-z0-9_-]{0,64}".prop_map(Value::from),
            prop::sample::select(vec!["RSA", "EC", "OKP", "P-256", "P-384", "Ed25519", "sig", "ES256"]).prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            Just(json!([])),
            Just(json!({})),
        ],
    ) {
        let set = parse(&[bend(name, value)]);
        prop_assert_eq!(set.keys().len() + set.ignored(), 1);
        if let Some(key) = set.keys().first() {
            prop_assert!(!["d", "k"].contains(&name));
            prop_assert_eq!(key.algorithms(), [Algorithm::Es256]);
        }
    }
}
