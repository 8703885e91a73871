//! `gatewright tenant`: tenants.

use std::io::{self, Write as _};

use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Map, Value};

use super::{
    ConfigArgs, Found, Outcome,
    admin::Admin,
    table::{self, of},
    things::{Place, put},
};

#[derive(Debug, Subcommand)]
pub(super) enum TenantCommand {
    /// Show all tenants
    List(ListArgs),
    /// Show a tenant
    Show(OneArgs),
    /// Make a tenant
    #[command(after_help = "Example: gatewright tenant add acme --title 'Acme Inc.'")]
    Add(WriteArgs),
    /// Change a tenant, switch it off or on; a tenant cannot be removed
    #[command(after_help = "Example: gatewright tenant change acme --disable")]
    Change(ChangeArgs),
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// For scripts
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct OneArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// For scripts
    #[arg(long)]
    json: bool,
    /// Its name
    name: String,
}

#[derive(Debug, Args)]
pub(super) struct WriteArgs {
    #[command(flatten)]
    one: OneArgs,
    /// A name for people
    #[arg(long, value_name = "TEXT")]
    title: Option<String>,
    /// Whether whoever comes with a good token is taken in at the first call
    #[arg(long, value_name = "true|false")]
    create_people_on_sight: Option<bool>,
    /// Whether people may have API keys
    #[arg(long, value_name = "true|false")]
    api_keys_for_people: Option<bool>,
}

#[derive(Debug, Args)]
pub(super) struct ChangeArgs {
    #[command(flatten)]
    write: WriteArgs,
    /// Refuse whoever is of it
    #[arg(long, conflicts_with = "enable")]
    disable: bool,
    /// Let them in again
    #[arg(long)]
    enable: bool,
}

pub(super) fn run(command: &TenantCommand) -> Outcome {
    match command {
        TenantCommand::List(args) => args.list(),
        TenantCommand::Show(args) => {
            let admin = Admin::new(&args.config);
            let found = admin.ask(Method::GET, &["tenants", &args.name], None)?;
            let place = Place {
                config: args.config.clone(),
                tenant: args.name.clone(),
                json: args.json,
            };
            place.print(&found)
        }
        TenantCommand::Add(args) => {
            let mut body = args.body();
            put(&mut body, "id", Some(args.one.name.clone()));
            args.one
                .send(Method::POST, &["tenants"], "added", &Value::Object(body))
        }
        TenantCommand::Change(args) => {
            let mut patch = args.write.body();
            put(&mut patch, "disabled", args.disable.then_some(true));
            put(&mut patch, "disabled", args.enable.then_some(false));
            if patch.is_empty() {
                return Err("say what of the tenant is to change; see `--help`".into());
            }
            let one = &args.write.one;
            one.send(
                Method::PATCH,
                &["tenants", &one.name],
                "changed",
                &Value::Object(patch),
            )
        }
    }
}

impl ListArgs {
    fn list(&self) -> Outcome {
        let items = Admin::new(&self.config).items(&["tenants"], &[], usize::MAX)?;
        let mut out = io::stdout().lock();
        if self.json {
            writeln!(out, "{:#}", serde_json::json!({ "items": items }))?;
            return Ok(Found::Good);
        }
        let row = |one: &Value| {
            let off = one
                .get("disabled")
                .and_then(Value::as_bool)
                .unwrap_or_default();
            let state = if off { "disabled" } else { "on" };
            vec![of(one, "id"), state.to_owned(), of(one, "title")]
        };
        let rows: Vec<Vec<String>> = items.iter().map(row).collect();
        table::write(&mut out, &["NAME", "STATE", "TITLE"], &rows)?;
        Ok(Found::Good)
    }
}

impl OneArgs {
    fn send(&self, method: Method, path: &[&str], done: &str, body: &Value) -> Outcome {
        let made = Admin::new(&self.config).ask(method, path, Some(body))?;
        let mut out = io::stdout().lock();
        if self.json {
            writeln!(out, "{made:#}")?;
        } else {
            writeln!(out, "{done} the tenant {}", self.name)?;
        }
        Ok(Found::Good)
    }
}

impl WriteArgs {
    fn body(&self) -> Map<String, Value> {
        let mut body = Map::new();
        put(&mut body, "title", self.title.clone());
        put(
            &mut body,
            "create_people_on_sight",
            self.create_people_on_sight,
        );
        put(&mut body, "api_keys_for_people", self.api_keys_for_people);
        body
    }
}
