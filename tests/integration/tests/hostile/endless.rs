//! Servers whose answers have no end.

use gatewright_test_support::FakeServer;

use super::{Endless, echo, records, refused};
use crate::{
    admin::server,
    bed::{Bed, STAFF_ECHOES},
};

const STREAM: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";

/// What a server says without end, and the code of the error that its caller gets.
const ENDLESS: [(&str, &str, &str, i64); 10] = [
    ("status line", "HTTP/1.1 200 ", "planted ", 5502),
    ("header", "HTTP/1.1 200 OK\r\nx-planted: ", "planted", 5502),
    (
        "headers",
        "HTTP/1.1 200 OK\r\n",
        "x-planted: planted\r\n",
        5502,
    ),
    (
        "informational answers",
        "",
        "HTTP/1.1 103 Early Hints\r\nx-planted: planted\r\n\r\n",
        5504,
    ),
    (
        "JSON",
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n[",
        "\"planted\",",
        5503,
    ),
    (
        "chunk extension",
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n2;x=",
        "planted",
        5502,
    ),
    (
        "trailers",
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n",
        "x-planted: planted\r\n",
        5502,
    ),
    ("event", STREAM, "data: planted\n", 5503),
    ("comments", STREAM, ": planted\n\n", 5504),
    (
        "progress",
        STREAM,
        "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{\"progressToken\":1}}\n\n",
        5504,
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_never_ends_is_cut_off_and_its_caller_is_told() {
    let sound = FakeServer::start().await;
    for (what, beginning, piece, code) in ENDLESS {
        let mut endless = Endless::start(beginning, piece).await;
        // What has no size is bounded in time; the others would wait longer than anybody here.
        let times = match code {
            5504 => "first_byte_ms = 500\nidle_ms = 500\ntotal_ms = 500",
            _ => "first_byte_ms = 60000\nidle_ms = 60000\ntotal_ms = 60000",
        };
        let bounds = format!("[servers.timeouts]\n{times}\n");
        let organisation = [
            server("endless", &endless.url(), &bounds),
            server("sound", &sound.url(), ""),
            STAFF_ECHOES.to_owned(),
        ]
        .concat();
        let bed = Bed::start_with(&[], &organisation, "limits.answer_bytes = 65536").await;
        let (answer, other) =
            tokio::join!(echo(&bed, "endless", "ann"), echo(&bed, "sound", "ben"));
        assert_eq!(refused(&answer), code, "{what}: {answer:?}");
        // A stream that is let through for its time is passed on, and so are its comments.
        let passed = ["comments", "progress"].contains(&what);
        assert!(
            passed || !format!("{answer:?}").contains("planted"),
            "{what}: {answer:?}"
        );
        assert_eq!(other.status(), 200, "{what}");
        let taken = endless.cut().await;
        // The sockets' buffers take some megabytes by themselves.
        assert!(passed || taken < 32 << 20, "{what}: {taken} bytes");
        let records = records(bed).await;
        assert!(
            !format!("{records:?}").contains("planted"),
            "{what}: {records:?}"
        );
    }
}
