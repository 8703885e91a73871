//! `gatewright status`: what a running gateway serves.

use std::io::{self, Write as _};

use clap::Args;
use http::Method;
use serde_json::Value;

use super::{ConfigArgs, Found, Outcome, admin::Admin, table};

#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// For scripts
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &StatusArgs) -> Outcome {
    let status = Admin::new(&args.config).ask(Method::GET, &["status"], None)?;
    let mut out = io::stdout().lock();
    if args.json {
        writeln!(out, "{status}")?;
        return Ok(Found::Good);
    }
    let said = |name: &str| table::of(&status, name);
    writeln!(
        out,
        "gatewright {}, process {}, since {}",
        said("version"),
        said("process"),
        said("since")
    )?;
    writeln!(
        out,
        "serves {} (listens on {})",
        said("public_url"),
        said("listens_on")
    )?;
    writeln!(out, "keeps its state in {}", said("data_dir"))?;
    if status
        .get("audit_lost")
        .and_then(Value::as_u64)
        .is_some_and(|lost| lost > 0)
    {
        writeln!(out, "audit records that were lost: {}", said("audit_lost"))?;
    }
    writeln!(out)?;
    let mut rows = Vec::new();
    for tenant in table::items(&status, "tenants") {
        let name = table::of(tenant, "name");
        for server in table::items(tenant, "servers") {
            let mut row = vec![name.clone()];
            let columns = ["name", "transport", "credential"];
            row.extend(columns.map(|column| table::of(server, column)));
            rows.push(row);
        }
    }
    let heads = ["TENANT", "SERVER", "TRANSPORT", "CREDENTIAL"];
    table::write(&mut out, &heads, &rows)?;
    writeln!(out)?;
    for tenant in table::items(&status, "tenants") {
        let (name, keys) = (table::of(tenant, "name"), table::of(tenant, "api_keys"));
        writeln!(out, "API keys of {name} that are good: {keys}")?;
    }
    Ok(Found::Good)
}
