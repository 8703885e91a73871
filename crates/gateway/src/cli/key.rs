//! `gatewright key`: API keys.

use std::{
    io::{self, Write as _},
    time::Duration,
};

use clap::{Args, Subcommand};
use gatewright_core::{Clock as _, SystemClock};
use http::Method;
use serde_json::{Value, json};

use super::{
    ConfigArgs, Failure, Found, Outcome,
    admin::{Admin, TenantArgs},
    table,
};

const A_DAY: u64 = 24 * 60 * 60;

#[derive(Debug, Subcommand)]
pub(super) enum KeyCommand {
    /// Make a key; its text is shown this once
    #[command(
        after_help = "The key goes to standard output, and what is said about it to standard error.\n\n\
        Examples:\n  gatewright key create --agent report-bot --server billing --expires 30d\n  \
        gatewright key create --agent report-bot --server '*' > report-bot.key\n  \
        gatewright key create --user alice --server wiki   (needs `api_keys_for_people = true`)"
    )]
    Create(CreateArgs),
    /// Show keys, without their texts
    #[command(after_help = "Example: gatewright key list --json")]
    List(ListArgs),
    /// Revoke a key; the next request with it is refused
    #[command(after_help = "Example: gatewright key revoke 0123456789ab")]
    Revoke(RevokeArgs),
    /// Forget the keys that have expired or were revoked; the log keeps what was done with them
    #[command(after_help = "Example: gatewright key purge --tenant acme")]
    Purge(PurgeArgs),
}

#[derive(Debug, Args)]
pub(super) struct CreateArgs {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    tenant: TenantArgs,
    #[command(flatten)]
    holder: HolderArgs,
    /// A server that it is good for, `*` for a part of the name; may be repeated
    #[arg(long = "server", value_name = "NAME", required = true)]
    servers: Vec<String>,
    /// When it ends: in so many days or hours, as `90d` or `12h`, or at a moment, as `2027-01-31T18:00:00Z`
    #[arg(long, value_name = "WHEN", default_value = "90d", value_parser = end)]
    expires: jiff::Timestamp,
    /// What people call it; the holder's id if left out
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    /// For scripts
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct HolderArgs {
    /// The agent that calls with it
    #[arg(long, value_name = "ID")]
    agent: Option<String>,
    /// The person who calls with it
    #[arg(long, value_name = "ID")]
    user: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// The tenant
    #[arg(long, value_name = "NAME", default_value = "default")]
    tenant: String,
    /// For scripts
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct RevokeArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// The tenant
    #[arg(long, value_name = "NAME", default_value = "default")]
    tenant: String,
    /// The id of the key, as `gatewright key list` shows it
    id: String,
}

#[derive(Debug, Args)]
pub(super) struct PurgeArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// The tenant
    #[arg(long, value_name = "NAME", default_value = "default")]
    tenant: String,
}

pub(super) fn run(command: &KeyCommand) -> Outcome {
    match command {
        KeyCommand::Create(args) => args.create(),
        KeyCommand::List(args) => args.list(),
        KeyCommand::Revoke(args) => args.revoke(),
        KeyCommand::Purge(args) => args.purge(),
    }
}

impl CreateArgs {
    fn create(&self) -> Outcome {
        let admin = Admin::new(&self.config);
        let (kind, id) = match (&self.holder.user, &self.holder.agent) {
            (Some(user), _) => ("user", user),
            (_, Some(agent)) => ("agent", agent),
            (None, None) => return Err("a key needs a holder: add `--agent` or `--user`".into()),
        };
        let holder = format!("{kind}:{}", self.tenant.subject(&admin, id)?);
        let body = json!({
            "name": self.name.as_ref().unwrap_or(id),
            "holder": holder,
            "servers": self.servers,
            "expires_at": self.expires.to_string(),
        });
        let path = ["tenants", self.tenant.tenant.as_str(), "keys"];
        let made = admin.ask(Method::POST, &path, Some(&body))?;
        let mut out = io::stdout().lock();
        if self.json {
            writeln!(out, "{made}")?;
            return Ok(Found::Good);
        }
        let (id, expires) = (table::of(&made, "id"), table::of(&made, "expires_at"));
        let note = format!(
            "key {id} of {holder}, until {expires}; it is shown this once: keep it where only its holder can read it"
        );
        // First: if the key cannot be written, this says which one to revoke.
        writeln!(io::stderr().lock(), "{note}")?;
        writeln!(out, "{}", table::of(&made, "key"))?;
        Ok(Found::Good)
    }
}

impl ListArgs {
    fn list(&self) -> Outcome {
        let admin = Admin::new(&self.config);
        let keys = admin.ask(Method::GET, &["tenants", &self.tenant, "keys"], None)?;
        let mut out = io::stdout().lock();
        if self.json {
            writeln!(out, "{keys}")?;
            return Ok(Found::Good);
        }
        let row = |one: &Value| {
            let columns = [
                "id",
                "state",
                "holder",
                "servers",
                "expires_at",
                "last_used_at",
                "name",
            ];
            columns.map(|name| table::of(one, name)).to_vec()
        };
        let rows: Vec<_> = table::items(&keys, "keys").iter().map(row).collect();
        let heads = [
            "ID",
            "STATE",
            "HOLDER",
            "SERVERS",
            "EXPIRES",
            "LAST USED",
            "NAME",
        ];
        table::write(&mut out, &heads, &rows)?;
        Ok(Found::Good)
    }
}

impl RevokeArgs {
    fn revoke(&self) -> Outcome {
        let admin = Admin::new(&self.config);
        let path = ["tenants", self.tenant.as_str(), "keys", self.id.as_str()];
        admin.ask(Method::DELETE, &path, None)?;
        writeln!(io::stdout().lock(), "revoked {}", self.id)?;
        Ok(Found::Good)
    }
}

impl PurgeArgs {
    fn purge(&self) -> Outcome {
        let admin = Admin::new(&self.config);
        let path = ["tenants", self.tenant.as_str(), "keys", "purge"];
        let purged = admin.ask(Method::POST, &path, None)?;
        let mut out = io::stdout().lock();
        match table::of(&purged, "purged").as_str() {
            "0" => writeln!(out, "no key has expired or was revoked")?,
            "1" => writeln!(out, "1 key that had ended is forgotten")?,
            many => writeln!(out, "{many} keys that had ended are forgotten")?,
        }
        Ok(Found::Good)
    }
}

/// A moment, or how far away it is.
pub(super) fn end(text: &str) -> Result<jiff::Timestamp, Failure> {
    if let Ok(moment) = text.parse() {
        return Ok(moment);
    }
    let days = text.strip_suffix('d').and_then(|days| days.parse().ok());
    let hours = text.strip_suffix('h').and_then(|hours| hours.parse().ok());
    let seconds = match (days, hours) {
        (Some(days), _) => u64::checked_mul(days, A_DAY),
        (_, Some(hours)) => u64::checked_mul(hours, 60 * 60),
        _ => None,
    };
    let seconds = seconds.filter(|seconds| *seconds <= 100 * 366 * A_DAY);
    let Some(seconds) = seconds else {
        return Err("write days or hours, as `90d` or `12h`, or a moment with its offset, as `2027-01-31T18:00:00Z`".into());
    };
    let at = SystemClock.now().plus(Duration::from_secs(seconds));
    Ok(jiff::Timestamp::from_millisecond(at.millis())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_a_moment_or_so_far_away() {
        assert_eq!(
            end("2027-01-31T18:00:00Z").unwrap().to_string(),
            "2027-01-31T18:00:00Z"
        );
        let away = end("2d").unwrap().as_second() - end("1h").unwrap().as_second();
        assert!((away - 47 * 60 * 60).abs() <= 1);
        for bad in [
            "",
            "d",
            "-1d",
            "90",
            "1y",
            "99999999999999999999d",
            "36601d",
        ] {
            assert!(end(bad).is_err(), "{bad}");
        }
    }
}
