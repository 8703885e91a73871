//! Whether the suite's calls really reached the server: some of its checks would take a refusal's error for a success.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::Revision;
use crate::e2e::log::text;

/// Tools, prompts and resources that the suite uses in both revisions.
const BOTH: &[&str] = &[
    "test://static-binary",
    "test://static-text",
    "test://template/123/data",
    "test_audio_content",
    "test_embedded_resource",
    "test_error_handling",
    "test_image_content",
    "test_multiple_content_types",
    "test_prompt_with_arguments",
    "test_prompt_with_embedded_resource",
    "test_prompt_with_image",
    "test_simple_prompt",
    "test_simple_text",
    "test_tool_with_progress",
];

/// In the audit log's records: the policy denied the suite nothing, each of its calls that was admitted ended, and
/// one on each of the targets got an answer, as the person whose token it was.
pub(super) fn check(records: &[Value], revision: &Revision) -> Result<()> {
    let of_kind = |kind: &'static str| {
        let fits = move |record: &&Value| text(record, "/kind") == kind;
        records.iter().filter(fits)
    };
    let of_era = |record: &&Value| text(record, "/call/era") == revision.era;
    let mut refused = of_kind("refused").filter(of_era);
    if let Some(record) = refused.find(|record| text(record, "/decision/effect") == "deny") {
        bail!("the policy denied `{record}`");
    }
    let outcomes: BTreeMap<&str, &Value> = of_kind("outcome")
        .map(|record| (text(record, "/ref"), record))
        .collect();
    let mut answered = Vec::new();
    for record in of_kind("admitted").filter(of_era) {
        let outcome = outcomes.get(text(record, "/ref"));
        let outcome = outcome.with_context(|| format!("no outcome of `{record}`"))?;
        ensure!(
            text(record, "/who/user").ends_with("|alice"),
            "somebody else was admitted: `{record}`"
        );
        if is_answer(outcome) {
            answered.push(text(record, "/call/target"));
        }
    }
    for target in BOTH.iter().chain(revision.targets) {
        ensure!(
            answered.contains(target),
            "no call on `{target}` was admitted and answered"
        );
    }
    Ok(())
}

/// Whether this is the outcome of a call that got something else than a JSON-RPC error. The suite may leave a stream as
/// soon as the result has come, before the stream's end has.
fn is_answer(outcome: &Value) -> bool {
    let part = |pointer: &str| outcome.pointer(pointer);
    part("/outcome/status").and_then(Value::as_u64) == Some(200)
        && matches!(text(outcome, "/outcome/ended"), "complete" | "client-gone")
        && part("/outcome/bytes").and_then(Value::as_u64) > Some(0)
        && part("/outcome/error").is_none()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const REVISION: Revision = Revision {
        name: "2026-07-28",
        arguments: &[],
        checks: 0,
        era: "modern",
        targets: &["test_logging_tool"],
    };

    fn call(target: &str) -> [Value; 2] {
        let who = json!({"user": "http://127.0.0.1:1|alice"});
        let call = json!({"era": "modern", "target": target});
        let outcome = json!({"status": 200, "ended": "complete", "bytes": 9});
        [
            json!({"kind": "admitted", "ref": target, "who": who, "call": call}),
            json!({"kind": "outcome", "ref": target, "outcome": outcome}),
        ]
    }

    fn all() -> Vec<Value> {
        let targets = BOTH.iter().chain(REVISION.targets);
        targets.flat_map(|target| call(target)).collect()
    }

    fn why(records: &[Value]) -> String {
        check(records, &REVISION).unwrap_err().to_string()
    }

    #[test]
    fn answers_to_calls_on_everything_suffice() {
        check(&all(), &REVISION).unwrap();
    }

    #[test]
    fn errors_and_denials_and_missing_calls_are_told() {
        let mut records = all();
        let last = records.len() - 1;
        records[last]["outcome"]["error"] = json!(-32602);
        assert_eq!(
            why(&records),
            "no call on `test_logging_tool` was admitted and answered"
        );
        records.pop();
        assert!(why(&records).starts_with("no outcome of"));
        let denied = |era: &str| json!({"kind": "refused", "call": {"era": era}, "decision": {"effect": "deny"}});
        records.push(denied("legacy"));
        assert!(why(&records).starts_with("no outcome of"));
        records.push(denied("modern"));
        assert!(why(&records).starts_with("the policy denied"));
    }

    #[test]
    fn a_call_as_somebody_else_is_told() {
        let mut records = all();
        records[0]["who"] = json!({"user": "http://127.0.0.1:1|mallory"});
        assert!(why(&records).starts_with("somebody else"));
    }
}
