//! Servers in child processes that do what no server should.

use serde_json::json;
use tokio::time::timeout;

use super::{PATIENCE, echo, records, refused};
use crate::{
    admin::{raw, server},
    bed::{Bed, STAFF_ECHOES},
};

fn local(script: &str) -> String {
    format!(
        "[[servers]]\nname = 'local'\ncommand = 'sh'\nargs = ['-c', '''{script}''']\nera = 'modern'\n"
    )
}

/// What a child says to its first call.
const NONSENSE: [(&str, &str); 5] = [
    (
        "a line without end",
        "while :; do printf 'planted planted planted planted planted planted '; done",
    ),
    (
        "a line that is too long",
        "head -c 200000 /dev/zero | tr '\\0' 'p'; printf '\\n'",
    ),
    (
        "an answer to nobody",
        "printf '{\"jsonrpc\":\"2.0\",\"id\":\"nobody\",\"result\":{\"planted\":1}}\\n'",
    ),
    (
        "an answer to its own id",
        "printf '{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"planted\":1}}\\n'",
    ),
    ("no message", "echo planted"),
];

#[tokio::test]
async fn nonsense_of_a_child_ends_it_and_the_caller_gets_none_of_it() {
    let sound = raw().await;
    for (what, says) in NONSENSE {
        let script = format!("read -r line; {says}; read -r line");
        let sound = server("sound", &sound.url("/mcp"), "");
        let organisation = format!("{}{sound}{STAFF_ECHOES}", local(&script));
        let bed = Bed::start_with(&[], &organisation, "limits.answer_bytes = 65536").await;
        for _ in 0..2 {
            let answer = timeout(PATIENCE, echo(&bed, "local", "ann")).await.unwrap();
            assert_eq!(refused(&answer), 5503, "{what}: {answer:?}");
            assert!(
                !format!("{answer:?}").contains("planted"),
                "{what}: {answer:?}"
            );
        }
        assert_eq!(echo(&bed, "sound", "ann").await.status(), 200, "{what}");
        let records = records(bed).await;
        assert!(!format!("{records:?}").contains("planted"), "{what}");
    }
}

#[tokio::test]
async fn a_child_that_crashes_in_a_loop_is_started_seldom_and_harms_nobody() {
    let sound = raw().await;
    let dir = tempfile::tempdir().unwrap();
    let starts = dir.path().join("starts");
    let script = format!("echo started >> {}; read -r line; exit 3", starts.display());
    let sound = server("sound", &sound.url("/mcp"), "");
    let bed = Bed::start(&[], &format!("{}{sound}{STAFF_ECHOES}", local(&script))).await;
    for _ in 0..30 {
        let answer = echo(&bed, "local", "ann").await;
        assert_eq!(refused(&answer), 5502, "{answer:?}");
        assert_eq!(echo(&bed, "sound", "ann").await.status(), 200);
    }
    let last = echo(&bed, "local", "ann").await;
    assert!(last.headers().contains_key("retry-after"), "{last:?}");
    let started = std::fs::read_to_string(&starts).unwrap().lines().count();
    assert!(started < 8, "{started} starts for 31 calls");

    // Once it is repaired, its next call is answered as soon as the pause is over.
    let answers = r#"while read -r line; do
id=$(printf '%s' "$line" | sed -n 's/.*"id":\("[^"]*"\|[0-9]*\).*/\1/p')
printf '{"jsonrpc":"2.0","id":%s,"result":{"content":[]}}\n' "$id"
done"#;
    bed.reapply(&[], &format!("{}{STAFF_ECHOES}", local(answers)))
        .await;
    let repaired = async {
        loop {
            let answer = echo(&bed, "local", "ann").await;
            if answer.status() == 200 {
                break;
            }
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, repaired).await.unwrap();
    let records = records(bed).await;
    let failed = records.iter().filter(|record| {
        record["kind"] == "outcome"
            && record["server"] == "local"
            && record["outcome"]["status"] == 502
    });
    assert!(failed.count() >= 31, "each call has its outcome");
    assert_eq!(json!(records).to_string().matches("planted").count(), 0);
}
