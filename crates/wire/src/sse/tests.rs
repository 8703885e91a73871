use proptest::prelude::*;

use super::*;

/// Everything that came out: the events, and the rest.
fn scan(chunks: &[&[u8]]) -> (Vec<Event>, Option<Bytes>) {
    let mut scanner = Scanner::new(1 << 16);
    let mut events = Vec::new();
    for chunk in chunks {
        scanner.push(Bytes::copy_from_slice(chunk)).unwrap();
        events.extend(std::iter::from_fn(|| scanner.next_event()));
    }
    (events, scanner.finish())
}

fn one(text: &str) -> Event {
    let (events, rest) = scan(&[text.as_bytes()]);
    assert_eq!((events.len(), rest), (1, None), "{text:?}");
    events.into_iter().next().unwrap()
}

/// What a receiver sees of an event.
type Seen = (Option<Bytes>, Option<String>, Option<String>, Option<u64>);

fn seen(events: &[Event]) -> Vec<Seen> {
    let read = |event: &Event| {
        let owned = |value: Option<Cow<'_, str>>| value.map(Cow::into_owned);
        (
            event.data(),
            owned(event.event_type()),
            owned(event.id()),
            event.retry(),
        )
    };
    events
        .iter()
        .map(read)
        .filter(|seen| *seen != (None, None, None, None))
        .collect()
}

#[test]
fn fields_are_read_as_the_standard_has_them() {
    let event = one(
        "event: message\nid:7\nretry: 30\ndata: a\ndata:b\ndata:  c\ndata\nother: x\n: note\n\n",
    );
    assert_eq!(event.data().unwrap(), "a\nb\n c\n");
    assert_eq!(event.event_type().unwrap(), "message");
    assert_eq!(event.id().unwrap(), "7");
    assert_eq!(event.retry(), Some(30));
    assert!(!event.is_comment());
}

#[test]
fn odd_fields_are_ignored_as_the_standard_has_it() {
    let event = one("id: a\0b\nretry: -1\nevent\nData: x\n data: y\n\n");
    assert_eq!(
        (event.id(), event.retry(), event.event_type(), event.data()),
        (None, None, None, None)
    );
    assert_eq!(one("id\n\n").id().unwrap(), "");
    assert_eq!(one("data\n\n").data().unwrap(), "");
    assert_eq!(one("retry: 99999999999999999999999\n\n").retry(), None);
}

#[test]
fn keep_alives_are_comments() {
    assert!(one(":\r\n\r\n").is_comment());
    assert!(one("\n").is_comment());
    assert!(!one("data:\n\n").is_comment());
}

#[test]
fn all_line_ends_end_lines() {
    for end in ["\n", "\r", "\r\n"] {
        let text = format!("data: a{end}data: b{end}{end}data: c{end}{end}");
        let (events, rest) = scan(&[text.as_bytes()]);
        assert_eq!(rest, None);
        let data: Vec<Bytes> = events.iter().filter_map(Event::data).collect();
        assert_eq!(data, ["a\nb", "c"], "{end:?}");
    }
}

#[test]
fn an_event_does_not_wait_for_the_lf_of_its_last_crlf() {
    let (events, rest) = scan(&[b"data: a\r\n\r", b"\ndata: b\r\n\r", b"\n"]);
    assert_eq!(events.len(), 2);
    assert_eq!(events[0].raw(), "data: a\r\n\r");
    assert_eq!(events[1].raw(), "\ndata: b\r\n\r");
    assert_eq!(events[1].data().unwrap(), "b");
    assert_eq!(events[1].with_data("x"), "\ndata: x\n\n");
    assert_eq!(rest.unwrap(), "\n");
}

#[test]
fn a_byte_order_mark_begins_the_stream_only() {
    for chunks in [
        &["\u{feff}data: a\n\n".as_bytes()][..],
        &[b"\xef", b"\xbb", b"\xbfdata: a\n\n"],
    ] {
        assert_eq!(scan(chunks).0[0].data().unwrap(), "a");
    }
    let (events, _) = scan(&["\u{feff}\ndata: a\n\n".as_bytes()]);
    assert_eq!((events.len(), seen(&events).len()), (2, 1));
    assert_eq!(
        one("\u{feff}data: a\n\n").with_data("b"),
        "\u{feff}data: b\n\n"
    );
}

#[test]
fn a_later_event_that_begins_with_a_mark_is_refused() {
    for text in [
        "data: a\n\n\u{feff}data: b\n\n",
        "\r\n\u{feff}data: b\n\n",
        "\u{feff}\n\u{feff}\n\n",
    ] {
        let mut scanner = Scanner::new(100);
        assert_eq!(
            scanner.push(Bytes::from(text)),
            Err(SseError::StrayMark),
            "{text:?}"
        );
        assert!(scanner.next_event().is_some() && scanner.next_event().is_none());
        assert_eq!(scanner.push(Bytes::from("\n")), Err(SseError::StrayMark));
    }
    assert_eq!(one("data: a\n\u{feff}data: b\n\n").data().unwrap(), "a");
}

#[test]
fn data_that_is_not_utf8_keeps_its_bytes() {
    let (events, _) = scan(&[b"data: \xff\n\n"]);
    assert_eq!(events[0].data().unwrap(), &b"\xff"[..]);
}

#[test]
fn an_unfinished_event_is_the_rest() {
    let (events, rest) = scan(&[b"data: a\n\ndata: b\n"]);
    assert_eq!((events.len(), rest.unwrap()), (1, Bytes::from("data: b\n")));
}

#[test]
fn events_beyond_the_limit_end_the_stream() {
    let mut scanner = Scanner::new(10);
    let refused = Err(SseError::TooLarge { limit: 10 });
    assert_eq!(scanner.push(Bytes::from("data: ab\n\n")), Ok(()));
    assert_eq!(
        scanner.push(Bytes::from("data: a\n\ndata: abc\n\n")),
        refused
    );
    assert!(scanner.next_event().is_some() && scanner.next_event().is_some());
    assert!(scanner.next_event().is_none());
    assert_eq!(scanner.push(Bytes::from("data: a\n\n")), refused);

    let mut scanner = Scanner::new(10);
    for _ in 0..10 {
        assert_eq!(scanner.push(Bytes::from("x")), Ok(()));
    }
    assert_eq!(scanner.push(Bytes::from("x")), refused);
}

#[test]
fn other_data_leaves_the_other_lines() {
    let event = one("id: 1\r\n: note\r\ndata: a\r\nevent: message\r\ndata: b\r\nretry: 5\r\n\r\n");
    assert_eq!(
        event.with_data("x"),
        "id: 1\r\n: note\r\ndata: x\nevent: message\r\nretry: 5\r\n\n"
    );
    assert_eq!(one("id: 1\n\n").with_data("x"), "id: 1\ndata: x\n\n");
    assert_eq!(
        one("data: a\rid: 1\r\r").with_data("x"),
        "data: x\nid: 1\r\n\n"
    );
}

#[test]
fn data_cannot_break_out_of_its_event() {
    let written = Event::message("a\n\nid: 9\r\rdata: b\n");
    let (events, rest) = scan(&[&written]);
    assert_eq!((events.len(), rest), (1, None));
    assert_eq!(events[0].data().unwrap(), "a\n\nid: 9\n\ndata: b\n");
    assert_eq!(events[0].id(), None);
}

fn stream() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just("\n"),
        Just("\r"),
        Just("\r\n"),
        Just("data: a"),
        Just("data:"),
        Just("id: 1"),
        Just("event: x"),
        Just(": c"),
        Just("retry: 5"),
        Just("é"),
    ];
    let mark = prop_oneof![Just(""), Just("\u{feff}")];
    (mark, prop::collection::vec(piece, 0..40))
        .prop_map(|(mark, pieces)| (mark.to_owned() + &pieces.concat()).into_bytes())
}

/// Every line end as LF: what the standard's parser sees.
fn normalised(text: &[u8]) -> Vec<u8> {
    String::from_utf8_lossy(text)
        .replace("\r\n", "\n")
        .replace('\r', "\n")
        .into_bytes()
}

proptest! {
    #[test]
    fn chunking_changes_nothing(text in stream(), cuts in prop::collection::vec(1usize..7, 0..60)) {
        let mut chunks: Vec<&[u8]> = Vec::new();
        let mut rest = text.as_slice();
        for cut in cuts {
            let (chunk, tail) = rest.split_at(cut.min(rest.len()));
            chunks.push(chunk);
            rest = tail;
        }
        chunks.push(rest);
        let (events, rest) = scan(&chunks);
        let mut joined: Vec<u8> = events.iter().flat_map(|event| event.raw().to_vec()).collect();
        joined.extend(rest.unwrap_or_default());
        prop_assert_eq!(&joined, &text);

        let (whole, _) = scan(&[&text]);
        prop_assert_eq!(seen(&events), seen(&whole));
        let (plain, _) = scan(&[&normalised(&text)]);
        prop_assert_eq!(seen(&events), seen(&plain));
    }

    #[test]
    fn any_bytes_scan(text in prop::collection::vec(any::<u8>(), 0..200), limit in 0usize..50) {
        let mut scanner = Scanner::new(limit);
        for chunk in text.chunks(7) {
            if scanner.push(Bytes::copy_from_slice(chunk)).is_err() {
                break;
            }
        }
        while let Some(event) = scanner.next_event() {
            prop_assert!(event.raw().len() <= limit);
            let _read = (event.data(), event.id(), event.event_type(), event.retry(), event.with_data("x"));
        }
    }

    #[test]
    fn with_data_is_one_event_with_the_same_fields(text in stream(), data in "[a-z\n]{0,12}") {
        for event in scan(&[&text]).0 {
            let written = event.with_data(&data);
            let lead = event.raw().slice(..event.skip);
            let (events, rest) = scan(&[&written]);
            prop_assert_eq!(rest, None);
            let events: Vec<Event> = events.into_iter().filter(|event| !event.is_comment()).collect();
            prop_assert_eq!(events.len(), 1);
            prop_assert_eq!(events[0].data().unwrap(), data.clone());
            prop_assert_eq!((events[0].id(), events[0].retry()), (event.id(), event.retry()));
            prop_assert!(written.starts_with(&lead));
        }
    }
}
