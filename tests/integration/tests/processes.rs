//! Servers that the gateway starts as processes.

use serde_json::json;

use crate::{
    admin::put,
    bed::{Bed, STAFF_ECHOES},
};

/// An MCP server in a few lines: it answers everything with what it finds in its environment.
const SERVER: &str = r#"while read -r line; do
id=$(printf '%s' "$line" | sed -n 's/.*"id":\("[^"]*"\|[0-9]*\).*/\1/p')
if [ -n "$id" ]; then
printf '{"jsonrpc":"2.0","id":%s,"result":{"supportedVersions":["2026-07-28"],"content":[{"type":"text","text":"%s"}]}}\n' "$id" "$MARK $API_KEY $HOME"
fi
done"#;

fn organisation(more: &str) -> String {
    format!(
        "[[servers]]\nname = 'local'\ncommand = 'sh'\nargs = ['-c', '''{SERVER}''']\nera = 'modern'\n\
         env.MARK = 'marked'\n{more}\n{STAFF_ECHOES}"
    )
}

async fn says(bed: &Bed, user: &str) -> String {
    let token = bed.token(user, "local").sign();
    let answer = bed.tool("local", &token, "echo", json!({})).await;
    let text = answer["result"]["content"][0]["text"].as_str();
    text.map_or_else(|| answer.to_string(), ToOwned::to_owned)
}

#[tokio::test]
async fn a_process_is_called_with_the_credential_of_its_caller_in_its_environment() {
    let organisation = organisation("credential = 'per-user'\ncredential_env = 'API_KEY'");
    let bed = Bed::start(&[], &organisation).await;
    assert!(says(&bed, "ann").await.contains("4401"));
    put(&bed, "local", "user:ann", "of-ann").await;
    put(&bed, "local", "user:ben", "of-ben").await;
    assert_eq!(says(&bed, "ann").await, "marked of-ann /");
    assert_eq!(says(&bed, "ben").await, "marked of-ben /");
    // A changed credential starts a new process.
    put(&bed, "local", "user:ann", "changed").await;
    assert_eq!(says(&bed, "ann").await, "marked changed /");
    assert_eq!(says(&bed, "ben").await, "marked of-ben /");
    let log = bed.closed_log().await;
    assert!(!log.contains("of-ann") && log.contains("user:"), "{log}");
}

#[tokio::test]
async fn a_process_may_run_elsewhere_and_be_bounded() {
    let more =
        "cwd = '/tmp'\nstateless = true\nprocess = { open_files = 64, calls = 4, idle_ms = 60000 }";
    let bed = Bed::start(&[], &organisation(more)).await;
    assert_eq!(says(&bed, "ann").await, "marked  /tmp");
}

#[tokio::test]
async fn a_process_that_cannot_be_started_fails_its_own_calls() {
    let gone = "[[servers]]\nname = 'gone'\ncommand = '/nowhere/server'\nera = 'modern'";
    let bed = Bed::start(&[], &organisation(gone)).await;
    let token = bed.token("ann", "gone").sign();
    let answer = bed.tool("gone", &token, "echo", json!({})).await;
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(
        message.contains("cannot be started") && !message.contains("nowhere"),
        "{message}"
    );
    assert_eq!(says(&bed, "ann").await, "marked  /");
}
