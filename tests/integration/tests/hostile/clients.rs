//! Clients that make the gateway wait: with a head, a body, or by not reading what they asked for.

use bytes::Bytes;
use gatewright_test_support::{Answer, RawServer, Recorded, modern_request};
use http::{Request, StatusCode};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use super::{PATIENCE, echo, records};
use crate::{
    admin::{raw, server},
    bed::{Bed, STAFF_ECHOES},
};

async fn connect(bed: &Bed) -> TcpStream {
    let address = bed.base().strip_prefix("http://").unwrap();
    TcpStream::connect(address).await.unwrap()
}

/// A request as it goes over the wire.
fn written(request: &Request<Bytes>) -> Vec<u8> {
    let mut text = format!(
        "POST {} HTTP/1.1\r\nhost: {}\r\ncontent-length: {}\r\n",
        request.uri().path(),
        request.uri().authority().unwrap(),
        request.body().len()
    );
    for (name, value) in request.headers() {
        text += &format!("{name}: {}\r\n", value.to_str().unwrap());
    }
    [text.as_bytes(), b"\r\n", request.body()].concat()
}

fn call(bed: &Bed, user: &str, server: &str) -> Vec<u8> {
    let token = bed.token(user, server).sign();
    let params = json!({"name": "echo", "arguments": {}});
    let request = modern_request(&bed.url(server), Some(&token), 7, "tools/call", params);
    written(&request)
}

#[tokio::test]
async fn slow_heads_and_bodies_give_their_places_back() {
    let upstream = raw().await;
    let settings = "[limits]\nconnections = 20\nheader_timeout_ms = 100\nbody_timeout_ms = 100\n";
    let one = server("one", &upstream.url("/mcp"), "");
    let bed = Bed::start_with(&[], &format!("{one}{STAFF_ECHOES}"), settings).await;
    let whole = call(&bed, "ann", "one");
    let mut slow = Vec::new();
    for part in [10, whole.len() - 1] {
        for _ in 0..10 {
            let mut stream = connect(&bed).await;
            stream.write_all(&whole[..part]).await.unwrap();
            slow.push(stream);
        }
    }
    // All places are taken: this one is served when the others have lost theirs.
    let answer = timeout(PATIENCE, echo(&bed, "one", "ben")).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    for mut stream in slow {
        let mut said = Vec::new();
        let _read = timeout(PATIENCE, stream.read_to_end(&mut said))
            .await
            .unwrap();
        assert!(!String::from_utf8_lossy(&said).contains("200 OK"));
    }
    assert_eq!(upstream.requests().len(), 1);
}

#[tokio::test]
async fn a_call_whose_client_does_not_read_is_cancelled_and_its_place_is_free() {
    let progress = |request: &Recorded| {
        let piece = Bytes::from(format!(": {}\n\n", "x".repeat(60_000)));
        if request.json()["params"]["arguments"].get("text").is_some() {
            return Answer::result(request, &json!({"content": []}));
        }
        Answer::event_stream(std::iter::repeat_n(piece, 1_000)).hanging()
    };
    let upstream = RawServer::start(progress).await;
    let one = server("one", &upstream.url("/mcp"), "");
    let settings =
        "limits.write_timeout_ms = 200\nlimits.server = { calls = 1, queued = 0, wait_ms = 0 }";
    let bed = Bed::start_with(&[], &format!("{one}{STAFF_ECHOES}"), settings).await;
    let mut stream = connect(&bed).await;
    stream.write_all(&call(&bed, "ann", "one")).await.unwrap();
    timeout(PATIENCE, upstream.abandoned(1)).await.unwrap();
    assert_eq!(echo(&bed, "one", "ben").await.status(), StatusCode::OK);
    let records = records(bed).await;
    let ended = |what: &str| {
        let of = records
            .iter()
            .filter(|record| record["outcome"]["ended"] == what);
        of.count()
    };
    assert_eq!(
        (ended("complete"), ended("client-gone")),
        (1, 1),
        "{records:?}"
    );
}

#[tokio::test]
async fn a_large_answer_that_nobody_reads_gives_its_connection_back() {
    let text = "x".repeat(24 << 20);
    let large = move |request: &Recorded| {
        let text = if request.json()["params"]["arguments"].get("text").is_some() {
            ""
        } else {
            &text
        };
        Answer::result(
            request,
            &json!({"content": [{"type": "text", "text": text}]}),
        )
    };
    let upstream = RawServer::start(large).await;
    let one = server("one", &upstream.url("/mcp"), "");
    let settings = "limits.write_timeout_ms = 200\nlimits.connections = 1";
    let bed = Bed::start_with(&[], &format!("{one}{STAFF_ECHOES}"), settings).await;
    let mut stream = connect(&bed).await;
    stream.write_all(&call(&bed, "ann", "one")).await.unwrap();
    timeout(PATIENCE, upstream.received(1)).await.unwrap();
    let answer = timeout(PATIENCE, echo(&bed, "one", "ben")).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let mut some = Vec::new();
    let _read = stream.read_to_end(&mut some).await;
    assert!(
        some.starts_with(b"HTTP/1.1 200") && some.len() < 24 << 20,
        "{}",
        some.len()
    );
}
