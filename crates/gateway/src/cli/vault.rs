//! `gatewright vault`: the credentials that servers need.

mod prompt;
mod rotate;

use std::io::{self, IsTerminal as _, Read as _, Write as _};

use clap::{Args, Subcommand};
use gatewright_core::{CredentialOwner, Secret};
use http::Method;
use serde_json::{Value, json};

use super::{
    ConfigArgs, Failure, Found, Outcome,
    admin::{Admin, TenantArgs},
    table,
};

/// The longest secret that is read; the vault itself takes less.
const LONGEST: u64 = 128 << 10;

#[derive(Debug, Subcommand)]
pub(super) enum VaultCommand {
    /// Store a secret, read from standard input; the next call goes with it
    #[command(
        after_help = "The secret is read from standard input and nowhere else: arguments can be read by everybody on the machine. \
        A terminal asks for it and does not show it.\n\n\
        Examples:\n  gatewright vault put wiki --user alice\n  gatewright vault put wiki --shared < wiki.key\n  \
        pass show wiki/alice | gatewright vault put wiki --user alice\n  \
        gatewright vault put wiki --agent report-bot --tenant acme < bot.key"
    )]
    Put(PutArgs),
    /// Show what is stored, without the secrets
    #[command(after_help = "Example: gatewright vault list --json")]
    List(ListArgs),
    /// Remove a secret; the next call goes without it
    #[command(after_help = "Example: gatewright vault remove wiki --user alice")]
    Remove(PlaceArgs),
    /// Make a new master key, and seal everything that is stored under it
    #[command(
        after_help = "The older keys stay: API keys need the one that they were made under until they end, and so does a \
        backup from before. What still needs one is listed.\n\nExample: gatewright vault rotate-key"
    )]
    RotateKey(rotate::RotateArgs),
}

#[derive(Debug, Args)]
pub(super) struct PutArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// Refused: a secret is no argument
    #[arg(hide = true, allow_hyphen_values = true)]
    secret: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct PlaceArgs {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    tenant: TenantArgs,
    /// The server that takes it
    server: String,
    #[command(flatten)]
    owner: OwnerArgs,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct OwnerArgs {
    /// For every caller (`credential = "shared"`)
    #[arg(long)]
    shared: bool,
    /// For this person (`credential = "per-user"`)
    #[arg(long, value_name = "ID")]
    user: Option<String>,
    /// For this agent (`credential = "per-agent"`)
    #[arg(long, value_name = "ID")]
    agent: Option<String>,
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

pub(super) fn run(command: &VaultCommand) -> Outcome {
    match command {
        VaultCommand::Put(args) => args.put(),
        VaultCommand::List(args) => args.list(),
        VaultCommand::Remove(args) => args.remove(),
        VaultCommand::RotateKey(args) => args.rotate(),
    }
}

impl PutArgs {
    fn put(&self) -> Outcome {
        if !self.secret.is_empty() {
            return Err(
                "a secret is read from standard input and never from an argument, where everybody on the machine can \
                 read it: nothing was stored. If that was a real secret, replace it where it comes from"
                    .into(),
            );
        }
        let admin = Admin::new(&self.place.config);
        let owner = self.place.owner(&admin)?;
        let secret = if io::stdin().is_terminal() {
            // Nobody types a secret for a gateway that is not there.
            admin.ask(Method::GET, &["status"], None)?;
            prompt::secret(&format!(
                "Secret of {owner} at {} (not shown): ",
                self.place.server
            ))?
        } else {
            from_stdin()?
        };
        let path = self.place.path(&owner);
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let body = json!({"secret": secret.expose()});
        let stored = admin.ask(Method::PUT, &path, Some(&body))?;
        let (server, version) = (&self.place.server, table::of(&stored, "version"));
        let mut out = io::stdout().lock();
        writeln!(out, "stored for {owner} at {server}, version {version}")?;
        if let Some(note) = stored.get("note").and_then(Value::as_str) {
            writeln!(io::stderr().lock(), "note: {note}")?;
        }
        Ok(Found::Good)
    }
}

fn from_stdin() -> Result<Secret, Failure> {
    let mut secret = String::new();
    // Whatever comes of it is wiped.
    let read = io::stdin().lock().take(LONGEST).read_to_string(&mut secret);
    let secret = Secret::new(secret);
    read.map_err(|error| format!("the secret cannot be read: {error}"))?;
    // The end of the line that `echo` and editors add is no part of it.
    let text = secret.expose();
    let text = text.strip_suffix('\n').unwrap_or(text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    Ok(Secret::new(text.to_owned()))
}

impl PlaceArgs {
    fn owner(&self, admin: &Admin<'_>) -> Result<CredentialOwner, Failure> {
        let subject = |id: &str| self.tenant.subject(admin, id);
        Ok(match (&self.owner.user, &self.owner.agent) {
            (Some(user), _) => CredentialOwner::User(subject(user)?),
            (_, Some(agent)) => CredentialOwner::Agent(subject(agent)?),
            _ => CredentialOwner::Shared,
        })
    }

    fn path(&self, owner: &CredentialOwner) -> [String; 5] {
        [
            "tenants".to_owned(),
            self.tenant.tenant.clone(),
            "credentials".to_owned(),
            self.server.clone(),
            owner.to_string(),
        ]
    }

    fn remove(&self) -> Outcome {
        let admin = Admin::new(&self.config);
        let owner = self.owner(&admin)?;
        let path = self.path(&owner);
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        admin.ask(Method::DELETE, &path, None)?;
        let mut out = io::stdout().lock();
        writeln!(out, "removed that of {owner} at {}", self.server)?;
        Ok(Found::Good)
    }
}

impl ListArgs {
    fn list(&self) -> Outcome {
        let admin = Admin::new(&self.config);
        let path = ["tenants", self.tenant.as_str(), "credentials"];
        let stored = admin.ask(Method::GET, &path, None)?;
        let mut out = io::stdout().lock();
        if self.json {
            writeln!(out, "{stored}")?;
            return Ok(Found::Good);
        }
        let row = |one: &Value| {
            let columns = ["server", "owner", "version", "stored_at"];
            columns.map(|name| table::of(one, name)).to_vec()
        };
        let rows: Vec<_> = table::items(&stored, "credentials")
            .iter()
            .map(row)
            .collect();
        table::write(&mut out, &["SERVER", "OWNER", "VERSION", "STORED"], &rows)?;
        Ok(Found::Good)
    }
}
