//! Installs the pinned peers and knows how each is run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::scenarios::{Client, Program, Server};
use crate::cargo;

/// What decides which peers are installed.
const PINS: &[&str] = &[
    "package.json",
    "package-lock.json",
    ".npmrc",
    "requirements.txt",
];
/// JavaScript finds its packages from where it lies, so these are copied beside them.
const SCRIPTS: &[&str] = &["op.mjs", "loopback.cjs", "clients/sdk_client.mjs"];
/// The SDK, whose source distribution carries the everything-server.
const SDK: &str = "mcp==";

#[derive(Debug)]
pub(super) struct Peers {
    /// The scripts and pins in the repository.
    scripts: PathBuf,
    javascript: PathBuf,
    python: PathBuf,
    everything: PathBuf,
}

impl Peers {
    /// Installs into the folder, unless what is pinned now is there already.
    pub(super) fn install(folder: &Path) -> Result<Self> {
        let scripts = cargo::root()?.join("tests/e2e");
        let mut pins = String::new();
        for name in PINS {
            pins.push_str(
                &fs::read_to_string(scripts.join(name))
                    .with_context(|| format!("cannot read {name}"))?,
            );
        }
        let peers = Self {
            javascript: folder.join("javascript"),
            python: folder.join("python"),
            everything: folder.join("everything"),
            scripts,
        };
        let stamp = folder.join("installed");
        if !fs::read_to_string(&stamp).is_ok_and(|installed| installed == pins) {
            peers.install_all(folder)?;
            fs::write(stamp, pins)?;
        }
        for script in SCRIPTS {
            let name = Path::new(script)
                .file_name()
                .context("a script has a name")?;
            fs::copy(peers.scripts.join(script), peers.javascript.join(name))?;
        }
        Ok(peers)
    }

    fn install_all(&self, folder: &Path) -> Result<()> {
        println!("installing the peers of the end-to-end test");
        for old in [&self.javascript, &self.python, &self.everything] {
            if old.exists() {
                fs::remove_dir_all(old)?;
            }
        }
        fs::create_dir_all(&self.javascript)?;
        for name in ["package.json", "package-lock.json", ".npmrc"] {
            fs::copy(self.scripts.join(name), self.javascript.join(name))?;
        }
        succeed(
            Command::new("npm")
                .args(["ci", "--silent", "--ignore-scripts"])
                .current_dir(&self.javascript),
        )?;

        succeed(
            Command::new("python3")
                .args(["-m", "venv"])
                .arg(&self.python),
        )?;
        let requirements = self.scripts.join("requirements.txt");
        succeed(
            self.pip()
                .args(["install", "--quiet", "--requirement"])
                .arg(&requirements),
        )?;

        let pinned = fs::read_to_string(&requirements)?;
        let sdk = pinned
            .lines()
            .find(|line| line.starts_with(SDK))
            .context("requirements.txt does not pin mcp")?;
        let version = sdk.trim_start_matches(SDK);
        let source = folder.join(format!("mcp-{version}"));
        succeed(
            self.pip()
                .args([
                    "download",
                    "--quiet",
                    "--no-deps",
                    "--no-binary",
                    "mcp",
                    sdk,
                    "--dest",
                ])
                .arg(folder),
        )?;
        let archive = folder.join(format!("mcp-{version}.tar.gz"));
        succeed(
            self.python_program()
                .args(["-m", "tarfile", "--extract"])
                .arg(&archive)
                .arg(folder),
        )?;
        fs::rename(
            source.join("examples/servers/everything-server"),
            &self.everything,
        )?;
        fs::remove_dir_all(source)?;
        fs::remove_file(archive)?;
        Ok(())
    }

    fn python_program(&self) -> Command {
        Command::new(self.python.join("bin/python"))
    }

    fn pip(&self) -> Command {
        let mut command = self.python_program();
        command.args(["-m", "pip", "--disable-pip-version-check"]);
        command
    }

    fn python_script(&self, path: &str) -> Command {
        let mut command = self.python_program();
        command.arg(self.scripts.join(path));
        command
    }

    fn node_script(&self, name: &str) -> Command {
        let mut command = Command::new("node");
        command.arg(self.javascript.join(name));
        command
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
                let mut command = self.python_program();
                command
                    .args(["-m", "mcp_everything_server", "--port", "0"])
                    .env("PYTHONPATH", &self.everything);
                command
            }
            Program::NpmEverything => {
                let modules = self.javascript.join("node_modules/@modelcontextprotocol");
                let mut command = Command::new("node");
                command
                    .arg("--require")
                    .arg(self.javascript.join("loopback.cjs"));
                command
                    .arg(modules.join("server-everything/dist/index.js"))
                    .arg("streamableHttp");
                command.env("PORT", "0");
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
}

fn succeed(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot run {}", command.get_program().display()))?;
    ensure!(status.success(), "`{command:?}` ended with {status}");
    Ok(())
}
