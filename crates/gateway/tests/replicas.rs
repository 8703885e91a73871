//! Several gateways on one Postgres database, each a process of its own, as an operator runs them.
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "whatever cannot be done fails the test that needs it"
)]

#[path = "replicas/changes.rs"]
mod changes;
#[path = "replicas/commands.rs"]
mod commands;
#[path = "replicas/keys.rs"]
mod keys;
#[path = "replicas/starting.rs"]
mod starting;
#[path = "replicas/way.rs"]
mod way;

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use gatewright_test_postgres::Database;
use gatewright_test_support::{Client, FakeIdp, FakeServer, message, modern_request};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Longer than anything here takes, and shorter than anybody waits.
const PATIENCE: Duration = Duration::from_secs(60);
/// Within this a change is in force at every replica.
const SOON: Duration = Duration::from_secs(1);
/// By which name clients know every replica.
const PUBLIC: &str = "http://gw.example";
/// Where replicas find the database's URL.
const VARIABLE: &str = "GATEWRIGHT_TEST_DATABASE";

/// What all replicas of an installation share.
struct Site {
    database: Database,
    idp: FakeIdp,
    server: FakeServer,
    client: Client,
    dir: TempDir,
}

impl Site {
    async fn new() -> Self {
        Self {
            database: Database::create(),
            idp: FakeIdp::start().await,
            server: FakeServer::start().await,
            client: Client::default(),
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn replica(&self, name: &str) -> Replica {
        self.replica_at(name, self.database.url(), "")
    }

    /// One that reaches the database at this URL.
    fn replica_at(&self, name: &str, url: &str, database: &str) -> Replica {
        let config = self.configured(name, &format!("url_env = '{VARIABLE}'\n{database}"));
        Replica::start(config, url)
    }

    /// The settings of a replica with this in its table `database`.
    fn configured(&self, name: &str, database: &str) -> PathBuf {
        let folder = self.dir.path().join(name);
        fs::create_dir_all(&folder).unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        let settings = format!(
            "public_url = '{PUBLIC}'\ndevelopment = true\nkey_dir = '../keys'\nallowed_hosts = ['{address}']\n\
             [listen]\npublic = '{address}'\n[logging]\nformat = 'json'\n[limits]\ndrain_ms = 200\n\
             [database]\nreplica = '{name}'\n{database}\n"
        );
        let file = folder.join("gatewright.toml");
        fs::write(&file, settings).unwrap();
        file
    }

    fn organisation(&self, more: &str) -> String {
        format!(
            "create_people_on_sight = true\n[[issuers]]\nissuer = '{}'\ngroups_claim = 'groups'\n\
             [[servers]]\nname = 'tools'\nurl = '{}'\n\
             [[roles]]\nname = 'staff'\n[[roles.permissions]]\nservers = ['*']\ntools = ['*']\n\
             [[grants]]\nrole = 'staff'\ngroup = 'staff'\n[[agents]]\nid = 'bot'\n{more}",
            self.idp.issuer(),
            self.server.url()
        )
    }

    fn token(&self, user: &str, server: &str) -> String {
        let audience = format!("{PUBLIC}/mcp/{server}");
        let token = self.idp.token(user, &audience);
        token.claim("groups", ["staff"]).sign()
    }

    /// How a replica answers somebody who calls a tool.
    async fn calls(&self, replica: &Replica, user: &str) -> StatusCode {
        let token = self.token(user, "tools");
        self.tool(replica, "tools", &token, "echo").await.status()
    }

    async fn tool(
        &self,
        replica: &Replica,
        server: &str,
        token: &str,
        tool: &str,
    ) -> Response<bytes::Bytes> {
        let arguments = json!({"text": "hello"});
        let params = json!({"name": tool, "arguments": arguments});
        loop {
            let request = replica.request(server, token, "tools/call", params.clone());
            // A connection to the gateway of before ends, and so does an answer to somebody who is switched off meanwhile.
            if let Some(answer) = self.client.try_send(request).await {
                return answer;
            }
        }
    }

    /// A call that does not end by itself, once its server has it.
    async fn slow(&self, replica: &Replica, token: &str) -> Response<hyper::body::Incoming> {
        let params = json!({"name": "slow", "arguments": {}, "_meta": {"progressToken": 1}});
        let request = replica.request("tools", token, "tools/call", params);
        let mut answer = self.client.open(request).await;
        assert_eq!(answer.status(), 200);
        assert!(answer.body_mut().frame().await.unwrap().is_ok());
        answer
    }
}

/// A gateway in a process of its own.
struct Replica {
    process: Child,
    lines: mpsc::Receiver<Value>,
    config: PathBuf,
    base: String,
    url: String,
}

impl Replica {
    fn start(config: PathBuf, url: &str) -> Self {
        let mut process = gatewright(url)
            .args(["serve", "--config", path(&config)])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = lines_of(&mut process);
        let mut replica = Self {
            process,
            lines,
            config,
            base: String::new(),
            url: url.to_owned(),
        };
        let line = replica.says("serving");
        replica.base = format!("http://{}", line["address"].as_str().unwrap());
        replica
    }

    /// Waits for a line of its log.
    fn says(&self, message: &str) -> Value {
        let mut said = Vec::new();
        loop {
            let Ok(line) = self.lines.recv_timeout(PATIENCE) else {
                panic!("it did not say `{message}`: {said:#?}");
            };
            if line["message"]
                .as_str()
                .is_some_and(|said| said.contains(message))
            {
                return line;
            }
            said.push(line);
        }
    }

    fn request(
        &self,
        server: &str,
        token: &str,
        method: &str,
        params: Value,
    ) -> Request<bytes::Bytes> {
        let url = format!("{}/mcp/{server}", self.base);
        modern_request(&url, Some(token), 1, method, params)
    }

    /// Runs a command about this gateway.
    fn run(&self, args: &[&str]) -> (i32, String, String) {
        run(&self.url, &self.config, args)
    }

    fn does(&self, args: &[&str]) -> String {
        let (status, out, error) = self.run(args);
        assert_eq!(status, 0, "{args:?}: {out}{error}");
        out
    }

    /// Makes the organisation as this text has it.
    fn apply(&self, organisation: &str) {
        let file = self.file(organisation);
        self.does(&["apply", "--yes", "--file", path(&file)]);
    }

    fn file(&self, organisation: &str) -> PathBuf {
        let file = self.config.with_file_name("org.toml");
        fs::write(&file, organisation).unwrap();
        file
    }

    fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.process.id());
        let sent = Command::new("sh").args(["-c", &kill]).status().unwrap();
        assert!(sent.success());
    }

    /// Ends in good order.
    fn end(mut self) {
        self.signal("TERM");
        // The lines end with the process.
        while self.lines.recv_timeout(PATIENCE).is_ok() {}
        assert_eq!(self.process.wait().unwrap().code(), Some(0));
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        let _killed = self.process.kill();
        let _waited = self.process.wait();
    }
}

fn gatewright(url: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gatewright"));
    command.stdin(Stdio::null()).env(VARIABLE, url);
    command
}

fn run(url: &str, config: &Path, args: &[&str]) -> (i32, String, String) {
    piped(url, config, args, "")
}

/// Runs a command with this on its standard input.
fn piped(url: &str, config: &Path, args: &[&str], input: &str) -> (i32, String, String) {
    use std::io::Write as _;
    let mut process = gatewright(url)
        .args(args)
        .args(["--config", path(config)])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that refuses its arguments does not read.
    let _read = process.stdin.take().unwrap().write_all(input.as_bytes());
    let Output {
        status,
        stdout,
        stderr,
    } = process.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (status.code().unwrap_or(-1), text(stdout), text(stderr))
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn lines_of(process: &mut Child) -> mpsc::Receiver<Value> {
    let errors = BufReader::new(process.stderr.take().unwrap());
    let (send, lines) = mpsc::channel();
    std::thread::spawn(move || {
        for line in errors.lines().map_while(Result::ok) {
            let line = serde_json::from_str(&line).unwrap_or(Value::String(line));
            if send.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

/// Asks until the answer is this one, and says how long that took.
async fn until<T: Copy + PartialEq + std::fmt::Debug>(
    wanted: T,
    mut ask: impl AsyncFnMut() -> T,
) -> Duration {
    let began = Instant::now();
    loop {
        let answer = ask().await;
        if answer == wanted {
            return began.elapsed();
        }
        assert!(began.elapsed() < PATIENCE, "{answer:?} and not {wanted:?}");
    }
}

/// Waits until a stream has ended.
async fn ends(mut answer: Response<hyper::body::Incoming>) {
    let read = async { while let Some(Ok(_)) = answer.body_mut().frame().await {} };
    assert!(
        tokio::time::timeout(PATIENCE, read).await.is_ok(),
        "it goes on"
    );
}
