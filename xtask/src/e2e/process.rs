//! Programs that run beside the test, and scripts that run to their end: with logs, limits, and nothing left behind.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// How long a program may take until it answers.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How long the gateway may take to drain.
const STOP_LIMIT: Duration = Duration::from_secs(20);
/// How long killing a process group may take.
const KILL_LIMIT: Duration = Duration::from_secs(10);
/// How long a script may take; each of its checks has a limit of its own.
const SCRIPT_LIMIT: Duration = Duration::from_secs(600);

/// A program under way, on a tether: `tests/e2e/tether.py` kills its process group when this is dropped, and also when
/// this process ends in a way that drops nothing.
#[derive(Debug)]
pub(crate) struct Running {
    name: String,
    tether: Child,
    log: PathBuf,
}

impl Running {
    /// Starts a program under `tether` with both of its outputs in `<folder>/<name>.log`.
    pub(crate) fn start(
        name: &str,
        mut tether: Command,
        program: &Command,
        folder: &Path,
    ) -> Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let file = File::create(&log)?;
        tether.arg(program.get_program()).args(program.get_args());
        for (key, value) in program.get_envs() {
            tether.env(key, value.unwrap_or(OsStr::new("")));
        }
        let tether = tether
            .current_dir(program.get_current_dir().unwrap_or(folder))
            .stdin(Stdio::piped())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        Ok(Self {
            name: name.to_owned(),
            tether,
            log,
        })
    }

    /// The URL in the log after `prefix`, once it is there.
    pub(crate) fn announced_url(&mut self, prefix: &str) -> Result<String> {
        let log = self.log.clone();
        self.wait_until("said where it listens", || {
            Ok(announced(&fs::read_to_string(&log)?, prefix).map(str::to_owned))
        })
    }

    /// Waits until a port answers `GET <path>` with 200.
    pub(crate) fn wait_until_ready(&mut self, port: u16, path: &str) -> Result<()> {
        self.wait_until("ready", || {
            // Until it listens, connecting fails.
            Ok(answers_ok(port, path).unwrap_or(false).then_some(()))
        })
    }

    fn wait_until<T>(
        &mut self,
        what: &str,
        mut probe: impl FnMut() -> Result<Option<T>>,
    ) -> Result<T> {
        let start = Instant::now();
        while start.elapsed() < START_LIMIT {
            if let Some(found) = probe()? {
                return Ok(found);
            }
            if let Some(status) = self.tether.try_wait()? {
                bail!("{} ended with {status}: {}", self.name, self.last_lines());
            }
            pause();
        }
        bail!(
            "{} has not {what} within {} s: {}",
            self.name,
            START_LIMIT.as_secs(),
            self.last_lines()
        )
    }

    /// Asks the program to end, and fails unless it does, with status 0.
    pub(crate) fn terminate(mut self) -> Result<()> {
        let Some(command) = self.tether.stdin.as_mut() else {
            bail!("{} has no tether", self.name);
        };
        command.write_all(b"terminate\n")?;
        let Some(status) = wait_for(&mut self.tether, STOP_LIMIT)? else {
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
        // The end of its input is the tether's sign to kill the group and end.
        drop(self.tether.stdin.take());
        if !matches!(wait_for(&mut self.tether, KILL_LIMIT), Ok(Some(_))) {
            println!("{} may still be running: its tether did not end", self.name);
        }
    }
}

/// The URL after `prefix` in a log. Only in a whole line: it might still be on its way.
fn announced<'a>(log: &'a str, prefix: &str) -> Option<&'a str> {
    log.split_inclusive('\n')
        .filter(|line| line.ends_with('\n'))
        .find_map(|line| line.split_once(prefix))
        .and_then(|(_, rest)| rest.split_whitespace().next())
}

/// The child's status, unless it is still running at the limit.
pub(crate) fn wait_for(child: &mut Child, limit: Duration) -> Result<Option<ExitStatus>> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if start.elapsed() >= limit {
            return Ok(None);
        }
        pause();
    }
}

/// Runs a script to its end with `input` as JSON on its standard input, and returns what it printed. What it says on
/// its standard error is in `<folder>/<name>.err`.
pub(crate) fn ask(
    mut command: Command,
    input: &Value,
    folder: &Path,
    name: &str,
) -> Result<String> {
    let errors = folder.join(format!("{}.err", name.replace(' ', "-")));
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(File::create(&errors)?)
        .spawn()
        .context("cannot start the script")?;
    let mut stdout = child.stdout.take().context("no standard output")?;
    // Read all the while: a full pipe would stop the script.
    let printed = thread::spawn(move || {
        let mut text = String::new();
        stdout.read_to_string(&mut text).map(|_| text)
    });
    let mut stdin = child.stdin.take().context("no standard input")?;
    let written = stdin.write_all(input.to_string().as_bytes());
    drop(stdin);
    let Some(status) = wait_for(&mut child, SCRIPT_LIMIT)? else {
        child.kill()?;
        child.wait()?;
        bail!("still running after {} s", SCRIPT_LIMIT.as_secs());
    };
    ensure!(
        status.success(),
        "ended with {status}: {}",
        fs::read_to_string(&errors)?
            .lines()
            .last()
            .unwrap_or_default()
    );
    written.context("the script did not read its input")?;
    match printed.join() {
        Ok(text) => text.context("the script printed something else than text"),
        Err(_panic) => bail!("the script's output was not read"),
    }
}

/// A loopback port that was free a moment ago, for programs that must name theirs before they listen.
pub(crate) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
        .local_addr()?
        .port())
}

fn answers_ok(port: u16, path: &str) -> Result<bool> {
    let mut stream = ask_http(port, path)?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer)?;
    Ok(&answer == b"HTTP/1.1 200")
}

/// What a port answers to `GET <path>`, head and body.
pub(crate) fn fetch(port: u16, path: &str) -> Result<String> {
    let mut answer = String::new();
    ask_http(port, path)?.read_to_string(&mut answer)?;
    ensure!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
    Ok(answer)
}

fn ask_http(port: u16, path: &str) -> Result<TcpStream> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\n\r\n"
    )?;
    Ok(stream)
}

#[expect(
    clippy::disallowed_methods,
    reason = "this program has no runtime that could be blocked"
)]
fn pause() {
    thread::sleep(Duration::from_millis(20));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cargo;

    /// Starts a shell that starts a program, and returns that program's id.
    fn shell(folder: &Path, last: &str) -> (Running, String) {
        let mut tether = Command::new("python3");
        tether.arg(cargo::root().unwrap().join("tests/e2e/tether.py"));
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("sleep 600 & echo started $!; {last}")]);
        let mut running = Running::start("shell", tether, &shell, folder).unwrap();
        let id = running.announced_url("started ").unwrap();
        (running, id)
    }

    /// Waits until a process is gone, or is only waiting for its parent to notice.
    fn ends(id: &str) -> bool {
        let start = Instant::now();
        while start.elapsed() < KILL_LIMIT {
            let status = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
            if status.is_empty() || status.contains(") Z ") {
                return true;
            }
            pause();
        }
        false
    }

    #[test]
    fn what_a_program_started_ends_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let (running, id) = shell(folder.path(), "wait");
        drop(running);
        assert!(ends(&id));
        // Also when the program has ended by itself, and its status is its own.
        let (running, id) = shell(folder.path(), "trap 'exit 7' TERM; wait");
        let error = running.terminate().unwrap_err().to_string();
        assert!(error.contains("exit status: 7"), "{error}");
        assert!(ends(&id));
    }

    #[test]
    fn url_is_announced_once_its_line_is_whole() {
        let log = "starting\nINFO: listening on http://127.0.0.1:41 (stop with Ctrl-C)\n";
        assert_eq!(announced(log, "listening on "), Some("http://127.0.0.1:41"));
        assert_eq!(announced(log, "serving at "), None);
        assert_eq!(
            announced("listening on http://127.0.0.1:4", "listening on "),
            None
        );
    }
}
