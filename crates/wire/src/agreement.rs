//! That headers and body of a modern request say the same.

use http::{HeaderMap, HeaderName, StatusCode};

use crate::{
    Envelope, Kind, code,
    headers::{MCP_METHOD, MCP_NAME, MCP_PROTOCOL_VERSION, Single, decode_value},
};

/// How headers and body of a request of 2026-07-28 disagree. Values are left out: they may be secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Disagreement {
    /// A required header is missing.
    #[error("the header `{0}` is missing")]
    Missing(&'static str),
    /// A header stands more than once.
    #[error("the header `{0}` is repeated")]
    Repeated(&'static str),
    /// A header's value cannot be read.
    #[error("the value of the header `{0}` is malformed")]
    Malformed(&'static str),
    /// A header says something else than the body.
    #[error("the header `{0}` differs from the body")]
    Mismatch(&'static str),
}

impl Disagreement {
    /// The JSON-RPC code of the answer.
    #[must_use]
    pub const fn code(self) -> i64 {
        code::HEADER_MISMATCH
    }

    /// The HTTP status of the answer.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        StatusCode::BAD_REQUEST
    }
}

pub(crate) const VERSION: &str = "MCP-Protocol-Version";
const METHOD: &str = "Mcp-Method";
const NAME: &str = "Mcp-Name";

/// Compares the headers of a modern request or notification with its body: the version with `_meta`,
/// `Mcp-Method` with the method, `Mcp-Name` with the target where the revision requires it. Decisions
/// are made on the body; this keeps whatever trusted the headers before us in agreement with them.
///
/// `Mcp-Param-*` are not compared: which arguments they mirror is in the tool's schema.
///
/// # Errors
/// The first [`Disagreement`].
pub fn agreement(headers: &HeaderMap, env: &Envelope) -> Result<(), Disagreement> {
    let version = required(headers, &MCP_PROTOCOL_VERSION, VERSION)?;
    match env.protocol_version() {
        Some(body) if version != body.as_bytes() => return Err(Disagreement::Mismatch(VERSION)),
        None if env.kind() == Kind::Request => return Err(Disagreement::Mismatch(VERSION)),
        _ => {}
    }
    let Some(method) = env.method() else {
        return Ok(());
    };
    if required(headers, &MCP_METHOD, METHOD)? != method.as_bytes() {
        return Err(Disagreement::Mismatch(METHOD));
    }
    if matches!(Single::of(headers, &MCP_NAME), Single::Repeated) {
        return Err(Disagreement::Repeated(NAME));
    }
    if env.info().is_none_or(|info| !info.named_in_header) {
        return Ok(());
    }
    let Single::One(name) = Single::of(headers, &MCP_NAME) else {
        return Err(Disagreement::Missing(NAME));
    };
    let Ok(name) = decode_value(name) else {
        return Err(Disagreement::Malformed(NAME));
    };
    if env.target() == Some(&name) {
        Ok(())
    } else {
        Err(Disagreement::Mismatch(NAME))
    }
}

fn required<'h>(
    headers: &'h HeaderMap,
    name: &HeaderName,
    shown: &'static str,
) -> Result<&'h [u8], Disagreement> {
    match Single::of(headers, name) {
        Single::Absent => Err(Disagreement::Missing(shown)),
        Single::Repeated => Err(Disagreement::Repeated(shown)),
        Single::One(value) => Ok(value.as_bytes()),
    }
}

#[cfg(test)]
mod tests;
