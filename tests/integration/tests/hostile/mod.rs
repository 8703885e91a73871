//! Hostile traffic from both sides, through the whole gateway: whoever does it gets a refusal or loses the connection,
//! and everybody else is served.

mod clients;
mod endless;
mod faults;
mod processes;
mod strays;
mod tokens;

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use gatewright_audit::{Filter, VerifyOptions};
use gatewright_test_support::message;
use http::Response;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use crate::bed::Bed;

/// Longer than anything here takes, and shorter than anybody waits.
const PATIENCE: Duration = Duration::from_secs(60);

async fn echo(bed: &Bed, server: &str, user: &str) -> Response<Bytes> {
    let token = bed.token(user, server).sign();
    let params = json!({"name": "echo", "arguments": {"text": "x"}});
    bed.call(server, &token, "tools/call", params).await
}

/// The code of the error that answers the call, which has the call's id.
fn refused(answer: &Response<Bytes>) -> Value {
    let message = message(answer);
    assert_eq!(message["id"], 7, "{answer:?}");
    message["error"]["code"].clone()
}

/// Every record of the log after a drain. The log is sound, and every call that was admitted has its outcome.
async fn records(bed: Bed) -> Vec<Value> {
    let log = bed.audit_dir();
    bed.running.shutdown().await;
    let report = gatewright_audit::verify(&log, &VerifyOptions::default()).unwrap();
    assert!(report.is_sound(), "{report:?}");
    let mut lines = Vec::new();
    gatewright_audit::export(&log, &Filter::default(), &mut lines).unwrap();
    let lines = String::from_utf8(lines).unwrap();
    let records: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let references = |kind: &str| -> BTreeSet<String> {
        let of = records.iter().filter(|record| record["kind"] == kind);
        of.map(|record| record["ref"].to_string()).collect()
    };
    assert_eq!(references("admitted"), references("outcome"));
    records
}

/// A server on a bare socket: says a beginning and then a piece again and again, for as long as anybody takes it.
struct Endless {
    address: std::net::SocketAddr,
    sent: Arc<AtomicUsize>,
    ended: tokio::sync::watch::Receiver<usize>,
    _task: JoinSet<()>,
}

impl Endless {
    async fn start(beginning: &'static str, piece: &'static str) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let sent = Arc::new(AtomicUsize::new(0));
        let (ends, ended) = tokio::sync::watch::channel(0);
        let mut task = JoinSet::new();
        {
            let sent = Arc::clone(&sent);
            task.spawn(async move {
                while let Ok((stream, _)) = socket.accept().await {
                    flood(stream, beginning, piece, &sent).await;
                    ends.send_modify(|ended| *ended += 1);
                }
            });
        }
        Self {
            address,
            sent,
            ended,
            _task: task,
        }
    }

    fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    /// Waits until a connection was cut, and says how much was taken until then.
    async fn cut(&mut self) -> usize {
        let cut = self.ended.wait_for(|ended| *ended > 0);
        tokio::time::timeout(PATIENCE, cut).await.unwrap().unwrap();
        self.sent.load(Ordering::Relaxed)
    }
}

async fn flood(mut stream: TcpStream, beginning: &str, piece: &str, sent: &AtomicUsize) {
    let mut asked = [0; 4096];
    if stream.read(&mut asked).await.is_err()
        || stream.write_all(beginning.as_bytes()).await.is_err()
    {
        return;
    }
    let pieces = piece.repeat(1 + 4096 / piece.len());
    while stream.write_all(pieces.as_bytes()).await.is_ok() {
        sent.fetch_add(pieces.len(), Ordering::Relaxed);
        tokio::task::yield_now().await;
    }
}
