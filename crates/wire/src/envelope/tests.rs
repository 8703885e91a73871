use proptest::prelude::*;

use super::*;

fn client(text: &str) -> Result<Envelope, EnvelopeError> {
    Envelope::parse(text.as_bytes(), Peer::Client, &Limits::default())
}

fn server(text: &str) -> Result<Envelope, EnvelopeError> {
    Envelope::parse(text.as_bytes(), Peer::Server, &Limits::default())
}

fn call(params: &str) -> Result<Envelope, EnvelopeError> {
    client(&format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#
    ))
}

fn at(text: &str, range: Option<Range<usize>>) -> Option<&str> {
    text.get(range?)
}

#[test]
fn a_call_is_read_in_place() {
    let text = r#" {"jsonrpc":"2.0", "id" : "\u0061" ,"method":"tools\/call","params": {"n\u0061me": "a\u002fb",
        "arguments": { "x":1.0 },"_meta":{"progressToken":12345678901234567890123,
        "io.modelcontextprotocol/protocolVersion":"2026-07-28",
        "io.modelcontextprotocol/clientCapabilities":{ }}} , "extra":[1 ,2]} "#;
    let env = client(text).unwrap();
    assert_eq!(env.kind(), Kind::Request);
    assert_eq!(env.id(), Some(&Id::string("a")));
    assert_eq!(at(text, env.id_range()), Some(r#""\u0061""#));
    assert_eq!(env.method(), Some("tools/call"));
    assert_eq!((env.target(), env.subject()), (Some("a/b"), Subject::Tool));
    assert_eq!(at(text, env.target_range()), Some(r#""a\u002fb""#));
    assert_eq!(at(text, env.arguments_range()), Some(r#"{ "x":1.0 }"#));
    assert!(
        at(text, env.meta_range())
            .unwrap()
            .starts_with(r#"{"progressToken""#)
    );
    assert_eq!(env.protocol_version(), Some("2026-07-28"));
    assert_eq!(at(text, env.client_capabilities_range()), Some("{ }"));
    assert_eq!(
        env.progress_token(),
        Id::parse("12345678901234567890123").as_ref()
    );
    assert_eq!(at(text, Some(env.range())), Some(text.trim()));
}

#[test]
fn each_kind_is_told() {
    let kinds = [
        (r#"{"jsonrpc":"2.0","id":1,"method":"x"}"#, Kind::Request),
        (r#"{"jsonrpc":"2.0","method":"x"}"#, Kind::Notification),
        (r#"{"jsonrpc":"2.0","id":1,"result":{}}"#, Kind::Response),
        (
            r#"{"jsonrpc":"2.0","id":"1","error":{"code":-1,"message":""}}"#,
            Kind::ErrorResponse,
        ),
        (
            r#"{"jsonrpc":"2.0","id":null,"error":{"code":-1,"message":""}}"#,
            Kind::ErrorResponse,
        ),
        (
            r#"{"jsonrpc":"2.0","error":{"code":-1,"message":""}}"#,
            Kind::ErrorResponse,
        ),
    ];
    for (text, kind) in kinds {
        assert_eq!(client(text).unwrap().kind(), kind, "{text}");
        assert_eq!(server(text).unwrap().kind(), kind, "{text}");
    }
}

/// JSON-RPC 2.0 §4 and §5; MCP forbids null ids.
#[test]
fn malformed_messages_are_invalid_requests() {
    for bad in [
        "1",
        "\"x\"",
        "{}",
        r#"{"id":1,"method":"x"}"#,
        r#"{"jsonrpc":2.0,"id":1,"method":"x"}"#,
        r#"{"jsonrpc":"1.0","id":1,"method":"x"}"#,
        r#"{"jsonrpc":"2.0","id":null,"method":"x"}"#,
        r#"{"jsonrpc":"2.0","id":1.5,"method":"x"}"#,
        r#"{"jsonrpc":"2.0","id":1e0,"method":"x"}"#,
        r#"{"jsonrpc":"2.0","id":true,"method":"x"}"#,
        r#"{"jsonrpc":"2.0","id":[1],"method":"x"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":1}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":""}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"x","params":[]}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"x","params":null}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"x","result":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"x","error":{"code":1,"message":""}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1,"message":""}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{},"params":{}}"#,
        r#"{"jsonrpc":"2.0","result":{}}"#,
        r#"{"jsonrpc":"2.0","id":null,"result":{}}"#,
        r#"{"jsonrpc":"2.0","id":1.5,"error":{"code":1,"message":""}}"#,
        r#"{"jsonrpc":"2.0","id":1,"error":"no"}"#,
        r#"{"jsonrpc":"2.0","id":1,"error":{"code":"1","message":""}}"#,
        r#"{"jsonrpc":"2.0","id":1,"error":{"code":1.5,"message":""}}"#,
        r#"{"jsonrpc":"2.0","id":1,"error":{"code":1}}"#,
    ] {
        let error = client(bad).unwrap_err();
        assert!(
            matches!(error, EnvelopeError::Invalid { .. }),
            "{bad}: {error:?}"
        );
        assert_eq!(
            (error.code(), error.status()),
            (-32600, StatusCode::BAD_REQUEST)
        );
    }
}

#[test]
fn the_id_is_in_the_refusal_where_it_can_be_read() {
    let error = client(r#"{"jsonrpc":"1.0","id":"7","method":"x"}"#).unwrap_err();
    assert_eq!(error.id(), Some(&Id::string("7")));
    assert_eq!(call("{}").unwrap_err().id(), Some(&Id::number(1)));
    assert_eq!(
        client(r#"{"jsonrpc":"2.0","id":1.5,"method":"x"}"#)
            .unwrap_err()
            .id(),
        None
    );
}

#[test]
fn batches_are_refused() {
    for text in ["[]", r#" [{"jsonrpc":"2.0","id":1,"method":"ping"}]"#] {
        let error = client(text).unwrap_err();
        assert_eq!(error, EnvelopeError::Batch);
        assert_eq!(
            (error.code(), error.status()),
            (-32600, StatusCode::BAD_REQUEST)
        );
    }
    assert_eq!(client("[").unwrap_err().code(), -32700);
}

#[test]
fn faults_of_the_text_have_their_codes() {
    let limits = Limits {
        max_bytes: 10,
        ..Limits::default()
    };
    let large = Envelope::parse(b"{          }", Peer::Client, &limits).unwrap_err();
    assert_eq!(
        (large.code(), large.status()),
        (-32600, StatusCode::PAYLOAD_TOO_LARGE)
    );
    assert_eq!(
        Envelope::parse(b"\xff", Peer::Client, &limits)
            .unwrap_err()
            .code(),
        -32700
    );
    assert_eq!(
        call(r#"{"name":"a","name":"b"}"#).unwrap_err().code(),
        -32600
    );
    assert_eq!(call(&"[".repeat(100)).unwrap_err().code(), -32600);
}

#[test]
fn ids_of_any_length_are_kept() {
    let text = r#"{"jsonrpc":"2.0","id":-99999999999999999999999999,"method":"x"}"#;
    assert_eq!(
        client(text).unwrap().id().unwrap().as_json(),
        "-99999999999999999999999999"
    );
}

#[test]
fn a_second_member_for_readers_that_ignore_case_is_refused() {
    for bad in [
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","Method":"tools/call"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","param\u017f":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"ID":2,"result":{}}"#,
    ] {
        assert_eq!(client(bad).unwrap_err().code(), -32600, "{bad}");
    }
    assert_eq!(
        call(r#"{"name":"a","Name":"b"}"#).unwrap_err().code(),
        -32602
    );
    assert_eq!(
        call(r#"{"name":"a","arguments":{},"Arguments":{"x":1}}"#)
            .unwrap_err()
            .code(),
        -32602
    );
    let meta = r#"{"name":"a","_meta":{"IO.modelcontextprotocol/protocolVersion":"x"}}"#;
    assert_eq!(call(meta).unwrap_err().code(), -32602);
    // Arguments are the tool's own, and so are vendors' params.
    assert!(call(r#"{"name":"a","arguments":{"name":1,"Name":2}}"#).is_ok());
    assert!(client(r#"{"jsonrpc":"2.0","id":1,"method":"v/x","params":{"Name":1}}"#).is_ok());
}

#[test]
fn a_known_method_needs_its_target() {
    let needed = [
        ("tools/call", r#"{"name":"t"}"#, Subject::Tool, "t"),
        ("prompts/get", r#"{"name":"p"}"#, Subject::Prompt, "p"),
        (
            "resources/read",
            r#"{"uri":"a:b"}"#,
            Subject::Resource,
            "a:b",
        ),
        (
            "resources/subscribe",
            r#"{"uri":"a:b"}"#,
            Subject::Resource,
            "a:b",
        ),
        (
            "resources/unsubscribe",
            r#"{"uri":"a:b"}"#,
            Subject::Resource,
            "a:b",
        ),
        ("tasks/get", r#"{"taskId":"7"}"#, Subject::Task, "7"),
        ("tasks/update", r#"{"taskId":"7"}"#, Subject::Task, "7"),
        ("tasks/cancel", r#"{"taskId":"7"}"#, Subject::Task, "7"),
        ("tasks/result", r#"{"taskId":"7"}"#, Subject::Task, "7"),
        (
            "completion/complete",
            r#"{"ref":{"type":"ref/prompt","name":"p"}}"#,
            Subject::Prompt,
            "p",
        ),
        (
            "completion/complete",
            r#"{"ref":{"type":"ref/resource","uri":"u","name":"p"}}"#,
            Subject::Resource,
            "u",
        ),
    ];
    for (method, params, subject, target) in needed {
        let text =
            |params: &str| format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}"{params}}}"#);
        let env = client(&text(&format!(r#","params":{params}"#))).unwrap();
        assert_eq!(
            (env.subject(), env.target()),
            (subject, Some(target)),
            "{method}"
        );
        for bad in [
            "",
            r#","params":{}"#,
            r#","params":{"name":1,"uri":null,"taskId":["7"],"ref":"p"}"#,
            r#","params":{"ref":{}}"#,
            r#","params":{"ref":{"type":"ref/tool","name":"p"}}"#,
            r#","params":{"ref":{"type":"ref/prompt","uri":"u"}}"#,
        ] {
            let error = client(&text(bad)).unwrap_err();
            assert_eq!(
                (error.code(), error.status().as_u16()),
                (-32602, 400),
                "{method}{bad}"
            );
        }
    }
}

#[test]
fn parameters_of_the_wrong_type_are_refused() {
    for bad in [
        r#"{"name":"a","arguments":[]}"#,
        r#"{"name":"a","arguments":"{}"}"#,
        r#"{"name":"a","_meta":null}"#,
        r#"{"name":"a","_meta":[]}"#,
        r#"{"name":"a","_meta":{"progressToken":1.5}}"#,
        r#"{"name":"a","_meta":{"progressToken":null}}"#,
        r#"{"name":"a","_meta":{"io.modelcontextprotocol/protocolVersion":20260728}}"#,
        r#"{"name":"a","_meta":{"io.modelcontextprotocol/clientCapabilities":true}}"#,
    ] {
        assert_eq!(call(bad).unwrap_err().code(), -32602, "{bad}");
    }
    assert_eq!(
        call(r#"{"name":"a","arguments":null}"#)
            .unwrap()
            .arguments_range(),
        None
    );
    let unknown = r#"{"jsonrpc":"2.0","id":1,"method":"v/x","params":{"_meta":1}}"#;
    assert_eq!(client(unknown).unwrap_err().code(), -32602);
    let initialize = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}"#;
    assert_eq!(client(initialize).unwrap_err().code(), -32602);
}

#[test]
fn a_method_comes_in_its_form_only() {
    for bad in [
        r#"{"jsonrpc":"2.0","method":"tools/call","params":{"name":"a"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"notifications/initialized"}"#,
    ] {
        assert_eq!(client(bad).unwrap_err().code(), -32600, "{bad}");
    }
}

#[test]
fn methods_are_known_per_sender() {
    let text = r#"{"jsonrpc":"2.0","id":1,"method":"sampling/createMessage","params":{}}"#;
    assert!(client(text).unwrap().info().is_none());
    assert!(server(text).unwrap().info().is_some());
    // A server that sends `tools/call` sends a method nobody knows: no target to be mistaken for ours.
    let text = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"}}"#;
    let env = server(text).unwrap();
    assert_eq!((env.info(), env.target()), (None, None));
}

#[test]
fn notifications_say_what_they_refer_to() {
    let text = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"7"}}"#;
    let env = client(text).unwrap();
    assert_eq!(env.refers_to(), Some(&Id::string("7")));
    assert_eq!(at(text, env.refers_to_range()), Some(r#""7""#));
    let text = r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":3,"progress":1}}"#;
    assert_eq!(server(text).unwrap().refers_to(), Some(&Id::number(3)));
    let text = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":{}}}"#;
    assert_eq!(client(text).unwrap_err().code(), -32602);
}

#[test]
fn what_a_result_holds_is_not_looked_at() {
    let text = r#"{"jsonrpc":"2.0","id":1,"result":{"Name":1,"_meta":3,"content":[]}}"#;
    let env = server(text).unwrap();
    assert_eq!(
        at(text, env.result_range()),
        Some(r#"{"Name":1,"_meta":3,"content":[]}"#)
    );
}

proptest! {
    #[test]
    fn any_bytes_are_a_message_or_not(bytes in any::<Vec<u8>>()) {
        for from in [Peer::Client, Peer::Server] {
            let _read = Envelope::parse(&bytes, from, &Limits::default());
        }
    }

    #[test]
    fn any_members_are_a_message_or_not(
        id in prop_oneof!["null", "[0-9]{1,30}", "\"[a-z]*\"", "1\\.5"],
        method in prop_oneof!["tools/call", "completion/complete", "notifications/cancelled", "[a-z/]{0,12}"],
        params in prop_oneof!["\\{\\}", "\\{\"(name|uri|ref|_meta|arguments)\":(1|\"a\"|\\{\\}|null)\\}", "[0-9]"],
    ) {
        let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#);
        if let Ok(env) = client(&text) {
            prop_assert_eq!(at(&text, env.id_range()), Some(id.as_str()));
            prop_assert_eq!(at(&text, env.params_range()), Some(params.as_str()));
        }
    }

    #[test]
    fn unknown_members_pass_and_stay(name in "x-[a-z]{0,6}", value in "[1-9][0-9]{0,30}|\"[a-zé ]*\"|\\[1 ?, ?2\\]", first in any::<bool>()) {
        let known = r#""jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"}"#;
        let extra = format!("\"{name}\" : {value}");
        let text = if first { format!("{{{extra},{known}}}") } else { format!("{{{known}, {extra}}}") };
        let env = client(&text).unwrap();
        prop_assert_eq!(env.target(), Some("a"));
        let mut splice = crate::Splice::new(text.as_bytes());
        splice.set_target(&env, "b").unwrap();
        let changed = splice.build().unwrap();
        let expected = text.replace(r#""name":"a""#, r#""name":"b""#);
        prop_assert_eq!(changed, expected);
    }
}
