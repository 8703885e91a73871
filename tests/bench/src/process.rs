//! Programs under way, which end when they are dropped.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

/// How long a program may take until it answers.
const START_LIMIT: Duration = Duration::from_secs(60);

/// A program under way.
#[derive(Debug)]
pub(crate) struct Running {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Running {
    /// Starts a program with what it says in `<folder>/<name>.log`.
    pub(crate) fn start(name: &'static str, command: &mut Command, folder: &Path) -> Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let child = command
            .stdin(Stdio::piped())
            .stderr(File::create(&log)?)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        Ok(Self { name, child, log })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The address that the program says on its standard output it listens on.
    pub(crate) fn announced(&mut self) -> Result<SocketAddr> {
        let stdout = self.child.stdout.take().context("its output is read")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let address = line.trim().strip_prefix("listening on http://");
        address
            .with_context(|| format!("{} did not say where it listens", self.name))?
            .parse()
            .context("an address")
    }

    /// Waits until it takes connections.
    pub(crate) fn wait_until_open(&mut self, address: SocketAddr) -> Result<()> {
        let start = Instant::now();
        while start.elapsed() < START_LIMIT {
            if TcpStream::connect(address).is_ok() {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended with {status}: {}", self.name, self.last_lines());
            }
            pause();
        }
        bail!("{} does not listen: {}", self.name, self.last_lines())
    }

    fn last_lines(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().rev().take(5).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join(" | ")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let ended = self.child.kill().and_then(|()| self.child.wait());
        if let Err(error) = ended {
            println!("{} may still be running: {error}", self.name);
        }
    }
}

/// A loopback address that was free a moment ago, for programs that must be told theirs.
pub(crate) fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

#[expect(
    clippy::disallowed_methods,
    reason = "this program has no runtime that could be blocked"
)]
fn pause() {
    std::thread::sleep(Duration::from_millis(20));
}
