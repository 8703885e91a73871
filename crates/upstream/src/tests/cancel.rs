//! Who goes away takes the call along.

use super::*;

/// A call whose client leaves after this much of the answer.
async fn leave(upstream: &Upstream, request: Request<Bytes>, frames: usize) {
    let mut answer = send(upstream, request).await;
    for _ in 0..frames {
        answer.body_mut().frame().await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn in_the_modern_era_the_stream_is_closed_and_nothing_more_is_sent() {
    let server = calls(Answer::event_stream([": working\n\n"]).hanging()).await;
    let upstream = upstream(&server, EraSetting::Modern);
    leave(&upstream, modern(), 1).await;
    server.abandoned(1).await;

    server.set(|_| Answer::never());
    let call = upstream.clone().oneshot(permit(modern()).await);
    let mut call = Box::pin(call);
    tokio::select! {
        _ = &mut call => panic!("it never answers"),
        () = server.received(2) => {}
    }
    drop(call);
    server.abandoned(2).await;
    upstream.tasks().close();
    upstream.tasks().wait().await;
    assert_eq!(server.requests().len(), 2);
}

fn is_cancellation(seen: &Recorded) {
    let message = seen.json();
    assert_eq!(message["method"], "notifications/cancelled");
    assert_eq!(message["params"]["requestId"], 7);
    assert_eq!(seen.header("mcp-session-id"), SESSION);
    assert_eq!(seen.header("mcp-protocol-version"), "2025-11-25");
}

#[tokio::test]
async fn in_the_legacy_era_the_server_is_told() {
    let server = calls(Answer::event_stream([": working\n\n"]).hanging()).await;
    leave(&upstream(&server, EraSetting::Legacy), call(), 1).await;
    server.received(2).await;
    is_cancellation(&server.requests()[1]);

    let server = calls(Answer::never()).await;
    let mut left = Box::pin(upstream(&server, EraSetting::Legacy).oneshot(permit(call()).await));
    tokio::select! {
        _ = &mut left => panic!("it never answers"),
        () = server.received(1) => {}
    }
    drop(left);
    server.received(2).await;
    is_cancellation(&server.requests()[1]);
}

#[tokio::test]
async fn a_call_that_took_too_long_is_cancelled() {
    for sent in [
        Answer::never(),
        Answer::event_stream([": working\n\n"]).hanging(),
    ] {
        let server = calls(sent).await;
        let (_, _, body) = relay_at_once(&server, call()).await;
        assert_eq!(last(&body)["error"]["code"], 5504);
        server.received(2).await;
        is_cancellation(&server.requests()[1]);
    }
}

#[tokio::test]
async fn what_is_answered_or_cannot_be_cancelled_is_not() {
    let done = Answer::event_stream([format!("data: {}\n\n", answer(&json!({})))]);
    let working = Answer::event_stream([": working\n\n"]);
    let resumable = Answer::event_stream(["id: 4\ndata:\n\n"]);
    let mut alone = call();
    alone.headers_mut().remove("mcp-session-id");
    for (what, sent, request) in [
        ("answered", done.hanging(), call()),
        ("an error", Answer::status(500), call()),
        ("`initialize`", working.clone().hanging(), initialize()),
        ("without a session", working.hanging(), alone),
        ("the client may come back", resumable.hanging(), call()),
    ] {
        let server = calls(sent).await;
        let upstream = upstream(&server, EraSetting::Legacy);
        leave(&upstream, request, 1).await;
        upstream.tasks().close();
        upstream.tasks().wait().await;
        assert_eq!(server.requests().len(), 1, "{what}");
    }
}

#[tokio::test]
async fn an_answer_may_be_dropped_anywhere() {
    let server = calls(Answer::event_stream([": working\n\n"]).hanging()).await;
    let answer = send(&upstream(&server, EraSetting::Legacy), call()).await;
    std::thread::spawn(move || drop(answer)).join().unwrap();
    server.received(2).await;
    is_cancellation(&server.requests()[1]);
}
