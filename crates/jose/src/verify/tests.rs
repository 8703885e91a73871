use std::sync::LazyLock;

use aws_lc_rs::{
    hmac,
    rand::SystemRandom,
    rsa::{KeySize, PublicKeyComponents},
    signature::{KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair},
};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{SigningKey, sign::encode};

const ISSUER: &str = "https://login.example.com";
const RESOURCE: &str = "https://api.example.com/mcp";
const NOW: i64 = 1_000_000;

static KEY: LazyLock<SigningKey> =
    LazyLock::new(|| SigningKey::generate(Algorithm::Es256).unwrap());
static RSA: LazyLock<RsaKeyPair> =
    LazyLock::new(|| RsaKeyPair::generate(KeySize::Rsa2048).unwrap());

fn claims() -> Value {
    json!({"iss": ISSUER, "sub": "ann", "aud": RESOURCE, "exp": NOW + 300, "iat": NOW})
}

/// The good claims with one changed; `null` takes it away.
fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    match value {
        Value::Null => claims.as_object_mut().unwrap().remove(name),
        value => claims.as_object_mut().unwrap().insert(name.into(), value),
    };
    claims
}

/// The good header with one parameter more, over the good claims.
fn headed(name: &str, value: Value) -> String {
    let mut header = json!({"alg": "ES256", "typ": "at+jwt", "kid": KEY.kid()});
    header.as_object_mut().unwrap().insert(name.into(), value);
    KEY.sign_parts(&header, &claims()).unwrap()
}

fn check(token: &str) -> Result<Claims, VerifyTokenError> {
    check_as(token, Profile::Rfc9068)
}

fn check_as(token: &str, profile: Profile) -> Result<Claims, VerifyTokenError> {
    let mut expect = Expect::new(ISSUER, RESOURCE);
    expect.profile = profile;
    verify(
        token,
        &KEY.key_set(),
        &[],
        &expect,
        Timestamp::from_secs(NOW),
    )
}

fn of(claims: &Value) -> Result<Claims, VerifyTokenError> {
    check(&KEY.sign("at+jwt", claims).unwrap())
}

fn rsa_jwk(alg: Option<&str>) -> Value {
    let public = RSA.public_key();
    let mut jwk = json!({
        "kty": "RSA",
        "kid": "rsa",
        "n": encode(public.modulus().big_endian_without_leading_zero()),
        "e": encode(public.exponent().big_endian_without_leading_zero()),
    });
    if let Some(alg) = alg {
        jwk["alg"] = json!(alg);
    }
    jwk
}

fn rsa_token(alg: &str, encoding: &'static dyn RsaEncoding) -> String {
    let header = json!({"alg": alg, "typ": "at+jwt", "kid": "rsa"});
    let input = format!(
        "{}.{}",
        encode(header.to_string().as_bytes()),
        encode(claims().to_string().as_bytes())
    );
    let mut signature = vec![0; RSA.public_modulus_len()];
    RSA.sign(
        encoding,
        &SystemRandom::new(),
        input.as_bytes(),
        &mut signature,
    )
    .unwrap();
    format!("{input}.{}", encode(&signature))
}

fn set(keys: &[Value]) -> KeySet {
    KeySet::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
}

fn verify_by(token: &str, keys: &KeySet, allowed: &[Algorithm]) -> Result<(), VerifyTokenError> {
    let expect = Expect::new(ISSUER, RESOURCE);
    verify(token, keys, allowed, &expect, Timestamp::from_secs(NOW)).map(drop)
}

#[test]
fn tokens_of_every_key_type_verify() {
    for algorithm in [Algorithm::Es256, Algorithm::Es384, Algorithm::EdDsa] {
        let key = SigningKey::generate(algorithm).unwrap();
        let token = key.sign("at+jwt", &claims()).unwrap();
        let keys = set(&[key.jwk().clone()]);
        assert_eq!(verify_by(&token, &keys, &[]), Ok(()), "{algorithm}");
    }
    let keys = set(&[rsa_jwk(None)]);
    assert_eq!(
        verify_by(&rsa_token("RS256", &RSA_PKCS1_SHA256), &keys, &[]),
        Ok(())
    );
    assert_eq!(
        verify_by(&rsa_token("PS256", &RSA_PSS_SHA256), &keys, &[]),
        Ok(())
    );
}

#[test]
fn an_unsigned_token_is_refused_rfc8725_3_2() {
    for alg in ["none", "None", "NONE", ""] {
        let header = json!({"alg": alg, "typ": "at+jwt", "kid": KEY.kid()});
        let signed = KEY.sign_parts(&header, &claims()).unwrap();
        let (input, _) = signed.rsplit_once('.').unwrap();
        assert_eq!(
            check(&format!("{input}.")),
            Err(VerifyTokenError::Algorithm)
        );
        assert_eq!(check(&signed), Err(VerifyTokenError::Algorithm));
    }
    let (input, _) = headed("x", json!(1))
        .rsplit_once('.')
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    assert_eq!(
        check(&format!("{input}.")),
        Err(VerifyTokenError::Signature)
    );
}

#[test]
fn a_public_key_is_no_hmac_secret_rfc8725_2_1() {
    let public = RSA.public_key();
    let components = PublicKeyComponents::<Vec<u8>>::from(public);
    let keys = set(&[rsa_jwk(None)]);
    let jwk = rsa_jwk(None).to_string();
    for secret in [
        public.as_ref(),
        components.n.as_slice(),
        jwk.as_bytes(),
        b"".as_slice(),
    ] {
        let header = json!({"alg": "HS256", "typ": "at+jwt", "kid": "rsa"});
        let input = format!(
            "{}.{}",
            encode(header.to_string().as_bytes()),
            encode(claims().to_string().as_bytes())
        );
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), input.as_bytes());
        let token = format!("{input}.{}", encode(tag.as_ref()));
        assert_eq!(
            verify_by(&token, &keys, &[]),
            Err(VerifyTokenError::Algorithm)
        );
    }
}

#[test]
fn the_key_and_the_configuration_choose_the_algorithm_rfc8725_3_1() {
    let (pkcs1, pss) = (
        rsa_token("RS256", &RSA_PKCS1_SHA256),
        rsa_token("PS256", &RSA_PSS_SHA256),
    );
    let only_pss = set(&[rsa_jwk(Some("PS256"))]);
    assert_eq!(verify_by(&pss, &only_pss, &[]), Ok(()));
    assert_eq!(
        verify_by(&pkcs1, &only_pss, &[]),
        Err(VerifyTokenError::UnknownKey)
    );
    let any = set(&[rsa_jwk(None)]);
    assert_eq!(verify_by(&pss, &any, &[Algorithm::Ps256]), Ok(()));
    assert_eq!(
        verify_by(&pkcs1, &any, &[Algorithm::Ps256]),
        Err(VerifyTokenError::Algorithm)
    );
    // A header that names an algorithm of another key type finds no key.
    let header = json!({"alg": "RS256", "typ": "at+jwt", "kid": KEY.kid()});
    let swapped = KEY.sign_parts(&header, &claims()).unwrap();
    assert_eq!(check(&swapped), Err(VerifyTokenError::UnknownKey));
}

#[test]
fn keys_that_a_token_brings_or_names_are_refused_rfc8725_3_10() {
    let attacker = SigningKey::generate(Algorithm::Es256).unwrap();
    for (name, value) in [
        ("jwk", attacker.jwk().clone()),
        ("jku", json!("https://evil.example/jwks")),
        ("x5u", json!("https://evil.example/cert")),
        ("x5c", json!(["MIIB"])),
    ] {
        let mut header = json!({"alg": "ES256", "typ": "at+jwt", "kid": attacker.kid()});
        header[name] = value.clone();
        let forged = attacker.sign_parts(&header, &claims()).unwrap();
        assert_eq!(check(&forged), Err(VerifyTokenError::Header(name)));
        // Also where the issuer's own key signed.
        assert_eq!(
            check(&headed(name, value)),
            Err(VerifyTokenError::Header(name))
        );
    }
}

#[test]
fn what_must_be_understood_and_is_not_is_refused_rfc7515_4_1_11() {
    for (name, value) in [
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("b64", json!(false)),
        ("zip", json!("DEF")),
        ("enc", json!("A256GCM")),
    ] {
        assert_eq!(
            check(&headed(name, value)),
            Err(VerifyTokenError::Header(name))
        );
    }
    // What may be ignored is.
    assert!(check(&headed("x5t", json!("abc"))).is_ok());
}

#[test]
fn a_kid_is_compared_and_nothing_else() {
    for kid in [
        "../../../dev/null",
        "/etc/passwd",
        "' or 1=1 --",
        "\u{0}",
        "https://evil.example/key",
        "",
    ] {
        assert_eq!(
            check(&headed("kid", json!(kid))),
            Err(VerifyTokenError::UnknownKey),
            "{kid}"
        );
    }
    for kid in [
        json!("k".repeat(257)),
        json!(7),
        json!(null),
        json!(["a"]),
        json!({}),
    ] {
        assert_eq!(check(&headed("kid", kid)), Err(VerifyTokenError::Malformed));
    }
}

#[test]
fn a_token_without_kid_is_checked_by_the_keys_that_fit() {
    let other = SigningKey::generate(Algorithm::Es256).unwrap();
    let header = json!({"alg": "ES256", "typ": "at+jwt"});
    let token = KEY.sign_parts(&header, &claims()).unwrap();
    let both = set(&[other.jwk().clone(), rsa_jwk(None), KEY.jwk().clone()]);
    assert_eq!(verify_by(&token, &both, &[]), Ok(()));
    let neither = set(&[other.jwk().clone()]);
    assert_eq!(
        verify_by(&token, &neither, &[]),
        Err(VerifyTokenError::Signature)
    );
    assert_eq!(
        verify_by(&token, &KeySet::default(), &[]),
        Err(VerifyTokenError::UnknownKey)
    );
}

#[test]
fn another_key_under_our_kid_is_refused() {
    let attacker = SigningKey::generate(Algorithm::Es256).unwrap();
    let header = json!({"alg": "ES256", "typ": "at+jwt", "kid": KEY.kid()});
    let forged = attacker.sign_parts(&header, &claims()).unwrap();
    assert_eq!(check(&forged), Err(VerifyTokenError::Signature));
}

#[test]
fn a_changed_byte_anywhere_is_refused() {
    let token = KEY.sign("at+jwt", &claims()).unwrap();
    assert!(check(&token).is_ok());
    for at in 0..token.len() {
        let mut bytes = token.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        assert!(check(&String::from_utf8(bytes).unwrap()).is_err(), "{at}");
    }
}

#[test]
fn what_is_no_compact_jws_is_refused_rfc7515_7_1() {
    let good = KEY.sign("at+jwt", &claims()).unwrap();
    let (header, rest) = good.split_once('.').unwrap();
    let (payload, signature) = rest.split_once('.').unwrap();
    for bad in [
        String::new(),
        ".".into(),
        "..".into(),
        "...".into(),
        header.into(),
        format!("{header}.{payload}"),
        format!("{good}."),
        format!("{good}.{signature}"),
        format!("{good}="),
        format!("{good} "),
        format!(" {good}"),
        format!("{good}\n"),
        format!("{header}=.{payload}.{signature}"),
        format!("{header}.{payload}.{}", signature.replace(['-', '_'], "+")) + "+",
        json!({"payload": payload, "protected": header, "signature": signature}).to_string(),
        format!("{}.{payload}.{signature}", encode(b"[]")),
        format!("{}.{payload}.{signature}", encode(b"\"x\"")),
        format!(
            "{}.{payload}.{signature}",
            encode(b"{\"alg\":\"ES256\"} {}")
        ),
        format!("{}.{payload}.{signature}", encode(b"\xff")),
    ] {
        assert_eq!(check(&bad), Err(VerifyTokenError::Malformed), "{bad}");
    }
    assert_eq!(
        check(&"a".repeat(MAX_TOKEN_BYTES + 1)),
        Err(VerifyTokenError::TooLarge)
    );
}

#[test]
fn duplicate_names_are_refused_after_unescaping_rfc8725_2_4() {
    let sign = |header: &str, claims: &str| {
        // `sign_parts` would drop the duplicate, so it signs the texts as they are.
        let input = format!(
            "{}.{}",
            encode(header.as_bytes()),
            encode(claims.as_bytes())
        );
        let signed = KEY.sign_text(&input).unwrap();
        format!("{input}.{signed}")
    };
    let header = json!({"alg": "ES256", "typ": "at+jwt", "kid": KEY.kid()}).to_string();
    let claims = claims().to_string();
    assert!(check(&sign(&header, &claims)).is_ok());
    let twice = |text: &str, more: &str| format!("{}{more}}}", text.strip_suffix('}').unwrap());
    for (header, claims) in [
        (twice(&header, r#","alg":"ES256""#), claims.clone()),
        (twice(&header, r#","\u0061lg":"none""#), claims.clone()),
        (header.clone(), twice(&claims, r#","sub":"admin""#)),
        (header.clone(), twice(&claims, r#","s\u0075b":"admin""#)),
        (
            header.clone(),
            twice(&claims, r#","act":{"sub":"a","sub":"b"}"#),
        ),
        (
            header.clone(),
            twice(
                &claims,
                &format!(r#","deep":{}{}"#, "[".repeat(40), "]".repeat(40)),
            ),
        ),
    ] {
        assert_eq!(
            check(&sign(&header, &claims)),
            Err(VerifyTokenError::Malformed)
        );
    }
}

#[test]
fn an_expired_token_is_refused_rfc7519_4_1_4() {
    assert!(of(&with("exp", json!(NOW + 1))).is_ok());
    for end in [
        json!(NOW),
        json!(NOW - 1),
        json!(0),
        json!(-1),
        json!(NOW as f64 - 0.5),
    ] {
        assert_eq!(
            of(&with("exp", end)).unwrap_err(),
            VerifyTokenError::Expired
        );
    }
    assert_eq!(
        of(&with("exp", json!(null))),
        Err(VerifyTokenError::Missing("exp"))
    );
    for end in [json!("9999999999"), json!(1e300), json!([]), json!(true)] {
        assert_eq!(of(&with("exp", end)), Err(VerifyTokenError::Claim("exp")));
    }
}

#[test]
fn a_token_before_its_time_is_refused_rfc7519_4_1_5() {
    for (claim, refusal) in [
        ("nbf", VerifyTokenError::NotYetValid),
        ("iat", VerifyTokenError::IssuedInFuture),
    ] {
        assert!(
            of(&with(claim, json!(NOW + 60))).is_ok(),
            "clocks differ a little"
        );
        assert_eq!(of(&with(claim, json!(NOW + 61))), Err(refusal));
        assert_eq!(
            of(&with(claim, json!("1"))),
            Err(VerifyTokenError::Claim(claim))
        );
        assert!(of(&with(claim, json!(null))).is_ok());
    }
}

#[test]
fn a_token_for_another_audience_is_refused_rfc7519_4_1_3() {
    assert!(of(&with("aud", json!(["https://other.example", RESOURCE]))).is_ok());
    for audience in [
        json!("https://api.example.com/mcp/"),
        json!("https://api.example.com/mcp/other"),
        json!("https://api.example.com"),
        json!("https://API.example.com/mcp"),
        json!(""),
        json!([]),
        json!(["https://other.example"]),
        json!("*"),
    ] {
        assert_eq!(of(&with("aud", audience)), Err(VerifyTokenError::Audience));
    }
    for audience in [json!(7), json!({"a": RESOURCE}), json!([RESOURCE, 7])] {
        assert_eq!(
            of(&with("aud", audience)),
            Err(VerifyTokenError::Claim("aud"))
        );
    }
    assert_eq!(
        of(&with("aud", json!(null))),
        Err(VerifyTokenError::Missing("aud"))
    );
}

#[test]
fn a_token_of_another_issuer_is_refused_rfc9068_4() {
    for issuer in [
        "https://login.example.com/",
        "https://evil.example",
        "login.example.com",
    ] {
        assert_eq!(
            of(&with("iss", json!(issuer))),
            Err(VerifyTokenError::Issuer)
        );
    }
    assert_eq!(
        of(&with("iss", json!(null))),
        Err(VerifyTokenError::Missing("iss"))
    );
    assert_eq!(
        of(&with("iss", json!([ISSUER]))),
        Err(VerifyTokenError::Claim("iss"))
    );
}

#[test]
fn a_token_about_nobody_is_refused() {
    assert_eq!(
        of(&with("sub", json!(null))),
        Err(VerifyTokenError::Missing("sub"))
    );
    for subject in [json!(""), json!(7), json!("x".repeat(1025))] {
        assert_eq!(
            of(&with("sub", subject)),
            Err(VerifyTokenError::Claim("sub"))
        );
    }
}

#[test]
fn another_type_of_token_is_refused_rfc9068_4() {
    for typ in ["at+jwt", "AT+JWT", "application/at+jwt"] {
        let token = KEY.sign(typ, &claims()).unwrap();
        assert!(check(&token).is_ok(), "{typ}");
    }
    for typ in [
        "JWT",
        "dpop+jwt",
        "oauth-id-jag+jwt",
        "logout+jwt",
        "id_token+jwt",
        "",
    ] {
        let token = KEY.sign(typ, &claims()).unwrap();
        assert_eq!(check(&token), Err(VerifyTokenError::Type), "{typ}");
    }
    let header = json!({"alg": "ES256", "kid": KEY.kid()});
    let untyped = KEY.sign_parts(&header, &claims()).unwrap();
    assert_eq!(check(&untyped), Err(VerifyTokenError::Type));
    assert!(check_as(&untyped, Profile::Plain).is_ok());
    let plain = KEY.sign("JWT", &claims()).unwrap();
    assert!(check_as(&plain, Profile::Plain).is_ok());
    let other = KEY.sign("dpop+jwt", &claims()).unwrap();
    assert_eq!(
        check_as(&other, Profile::Plain),
        Err(VerifyTokenError::Type)
    );
}

#[test]
fn an_id_token_is_no_access_token_rfc9068_5() {
    for claim in ["nonce", "at_hash", "c_hash"] {
        let token = KEY.sign("JWT", &with(claim, json!("x"))).unwrap();
        assert_eq!(
            check_as(&token, Profile::Plain),
            Err(VerifyTokenError::IdToken)
        );
    }
}

#[test]
fn a_held_token_is_good_only_while_its_key_is() {
    let token = KEY.sign("at+jwt", &claims()).unwrap();
    let verified = Unverified::parse(&token)
        .unwrap()
        .verify(&KEY.key_set(), &[])
        .unwrap();
    assert!(verified.is_still_by(&KEY.key_set(), &[]));
    assert!(verified.is_still_by(&KEY.key_set(), &[Algorithm::Es256]));
    assert!(!verified.is_still_by(&KEY.key_set(), &[Algorithm::EdDsa]));
    let other = SigningKey::generate(Algorithm::Es256).unwrap();
    assert!(!verified.is_still_by(&other.key_set(), &[]));
    // The same name for another key does not make it the same key.
    let mut renamed = other.jwk().clone();
    renamed["kid"] = json!(KEY.kid());
    assert!(!verified.is_still_by(&set(&[renamed]), &[]));
}

#[test]
fn errors_and_debug_output_hold_nothing_of_the_token() {
    let planted = with("planted-claim", json!("planted-value"));
    let token = KEY.sign("planted-typ", &planted).unwrap();
    let unverified = Unverified::parse(&token).unwrap();
    let shown = format!("{unverified:?} {:?}", check(&token).unwrap_err());
    assert!(
        !shown.contains("planted-value") && !shown.contains("planted-typ"),
        "{shown}"
    );
}

/// Values that somebody may put into a token, good ones among them.
fn value() -> impl Strategy<Value = Value> {
    let times = [
        NOW - 1,
        NOW,
        NOW + 1,
        NOW + 60,
        NOW + 61,
        i64::MAX,
        i64::MIN,
        0,
    ];
    let texts = [
        ISSUER, RESOURCE, "ann", "at+jwt", "JWT", "ES256", "none", "HS256", "", "\u{0}",
    ];
    prop_oneof![
        prop::sample::select(times.to_vec()).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        prop::sample::select(texts.to_vec()).prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null),
        Just(json!([RESOURCE])),
        Just(json!([ISSUER, RESOURCE, 1])),
        Just(json!({"jwk": {}})),
    ]
}

fn changes(names: &'static [&'static str]) -> impl Strategy<Value = Vec<(&'static str, Value)>> {
    prop::collection::vec((prop::sample::select(names), value()), 0..3)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..Default::default() })]

    /// Whatever the holder of the issuer's key signs: what passes says all that has to be said.
    #[test]
    fn only_what_is_expected_passes(
        header in changes(&["alg", "typ", "kid", "crit", "jwk", "jku", "x5c", "b64", "cty"]),
        payload in changes(&["iss", "sub", "aud", "exp", "nbf", "iat", "nonce", "scope"]),
        plain: bool,
    ) {
        let mut head = json!({"alg": "ES256", "typ": "at+jwt", "kid": KEY.kid()});
        let mut body = claims();
        for (part, changes) in [(&mut head, &header), (&mut body, &payload)] {
            for (name, value) in changes {
                part[*name] = value.clone();
            }
        }
        let token = KEY.sign_parts(&head, &body).unwrap();
        let profile = if plain { Profile::Plain } else { Profile::Rfc9068 };
        let Ok(claims) = check_as(&token, profile) else { return Ok(()) };
        prop_assert_eq!(&head["alg"], "ES256");
        prop_assert!(head["typ"] == "at+jwt" || (plain && head["typ"] == "JWT"));
        for forbidden in ["crit", "jwk", "jku", "x5c", "b64"] {
            prop_assert_eq!(head.get(forbidden), None);
        }
        prop_assert_eq!(claims.issuer(), ISSUER);
        prop_assert!(!claims.subject().is_empty());
        prop_assert!(claims.is_for(RESOURCE));
        let now = Timestamp::from_secs(NOW);
        prop_assert!(claims.expires_at() > now);
        let latest = Timestamp::from_secs(NOW + 60);
        prop_assert!(claims.not_before().is_none_or(|begin| begin <= latest));
        prop_assert!(claims.issued_at().is_none_or(|made| made <= latest));
    }

    /// Whatever arrives where a token should be.
    #[test]
    fn bytes_are_refused_without_a_panic(
        text in "[A-Za-z0-9_.=+/-]{0,120}", parts in proptest::array::uniform3(any::<String>()),
    ) {
        prop_assert!(check(&text).is_err());
        let encoded = parts.map(|part| encode(part.as_bytes())).join(".");
        prop_assert!(check(&encoded).is_err());
    }
}
