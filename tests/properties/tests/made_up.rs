//! The same properties for messages, streams, lines and headers that are put together from what such things are made of.

use gatewright_properties::{envelope, jwt_header, sse, stdio_frame};
use proptest::{prelude::*, sample::select};
use serde_json::{Map, Value, json};

const METHODS: [&str; 12] = [
    "tools/call",
    "tools/list",
    "prompts/get",
    "resources/read",
    "completion/complete",
    "tasks/get",
    "initialize",
    "sampling/createMessage",
    "notifications/cancelled",
    "notifications/progress",
    "acme/unknown",
    "",
];

fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1.0e9..1.0e9).prop_map(Value::from),
        "\\PC{0,6}|[\"\\\\\n\u{2028}é]{0,4}".prop_map(Value::from),
    ]
}

/// An object with some of these members, some of which have the right form.
fn object(members: Vec<(&'static str, BoxedStrategy<Value>)>) -> BoxedStrategy<Value> {
    let members: Vec<_> = members
        .into_iter()
        .map(|(name, right)| {
            let value =
                prop_oneof![16 => right, 1 => leaf(), 1 => Just(json!({})), 1 => Just(json!([]))];
            prop::option::weighted(0.85, value.prop_map(move |value| (name.to_owned(), value)))
        })
        .collect();
    let odd = prop::option::weighted(0.1, ("[Nn]ame|ID|Params|[ſs]|x{1,3}", leaf()));
    (members, odd)
        .prop_map(|(members, odd)| {
            let all = members.into_iter().flatten().chain(odd);
            Value::Object(all.collect::<Map<String, Value>>())
        })
        .boxed()
}

fn text() -> BoxedStrategy<Value> {
    "[a-z]{0,3}|\\PC{0,4}".prop_map(Value::from).boxed()
}

fn id() -> BoxedStrategy<Value> {
    prop_oneof![any::<i64>().prop_map(Value::from), text()].boxed()
}

fn params() -> BoxedStrategy<Value> {
    let meta = object(vec![
        (
            "io.modelcontextprotocol/protocolVersion",
            Just(json!("2026-07-28")).boxed(),
        ),
        (
            "io.modelcontextprotocol/clientCapabilities",
            Just(json!({})).boxed(),
        ),
        ("progressToken", id()),
    ]);
    let kind = select(vec!["ref/prompt", "ref/resource", "ref/tool"]).prop_map(Value::from);
    let reference = object(vec![
        ("type", kind.boxed()),
        ("name", text()),
        ("uri", text()),
    ]);
    object(vec![
        ("_meta", meta),
        ("name", text()),
        ("uri", text()),
        ("taskId", text()),
        ("ref", reference),
        ("arguments", object(vec![("a", leaf().boxed())])),
        ("requestId", id()),
        ("progressToken", id()),
        ("protocolVersion", text()),
    ])
}

fn result() -> BoxedStrategy<Value> {
    let list = |name| {
        let item = object(vec![(name, text()), ("x", leaf().boxed())]);
        prop::collection::vec(item, 0..4)
            .prop_map(Value::from)
            .boxed()
    };
    object(vec![
        ("tools", list("name")),
        ("prompts", list("name")),
        ("resources", list("uri")),
        ("resourceTemplates", list("uriTemplate")),
        ("cacheScope", Just(json!("public")).boxed()),
    ])
}

fn message() -> impl Strategy<Value = String> {
    let method = select(METHODS.to_vec()).prop_map(Value::from).boxed();
    let version = || ("jsonrpc", Just(json!("2.0")).boxed());
    let error = Just(json!({"code": -1, "message": ""})).boxed();
    let message = prop_oneof![
        4 => object(vec![version(), ("id", id()), ("method", method), ("params", params())]),
        2 => object(vec![version(), ("id", id()), ("result", result())]),
        1 => object(vec![version(), ("id", id()), ("error", error)]),
    ];
    (message, any::<bool>()).prop_map(|(message, pretty)| {
        if pretty {
            format!(" {message:#}\r\n")
        } else {
            message.to_string()
        }
    })
}

/// Pieces in any order, and now and then any bytes.
fn pieces(words: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        12 => select(words).prop_map(|word| word.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..4),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

const OF_STREAMS: &[&str] = &[
    "\n",
    "\r",
    "\r\n",
    "\n\n",
    "\r\r",
    "\r\n\r\n",
    "\u{feff}",
    "data",
    "data:",
    "data: a",
    "data:  b\0",
    "id: 1",
    "id:",
    "event: x",
    "event",
    "retry: 5",
    "retry: x",
    ": note",
    "other: y",
];

const OF_LINES: &[&str] = &[
    "\n",
    "\r",
    "\r\n",
    "{\"a\":",
    "1}",
    "[1,\n2]",
    "\"x\u{2028}\u{2029}\u{85}\"",
    "\u{c2}",
    "{}",
    "12345678",
];

const OF_HEADERS: &[&str] = &[
    "{\"alg\":\"EdDSA\",\"typ\":\"at+jwt\"",
    ",\"kid\":\"k1\"",
    ",\"kid\":7",
    ",\"typ\":\"JWT\"",
    ",\"\\u0061lg\":\"none\"",
    ",\"crit\":[]",
    ",\"jwk\":{}",
    ",\"x\":[1.5e3]",
    "}",
    "{",
    " ",
    "\"alg\":\"none\"",
    ".",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn messages_of_all_kinds_have_their_property(text in message()) {
        envelope(text.as_bytes());
    }

    #[test]
    fn streams_of_all_kinds_have_their_property(text in pieces(OF_STREAMS)) {
        sse(&text);
    }

    #[test]
    fn lines_of_all_kinds_have_their_property(text in pieces(OF_LINES)) {
        stdio_frame(&text);
    }

    #[test]
    fn messages_go_to_children_as_one_line(text in message()) {
        stdio_frame(text.as_bytes());
    }

    #[test]
    fn headers_of_all_kinds_have_their_property(text in pieces(OF_HEADERS)) {
        jwt_header(&text);
    }
}
