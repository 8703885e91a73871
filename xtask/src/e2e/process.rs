//! Programs that run beside the test: started with a log, waited for, and stopped by their id.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// How long a program may take until it answers.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How long the gateway may take to drain.
const STOP_LIMIT: Duration = Duration::from_secs(20);
/// How long a client script may take; each of its checks has a limit of its own.
const SCRIPT_LIMIT: Duration = Duration::from_secs(600);

/// A program under way. Dropping it stops it at once.
#[derive(Debug)]
pub(crate) struct Running {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Running {
    /// Starts a program with both of its outputs in `<folder>/<name>.log`.
    pub(crate) fn start(name: &str, mut command: Command, folder: &Path) -> Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let file = File::create(&log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        Ok(Self {
            name: name.to_owned(),
            child,
            log,
        })
    }

    /// The URL in the log after `prefix`, once it is there.
    pub(crate) fn announced_url(&self, prefix: &str) -> Result<String> {
        let start = Instant::now();
        while start.elapsed() < START_LIMIT {
            let log = fs::read_to_string(&self.log)?;
            // Only a whole line: the URL might still be on its way.
            let line = log
                .split_inclusive('\n')
                .find(|line| line.contains(prefix) && line.ends_with('\n'));
            let rest = line
                .and_then(|line| line.split_once(prefix))
                .map(|(_, rest)| rest);
            if let Some(url) = rest.and_then(|rest| rest.split_whitespace().next()) {
                return Ok(url.to_owned());
            }
            pause();
        }
        bail!(
            "{} did not say within {} s where it listens",
            self.name,
            START_LIMIT.as_secs()
        )
    }

    /// Waits until a port answers `GET <path>` with 200.
    pub(crate) fn wait_until_ready(&mut self, ports: &[u16], path: &str) -> Result<()> {
        let start = Instant::now();
        while start.elapsed() < START_LIMIT {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended with {status}: {}", self.name, self.last_lines());
            }
            if ports
                .iter()
                .any(|port| answers_ok(*port, path).unwrap_or(false))
            {
                return Ok(());
            }
            pause();
        }
        bail!(
            "{} was not ready within {} s: {}",
            self.name,
            START_LIMIT.as_secs(),
            self.last_lines()
        )
    }

    /// Asks the program to end, and fails unless it does, with status 0.
    pub(crate) fn terminate(mut self) -> Result<()> {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status()?;
        ensure!(sent.success(), "cannot send SIGTERM to {}", self.name);
        let Some(status) = wait_for(&mut self.child, STOP_LIMIT)? else {
            bail!("still running {} s after SIGTERM", STOP_LIMIT.as_secs());
        };
        ensure!(
            status.success(),
            "ended with {status}: {}",
            self.last_lines()
        );
        Ok(())
    }

    fn last_lines(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().rev().take(5).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join(" | ")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself; either way there is nothing left to report.
        if self.child.kill().is_ok() {
            drop(self.child.wait());
        }
    }
}

/// The child's status, unless it is still running at the limit.
pub(crate) fn wait_for(child: &mut Child, limit: Duration) -> Result<Option<ExitStatus>> {
    let start = Instant::now();
    while start.elapsed() < limit {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        pause();
    }
    Ok(None)
}

/// Runs a script to its end with `input` as JSON on its standard input, and returns what it printed.
pub(crate) fn ask(mut command: Command, input: &Value) -> Result<String> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start the script")?;
    child
        .stdin
        .take()
        .context("no standard input")?
        .write_all(input.to_string().as_bytes())?;
    let output = child.wait_with_output()?;
    ensure!(
        output.status.success(),
        "the script ended with {}",
        output.status
    );
    String::from_utf8(output.stdout).context("the script printed something else than text")
}

/// Like [`ask`], for a script that may hang: with a limit, and with its outputs in files of the folder.
pub(crate) fn feed(
    mut command: Command,
    input: &Value,
    folder: &Path,
    name: &str,
) -> Result<String> {
    let stem = name.replace(' ', "-");
    let (printed, errors) = (
        folder.join(format!("{stem}.out")),
        folder.join(format!("{stem}.err")),
    );
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(File::create(&printed)?)
        .stderr(File::create(&errors)?)
        .spawn()
        .context("cannot start the script")?;
    child
        .stdin
        .take()
        .context("no standard input")?
        .write_all(input.to_string().as_bytes())?;
    let Some(status) = wait_for(&mut child, SCRIPT_LIMIT)? else {
        child.kill()?;
        child.wait()?;
        bail!("still running after {} s", SCRIPT_LIMIT.as_secs());
    };
    ensure!(
        status.success(),
        "ended with {status}; see {}",
        errors.display()
    );
    Ok(fs::read_to_string(printed)?)
}

/// A loopback port that was free a moment ago, for programs that must name theirs before they listen.
pub(crate) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
        .local_addr()?
        .port())
}

fn answers_ok(port: u16, path: &str) -> Result<bool> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\n\r\n"
    )?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer)?;
    Ok(&answer == b"HTTP/1.1 200")
}

#[expect(
    clippy::disallowed_methods,
    reason = "this program has no runtime that could be blocked"
)]
fn pause() {
    std::thread::sleep(Duration::from_millis(50));
}
