use std::borrow::Cow;

use bytes::Bytes;
use gatewright_wire::sse::{Event, Scanner, SseError};

use crate::chunks::cuts;

/// What a receiver sees of an event: data, type, id, retry.
type Seen = (Option<Vec<u8>>, Option<String>, Option<String>, Option<u64>);

/// The scanner of event streams: no byte is lost, any split into chunks gives the events that the standard's own
/// algorithm gives, bounds hold, and an event with other data is one event with the same other fields.
pub fn sse(text: &[u8]) {
    let expected = expected(text);
    for (way, pieces) in cuts(text).into_iter().enumerate() {
        let read = scan(&pieces, usize::MAX);
        assert_eq!((seen(&read.events), read.failed.is_some()), expected);
        if read.failed.is_none() {
            let mut joined: Vec<u8> = Vec::new();
            for event in &read.events {
                joined.extend_from_slice(event.raw());
            }
            joined.extend_from_slice(&read.rest);
            assert_eq!(joined, text);
        }
        for limit in [0, 9, 40] {
            bounded(&pieces, limit, &expected.0);
        }
        // Cut otherwise, an event differs at most by the half of a line end that it begins with.
        let split = |event: &&Event| way == 0 || event.raw().first() == Some(&b'\n');
        read.events.iter().filter(split).for_each(rewritten);
    }
}

struct Read {
    events: Vec<Event>,
    rest: Bytes,
    failed: Option<SseError>,
}

fn scan(pieces: &[&[u8]], limit: usize) -> Read {
    let mut scanner = Scanner::new(limit);
    let mut events = Vec::new();
    let mut failed = None;
    for piece in pieces {
        failed = scanner.push(Bytes::copy_from_slice(piece)).err();
        events.extend(std::iter::from_fn(|| scanner.next_event()));
        if let Some(error) = failed {
            assert_eq!(scanner.push(Bytes::from("\n\n")), Err(error));
            assert_eq!(scanner.next_event(), None);
            break;
        }
    }
    Read {
        events,
        rest: scanner.finish().unwrap_or_default(),
        failed,
    }
}

/// With a limit, what comes out is a beginning of what comes out without, and nothing longer is held.
fn bounded(pieces: &[&[u8]], limit: usize, all: &[Seen]) {
    let read = scan(pieces, limit);
    assert!(all.starts_with(&seen(&read.events)));
    assert!(read.rest.len() <= limit);
    assert!(read.events.iter().all(|event| event.raw().len() <= limit));
    if read.failed.is_none() {
        assert_eq!(seen(&read.events), all);
    }
}

/// Another event's data cannot end the event, and the rest of it stays.
fn rewritten(event: &Event) {
    let own = event.data().unwrap_or_default();
    for data in [
        "{}",
        "a\n\nid: 9\rretry: 1\r\n",
        &String::from_utf8_lossy(&own),
    ] {
        let written = event.with_data(data);
        // An event that began with the second half of a line end begins a stream of its own with a blank line.
        let read = scan(&[&written], usize::MAX);
        assert!(read.failed.is_none() && read.rest.is_empty());
        let found = seen(&read.events);
        assert_eq!(found.len(), 1, "{written:?} is one event");
        let plain = Some(normalised(data.as_bytes()));
        let others = seen_one(event);
        assert_eq!(found[0], (plain, others.1, others.2, others.3));
    }
}

fn seen(events: &[Event]) -> Vec<Seen> {
    let seen = events.iter().map(seen_one);
    seen.filter(|seen| *seen != Seen::default()).collect()
}

fn seen_one(event: &Event) -> Seen {
    let seen = (
        event.data().map(|data| data.to_vec()),
        event.event_type().map(Cow::into_owned),
        event.id().map(Cow::into_owned),
        event.retry(),
    );
    assert!(!event.is_comment() || seen == Seen::default());
    seen
}

/// Every line end as LF.
fn normalised(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut after_cr = false;
    for byte in text {
        match byte {
            b'\n' if after_cr => {}
            b'\r' | b'\n' => plain.push(b'\n'),
            other => plain.push(*other),
        }
        after_cr = *byte == b'\r';
    }
    plain
}

/// The standard's algorithm (WHATWG HTML §9.2.6) over the whole text, written for clarity; and whether it ends where
/// an event other than the first begins with a byte order mark.
fn expected(text: &[u8]) -> (Vec<Seen>, bool) {
    const BOM: &[u8] = b"\xef\xbb\xbf";
    let plain = normalised(text.strip_prefix(BOM).unwrap_or(text));
    let mut lines: Vec<&[u8]> = plain.split(|byte| *byte == b'\n').collect();
    let _unfinished = lines.pop();
    let mut events = Vec::new();
    let (mut event, mut first, mut marked, mut begins) = (Seen::default(), true, false, true);
    for line in lines {
        if line.is_empty() {
            if marked {
                return (events, true);
            }
            let whole = std::mem::take(&mut event);
            let whole = (
                whole.0,
                whole.1.filter(|name| !name.is_empty()),
                whole.2,
                whole.3,
            );
            if whole != Seen::default() {
                events.push(whole);
            }
            (first, begins) = (false, true);
            continue;
        }
        marked |= begins && !first && line.starts_with(BOM);
        begins = false;
        take_field(&mut event, line);
    }
    (events, false)
}

fn take_field(event: &mut Seen, line: &[u8]) {
    let colon = line.iter().position(|byte| *byte == b':');
    let name = &line[..colon.unwrap_or(line.len())];
    let value = colon.map_or(&b""[..], |at| &line[at + 1..]);
    let value = value.strip_prefix(b" ").unwrap_or(value);
    let text = String::from_utf8_lossy(value).into_owned();
    match name {
        b"data" => match &mut event.0 {
            Some(data) => {
                data.push(b'\n');
                data.extend_from_slice(value);
            }
            None => event.0 = Some(value.to_vec()),
        },
        b"event" => event.1 = Some(text),
        b"id" if !value.contains(&0) => event.2 = Some(text),
        // The last one counts, even where it says nothing.
        b"retry" => {
            event.3 = text
                .parse()
                .ok()
                .filter(|_| value.iter().all(u8::is_ascii_digit));
        }
        _ => {}
    }
}
