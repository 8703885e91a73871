//! How each of the peers is run.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::install::Installed;
use super::process::Running;
use super::scenarios::Client;
use super::servers::{Program, Server};

#[derive(Debug)]
pub(super) struct Peers {
    pub(super) installed: Installed,
    node: PathBuf,
}

impl Peers {
    /// Installs into the folder, unless what is pinned now is there already.
    pub(super) fn install(folder: &Path) -> Result<Self> {
        let installed = Installed::in_folder(folder)?;
        Ok(Self {
            node: installed.node()?,
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

    pub(super) fn server(&self, server: &Server) -> Command {
        match server.program {
            Program::PythonEverything => {
                let mut command = Command::new(self.installed.python());
                command
                    .args(["-m", "mcp_everything_server", "--port", "0"])
                    .env("PYTHONPATH", &self.installed.everything);
                command
            }
            Program::NpmEverything => {
                let scripts = &self.installed.javascript;
                let server = "node_modules/@modelcontextprotocol/server-everything/dist/index.js";
                let mut command = Command::new(&self.node);
                command
                    .arg("--require")
                    .arg(scripts.join("loopback.cjs"))
                    .arg(scripts.join(server))
                    .arg("streamableHttp")
                    .env("PORT", "0");
                command
            }
            Program::Workbench => self.python_script("servers/workbench.py"),
        }
    }

    pub(super) fn client(&self, client: Client) -> Command {
        if client.is_python() {
            self.python_script("clients/sdk_client.py")
        } else {
            self.node_script("sdk_client.mjs")
        }
    }

    pub(super) fn raw_client(&self) -> Command {
        self.python_script("clients/raw_http.py")
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
