//! The protocol's HTTP headers: their names, the form of their values, and how they and the body
//! tell the era.

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue};

pub use crate::{
    agreement::agreement,
    era::{era, version},
};

/// `MCP-Protocol-Version`: the revision that is spoken.
pub const MCP_PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
/// `Mcp-Method`: the method of the body (2026-07-28).
pub const MCP_METHOD: HeaderName = HeaderName::from_static("mcp-method");
/// `Mcp-Name`: the target of the body (2026-07-28), in the form of [`encode_value`].
pub const MCP_NAME: HeaderName = HeaderName::from_static("mcp-name");
/// `Mcp-Session-Id`: the session (2025-03-26 to 2025-11-25).
pub const MCP_SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
/// `Last-Event-ID`: where a stream is to be resumed (2025-03-26 to 2025-11-25).
pub const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// How the names of headers that mirror arguments begin (2026-07-28), in lower case.
pub const MCP_PARAM_PREFIX: &str = "mcp-param-";

/// The member of `_meta` that holds the version (2026-07-28).
pub const META_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
/// The member of `_meta` that holds the client's capabilities (2026-07-28).
pub const META_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";

const OPEN: &str = "=?base64?";
const CLOSE: &str = "?=";

/// Why a header's value cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeValueError {
    /// Bytes beyond visible ASCII, space and tab.
    #[error("the header value is not plain ASCII")]
    NotAscii,
    /// Marked as Base64, and not canonical Base64 (RFC 4648 §4) of UTF-8.
    #[error("the header value is not Base64 of UTF-8")]
    BadBase64,
}

/// Writes a value as 2026-07-28 has it for `Mcp-Name` and `Mcp-Param-*`: as it is where it can stand
/// in a header and cannot be mistaken, otherwise as `=?base64?…?=`.
///
/// ```
/// use gatewright_wire::headers::encode_value;
///
/// assert_eq!(encode_value("get weather"), "get weather");
/// assert_eq!(encode_value("größe"), "=?base64?Z3LDtsOfZQ==?=");
/// ```
#[must_use]
pub fn encode_value(value: &str) -> String {
    let plain = value
        .bytes()
        .all(|byte| matches!(byte, b'\t' | b' '..=b'~'));
    let edged = value.starts_with([' ', '\t']) || value.ends_with([' ', '\t']);
    if plain && !edged && sentinel(value).is_none() {
        return value.to_owned();
    }
    format!("{OPEN}{}{CLOSE}", STANDARD.encode(value))
}

/// [`encode_value`] as a header value.
#[must_use]
pub fn header_value(value: &str) -> HeaderValue {
    // INVARIANT: `encode_value` writes nothing that a header may not hold.
    HeaderValue::try_from(encode_value(value)).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// Reads a value that [`encode_value`] wrote.
///
/// # Errors
/// [`DecodeValueError`] for bytes beyond ASCII and for bad Base64.
pub fn decode_value(value: &HeaderValue) -> Result<Cow<'_, str>, DecodeValueError> {
    let Ok(text) = value.to_str() else {
        return Err(DecodeValueError::NotAscii);
    };
    let Some(encoded) = sentinel(text) else {
        return Ok(Cow::Borrowed(text));
    };
    STANDARD
        .decode(encoded)
        .ok()
        .and_then(|decoded| String::from_utf8(decoded).ok())
        .map(Cow::Owned)
        .ok_or(DecodeValueError::BadBase64)
}

/// What stands between the marks, if both are there, in exactly this case.
fn sentinel(value: &str) -> Option<&str> {
    value.strip_prefix(OPEN)?.strip_suffix(CLOSE)
}

/// The one value of a header, as text.
pub(crate) enum Single<'h> {
    Absent,
    One(&'h HeaderValue),
    Repeated,
}

impl<'h> Single<'h> {
    pub(crate) fn of(headers: &'h HeaderMap, name: &HeaderName) -> Self {
        let mut values = headers.get_all(name).iter();
        match (values.next(), values.next()) {
            (None, _) => Self::Absent,
            (Some(value), None) => Self::One(value),
            (Some(_), Some(_)) => Self::Repeated,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_that_could_be_mistaken_are_encoded() {
        for value in [
            " a",
            "a\t",
            "é",
            "a\nb",
            "\u{7f}",
            "=?base64?YQ==?=",
            "=?base64??=",
        ] {
            assert!(sentinel(&encode_value(value)).is_some(), "{value:?}");
        }
        for value in [
            "",
            "a b",
            "a\tb",
            "=?BASE64?YQ==?=",
            "=?base64?YQ==",
            "=?base64?=",
        ] {
            assert_eq!(encode_value(value), value);
        }
    }

    #[test]
    fn bad_base64_is_refused_and_a_wrong_mark_is_literal() {
        for bad in [
            "=?base64?YQ?=",
            "=?base64?YR==?=",
            "=?base64?*?=",
            "=?base64?/w==?=",
        ] {
            let value = HeaderValue::from_static(bad);
            assert_eq!(
                decode_value(&value),
                Err(DecodeValueError::BadBase64),
                "{bad}"
            );
        }
        let literal = HeaderValue::from_static("=?Base64?YQ==?=");
        assert_eq!(decode_value(&literal).unwrap(), "=?Base64?YQ==?=");
        let latin = HeaderValue::from_bytes(b"\xe9").unwrap();
        assert_eq!(decode_value(&latin), Err(DecodeValueError::NotAscii));
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes(value in any::<String>()) {
            let header = header_value(&value);
            prop_assert_eq!(decode_value(&header).unwrap(), value);
        }

        #[test]
        fn any_header_decodes_or_is_refused(bytes in any::<Vec<u8>>()) {
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                let _read = decode_value(&value);
            }
        }
    }
}
