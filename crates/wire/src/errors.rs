use bytes::Bytes;

use crate::{Id, json};

/// A JSON-RPC error message. Without an id it has no `id` member, as MCP has it for errors whose
/// request could not be read.
///
/// ```
/// use gatewright_wire::{Id, code, error_body};
///
/// let body = error_body(Some(&Id::number(1)), code::DENIED, "not allowed", None);
/// assert_eq!(body, r#"{"jsonrpc":"2.0","id":1,"error":{"code":4403,"message":"not allowed"}}"#);
/// ```
#[must_use]
pub fn error_body(
    id: Option<&Id>,
    code: i64,
    message: &str,
    data: Option<&serde_json::Value>,
) -> Bytes {
    let id = id.map_or_else(String::new, |id| format!(r#""id":{id},"#));
    let data = data.map_or_else(String::new, |data| format!(r#","data":{data}"#));
    let message = json::quote(message);
    Bytes::from(format!(
        r#"{{"jsonrpc":"2.0",{id}"error":{{"code":{code},"message":{message}{data}}}}}"#
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Envelope, Kind, Limits, Peer};

    #[test]
    fn what_we_write_we_read() {
        let data = serde_json::json!({"why": "\"}"});
        for id in [None, Some(Id::string("a\"b"))] {
            let body = error_body(id.as_ref(), -32600, "quote \" and\nline", Some(&data));
            let read = Envelope::parse(&body, Peer::Server, &Limits::default()).unwrap();
            assert_eq!(read.kind(), Kind::ErrorResponse);
            assert_eq!(read.id(), id.as_ref());
        }
    }
}
