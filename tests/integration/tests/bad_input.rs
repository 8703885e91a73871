//! Hostile and broken input: each gets the right refusal, and the upstream never sees it.

use bytes::Bytes;
use gatewright_test_support::{
    Answer, FakeServer, RawServer, legacy_request, message, modern_request,
};
use http::{Request, StatusCode, header};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::bed::{Bed, STAFF_ECHOES};

async fn post(bed: &Bed, token: &str, body: impl Into<Bytes>) -> (StatusCode, Value) {
    let request = Request::post(bed.url("tools"))
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::ACCEPT, "application/json, text/event-stream")
        .header("mcp-protocol-version", "2025-11-25");
    let answer = bed.client.send(request.body(body.into()).unwrap()).await;
    (answer.status(), message(&answer))
}

#[tokio::test]
async fn bodies_that_are_no_message_are_refused() {
    let server = FakeServer::start().await;
    let bed = Bed::start(&[("tools", server.url())], STAFF_ECHOES).await;
    let token = bed.token("ann", "tools").sign();
    let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
    let nested = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"echo","arguments":{{"a":{deep}}}}}}}"#
    );
    for (what, body, code) in [
        ("nothing", String::new(), -32700),
        ("no json", "{".to_owned(), -32700),
        ("two values", "{} {}".to_owned(), -32700),
        ("a batch", r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#.to_owned(), -32600),
        ("another version", r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#.to_owned(), -32600),
        ("null id", r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#.to_owned(), -32600),
        ("no method", r#"{"jsonrpc":"2.0","id":1}"#.to_owned(), -32600),
        ("list params", r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":[]}"#.to_owned(), -32600),
        ("no name", r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}}"#.to_owned(), -32602),
        (
            "duplicate key",
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","n\u0061me":"add"}}"#.to_owned(),
            -32600,
        ),
        (
            "duplicate key in the arguments",
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"x":{"a":1,"\u0061":2}}}}"#.to_owned(),
            -32600,
        ),
        ("too deep", nested, -32600),
    ] {
        let (status, answer) = post(&bed, &token, body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{what}");
        assert!([code, -32602].contains(&answer["error"]["code"].as_i64().unwrap()), "{what}: {answer}");
    }
    assert_eq!(server.calls(), 0);
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused() {
    let server = FakeServer::start().await;
    let bed = Bed::start_with(
        &[("tools", server.url())],
        STAFF_ECHOES,
        "limits.body_bytes = 10000",
    )
    .await;
    let token = bed.token("ann", "tools").sign();
    let body = |size| {
        let text = "x".repeat(size);
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"echo","arguments":{{"text":"{text}"}}}}}}"#
        )
    };
    let (status, _) = post(&bed, &token, body(10_000)).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    let answer = bed
        .tool("tools", &token, "echo", json!({"text": "x".repeat(5000)}))
        .await;
    assert!(answer["result"].is_object(), "{answer}");
}

#[tokio::test]
async fn headers_that_contradict_the_body_are_refused() {
    let server = FakeServer::start().await;
    let bed = Bed::start(&[("tools", server.url())], STAFF_ECHOES).await;
    let token = bed.token("ann", "tools").sign();
    for (name, value, code) in [
        ("mcp-name", Some("add"), -32020),
        ("mcp-method", Some("tools/list"), -32020),
        ("mcp-protocol-version", Some("2025-11-25"), -32020),
        ("mcp-name", None, -32020),
        ("mcp-method", None, -32020),
    ] {
        let params = json!({"name": "echo", "arguments": {"text": "x"}});
        let mut request = modern_request(&bed.url("tools"), Some(&token), 1, "tools/call", params);
        match value {
            Some(value) => drop(request.headers_mut().insert(name, value.parse().unwrap())),
            None => drop(request.headers_mut().remove(name)),
        }
        let answer = bed.client.send(request).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{name} {value:?}");
        assert_eq!(message(&answer)["error"]["code"], code, "{name} {value:?}");
    }
    assert_eq!(server.calls(), 0);
}

#[tokio::test]
async fn versions_and_methods_that_do_not_exist_are_named() {
    let server = FakeServer::start().await;
    let bed = Bed::start(&[("tools", server.url())], STAFF_ECHOES).await;
    let token = bed.token("ann", "tools").sign();
    let meta = json!({"_meta": {"io.modelcontextprotocol/protocolVersion": "2099-01-01"}});
    let mut request = modern_request(&bed.url("tools"), Some(&token), 1, "tools/list", meta);
    request
        .headers_mut()
        .insert("mcp-protocol-version", "2099-01-01".parse().unwrap());
    let answer = bed.client.send(request).await;
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    assert_eq!(message(&answer)["error"]["code"], -32022);
    assert_eq!(
        message(&answer)["error"]["data"]["supported"],
        json!(["2026-07-28"])
    );

    for method in ["initialize", "ping", "logging/setLevel", "no/such/method"] {
        let answer = bed.call("tools", &token, method, json!({})).await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{method}");
        assert_eq!(message(&answer)["error"]["code"], -32601, "{method}");
    }
}

#[tokio::test]
async fn foreign_origins_and_hosts_are_refused() {
    let server = FakeServer::start().await;
    let settings = "allowed_origins = ['https://app.example']";
    let bed = Bed::start_with(&[("tools", server.url())], STAFF_ECHOES, settings).await;
    let token = bed.token("ann", "tools").sign();
    let with = async |name: header::HeaderName, value: &str| {
        let mut request =
            modern_request(&bed.url("tools"), Some(&token), 1, "tools/list", json!({}));
        request.headers_mut().insert(name, value.parse().unwrap());
        bed.client.send(request).await
    };
    assert_eq!(
        with(header::ORIGIN, "https://evil.example").await.status(),
        StatusCode::FORBIDDEN
    );
    assert_eq!(
        with(header::ORIGIN, "null").await.status(),
        StatusCode::FORBIDDEN
    );
    let good = with(header::ORIGIN, "https://app.example").await;
    assert_eq!(good.status(), StatusCode::OK);
    assert_eq!(
        good.headers()[header::ACCESS_CONTROL_ALLOW_ORIGIN],
        "https://app.example"
    );
    let rebound = with(header::HOST, "evil.example").await;
    assert!(rebound.status().is_client_error(), "{}", rebound.status());

    let preflight = |origin: &str| {
        Request::options(bed.url("tools"))
            .header(header::ORIGIN, origin)
            .header(header::ACCESS_CONTROL_REQUEST_METHOD, "POST")
            .body(Bytes::new())
            .unwrap()
    };
    assert!(
        bed.client
            .send(preflight("https://app.example"))
            .await
            .status()
            .is_success()
    );
    assert_eq!(
        bed.client
            .send(preflight("https://evil.example"))
            .await
            .status(),
        StatusCode::FORBIDDEN
    );
}

#[tokio::test]
async fn a_body_that_comes_too_slowly_is_refused() {
    let server = FakeServer::start().await;
    let bed = Bed::start_with(
        &[("tools", server.url())],
        STAFF_ECHOES,
        "limits.body_timeout_ms = 50",
    )
    .await;
    let token = bed.token("ann", "tools").sign();
    let address = bed.base().strip_prefix("http://").unwrap();
    let mut connection = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /mcp/tools HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: 100\r\n\r\n{{"
    );
    connection.write_all(head.as_bytes()).await.unwrap();
    let mut answer = vec![0; 12];
    connection.read_exact(&mut answer).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&answer), "HTTP/1.1 408");
}

#[tokio::test]
async fn what_a_broken_upstream_says_goes_no_further() {
    let upstream = RawServer::start(|_| Answer::status(200)).await;
    let organisation = format!("[servers.timeouts]\nfirst_byte_ms = 300\n{STAFF_ECHOES}");
    let bed = Bed::start(&[("raw", upstream.url("/mcp"))], &organisation).await;
    let token = bed.token("ann", "raw").sign();
    let discover = |request: &gatewright_test_support::Recorded| {
        (request.json()["method"] == "server/discover").then(|| {
            Answer::result(
                request,
                &json!({"supportedVersions": ["2026-07-28"], "capabilities": {}}),
            )
        })
    };
    type Program = fn(&gatewright_test_support::Recorded) -> Answer;
    let answers: [(&str, Program, u16); 6] = [
        (
            "garbage",
            |_| Answer::bytes(200, "application/json", "planted garbage"),
            502,
        ),
        (
            "html",
            |_| Answer::bytes(200, "text/html", "<b>planted</b>"),
            502,
        ),
        (
            "another id",
            |_| Answer::json(&json!({"jsonrpc": "2.0", "id": 999, "result": {"planted": 1}})),
            502,
        ),
        (
            "a redirect",
            |_| Answer::status(302).header("location", "http://planted.example/"),
            502,
        ),
        (
            "its own login",
            |_| Answer::status(401).header("www-authenticate", "Bearer realm=\"planted\""),
            502,
        ),
        ("nothing", |_| Answer::never(), 504),
    ];
    for (what, program, status) in answers {
        upstream.set(move |request| discover(request).unwrap_or_else(|| program(request)));
        let answer = bed
            .call(
                "raw",
                &token,
                "tools/call",
                json!({"name": "echo", "arguments": {}}),
            )
            .await;
        assert_eq!(answer.status(), status, "{what}");
        assert_eq!(message(&answer)["id"], 7, "{what}");
        assert!(message(&answer)["error"]["code"].is_i64(), "{what}");
        let all = format!("{:?} {:?}", answer.headers(), answer.body());
        assert!(!all.contains("planted"), "{what}: {all}");
    }
    let gone = Bed::start(
        &[("gone", "http://127.0.0.1:9/mcp".to_owned())],
        STAFF_ECHOES,
    )
    .await;
    let token = gone.token("ann", "gone").sign();
    let answer = gone
        .call(
            "gone",
            &token,
            "tools/call",
            json!({"name": "echo", "arguments": {}}),
        )
        .await;
    assert_eq!(answer.status(), StatusCode::BAD_GATEWAY);
    assert_eq!(message(&answer)["error"]["code"], 5502);
}

#[tokio::test]
async fn a_list_that_cannot_be_read_is_not_passed_unfiltered() {
    let upstream = RawServer::start(|request| {
        if request.json()["method"] == "server/discover" {
            return Answer::result(
                request,
                &json!({"supportedVersions": ["2026-07-28"], "capabilities": {}}),
            );
        }
        Answer::result(
            request,
            &json!({"tools": [{"name": "add"}, {"nom": "planted"}]}),
        )
    })
    .await;
    let bed = Bed::start(&[("raw", upstream.url("/mcp"))], STAFF_ECHOES).await;
    let token = bed.token("ann", "raw").sign();
    let answer = bed.call("raw", &token, "tools/list", json!({})).await;
    assert!(message(&answer)["error"].is_object(), "{answer:?}");
    assert!(!String::from_utf8_lossy(answer.body()).contains("planted"));
}

#[tokio::test]
async fn a_session_id_that_nobody_issued_is_not_found() {
    let server = FakeServer::start_legacy().await;
    let bed = Bed::start(&[("tools", server.url())], STAFF_ECHOES).await;
    let token = bed.token("ann", "tools").sign();
    let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}});
    for session in [
        "x",
        "00000000-0000-0000-0000-000000000000",
        &"A".repeat(4000),
    ] {
        let request = legacy_request(&bed.url("tools"), Some(&token), Some(session), &list);
        assert_eq!(
            bed.client.send(request).await.status(),
            StatusCode::NOT_FOUND
        );
    }
}
