//! `gatewright server`: upstream servers.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Map, Value};

use super::{
    Failure, Outcome,
    role::read,
    table::of,
    things::{Place, Shape, put, set, settings},
};

const SERVERS: Shape = Shape {
    segment: "servers",
    one: "the server",
    heads: &["NAME", "STATE", "AT", "CREDENTIAL"],
    row: |one| {
        let off = one
            .get("disabled")
            .and_then(Value::as_bool)
            .unwrap_or_default();
        let state = if off { "disabled" } else { "on" };
        let at = if one.get("url").is_some() {
            "url"
        } else {
            "command"
        };
        let mode = one
            .pointer("/credential/mode")
            .or_else(|| one.get("credential"));
        let mode = mode.map_or_else(|| "none".to_owned(), super::table::cell);
        vec![of(one, "id"), state.to_owned(), of(one, at), mode]
    },
};

#[derive(Debug, Subcommand)]
pub(super) enum ServerCommand {
    /// Show all servers
    List(Place),
    /// Show a server
    Show(OneArgs),
    /// Add a server
    #[command(
        after_help = "A file has a server as TOML or JSON, as `[[servers]]` of `gatewright apply` has it, without its name.\n\n\
        Examples:\n  gatewright server add wiki --url https://wiki.example.com/mcp\n  \
        gatewright server add files --file files.toml"
    )]
    Add(WriteArgs),
    /// Change a server, switch it off or on
    #[command(
        after_help = "Examples:\n  gatewright server change wiki --disable\n  gatewright server change wiki --set credential=per-user"
    )]
    Change(ChangeArgs),
    /// Remove a server
    Remove(OneArgs),
}

#[derive(Debug, Args)]
pub(super) struct OneArgs {
    #[command(flatten)]
    place: Place,
    /// Its name
    server: String,
}

#[derive(Debug, Args)]
pub(super) struct WriteArgs {
    #[command(flatten)]
    one: OneArgs,
    /// Where it is
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// What it is, as TOML or JSON
    #[arg(long, short, value_name = "FILE")]
    file: Option<PathBuf>,
    /// A setting, as `credential=shared`; may be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct ChangeArgs {
    #[command(flatten)]
    write: WriteArgs,
    /// Take a setting away; may be repeated
    #[arg(long, value_name = "NAME")]
    unset: Vec<String>,
    /// Refuse every call to it
    #[arg(long, conflicts_with = "enable")]
    disable: bool,
    /// Take calls again
    #[arg(long)]
    enable: bool,
}

pub(super) fn run(command: &ServerCommand) -> Outcome {
    match command {
        ServerCommand::List(place) => place.list(&SERVERS, &[]),
        ServerCommand::Show(args) => args.place.show(&SERVERS, &args.server),
        ServerCommand::Add(args) => {
            let mut body = args.body()?;
            put(&mut body, "id", Some(args.one.server.clone()));
            args.one.place.add(&SERVERS, &Value::Object(body))
        }
        ServerCommand::Change(args) => {
            let mut patch = args.write.body()?;
            for name in &args.unset {
                set(&mut patch, name, Value::Null);
            }
            put(&mut patch, "disabled", args.disable.then_some(true));
            put(&mut patch, "disabled", args.enable.then_some(false));
            let one = &args.write.one;
            one.place.change(&SERVERS, &one.server, &patch)
        }
        ServerCommand::Remove(args) => args.place.remove(&SERVERS, &args.server),
    }
}

impl WriteArgs {
    fn body(&self) -> Result<Map<String, Value>, Failure> {
        let mut body = match &self.file {
            Some(path) => read(path)?,
            None => Map::new(),
        };
        body.remove("name");
        put(&mut body, "url", self.url.clone());
        settings(&self.set, &mut body)?;
        Ok(body)
    }
}
