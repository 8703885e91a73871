//! The gateway under test: its configuration, its start, and what is looked at when it has ended.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::peers::Peers;
use super::process::{self, Running};
use super::servers::{Permits, SERVERS, Server};

#[derive(Debug)]
pub(super) struct Gateway {
    program: PathBuf,
    config: PathBuf,
    data: PathBuf,
    public_port: u16,
    metrics_port: u16,
}

impl Gateway {
    /// Writes the configuration: the provider as issuer, the servers with how they are reached, and roles for staff and
    /// guests.
    pub(super) fn configure(
        program: &Path,
        folder: &Path,
        ports: (u16, u16),
        issuer: &str,
        reached: &BTreeMap<&str, String>,
        keepers: &str,
    ) -> Result<Self> {
        let organisation = organisation(issuer, reached)? + keepers;
        Self::with_settings(program, folder, ports, "", &organisation)
    }

    /// Writes the configuration: further settings of the process, and the organisation.
    pub(super) fn with_settings(
        program: &Path,
        folder: &Path,
        (public_port, metrics_port): (u16, u16),
        more: &str,
        organisation: &str,
    ) -> Result<Self> {
        let config = folder.join("gatewright.toml");
        let data = folder.join("data");
        let settings = process_settings(public_port, metrics_port);
        // Before its tables.
        fs::write(&config, format!("{more}{settings}"))?;
        fs::write(folder.join("org.toml"), organisation)?;
        Ok(Self {
            program: program.to_owned(),
            config,
            data,
            public_port,
            metrics_port,
        })
    }

    /// The URL of a server's route, which is also the audience of its tokens.
    pub(super) fn route(&self, server: &str) -> String {
        route(self.public_port, server)
    }

    pub(super) fn program(&self) -> &Path {
        &self.program
    }

    pub(super) fn config(&self) -> &Path {
        &self.config
    }

    /// Keeps what it counts now in `<folder>/metrics`.
    pub(super) fn keep_metrics(&self, folder: &Path) -> Result<()> {
        let counted = process::fetch(self.metrics_port, "/metrics")?;
        Ok(fs::write(folder.join("metrics"), counted)?)
    }

    /// Starts the gateway and waits until it is ready.
    pub(super) fn start(&self, peers: &Peers, folder: &Path) -> Result<Running> {
        let mut command = Command::new(&self.program);
        command.arg("serve").arg("--config").arg(&self.config);
        let mut running = peers.start("gateway", &command, folder)?;
        running.wait_until_ready(self.metrics_port, "/readyz")?;
        self.apply()?;
        Ok(running)
    }

    /// Makes the organisation as the file has it.
    fn apply(&self) -> Result<()> {
        let file = self.config.with_file_name("org.toml");
        let mut apply = Command::new(&self.program);
        apply.args(["apply", "--yes", "--config"]).arg(&self.config);
        let applied = apply.arg("--file").arg(&file).output()?;
        ensure!(
            applied.status.success(),
            "`{}` was not applied: {}{}",
            file.display(),
            String::from_utf8_lossy(&applied.stdout),
            String::from_utf8_lossy(&applied.stderr)
        );
        Ok(())
    }

    /// A command of the program that reads the same configuration.
    pub(super) fn command(&self, group: &str, name: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.args([group, name, "--config"]).arg(&self.config);
        command
    }

    /// The folders that the gateway writes into: its data, and its keys.
    pub(super) fn folders(&self) -> [PathBuf; 2] {
        [self.data.clone(), self.data.with_file_name("data-keys")]
    }

    pub(super) fn audit(&self) -> PathBuf {
        self.data.join("audit")
    }
}

/// How the gateway reaches a server that listens, as the configuration says it.
pub(super) fn at_url(url: &str) -> String {
    format!("url = \"{url}\"\n")
}

/// How the gateway starts a server, as the configuration says it.
pub(super) fn as_process(command: &Command) -> Result<String> {
    let text = |text: &OsStr| -> Result<String> {
        let text = text.to_str().context("it is no text")?;
        // Texts and lists of them are written alike in JSON and TOML.
        Ok(serde_json::to_string(text)?)
    };
    let mut lines = format!("command = {}\n", text(command.get_program())?);
    let args: Result<Vec<_>> = command.get_args().map(text).collect();
    writeln!(lines, "args = [{}]", args?.join(", "))?;
    if let Some(folder) = command.get_current_dir() {
        writeln!(lines, "cwd = {}", text(folder.as_os_str())?)?;
    }
    for (name, value) in command.get_envs() {
        let value = value.context("the variable has no value")?;
        writeln!(lines, "env.{} = {}", name.display(), text(value)?)?;
    }
    Ok(lines)
}

/// The URL of a server's route at a gateway that listens on a port.
pub(super) fn route(port: u16, server: &str) -> String {
    format!("http://127.0.0.1:{port}/mcp/{server}")
}

/// What an operator sets for the process.
fn process_settings(public_port: u16, metrics_port: u16) -> String {
    format!(
        r#"data_dir = "data"
public_url = "http://127.0.0.1:{public_port}"
development = true

[listen]
public = "127.0.0.1:{public_port}"
metrics = "127.0.0.1:{metrics_port}"

[logging]
level = "debug"

[outbound]
allow = ["127.0.0.0/8"]
"#
    )
}

/// What an organisation sets: issuers, servers, roles and grants.
fn organisation(issuer: &str, reached: &BTreeMap<&str, String>) -> Result<String> {
    let mut text = String::new();
    write!(
        text,
        "create_people_on_sight = true\n\n[[issuers]]\nissuer = \"{issuer}\"\nalgorithms = [\"RS256\"]\ngroups_claim = \"groups\"\n"
    )?;
    for server in SERVERS {
        let reached = reached
            .get(server.name)
            .context("every server is reached")?;
        write!(
            text,
            "\n[[servers]]\nname = \"{}\"\n{reached}scopes = {}\n",
            server.name, server.scopes
        )?;
    }
    for (role, group, permits) in ROLES {
        write!(text, "\n[[roles]]\nname = \"{role}\"\n")?;
        for server in SERVERS {
            let Permits {
                tools,
                prompts,
                resources,
                templates,
                server_requests,
                when,
            } = permits(server);
            let list = |names: &[&str]| serde_json::to_string(names);
            write!(
                text,
                "\n[[roles.permissions]]\nservers = [\"{}\"]\ntools = {}\nprompts = {}\nresources = {}\n\
                server_requests = {}\nwhen = {when}\n",
                server.name,
                list(tools)?,
                list(prompts)?,
                list(&[*resources, *templates].concat())?,
                list(server_requests)?,
            )?;
        }
        write!(
            text,
            "\n[[grants]]\nrole = \"{role}\"\ngroup = \"{group}\"\n"
        )?;
    }
    text.push_str(AGENTS);
    Ok(text)
}

/// What the provider's clients may that are agents, on their own or for someone.
const AGENTS: &str = r#"
[[roles]]
name = "agent"

[[roles.permissions]]
servers = ["workbench"]
tools = ["headers", "steps", "blob"]

[[grants]]
role = "agent"
agent = "robot"

[[grants]]
role = "agent"
agent = "exchanger"
"#;

type PermitsOf = fn(&Server) -> &Permits;

/// Role, the group that has it, and what it permits at a server.
const ROLES: [(&str, &str, PermitsOf); 2] = [
    ("member", "staff", |server| &server.member),
    ("visitor", "guests", |server| &server.visitor),
];
