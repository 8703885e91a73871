//! Reads the servers of a tenant.

use gatewright_core::{ServerName, access::Pattern};
use gatewright_policy_cedar::ToolFacts;
use gatewright_upstream::Timeouts;

use super::{Server, forms::ServerForm, millis, reader::Reader};
use crate::config::document::{Item, Table};

impl<'t> Reader<'_, 't> {
    pub(super) fn servers(&mut self, table: &mut Table<'_, 't>) -> Vec<Server> {
        let mut servers: Vec<Server> = Vec::new();
        for item in table.list::<ServerForm>("servers", self.problems) {
            let reach = self.reach(&item);
            let credential = self.credential(&item);
            let name = match ServerName::new(&item.value.name) {
                Ok(name) => Some(name),
                Err(error) => {
                    self.problems.add(
                        item.at(&["name"]),
                        error.to_string(),
                        "choose another name: it is part of paths",
                    );
                    None
                }
            };
            if let Some(name) = &name
                && servers.iter().any(|other| other.name == *name)
            {
                let what = format!("there is a server `{name}` already");
                self.problems.add(
                    item.at(&["name"]),
                    what,
                    "give each server a name of its own",
                );
            }
            for (index, rule) in item.value.scopes.iter().enumerate() {
                let is_token =
                    |scope: &String| !scope.is_empty() && scope.bytes().all(is_scope_byte);
                if rule.scopes.is_empty() || !rule.scopes.iter().all(is_token) {
                    let at = item.at(&["scopes", &index.to_string()]);
                    let fix = "list scopes without spaces and quotes (RFC 6749 §3.3), as `scopes = [\"read\"]`";
                    self.problems
                        .add(at, "the rule names no scope, or what is none", fix);
                }
            }
            let tools = self.facts(&item);
            let timeouts = self.timeouts(&item);
            let form = item.value;
            // What has no usable name or URL was noted, and nothing is served from this file.
            let (Some(name), Some(reach), Some(credential)) = (name, reach, credential) else {
                continue;
            };
            servers.push(Server {
                name,
                disabled: form.disabled,
                reach,
                credential,
                era: form.era.into(),
                title: form.title,
                audit: form.audit,
                log_contents: form.log_contents,
                unknown_methods: form.unknown_methods,
                scopes: form.scopes,
                tools,
                timeouts,
            });
        }
        servers
    }

    fn facts(&mut self, item: &Item<'_, 't, ServerForm>) -> Vec<(Pattern, ToolFacts)> {
        let mut facts = Vec::new();
        for (name, form) in &item.value.tools {
            let at = item.at(&["tools", name]);
            let mut vouched = match (form.read_only, form.destructive) {
                (None, None) if form.tags.is_empty() => {
                    let fix = "add `read_only = true`, `destructive = false`, or `tags = [\"…\"]`";
                    self.problems
                        .add(at, format!("nothing is said about the tool `{name}`"), fix);
                    continue;
                }
                (Some(true), Some(true)) => {
                    let what = format!("the tool `{name}` cannot both read only and destroy");
                    self.problems.add(at, what, "remove one of the two");
                    continue;
                }
                (Some(true), _) => ToolFacts::READ_ONLY,
                (_, destructive) => ToolFacts {
                    destructive: destructive.unwrap_or(true),
                    ..ToolFacts::default()
                },
            };
            vouched.tags = form.tags.iter().cloned().collect();
            facts.push((Pattern::new(name), vouched));
        }
        // The engine takes the first that fits: exact names, then longer patterns before shorter ones.
        facts.sort_by_key(|(pattern, _)| {
            (
                pattern.literal().is_none(),
                std::cmp::Reverse(pattern.as_str().len()),
            )
        });
        facts
    }

    fn timeouts(&mut self, item: &Item<'_, 't, ServerForm>) -> Timeouts {
        let (form, otherwise) = (&item.value.timeouts, Timeouts::default());
        for (key, value) in [
            ("first_byte_ms", form.first_byte_ms),
            ("idle_ms", form.idle_ms),
            ("total_ms", form.total_ms),
        ] {
            if value.is_some_and(|value| !(1..=86_400_000).contains(&value)) {
                let at = item.at(&["timeouts", key]);
                self.problems.add(
                    at,
                    format!("`{key}` is out of bounds"),
                    "use 1 to 86400000 (a day)",
                );
            }
        }
        Timeouts {
            first_byte: millis(form.first_byte_ms, otherwise.first_byte),
            idle: millis(form.idle_ms, otherwise.idle),
            total: millis(form.total_ms, otherwise.total),
        }
    }
}

/// RFC 6749 §3.3 `scope-token`.
const fn is_scope_byte(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e)
}
