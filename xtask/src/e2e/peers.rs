//! How each of the peers is run.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use serde_json::{Value, json};

use super::grounds;
use super::install::Installed;
use super::process::Running;
use super::scenarios::{Client, Sdk};
use super::servers::{Program, Reach, Server};

#[derive(Debug)]
pub(super) struct Peers {
    pub(super) installed: Installed,
    node: PathBuf,
    /// `tests/e2e/clients/rmcp_client.rs`, built.
    rmcp_client: PathBuf,
}

impl Peers {
    /// Installs into the folder, unless what is pinned now is there already.
    pub(super) fn install(folder: &Path, rmcp_client: PathBuf) -> Result<Self> {
        let installed = Installed::in_folder(folder)?;
        Ok(Self {
            node: installed.node()?,
            rmcp_client,
            installed,
        })
    }

    /// Starts a program with its outputs in `<folder>/<name>.log`; it ends at the latest when this process does.
    pub(super) fn start(&self, name: &str, program: &Command, folder: &Path) -> Result<Running> {
        Running::start(name, self.python_script("tether.py"), program, folder)
    }

    /// The OpenID provider.
    pub(super) fn provider(&self) -> Command {
        self.node_script("op.mjs")
    }

    /// Logs people and machines in at the provider.
    pub(super) fn login(&self) -> Command {
        self.python_script("login.py")
    }

    /// What runs a server; what it works on is put into the folder.
    pub(super) fn server(&self, server: &Server, folder: &Path) -> Result<Command> {
        Ok(match server.program {
            Program::PythonEverything => {
                let mut command = self.python_module("mcp_everything_server");
                command
                    .args(["--port", "0"])
                    .env("PYTHONPATH", &self.installed.everything);
                command
            }
            Program::NpmEverything => {
                let everything =
                    "node_modules/@modelcontextprotocol/server-everything/dist/index.js";
                match server.reach {
                    Reach::Process => {
                        let mut command = self.node_script(everything);
                        command.arg("stdio");
                        command
                    }
                    Reach::Announced(_) => {
                        let mut command = Command::new(&self.node);
                        command
                            .arg("--require")
                            .arg(self.installed.javascript.join("loopback.cjs"))
                            .arg(self.installed.javascript.join(everything))
                            .arg("streamableHttp")
                            .env("PORT", "0");
                        command
                    }
                }
            }
            Program::Workbench => self.python_script("servers/workbench.py"),
            Program::Files => {
                let mut command = self.node_script(
                    "node_modules/@modelcontextprotocol/server-filesystem/dist/index.js",
                );
                command.arg(grounds::files(folder)?);
                command
            }
            Program::Git => {
                let repository = grounds::repository(folder)?;
                let mut command = self.python_module("mcp_server_git");
                command
                    .arg("--repository")
                    .arg(&repository)
                    .current_dir(repository);
                // Where git is on this machine.
                if let Some(path) = env::var_os("PATH") {
                    command.env("PATH", path);
                }
                command
            }
            Program::Time => {
                let mut command = self.python_module("mcp_server_time");
                command.args(["--local-timezone", "UTC"]);
                command
            }
        })
    }

    pub(super) fn client(&self, client: Client) -> Command {
        match client.sdk() {
            Sdk::Python => self.python_script("clients/sdk_client.py"),
            Sdk::Python1 => {
                let mut command = Command::new(self.installed.python_sdk1());
                command.arg(self.installed.scripts.join("clients/sdk1_client.py"));
                command
            }
            Sdk::TypeScript => self.node_script("sdk_client.mjs"),
            Sdk::TypeScript1 => self.node_script("sdk1_client.mjs"),
            Sdk::Rmcp => Command::new(&self.rmcp_client),
        }
    }

    /// The `bridge` of a plan: `mcp-remote`, which takes the token from its environment.
    pub(super) fn bridge(&self, url: &str, folder: &Path) -> Result<Value> {
        let remote = self
            .installed
            .javascript
            .join("node_modules/mcp-remote/dist/proxy.js");
        Ok(json!({
            "command": [
                self.node, remote, url, "--transport", "http-only", "--allow-http",
                "--header", "Authorization: Bearer ${TOKEN}",
            ],
            "environment": {"MCP_REMOTE_CONFIG_DIR": folder.join("mcp-remote")},
        }))
    }

    /// `tests/e2e/servers/keeper.py`, as it listens for HTTP.
    pub(super) fn keeper(&self) -> Command {
        self.python_script("servers/keeper.py")
    }

    pub(super) fn credentials_client(&self) -> Command {
        self.python_script("clients/credentials.py")
    }

    /// Drives the Inspector.
    pub(super) fn inspector(&self) -> Command {
        self.python_script("clients/inspector.py")
    }

    /// The `command` of the Inspector's plan.
    pub(super) fn inspector_command(&self) -> Value {
        let launcher =
            "node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js";
        json!([self.node, self.installed.javascript.join(launcher), "--cli"])
    }

    pub(super) fn raw_client(&self) -> Command {
        self.python_script("clients/raw_http.py")
    }

    fn python_module(&self, name: &str) -> Command {
        let mut command = Command::new(self.installed.python());
        command.args(["-m", name]);
        command
    }

    fn python_script(&self, path: &str) -> Command {
        let mut command = Command::new(self.installed.python());
        command.arg(self.installed.scripts.join(path));
        command
    }

    fn node_script(&self, name: &str) -> Command {
        self.node(&self.installed.javascript.join(name))
    }

    /// Node.js with a script.
    pub(super) fn node(&self, script: &Path) -> Command {
        let mut command = Command::new(&self.node);
        command.arg(script);
        command
    }
}
