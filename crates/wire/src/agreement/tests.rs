use http::HeaderValue;

use super::*;
use crate::{Limits, Peer};

const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}"#;

fn request(method: &str, params: &str) -> Envelope {
    let text =
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{{META}{params}}}}}"#);
    Envelope::parse(text.as_bytes(), Peer::Client, &Limits::default()).unwrap()
}

fn with(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(*name, HeaderValue::from_str(value).unwrap());
    }
    headers
}

const V: (&str, &str) = ("mcp-protocol-version", "2026-07-28");
const CALL: (&str, &str) = ("mcp-method", "tools/call");

#[test]
fn equal_headers_agree() {
    let env = request("tools/call", r#","name":"größe""#);
    let headers = with(&[
        V,
        CALL,
        ("mcp-name", "=?base64?Z3LDtsOfZQ==?="),
        ("mcp-param-region", "x"),
    ]);
    assert_eq!(agreement(&headers, &env), Ok(()));
    let list = request("tools/list", "");
    assert_eq!(
        agreement(&with(&[V, ("mcp-method", "tools/list")]), &list),
        Ok(())
    );
    let read = request("resources/read", r#","uri":"a:b c""#);
    let headers = with(&[V, ("mcp-method", "resources/read"), ("mcp-name", "a:b c")]);
    assert_eq!(agreement(&headers, &read), Ok(()));
}

#[test]
fn every_disagreement_is_a_header_mismatch() {
    use Disagreement::{Malformed, Mismatch, Missing, Repeated};
    let env = request("tools/call", r#","name":"a""#);
    let name = ("mcp-name", "a");
    let cases: &[(&[(&'static str, &str)], Disagreement)] = &[
        (&[CALL, name], Missing(VERSION)),
        (&[V, V, CALL, name], Repeated(VERSION)),
        (
            &[("mcp-protocol-version", "2026-07-29"), CALL, name],
            Mismatch(VERSION),
        ),
        (&[V, name], Missing(METHOD)),
        (&[V, CALL, CALL, name], Repeated(METHOD)),
        (&[V, ("mcp-method", "tools/list"), name], Mismatch(METHOD)),
        (&[V, ("mcp-method", "Tools/Call"), name], Mismatch(METHOD)),
        (&[V, CALL], Missing(NAME)),
        (&[V, CALL, name, name], Repeated(NAME)),
        (&[V, CALL, ("mcp-name", "b")], Mismatch(NAME)),
        (&[V, CALL, ("mcp-name", "A")], Mismatch(NAME)),
        (&[V, CALL, ("mcp-name", "=?BASE64?YQ==?=")], Mismatch(NAME)),
        (&[V, CALL, ("mcp-name", "=?base64?YQ?=")], Malformed(NAME)),
        (&[V, CALL, ("mcp-name", "é")], Malformed(NAME)),
    ];
    for (headers, expected) in cases {
        assert_eq!(agreement(&with(headers), &env), Err(*expected));
        assert_eq!((expected.code(), expected.status().as_u16()), (-32020, 400));
    }
}

#[test]
fn every_named_method_needs_its_name() {
    for (method, params) in [
        ("tools/call", r#","name":"a""#),
        ("prompts/get", r#","name":"a""#),
        ("resources/read", r#","uri":"a""#),
        ("tasks/get", r#","taskId":"a""#),
        ("tasks/update", r#","taskId":"a""#),
        ("tasks/cancel", r#","taskId":"a""#),
    ] {
        let env = request(method, params);
        let headers = with(&[V, ("mcp-method", method)]);
        assert_eq!(
            agreement(&headers, &env),
            Err(Disagreement::Missing(NAME)),
            "{method}"
        );
    }
}

#[test]
fn a_request_without_a_version_in_its_body_does_not_agree() {
    let text = br#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    let env = Envelope::parse(text, Peer::Client, &Limits::default()).unwrap();
    let headers = with(&[V, ("mcp-method", "tools/list")]);
    assert_eq!(
        agreement(&headers, &env),
        Err(Disagreement::Mismatch(VERSION))
    );
}

#[test]
fn a_disagreement_shows_no_values() {
    let shown = Disagreement::Mismatch(NAME).to_string();
    assert_eq!(shown, "the header `Mcp-Name` differs from the body");
}
