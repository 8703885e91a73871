//! Who is calling: invariants 1 and 2.

use gatewright_test_support::{
    Algorithm, Answer, FakeServer, RawServer, SigningKey, message, modern_request,
};
use http::{Method, Request, StatusCode, header};
use serde_json::json;

use crate::bed::{Bed, STAFF_ECHOES};

#[tokio::test]
async fn a_request_without_a_valid_credential_reaches_no_upstream() {
    let server = FakeServer::start().await;
    let bed = Bed::start(&[("tools", server.url())], STAFF_ECHOES).await;
    let url = bed.url("tools");
    for method in [Method::GET, Method::POST, Method::DELETE, Method::PUT] {
        for authorization in [None, Some("Bearer rubbish"), Some("Basic YTpi")] {
            let mut request = Request::builder().method(method.clone()).uri(&url);
            if let Some(authorization) = authorization {
                request = request.header(header::AUTHORIZATION, authorization);
            }
            let answer = bed.client.send(request.body("".into()).unwrap()).await;
            assert_eq!(
                answer.status(),
                StatusCode::UNAUTHORIZED,
                "{method} {authorization:?}"
            );
            let challenge = answer.headers()[header::WWW_AUTHENTICATE].to_str().unwrap();
            let metadata = format!(
                "{}/.well-known/oauth-protected-resource/mcp/tools",
                bed.base()
            );
            assert!(
                challenge.contains(&format!("resource_metadata=\"{metadata}\"")),
                "{challenge}"
            );
        }
    }
    assert_eq!(server.calls(), 0);
}

#[tokio::test]
async fn the_metadata_leads_from_the_challenge_to_the_issuer() {
    let server = FakeServer::start().await;
    let bed = Bed::start(&[("tools", server.url())], STAFF_ECHOES).await;
    let url = format!(
        "{}/.well-known/oauth-protected-resource/mcp/tools",
        bed.base()
    );
    let request = Request::get(url).header(header::ORIGIN, "https://anywhere.example");
    let answer = bed.client.send(request.body("".into()).unwrap()).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()[header::ACCESS_CONTROL_ALLOW_ORIGIN], "*");
    let document: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!(document["resource"], bed.url("tools"));
    assert_eq!(document["authorization_servers"], json!([bed.idp.issuer()]));
    assert_eq!(document["bearer_methods_supported"], json!(["header"]));

    let unknown = format!(
        "{}/.well-known/oauth-protected-resource/mcp/other",
        bed.base()
    );
    assert_eq!(
        bed.client.get(&unknown).await.status(),
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn a_token_for_another_route_is_refused() {
    let server = FakeServer::start().await;
    let bed = Bed::start(
        &[("one", server.url()), ("two", server.url())],
        STAFF_ECHOES,
    )
    .await;
    let token = bed.token("ann", "one").sign();
    let params = json!({"name": "echo", "arguments": {"text": "x"}});
    let answer = bed.call("one", &token, "tools/call", params.clone()).await;
    assert_eq!(answer.status(), StatusCode::OK);
    // The verified token is cached by now; its audience is checked all the same.
    let answer = bed.call("two", &token, "tools/call", params).await;
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(server.calls(), 1);
}

#[tokio::test]
async fn a_token_of_another_tenants_issuer_is_refused() {
    let server = FakeServer::start().await;
    let other = gatewright_test_support::FakeIdp::start().await;
    let organisation = format!(
        "{STAFF_ECHOES}\n[[tenants]]\nname = 'acme'\ncreate_people_on_sight = true\n[[tenants.issuers]]\nissuer = '{}'\ngroups_claim = 'groups'\n\
         [[tenants.servers]]\nname = 'tools'\nurl = '{}'\n",
        other.issuer(),
        server.url()
    );
    let bed = Bed::start(&[("tools", server.url())], &organisation).await;
    let url = format!("{}/t/acme/mcp/tools", bed.base());
    let foreign = bed.idp.token("ann", &url).claim("groups", ["staff"]).sign();
    let request = modern_request(&url, Some(&foreign), 1, "tools/list", json!({}));
    assert_eq!(
        bed.client.send(request).await.status(),
        StatusCode::UNAUTHORIZED
    );

    let own = other.token("ann", &url).claim("groups", ["staff"]).sign();
    let request = modern_request(&url, Some(&own), 1, "tools/list", json!({}));
    let answer = bed.client.send(request).await;
    // Known there, and without any permission: roles of one tenant give nothing in another.
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(message(&answer)["error"]["code"], 4403);
    let request = modern_request(&bed.url("tools"), Some(&own), 1, "tools/list", json!({}));
    assert_eq!(
        bed.client.send(request).await.status(),
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn the_clients_token_never_goes_upstream() {
    let upstream = RawServer::start(|request| {
        Answer::result(
            request,
            &json!({"content": [], "supportedVersions": ["2026-07-28"]}),
        )
    })
    .await;
    let bed = Bed::start(&[("raw", upstream.url("/mcp"))], STAFF_ECHOES).await;
    let token = bed.token("ann", "raw").sign();
    let mut request = modern_request(
        &bed.url("raw"),
        Some(&token),
        1,
        "tools/call",
        json!({"name": "echo", "arguments": {}}),
    );
    for (name, value) in [
        ("cookie", "planted=1"),
        ("proxy-authorization", "Basic planted"),
        ("x-forwarded-for", "planted"),
        ("connection", "x-planted"),
        ("x-planted", "planted"),
    ] {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    assert_eq!(bed.client.send(request).await.status(), StatusCode::OK);
    let seen = upstream.requests();
    assert!(!seen.is_empty());
    for request in seen {
        let everything = request.everything();
        assert!(!everything.contains(&token), "{everything}");
        assert!(!everything.contains("planted"), "{everything}");
        assert!(
            !everything.to_lowercase().contains("authorization"),
            "{everything}"
        );
    }
}

#[tokio::test]
async fn tokens_that_only_look_right_are_refused() {
    let server = FakeServer::start().await;
    let bed = Bed::start(&[("tools", server.url())], STAFF_ECHOES).await;
    let good = || bed.token("ann", "tools");
    let stranger = SigningKey::generate(Algorithm::Es256, "key-1");
    let public_key = bed.idp.key().jwk().to_string();
    for (what, token) in [
        ("unsigned", good().unsigned()),
        ("another key under our kid", good().sign_with(&stranger)),
        (
            "hmac with the public key",
            good().sign_with_hmac(public_key.as_bytes()),
        ),
        (
            "embedded key",
            good().header("jwk", stranger.jwk()).sign_with(&stranger),
        ),
        (
            "key by url",
            good()
                .header("jku", "http://127.0.0.1:1/jwks")
                .sign_with(&stranger),
        ),
        (
            "certificate by url",
            good()
                .header("x5u", "http://127.0.0.1:1/x")
                .sign_with(&stranger),
        ),
        (
            "path in kid",
            good().header("kid", "../../../dev/null").sign(),
        ),
        ("unknown crit", good().header("crit", ["exp"]).sign()),
        ("another type", good().header("typ", "dpop+jwt").sign()),
        ("expired", good().expires_in(-3600).sign()),
        ("no expiry", good().without("exp").sign()),
        ("no audience", good().without("aud").sign()),
        ("no subject", good().without("sub").sign()),
        (
            "not yet valid",
            good().claim("nbf", 4_000_000_000_i64).sign(),
        ),
        (
            "issued in the future",
            good().claim("iat", 4_000_000_000_i64).sign(),
        ),
        (
            "unknown issuer",
            good().claim("iss", "https://evil.example").sign(),
        ),
        (
            "audience as a prefix",
            good()
                .claim("aud", format!("{}/x", bed.url("tools")))
                .sign(),
        ),
    ] {
        let answer = bed.call("tools", &token, "tools/list", json!({})).await;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{what}");
        let challenge = answer.headers()[header::WWW_AUTHENTICATE].to_str().unwrap();
        assert!(
            challenge.contains("error=\"invalid_token\""),
            "{what}: {challenge}"
        );
    }
    assert_eq!(
        bed.call("tools", &good().sign(), "tools/list", json!({}))
            .await
            .status(),
        StatusCode::OK
    );
}

#[tokio::test]
async fn two_credentials_or_one_in_the_query_are_refused() {
    let server = FakeServer::start().await;
    let bed = Bed::start(&[("tools", server.url())], STAFF_ECHOES).await;
    let token = bed.token("ann", "tools").sign();
    let mut twice = modern_request(&bed.url("tools"), Some(&token), 1, "tools/list", json!({}));
    twice.headers_mut().append(
        header::AUTHORIZATION,
        format!("Bearer {token}").parse().unwrap(),
    );
    assert_eq!(
        bed.client.send(twice).await.status(),
        StatusCode::BAD_REQUEST
    );
    let url = format!("{}?access_token={token}", bed.url("tools"));
    let query = modern_request(&url, None, 1, "tools/list", json!({}));
    assert_eq!(
        bed.client.send(query).await.status(),
        StatusCode::BAD_REQUEST
    );
}

#[tokio::test]
async fn an_issuer_that_is_down_refuses_with_503() {
    let server = FakeServer::start().await;
    let bed = Bed::start(&[("tools", server.url())], STAFF_ECHOES).await;
    bed.idp.set_down(true);
    let token = bed.token("ann", "tools").sign();
    let answer = bed.call("tools", &token, "tools/list", json!({})).await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(server.calls(), 0);
}

#[tokio::test]
async fn a_warm_token_costs_no_fetch() {
    let server = FakeServer::start().await;
    let bed = Bed::start(&[("tools", server.url())], STAFF_ECHOES).await;
    for user in ["ann", "ben", "cy"] {
        let token = bed.token(user, "tools").sign();
        for _ in 0..3 {
            assert_eq!(
                bed.call("tools", &token, "tools/list", json!({}))
                    .await
                    .status(),
                StatusCode::OK
            );
        }
    }
    assert_eq!((bed.idp.discoveries(), bed.idp.key_fetches()), (1, 1));
}

#[tokio::test]
async fn a_scope_that_is_missing_is_asked_for_only_where_it_would_help() {
    let server = FakeServer::start().await;
    let organisation = format!(
        "[[servers.scopes]]\nscopes = ['mcp:read']\n[[servers.scopes]]\ntargets = ['add']\nscopes = ['mcp:write']\n\
         {STAFF_ECHOES}\n[[roles]]\nname = 'adder'\n[[roles.permissions]]\nservers = ['*']\ntools = ['add']\n\
         [[grants]]\nrole = 'adder'\nuser = 'ann'\n"
    );
    let bed = Bed::start(&[("tools", server.url())], &organisation).await;
    let add = json!({"name": "add", "arguments": {"a": 1, "b": 2}});
    let reader = bed.token("ann", "tools").claim("scope", "mcp:read").sign();
    let answer = bed.call("tools", &reader, "tools/call", add.clone()).await;
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    let challenge = answer.headers()[header::WWW_AUTHENTICATE].to_str().unwrap();
    assert!(
        challenge.contains("error=\"insufficient_scope\""),
        "{challenge}"
    );
    assert!(
        challenge.contains("scope=\"mcp:read mcp:write\""),
        "{challenge}"
    );

    let writer = bed
        .token("ann", "tools")
        .claim("scope", "mcp:read mcp:write")
        .sign();
    let answer = bed.call("tools", &writer, "tools/call", add.clone()).await;
    assert!(message(&answer)["result"].is_object(), "{answer:?}");

    // Ben may not add, whatever his scopes: no challenge.
    let ben = bed.token("ben", "tools").claim("scope", "mcp:read").sign();
    let answer = bed.call("tools", &ben, "tools/call", add).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(message(&answer)["error"]["code"], 4403);
}
