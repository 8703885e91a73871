use std::{
    env, fs,
    io::{self, Write as _},
    net::{Ipv4Addr, TcpListener},
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::Programs;

/// How long it may take from nothing to a server that answers.
const START_LIMIT: Duration = Duration::from_secs(60);
/// Another process may take a port between its choice and its use.
const PORTS_TRIED: u32 = 5;
const SCRIPT: &str = include_str!("server.sh");

/// A server that runs until this is dropped, or the process that has it is gone.
#[derive(Debug)]
pub struct Server {
    url: String,
    script: Child,
}

impl Server {
    /// Starts one. As root, it runs as the user `postgres`, because it refuses to run as root.
    ///
    /// # Errors
    /// When no server is installed or it does not start; the message says why.
    pub fn start() -> io::Result<Self> {
        let programs = Programs::find()?;
        let mut attempt = 1;
        loop {
            match Self::start_at(&programs, free_port()?) {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse && attempt < PORTS_TRIED => {
                    attempt += 1;
                }
                outcome => return outcome,
            }
        }
    }

    /// How the superuser reaches it.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    fn start_at(programs: &Programs, port: u16) -> io::Result<Self> {
        let directory = env::temp_dir().join(format!("gatewright-postgres-{}", random()?));
        let password = random()?;
        let mut script = unprivileged("sh")
            .args(["-c", SCRIPT, "gatewright-test-postgres"])
            .arg(programs.folder())
            .arg(&directory)
            .arg(port.to_string())
            .current_dir("/")
            .stdin(Stdio::piped())
            // It may outlive a test by a moment, and would hold up whoever reads the test's output.
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // What ends a test's process group lets it take its directory away.
            .process_group(0)
            .spawn()?;
        if let Some(input) = script.stdin.as_mut() {
            writeln!(input, "{password}")?;
        }
        let mut server = Self {
            url: format!("postgres://postgres:{password}@127.0.0.1:{port}/postgres"),
            script,
        };
        server.wait_until_ready(&directory)?;
        Ok(server)
    }

    fn wait_until_ready(&mut self, directory: &Path) -> io::Result<()> {
        let start = Instant::now();
        while start.elapsed() < START_LIMIT {
            let state = fs::read_to_string(directory.join("data/postmaster.pid"));
            if state.is_ok_and(|state| state.lines().nth(7).map(str::trim) == Some("ready")) {
                return Ok(());
            }
            let log = fs::read_to_string(directory.join("log")).unwrap_or_default();
            if log.contains("could not bind") {
                return Err(io::ErrorKind::AddrInUse.into());
            }
            if log.contains("FATAL:") || self.script.try_wait()?.is_some() {
                return Err(io::Error::other(format!("Postgres did not start: {log}")));
            }
            pause();
        }
        Err(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("Postgres was not ready within {} s", START_LIMIT.as_secs()),
        ))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The end of its input is the script's sign.
        drop(self.script.stdin.take());
        // Where it cannot be waited for, it ends by itself.
        let _status = self.script.wait();
    }
}

/// A command under a user whom the server accepts.
fn unprivileged(program: &str) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command
        .args([
            "--reuid=postgres",
            "--regid=postgres",
            "--init-groups",
            "--",
        ])
        .arg(program);
    command
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata("/proc/self").is_ok_and(|this| this.uid() == 0)
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
        .local_addr()?
        .port())
}

/// A name that nobody else takes or guesses.
pub(crate) fn random() -> io::Result<String> {
    let uuid = fs::read_to_string("/proc/sys/kernel/random/uuid")?;
    Ok(uuid.trim().replace('-', ""))
}

#[expect(
    clippy::disallowed_methods,
    reason = "whoever waits for a server has nothing else to do"
)]
fn pause() {
    thread::sleep(Duration::from_millis(20));
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead as _, BufReader},
        net::TcpStream,
    };

    use super::*;

    /// Tells the test that it is the process to be killed.
    const KILLED: &str = "GATEWRIGHT_TEST_POSTGRES_OF_THE_KILLED";

    fn port(url: &str) -> u16 {
        let (_, place) = url.rsplit_once(':').unwrap();
        place.split_once('/').unwrap().0.parse().unwrap()
    }

    fn answers(port: u16) -> bool {
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
    }

    #[test]
    fn a_server_ends_with_whoever_started_it() {
        let server = Server::start().unwrap();
        let url = server.url().to_owned();
        assert!(answers(port(&url)));
        drop(server);
        assert!(!answers(port(&url)));
    }

    #[test]
    fn a_server_ends_with_a_process_that_is_killed() {
        if env::var_os(KILLED).is_some() {
            let server = Server::start().unwrap();
            println!("\nurl {}", server.url());
            loop {
                thread::park();
            }
        }
        let mut child = Command::new(env::current_exe().unwrap())
            .args([
                "--exact",
                "server::tests::a_server_ends_with_a_process_that_is_killed",
                "--nocapture",
            ])
            .env(KILLED, "1")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let url = lines
            .map(Result::unwrap)
            .find_map(|line| line.strip_prefix("url ").map(str::to_owned));
        let port = port(&url.unwrap());
        assert!(answers(port));
        child.kill().unwrap();
        child.wait().unwrap();
        let start = Instant::now();
        while answers(port) {
            assert!(start.elapsed() < START_LIMIT, "it is still there");
            pause();
        }
    }
}
