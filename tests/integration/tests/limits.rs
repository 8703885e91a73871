//! How much is too much: invariant 13.

use gatewright_test_support::{Answer, RawServer, message, modern_request};
use http::header::RETRY_AFTER;
use serde_json::{Value, json};

use crate::{
    admin::{raw, server},
    bed::{Bed, STAFF_ECHOES},
};

#[tokio::test]
async fn a_principal_that_asks_too_fast_is_told_when_to_come_back_and_others_are_served() {
    let upstream = raw().await;
    let one = server("one", &upstream.url("/mcp"), "");
    let settings = "[limits.principal]\nper_second = 1\nburst = 2";
    let bed = Bed::start_with(&[], &format!("{one}{STAFF_ECHOES}"), settings).await;
    let params = || json!({"name": "echo", "arguments": {}});
    let ann = bed.token("ann", "one").sign();
    let mut refused = None;
    for _ in 0..10 {
        let answer = bed.call("one", &ann, "tools/call", params()).await;
        if answer.status() != 200 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.unwrap();
    assert_eq!(refused.status(), 429);
    let wait: u64 = refused.headers()[RETRY_AFTER]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!(wait >= 1);
    assert!(
        message(&refused)["error"]["message"]
            .as_str()
            .unwrap()
            .contains("slow down")
    );
    let ben = bed.token("ben", "one").sign();
    assert_eq!(
        bed.call("one", &ben, "tools/call", params()).await.status(),
        200
    );
    // Who goes on all the same fills no log, and is named in it.
    let mut refused = 1;
    for _ in 0..50 {
        let answer = bed.call("one", &ann, "tools/call", params()).await;
        refused += u64::from(answer.status() == 429);
    }
    let user = format!("{}|ann", bed.idp.issuer());
    let log = bed.closed_log().await;
    let records: Vec<Value> = log
        .lines()
        .filter(|line| line.contains("rate-limited"))
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["record"].take())
        .collect();
    assert!(records.len() <= 4, "{records:?}");
    assert!(
        records.iter().all(|record| record["who"]["user"] == user),
        "{records:?}"
    );
    let counted = records
        .iter()
        .map(|record| record["aggregate"]["count"].as_u64().unwrap_or(1));
    assert_eq!(counted.sum::<u64>(), refused, "{records:?}");
}

#[tokio::test]
async fn a_server_that_has_enough_to_do_is_asked_no_more() {
    let upstream = RawServer::start(|request| match request.json()["params"]["name"].as_str() {
        Some("slow") => Answer::never(),
        _ => Answer::result(request, &json!({"content": []})),
    })
    .await;
    let url = upstream.url("/mcp");
    let organisation = [
        server("busy", &url, ""),
        server("free", &url, ""),
        STAFF_ECHOES.to_owned(),
    ]
    .concat();
    let settings = "[limits.server]\ncalls = 1\nqueued = 0\nwait_ms = 0";
    let bed = Bed::start_with(&[], &organisation, settings).await;
    let ann = bed.token("ann", "busy").sign();
    let slow = json!({"name": "slow", "arguments": {}});
    let waiting = modern_request(&bed.url("busy"), Some(&ann), 1, "tools/call", slow);
    let mut waiting = Box::pin(bed.client.send(waiting));
    tokio::select! {
        answer = &mut waiting => panic!("{answer:?}"),
        () = upstream.received(1) => {}
    }
    let echo = json!({"name": "echo", "arguments": {}});
    let ben = bed.token("ben", "busy").sign();
    let answer = bed.call("busy", &ben, "tools/call", echo.clone()).await;
    assert_eq!(answer.status(), 429);
    assert!(answer.headers().contains_key(RETRY_AFTER));
    assert_eq!(
        message(&answer)["id"],
        7,
        "below the envelope the call has a name"
    );
    let ben = bed.token("ben", "free").sign();
    assert_eq!(
        bed.call("free", &ben, "tools/call", echo).await.status(),
        200
    );
}
