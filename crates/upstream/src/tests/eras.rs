//! Servers of the one era, of the other, and of both.

use super::*;

fn discovered(request: &Recorded, versions: &[&str]) -> Option<Answer> {
    (request.json()["method"] == "server/discover").then(|| {
        Answer::result(
            request,
            &json!({"supportedVersions": versions, "capabilities": {}}),
        )
    })
}

fn probes(server: &RawServer) -> usize {
    let seen = server.requests();
    seen.iter()
        .filter(|seen| seen.json()["method"] == "server/discover")
        .count()
}

#[tokio::test]
async fn a_modern_call_to_a_legacy_server_is_sent_back_to_initialize() {
    let server = FakeServer::start_legacy().await;
    let upstream = to(Target::new(server.url().parse().unwrap()));
    let (status, _, body) = read(send(&upstream, modern()).await).await;
    // Without a code of the modern era, by which clients would not fall back.
    assert_eq!(
        (status, last(&body)["error"]["code"].as_i64()),
        (400, Some(4406))
    );
    assert_eq!(last(&body)["id"], 7);
    let (status, headers, _) = read(send(&upstream, initialize()).await).await;
    assert!(status == 200 && headers.contains_key("mcp-session-id"));
    assert_eq!(server.calls(), 0);
}

#[tokio::test]
async fn a_server_that_is_configured_as_legacy_is_not_asked() {
    let server = always(Answer::status(200)).await;
    let answer = send(&upstream(&server, EraSetting::Legacy), modern()).await;
    assert_eq!(answer.status(), 400);
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn a_burst_of_calls_asks_once_and_legacy_calls_never() {
    let server = RawServer::start(|request| {
        discovered(request, &["2026-07-28"]).unwrap_or_else(|| Answer::result(request, &json!({})))
    })
    .await;
    let upstream = upstream(&server, EraSetting::Probe);
    assert_eq!(send(&upstream, call()).await.status(), 200);
    assert_eq!(probes(&server), 0);
    let (first, second, third) = tokio::join!(
        send(&upstream, modern()),
        send(&upstream, modern()),
        send(&upstream, modern())
    );
    for answer in [first, second, third] {
        assert_eq!(answer.status(), 200);
    }
    assert_eq!((probes(&server), server.requests().len()), (1, 5));
    let probe = &server.requests()[1];
    assert_eq!(probe.header("mcp-method"), "server/discover");
    assert!(!probe.headers.contains_key("authorization"));
}

#[tokio::test]
async fn nobody_waits_for_the_probes_of_others() {
    let server = always(Answer::never()).await;
    let upstream = impatient(&server, EraSetting::Probe);
    let started = tokio::time::Instant::now();
    let call = || send(&upstream, modern());
    let (a, b, c, d, e) = tokio::join!(call(), call(), call(), call(), call());
    for answer in [a, b, c, d, e] {
        assert_eq!(answer.status(), 504);
    }
    assert!(
        started.elapsed() < 4 * SHORT,
        "one after the other would be five times as long"
    );
}

#[tokio::test]
async fn an_answer_of_either_form_tells_the_era_and_no_more_of_it_is_read() {
    let event = "data: {\"jsonrpc\":\"2.0\",\"id\":0,\"result\":{\"supportedVersions\":[\"2026-07-28\"]}}\n\n";
    let server = RawServer::start(move |request| {
        if is_call(request) {
            return Answer::result(request, &json!({}));
        }
        let note =
            "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{}}\n\n";
        Answer::event_stream([": hello\n\n", note, event]).hanging()
    })
    .await;
    assert_eq!(
        send(&upstream(&server, EraSetting::Probe), modern())
            .await
            .status(),
        200
    );
}

#[tokio::test]
async fn what_a_probe_finds() {
    let page = Answer::bytes(200, "text/html", "planted");
    let endless = Answer::bytes(200, "application/json", "[".repeat(2 * 1024 * 1024));
    for (what, answer, code) in [
        ("a web page", page, 4406),
        ("more than is read", endless, 4406),
        ("no such path", Answer::status(404), 4406),
        (
            "a server that the question upsets",
            Answer::status(500),
            4406,
        ),
        (
            "a redirect",
            Answer::status(302).header("location", "http://planted.example"),
            4406,
        ),
        (
            "a login",
            Answer::status(401).header("www-authenticate", "planted"),
            5502,
        ),
        (
            "a proxy before a server that is down",
            Answer::status(502),
            5502,
        ),
        ("too many calls", Answer::status(429), 5502),
    ] {
        let server = always(answer).await;
        let (_, headers, body) =
            read(send(&upstream(&server, EraSetting::Probe), modern()).await).await;
        assert_eq!(last(&body)["error"]["code"], code, "{what}");
        assert!(!format!("{headers:?}{body}").contains("planted"), "{what}");
        assert_eq!(server.requests().len(), 1, "{what}");
    }
}

#[tokio::test]
async fn a_server_that_has_changed_is_asked_again() {
    let server = RawServer::start(|request| {
        discovered(request, &["2026-07-28"]).unwrap_or_else(|| Answer::result(request, &json!({})))
    })
    .await;
    let upstream = upstream(&server, EraSetting::Probe);
    assert_eq!(send(&upstream, modern()).await.status(), 200);
    server.set(|_| Answer::bytes(400, "text/plain", "Bad Request: no session"));
    assert_eq!(send(&upstream, modern()).await.status(), 502);
    assert_eq!(send(&upstream, modern()).await.status(), 400);
    assert_eq!(probes(&server), 2);
}

#[tokio::test]
async fn initialize_at_a_modern_only_server_names_its_versions() {
    // A server that says so itself, and one that does not know what it is asked.
    let server = FakeServer::start_modern().await;
    let target = Target::new(server.url().parse().unwrap());
    let (_, _, body) = read(send(&to(target), initialize()).await).await;
    assert!(
        last(&body)["error"].to_string().contains("2026-07-28"),
        "{body}"
    );

    let server = RawServer::start(|request| {
        discovered(request, &["2026-07-28"])
            .unwrap_or_else(|| Answer::bytes(400, "text/plain", "planted"))
    })
    .await;
    for era in [EraSetting::Probe, EraSetting::Modern] {
        let (status, _, body) = read(send(&upstream(&server, era), initialize()).await).await;
        let error = &last(&body)["error"];
        assert_eq!((status, &error["code"]), (400, &json!(-32602)));
        assert_eq!(error["data"]["supported"], json!(["2026-07-28"]));
        assert_eq!(error["message"], "the server speaks only 2026-07-28");
    }
}

#[tokio::test]
async fn versions_that_are_none_are_not_shown() {
    let server = RawServer::start(|request| {
        let versions = [
            "2026-07-28",
            "planted <script>",
            &"planted".repeat(100),
            "2027-01-01",
        ];
        discovered(request, &versions)
            .unwrap_or_else(|| Answer::bytes(400, "text/plain", "planted"))
    })
    .await;
    let (_, _, body) = read(send(&upstream(&server, EraSetting::Probe), initialize()).await).await;
    assert_eq!(
        last(&body)["error"]["data"]["supported"],
        json!(["2026-07-28", "2027-01-01"])
    );
    assert!(!body.contains("planted"));
}

#[tokio::test]
async fn a_failed_initialize_says_nothing_of_eras_where_it_has_another_reason() {
    let refusal = json!({"jsonrpc": "2.0", "id": 7, "error": {"code": -32602, "message": "bad capabilities"}});
    type Program = fn(&Recorded) -> Answer;
    let cases: [(&[&str], Program, i64); 3] = [
        (&["2026-07-28"], |_| Answer::status(401), 5502),
        (&["2026-07-28"], |_| Answer::never(), 5504),
        (
            &["2026-07-28", "2025-11-25"],
            |request| {
                let id = request.json()["id"].clone();
                Answer::json(
                    &json!({"jsonrpc": "2.0", "id": id, "error": {"code": -32602, "message": "bad capabilities"}}),
                )
            },
            -32602,
        ),
    ];
    for (versions, program, code) in cases {
        let server = RawServer::start(move |request| {
            discovered(request, versions).unwrap_or_else(|| program(request))
        })
        .await;
        let (_, _, body) =
            read(send(&impatient(&server, EraSetting::Probe), initialize()).await).await;
        assert_eq!(last(&body)["error"]["code"], code, "{body}");
        if code == -32602 {
            assert_eq!(last(&body), refusal);
        }
    }
}
