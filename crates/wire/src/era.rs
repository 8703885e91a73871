//! Which era a request belongs to.

use http::{HeaderMap, StatusCode};

use crate::{
    Disagreement, Envelope, Kind,
    agreement::VERSION,
    code,
    headers::{MCP_PROTOCOL_VERSION, META_CAPABILITIES, META_VERSION, Single},
    json,
    method::{Eras, Form},
    version::{Era, Version, names_modern},
};

/// Why a request belongs to no era, or does not belong into its own.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EraError {
    /// The version in the header is missing beside one in the body, or differs from it, or is repeated.
    #[error(transparent)]
    Disagreement(#[from] Disagreement),
    /// A modern request lacks a required member of `_meta`.
    #[error("`params._meta` lacks `{key}`")]
    MissingMeta {
        /// The member.
        key: &'static str,
    },
    /// A modern request names a version that we do not speak.
    #[error("unsupported protocol version")]
    UnsupportedVersion {
        /// The version, cut to 64 characters.
        requested: Box<str>,
    },
    /// A legacy request names a version that we do not know, or two.
    #[error("unknown protocol version: the known ones are {}", known())]
    UnknownVersion,
    /// A method that the era of the request does not have.
    #[error("this method is not part of the protocol version in use")]
    UnknownMethod {
        /// The era.
        era: Era,
    },
    /// A response or a stream in the modern era, which has none from clients.
    #[error("clients of this protocol version send requests and notifications only")]
    Response,
}

impl EraError {
    /// The JSON-RPC code of the answer.
    #[must_use]
    pub const fn code(&self) -> i64 {
        match self {
            Self::Disagreement(error) => error.code(),
            Self::MissingMeta { .. } => code::INVALID_PARAMS,
            Self::UnsupportedVersion { .. } => code::UNSUPPORTED_VERSION,
            Self::UnknownVersion | Self::Response => code::INVALID_REQUEST,
            Self::UnknownMethod { .. } => code::METHOD_NOT_FOUND,
        }
    }

    /// The HTTP status of the answer. In the legacy era an unknown method is answered with 200: there
    /// 404 would say that the session is gone.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::UnknownMethod { era: Era::Modern } => StatusCode::NOT_FOUND,
            Self::UnknownMethod { era: Era::Legacy } => StatusCode::OK,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    /// The `data` of the answer.
    #[must_use]
    pub fn data(&self) -> Option<serde_json::Value> {
        let Self::UnsupportedVersion { requested } = self else {
            return None;
        };
        let supported: Vec<&str> = Version::MODERN
            .iter()
            .map(|version| version.as_str())
            .collect();
        Some(serde_json::json!({"supported": supported, "requested": requested}))
    }
}

fn known() -> String {
    let names: Vec<&str> = Version::KNOWN
        .iter()
        .map(|version| version.as_str())
        .collect();
    names.join(", ")
}

/// The version that the header names, for requests without a body.
///
/// # Errors
/// [`EraError::UnknownVersion`] when it is unknown or repeated.
pub fn version(headers: &HeaderMap) -> Result<Option<Version>, EraError> {
    match Single::of(headers, &MCP_PROTOCOL_VERSION) {
        Single::Absent => Ok(None),
        Single::One(value) => value
            .to_str()
            .ok()
            .and_then(Version::parse)
            .map_or(Err(EraError::UnknownVersion), |version| Ok(Some(version))),
        Single::Repeated => Err(EraError::UnknownVersion),
    }
}

/// The era of a client's message, and its version. `bytes` is the text that `env` was read from.
///
/// Modern is what has a version in `_meta`, a header with a version of 2026-07-28 or later, or a
/// method that only the modern era has and no version at all. Everything else is legacy: `initialize`
/// speaks the version in its `params` (`None` if we do not know that as a legacy version: the answer
/// then offers another), the rest what the header says, or 2025-03-26 without one.
///
/// A method that we do not know belongs to either era. Modern requests must still pass
/// [`agreement`](crate::headers::agreement).
///
/// # Errors
/// [`EraError`], with code, status and data of the answer.
pub fn era(
    headers: &HeaderMap,
    env: &Envelope,
    bytes: &[u8],
) -> Result<(Era, Option<Version>), EraError> {
    let header_modern = headers
        .get_all(&MCP_PROTOCOL_VERSION)
        .iter()
        .any(|value| value.to_str().is_ok_and(names_modern));
    let method_modern = env
        .info()
        .is_some_and(|info| info.eras == Eras::Modern && info.form == Form::Request)
        && !headers.contains_key(&MCP_PROTOCOL_VERSION);
    let (era, version) = if env.protocol_version().is_some() || header_modern || method_modern {
        (Era::Modern, Some(modern(headers, env)?))
    } else {
        (Era::Legacy, legacy(headers, env, bytes)?)
    };
    if env.info().is_some_and(|info| !info.eras.has(era)) {
        return Err(EraError::UnknownMethod { era });
    }
    Ok((era, version))
}

fn modern(headers: &HeaderMap, env: &Envelope) -> Result<Version, EraError> {
    if matches!(env.kind(), Kind::Response | Kind::ErrorResponse) {
        return Err(EraError::Response);
    }
    // `_meta` is required of requests only.
    let required = env.kind() == Kind::Request;
    if required && env.protocol_version().is_none() {
        return Err(EraError::MissingMeta { key: META_VERSION });
    }
    let header = match Single::of(headers, &MCP_PROTOCOL_VERSION) {
        Single::Absent => return Err(Disagreement::Missing(VERSION).into()),
        Single::Repeated => return Err(Disagreement::Repeated(VERSION).into()),
        Single::One(value) => value.as_bytes(),
    };
    if env
        .protocol_version()
        .is_some_and(|body| body.as_bytes() != header)
    {
        return Err(Disagreement::Mismatch(VERSION).into());
    }
    let name = String::from_utf8_lossy(header);
    let Some(version) = Version::parse(&name).filter(|version| version.era() == Era::Modern) else {
        let requested: String = name.chars().take(64).collect();
        return Err(EraError::UnsupportedVersion {
            requested: requested.into(),
        });
    };
    if required && !env.has_client_capabilities() {
        return Err(EraError::MissingMeta {
            key: META_CAPABILITIES,
        });
    }
    Ok(version)
}

fn legacy(headers: &HeaderMap, env: &Envelope, bytes: &[u8]) -> Result<Option<Version>, EraError> {
    let header = version(headers)?;
    if env.method() != Some("initialize") {
        return Ok(Some(header.unwrap_or(Version::V2025_03_26)));
    }
    let requested = env
        .params_range()
        .and_then(|range| std::str::from_utf8(bytes.get(range)?).ok())
        .and_then(|params| json::member(params, "protocolVersion"))
        .and_then(json::string);
    Ok(requested
        .and_then(|name| Version::parse(&name))
        .filter(|version| version.era() == Era::Legacy))
}

#[cfg(test)]
mod tests;
