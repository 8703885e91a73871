//! The gateway under test: its configuration, its start, and what is looked at when it has ended.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::peers::Peers;
use super::process::Running;
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
    /// Writes the configuration: the provider as issuer, the servers, and roles for staff and guests.
    pub(super) fn configure(
        program: &Path,
        folder: &Path,
        ports: (u16, u16),
        issuer: &str,
        urls: &BTreeMap<&str, String>,
    ) -> Result<Self> {
        let organisation = organisation(issuer, urls)?;
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
    pub(super) fn route(&self, server: &Server) -> String {
        route(self.public_port, server)
    }

    /// Starts the gateway and waits until it is ready.
    pub(super) fn start(&self, peers: &Peers, folder: &Path) -> Result<Running> {
        let mut command = Command::new(&self.program);
        command.arg("serve").arg("--config").arg(&self.config);
        let mut running = peers.start("gateway", &command, folder)?;
        running.wait_until_ready(self.metrics_port, "/readyz")?;
        Ok(running)
    }

    /// A command of the program that reads the same configuration.
    pub(super) fn command(&self, group: &str, name: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.args([group, name, "--config"]).arg(&self.config);
        command
    }

    /// What the gateway writes at run time.
    pub(super) fn data(&self) -> &Path {
        &self.data
    }
}

/// The URL of a server's route at a gateway that listens on a port.
pub(super) fn route(port: u16, server: &Server) -> String {
    format!("http://127.0.0.1:{port}/mcp/{}", server.name)
}

/// What an operator sets for the process.
fn process_settings(public_port: u16, metrics_port: u16) -> String {
    format!(
        r#"data_dir = "data"
public_url = "http://127.0.0.1:{public_port}"
organisation = "org.toml"
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
fn organisation(issuer: &str, urls: &BTreeMap<&str, String>) -> Result<String> {
    let mut text = String::new();
    write!(
        text,
        "[[issuers]]\nissuer = \"{issuer}\"\nalgorithms = [\"RS256\"]\ngroups_claim = \"groups\"\n"
    )?;
    for server in SERVERS {
        let url = urls.get(server.name).context("every server was started")?;
        write!(
            text,
            "\n[[servers]]\nname = \"{}\"\nurl = \"{url}\"\nscopes = {}\n",
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
            } = permits(server);
            // Lists of strings are written alike in JSON and TOML.
            let list = |names: &[&str]| serde_json::to_string(names);
            write!(
                text,
                "\n[[roles.permissions]]\nservers = [\"{}\"]\ntools = {}\nprompts = {}\nresources = {}\n\
                server_requests = {}\n",
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
