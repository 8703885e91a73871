//! `gatewright policy draft|diff|publish|history|revert`: the policies of a running gateway.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use clap::Args;
use http::Method;
use serde_json::{Map, Value, json};

use super::{
    Failure, Found, Outcome,
    apply::agreed,
    table::{self, of},
    things::{Place, put},
};

#[derive(Debug, Args)]
pub(super) struct DraftArgs {
    #[command(flatten)]
    place: Place,
    /// The `.cedar` files of this directory, or this file, are the draft from now on; it is shown if left out
    from: Option<PathBuf>,
    /// What it is about
    #[arg(long, value_name = "TEXT", requires = "from")]
    note: Option<String>,
    /// Throw the draft away
    #[arg(long, conflicts_with = "from")]
    discard: bool,
}

#[derive(Debug, Args)]
pub(super) struct PublishArgs {
    #[command(flatten)]
    place: Place,
    /// What it is about
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// Do not ask before it is in force
    #[arg(long, short)]
    yes: bool,
}

#[derive(Debug, Args)]
pub(super) struct RevertArgs {
    #[command(flatten)]
    place: Place,
    /// Which version, as `gatewright policy history` shows it
    version: String,
}

impl DraftArgs {
    pub(super) fn run(&self) -> Outcome {
        let place = &self.place;
        let path = place.at(&["policies", "draft"]);
        if self.discard {
            place.admin().ask(Method::DELETE, &path, None)?;
            writeln!(io::stdout().lock(), "the draft is thrown away")?;
            return Ok(Found::Good);
        }
        let Some(from) = &self.from else {
            let draft = place.admin().ask(Method::GET, &path, None)?;
            return show(place, &draft);
        };
        let mut body = Map::new();
        put(&mut body, "files", Some(files(from)?));
        put(&mut body, "note", self.note.clone());
        let draft = place
            .admin()
            .ask(Method::PUT, &path, Some(&Value::Object(body)))?;
        if place.json {
            return place.print(&draft);
        }
        let check = place.admin().ask(
            Method::GET,
            &place.at(&["policies", "draft", "check"]),
            None,
        )?;
        let mut out = io::stdout().lock();
        if check.get("good") == Some(&Value::Bool(true)) {
            writeln!(out, "drafted; `gatewright policy publish` puts it in force")?;
            return Ok(Found::Good);
        }
        writeln!(
            out,
            "drafted, and it cannot be published as it is: {}",
            of(&check, "detail")
        )?;
        Ok(Found::Bad)
    }
}

pub(super) fn diff(place: &Place) -> Outcome {
    let diff = place
        .admin()
        .ask(Method::GET, &place.at(&["policies", "draft", "diff"]), None)?;
    if place.json {
        return place.print(&diff);
    }
    write_diff(&diff)?;
    Ok(Found::Good)
}

fn write_diff(diff: &Value) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let files = table::items(diff, "files");
    if files.is_empty() {
        return writeln!(out, "the draft is as what is in force");
    }
    for file in files {
        writeln!(out, "{} {}", of(file, "change"), of(file, "name"))?;
        let lines = file.get("diff").and_then(Value::as_str).unwrap_or_default();
        for line in lines.lines() {
            writeln!(out, "{}", table::cell(&Value::from(line)))?;
        }
    }
    Ok(())
}

impl PublishArgs {
    pub(super) fn run(&self) -> Outcome {
        let place = &self.place;
        if !place.json {
            let path = place.at(&["policies", "draft", "diff"]);
            write_diff(&place.admin().ask(Method::GET, &path, None)?)?;
            let mut out = io::stdout().lock();
            if !self.yes && !agreed(&mut out)? {
                writeln!(out, "nothing was changed")?;
                return Ok(Found::Bad);
            }
        }
        let mut body = Map::new();
        put(&mut body, "note", self.note.clone());
        let path = place.at(&["policies", "publish"]);
        let made = place
            .admin()
            .ask(Method::POST, &path, Some(&Value::Object(body)))?;
        in_force(place, &made)
    }
}

impl RevertArgs {
    pub(super) fn run(&self) -> Outcome {
        let path = self.place.at(&["policies", "revert", &self.version]);
        let made = self
            .place
            .admin()
            .ask(Method::POST, &path, Some(&json!({})))?;
        in_force(&self.place, &made)
    }
}

fn in_force(place: &Place, made: &Value) -> Outcome {
    if place.json {
        return place.print(made);
    }
    writeln!(io::stdout().lock(), "{} is in force", of(made, "base"))?;
    Ok(Found::Good)
}

pub(super) fn history(place: &Place) -> Outcome {
    let path = place.at(&["policies", "versions"]);
    let items = place.admin().items(&path, &[], usize::MAX)?;
    let row = |one: &Value| {
        let now = match one.get("in_force") {
            Some(Value::Bool(true)) => "in force",
            _ => "-",
        };
        vec![
            of(one, "id"),
            now.to_owned(),
            of(one, "at"),
            of(one, "by"),
            of(one, "note"),
        ]
    };
    place.table(&["VERSION", "STATE", "AT", "BY", "NOTE"], row, &items)
}

/// The texts, each under its name.
fn show(place: &Place, policies: &Value) -> Outcome {
    if place.json {
        return place.print(policies);
    }
    let mut out = io::stdout().lock();
    for name in ["note", "by", "at", "base"] {
        writeln!(out, "// {name}: {}", of(policies, name))?;
    }
    for (name, text) in policies
        .get("files")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        writeln!(out, "\n// {name}")?;
        for line in text.as_str().unwrap_or_default().lines() {
            writeln!(out, "{}", table::cell(&Value::from(line)))?;
        }
    }
    Ok(Found::Good)
}

/// The `.cedar` files of a directory by their names, or one file.
fn files(from: &Path) -> Result<Value, Failure> {
    let unreadable = |path: &Path, error: &io::Error| -> Failure {
        format!("cannot read `{}`: {error}", path.display()).into()
    };
    let mut paths = vec![from.to_owned()];
    if from.is_dir() {
        let entries = fs::read_dir(from).map_err(|error| unreadable(from, &error))?;
        paths = entries
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<io::Result<Vec<_>>>()
            .map_err(|error| unreadable(from, &error))?;
        paths.retain(|path| {
            path.extension()
                .is_some_and(|extension| extension == "cedar")
        });
    }
    let mut files = Map::new();
    for path in paths {
        let text = fs::read_to_string(&path).map_err(|error| unreadable(&path, &error))?;
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        files.insert(name.unwrap_or_default(), Value::from(text));
    }
    if files.is_empty() {
        return Err(format!("there is no `.cedar` file in `{}`", from.display()).into());
    }
    Ok(Value::Object(files))
}
