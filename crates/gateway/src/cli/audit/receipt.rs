//! `gatewright audit verify-receipt`: what was cut when somebody left, and whether the gateway said so.

use std::{
    fs,
    io::{self, Read as _, Write},
    path::{Path, PathBuf},
};

use clap::Args;
use gatewright_audit::{Attested, PublicKey, VerifyAttestedError};
use serde_json::{Map, Value};

use super::{AuditError, Found, LogArgs, Outcome};

/// No receipt is larger, in bytes.
const MOST_BYTES: u64 = 8 * 1024 * 1024;

#[derive(Debug, Args)]
pub(in crate::cli) struct VerifyReceiptArgs {
    #[command(flatten)]
    log: LogArgs,
    /// The receipt, a JSON object with `statement` and `signed`; `-` for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The key that verifies it, in PEM; may be repeated. Without any, that of the key directory, or else those in the log
    #[arg(long = "public-key", value_name = "FILE")]
    public_keys: Vec<PathBuf>,
}

impl VerifyReceiptArgs {
    pub(super) fn verify(&self, out: &mut impl Write) -> Outcome {
        let text = read(&self.file).map_err(|source| AuditError::Read {
            path: self.file.clone(),
            source,
        })?;
        let (keys, from_outside) = self.keys()?;
        match Attested::verify(&text, &keys) {
            Ok(attested) => {
                show(out, &attested)?;
                if !from_outside {
                    writeln!(
                        out,
                        "note: the key is the copy in the log, which proves nothing against whoever can write there"
                    )?;
                }
                Ok(Found::Good)
            }
            Err(error @ VerifyAttestedError::Form) => Err(error.into()),
            Err(error) => {
                writeln!(out, "NOT GENUINE: {error}")?;
                Ok(Found::Bad)
            }
        }
    }

    /// The keys whose signatures count, and whether they are from elsewhere than the log.
    fn keys(&self) -> Result<(Vec<PublicKey>, bool), super::Failure> {
        let mut keys = Vec::new();
        for file in &self.public_keys {
            keys.push(PublicKey::load(file)?);
        }
        if !keys.is_empty() {
            return Ok((keys, true));
        }
        if let Some(own) = self.log.own_key()? {
            return Ok((vec![own], true));
        }
        let dir = self.log.dir()?;
        let beside = PublicKey::all_beside(&dir).map_err(|source| AuditError::Read {
            path: dir.clone(),
            source,
        })?;
        Ok((beside, false))
    }
}

fn read(file: &Path) -> io::Result<String> {
    let mut text = String::new();
    if file == Path::new("-") {
        io::stdin()
            .lock()
            .take(MOST_BYTES)
            .read_to_string(&mut text)?;
    } else {
        fs::File::open(file)?
            .take(MOST_BYTES)
            .read_to_string(&mut text)?;
    }
    Ok(text)
}

fn show(out: &mut impl Write, attested: &Attested) -> io::Result<()> {
    let statement = &attested.statement;
    let of = statement.get("of").and_then(Value::as_object);
    let of = of.cloned().unwrap_or_default();
    writeln!(
        out,
        "genuine: receipt {} of the tenant {}, signed by the key {}",
        text(statement, "receipt"),
        text(statement, "tenant"),
        attested.key,
    )?;
    writeln!(
        out,
        "{} {} ({}) was {} at {} by {}, reference {}",
        text(&of, "kind"),
        text(&of, "id"),
        text(&of, "name"),
        text(statement, "why"),
        moment(statement, "committed_at"),
        text(statement, "by"),
        text(statement, "reference"),
    )?;
    if statement.contains_key("reason") {
        writeln!(out, "reason: {}", text(statement, "reason"))?;
    }
    for item in items(statement, "cut") {
        let count = item.get("count").and_then(Value::as_u64);
        let count = count.map(|count| format!(" ({count})")).unwrap_or_default();
        writeln!(
            out,
            "  cut{count}: {} at {}",
            what(item),
            moment(item, "at")
        )?;
    }
    for (list, word) in [
        ("outstanding", "STILL OUTSTANDING"),
        ("kept", "kept"),
        ("unknown", "not known here"),
    ] {
        for item in items(statement, list) {
            writeln!(out, "  {word}: {}: {}", what(item), text(item, "why"))?;
        }
    }
    let complete = statement.get("complete").and_then(Value::as_bool);
    let state = match complete {
        Some(true) => "complete",
        _ => "NOT complete: a later statement of the same receipt says more",
    };
    writeln!(out, "as of {}: {state}", moment(statement, "stated_at"))
}

fn items<'a>(
    statement: &'a Map<String, Value>,
    list: &str,
) -> impl Iterator<Item = &'a Map<String, Value>> {
    let items = statement.get(list).and_then(Value::as_array);
    items.into_iter().flatten().filter_map(Value::as_object)
}

/// What it is, and as whom they had it.
fn what(item: &Map<String, Value>) -> String {
    let mut shown = text(item, "what");
    if item.contains_key("name") {
        shown = format!("{shown} {}", text(item, "name"));
    }
    if let Some(subject) = item.get("subject").and_then(Value::as_object) {
        shown = format!(
            "{shown} of {}|{}",
            text(subject, "issuer"),
            text(subject, "subject")
        );
    }
    shown
}

/// A text for a terminal: names are what somebody chose.
fn text(object: &Map<String, Value>, name: &str) -> String {
    let text = object.get(name).and_then(Value::as_str).unwrap_or("-");
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control()
            || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    shown
}

fn moment(object: &Map<String, Value>, name: &str) -> String {
    let millis = object.get(name).and_then(Value::as_i64);
    let moment = millis.and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok());
    moment.map_or_else(|| "-".to_owned(), |moment| format!("{moment:.3}"))
}
