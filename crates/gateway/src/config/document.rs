//! A TOML file that is read piece by piece, so that one mistake does not hide the next.

use std::{
    collections::BTreeSet,
    ops::Range,
    path::{Path, PathBuf},
};

use serde::de::DeserializeOwned;
use toml::{
    Spanned,
    de::{DeTable, DeValue, ValueDeserializer},
};

use super::{LoadConfigError, Problem};

/// Collects what is wrong in one file.
#[derive(Debug)]
pub(super) struct Problems<'t> {
    file: PathBuf,
    text: &'t str,
    found: Vec<Problem>,
}

impl<'t> Problems<'t> {
    pub(super) fn new(file: &Path, text: &'t str) -> Self {
        Self {
            file: file.to_owned(),
            text,
            found: Vec::new(),
        }
    }

    /// Notes that what stands at `at` (a byte of the text) is wrong.
    pub(super) fn add(&mut self, at: usize, what: impl Into<String>, fix: impl Into<String>) {
        let (file, line) = (self.file.clone(), self.line(at));
        self.found.push(Problem {
            file,
            line,
            what: what.into(),
            fix: fix.into(),
        });
    }

    /// Notes something that is wrong in another file.
    pub(super) fn add_elsewhere(&mut self, problem: Problem) {
        self.found.push(problem);
    }

    /// Gives up if anything was noted.
    pub(super) fn end<T>(mut self, value: Option<T>) -> Result<T, LoadConfigError> {
        match value {
            Some(value) if self.found.is_empty() => Ok(value),
            _ => {
                self.found
                    .sort_by(|one, other| (&one.file, one.line).cmp(&(&other.file, other.line)));
                Err(LoadConfigError::Invalid(self.found))
            }
        }
    }

    fn line(&self, at: usize) -> usize {
        let before = self.text.as_bytes().iter().take(at);
        1 + before.filter(|byte| **byte == b'\n').count()
    }

    fn add_error(&mut self, error: &toml::de::Error, otherwise: &Range<usize>) {
        let at = error.span().unwrap_or_else(|| otherwise.clone()).start;
        let message = error.message().trim();
        let quoted = |prefix: &str| message.strip_prefix(prefix)?.split_once('`');
        if let Some((key, rest)) = quoted("unknown field `") {
            let known = rest
                .trim_start_matches(", expected ")
                .trim_start_matches("one of ");
            self.add(
                at,
                format!("there is no key `{key}` here"),
                format!("the keys here are {known}"),
            );
        } else if let Some((key, _)) = quoted("missing field `") {
            self.add(
                otherwise.start,
                format!("`{key}` is missing"),
                format!("add `{key} = …` to this table"),
            );
        } else if let Some((value, rest)) = quoted("unknown variant `") {
            let known = rest
                .trim_start_matches(", expected ")
                .trim_start_matches("one of ");
            self.add(
                at,
                format!("`{value}` is not a value of this key"),
                format!("use {known}"),
            );
        } else if let Some((found, expected)) = message.split_once(", expected ") {
            self.add(at, found.to_owned(), format!("write {expected}"));
        } else {
            self.add(
                at,
                message.to_owned(),
                "see docs/configuration.md for the form of this value",
            );
        }
    }
}

/// The whole text as a table; what is no TOML is noted.
pub(super) fn parse<'t>(text: &'t str, problems: &mut Problems<'t>) -> Spanned<DeTable<'t>> {
    let (root, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let at = error.span().map_or(0, |span| span.start);
        problems.add(
            at,
            format!("this is no TOML: {}", error.message().trim()),
            "write it as TOML 1.0 has it",
        );
    }
    root
}

/// One table of a file. What nobody takes from it is a key that there is not.
pub(super) struct Table<'d, 't> {
    table: &'d DeTable<'t>,
    start: usize,
    known: BTreeSet<&'static str>,
}

/// A value with the place that it was read from.
pub(super) struct Item<'d, 't, T> {
    pub(super) value: T,
    source: &'d Spanned<DeValue<'t>>,
}

impl<'d, 't> Table<'d, 't> {
    pub(super) fn root(root: &'d Spanned<DeTable<'t>>) -> Self {
        Self {
            table: root.get_ref(),
            start: 0,
            known: BTreeSet::new(),
        }
    }

    /// Where it stands.
    pub(super) const fn start(&self) -> usize {
        self.start
    }

    /// The value of a key, if it is there and as it should be.
    pub(super) fn take<T: DeserializeOwned>(
        &mut self,
        key: &'static str,
        problems: &mut Problems<'t>,
    ) -> Option<Item<'d, 't, T>> {
        read(self.find(key)?, problems)
    }

    /// The value of a key that must be there.
    pub(super) fn require<T: DeserializeOwned>(
        &mut self,
        key: &'static str,
        example: &str,
        problems: &mut Problems<'t>,
    ) -> Option<Item<'d, 't, T>> {
        if self.find(key).is_none() {
            problems.add(
                self.start,
                format!("`{key}` is missing"),
                format!("add `{key} = {example}`"),
            );
        }
        self.take(key, problems)
    }

    /// The items of a list, each read by itself.
    pub(super) fn list<T: DeserializeOwned>(
        &mut self,
        key: &'static str,
        problems: &mut Problems<'t>,
    ) -> Vec<Item<'d, 't, T>> {
        let items = self.elements(key, problems);
        items
            .into_iter()
            .filter_map(|item| read(item, problems))
            .collect()
    }

    /// The table under a key.
    pub(super) fn table(&mut self, key: &'static str, problems: &mut Problems<'t>) -> Option<Self> {
        let value = self.find(key)?;
        Self::of(value, problems)
    }

    /// The tables of a list.
    pub(super) fn tables(&mut self, key: &'static str, problems: &mut Problems<'t>) -> Vec<Self> {
        let items = self.elements(key, problems);
        items
            .into_iter()
            .filter_map(|item| Self::of(item, problems))
            .collect()
    }

    /// Refuses what was not asked for.
    pub(super) fn end(self, problems: &mut Problems<'t>) {
        let known = self
            .known
            .iter()
            .map(|key| format!("`{key}`"))
            .collect::<Vec<_>>()
            .join(", ");
        for key in self
            .table
            .keys()
            .filter(|key| !self.known.contains(key.get_ref().as_ref()))
        {
            let what = format!("there is no key `{}` here", key.get_ref());
            problems.add(key.span().start, what, format!("the keys here are {known}"));
        }
    }

    fn of(value: &'d Spanned<DeValue<'t>>, problems: &mut Problems<'t>) -> Option<Self> {
        let start = value.span().start;
        let Some(table) = value.get_ref().as_table() else {
            problems.add(
                start,
                format!("this is a {}", value.get_ref().type_str()),
                "write a table",
            );
            return None;
        };
        Some(Self {
            table,
            start,
            known: BTreeSet::new(),
        })
    }

    fn elements(
        &mut self,
        key: &'static str,
        problems: &mut Problems<'t>,
    ) -> Vec<&'d Spanned<DeValue<'t>>> {
        let Some(value) = self.find(key) else {
            return Vec::new();
        };
        let Some(array) = value.get_ref().as_array() else {
            let what = format!("`{key}` is a {} and not a list", value.get_ref().type_str());
            problems.add(
                value.span().start,
                what,
                format!("write `[[{key}]]` above each of its tables"),
            );
            return Vec::new();
        };
        array.iter().collect()
    }

    fn find(&mut self, key: &'static str) -> Option<&'d Spanned<DeValue<'t>>> {
        self.known.insert(key);
        self.table.get(key)
    }
}

impl<T> Item<'_, '_, T> {
    /// Where a part of the value stands, as `["when", "hours"]`; where there is no such part, what holds it.
    pub(super) fn at(&self, path: &[&str]) -> usize {
        let mut value = self.source;
        for step in path {
            let next = match step.parse::<usize>() {
                Ok(index) => value.get_ref().get(index),
                Err(_name) => value.get_ref().get(*step),
            };
            let Some(next) = next else { break };
            value = next;
        }
        value.span().start
    }
}

fn read<'d, 't, T: DeserializeOwned>(
    source: &'d Spanned<DeValue<'t>>,
    problems: &mut Problems<'t>,
) -> Option<Item<'d, 't, T>> {
    match T::deserialize(ValueDeserializer::from(source.clone())) {
        Ok(value) => Some(Item { value, source }),
        Err(error) => {
            problems.add_error(&error, &source.span());
            None
        }
    }
}
