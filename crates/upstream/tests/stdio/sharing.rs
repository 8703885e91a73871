//! One child for many callers, where the server is declared to keep nothing for one of them.

use gatewright_upstream::{EraSetting, Sharing};
use serde_json::{Value, json};

use crate::support::{
    Caller, Events, Gate, Watch, call, code, initialize, key, soon, target, upstream,
};

fn stateless(watch: &Watch, era: EraSetting) -> Caller {
    let program = watch.program([]).with_sharing(Sharing::Stateless);
    Caller::new(&upstream(target(program).with_era(era)), "ann").with(key(1, "k"))
}

/// Two callers with the same id, answered in the other order.
async fn crossed(
    watch: &Watch,
    ann: impl Future<Output = Value>,
    bob: impl Future<Output = Value>,
    release: impl Future<Output = Value>,
) -> (Value, Value) {
    let ((ann, bob), ()) = tokio::join!(async { tokio::join!(ann, bob) }, async {
        let mut child = watch.child().await;
        child.hears("hold").await;
        child.hears("hold").await;
        release.await;
        watch.nothing_more().await;
    });
    (ann, bob)
}

#[tokio::test]
async fn modern_callers_with_the_same_id_get_their_own_answers() {
    let watch = Watch::start().await;
    let ann = stateless(&watch, EraSetting::Modern);
    let bob = ann.as_user("bob");
    let (hers, his) = Box::pin(crossed(
        &watch,
        ann.tool("hold", json!({"who": "ann"})),
        bob.tool("hold", json!({"who": "bob"})),
        bob.tool("release", json!({})),
    ))
    .await;
    assert_eq!((&hers["id"], &his["id"]), (&json!(7), &json!(7)));
    assert_eq!(hers["result"]["arguments"], json!({"who": "ann"}));
    assert_eq!(his["result"]["arguments"], json!({"who": "bob"}));
}

#[tokio::test]
async fn legacy_callers_with_the_same_id_get_their_own_answers() {
    let watch = Watch::start().await;
    let ann = stateless(&watch, EraSetting::Legacy);
    let bob = ann.as_user("bob");
    let (hers, his) = Box::pin(crossed(
        &watch,
        ann.legacy_tool("hold", json!({"who": "ann"})),
        bob.legacy_tool("hold", json!({"who": "bob"})),
        bob.legacy_tool("release", json!({})),
    ))
    .await;
    assert_eq!(hers["result"]["arguments"], json!({"who": "ann"}));
    assert_eq!(his["result"]["arguments"], json!({"who": "bob"}));
}

#[tokio::test]
async fn the_gateway_opens_it_once_and_answers_initialize_for_it() {
    let watch = Watch::start().await;
    let ann = stateless(&watch, EraSetting::Legacy);
    for caller in [ann.clone(), ann.as_user("bob")] {
        let answer = caller.send(caller.legacy(&initialize("2025-11-25"))).await;
        assert!(!answer.headers().contains_key("mcp-session-id"));
        let answer = gatewright_test_support::message(&answer);
        assert_eq!(answer["id"], "open");
        assert_eq!(answer["result"]["protocolVersion"], "2025-11-25");
        // What would be kept for one of them is not offered.
        assert_eq!(answer["result"]["capabilities"], json!({"tools": {}}));
        let note = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        assert_eq!(caller.says(&note).await.0, 202);
        assert_eq!(caller.legacy_tool("echo", json!({})).await["id"], 7);
    }
    let mut child = watch.child().await;
    let opened = child.hears("initialize").await;
    assert_eq!(opened["params"]["clientInfo"]["name"], "gatewright");
    assert_eq!(opened["params"]["capabilities"], json!({}));
    child.hears("notifications/initialized").await;
    // Neither caller's own words reach it.
    for _ in 0..2 {
        assert_eq!(child.hears("").await["method"], "tools/call");
    }
    watch.nothing_more().await;
}

#[tokio::test]
async fn revisions_and_credentials_are_not_shared() {
    let watch = Watch::start().await;
    let ann = stateless(&watch, EraSetting::Legacy);
    let pid = async |caller: &Caller| {
        caller.legacy_tool("echo", json!({})).await["result"]["pid"].clone()
    };
    let hers = pid(&ann).await;
    assert_eq!(hers, pid(&ann.as_user("bob")).await);
    let older = ann.legacy(&call(7, "echo", json!({})));
    let (mut parts, body) = older.into_parts();
    parts
        .headers
        .insert("mcp-protocol-version", "2025-06-18".parse().unwrap());
    let answer = ann.send(http::Request::from_parts(parts, body)).await;
    assert_ne!(
        gatewright_test_support::message(&answer)["result"]["pid"],
        hers
    );
    let none = ann.with(gatewright_core::UpstreamAuth::none());
    assert_ne!(pid(&none).await, hers);
}

#[tokio::test]
async fn what_would_be_kept_for_one_caller_is_refused() {
    let watch = Watch::start().await;
    let ann = stateless(&watch, EraSetting::Legacy);
    for method in ["logging/setLevel", "tasks/list"] {
        let message =
            json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": {"level": "debug"}});
        let (status, answer) = ann.says(&message).await;
        // 404 would be for a session.
        assert_eq!(status, 200);
        assert_eq!(
            (&answer["id"], code(&answer)),
            (&json!(7), -32601),
            "{method}"
        );
    }
    let subscribe = json!({"jsonrpc": "2.0", "id": 7, "method": "resources/subscribe", "params": {"uri": "a:b"}});
    assert_eq!(code(&ann.says(&subscribe).await.1), -32601);
    for method in ["GET", "DELETE"] {
        let answer = ann.send(ann.bare(method)).await;
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["allow"]),
            (405, &"POST".parse().unwrap())
        );
    }
    watch.nothing_more().await;
}

#[tokio::test]
async fn what_a_shared_child_says_to_nobody_in_particular_is_told_to_nobody() {
    let watch = Watch::start().await;
    for era in [EraSetting::Modern, EraSetting::Legacy] {
        let ann = stateless(&watch, era);
        for tool in ["log", "changed"] {
            let answer = match era {
                EraSetting::Modern => {
                    let params = json!({"name": tool, "arguments": {"planted": 1}});
                    ann.send(Caller::modern("tools/call", 7, params)).await
                }
                _ => {
                    ann.send(ann.legacy(&call(7, tool, json!({"planted": 1}))))
                        .await
                }
            };
            assert_eq!(answer.headers()["content-type"], "application/json");
            assert!(!answer.body().windows(7).any(|part| part == b"planted"));
        }
    }
}

#[tokio::test]
async fn a_shared_child_can_ask_nobody() {
    let watch = Watch::start().await;
    let ann = stateless(&watch, EraSetting::Legacy);
    let pinged = ann.legacy_tool("ask", json!({"method": "ping"})).await;
    assert_eq!(pinged["result"]["heard"], json!({}));
    let asked = ann
        .legacy_tool("ask", json!({"method": "sampling/createMessage"}))
        .await;
    assert_eq!(asked["result"]["heard"], Value::Null);
}

#[tokio::test]
async fn progress_and_subscriptions_find_their_own_caller() {
    let watch = Watch::start().await;
    let ann = stateless(&watch, EraSetting::Modern);
    let bob = ann.as_user("bob");
    let listen = |id| Caller::modern("subscriptions/listen", id, json!({"notifications": {}}));
    let mut hers = Events::of(ann.open(listen(1)).await);
    let mut his = Events::of(bob.open(listen(1)).await);
    hers.next().await.unwrap();
    his.next().await.unwrap();
    let params = json!({"name": "progress", "_meta": {"progressToken": 1}});
    let told = Events::of(bob.open(Caller::modern("tools/call", 1, params)).await)
        .all()
        .await;
    assert_eq!(told.len(), 3);
    bob.tool("changed", json!({})).await;
    for events in [&mut hers, &mut his] {
        let message = events.next().await.unwrap();
        assert_eq!(message["method"], "notifications/tools/list_changed");
        assert_eq!(
            message["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"],
            1
        );
    }
}

#[tokio::test]
async fn nobody_cancels_the_call_of_another() {
    let watch = Watch::start().await;
    let ann = stateless(&watch, EraSetting::Legacy);
    let bob = ann.as_user("bob");
    let message = call(7, "hold", json!({}));
    let mut holding = Box::pin(ann.says(&message));
    let mut child = tokio::select! {
        _ = &mut holding => unreachable!("it is held"),
        child = async {
            let mut child = watch.child().await;
            child.hears("hold").await;
            child
        } => child,
    };
    let cancel =
        json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7}});
    assert_eq!(bob.says(&cancel).await.0, 202);
    bob.legacy_tool("echo", json!({})).await;
    let next = child.hears("").await;
    assert_eq!(next["params"]["name"], "echo", "nothing came in between");
    assert_eq!(ann.says(&cancel).await.0, 202);
    child.hears("notifications/cancelled").await;
    bob.legacy_tool("release", json!({})).await;
    soon(holding).await;
}

#[tokio::test]
async fn many_questions_at_once_are_all_answered() {
    let watch = Watch::start().await;
    let ann = stateless(&watch, EraSetting::Legacy);
    assert_eq!(
        ann.legacy_tool("pings", json!({})).await["result"],
        json!({})
    );
}

#[tokio::test]
async fn a_burst_of_first_calls_starts_one_child() {
    let watch = Watch::start().await;
    for era in [EraSetting::Modern, EraSetting::Legacy] {
        let ann = stateless(&watch, era);
        let call = async |user| {
            let caller = ann.as_user(user);
            match era {
                EraSetting::Modern => caller.tool("echo", json!({})).await,
                _ => caller.legacy_tool("echo", json!({})).await,
            }
        };
        let (a, b, c) = Box::pin(async { tokio::join!(call("a"), call("b"), call("c")) }).await;
        let pid = &a["result"]["pid"];
        assert!(pid.is_u64() && [&b, &c].iter().all(|other| other["result"]["pid"] == *pid));
        watch.child().await;
        watch.nothing_more().await;
    }
}

#[tokio::test]
async fn a_caller_who_leaves_while_a_child_starts_leaves_the_others_theirs() {
    let (watch, gate) = (Watch::start().await, Gate::new().await);
    let address = gate.address()["address"].as_str().unwrap().to_owned();
    let program = watch
        .program(["--gate", &address])
        .with_sharing(Sharing::Stateless);
    let ann = Caller::new(
        &upstream(target(program).with_era(EraSetting::Legacy)),
        "ann",
    );
    let bob = ann.as_user("bob");
    let mut first = Box::pin(ann.legacy_tool("echo", json!({})));
    let mut second = Box::pin(bob.legacy_tool("echo", json!({})));
    let (child, waiting) = tokio::select! {
        biased;
        _ = &mut first => unreachable!("it is held at the gate"),
        _ = &mut second => unreachable!("it is held at the gate"),
        held = async { (watch.child().await, gate.waits().await) } => held,
    };
    drop(first);
    let answer = tokio::join!(soon(second), async {
        child.dies().await;
        drop(waiting);
        gate.waits().await;
    });
    assert!(answer.0["result"]["pid"].is_u64());
}
