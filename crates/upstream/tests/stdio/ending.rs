//! How children end, and everything that they have started.

use std::time::Duration;

use gatewright_upstream::{EraSetting, Program};
use serde_json::json;

use crate::support::{Caller, Gate, Watch, call, code, initialize, modern_at, target, upstream};

const LONG: Duration = Duration::from_secs(30);

/// The fixture, deaf to SIGTERM and to the end of its input.
fn stubborn(watch: &Watch) -> Program {
    let address = watch.address();
    Program::new("/bin/sh")
        .with_arguments([
            "-c",
            r#"trap "" TERM; exec "$0" "$@""#,
            env!("CARGO_BIN_EXE_stdio-fixture"),
            "--stay",
            "--watch",
            &address,
        ])
        .with_grace(Duration::from_millis(50))
}

#[tokio::test]
async fn a_child_ends_with_everything_that_it_started() {
    let (watch, others) = (Watch::start().await, Watch::start().await);
    let upstream = modern_at(watch.program([]));
    let ann = Caller::new(&upstream, "ann");
    let started = ann
        .tool("grandchild", json!({"address": others.address()}))
        .await;
    let grandchild = others.child().await;
    assert_eq!(started["result"]["pid"], grandchild.pid);
    upstream.close(LONG).await;
    watch.child().await.dies().await;
    grandchild.dies().await;
}

#[tokio::test]
async fn what_a_crashed_child_leaves_behind_is_killed() {
    let (watch, others) = (Watch::start().await, Watch::start().await);
    let ann = Caller::new(&modern_at(watch.program([])), "ann");
    ann.tool("grandchild", json!({"address": others.address()}))
        .await;
    let grandchild = others.child().await;
    assert_eq!(code(&ann.tool("die", json!({})).await), 5502);
    grandchild.dies().await;
}

#[tokio::test]
async fn a_child_that_will_not_leave_is_killed_after_its_grace() {
    let watch = Watch::start().await;
    let upstream = modern_at(stubborn(&watch));
    let ann = Caller::new(&upstream, "ann");
    ann.tool("echo", json!({})).await;
    let child = watch.child().await;
    upstream.close(LONG).await;
    let heard = child.dies().await;
    assert!(heard.contains(&"input ended".to_owned()), "{heard:?}");
}

#[tokio::test]
async fn children_end_with_the_last_clone() {
    let watch = Watch::start().await;
    let upstream = modern_at(watch.program([]));
    let ann = Caller::new(&upstream, "ann");
    ann.tool("echo", json!({})).await;
    let child = watch.child().await;
    drop(upstream);
    ann.tool("echo", json!({})).await;
    drop(ann);
    child.dies().await;
}

#[test]
fn children_are_killed_with_the_runtime() {
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    };
    let watching = runtime();
    let (watch, others) = watching.block_on(async { (Watch::start().await, Watch::start().await) });
    let dropped = runtime();
    let upstream = {
        let _inside = dropped.enter();
        modern_at(stubborn(&watch).with_grace(LONG))
    };
    let address = others.address();
    dropped.block_on(async {
        Caller::new(&upstream, "ann")
            .tool("grandchild", json!({"address": address}))
            .await
    });
    let both = watching.block_on(async { [watch.child().await, others.child().await] });
    drop(dropped);
    for process in both {
        watching.block_on(process.dies());
    }
    drop(upstream);
}

#[test]
fn an_answer_may_be_dropped_anywhere() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (answer, mut child, _upstream) = runtime.block_on(async {
        let watch = Watch::start().await;
        let upstream = modern_at(watch.program([]));
        let ann = Caller::new(&upstream, "ann");
        let listen = Caller::modern("subscriptions/listen", 7, json!({"notifications": {}}));
        (ann.open(listen).await, watch.child().await, upstream)
    });
    drop(answer);
    runtime.block_on(child.hears("notifications/cancelled"));
}

#[tokio::test]
async fn a_drain_waits_for_the_calls_that_were_admitted_and_takes_no_others() {
    let (watch, gate) = (Watch::start().await, Gate::new().await);
    let upstream = modern_at(watch.program([]));
    let ann = Caller::new(&upstream, "ann");
    let (answer, ()) = tokio::join!(ann.tool("wait", gate.address()), async {
        let waiting = gate.waits().await;
        let mut closing = Box::pin(upstream.close(LONG));
        tokio::select! {
            biased;
            () = &mut closing => unreachable!("a call is under way"),
            refused = ann.tool("echo", json!({})) => assert_eq!(code(&refused), 5502, "{refused}"),
        }
        drop(waiting);
        closing.await;
    });
    assert_eq!(answer["result"]["read"], 0);
    watch.child().await.dies().await;
}

#[tokio::test]
async fn a_drain_has_an_end() {
    let (watch, gate) = (Watch::start().await, Gate::new().await);
    let upstream = modern_at(watch.program([]));
    let ann = Caller::new(&upstream, "ann");
    let (answer, ()) = tokio::join!(ann.tool("wait", gate.address()), async {
        let _waiting = gate.waits().await;
        upstream.close(Duration::ZERO).await;
    });
    assert_eq!((&answer["id"], code(&answer)), (&json!(7), 5502));
    watch.child().await.dies().await;
}

#[tokio::test]
async fn idle_children_end_and_are_started_again_when_they_are_needed() {
    let watch = Watch::start().await;
    let program = watch.program([]).with_idle(Duration::from_millis(20));
    let ann = Caller::new(&modern_at(program.clone()), "ann");
    ann.tool("echo", json!({})).await;
    watch.child().await.dies().await;
    assert_eq!(ann.tool("echo", json!({})).await["id"], 7);
    watch.child().await.dies().await;

    // A session is over with its child.
    let legacy = upstream(target(program).with_era(EraSetting::Legacy));
    let ann = Caller::new(&legacy, "ann");
    let opened = ann.send(ann.legacy(&initialize("2025-11-25"))).await;
    watch.child().await.dies().await;
    let session = ann.in_session(opened.headers()["mcp-session-id"].to_str().unwrap());
    assert_eq!(session.says(&call(7, "echo", json!({}))).await.0, 404);
}

#[tokio::test]
async fn a_child_with_a_call_is_not_idle() {
    let (watch, gate) = (Watch::start().await, Gate::new().await);
    let program = watch.program([]).with_idle(Duration::from_millis(1));
    let ann = Caller::new(&modern_at(program), "ann");
    let (answer, ()) = tokio::join!(ann.tool("wait", gate.address()), async {
        let waiting = gate.waits().await;
        // Many times its idle time, on the same clock.
        tokio::time::sleep(Duration::from_millis(30)).await;
        drop(waiting);
    });
    assert_eq!(answer["result"]["read"], 0);
}
