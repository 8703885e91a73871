//! The program, as an operator runs it: arguments, signals, exit codes.
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "whatever cannot be done fails the test that needs it"
)]

#[path = "binary/idle.rs"]
mod idle;
#[path = "binary/offboarding.rs"]
mod offboarding;
#[path = "binary/restart.rs"]
mod restart;
#[path = "binary/secrets.rs"]
mod secrets;
#[path = "binary/terminal.rs"]
mod terminal;

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::mpsc,
    time::Duration,
};

use gatewright_test_support::{Client, FakeIdp, FakeServer, message, modern_request};
use http::StatusCode;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Longer than anything here takes, and shorter than anybody waits.
const PATIENCE: Duration = Duration::from_secs(60);

fn gatewright() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gatewright"));
    command.stdin(Stdio::null());
    command
}

fn run(args: &[&str]) -> (i32, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = gatewright().args(args).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn the_tour_of_the_quickstart_does_what_it_says_and_leaves_nothing() {
    let temporary = tempfile::tempdir().unwrap();
    let output = gatewright()
        .args(["quickstart", "--once"])
        .env("TMPDIR", temporary.path())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    assert!(text.contains("All 9 steps did what they said"), "{text}");
    assert!(!text.contains('\x1b'), "colour in a pipe");
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 0);
}

#[test]
fn the_log_is_verified_shown_and_exported_without_a_gateway() {
    let dir = tempfile::tempdir().unwrap();
    let demo = dir.path().join("demo");
    let (status, text, _) = run(&["quickstart", "--once", "--data-dir", path(&demo)]);
    assert_eq!(status, 0, "{text}");
    let config = demo.join("gatewright.toml");
    let audit = |args: &[&str]| run(&[&["audit"], args, &["--config", path(&config)]].concat());

    let (status, text, _) = audit(&["verify"]);
    assert_eq!(status, 0, "{text}");
    assert!(!text.contains("no public key from outside"), "{text}");
    let points = demo.join("data/audit/checkpoints.local.jsonl");
    let (status, text, _) = audit(&["verify", "--checkpoint", path(&points)]);
    assert_eq!(status, 0, "{text}");
    assert!(!text.contains("no checkpoint from outside"), "{text}");

    // The quickstart has changed a record of this copy.
    let copy = demo.join("changed-copy");
    let (status, text, _) = run(&["audit", "verify", "--dir", path(&copy)]);
    assert_eq!(status, 1, "{text}");
    assert!(text.contains("the record was changed"), "{text}");

    let (_, all, _) = audit(&["export"]);
    let records: Vec<Value> = all
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(records.len() > 20, "{}", records.len());
    let (_, last, _) = audit(&["tail", "-n", "2"]);
    assert_eq!(last.lines().count(), 2);
    assert!(all.ends_with(&last));
    let (_, bens, _) = audit(&["export", "--principal", "ben"]);
    assert!(
        bens.contains("no_such_tool") && !bens.contains("|ann"),
        "{bens}"
    );
    let denial = records
        .iter()
        .find(|record| record["refusal"]["code"] == "denied")
        .unwrap();
    let reference = denial["ref"].as_str().unwrap();
    let (_, one, _) = audit(&["export", "--reference", reference]);
    assert_eq!(serde_json::from_str::<Value>(&one).unwrap(), *denial);
    let (status, none, _) = audit(&["export", "--since", "2999-01-01T00:00:00Z"]);
    assert_eq!((status, none.as_str()), (0, ""));

    let wrong = dir.path().join("wrong");
    fs::write(&wrong, "{}\n").unwrap();
    for args in [
        &["verify", "--checkpoint", path(&wrong)] as &[&str],
        &["verify", "--public-key", path(&wrong)],
        &["export", "--since", "yesterday"],
        &["export", "--reference", "x"],
    ] {
        let (status, text, error) = audit(args);
        assert_eq!(status, 2, "{args:?}: {text}");
        assert_ne!(error, "", "{args:?}");
    }
    let (status, _, error) = run(&["audit", "verify", "--dir", "/nowhere"]);
    assert_eq!((status, error.contains("/nowhere")), (2, true), "{error}");
}

#[test]
fn wrong_usage_and_a_missing_file_are_told_from_a_mistake_in_one() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("gatewright.toml");
    for args in [
        &[] as &[&str],
        &["serve", "--port", "1"],
        &["serve", "--config", path(&config)],
        &["config", "check", "--config", path(&config)],
    ] {
        assert_eq!(run(args).0, 2, "{args:?}");
    }
    fs::write(&config, "public_url = 'https://gw.example'\ntypo = 1\n").unwrap();
    let (status, _, error) = run(&["config", "check", "--config", path(&config)]);
    assert_eq!(status, 1);
    assert!(error.contains("gatewright.toml:2"), "{error}");
    let (status, _, error) = run(&["serve", "--config", path(&config)]);
    assert_eq!(status, 2);
    assert!(error.contains("gatewright.toml:2"), "{error}");
}

/// A gateway in a process of its own, between an identity provider and a server of ours.
struct Served {
    process: Child,
    lines: mpsc::Receiver<Value>,
    idp: FakeIdp,
    server: FakeServer,
    client: Client,
    base: String,
    health: String,
    dir: TempDir,
}

const STAFF: &str = "[[roles]]\nname = 'staff'\n[[roles.permissions]]\nservers = ['*']\ntools = ['*']\n\
    [[grants]]\nrole = 'staff'\ngroup = 'staff'\n";

impl Served {
    async fn start(drain_ms: u32) -> Self {
        Self::start_with(drain_ms, "").await
    }

    /// With further text of `gatewright.toml` in its table `limits`, and behind it.
    async fn start_with(drain_ms: u32, more: &str) -> Self {
        Self::start_at("info", drain_ms, more).await
    }

    /// With a log of this level.
    async fn start_at(level: &str, drain_ms: u32, more: &str) -> Self {
        let (idp, server) = (FakeIdp::start().await, FakeServer::start().await);
        let dir = tempfile::tempdir().unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let base = format!("http://127.0.0.1:{port}");
        let settings = format!(
            "public_url = '{base}'\ndevelopment = true\n[listen]\npublic = '127.0.0.1:{port}'\n\
             metrics = '127.0.0.1:0'\n[logging]\nformat = 'json'\nlevel = '{level}'\n[limits]\ndrain_ms = {drain_ms}\n{more}\n"
        );
        let file = dir.path().join("gatewright.toml");
        fs::write(&file, settings).unwrap();
        let (process, lines) = started(serve(&file));
        let mut served = Self {
            process,
            lines,
            idp,
            server,
            client: Client::default(),
            base,
            health: String::new(),
            dir,
        };
        served.is_up();
        served.configure("");
        served
    }

    /// The same gateway again, after the end of the one before.
    fn again(&mut self) {
        self.again_by(serve(&self.config()));
    }

    /// The same, by another command.
    fn again_by(&mut self, command: Command) {
        (self.process, self.lines) = started(command);
        self.is_up();
    }

    fn is_up(&mut self) {
        let line = self.says("health and metrics");
        self.health = format!("http://{}", line["address"].as_str().unwrap());
    }

    /// Waits for a line of the log.
    fn says(&self, message: &str) -> Value {
        loop {
            let line = self.lines.recv_timeout(PATIENCE).unwrap();
            let said = line["message"].as_str();
            if said.is_some_and(|said| said.contains(message)) {
                return line;
            }
        }
    }

    fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.process.id());
        assert!(
            Command::new("sh")
                .args(["-c", &kill])
                .status()
                .unwrap()
                .success()
        );
    }

    /// The organisation with this besides.
    fn configure(&self, more: &str) {
        self.apply(&organisation(&self.idp, &self.server, more));
    }

    /// Makes the organisation as this text has it.
    fn apply(&self, text: &str) {
        let (status, out, error) = self.try_apply(text, &["--yes"]);
        assert_eq!(status, 0, "{out}{error}");
    }

    fn try_apply(&self, text: &str, args: &[&str]) -> (i32, String, String) {
        let (file, config) = (self.dir.path().join("org.toml"), self.config());
        fs::write(&file, text).unwrap();
        let own = ["apply", "--config", path(&config), "--file", path(&file)];
        run(&[&own, args].concat())
    }

    fn request(&self, user: &str, method: &str, params: Value) -> http::Request<bytes::Bytes> {
        let url = format!("{}/mcp/tools", self.base);
        let token = self.idp.token(user, &url).claim("groups", ["staff"]).sign();
        modern_request(&url, Some(&token), 1, method, params)
    }

    async fn echo(&self, user: &str) -> StatusCode {
        let params = json!({"name": "echo", "arguments": {"text": "hello"}});
        let answer = self.request(user, "tools/call", params);
        let answer = self.client.send(answer).await;
        if answer.status().is_success() {
            let text = &message(&answer)["result"]["content"][0]["text"];
            assert_eq!(text, "hello");
        }
        answer.status()
    }

    /// A call that does not end by itself, once its server has it.
    async fn slow(&self, user: &str) -> http::Response<hyper::body::Incoming> {
        let params = json!({"name": "slow", "arguments": {}, "_meta": {"progressToken": 1}});
        let mut answer = self
            .client
            .open(self.request(user, "tools/call", params))
            .await;
        assert_eq!(answer.status(), 200);
        assert!(answer.body_mut().frame().await.unwrap().is_ok());
        answer
    }

    async fn health(&self, path: &str) -> (StatusCode, String) {
        let answer = self.client.get(&format!("{}{path}", self.health)).await;
        let body = String::from_utf8_lossy(answer.body()).into_owned();
        (answer.status(), body)
    }

    fn ends(&mut self) -> Option<i32> {
        // The lines end with the process.
        while self.lines.recv_timeout(PATIENCE).is_ok() {}
        self.process.wait().unwrap().code()
    }

    fn config(&self) -> PathBuf {
        self.dir.path().join("gatewright.toml")
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It has ended already, unless the test failed.
        let _killed = self.process.kill();
        let _waited = self.process.wait();
    }
}

fn organisation(idp: &FakeIdp, server: &FakeServer, more: &str) -> String {
    format!(
        "create_people_on_sight = true\n[[issuers]]\nissuer = '{}'\ngroups_claim = 'groups'\n[[servers]]\nname = 'tools'\nurl = '{}'\n{STAFF}{more}",
        idp.issuer(),
        server.url()
    )
}

fn serve(config: &Path) -> Command {
    let mut command = gatewright();
    command.args(["serve", "--config", path(config)]);
    command
}

fn started(mut command: Command) -> (Child, mpsc::Receiver<Value>) {
    let mut process = command.stderr(Stdio::piped()).spawn().unwrap();
    let lines = lines_of(&mut process);
    (process, lines)
}

fn lines_of(process: &mut Child) -> mpsc::Receiver<Value> {
    let errors = BufReader::new(process.stderr.take().unwrap());
    let (send, lines) = mpsc::channel();
    std::thread::spawn(move || {
        for line in errors.lines() {
            let line = line.unwrap();
            let line = serde_json::from_str(&line).unwrap_or_else(|_| json!({"message": line}));
            if send.send(line).is_err() {
                break;
            }
        }
    });
    lines
}

#[tokio::test]
async fn a_file_that_is_applied_is_in_force_at_once_and_drops_no_call() {
    let served = Served::start(200).await;
    assert_eq!(served.echo("ann").await, 200);
    let (mut anns, mut bens) = (served.slow("ann").await, served.slow("ben").await);

    served.configure("[[users]]\nid = 'ann'\ndisabled = true\n");
    while let Some(Ok(_)) = anns.body_mut().frame().await {}
    assert_eq!(served.echo("ann").await, 401);
    assert_eq!(served.echo("ben").await, 200);
    let open = tokio::time::timeout(Duration::from_millis(50), bens.body_mut().frame()).await;
    assert!(open.is_err(), "Ben's call goes on");

    // What is refused changes nothing, and is heard of.
    let typo = organisation(&served.idp, &served.server, "typo = 1");
    let (status, _, error) = served.try_apply(&typo, &["--yes"]);
    assert_eq!(status, 1, "{error}");
    assert!(error.contains("org.toml:"), "{error}");
    assert_eq!(served.echo("ann").await, 401);
    assert_eq!(served.echo("ben").await, 200);
    let open = tokio::time::timeout(Duration::from_millis(50), bens.body_mut().frame()).await;
    assert!(open.is_err(), "Ben's call still goes on");
}

#[tokio::test]
async fn a_plan_says_what_a_file_comes_to_and_changes_nothing() {
    let served = Served::start(200).await;
    let same = organisation(&served.idp, &served.server, "");
    let (status, out, _) = served.try_apply(&same, &["--check"]);
    assert_eq!(
        (status, out.as_str()),
        (0, "the organisation is as the file has it\n")
    );
    let more = organisation(
        &served.idp,
        &served.server,
        "[[users]]\nid = 'ann'\ndisabled = true\n",
    );
    let (status, out, error) = served.try_apply(&more, &["--check"]);
    assert_eq!(status, 1, "{error}");
    assert!(
        out.contains("+ user ann") && out.contains("1 to make"),
        "{out}"
    );
    // Nobody is asked where nobody can answer.
    let (status, _, error) = served.try_apply(&more, &[]);
    assert_eq!(status, 2);
    assert!(error.contains("--yes"), "{error}");
    assert_eq!(served.echo("ann").await, 200);
    let less = same.replace("[[grants]]\nrole = 'staff'\ngroup = 'staff'\n", "");
    let (_, out, _) = served.try_apply(&less, &["--check"]);
    assert!(out.contains("- grant staff:claimed:staff@"), "{out}");
    served.apply(&less);
    let params = json!({"name": "echo", "arguments": {"text": "hello"}});
    let answer = served
        .client
        .send(served.request("ann", "tools/call", params))
        .await;
    assert_eq!(message(&answer)["error"]["code"], 4403);
}

#[tokio::test]
async fn sighup_reads_the_settings_again_and_what_is_wrong_changes_nothing() {
    let served = Served::start(200).await;
    served.signal("HUP");
    served.says("read again");
    let file = served.config();
    let before = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("organisation = 'org.toml'\n{before}")).unwrap();
    served.signal("HUP");
    let line = served.says("not taken over");
    let said = line["message"].as_str().unwrap();
    assert!(said.contains("gatewright apply -f org.toml"), "{said}");
    assert_eq!(served.echo("ann").await, 200);
    let (_, metrics) = served.health("/metrics").await;
    for line in [
        "gatewright_reloads_total{result=\"taken\"} 1",
        "gatewright_reloads_total{result=\"refused\"} 1",
    ] {
        assert!(metrics.contains(line), "{metrics}");
    }
}

#[tokio::test]
async fn sigterm_drains_and_the_log_is_whole() {
    let mut served = Served::start(1000).await;
    assert_eq!(served.health("/readyz").await.0, 200);
    let mut call = served.slow("ann").await;
    served.signal("TERM");
    served.says("draining");
    assert_eq!(served.health("/readyz").await.0, 503);
    assert_eq!(served.health("/healthz").await.0, 200);
    let open = tokio::time::timeout(Duration::from_millis(50), call.body_mut().frame()).await;
    assert!(open.is_err(), "the call is waited for");
    assert_eq!(served.ends(), Some(0));
    let (status, text, _) = run(&["audit", "verify", "--config", path(&served.config())]);
    assert_eq!(status, 0, "{text}");
    assert!(!text.contains("without outcome"), "{text}");
}

#[tokio::test]
async fn who_asks_twice_does_not_wait_for_the_drain() {
    let mut served = Served::start(3_600_000).await;
    let _call = served.slow("ann").await;
    served.signal("TERM");
    served.says("draining");
    served.signal("INT");
    served.says("asked twice");
    assert_eq!(served.ends(), Some(0));
}

#[tokio::test]
async fn an_issuer_that_is_down_keeps_the_gateway_from_nothing_but_its_tokens() {
    let served = Served::start(200).await;
    served.idp.set_down(true);
    assert_eq!(served.echo("ann").await, 503);
    assert_eq!(served.health("/readyz").await.0, 200);
}

#[test]
fn the_quickstart_stays_up_with_something_to_paste() {
    let temporary = tempfile::tempdir().unwrap();
    let mut process = gatewright()
        .args(["quickstart", "--port", "0"])
        .env("TMPDIR", temporary.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(process.stdout.take().unwrap());
    let mut text = String::new();
    while !text.contains("data/audit") {
        assert_ne!(out.read_line(&mut text).unwrap(), 0, "{text}");
    }
    for pasted in [
        "claude mcp add --transport http",
        "\"mcpServers\"",
        "\"servers\"",
        "@modelcontextprotocol/inspector",
    ] {
        assert!(text.contains(pasted), "{text}");
    }
    let kill = format!("kill -TERM {}", process.id());
    Command::new("sh").args(["-c", &kill]).status().unwrap();
    out.read_to_string(&mut text).unwrap();
    assert!(process.wait().unwrap().success(), "{text}");
    assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 0);
}

/// Runs a command with this on its standard input.
fn piped(input: &str, args: &[&str]) -> (i32, String, String) {
    use std::io::Write as _;
    let mut process = gatewright()
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that refuses its arguments does not read.
    let _read = process.stdin.take().unwrap().write_all(input.as_bytes());
    let output = process.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn commands_that_change_something_need_a_gateway_and_say_so() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("gatewright.toml");
    fs::write(&config, "public_url = 'https://gw.example'\n").unwrap();
    for args in [
        &["vault", "put", "wiki", "--shared"] as &[&str],
        &["vault", "put", "wiki", "--user", "ann"],
        &["vault", "list"],
        &["vault", "remove", "wiki", "--agent", "bot"],
        &["key", "create", "--agent", "bot", "--server", "wiki"],
        &["key", "list"],
        &["key", "revoke", "0123456789ab"],
        &["key", "purge"],
        &["vault", "rotate-key"],
        &["status"],
    ] {
        let args = [args, &["--config", path(&config)]].concat();
        let (status, out, error) = piped("planted", &args);
        assert_eq!((status, out.as_str()), (2, ""), "{args:?}");
        assert!(error.contains("nothing was changed"), "{args:?}: {error}");
        assert!(error.contains("gatewright serve --config"), "{error}");
    }
    assert!(!dir.path().join("data").exists());
    for args in [
        &["vault", "put", "wiki"] as &[&str],
        &["vault", "put", "wiki", "--shared", "--user", "ann"],
        &["key", "create", "--agent", "bot"],
        &[
            "key",
            "create",
            "--agent",
            "b",
            "--server",
            "s",
            "--expires",
            "soon",
        ],
    ] {
        assert_eq!(piped("planted", args).0, 2, "{args:?}");
    }
    let args = ["vault", "put", "wiki", "--shared", "planted"];
    let (status, _, error) = piped("", &args);
    assert_eq!(status, 2);
    assert!(error.contains("never from an argument"), "{error}");
    assert!(!error.contains("planted"), "{error}");
}

#[tokio::test]
async fn the_commands_change_the_gateway_that_runs_and_no_secret_is_heard_of_again() {
    const PLANTED: &str = "planted-7d1e-secret";
    let mut served = Served::start(200).await;
    let credential = "credential = 'shared'\n";
    let text = organisation(&served.idp, &served.server, "")
        .replace("[[servers]]\n", &format!("[[servers]]\n{credential}"))
        + "[[grants]]\nrole = 'staff'\nagent = 'bot'\n";
    served.apply(&text);
    let config = served.config();
    let ask = |input: &str, args: &[&str]| {
        let args = [args, &["--config", path(&config)]].concat();
        let (status, out, error) = piped(input, &args);
        assert_eq!(status, 0, "{args:?}: {error}");
        assert!(!(out.clone() + &error).contains(PLANTED), "{out}{error}");
        (out, error)
    };
    let headers = async || {
        let params = json!({"name": "headers", "arguments": {}});
        let request = served.request("ann", "tools/call", params);
        let answer = message(&served.client.send(request).await);
        answer.to_string()
    };
    assert!(headers().await.contains("4401"));
    ask(
        &format!("{PLANTED}\n"),
        &["vault", "put", "tools", "--shared"],
    );
    assert!(headers().await.contains("authorization"));
    let (list, _) = ask("", &["vault", "list"]);
    assert!(
        list.starts_with("SERVER") && list.contains("tools   shared"),
        "{list}"
    );
    let (list, _) = ask("", &["vault", "list", "--json"]);
    let list: Value = serde_json::from_str(&list).unwrap();
    assert_eq!(list["credentials"][0]["owner"], "shared");

    let create = [
        "key",
        "create",
        "--agent",
        "bot",
        "--server",
        "tools",
        "--expires",
        "1h",
    ];
    let (text, note) = ask("", &create);
    let text = text.trim();
    assert!(
        text.starts_with("gwk_") && note.contains("shown this once"),
        "{note}"
    );
    let url = format!("{}/mcp/tools", served.base);
    let by_key = async || {
        let params = json!({"name": "echo", "arguments": {"text": "x"}});
        let request = modern_request(&url, Some(text), 1, "tools/call", params);
        served.client.send(request).await.status()
    };
    assert_eq!(by_key().await, 200);
    let (keys, _) = ask("", &["key", "list", "--json"]);
    let keys: Value = serde_json::from_str(&keys).unwrap();
    let id = keys["keys"][0]["id"].as_str().unwrap();
    let (keys, _) = ask("", &["key", "list"]);
    assert!(keys.contains(id) && keys.contains("good"), "{keys}");
    ask("", &["key", "revoke", id]);
    assert_eq!(by_key().await, 401);
    let (purged, _) = ask("", &["key", "purge"]);
    assert_eq!(purged, "1 key that had ended is forgotten\n");
    let (purged, _) = ask("", &["key", "purge"]);
    assert_eq!(purged, "no key has expired or was revoked\n");
    let (rotated, _) = ask("", &["vault", "rotate-key"]);
    let said = [
        "the master key is local-",
        "sealed under it again: 1\n",
        "nothing that is served needs the older",
    ];
    assert!(said.iter().all(|said| rotated.contains(said)), "{rotated}");
    assert!(headers().await.contains("authorization"));
    let (status, _) = ask("", &["status"]);
    assert!(
        status.contains("shared") && status.contains(&served.base),
        "{status}"
    );
    let (status, _) = ask("", &["status", "--json"]);
    assert!(serde_json::from_str::<Value>(&status).unwrap()["process"].is_u64());
    let (tail, _) = ask("", &["audit", "tail", "-n", "50"]);
    assert!(
        tail.contains("credential.put") && tail.contains("key.revoke"),
        "{tail}"
    );
    ask("", &["vault", "remove", "tools", "--shared"]);
    assert!(headers().await.contains("4401"));

    let (_, metrics) = served.health("/metrics").await;
    assert!(!metrics.contains(PLANTED) && !metrics.contains(text));
    served.signal("TERM");
    let mut lines = String::new();
    while let Ok(line) = served.lines.recv_timeout(PATIENCE) {
        lines += &line.to_string();
    }
    assert_eq!(served.ends(), Some(0));
    assert!(!lines.contains(PLANTED) && !lines.contains(text), "{lines}");
    let (status, text, _) = run(&["audit", "verify", "--config", path(&config)]);
    assert_eq!(status, 0, "{text}");
}

#[test]
fn a_master_key_from_the_environment_must_be_there() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("gatewright.toml");
    let settings = "public_url = 'https://gw.example'\nmaster_key_env = 'GATEWRIGHT_TEST_KEY'\n\
        [listen]\npublic = '127.0.0.1:0'\n";
    fs::write(&config, settings).unwrap();
    let serve = |value: Option<&str>| {
        let mut command = gatewright();
        command.args(["serve", "--config", path(&config)]);
        if let Some(value) = value {
            command.env("GATEWRIGHT_TEST_KEY", value);
        }
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8(output.stderr).unwrap()
    };
    let error = serve(None);
    assert!(
        error.contains("GATEWRIGHT_TEST_KEY") && error.contains("not set"),
        "{error}"
    );
    let error = serve(Some("planted"));
    assert!(
        error.contains("32 bytes in base64") && !error.contains("planted"),
        "{error}"
    );
}
