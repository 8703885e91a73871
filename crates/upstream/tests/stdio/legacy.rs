//! Legacy sessions at children of their own.

use serde_json::{Value, json};

use crate::support::{
    Caller, Events, Gate, Seen, Watch, call, code, initialize, soon, target, upstream,
};

async fn session(watch: &Watch) -> (Caller, Seen) {
    let ann = Caller::new(&upstream(target(watch.program(["--legacy"]))), "ann");
    let opened = ann.initialize().await;
    let mut child = watch.child().await;
    child.hears("notifications/initialized").await;
    (opened, child)
}

#[tokio::test]
async fn initialize_is_the_first_that_a_child_hears_and_opens_a_session() {
    let watch = Watch::start().await;
    let ann = Caller::new(&upstream(target(watch.program(["--legacy"]))), "ann");
    let answer = ann.send(ann.legacy(&initialize("2025-06-18"))).await;
    let session = answer.headers()["mcp-session-id"]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(session.len() >= 32 && session.bytes().all(|byte| byte.is_ascii_graphic()));
    let answer = gatewright_test_support::message(&answer);
    assert_eq!(answer["id"], "open");
    assert_eq!(answer["result"]["protocolVersion"], "2025-06-18");
    let heard = watch.child().await.hears("").await;
    assert_eq!(heard["method"], "initialize");
    assert_eq!(heard["params"], initialize("2025-06-18")["params"]);
}

#[tokio::test]
async fn deleting_a_session_ends_its_child() {
    let watch = Watch::start().await;
    let (ann, child) = session(&watch).await;
    assert_eq!(ann.send(ann.bare("DELETE")).await.status(), 200);
    let heard = child.dies().await;
    assert!(heard.contains(&"input ended".to_owned()), "{heard:?}");
    assert_eq!(ann.says(&call(7, "echo", json!({}))).await.0, 404);
    assert_eq!(ann.send(ann.bare("DELETE")).await.status(), 404);
}

#[tokio::test]
async fn a_server_asks_its_client_on_the_stream_of_the_call() {
    let watch = Watch::start().await;
    let (ann, mut child) = session(&watch).await;
    let request = ann.legacy(&call("seven", "ask", json!({"method": "roots/list"})));
    let mut events = Events::of(ann.open(request).await);
    let question = events.next().await.unwrap();
    assert_eq!(question["method"], "roots/list");
    // Answers to questions that nobody asked go nowhere.
    for id in [json!(999), json!("question-0")] {
        let stray = json!({"jsonrpc": "2.0", "id": id, "result": {"planted": 1}});
        assert_eq!(ann.says(&stray).await.0, 202);
    }
    let reply = json!({"jsonrpc": "2.0", "id": question["id"], "result": {"roots": []}});
    assert_eq!(ann.says(&reply).await.0, 202);
    let heard = child.hears("\"roots\":").await;
    assert_eq!(heard["id"], "question-0");
    let last = events.next().await.unwrap();
    assert_eq!(last["id"], "seven");
    assert_eq!(last["result"]["heard"], json!({"roots": []}));
    assert_eq!(events.next().await, None);
    // An answer counts once.
    assert_eq!(ann.says(&reply).await.0, 202);
    ann.legacy_tool("echo", json!({})).await;
    let next = child.hears("\"id\"").await;
    assert_eq!(next["params"]["name"], "echo");
}

#[tokio::test]
async fn a_question_of_one_session_is_not_answered_by_another() {
    let watch = Watch::start().await;
    let (ann, mut child) = session(&watch).await;
    let bob = ann.as_user("bob").initialize().await;
    let request = ann.legacy(&call(7, "ask", json!({"method": "roots/list"})));
    let mut events = Events::of(ann.open(request).await);
    let question = events.next().await.unwrap();
    let planted = json!({"jsonrpc": "2.0", "id": question["id"], "result": {"planted": 1}});
    assert_eq!(bob.says(&planted).await.0, 202);
    assert_eq!(bob.in_session(ann.session()).says(&planted).await.0, 404);
    let reply = json!({"jsonrpc": "2.0", "id": question["id"], "result": {"good": 1}});
    ann.says(&reply).await;
    assert_eq!(child.hears("result").await["result"], json!({"good": 1}));
    assert_eq!(
        events.next().await.unwrap()["result"]["heard"],
        json!({"good": 1})
    );
}

#[tokio::test]
async fn the_standing_stream_carries_what_belongs_to_no_call() {
    let watch = Watch::start().await;
    let (ann, _child) = session(&watch).await;
    // Said before the stream is open: it is kept, unless a call can carry it.
    let mut first = Events::of(ann.open(ann.bare("GET")).await);
    ann.legacy_tool("changed", json!({})).await;
    let told = first.next().await.unwrap();
    assert_eq!(told["method"], "notifications/tools/list_changed");
    // Another stream takes its place.
    let mut second = Events::of(ann.open(ann.bare("GET")).await);
    assert_eq!(first.next().await, None);
    ann.legacy_tool("changed", json!({})).await;
    assert!(second.next().await.is_some());
    // It ends with the session.
    ann.send(ann.bare("DELETE")).await;
    assert_eq!(second.next().await, None);
}

#[tokio::test]
async fn log_messages_come_with_the_call() {
    let watch = Watch::start().await;
    let (ann, _child) = session(&watch).await;
    let _standing = ann.open(ann.bare("GET")).await;
    let request = ann.legacy(&call(7, "log", json!({"x": 1})));
    let all = Events::of(ann.open(request).await).all().await;
    let shown: Vec<&Value> = all
        .iter()
        .map(|message| &message["params"]["data"])
        .collect();
    assert_eq!(shown, [&json!({"x": 1}), &Value::Null]);
}

#[tokio::test]
async fn a_client_cancels_its_own_call_by_its_own_id() {
    let watch = Watch::start().await;
    let (ann, mut child) = session(&watch).await;
    let message = call("mine", "hold", json!({}));
    let mut holding = Box::pin(ann.says(&message));
    let wire = tokio::select! {
        _ = &mut holding => unreachable!("it is held"),
        heard = child.hears("hold") => heard["id"].clone(),
    };
    let cancel = |id: Value| json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}});
    // By the child's id, or another's, nothing is cancelled.
    assert_eq!(ann.says(&cancel(wire.clone())).await.0, 202);
    assert_eq!(ann.says(&cancel(json!("other"))).await.0, 202);
    assert_eq!(ann.says(&cancel(json!("mine"))).await.0, 202);
    let heard = child.hears("notifications/cancelled").await;
    assert_eq!(heard["params"]["requestId"], wire);
    ann.legacy_tool("release", json!({})).await;
    assert_eq!(soon(holding).await.1["id"], "mine");
}

#[tokio::test]
async fn a_refused_initialize_opens_nothing() {
    let watch = Watch::start().await;
    let upstream = upstream(target(watch.program(["--modern"])));
    let ann = Caller::new(&upstream, "ann");
    let answer = ann.send(ann.legacy(&initialize("2025-11-25"))).await;
    assert!(!answer.headers().contains_key("mcp-session-id"));
    assert_eq!(code(&gatewright_test_support::message(&answer)), -32602);
    watch.child().await.dies().await;
}

#[tokio::test]
async fn a_principals_oldest_idle_session_gives_way() {
    let watch = Watch::start().await;
    let mut children = gatewright_upstream::ChildLimits::default();
    children.per_principal = 2;
    let program = watch.program(["--legacy"]).with_children(children);
    let ann = Caller::new(&upstream(target(program)), "ann");
    let first = ann.initialize().await;
    let oldest = watch.child().await;
    let second = ann.initialize().await;
    let bob = ann.as_user("bob").initialize().await;
    let third = ann.initialize().await;
    oldest.dies().await;
    assert_eq!(first.says(&call(7, "echo", json!({}))).await.0, 404);
    for kept in [second, bob, third] {
        assert_eq!(kept.says(&call(7, "echo", json!({}))).await.0, 200);
    }
}

#[tokio::test]
async fn children_are_bounded_for_a_server_and_in_all() {
    let watch = Watch::start().await;
    let mut children = gatewright_upstream::ChildLimits::default();
    children.per_server = 1;
    let program = watch.program(["--legacy"]).with_children(children);
    let upstream = upstream(target(program)).with_max_children(2);
    let ann = Caller::new(&upstream, "ann");
    let one = ann.initialize().await;
    let refused = async |caller: Caller| {
        let (status, answer) = caller.says(&initialize("2025-11-25")).await;
        assert_eq!((status.as_u16(), code(&answer)), (503, 5505), "{answer}");
        assert_eq!(answer["id"], "open");
    };
    // The server has its one.
    refused(ann.as_user("bob")).await;
    let other = ann.at("other", "s").initialize().await;
    // The gateway has its two.
    refused(ann.at("default", "t")).await;
    for kept in [&one, &other] {
        assert_eq!(kept.says(&call(7, "echo", json!({}))).await.0, 200);
    }
    // Room is made when one has ended.
    one.send(one.bare("DELETE")).await;
    watch.child().await.dies().await;
    soon(async {
        let bob = ann.as_user("bob");
        while bob.says(&initialize("2025-11-25")).await.0 != 200 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_principal_cannot_open_more_than_its_share_at_once() {
    let (watch, gate) = (Watch::start().await, Gate::new().await);
    let address = gate.address()["address"].as_str().unwrap().to_owned();
    let mut children = gatewright_upstream::ChildLimits::default();
    children.per_principal = 2;
    let program = watch
        .program(["--legacy", "--gate", &address])
        .with_children(children);
    let ann = Caller::new(&upstream(target(program)), "ann");
    let message = initialize("2025-11-25");
    let mut opening = Box::pin(async { tokio::join!(ann.says(&message), ann.says(&message)) });
    let children = tokio::select! {
        biased;
        _ = &mut opening => unreachable!("both are held at the gate"),
        children = async {
            let held = [watch.child().await, watch.child().await];
            let (status, answer) = ann.says(&message).await;
            assert_eq!((status.as_u16(), code(&answer)), (503, 5505), "{answer}");
            held
        } => children,
    };
    // Who does not wait any more has nothing there.
    drop(opening);
    for child in children {
        child.dies().await;
    }
    let bob = ann.as_user("bob");
    let (opened, ()) = tokio::join!(bob.says(&message), async {
        for _ in 0..3 {
            drop(gate.waits().await);
        }
    });
    assert_eq!(opened.0, 200);
}
