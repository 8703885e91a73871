//! Finding what people name: by its id, or by the name that people call it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Failure, table, things::Place};

/// Of so many the names for people are looked at; with more, one names them by what is unique.
const MOST: usize = 10_000;

impl Place {
    /// The id of a person, by user name, id or name for people.
    pub(super) fn user(&self, text: &str) -> Result<String, Failure> {
        self.named(
            "users",
            "person",
            text,
            Some("user_name"),
            "display_name",
            "user_name",
        )
    }

    /// The id of a group, by its name or id.
    pub(super) fn group(&self, text: &str) -> Result<String, Failure> {
        self.named(
            "groups",
            "group",
            text,
            Some("display_name"),
            "display_name",
            "display_name",
        )
    }

    /// The id of an agent, by id or name.
    pub(super) fn agent(&self, text: &str) -> Result<String, Failure> {
        self.named("agents", "agent", text, None, "name", "name")
    }

    fn named(
        &self,
        segment: &str,
        kind: &str,
        text: &str,
        unique: Option<&str>,
        name: &str,
        told: &str,
    ) -> Result<String, Failure> {
        let admin = self.admin();
        if text.is_empty() {
            return Err(format!("say which {kind}: by name or by id").into());
        }
        let path = self.at(&[segment]);
        if let Some(unique) = unique {
            let query = [(unique, text.to_owned())];
            if let Some(found) = admin.items(&path, &query, 1)?.first() {
                return Ok(table::of(found, "id"));
            }
        }
        if is_id(text) && admin.find(&self.at(&[segment, text]))?.is_some() {
            return Ok(text.to_owned());
        }
        let all = admin.items(&path, &[], MOST)?;
        let folded = text.to_lowercase();
        let is_called = |one: &&Value| {
            let called = one.get(name).and_then(Value::as_str);
            called.is_some_and(|called| called.to_lowercase() == folded)
        };
        let found: Vec<&Value> = all.iter().filter(is_called).collect();
        let listed = segment.trim_end_matches('s');
        match found.as_slice() {
            [only] => Ok(table::of(only, "id")),
            [] => Err(format!(
                "there is no {kind} `{text}` in the tenant `{}`: `gatewright {listed} list` shows them",
                self.tenant
            )
            .into()),
            several => {
                let several: Vec<String> = several
                    .iter()
                    .map(|one| format!("{} ({})", table::of(one, told), table::of(one, "id")))
                    .collect();
                Err(format!(
                    "`{text}` may be several: {}; name one by what is in parentheses",
                    several.join(", ")
                )
                .into())
            }
        }
    }
}

/// For how many the names are looked up, one by one; the others are shown by their ids.
const TOLD: usize = 200;

impl Place {
    /// Puts the names of people and groups in the place of their ids in grants.
    pub(super) fn tell_names(&self, grants: &mut [Value]) -> Result<(), Failure> {
        let mut names: BTreeMap<(String, String), String> = BTreeMap::new();
        for grant in grants {
            for part in ["to", "over"] {
                let Some(Value::Object(members)) = grant.get_mut(part) else {
                    continue;
                };
                for (kind, id) in members {
                    let (segment, name) = match kind.as_str() {
                        "user" => ("users", "user_name"),
                        "group" => ("groups", "display_name"),
                        _ => continue,
                    };
                    let Some(text) = id.as_str().map(ToOwned::to_owned) else {
                        continue;
                    };
                    let key = (kind.clone(), text);
                    if !names.contains_key(&key) && names.len() < TOLD {
                        let found = self.admin().find(&self.at(&[segment, &key.1]))?;
                        let called = found.map_or_else(|| key.1.clone(), |it| table::of(&it, name));
                        names.insert(key.clone(), called);
                    }
                    if let Some(called) = names.get(&key) {
                        *id = Value::from(called.as_str());
                    }
                }
            }
        }
        Ok(())
    }
}

/// What cannot be an id is not asked for.
fn is_id(text: &str) -> bool {
    text != "."
        && text != ".."
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._:@-".contains(&b))
}
