//! What becomes of texts, line by line, as `diff -u` writes it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use similar::TextDiff;

/// Each file that differs: its name, what becomes of it, and the lines.
pub(super) fn between(
    before: &BTreeMap<String, String>,
    after: &BTreeMap<String, String>,
) -> Vec<Value> {
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let differing = names.into_iter().filter_map(|name| {
        let (old, new) = (before.get(name), after.get(name));
        if old == new {
            return None;
        }
        let change = match (old, new) {
            (None, _) => "added",
            (_, None) => "removed",
            _ => "changed",
        };
        let (old, new) = (
            old.map_or("", String::as_str),
            new.map_or("", String::as_str),
        );
        let lines = TextDiff::configure()
            .timeout(std::time::Duration::from_secs(1))
            .diff_lines(old, new)
            .unified_diff()
            .header(&format!("published/{name}"), &format!("draft/{name}"))
            .to_string();
        Some(json!({"name": name, "change": change, "diff": lines}))
    });
    differing.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_the_same_is_not_said() {
        let files = |all: &[(&str, &str)]| -> BTreeMap<String, String> {
            all.iter()
                .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
                .collect()
        };
        let before = files(&[("same", "x\n"), ("gone", "y\n"), ("new", "a\nb\n")]);
        let after = files(&[("same", "x\n"), ("added", "z\n"), ("new", "a\nc\n")]);
        let said = between(&before, &after);
        let said: Vec<String> = said
            .iter()
            .map(|one| {
                format!(
                    "{}:{}",
                    one["name"].as_str().unwrap(),
                    one["change"].as_str().unwrap()
                )
            })
            .collect();
        assert_eq!(said, ["added:added", "gone:removed", "new:changed"]);
        let lines = between(&before, &after)[2]["diff"]
            .as_str()
            .unwrap()
            .to_owned();
        assert!(
            lines.contains("-b\n+c\n") && lines.contains("--- published/new"),
            "{lines}"
        );
    }
}
