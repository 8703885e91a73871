//! The command line.

mod admin;
mod agent;
mod apply;
mod audit;
mod db;
mod explain;
mod grant;
mod group;
mod issuer;
mod key;
mod logging;
mod named;
mod policy;
mod publishing;
mod quickstart;
mod role;
mod scim_token;
mod serve;
mod server;
mod status;
mod table;
mod tenant;
mod things;
mod user;
mod vault;

use std::{
    error::Error,
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Args, CommandFactory as _, Parser, Subcommand};
use gatewright_audit::ReadLogError;
use tokio::runtime::Builder;

use crate::{
    config::{LoadConfigError, Organisation, Settings},
    edge::Certificate,
};

/// What a command found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Everything is as it should be.
    Good,
    /// It ran, and something is not as it should be.
    Bad,
}

type Failure = Box<dyn Error + Send + Sync>;

type Outcome = Result<Found, Failure>;

/// What a command ends with when it could not do its work. clap uses the same for wrong usage.
const COULD_NOT_RUN: u8 = 2;

#[derive(Debug, Parser)]
#[command(
    name = "gatewright",
    version,
    about = "The identity gateway for the Model Context Protocol.",
    long_about = "The identity gateway for the Model Context Protocol: it knows who is calling, decides per server, tool and \
        argument what they may do, and writes every call into a log that proves its own integrity.",
    after_help = "Ends with 0 when all is well, 1 when a check found something wrong, 2 when a command could not do its work\n\
        (wrong usage, a file that cannot be read, a configuration that cannot be used).",
    arg_required_else_help = true
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// See it work: a tour with a demo organisation, and something to paste into your MCP client
    Quickstart(quickstart::QuickstartArgs),
    /// Serve what the database has
    #[command(
        after_help = "SIGHUP reads the certificate again, SIGTERM and SIGINT drain. What is served is changed while it runs: see \
        `gatewright apply`.\n\n\
        Example: gatewright serve --config /etc/gatewright/gatewright.toml"
    )]
    Serve(ConfigArgs),
    /// Make the organisation as a file has it, after showing what that changes (asks the running gateway)
    #[command(
        after_help = "What a file made before and no longer has is taken away; what was made otherwise stays.\n\n\
        Examples:\n  gatewright apply -f org.toml\n  gatewright apply -f org.toml --check   (for pipelines)"
    )]
    Apply(apply::ApplyArgs),
    /// Look at the settings of the process (works offline)
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Look after tenants (asks the running gateway)
    #[command(subcommand)]
    Tenant(tenant::TenantCommand),
    /// Look after people (asks the running gateway)
    #[command(subcommand)]
    User(user::UserCommand),
    /// Look after groups, and who is in them (asks the running gateway)
    #[command(subcommand)]
    Group(group::GroupCommand),
    /// Look after agents (asks the running gateway)
    #[command(subcommand)]
    Agent(agent::AgentCommand),
    /// Look after roles (asks the running gateway)
    #[command(subcommand)]
    Role(role::RoleCommand),
    /// Give roles to people, groups and agents (asks the running gateway)
    #[command(subcommand)]
    Grant(grant::GrantCommand),
    /// Look after servers (asks the running gateway)
    #[command(subcommand)]
    Server(server::ServerCommand),
    /// Say whose tokens are taken (asks the running gateway)
    #[command(subcommand)]
    Issuer(issuer::IssuerCommand),
    /// Make and remove the tokens by which identity providers push people and groups (asks the running gateway)
    #[command(subcommand, name = "scim-token")]
    ScimToken(scim_token::ScimTokenCommand),
    /// Check and explain policies of a file (works offline); draft, publish and take back those in force
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// See what a running gateway serves
    #[command(after_help = "Example: gatewright status --config /etc/gatewright/gatewright.toml")]
    Status(status::StatusArgs),
    /// Keep the credentials that servers need (asks the running gateway)
    #[command(subcommand)]
    Vault(vault::VaultCommand),
    /// Make and revoke API keys (asks the running gateway)
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Look at the audit log (works offline)
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Print what a shell completes this command line with
    #[command(
        after_help = "Example: gatewright completion bash > /etc/bash_completion.d/gatewright"
    )]
    Completion {
        /// Which
        shell: clap_complete::Shell,
    },
    /// Move, back up and restore the database (works on a stopped installation)
    #[command(subcommand)]
    Db(db::DbCommand),
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Read the file and name every mistake with its line (works offline)
    #[command(after_help = "Example: gatewright config check --config gatewright.toml")]
    Check(ConfigArgs),
}

#[derive(Clone, Debug, Args)]
pub(crate) struct ConfigArgs {
    /// The settings of the process
    #[arg(long, short, value_name = "FILE", default_value = "gatewright.toml")]
    config: PathBuf,
}

impl ConfigArgs {
    fn settings(&self) -> Result<Settings, LoadConfigError> {
        Settings::load(&self.config)
    }
}

/// A file of an organisation, and the settings under which it would be served.
#[derive(Clone, Debug, Args)]
pub(crate) struct FileArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// The file of the organisation
    #[arg(long, short, value_name = "FILE", default_value = "org.toml")]
    file: PathBuf,
}

impl FileArgs {
    fn load(&self) -> Result<(Settings, Organisation), LoadConfigError> {
        let settings = self.config.settings()?;
        let organisation = Organisation::load(&self.file, &settings)?;
        Ok((settings, organisation))
    }
}

/// Does what the arguments of the process say.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match cli.command {
        Command::Quickstart(args) => quickstart::run(&args),
        Command::Serve(args) => serve::run(&args),
        Command::Apply(args) => apply::run(&args),
        Command::Config(ConfigCommand::Check(args)) => check(&args),
        Command::Policy(command) => policy::run(command),
        Command::Status(args) => status::run(&args),
        Command::Vault(command) => vault::run(&command),
        Command::Key(command) => key::run(&command),
        Command::Audit(command) => audit::run(&command),
        Command::Tenant(command) => tenant::run(&command),
        Command::User(command) => user::run(&command),
        Command::Group(command) => group::run(&command),
        Command::Agent(command) => agent::run(&command),
        Command::Role(command) => role::run(&command),
        Command::Grant(command) => grant::run(&command),
        Command::Server(command) => server::run(&command),
        Command::Issuer(command) => issuer::run(&command),
        Command::ScimToken(command) => scim_token::run(&command),
        Command::Completion { shell } => complete(shell),
        Command::Db(command) => db::run(&command),
    };
    outcome.map_or_else(
        |error| {
            if !is_closed_pipe(&*error) {
                complain(&*error);
            }
            ExitCode::from(COULD_NOT_RUN)
        },
        ExitCode::from,
    )
}

fn complete(shell: clap_complete::Shell) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "gatewright", &mut script);
    io::stdout().lock().write_all(&script)?;
    Ok(Found::Good)
}

/// Runs a future to its end on a runtime of its own.
fn block_on<T, E: From<io::Error>>(future: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(future)
}

impl From<Found> for ExitCode {
    fn from(found: Found) -> Self {
        match found {
            Found::Good => Self::SUCCESS,
            Found::Bad => Self::FAILURE,
        }
    }
}

fn check(args: &ConfigArgs) -> Outcome {
    match args.settings() {
        Ok(settings) => {
            if let Some(files) = &settings.tls
                && let Err(error) = Certificate::load(files)
            {
                complain(&error);
                return Ok(Found::Bad);
            }
            let mut out = io::stdout().lock();
            writeln!(out, "{}: no mistakes", settings.file.display())?;
            Ok(Found::Good)
        }
        Err(error @ LoadConfigError::Invalid(_)) => {
            complain(&error);
            Ok(Found::Bad)
        }
        Err(error) => Err(error.into()),
    }
}

/// Whether whoever reads what we write has gone, as `head` does.
fn is_closed_pipe(error: &(dyn Error + Send + Sync + 'static)) -> bool {
    let own = error.downcast_ref::<io::Error>();
    let of_log = match error.downcast_ref::<ReadLogError>() {
        Some(ReadLogError::Write(error)) => Some(error),
        _ => None,
    };
    let kind = own.or(of_log).map(io::Error::kind);
    kind == Some(io::ErrorKind::BrokenPipe)
}

/// Tells people what went wrong, with what caused it.
fn complain(error: &dyn Error) {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // Many of our messages hold their cause's already.
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    // There is nobody to tell that nobody can be told.
    let _written = writeln!(io::stderr().lock(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_fits_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_mistake_in_a_file_is_a_failed_check_and_a_missing_file_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("gatewright.toml");
        let args = ConfigArgs {
            config: config.clone(),
        };
        assert!(check(&args).is_err());
        std::fs::write(&config, "public_url = 'https://gw.example'\ntypo = 1").unwrap();
        assert_eq!(check(&args).unwrap(), Found::Bad);
        std::fs::write(&config, "public_url = 'https://gw.example'").unwrap();
        assert_eq!(check(&args).unwrap(), Found::Good);
        let tls = "[tls]\ncertificate = 'none.pem'\nkey = 'none.key'";
        let settings = format!("public_url = 'https://gw.example'\n{tls}");
        std::fs::write(&config, settings).unwrap();
        assert_eq!(check(&args).unwrap(), Found::Bad, "there is no certificate");
    }
}
