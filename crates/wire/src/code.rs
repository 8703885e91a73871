//! JSON-RPC error codes: the protocol's, and our own.
//!
//! Our own stand outside -32768..-32000, which JSON-RPC and MCP reserve. The HTTP status beside each
//! is the one that goes with it; [`status`] gives it.

use http::StatusCode;

/// Not JSON. 400.
pub const PARSE_ERROR: i64 = -32700;
/// Not an acceptable JSON-RPC message. 400.
pub const INVALID_REQUEST: i64 = -32600;
/// No such method: 404 in the modern era, 200 in the legacy era.
pub const METHOD_NOT_FOUND: i64 = -32601;
/// Parameters missing or of the wrong type; also an unknown tool, prompt, resource or cursor. 400.
pub const INVALID_PARAMS: i64 = -32602;
/// A fault of ours. 500.
pub const INTERNAL_ERROR: i64 = -32603;
/// Headers and body disagree (2026-07-28). 400.
pub const HEADER_MISMATCH: i64 = -32020;
/// The request needs a capability that the client did not declare (2026-07-28). 400.
pub const MISSING_CAPABILITY: i64 = -32021;
/// The version is not one we speak (2026-07-28). 400, with `data.supported` and `data.requested`.
pub const UNSUPPORTED_VERSION: i64 = -32022;
/// The caller has to visit a URL first (2025-11-25 only). 200, with `data.elicitations`.
pub const URL_ELICITATION_REQUIRED: i64 = -32042;

/// The server's account of the caller is not connected. 200.
pub const CONNECT_ACCOUNT: i64 = 4401;
/// Policy does not allow it, or there is no such thing: one answer for both. 200.
pub const DENIED: i64 = 4403;
/// No such session, for this caller. 404.
pub const UNKNOWN_SESSION: i64 = 4404;
/// The server does not speak the era of the request, and we do not translate. 400.
pub const ERA_UNAVAILABLE: i64 = 4406;
/// A guard found the content unsafe. 200.
pub const BLOCKED: i64 = 4422;
/// Too many requests. 429.
pub const RATE_LIMITED: i64 = 4429;
/// A layer misses what another should have added. 500.
pub const MISWIRED: i64 = 5500;
/// The upstream server cannot be reached. 502.
pub const UPSTREAM_UNAVAILABLE: i64 = 5502;
/// The upstream server answered something that is not MCP. 502.
pub const UPSTREAM_PROTOCOL: i64 = 5503;
/// The upstream server did not answer in time. 504.
pub const UPSTREAM_TIMEOUT: i64 = 5504;
/// We hold more than we can serve. 503.
pub const OVERLOADED: i64 = 5505;
/// The decision could not be made (state too old, store or directory down). 503.
pub const UNDECIDED: i64 = 5506;
/// The call could not be recorded, and this server's calls must be. 503.
pub const UNRECORDED: i64 = 5507;

/// The HTTP status that goes with a code; 200 for codes that are not listed here, which are an
/// upstream's. [`METHOD_NOT_FOUND`] gives the modern era's.
#[must_use]
pub const fn status(code: i64) -> StatusCode {
    match code {
        PARSE_ERROR | INVALID_REQUEST | INVALID_PARAMS | HEADER_MISMATCH | MISSING_CAPABILITY
        | UNSUPPORTED_VERSION | ERA_UNAVAILABLE => StatusCode::BAD_REQUEST,
        METHOD_NOT_FOUND | UNKNOWN_SESSION => StatusCode::NOT_FOUND,
        RATE_LIMITED => StatusCode::TOO_MANY_REQUESTS,
        INTERNAL_ERROR | MISWIRED => StatusCode::INTERNAL_SERVER_ERROR,
        UPSTREAM_UNAVAILABLE | UPSTREAM_PROTOCOL => StatusCode::BAD_GATEWAY,
        UPSTREAM_TIMEOUT => StatusCode::GATEWAY_TIMEOUT,
        OVERLOADED | UNDECIDED | UNRECORDED => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::OK,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_codes_stay_out_of_the_reserved_range() {
        for own in [
            CONNECT_ACCOUNT,
            DENIED,
            UNKNOWN_SESSION,
            ERA_UNAVAILABLE,
            BLOCKED,
            RATE_LIMITED,
            MISWIRED,
            UPSTREAM_UNAVAILABLE,
            UPSTREAM_PROTOCOL,
            UPSTREAM_TIMEOUT,
            OVERLOADED,
            UNDECIDED,
            UNRECORDED,
        ] {
            assert!(!(-32768..=-32000).contains(&own), "{own}");
        }
    }

    #[test]
    fn a_denial_is_not_an_http_refusal() {
        assert_eq!(status(DENIED), StatusCode::OK);
        assert_eq!(status(HEADER_MISMATCH), StatusCode::BAD_REQUEST);
    }
}
