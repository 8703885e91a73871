//! Very many connections on which nothing happens.

use std::{fs, pin::pin, process::Command, time::Duration};

use gatewright_test_support::Client;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use tokio::{
    io::AsyncWriteExt as _,
    net::TcpStream,
    time::{Instant, timeout},
};

use super::{PATIENCE, Served};

const IDLE: usize = 10_000;
/// What one of them may cost, in bytes.
const COST: u64 = 20 << 10;

impl Served {
    async fn idle(&self, begun: &[u8]) -> TcpStream {
        let address = self.base.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(begun).await.unwrap();
        stream
    }

    async fn connections(&self) -> usize {
        let (_, metrics) = self.health("/metrics").await;
        let line = metrics
            .lines()
            .find_map(|line| line.strip_prefix("gatewright_connections "));
        line.unwrap().parse().unwrap()
    }

    async fn until_connected(&self, fits: impl Fn(usize) -> bool) {
        let waiting = async { while !fits(self.connections().await) {} };
        timeout(PATIENCE, waiting).await.unwrap();
    }

    /// The memory of the process, in bytes.
    fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.unwrap().trim().strip_suffix(" kB").unwrap();
        kib.parse::<u64>().unwrap() * 1024
    }
}

#[tokio::test]
async fn ten_thousand_idle_connections_cost_little_and_keep_nobody_out() {
    // Both ends count: ours, and those of the process, which inherits the limit.
    let files = getrlimit(Resource::Nofile);
    let most = Rlimit {
        current: files.maximum,
        ..files
    };
    setrlimit(Resource::Nofile, most).unwrap();
    let room = files
        .maximum
        .map_or(usize::MAX, |files| usize::try_from(files).unwrap());
    let idle = IDLE.min(room / 4 * 3 - 20);
    let most = idle + 10;
    let limits = format!("connections = {most}\nheader_timeout_ms = 600000\n");
    let served = Served::start_with(200, &limits).await;
    assert_eq!(served.echo("ann").await, 200);
    let before = served.memory();

    let mut connections = Vec::with_capacity(idle);
    for number in 0..idle {
        let begun: &[u8] = if number % 2 == 0 {
            b""
        } else {
            b"POST /mcp/tools HTTP/1.1\r\nhost: gw"
        };
        connections.push(served.idle(begun).await);
    }
    served.until_connected(|open| open >= idle).await;
    let each = served.memory().saturating_sub(before) / idle as u64;
    println!("{idle} idle connections: {each} bytes each");
    assert!(each <= COST, "{each} bytes for an idle connection");
    let began = Instant::now();
    for _ in 0..20 {
        assert_eq!(served.echo("ann").await, 200);
    }
    assert!(
        began.elapsed() < PATIENCE / 10,
        "{:?} for 20 calls",
        began.elapsed()
    );

    // Beyond the limit they wait in the kernel, and the process does not have them.
    for _ in 0..20 {
        connections.push(served.idle(b"").await);
    }
    served.until_connected(|open| open == most).await;
    let params = json!({"name": "echo", "arguments": {"text": "hello"}});
    let newcomer = Client::default();
    let mut late = pin!(newcomer.send(served.request("ben", "tools/call", params)));
    let early = timeout(Duration::from_millis(50), &mut late).await;
    assert!(early.is_err(), "there is no place");
    connections.clear();
    assert_eq!(timeout(PATIENCE, late).await.unwrap().status(), 200);
    served.until_connected(|open| open < 10).await;
    assert_eq!(served.echo("ann").await, 200);
}

#[tokio::test]
async fn connections_leave_files_for_the_log_and_the_servers() {
    let mut served = Served::start(200).await;
    let start_with = |served: &mut Served, limit: &str| {
        served.signal("TERM");
        assert_eq!(served.ends(), Some(0));
        let script = format!("ulimit {limit}; exec \"$0\" serve --config \"$1\"");
        let mut command = Command::new("sh");
        let config = served.config();
        command.args([
            "-c",
            &script,
            env!("CARGO_BIN_EXE_gatewright"),
            super::path(&config),
        ]);
        served.again_by(command);
    };
    // Few to begin with, as many shells and service managers have it: it takes as many as it may have.
    start_with(&mut served, "-Sn 200");
    let limits = fs::read_to_string(format!("/proc/{}/limits", served.process.id())).unwrap();
    let files = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let of: Vec<&str> = files.unwrap().split_whitespace().collect();
    assert_eq!(of[3], of[4], "{files:?}");

    start_with(&mut served, "-n 200");
    let mut connections = Vec::new();
    for _ in 0..300 {
        connections.push(served.idle(b"").await);
    }
    served.until_connected(|open| open == 150).await;
    // Who waits behind them is served once they have gone, and the log has not missed anything.
    connections.clear();
    served.until_connected(|open| open < 10).await;
    assert_eq!(served.echo("ann").await, 200);
    served.signal("TERM");
    assert_eq!(served.ends(), Some(0));
}
