//! Children that die, hang or talk nonsense: whoever waits is told, and nobody else notices.

use std::{
    io::Write,
    sync::{Arc, Mutex},
    time::Duration,
};

use gatewright_upstream::{ChildLimits, EraSetting, Program, Sharing, Timeouts};
use serde_json::{Value, json};

use crate::support::{Caller, Events, Watch, call, code, key, modern_at, target, times, upstream};

#[tokio::test]
async fn a_child_that_breaks_the_protocol_is_ended_and_every_call_told() {
    let watch = Watch::start().await;
    for tool in [
        "garbage", "broken", "latin", "batch", "endless", "unasked", "text id", "request",
    ] {
        let ann = Caller::new(&modern_at(watch.program([])), "ann");
        let params = json!({"name": tool});
        let broken = ann.send(Caller::modern("tools/call", 7, params)).await;
        let answer = gatewright_test_support::message(&broken);
        assert_eq!(
            (broken.status().as_u16(), code(&answer)),
            (502, 5503),
            "{tool}: {answer}"
        );
        assert_eq!(answer["id"], 7, "{tool}");
        assert!(!answer.to_string().contains("planted"), "{tool}: {answer}");
        watch.child().await.dies().await;
    }
}

#[tokio::test]
async fn a_child_that_dies_tells_everybody_who_waits_and_the_next_call_starts_another() {
    let watch = Watch::start().await;
    let ann = Caller::new(&modern_at(watch.program([])), "ann");
    let (held, died) = tokio::join!(ann.tool("hold", json!({})), async {
        watch.child().await.hears("hold").await;
        ann.tool("die", json!({})).await
    });
    for answer in [held, died] {
        assert_eq!(
            (&answer["id"], code(&answer)),
            (&json!(7), 5502),
            "{answer}"
        );
    }
    assert_eq!(
        ann.tool("echo", json!({})).await["result"]["arguments"],
        json!({})
    );
    watch.child().await;
}

#[tokio::test]
async fn a_stream_that_has_begun_ends_with_an_error_of_its_call() {
    let watch = Watch::start().await;
    let ann = Caller::new(&upstream(target(watch.program(["--legacy"]))), "ann");
    let ann = ann.initialize().await;
    let request = ann.legacy(&call("mine", "ask", json!({"method": "roots/list"})));
    let mut events = Events::of(ann.open(request).await);
    assert_eq!(events.next().await.unwrap()["method"], "roots/list");
    ann.legacy_tool("die", json!({})).await;
    let last = events.next().await.unwrap();
    assert_eq!((&last["id"], code(&last)), (&json!("mine"), 5502));
    assert_eq!(events.next().await, None);
    // What the child knew of the session is lost: the client opens another.
    assert_eq!(ann.says(&call(7, "echo", json!({}))).await.0, 404);
    assert_eq!(
        ann.initialize().await.legacy_tool("echo", json!({})).await["id"],
        7
    );
}

#[tokio::test]
async fn a_child_that_crashes_in_a_loop_is_not_started_hot() {
    let watch = Watch::start().await;
    let upstream = modern_at(watch.program(["--crash"]));
    let ann = Caller::new(&upstream, "ann").with(key(1, "k"));
    let mut answers = Vec::new();
    for _ in 0..20 {
        answers.push(ann.tool("echo", json!({})).await);
    }
    assert!(
        answers
            .iter()
            .all(|answer| answer["id"] == 7 && code(answer) == 5502)
    );
    // Two starts: the first, and the one that a single failure deserves.
    for _ in 0..2 {
        watch.child().await.dies().await;
    }
    watch.nothing_more().await;
    let refused = ann.send(Caller::modern("tools/list", 8, json!({}))).await;
    assert_eq!(refused.status(), 502);
    assert_eq!(refused.headers()["retry-after"], "1");
    let said = String::from_utf8_lossy(refused.body()).into_owned();
    assert!(
        said.contains("keeps ending") && said.contains("again in"),
        "{said}"
    );

    // Others are not held back by it: the credential may be what is wrong.
    ann.with(key(2, "k")).tool("echo", json!({})).await;
    watch.child().await;
    ann.as_user("bob").tool("echo", json!({})).await;
    watch.child().await;
}

#[tokio::test]
async fn a_program_that_is_not_there_is_said_to_be() {
    let ann = Caller::new(&modern_at(Program::new("/no/such/program")), "ann");
    let answer = ann.tool("echo", json!({})).await;
    assert_eq!((&answer["id"], code(&answer)), (&json!(7), 5502));
    assert!(!answer.to_string().contains("/no/such"), "{answer}");
    let elsewhere = Program::new("true").with_variable("PATH", "/no/such/place");
    let answer = Caller::new(&modern_at(elsewhere), "ann")
        .tool("echo", json!({}))
        .await;
    assert_eq!(code(&answer), 5502);
}

#[tokio::test]
async fn a_child_that_takes_nothing_any_more_is_ended() {
    let others = Watch::start().await;
    // It closes its input and stays.
    let program = Program::new("/bin/sh").with_arguments([
        "-c",
        r#"exec 0<&-; exec "$0" --hold "$1""#,
        env!("CARGO_BIN_EXE_stdio-fixture"),
        &others.address(),
    ]);
    let ann = Caller::new(&modern_at(program), "ann");
    let mut asked = Box::pin(ann.tool("echo", json!({})));
    let held = tokio::select! {
        biased;
        held = others.child() => held,
        answer = &mut asked => {
            // It was told at once: its input was closed before the call was written.
            assert_eq!(code(&answer), 5502, "{answer}");
            return;
        }
    };
    // The cancellation cannot be written.
    drop(asked);
    held.dies().await;
}

#[tokio::test]
async fn a_child_that_does_not_greet_is_given_up_and_not_started_hot() {
    let mute = Program::new("/bin/sh")
        .with_arguments(["-c", "while read -r line; do :; done"])
        .with_sharing(Sharing::Stateless);
    let short = Timeouts {
        first_byte: Duration::from_millis(50),
        ..times()
    };
    let mute = target(mute)
        .with_era(EraSetting::Legacy)
        .with_timeouts(short);
    let ann = Caller::new(&upstream(mute), "ann");
    let mut codes = Vec::new();
    for _ in 0..4 {
        codes.push(code(&ann.legacy_tool("echo", json!({})).await));
    }
    assert_eq!(codes, [5504, 5504, 5502, 5502]);
}

#[tokio::test]
async fn an_answer_counts_once() {
    let watch = Watch::start().await;
    let ann = Caller::new(&modern_at(watch.program([])), "ann");
    assert_eq!(
        ann.tool("twice", json!({})).await["result"],
        json!({"first": true})
    );
    assert_eq!(
        ann.tool("echo", json!({"x": 1})).await["result"]["arguments"],
        json!({"x": 1})
    );
    watch.child().await;
    watch.nothing_more().await;
}

#[tokio::test]
async fn a_child_that_does_not_answer_is_too_slow_and_ended() {
    let watch = Watch::start().await;
    let short = Timeouts {
        // Long enough for it to start.
        idle: Duration::from_secs(2),
        ..times()
    };
    let hanging = target(watch.program([]))
        .with_era(EraSetting::Modern)
        .with_timeouts(short);
    let ann = Caller::new(&upstream(hanging), "ann");
    let late = ann
        .send(Caller::modern("tools/call", 7, json!({"name": "hold"})))
        .await;
    assert_eq!(late.status(), 504);
    assert_eq!(code(&gatewright_test_support::message(&late)), 5504);
    // It said nothing at all since it was asked.
    watch.child().await.dies().await;
}

#[tokio::test]
async fn no_progress_moves_the_end_of_a_call() {
    let watch = Watch::start().await;
    let short = Timeouts {
        total: Duration::from_secs(1),
        ..times()
    };
    let chatty = target(watch.program([])).with_era(EraSetting::Modern);
    let ann = Caller::new(&upstream(chatty.with_timeouts(short)), "ann");
    let params = json!({"name": "chatter", "_meta": {"progressToken": "t"}});
    let answer = ann.open(Caller::modern("tools/call", 7, params)).await;
    let all = Events::of(answer).all().await;
    let last = all.last().unwrap();
    assert_eq!((&last["id"], code(last)), (&json!(7), 5504));
}

#[tokio::test]
async fn calls_at_one_child_are_bounded() {
    let watch = Watch::start().await;
    let mut children = ChildLimits::default();
    children.calls = 1;
    let ann = Caller::new(&modern_at(watch.program([]).with_children(children)), "ann");
    let mut holding = Box::pin(ann.tool("hold", json!({})));
    tokio::select! {
        _ = &mut holding => unreachable!("it is held"),
        _ = async { watch.child().await.hears("hold").await } => {}
    }
    let answer = ann.tool("echo", json!({})).await;
    assert_eq!((&answer["id"], code(&answer)), (&json!(7), 5505));
}

#[tokio::test]
async fn a_slow_reader_costs_progress_and_never_the_answer() {
    let watch = Watch::start().await;
    let ann = Caller::new(&modern_at(watch.program([])), "ann");
    let params = json!({"name": "flood", "_meta": {"progressToken": "t"}});
    let answer = ann.open(Caller::modern("tools/call", 7, params)).await;
    // Others are served while nobody reads.
    assert_eq!(ann.tool("echo", json!({})).await["id"], 7);
    let all = Events::of(answer).all().await;
    assert!(all.len() < 5000, "{}", all.len());
    assert_eq!(all.last().unwrap()["result"], json!({"flooded": true}));
}

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn what_it_complains_of_is_logged_without_its_credential() {
    let sink = Sink::default();
    let written = sink.clone();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || written.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let watch = Watch::start().await;
    let program = watch.program([]).with_variable("OTHER", "other-planted");
    let ann = Caller::new(&modern_at(program), "ann").with(key(1, "planted-key"));
    let answer = ann.tool("complain", json!({"text": "it hurts"})).await;
    assert_eq!(answer["result"], json!({}));
    // Its last words are read until its end.
    ann.tool("die", json!({})).await;
    watch.child().await.dies().await;
    ann.upstream().close(Duration::from_secs(30)).await;
    let nowhere = modern_at(Program::new("/no/such/program").with_variable("OTHER", "planted"));
    let start = Caller::new(&nowhere, "ann").with(key(1, "planted-key"));
    assert_eq!(code(&start.tool("echo", json!({})).await), 5502);
    let logged = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
    assert!(logged.contains("key is [redacted]"), "{logged}");
    assert!(logged.contains("u{1b}[31mit hurts"), "{logged}");
    assert!(logged.contains("cannot be started"), "{logged}");
    assert!(!logged.contains("planted"), "{logged}");
    let lines: Vec<Value> = logged
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let complaint = lines
        .iter()
        .find(|line| line["fields"]["message"] == "key is [redacted]")
        .unwrap();
    assert_eq!(complaint["fields"]["server"], "s");
    assert_eq!(complaint["fields"]["tenant"], "default");
}
