//! A restart while callers call.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use gatewright_test_support::{Client, message, modern_request};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{Served, path, run};

const CALLERS: usize = 8;
/// So many answers each side of the restart.
const ANSWERS: usize = 200;

/// Somebody who calls again and again, whatever becomes of the gateway.
struct Caller {
    client: Client,
    url: String,
    user: String,
    token: String,
    answered: Arc<AtomicUsize>,
    enough: Arc<AtomicBool>,
}

impl Caller {
    /// How many calls were answered, and how many were turned away.
    async fn calls(self) -> (String, usize, usize) {
        let (mut answered, mut turned_away) = (0, 0);
        while !self.enough.load(Ordering::Relaxed) {
            let text = format!("{} {answered}", self.user);
            let params = json!({"name": "echo", "arguments": {"text": text}});
            let request = modern_request(&self.url, Some(&self.token), 1, "tools/call", params);
            // Nobody listens, or the connection was closed before the call was taken.
            let Some(answer) = self.client.try_send(request).await else {
                turned_away += 1;
                tokio::task::yield_now().await;
                continue;
            };
            let said = message(&answer);
            assert_eq!(said["result"]["content"][0]["text"], text, "{answer:?}");
            answered += 1;
            self.answered.fetch_add(1, Ordering::Relaxed);
        }
        (self.user, answered, turned_away)
    }
}

async fn until(answered: &AtomicUsize, enough: usize) {
    while answered.load(Ordering::Relaxed) < enough {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_under_load_loses_no_call_that_was_admitted() {
    let limits = "[limits.principal]\nper_second = 1000000\nburst = 1000000\n";
    let mut served = Served::start_with(30_000, limits).await;
    let answered = Arc::new(AtomicUsize::new(0));
    let enough = Arc::new(AtomicBool::new(false));
    let mut callers = JoinSet::new();
    for number in 0..CALLERS {
        let (user, url) = (
            format!("caller-{number}"),
            format!("{}/mcp/tools", served.base),
        );
        let token = served.idp.token(&user, &url).claim("groups", ["staff"]);
        let caller = Caller {
            client: Client::default(),
            token: token.sign(),
            user,
            url,
            answered: Arc::clone(&answered),
            enough: Arc::clone(&enough),
        };
        callers.spawn(caller.calls());
    }
    for _ in 0..2 {
        let before = answered.load(Ordering::Relaxed);
        until(&answered, before + ANSWERS).await;
        served.signal("TERM");
        assert_eq!(tokio::task::block_in_place(|| served.ends()), Some(0));
        let (status, text, _) = run(&["audit", "verify", "--config", path(&served.config())]);
        assert_eq!(status, 0, "{text}");
        assert!(!text.contains("without outcome"), "{text}");
        tokio::task::block_in_place(|| served.again());
    }
    let before = answered.load(Ordering::Relaxed);
    until(&answered, before + ANSWERS).await;
    enough.store(true, Ordering::Relaxed);
    let callers = callers.join_all().await;
    served.signal("TERM");
    assert_eq!(tokio::task::block_in_place(|| served.ends()), Some(0));

    let turned_away: usize = callers.iter().map(|caller| caller.2).sum();
    assert!(turned_away > 0, "the gateway was away for a moment");
    let config = served.config();
    let (_, log, _) = run(&["audit", "export", "--config", path(&config)]);
    let records: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let references = |kind: &str| {
        let of = records.iter().filter(|record| record["kind"] == kind);
        let mut all: Vec<&str> = of.map(|record| record["ref"].as_str().unwrap()).collect();
        all.sort_unstable();
        all
    };
    assert_eq!(references("admitted"), references("outcome"));
    for record in records.iter().filter(|record| record["kind"] == "outcome") {
        assert_eq!(record["outcome"]["ended"], "complete", "{record}");
    }
    for (user, answers, _) in callers {
        let (_, own, _) = run(&[
            "audit",
            "export",
            "--config",
            path(&config),
            "--principal",
            &user,
        ]);
        let admitted = own.matches("\"kind\":\"admitted\"").count();
        assert_eq!(admitted, answers, "{user}: what was admitted was answered");
    }
}
