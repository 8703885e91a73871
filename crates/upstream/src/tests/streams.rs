//! Event streams: piece by piece, and to their end.

use super::*;

fn progress() -> String {
    let message = json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": 1}});
    format!("id: 4\nx: y\r\ndata: {message}\n\n")
}

fn done() -> String {
    format!("data: {}\n\n", answer(&json!({"content": []})))
}

#[tokio::test]
async fn events_pass_one_by_one_and_byte_for_byte() {
    let server = always(Answer::event_stream([progress()]).hanging()).await;
    let mut answer = send(&upstream(&server, EraSetting::Modern), modern()).await;
    let frame = answer.body_mut().frame().await.unwrap().unwrap();
    assert_eq!(frame.into_data().unwrap(), progress());

    let whole = format!(
        ": hello\r\n\r\n{}{}",
        progress(),
        done().replace('\n', "\r")
    );
    let pieces: Vec<Bytes> = whole
        .as_bytes()
        .chunks(3)
        .map(Bytes::copy_from_slice)
        .collect();
    let server = always(Answer::event_stream(pieces)).await;
    let (_, headers, body) = relay(&server, modern()).await;
    assert_eq!(body, whole);
    assert_eq!(headers["content-type"], "text/event-stream");
}

#[tokio::test]
async fn a_second_answer_does_not_pass() {
    let server = always(Answer::event_stream([done(), done().replace("[]", "[1]")])).await;
    assert_eq!(relay(&server, modern()).await.2, done());
}

#[tokio::test]
async fn events_of_other_types_are_no_part_of_the_protocol() {
    let server = always(Answer::event_stream([
        "event: ping\ndata: planted\n\n".to_owned(),
        done(),
    ]))
    .await;
    assert_eq!(relay(&server, modern()).await.2, format!(":\n\n{}", done()));
}

#[tokio::test]
async fn requests_of_a_legacy_server_pass() {
    let request = "data: {\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"roots/list\"}\n\n".to_owned();
    let server = always(Answer::event_stream([request.clone(), done()])).await;
    assert_eq!(
        relay(&server, call()).await.2,
        format!("{request}{}", done())
    );
}

#[tokio::test]
async fn a_standing_stream_may_be_silent_and_owes_no_answer() {
    let server = always(Answer::event_stream([progress()]).hanging()).await;
    let request = get().body(Bytes::new()).unwrap();
    let mut answer = send(&impatient(&server, EraSetting::Legacy), request).await;
    answer.body_mut().frame().await.unwrap().unwrap();
    let next = tokio::time::timeout(2 * SHORT, answer.body_mut().frame()).await;
    assert!(next.is_err(), "longer than another may be silent");

    let server = always(Answer::event_stream([progress()])).await;
    assert_eq!(
        relay(&server, get().body(Bytes::new()).unwrap()).await.2,
        progress()
    );
}

#[tokio::test]
async fn answers_come_on_a_standing_stream_only_if_it_resumes_another() {
    let server = always(Answer::event_stream([done()])).await;
    assert_eq!(
        relay(&server, get().body(Bytes::new()).unwrap()).await.2,
        ""
    );
    let resumed = get()
        .header("last-event-id", "4")
        .body(Bytes::new())
        .unwrap();
    assert_eq!(relay(&server, resumed).await.2, done());
}

#[tokio::test]
async fn a_stream_that_a_client_can_resume_ends_without_an_error() {
    for sent in [
        Answer::event_stream(["id: 4\ndata:\n\n"]),
        Answer::event_stream(["id: 4\ndata:\n\n"]).breaking(),
    ] {
        let server = calls(sent.clone()).await;
        let upstream = upstream(&server, EraSetting::Legacy);
        let (_, _, body) = read(send(&upstream, call()).await).await;
        assert_eq!(body, "id: 4\ndata:\n\n");
        upstream.tasks().close();
        upstream.tasks().wait().await;
        assert_eq!(server.requests().len(), 1, "and the call is not cancelled");
        // In the modern era nothing can be resumed.
        let (_, _, body) = relay(&always(sent).await, modern()).await;
        assert!(last(&body)["error"].is_object());
    }
}

#[tokio::test]
async fn no_progress_makes_a_call_last_for_ever() {
    let pieces = std::iter::repeat_n(progress(), 20_000);
    let server = always(Answer::event_stream(pieces).hanging()).await;
    let timeouts = Timeouts {
        first_byte: Duration::from_secs(10),
        idle: Duration::from_secs(10),
        total: SHORT,
    };
    let target = target(&server, EraSetting::Modern).with_timeouts(timeouts);
    let (_, _, body) = read(send(&to(target), modern()).await).await;
    assert_eq!(last(&body)["error"]["code"], 5504);
}
