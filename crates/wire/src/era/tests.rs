use http::HeaderValue;

use super::*;
use crate::{Limits, Peer};

const META: &str = r#"{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}"#;

fn told(versions: &[&str], text: &str) -> Result<(Era, Option<Version>), EraError> {
    let mut headers = HeaderMap::new();
    for version in versions {
        headers.append(
            MCP_PROTOCOL_VERSION,
            HeaderValue::from_str(version).unwrap(),
        );
    }
    let env = Envelope::parse(text.as_bytes(), Peer::Client, &Limits::default()).unwrap();
    era(&headers, &env, text.as_bytes())
}

fn request(method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#)
}

fn refused(versions: &[&str], text: &str) -> (i64, u16) {
    let error = told(versions, text).unwrap_err();
    (error.code(), error.status().as_u16())
}

const MODERN: Result<(Era, Option<Version>), EraError> =
    Ok((Era::Modern, Some(Version::V2026_07_28)));

#[test]
fn a_version_in_the_body_is_modern() {
    assert_eq!(told(&["2026-07-28"], &request("tools/list", META)), MODERN);
    assert_eq!(
        told(&["2026-07-28"], &request("server/discover", META)),
        MODERN
    );
    assert_eq!(told(&["2026-07-28"], &request("vendor/x", META)), MODERN);
}

#[test]
fn header_and_body_must_name_the_same_version() {
    let list = request("tools/list", META);
    for versions in [
        &[][..],
        &["2025-11-25"],
        &["2099-01-01"],
        &["2026-07-28", "2026-07-28"],
        &["x"],
    ] {
        assert_eq!(refused(versions, &list), (-32020, 400), "{versions:?}");
    }
}

#[test]
fn a_modern_header_requires_meta_of_requests() {
    let header = &["2026-07-28"];
    assert_eq!(refused(header, &request("tools/list", "{}")), (-32602, 400));
    let without_capabilities =
        r#"{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}"#;
    assert_eq!(
        refused(header, &request("tools/list", without_capabilities)),
        (-32602, 400)
    );
    let without_version = r#"{"_meta":{"io.modelcontextprotocol/clientCapabilities":{}}}"#;
    assert_eq!(
        refused(header, &request("tools/list", without_version)),
        (-32602, 400)
    );
    let notification =
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#;
    assert_eq!(told(header, notification), MODERN);
    assert_eq!(refused(&["2099-01-01"], notification), (-32022, 400));
}

#[test]
fn an_unknown_version_is_answered_with_the_supported_ones() {
    for version in ["2099-01-01", "2025-11-25", "next"] {
        let error = told(
            &[version],
            &request("tools/list", &META.replace("2026-07-28", version)),
        )
        .unwrap_err();
        assert_eq!((error.code(), error.status().as_u16()), (-32022, 400));
        let data = serde_json::json!({"supported": ["2026-07-28"], "requested": version});
        assert_eq!(error.data(), Some(data));
    }
    let long = "9".repeat(5000);
    let error = told(
        &[&long],
        &request("tools/list", &META.replace("2026-07-28", &long)),
    )
    .unwrap_err();
    assert!(error.data().unwrap().to_string().len() < 200);
}

#[test]
fn methods_of_the_other_era_are_unknown() {
    for method in [
        "initialize",
        "ping",
        "logging/setLevel",
        "resources/subscribe",
        "resources/unsubscribe",
    ] {
        assert_eq!(
            refused(&["2026-07-28"], &request(method, META)),
            (-32601, 404),
            "{method}"
        );
    }
    for method in ["server/discover", "subscriptions/listen"] {
        // 404 would end a legacy session.
        assert_eq!(
            refused(&["2025-11-25"], &request(method, "{}")),
            (-32601, 200),
            "{method}"
        );
        // Without any version it can only be a modern request that forgot its marks.
        assert_eq!(
            refused(&[], &request(method, "{}")),
            (-32602, 400),
            "{method}"
        );
    }
}

#[test]
fn legacy_requests_speak_their_header_or_the_default() {
    let list = request("tools/list", "{}");
    for version in Version::LEGACY {
        assert_eq!(
            told(&[version.as_str()], &list),
            Ok((Era::Legacy, Some(*version)))
        );
    }
    assert_eq!(
        told(&[], &list),
        Ok((Era::Legacy, Some(Version::V2025_03_26)))
    );
    let answer = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;
    assert_eq!(
        told(&["2025-06-18"], answer),
        Ok((Era::Legacy, Some(Version::V2025_06_18)))
    );
}

#[test]
fn an_unknown_legacy_version_is_refused_with_the_known_ones() {
    let list = request("tools/list", "{}");
    for versions in [
        &["2025-01-01"][..],
        &["next"],
        &[""],
        &["2025-06-18", "2025-06-18"],
    ] {
        let error = told(versions, &list).unwrap_err();
        assert_eq!(
            (error.code(), error.status().as_u16()),
            (-32600, 400),
            "{versions:?}"
        );
        assert!(
            error.to_string().contains("2025-11-25, 2026-07-28"),
            "{error}"
        );
    }
}

#[test]
fn initialize_speaks_the_version_it_asks_for() {
    let asks = |version: &str| {
        request(
            "initialize",
            &format!(r#"{{"protocolVersion":"{version}"}}"#),
        )
    };
    assert_eq!(
        told(&[], &asks("2025-06-18")),
        Ok((Era::Legacy, Some(Version::V2025_06_18)))
    );
    assert_eq!(
        told(&["2025-11-25"], &asks("2024-11-05")),
        Ok((Era::Legacy, Some(Version::V2024_11_05)))
    );
    for other in ["2026-07-28", "2099-01-01", "x"] {
        assert_eq!(told(&[], &asks(other)), Ok((Era::Legacy, None)), "{other}");
    }
    assert_eq!(refused(&["2026-07-28"], &asks("2025-11-25")), (-32602, 400));
}

#[test]
fn clients_do_not_answer_in_the_modern_era() {
    for answer in [
        r#"{"jsonrpc":"2.0","id":1,"result":{}}"#,
        r#"{"jsonrpc":"2.0","error":{"code":1,"message":""}}"#,
    ] {
        assert_eq!(refused(&["2026-07-28"], answer), (-32600, 400));
    }
}

#[test]
fn the_header_alone_is_read_for_requests_without_a_body() {
    let mut headers = HeaderMap::new();
    assert_eq!(version(&headers), Ok(None));
    headers.append(MCP_PROTOCOL_VERSION, HeaderValue::from_static("2025-11-25"));
    assert_eq!(version(&headers), Ok(Some(Version::V2025_11_25)));
    headers.append(MCP_PROTOCOL_VERSION, HeaderValue::from_static("2025-11-25"));
    assert_eq!(version(&headers), Err(EraError::UnknownVersion));
}
