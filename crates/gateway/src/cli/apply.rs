//! `gatewright apply`: makes the organisation as a file has it.

use std::{
    io::{self, BufRead as _, IsTerminal as _, Write},
    path::PathBuf,
};

use clap::Args;
use http::Method;
use serde_json::{Map, Value};

use super::{
    ConfigArgs, Failure, Found, Outcome,
    admin::{Admin, whole},
    block_on, complain, table,
};
use crate::config::{LoadConfigError, Organisation};

#[derive(Debug, Args)]
pub(super) struct ApplyArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// What the organisation is to be
    #[arg(long, short, value_name = "FILE", default_value = "org.toml")]
    file: PathBuf,
    /// Change nothing; end with 1 where the organisation is not as the file has it
    #[arg(long)]
    check: bool,
    /// Do not ask before the changes are made
    #[arg(long, short)]
    yes: bool,
    /// For scripts
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &ApplyArgs) -> Outcome {
    let settings = args.config.settings()?;
    let organisation = match Organisation::load(&args.file, &settings) {
        Ok(organisation) => organisation,
        Err(error @ LoadConfigError::Invalid(_)) => {
            complain(&error);
            return Ok(Found::Bad);
        }
        Err(error) => return Err(error.into()),
    };
    let wanted = serde_json::to_value(&organisation.wanted)?;
    let admin = Admin::new(&args.config);
    let plan = ask(&admin, &wanted, true)?;
    let changes = count(&plan);
    let mut out = io::stdout().lock();
    if args.json && args.check {
        writeln!(out, "{plan:#}")?;
    } else if !args.json {
        show(&mut out, &plan)?;
    }
    if args.check {
        return Ok(if changes == 0 {
            Found::Good
        } else {
            Found::Bad
        });
    }
    if changes > 0 && !args.yes && !args.json && !agreed(&mut out)? {
        writeln!(out, "nothing was changed")?;
        return Ok(Found::Bad);
    }
    if changes == 0 && !args.json {
        return Ok(Found::Good);
    }
    let applied = ask(&admin, &wanted, false)?;
    if args.json {
        writeln!(out, "{applied:#}")?;
    } else {
        writeln!(out, "applied; it is in force")?;
    }
    Ok(Found::Good)
}

fn ask(admin: &Admin<'_>, wanted: &Value, plan: bool) -> Result<Value, Failure> {
    let query = [("plan", plan.to_string())];
    block_on(async {
        let body = wanted.to_string();
        let (_connection, answer) = admin.send(Method::POST, &["apply"], &query, body).await?;
        whole(answer).await
    })
}

fn count(plan: &Value) -> usize {
    let tenants = table::items(plan, "tenants").iter();
    tenants
        .map(|tenant| table::items(tenant, "differences").len())
        .sum()
}

/// The plan as people read a difference: `+` is made, `-` is taken away, `~` is changed.
fn show(out: &mut impl Write, plan: &Value) -> io::Result<()> {
    let mut signs = [0_usize; 3];
    for tenant in table::items(plan, "tenants") {
        let differences = table::items(tenant, "differences");
        if differences.is_empty() {
            continue;
        }
        writeln!(out, "tenant {}:", table::of(tenant, "tenant"))?;
        for difference in differences {
            let (before, after) = (difference.get("before"), difference.get("after"));
            let (before, after) = (
                before.and_then(Value::as_object),
                after.and_then(Value::as_object),
            );
            let place = match (before, after) {
                (None, _) => 0,
                (_, None) => 1,
                _ => 2,
            };
            if let Some(counted) = signs.get_mut(place) {
                *counted += 1;
            }
            let sign = ['+', '-', '~'].get(place).copied().unwrap_or(' ');
            writeln!(out, "  {sign} {}", table::of(difference, "of"))?;
            if sign == '~' {
                members(out, before, after)?;
            }
        }
    }
    let [made, gone, changed] = signs;
    if made + gone + changed == 0 {
        return writeln!(out, "the organisation is as the file has it");
    }
    writeln!(
        out,
        "{made} to make, {changed} to change, {gone} to take away"
    )
}

fn members(
    out: &mut impl Write,
    before: Option<&Map<String, Value>>,
    after: Option<&Map<String, Value>>,
) -> io::Result<()> {
    for (name, value) in before.into_iter().flatten() {
        writeln!(out, "      - {name} = {}", one_line(value))?;
    }
    for (name, value) in after.into_iter().flatten() {
        writeln!(out, "      + {name} = {}", one_line(value))?;
    }
    Ok(())
}

/// A value in one line, cut where it is long.
fn one_line(value: &Value) -> String {
    const WIDE: usize = 96;
    let text = value.to_string();
    match text.char_indices().nth(WIDE) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

pub(super) fn agreed(out: &mut impl Write) -> Result<bool, Failure> {
    if !io::stdin().is_terminal() {
        let hint = "nothing was changed: add `--yes` to make the changes without being asked";
        return Err(hint.into());
    }
    write!(out, "make these changes? [y/N] ")?;
    out.flush()?;
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    Ok(matches!(line.trim(), "y" | "Y" | "yes"))
}
