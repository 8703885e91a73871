//! What is the same for everything that a tenant consists of: where it is, lists, looks and changes.

use std::io::{self, Write as _};

use clap::Args;
use http::Method;
use serde_json::{Map, Value, json};

use super::{ConfigArgs, Failure, Found, Outcome, admin::Admin, table};

/// Lists are not longer than this; who has more asks for what they mean.
const MOST: usize = 100_000;

/// Of which gateway and tenant, and how it is shown.
#[derive(Debug, Args)]
pub(super) struct Place {
    #[command(flatten)]
    pub(super) config: ConfigArgs,
    /// The tenant
    #[arg(long, value_name = "NAME", default_value = "default")]
    pub(super) tenant: String,
    /// For scripts
    #[arg(long)]
    pub(super) json: bool,
}

/// How things of a kind are shown.
pub(super) struct Shape {
    /// In paths.
    pub(super) segment: &'static str,
    /// For people: one of them.
    pub(super) one: &'static str,
    pub(super) heads: &'static [&'static str],
    pub(super) row: fn(&Value) -> Vec<String>,
}

impl Place {
    pub(super) const fn admin(&self) -> Admin<'_> {
        Admin::new(&self.config)
    }

    /// A path in the tenant.
    pub(super) fn at<'a>(&'a self, rest: &[&'a str]) -> Vec<&'a str> {
        let mut path = vec!["tenants", self.tenant.as_str()];
        path.extend(rest);
        path
    }

    pub(super) fn list(&self, shape: &Shape, query: &[(&str, String)]) -> Outcome {
        self.table(shape.heads, shape.row, &self.items(shape, query)?)
    }

    pub(super) fn items(
        &self,
        shape: &Shape,
        query: &[(&str, String)],
    ) -> Result<Vec<Value>, Failure> {
        self.admin().items(&self.at(&[shape.segment]), query, MOST)
    }

    pub(super) fn table(
        &self,
        heads: &[&str],
        row: fn(&Value) -> Vec<String>,
        items: &[Value],
    ) -> Outcome {
        let mut out = io::stdout().lock();
        if self.json {
            writeln!(out, "{:#}", json!({ "items": items }))?;
            return Ok(Found::Good);
        }
        let rows: Vec<Vec<String>> = items.iter().map(row).collect();
        table::write(&mut out, heads, &rows)?;
        Ok(Found::Good)
    }

    pub(super) fn show(&self, shape: &Shape, id: &str) -> Outcome {
        let found = self
            .admin()
            .ask(Method::GET, &self.at(&[shape.segment, id]), None)?;
        self.print(&found)
    }

    /// A thing, a member a line.
    pub(super) fn print(&self, thing: &Value) -> Outcome {
        let mut out = io::stdout().lock();
        if self.json {
            writeln!(out, "{thing:#}")?;
            return Ok(Found::Good);
        }
        let mut rows = Vec::new();
        lines(thing, "", &mut rows);
        let wide = rows
            .iter()
            .map(|(name, _)| name.chars().count())
            .max()
            .unwrap_or_default();
        for (name, value) in rows {
            writeln!(out, "{name:wide$}  {value}")?;
        }
        Ok(Found::Good)
    }

    pub(super) fn add(&self, shape: &Shape, body: &Value) -> Outcome {
        let made = self
            .admin()
            .ask(Method::POST, &self.at(&[shape.segment]), Some(body))?;
        self.done("added", shape, &made)
    }

    pub(super) fn change(&self, shape: &Shape, id: &str, patch: &Map<String, Value>) -> Outcome {
        if patch.is_empty() {
            return Err(format!("say what of {} is to change; see `--help`", shape.one).into());
        }
        let patch = Value::Object(patch.clone());
        let made = self
            .admin()
            .ask(Method::PATCH, &self.at(&[shape.segment, id]), Some(&patch))?;
        self.done("changed", shape, &made)
    }

    pub(super) fn remove(&self, shape: &Shape, id: &str) -> Outcome {
        let gone = self
            .admin()
            .ask(Method::DELETE, &self.at(&[shape.segment, id]), None)?;
        self.done("removed", shape, &gone)
    }

    fn done(&self, what: &str, shape: &Shape, made: &Value) -> Outcome {
        let mut out = io::stdout().lock();
        if self.json {
            writeln!(out, "{made:#}")?;
            return Ok(Found::Good);
        }
        let id = table::of(made, "id");
        // By the name that people know it by, with the id that never changes.
        let names = ["user_name", "display_name"].map(|name| made.get(name));
        match names.into_iter().flatten().next() {
            Some(name) => writeln!(out, "{what} {} {} ({id})", shape.one, table::cell(name))?,
            None => writeln!(out, "{what} {} {id}", shape.one)?,
        }
        let also = made.pointer("/meta/also").or_else(|| made.get("also"));
        for other in also.and_then(Value::as_array).into_iter().flatten() {
            writeln!(out, "changed with it: {}", table::cell(other))?;
        }
        Ok(Found::Good)
    }
}

/// Every value with the names that lead to it; lists of plain values in one line.
fn lines(value: &Value, name: &str, rows: &mut Vec<(String, String)>) {
    let inner = |next: &str| match name {
        "" => next.to_owned(),
        _ => format!("{name}.{next}"),
    };
    match value {
        Value::Object(members) => {
            for (next, value) in members {
                lines(value, &inner(next), rows);
            }
        }
        // What is empty says nothing.
        Value::Array(items) if items.is_empty() => {}
        Value::Array(items) if items.iter().any(Value::is_object) => {
            for (number, item) in items.iter().enumerate() {
                lines(item, &inner(&(number + 1).to_string()), rows);
            }
        }
        _ => rows.push((name.to_owned(), table::cell(value))),
    }
}

/// Puts a value under a name where there is one.
pub(super) fn put(body: &mut Map<String, Value>, name: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        body.insert(name.to_owned(), value.into());
    }
}

/// `issuer|id` as the API takes it.
pub(super) fn identity(text: &str) -> Result<Value, Failure> {
    let Some((issuer, subject)) = text.split_once('|') else {
        return Err(format!(
            "`{text}` is no identity: write it as `<issuer>|<id>`, as `https://login.example.com|ann`"
        )
        .into());
    };
    Ok(json!({"issuer": issuer, "subject": subject}))
}

pub(super) fn identities(texts: &[String]) -> Result<Vec<Value>, Failure> {
    texts.iter().map(|text| identity(text)).collect()
}

/// `name=value`, where the name may lead into objects and the value is JSON or else a text.
pub(super) fn settings(texts: &[String], body: &mut Map<String, Value>) -> Result<(), Failure> {
    for text in texts {
        let Some((path, value)) = text.split_once('=') else {
            return Err(format!("`{text}` sets nothing: write it as `name=value`").into());
        };
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
        set(body, path, value);
    }
    Ok(())
}

pub(super) fn set(body: &mut Map<String, Value>, path: &str, value: Value) {
    match path.split_once('.') {
        None => {
            body.insert(path.to_owned(), value);
        }
        Some((first, rest)) => {
            let next = body.entry(first).or_insert_with(|| json!({}));
            if let Value::Object(members) = next {
                set(members, rest, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_lead_into_objects_and_are_json_where_they_can_be() {
        let mut body = Map::new();
        let texts = [
            "url=https://a.example/?a=b",
            "timeout=5",
            "credential.mode=shared",
            "tags=[\"a\"]",
            "x.y.z=true",
        ];
        settings(&texts.map(str::to_owned), &mut body).unwrap();
        assert_eq!(
            Value::Object(body),
            json!({"url": "https://a.example/?a=b", "timeout": 5, "credential": {"mode": "shared"}, "tags": ["a"], "x": {"y": {"z": true}}})
        );
        settings(&["nothing".to_owned()], &mut Map::new()).unwrap_err();
        identity("ann").unwrap_err();
    }

    #[test]
    fn a_thing_is_shown_a_member_a_line() {
        let mut rows = Vec::new();
        let thing = json!({"id": "ann", "meta": {"revision": 5}, "identities": [{"issuer": "i", "subject": "s"}], "tags": ["a", "b"], "none": {}, "empty": []});
        lines(&thing, "", &mut rows);
        let shown: Vec<String> = rows
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        assert_eq!(
            shown,
            [
                "id=ann",
                "meta.revision=5",
                "identities.1.issuer=i",
                "identities.1.subject=s",
                "tags=a b",
            ]
        );
    }
}
