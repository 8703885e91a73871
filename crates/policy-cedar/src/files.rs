//! Policies written by hand: files of Cedar text beside the roles.

use std::{collections::HashMap, fs, ops::Range, path::Path, str::FromStr, sync::Arc};

use cedar_policy::{
    Effect, PolicyId, PolicySet, Schema, ValidationMode, ValidationWarning, Validator,
};
use miette::Diagnostic;

use crate::{
    BuildEngineError,
    arguments::{self, Reads},
    compile::{self, Source},
};

/// A file of policies.
#[derive(Clone, Debug)]
pub(crate) struct PolicyFile {
    pub(crate) name: Arc<str>,
    pub(crate) text: Arc<str>,
}

/// Where a policy stands.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) file: PolicyFile,
    pub(crate) line: usize,
}

/// The `.cedar` files of a directory, by name; directories within it are not read.
pub(crate) fn read_dir(dir: &Path) -> Result<Vec<PolicyFile>, BuildEngineError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| BuildEngineError::Read { path, source }
    };
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed(dir))? {
        let path = entry.map_err(failed(dir))?.path();
        if path.extension().is_some_and(|ext| ext == "cedar") && path.is_file() {
            paths.push(path);
        }
    }
    paths.sort();
    let read = |path: &std::path::PathBuf| {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into();
        let text = fs::read_to_string(path).map_err(failed(path))?.into();
        Ok(PolicyFile { name, text })
    };
    paths.iter().map(read).collect()
}

/// The policies of a file, in the order in which they stand there.
pub(crate) fn parse(file: &PolicyFile) -> Result<Vec<(Source, Place)>, BuildEngineError> {
    let wrong = |line, reason: String| BuildEngineError::Policy {
        file: file.name.to_string(),
        line,
        reason,
    };
    let set = PolicySet::from_str(&file.text).map_err(|errors| {
        wrong(
            line_of(&errors, &file.text).unwrap_or(1),
            with_help(&errors),
        )
    })?;
    if let Some(template) = set.templates().next() {
        let line = line_at(
            &file.text,
            file.text.find(&template.to_cedar()).unwrap_or(0),
        );
        return Err(wrong(
            line,
            "a policy with a slot (`?principal`, `?resource`) is not one that decides".into(),
        ));
    }
    let mut out = Vec::new();
    let (mut from, mut before) = (0, 1);
    for index in 0..set.num_of_policies() {
        let Some(policy) = set.policy(&PolicyId::new(format!("policy{index}"))) else {
            return Err(wrong(1, "its policies cannot be told apart".into()));
        };
        let text = policy.to_cedar().unwrap_or_default();
        let at = file
            .text
            .get(from..)
            .and_then(|rest| rest.find(&text))
            .map_or(from, |at| from + at);
        let line = before + lines_in(&file.text, from..at);
        (before, from) = (line + lines_in(&text, 0..text.len()), at + text.len());
        let reads = compile::reads(policy).map_err(|reason| wrong(line, reason))?;
        for path in &reads.arguments {
            if arguments::Path::new(path).is_none() {
                return Err(wrong(
                    line,
                    format!("`{}` is not a path into the arguments", path.escape_debug()),
                ));
            }
        }
        if let Some(path) = reads.misread.first() {
            let path = path.escape_debug();
            let reason =
                format!("an argument within an argument is written `context.args[\"{path}\"]`");
            return Err(wrong(line, reason));
        }
        let credential = compile::credential(policy).map_err(|reason| wrong(line, reason))?;
        let reported: Arc<str> = match policy.annotation("id") {
            Some(id) if id.is_empty() || id.starts_with("role:") => {
                return Err(wrong(
                    line,
                    format!("`{id}` cannot be an id: `role:…` names policies of roles"),
                ));
            }
            Some(id) => id.into(),
            None => format!("{}#{}", file.name, index + 1).into(),
        };
        let policy = policy.new_id(PolicyId::new(&reported));
        out.push((
            Source {
                policy,
                reported,
                reads,
                credential,
            },
            Place {
                file: file.clone(),
                line,
            },
        ));
    }
    Ok(out)
}

/// Holds every policy against the schema, in strict mode. Gives what is allowed and looks like a mistake.
pub(crate) fn validate(
    schema: Schema,
    sources: &[Source],
    places: &HashMap<PolicyId, Place>,
) -> Result<Vec<String>, BuildEngineError> {
    let fault = |id: &PolicyId, line: Option<usize>, reason: String| match places.get(id) {
        Some(place) => {
            let line = line.unwrap_or(place.line);
            BuildEngineError::Policy {
                file: place.file.name.to_string(),
                line,
                reason,
            }
        }
        None => BuildEngineError::Compiled {
            id: id.to_string(),
            reason,
        },
    };
    let set = PolicySet::from_policies(sources.iter().map(|source| source.policy.clone()))
        .map_err(|error| BuildEngineError::Schema {
            reason: error.to_string(),
        })?;
    let checked = Validator::new(schema).validate(&set, ValidationMode::Strict);
    if let Some(error) = checked.validation_errors().next() {
        let id = error.policy_id();
        let line = places
            .get(id)
            .and_then(|place| line_of(error, &place.file.text));
        return Err(fault(id, line, with_help(error)));
    }
    // A forbid that can never match protects nothing, and nobody would notice.
    let impossible =
        |warning: &&ValidationWarning| matches!(warning, ValidationWarning::ImpossiblePolicy(_));
    if let Some(warning) = checked.validation_warnings().find(impossible) {
        let id = warning.policy_id();
        let line = places
            .get(id)
            .and_then(|place| line_of(warning, &place.file.text));
        return Err(fault(id, line, with_help(warning)));
    }
    let mut warnings: Vec<String> = checked
        .validation_warnings()
        .filter_map(|warning| Some((places.get(warning.policy_id())?, warning)))
        .map(|(place, warning)| {
            let line = line_of(warning, &place.file.text).unwrap_or(place.line);
            format!("{}:{line}: {warning}", place.file.name)
        })
        .collect();
    for source in sources {
        let Some(place) = places.get(source.policy.id()) else {
            continue;
        };
        if source.policy.effect() == Effect::Forbid && limits_by_when(source) {
            warnings.push(format!(
                "{}:{}: `forbid … when` lets arguments of other types pass; write `forbid … unless` with what is \
                 allowed",
                place.file.name, place.line
            ));
        }
    }
    Ok(warnings)
}

/// Whether a `when` of the policy reads arguments.
fn limits_by_when(source: &Source) -> bool {
    let Ok(json) = compile::light(&source.policy).to_json() else {
        return false;
    };
    let Some(conditions) = json.get("conditions").and_then(|all| all.as_array()) else {
        return false;
    };
    conditions.iter().any(|condition| {
        let only = serde_json::json!({"conditions": [condition]});
        condition.get("kind").is_some_and(|kind| kind == "when")
            && !Reads::of(&only).arguments.is_empty()
    })
}

fn with_help(error: &(impl Diagnostic + ?Sized)) -> String {
    match error.help() {
        Some(help) => format!("{error} ({help})"),
        None => error.to_string(),
    }
}

/// The line that an error points at.
fn line_of(error: &(impl Diagnostic + ?Sized), text: &str) -> Option<usize> {
    let label = error.labels()?.next()?;
    Some(line_at(text, label.offset()))
}

/// The line, from 1, of a byte.
fn line_at(text: &str, offset: usize) -> usize {
    lines_in(text, 0..offset) + 1
}

/// How many lines end in a part of the text.
fn lines_in(text: &str, range: Range<usize>) -> usize {
    let range = range.start..range.end.min(text.len());
    text.as_bytes()
        .get(range)
        .unwrap_or_default()
        .iter()
        .filter(|byte| **byte == b'\n')
        .count()
}
