//! Servers that die while they are asked, and come back.

use std::net::SocketAddr;

use gatewright_test_support::{Answer, RawServer};
use http::StatusCode;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    time::timeout,
};

use super::{PATIENCE, echo, records, refused};
use crate::{
    admin::server,
    bed::{Bed, STAFF_ECHOES},
};

#[tokio::test]
async fn a_server_that_breaks_off_leaves_an_error_and_a_record_and_its_next_call_works() {
    let upstream = RawServer::start(|_| Answer::status(500)).await;
    let one = server("one", &upstream.url("/mcp"), "");
    let bed = Bed::start(&[], &format!("{one}{STAFF_ECHOES}")).await;
    type Program = fn() -> Answer;
    let breaks: [(&str, Program); 3] = [
        ("in JSON", || {
            Answer::bytes(200, "application/json", "{\"planted\":").breaking()
        }),
        ("in a stream", || {
            Answer::event_stream([": working\n\n"]).breaking()
        }),
        ("in an event", || {
            Answer::event_stream([": working\n\n", "data: planted\n"]).breaking()
        }),
    ];
    for (where_, program) in breaks {
        upstream.set(move |_| program());
        let answer = echo(&bed, "one", "ann").await;
        assert_eq!(refused(&answer), 5502, "{where_}: {answer:?}");
        assert!(
            !format!("{answer:?}").contains("planted"),
            "{where_}: {answer:?}"
        );
        upstream.set(|request| Answer::result(request, &json!({"content": []})));
        assert_eq!(
            echo(&bed, "one", "ann").await.status(),
            StatusCode::OK,
            "{where_}"
        );
    }
    let records = records(bed).await;
    let of = |kind: &str| {
        records
            .iter()
            .filter(|record| record["kind"] == kind)
            .count()
    };
    assert_eq!((of("admitted"), of("outcome")), (6, 6));
    let failed = records
        .iter()
        .filter(|record| record["refusal"]["code"] == "unreachable");
    assert_eq!(failed.count(), 3, "{records:?}");
}

/// Takes a call and dies with it: connection and listener are gone at once.
async fn dies_at(address: SocketAddr) {
    let socket = TcpListener::bind(address).await.unwrap();
    let (mut stream, _) = socket.accept().await.unwrap();
    drop(socket);
    let read = stream.read(&mut [0; 4096]).await.unwrap();
    assert_ne!(read, 0);
}

/// Answers one call.
async fn answers_at(address: SocketAddr) {
    let socket = TcpListener::bind(address).await.unwrap();
    let (mut stream, _) = socket.accept().await.unwrap();
    let mut asked = Vec::new();
    while !String::from_utf8_lossy(&asked).contains("tools/call\",") {
        let mut some = [0; 4096];
        let read = stream.read(&mut some).await.unwrap();
        asked.extend_from_slice(&some[..read]);
    }
    let body = json!({"jsonrpc": "2.0", "id": 7, "result": {"content": []}}).to_string();
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(answer.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_server_that_dies_in_a_call_is_unreachable_until_it_is_back() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let one = server("one", &format!("http://{address}/mcp"), "");
    let bed = Bed::start(&[], &format!("{one}{STAFF_ECHOES}")).await;

    let ((), answer) = tokio::join!(dies_at(address), echo(&bed, "one", "ann"));
    assert_eq!(refused(&answer), 5502, "{answer:?}");
    assert_eq!(refused(&echo(&bed, "one", "ann").await), 5502, "it is gone");
    let back = async { tokio::join!(answers_at(address), echo(&bed, "one", "ann")).1 };
    let answer = timeout(PATIENCE, back).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK, "{answer:?}");

    let records = records(bed).await;
    let statuses: Vec<u64> = records
        .iter()
        .filter_map(|record| record["outcome"]["status"].as_u64())
        .collect();
    assert_eq!(statuses, [502, 502, 200]);
}
