//! `gatewright vault rotate-key`.

use std::{
    fmt,
    io::{self, Write as _},
};

use clap::Args;
use http::Method;
use serde_json::Value;

use super::{Admin, ConfigArgs, Found, Outcome, table};
use crate::config::MasterKey;

#[derive(Debug, Args)]
pub(in crate::cli) struct RotateArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// For scripts
    #[arg(long)]
    json: bool,
}

impl RotateArgs {
    pub(super) fn rotate(&self) -> Outcome {
        let rotated =
            Admin::new(&self.config).ask(Method::POST, &["master-key", "rotate"], None)?;
        let mut out = io::stdout().lock();
        if self.json {
            writeln!(out, "{rotated}")?;
            return Ok(Found::Good);
        }
        let settings = self.config.settings()?;
        let key = table::of(&rotated, "master_key");
        let made = rotated.get("made").and_then(Value::as_bool) == Some(true);
        if made {
            writeln!(out, "the master key is {key} now")?;
        } else if let MasterKey::Environment(variable) = &settings.master_key {
            writeln!(
                out,
                "master keys come from `{variable}`, so none was made; the first of them, {key}, is the current one"
            )?;
        }
        let many = table::of(&rotated, "rewrapped");
        writeln!(out, "credentials sealed under it again: {many}")?;
        let where_they_are = match &settings.master_key {
            MasterKey::Environment(variable) => format!("in `{variable}`"),
            MasterKey::File => format!("in {}", settings.key_dir.display()),
        };
        let needs = table::items(&rotated, "older_needed_by");
        if needs.is_empty() {
            writeln!(
                out,
                "nothing that is served needs the older ones {where_they_are}: keep them while an older backup may come back, or anything is stored of a tenant that is not in org.toml now, which was not looked at"
            )?;
            return Ok(Found::Good);
        }
        writeln!(
            out,
            "keep the older ones {where_they_are}, which are needed by:"
        )?;
        for need in needs {
            writeln!(out, "  {}", Need(need))?;
        }
        Ok(Found::Good)
    }
}

/// What needs an older key.
struct Need<'a>(&'a Value);

impl fmt::Display for Need<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |name| table::of(self.0, name);
        if let Some(credential) = self.0.get("credential") {
            let (owner, server) = (
                table::of(credential, "owner"),
                table::of(credential, "server"),
            );
            write!(
                f,
                "the credential of {owner} at {server}, which could not be sealed again: store it anew"
            )?;
        } else {
            write!(f, "API key {}, until {}", of("api_key"), of("until"))?;
        }
        match of("tenant").as_str() {
            "default" => Ok(()),
            tenant => write!(f, " (tenant {tenant})"),
        }
    }
}
