//! Children of the modern era.

use gatewright_upstream::{EraSetting, Sharing};
use serde_json::json;

use crate::support::{Caller, Events, Watch, code, modern_at, soon, target, upstream};

#[tokio::test]
async fn a_call_goes_to_a_child_and_its_answer_comes_back_under_its_own_id() {
    let watch = Watch::start().await;
    let ann = Caller::new(&upstream(target(watch.program([]))), "ann");
    let answer = ann.tool("echo", json!({"a": 1})).await;
    assert_eq!(answer["id"], 7);
    assert_eq!(answer["result"]["arguments"], json!({"a": 1}));
    let mut child = watch.child().await;
    child.hears("server/discover").await;
    let heard = child.hears("tools/call").await;
    assert_eq!(heard["params"]["arguments"], json!({"a": 1}));
    // The era is asked once.
    ann.tool("echo", json!({})).await;
    child.hears("tools/call").await;
    watch.nothing_more().await;
}

#[tokio::test]
async fn white_space_of_a_client_smuggles_no_second_call() {
    let watch = Watch::start().await;
    let ann = Caller::new(&modern_at(watch.program([])), "ann");
    let hidden = r#"{"jsonrpc":"2.0","id":66,"method":"tools/call","params":{"name":"planted"}}"#;
    let request = Caller::modern(
        "tools/call",
        7,
        json!({"name": "echo", "arguments": {"x": 0}}),
    )
    .map(|body| {
        let text = String::from_utf8(body.to_vec()).unwrap();
        text.replace(r#""x":0"#, &format!("\"x\":\n{hidden}\r\n"))
            .into()
    });
    let answer = gatewright_test_support::message(&ann.send(request).await);
    assert_eq!(
        answer["result"]["arguments"]["x"]["params"]["name"],
        "planted"
    );
    let mut child = watch.child().await;
    let heard = child.hears("planted").await;
    assert_eq!(heard["params"]["name"], "echo");
}

#[tokio::test]
async fn errors_have_the_status_of_their_era() {
    let watch = Watch::start().await;
    let ann = Caller::new(&upstream(target(watch.program([]))), "ann");
    let unknown = ann.send(Caller::modern("prompts/list", 7, json!({}))).await;
    assert_eq!(unknown.status(), 404);
    assert_eq!(code(&gatewright_test_support::message(&unknown)), -32601);
    let refused = Caller::modern("tools/call", 7, json!({"name": "no such"}));
    assert_eq!(ann.send(refused).await.status(), 200);
    let session = ann.initialize().await;
    let list = json!({"jsonrpc": "2.0", "id": 7, "method": "prompts/list"});
    let (status, answer) = session.says(&list).await;
    assert_eq!((status.as_u16(), code(&answer)), (200, -32601));
}

#[tokio::test]
async fn progress_comes_under_the_clients_token() {
    let watch = Watch::start().await;
    let ann = Caller::new(&modern_at(watch.program([])), "ann");
    let params = json!({"name": "progress", "_meta": {"progressToken": "mine"}});
    let answer = ann.open(Caller::modern("tools/call", 7, params)).await;
    let all = Events::of(answer).all().await;
    let told: Vec<_> = all
        .iter()
        .map(|message| message["params"]["progressToken"].clone())
        .collect();
    assert_eq!(told, [json!("mine"), json!("mine"), json!(null)]);
    let last = all.last().unwrap();
    assert_eq!(last["id"], 7);
    // The child itself knows another.
    assert!(last["result"]["token"].is_i64(), "{last}");

    let silent = ann
        .send(Caller::modern("tools/call", 8, json!({"name": "progress"})))
        .await;
    assert_eq!(silent.headers()["content-type"], "application/json");
}

#[tokio::test]
async fn a_call_that_nobody_waits_for_is_cancelled() {
    let watch = Watch::start().await;
    let ann = Caller::new(&modern_at(watch.program([])), "ann");
    let mut waiting = Box::pin(ann.tool("hold", json!({})));
    let mut child = tokio::select! {
        _ = &mut waiting => unreachable!("it is held"),
        child = async {
            let mut child = watch.child().await;
            let heard = child.hears("hold").await;
            (child, heard["id"].clone())
        } => child,
    };
    drop(waiting);
    let cancelled = child.0.hears("notifications/cancelled").await;
    assert_eq!(cancelled["params"]["requestId"], child.1);
    // The child answers all the same: nobody is told, and nothing breaks.
    ann.tool("release", json!({})).await;
    assert_eq!(ann.tool("echo", json!({})).await["id"], 7);
}

#[tokio::test]
async fn subscriptions_carry_the_clients_id_and_end_when_the_server_says_so() {
    let watch = Watch::start().await;
    let ann = Caller::new(&modern_at(watch.program([])), "ann");
    let subscription = "io.modelcontextprotocol/subscriptionId";
    let listen = Caller::modern(
        "subscriptions/listen",
        41,
        json!({"notifications": {"toolsListChanged": true}}),
    );
    let mut events = Events::of(ann.open(listen).await);
    let acknowledged = events.next().await.unwrap();
    assert_eq!(
        acknowledged["method"],
        "notifications/subscriptions/acknowledged"
    );
    assert_eq!(acknowledged["params"]["_meta"][subscription], 41);
    ann.tool("changed", json!({})).await;
    let changed = events.next().await.unwrap();
    assert_eq!(changed["method"], "notifications/tools/list_changed");
    assert_eq!(changed["params"]["_meta"][subscription], 41);
    ann.tool("unsubscribe", json!({})).await;
    let last = events.next().await.unwrap();
    assert_eq!(
        (&last["id"], &last["result"]["_meta"][subscription]),
        (&json!(41), &json!(41))
    );
    assert_eq!(events.next().await, None);
}

#[tokio::test]
async fn a_log_message_is_told_where_only_one_call_can_be_meant() {
    let watch = Watch::start().await;
    let ann = Caller::new(&modern_at(watch.program([])), "ann");
    let params = json!({"name": "log", "arguments": {"x": 1}});
    let all = Events::of(
        ann.open(Caller::modern("tools/call", 7, params.clone()))
            .await,
    )
    .all()
    .await;
    assert_eq!(all[0]["params"]["data"], json!({"x": 1}));

    let mut holding = Box::pin(ann.tool("hold", json!({})));
    let mut child = watch.child().await;
    let alone = tokio::select! {
        _ = &mut holding => unreachable!("it is held"),
        alone = async {
            child.hears("hold").await;
            ann.send(Caller::modern("tools/call", 8, params)).await
        } => alone,
    };
    assert_eq!(alone.headers()["content-type"], "application/json");
}

#[tokio::test]
async fn a_legacy_server_is_told_by_its_answer_or_by_its_leaving() {
    for arguments in [["--legacy", ""], ["--legacy", "--leaves"]] {
        let watch = Watch::start().await;
        let ann = Caller::new(&upstream(target(watch.program(arguments))), "ann");
        let answer = ann.send(Caller::modern("tools/list", 7, json!({}))).await;
        assert_eq!(answer.status(), 400);
        assert_eq!(code(&gatewright_test_support::message(&answer)), 4406);
        watch.child().await.dies().await;
        // It is remembered, and nothing is started to be asked again.
        assert_eq!(code(&ann.tool("echo", json!({})).await), 4406);
        watch.nothing_more().await;
        // And the legacy era works.
        let session = ann.initialize().await;
        assert_eq!(session.legacy_tool("echo", json!({})).await["id"], 7);
    }
}

#[tokio::test]
async fn a_legacy_server_may_answer_the_probe_with_silence() {
    let program = gatewright_upstream::Program::new("/bin/sh")
        .with_arguments(["-c", "while read -r line; do :; done"]);
    let silent = gatewright_upstream::Timeouts {
        first_byte: std::time::Duration::from_millis(50),
        ..crate::support::times()
    };
    let quiet = gatewright_upstream::Target::stdio(program).with_timeouts(silent);
    let ann = Caller::new(&upstream(quiet), "ann");
    assert_eq!(code(&ann.tool("echo", json!({})).await), 4406);
}

#[tokio::test]
async fn initialize_at_a_modern_only_server_names_its_versions() {
    let watch = Watch::start().await;
    for (arguments, era) in [
        (["--modern", ""], EraSetting::Probe),
        (["--modern", "--terse"], EraSetting::Probe),
        (["--modern", ""], EraSetting::Modern),
    ] {
        for sharing in [Sharing::Separate, Sharing::Stateless] {
            let program = watch.program(arguments).with_sharing(sharing);
            let ann = Caller::new(&upstream(target(program).with_era(era)), "ann");
            let (status, answer) = ann.says(&crate::support::initialize("2025-11-25")).await;
            assert_eq!((status.as_u16(), code(&answer)), (400, -32602));
            assert_eq!(answer["error"]["data"]["supported"], json!(["2026-07-28"]));
        }
    }
    soon(watch.child()).await.dies().await;
}
