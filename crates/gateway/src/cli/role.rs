//! `gatewright role`: roles.

use std::{fs, path::PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::{
    Failure, Outcome,
    table::of,
    things::{Place, Shape, put},
};

const ROLES: Shape = Shape {
    segment: "roles",
    one: "the role",
    heads: &["NAME", "FROM", "PERMISSIONS", "DESCRIPTION"],
    row: |one| {
        let from = match one.get("built_in") {
            Some(_) => "built in",
            None => "tenant",
        };
        let count = one
            .get("permissions")
            .and_then(Value::as_array)
            .map_or(0, Vec::len);
        let admin = one
            .get("admin")
            .and_then(Value::as_array)
            .map_or(0, Vec::len);
        let permissions = match (count, admin) {
            (0, 0) => "-".to_owned(),
            (count, 0) => count.to_string(),
            (0, _) => "admin".to_owned(),
            (count, _) => format!("{count} and admin"),
        };
        vec![
            of(one, "id"),
            from.to_owned(),
            permissions,
            of(one, "description"),
        ]
    },
};

#[derive(Debug, Subcommand)]
pub(super) enum RoleCommand {
    /// Show all roles, also those that every tenant has
    List(Place),
    /// Show a role
    #[command(after_help = "Example: gatewright role show administrator")]
    Show(OneArgs),
    /// Make a role
    #[command(
        after_help = "A file has a role as TOML or JSON, as `[[roles]]` of `gatewright apply` has it.\n\n\
        Examples:\n  gatewright role add invoice-reader --server billing --tool 'get_*' --read-only\n  \
        gatewright role add helpdesk --admin 'users.*' --admin directory.read\n  \
        gatewright role add payer --file payer.toml"
    )]
    Add(WriteArgs),
    /// Change a role: what is said takes the place of what there was
    Change(WriteArgs),
    /// Delete a role that nobody has
    Remove(OneArgs),
}

#[derive(Debug, Args)]
pub(super) struct OneArgs {
    #[command(flatten)]
    place: Place,
    /// Its name
    role: String,
}

#[derive(Debug, Args)]
pub(super) struct WriteArgs {
    #[command(flatten)]
    one: OneArgs,
    /// The whole role, as TOML or JSON
    #[arg(long, short, value_name = "FILE", conflicts_with_all = ["servers", "tools", "read_only"])]
    file: Option<PathBuf>,
    /// For people
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// A role whose permissions it has too; may be repeated
    #[arg(long, value_name = "ROLE")]
    inherits: Vec<String>,
    /// What it permits administrators, as `users.*`; may be repeated
    #[arg(long, value_name = "ACTION")]
    admin: Vec<String>,
    /// A server that it permits something on, `*` for a part of the name; may be repeated
    #[arg(long = "server", value_name = "NAME")]
    servers: Vec<String>,
    /// A tool there, `*` for a part of the name; may be repeated
    #[arg(long = "tool", value_name = "NAME", requires = "servers")]
    tools: Vec<String>,
    /// Only tools that configuration says read only
    #[arg(long, requires = "tools")]
    read_only: bool,
}

pub(super) fn run(command: &RoleCommand) -> Outcome {
    match command {
        RoleCommand::List(place) => place.list(&ROLES, &[]),
        RoleCommand::Show(args) => args.place.show(&ROLES, &args.role),
        RoleCommand::Add(args) => {
            let mut body = args.body()?;
            put(&mut body, "name", Some(args.one.role.clone()));
            args.one.place.add(&ROLES, &Value::Object(body))
        }
        RoleCommand::Change(args) => args.one.place.change(&ROLES, &args.one.role, &args.body()?),
        RoleCommand::Remove(args) => args.place.remove(&ROLES, &args.role),
    }
}

impl WriteArgs {
    fn body(&self) -> Result<Map<String, Value>, Failure> {
        let mut body = match &self.file {
            Some(path) => read(path)?,
            None => Map::new(),
        };
        put(&mut body, "description", self.description.clone());
        if !self.inherits.is_empty() {
            put(&mut body, "inherits", Some(json!(self.inherits)));
        }
        if !self.admin.is_empty() {
            put(&mut body, "admin", Some(json!([{"actions": self.admin}])));
        }
        if !self.servers.is_empty() {
            let permission = json!({
                "servers": self.servers, "tools": self.tools, "read_only": self.read_only,
            });
            put(&mut body, "permissions", Some(json!([permission])));
        }
        Ok(body)
    }
}

/// A thing in a file, as JSON or as TOML.
pub(super) fn read(path: &PathBuf) -> Result<Map<String, Value>, Failure> {
    let unreadable = |error: &dyn std::fmt::Display| -> Failure {
        format!("cannot read `{}`: {error}", path.display()).into()
    };
    let text = fs::read_to_string(path).map_err(|error| unreadable(&error))?;
    let value: Value = if text.trim_start().starts_with('{') {
        serde_json::from_str(&text).map_err(|error| unreadable(&error))?
    } else {
        toml::from_str(&text).map_err(|error| unreadable(&error))?
    };
    match value {
        Value::Object(members) => Ok(members),
        _ => Err(unreadable(&"it holds no object")),
    }
}
