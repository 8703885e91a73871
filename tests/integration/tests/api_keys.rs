//! API keys: invariants 1, 2 and 9.

use std::time::Duration;

use gatewright_core::{Clock as _, SystemClock};
use gatewright_test_support::{message, modern_request};
use serde_json::{Value, json};

use crate::{
    admin::{ask, key, raw, server},
    bed::{Bed, STAFF_ECHOES},
};

const BOT: &str = "[[grants]]\nrole = 'staff'\nagent = 'bot'\n";

async fn status(bed: &Bed, server: &str, text: &str) -> u16 {
    let params = json!({"name": "echo", "arguments": {}});
    let request = modern_request(&bed.url(server), Some(text), 7, "tools/call", params);
    bed.client.send(request).await.status().as_u16()
}

#[tokio::test]
async fn a_key_is_good_for_its_holder_at_its_servers_until_it_is_revoked() {
    let upstream = raw().await;
    let url = upstream.url("/mcp");
    let organisation = [
        server("one", &url, ""),
        server("two", &url, ""),
        STAFF_ECHOES.to_owned(),
        BOT.to_owned(),
    ]
    .concat();
    let bed = Bed::start(&[], &organisation).await;
    let (id, text) = key(&bed, "agent:bot", "one").await;
    assert_eq!(status(&bed, "one", &text).await, 200);
    assert_eq!(upstream.requests().len(), 1);
    let everything = upstream.requests()[0].everything();
    assert!(!everything.contains(&text), "{everything}");

    assert_eq!(status(&bed, "two", &text).await, 401, "another server");
    let mut other = text.clone();
    let last = if other.ends_with('0') { '1' } else { '0' };
    other.pop();
    other.push(last);
    assert_eq!(status(&bed, "one", &other).await, 401, "a slip of the hand");
    let path = format!("/tenants/default/keys/{id}");
    assert_eq!(ask(&bed, "DELETE", &path, &Value::Null).await.0, 204);
    assert_eq!(status(&bed, "one", &text).await, 401, "revoked");
    let bed = bed.restarted().await;
    assert_eq!(status(&bed, "one", &text).await, 401, "revoked for good");
    assert_eq!(upstream.requests().len(), 1);
    let log = bed.closed_log().await;
    for said in [
        "wrong-server-key",
        "revoked-key",
        "malformed-key",
        "api-key",
    ] {
        assert!(log.contains(said), "{said} is not in {log}");
    }
}

#[tokio::test]
async fn a_key_that_has_ended_is_refused() {
    let upstream = raw().await;
    let one = server("one", &upstream.url("/mcp"), "");
    let settings = "[limits.principal]\nper_second = 0";
    let bed = Bed::start_with(&[], &format!("{one}{STAFF_ECHOES}{BOT}"), settings).await;
    let ends = SystemClock.now().plus(Duration::from_secs(4)).millis();
    let ends = jiff::Timestamp::from_millisecond(ends).unwrap();
    let form = json!({
        "name": "short", "holder": format!("agent:{}|bot", bed.idp.issuer()), "servers": ["one"],
        "expires_at": ends.to_string(),
    });
    let (made, key) = ask(&bed, "POST", "/tenants/default/keys", &form).await;
    assert_eq!(made, 201, "{key}");
    let text = key["key"].as_str().unwrap();
    assert_eq!(status(&bed, "one", text).await, 200);
    // Nothing to wait for but the clock.
    while status(&bed, "one", text).await == 200 {
        tokio::task::yield_now().await;
    }
    assert_eq!(status(&bed, "one", text).await, 401);
    assert!(bed.closed_log().await.contains("expired-key"));
}

#[tokio::test]
async fn the_key_of_somebody_who_is_switched_off_is_refused() {
    let upstream = raw().await;
    let one = server("one", &upstream.url("/mcp"), "");
    let organisation = format!("{one}{STAFF_ECHOES}{BOT}");
    let bed = Bed::start(&[], &organisation).await;
    let (_, text) = key(&bed, "agent:bot", "*").await;
    assert_eq!(status(&bed, "one", &text).await, 200);
    let off = format!("{organisation}[[agents]]\nid = 'bot'\ndisabled = true\n");
    bed.reapply(&[], &off).await;
    assert_eq!(status(&bed, "one", &text).await, 401);
    bed.reapply(&[], &organisation).await;
    assert_eq!(status(&bed, "one", &text).await, 401, "revoked for good");
    let (_, another) = key(&bed, "agent:bot", "*").await;
    assert_eq!(status(&bed, "one", &another).await, 200);
    assert!(bed.closed_log().await.contains("revoked-key"));
}

#[tokio::test]
async fn people_have_keys_only_where_their_tenant_says_so() {
    let upstream = raw().await;
    let one = server("one", &upstream.url("/mcp"), "");
    let granted = format!("{one}{STAFF_ECHOES}[[grants]]\nrole = 'staff'\nuser = 'ann'\n");
    let bed = Bed::start_top("api_keys_for_people = true", &[], &granted).await;
    let (_, text) = key(&bed, "user:ann", "one").await;
    assert_eq!(status(&bed, "one", &text).await, 200);
    bed.reapply(&[], &granted).await;
    assert_eq!(status(&bed, "one", &text).await, 401);
    let form = json!({
        "name": "x", "holder": format!("user:{}|ann", bed.idp.issuer()), "servers": ["one"],
        "expires_at": "2100-01-01T00:00:00Z",
    });
    let (refused, problem) = ask(&bed, "POST", "/tenants/default/keys", &form).await;
    assert_eq!(refused, 409, "{problem}");
}

#[tokio::test]
async fn a_tenant_without_issuers_lives_by_its_keys_alone() {
    let upstream = raw().await;
    let url = upstream.url("/mcp");
    let organisation = format!(
        "[[tenants]]\nname = 'acme'\n[[tenants.servers]]\nname = 'one'\nurl = '{url}'\nera = 'modern'\n\
         [[tenants.roles]]\nname = 'staff'\n[[tenants.roles.permissions]]\nservers = ['one']\ntools = ['echo']\n\
         [[tenants.grants]]\nrole = 'staff'\nagent = 'bot'\n[[tenants.agents]]\nid = 'other'\n"
    );
    let bed = Bed::start(&[("one", url)], &organisation).await;
    let url = format!("{}/t/acme/mcp/one", bed.base());
    let call = async |text: &str| {
        let params = json!({"name": "echo", "arguments": {}});
        let request = modern_request(&url, Some(text), 7, "tools/call", params);
        bed.client.send(request).await
    };
    let form = |holder: &str| {
        json!({
            "name": "x", "holder": holder, "servers": ["one"], "expires_at": "2100-01-01T00:00:00Z",
        })
    };
    let keys = "/tenants/acme/keys";
    let (made, key) = ask(&bed, "POST", keys, &form("agent:local|bot")).await;
    assert_eq!(made, 201, "{key}");
    let answer = call(key["key"].as_str().unwrap()).await;
    assert!(message(&answer)["result"].is_object(), "{answer:?}");
    let (_, other) = ask(&bed, "POST", keys, &form("agent:local|other")).await;
    let answer = call(other["key"].as_str().unwrap()).await;
    assert_eq!(
        message(&answer)["error"]["code"],
        4403,
        "known, and may nothing"
    );

    // Nobody's token is taken there: neither that of another tenant's issuer, nor one that says it is local.
    let foreign = bed.idp.token("bot", &url).sign();
    let posing = bed.idp.token("bot", &url).claim("iss", "local").sign();
    for token in [foreign, posing] {
        assert_eq!(call(&token).await.status(), 401);
    }
    // A holder of an issuer that the tenant does not have is nobody of it.
    let elsewhere = form(&format!("agent:{}|bot", bed.idp.issuer()));
    assert_eq!(ask(&bed, "POST", keys, &elsewhere).await.0, 422);
}
