use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey,
};
use aws_lc_rs::signature::{RsaPublicKeyComponents, VerificationAlgorithm};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use gatewright_core::{ManualClock, Timestamp};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use super::*;

fn decoded(part: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(part).unwrap()
}

fn verifies(token: &str, algorithm: &'static dyn VerificationAlgorithm, key: &[u8]) -> bool {
    let (input, signature) = token.rsplit_once('.').unwrap();
    UnparsedPublicKey::new(algorithm, key)
        .verify(input.as_bytes(), &decoded(signature))
        .is_ok()
}

fn member(jwk: &Value, name: &str) -> Vec<u8> {
    decoded(jwk[name].as_str().unwrap())
}

#[tokio::test]
async fn tokens_verify_with_the_published_keys() {
    let idp = FakeIdp::start().await;
    idp.add_key(Algorithm::EdDsa);
    let ed = idp.token("ann", "aud").sign();
    idp.add_key(Algorithm::Rs256);
    let rsa = idp.token("ann", "aud").sign();
    let keys = Client::default().get(&idp.jwks_url()).await;
    let keys: Value = serde_json::from_slice(keys.body()).unwrap();
    let keys = keys["keys"].as_array().unwrap();

    assert!(verifies(&ed, &ED25519, &member(&keys[1], "x")));
    let (input, signature) = rsa.rsplit_once('.').unwrap();
    let public = RsaPublicKeyComponents {
        n: member(&keys[2], "n"),
        e: member(&keys[2], "e"),
    };
    public
        .verify(
            &RSA_PKCS1_2048_8192_SHA256,
            input.as_bytes(),
            &decoded(signature),
        )
        .unwrap();

    idp.rotate();
    idp.forget_old_keys();
    let es = idp.token("ann", "aud").sign();
    let point = [
        &[4],
        member(&idp.key().jwk(), "x").as_slice(),
        &member(&idp.key().jwk(), "y"),
    ]
    .concat();
    assert!(verifies(&es, &ECDSA_P256_SHA256_FIXED, &point));
    assert!(!verifies(
        &es.replacen('e', "f", 1),
        &ECDSA_P256_SHA256_FIXED,
        &point
    ));
    assert_eq!(idp.key_fetches(), 1);
}

#[tokio::test]
async fn tokens_can_be_bent() {
    let clock = ManualClock::at(Timestamp::from_secs(1000));
    let idp = FakeIdp::start_with("/acme", Algorithm::Es256, clock).await;
    let token = idp
        .token("ann", "aud")
        .act("bot")
        .without("jti")
        .expires_in(-5)
        .header("typ", "JWT")
        .unsigned();
    let mut parts = token
        .split('.')
        .map(|part| String::from_utf8(decoded(part)).unwrap());
    let header: Value = serde_json::from_str(&parts.next().unwrap()).unwrap();
    let claims: Value = serde_json::from_str(&parts.next().unwrap()).unwrap();
    assert_eq!(parts.next().unwrap(), "");
    assert_eq!(header, json!({"alg": "none", "typ": "JWT", "kid": "key-1"}));
    assert_eq!(claims["act"], json!({"sub": "bot"}));
    assert_eq!(
        (&claims["iat"], &claims["exp"]),
        (&json!(1000), &json!(995))
    );
    assert_eq!(claims.get("jti"), None);
}

#[tokio::test]
async fn a_provider_with_a_path_is_found_in_every_way_of_discovery() {
    let idp = FakeIdp::start_with("/acme", Algorithm::Es256, gatewright_core::SystemClock).await;
    let root = idp.issuer().strip_suffix("/acme").unwrap();
    let client = Client::default();
    for url in [
        format!("{root}/.well-known/oauth-authorization-server/acme"),
        format!("{root}/.well-known/openid-configuration/acme"),
        format!("{root}/acme/.well-known/openid-configuration"),
    ] {
        let found = client.get(&url).await;
        assert_eq!(message(&found)["issuer"], idp.issuer(), "{url}");
    }
    assert_eq!(idp.discoveries(), 3);
    assert_eq!(
        client
            .get(&format!("{root}/.well-known/openid-configuration"))
            .await
            .status(),
        404
    );
    idp.set_down(true);
    assert_eq!(client.get(&idp.jwks_url()).await.status(), 503);
}

#[tokio::test]
async fn the_real_server_speaks_both_eras() {
    let server = FakeServer::start().await;
    let client = Client::default();
    let call = json!({"name": "add", "arguments": {"a": 2, "b": 3}});
    let answer = client
        .send(modern_request(
            &server.url(),
            None,
            1,
            "tools/call",
            call.clone(),
        ))
        .await;
    assert_eq!(message(&answer)["result"]["content"][0]["text"], "5");
    let ask = client
        .send(modern_request(
            &server.url(),
            None,
            2,
            "tools/call",
            json!({"name": "ask", "_meta": {"io.modelcontextprotocol/clientCapabilities": {"elicitation": {"form": {}}}}}),
        ))
        .await;
    assert_eq!(message(&ask)["result"]["resultType"], "input_required");

    let initialize = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}});
    let opened = client
        .send(legacy_request(&server.url(), None, None, &initialize))
        .await;
    let session = opened.headers()["mcp-session-id"]
        .to_str()
        .unwrap()
        .to_owned();
    let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    client
        .send(legacy_request(
            &server.url(),
            None,
            Some(&session),
            &initialized,
        ))
        .await;
    let add = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call});
    let answer = client
        .send(legacy_request(&server.url(), None, Some(&session), &add))
        .await;
    assert_eq!(message(&answer)["result"]["content"][0]["text"], "5");
    assert_eq!(server.calls(), 3);
}

#[tokio::test]
async fn a_call_given_up_is_cancelled() {
    let server = FakeServer::start().await;
    let client = Client::default();
    let slow = json!({"name": "slow", "arguments": {}, "_meta": {"progressToken": "p"}});
    let mut answer = client
        .open(modern_request(&server.url(), None, 1, "tools/call", slow))
        .await;
    let first = answer
        .body_mut()
        .frame()
        .await
        .unwrap()
        .unwrap()
        .into_data()
        .unwrap();
    assert!(String::from_utf8_lossy(&first).contains("notifications/progress"));
    drop(answer);
    drop(client);
    server.cancelled(1).await;
}

#[tokio::test]
async fn the_raw_server_says_what_it_is_told_and_remembers_what_came() {
    let server = RawServer::start(|request| Answer::result(request, &json!({"ok": true}))).await;
    let client = Client::default();
    let answer = client
        .send(modern_request(
            &server.url("/mcp"),
            Some("t"),
            7,
            "tools/list",
            json!({}),
        ))
        .await;
    assert_eq!(
        message(&answer),
        json!({"jsonrpc": "2.0", "id": 7, "result": {"ok": true}})
    );
    let came = server.requests();
    assert_eq!(came[0].header("authorization"), "Bearer t");
    assert_eq!(came[0].json()["method"], "tools/list");

    server.set(|_| Answer::event_stream(["data: 1\n\n", "data: 2\n\n"]).hanging());
    let mut answer = client
        .open(modern_request(&server.url("/mcp"), None, 8, "x", json!({})))
        .await;
    let first = answer
        .body_mut()
        .frame()
        .await
        .unwrap()
        .unwrap()
        .into_data()
        .unwrap();
    assert!(first.starts_with(b"data: 1"));
    drop(answer);
    server.abandoned(1).await;

    server.set(|_| Answer::json(&json!({})).breaking());
    let answer = client
        .open(modern_request(&server.url("/mcp"), None, 9, "x", json!({})))
        .await;
    assert!(answer.into_body().collect().await.is_err());
    server.received(3).await;
}
