//! What goes up, and what comes down.

use super::*;

/// What no server is to see of a caller.
const KEPT: [(&str, &str); 18] = [
    ("authorization", "Bearer planted"),
    ("proxy-authorization", "planted"),
    ("cookie", "planted=1"),
    ("forwarded", "for=planted"),
    ("x-forwarded-for", "planted"),
    ("x-forwarded-host", "planted"),
    ("x-forwarded-proto", "planted"),
    ("x-real-ip", "planted"),
    ("via", "planted"),
    ("connection", "x-planted"),
    ("x-planted", "planted"),
    ("keep-alive", "planted"),
    ("te", "trailers"),
    ("upgrade", "planted"),
    ("origin", "https://planted.example"),
    ("referer", "https://planted.example"),
    ("accept-encoding", "gzip"),
    ("baggage", "planted=1"),
];

fn with_everything(mut request: Request<Bytes>) -> Request<Bytes> {
    let trace = (
        "traceparent",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    );
    let mcp = [
        ("mcp-param-region", "west"),
        ("last-event-id", "4"),
        ("mcp-session-id", SESSION),
    ];
    for (name, value) in KEPT.into_iter().chain(mcp).chain([trace]) {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    request
}

fn names(seen: &Recorded) -> Vec<String> {
    let mut names: Vec<String> = seen.headers.keys().map(ToString::to_string).collect();
    names.retain(|name| !["host", "content-length", "user-agent"].contains(&name.as_str()));
    names.sort();
    names
}

#[tokio::test]
async fn only_what_the_protocol_needs_goes_up() {
    let server = always(Answer::status(202)).await;
    relay(&server, with_everything(modern())).await;
    let mut legacy_call = with_everything(call());
    for (name, value) in [("mcp-method", "tools/list"), ("mcp-name", "planted")] {
        legacy_call
            .headers_mut()
            .insert(name, value.parse().unwrap());
    }
    relay(&server, legacy_call).await;
    relay(&server, with_everything(get().body(Bytes::new()).unwrap())).await;

    let seen = server.requests();
    let common = [
        "accept",
        "content-type",
        "mcp-protocol-version",
        "traceparent",
    ];
    let mut expected = [
        ["mcp-method", "mcp-name", "mcp-param-region"].as_slice(),
        &common,
    ]
    .concat();
    expected.sort_unstable();
    assert_eq!(names(&seen[0]), expected);
    assert_eq!(seen[0].header("mcp-name"), "echo");
    let mut expected = [["mcp-session-id"].as_slice(), &common].concat();
    expected.sort_unstable();
    assert_eq!(
        names(&seen[1]),
        expected,
        "in the legacy era nobody checked what `Mcp-Name` says"
    );
    assert_eq!(
        names(&seen[2]),
        [
            "accept",
            "last-event-id",
            "mcp-protocol-version",
            "mcp-session-id",
            "traceparent"
        ]
    );
    for seen in seen {
        assert!(
            !seen.everything().contains("planted"),
            "{}",
            seen.everything()
        );
        assert_eq!(
            seen.header("host"),
            server
                .url("")
                .trim_start_matches("http://")
                .trim_end_matches('/')
        );
        assert_eq!(seen.header("user-agent"), "gatewright");
    }
}

#[tokio::test]
async fn a_header_that_stands_twice_does_not_go_up() {
    let server = always(Answer::status(202)).await;
    let mut request = call();
    request
        .headers_mut()
        .append("mcp-session-id", "another".parse().unwrap());
    relay(&server, request).await;
    assert!(!server.requests()[0].headers.contains_key("mcp-session-id"));
}

#[tokio::test]
async fn a_name_goes_up_where_the_method_has_one() {
    let server = always(Answer::status(202)).await;
    let mut request = modern_request("http://gw.example/mcp/s", None, 7, "tools/list", json!({}));
    request
        .headers_mut()
        .insert("mcp-name", "planted".parse().unwrap());
    relay(&server, request).await;
    assert!(!server.requests()[0].everything().contains("planted"));
}

#[tokio::test]
async fn a_session_comes_down_in_the_legacy_era_only() {
    let good = Answer::json(&json!({"jsonrpc": "2.0", "id": 7, "result": {}}));
    let server = always(
        good.header("mcp-session-id", SESSION)
            .header("retry-after", "1"),
    )
    .await;
    let (_, headers, _) = relay(&server, call()).await;
    assert_eq!(
        (&headers["mcp-session-id"], &headers["retry-after"]),
        (&SESSION.parse().unwrap(), &"1".parse().unwrap())
    );
    let (_, headers, _) = relay(&server, modern()).await;
    assert!(!headers.contains_key("mcp-session-id"));
}

#[tokio::test]
async fn a_stream_is_resumed_within_a_session_only() {
    let server = always(Answer::status(405)).await;
    let alone = Request::get("http://gw.example/mcp/s").header("last-event-id", "4");
    relay(&server, alone.body(Bytes::new()).unwrap()).await;
    assert!(!server.requests()[0].headers.contains_key("last-event-id"));
}
