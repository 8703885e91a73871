use std::{error::Error, sync::Arc};

use bytes::Bytes;
use gatewright_core::{AnswerBody, Refused, json_rpc_refusal};
use gatewright_wire::{Id, Version, code, error_body};
use http::Response;
use serde_json::json;

use crate::target::Target;

/// How a relay fails. What the server itself said is never part of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    #[error("no server is configured here")]
    NoTarget,
    #[error("the server cannot be reached")]
    Unreachable,
    #[error("the server did not answer in time")]
    Timeout,
    #[error("the server answered something that is not MCP: {0}")]
    Protocol(&'static str),
    #[error("the server refused the gateway's credential")]
    Credential,
    #[error("the server speaks only 2025-11-25 and earlier: send `initialize`")]
    LegacyOnly,
    #[error("the server speaks only {}", names(.supported))]
    ModernOnly { supported: Arc<[String]> },
}

fn names(versions: &[String]) -> String {
    if versions.is_empty() {
        Version::V2026_07_28.as_str().to_owned()
    } else {
        versions.join(", ")
    }
}

impl Failure {
    /// The server cannot be reached. Why is for the operator: it may name addresses that are nobody else's business.
    pub(crate) fn unreachable(target: &Target, error: &dyn Error) -> Self {
        let (mut causes, mut next) = (error.to_string(), error.source());
        while let Some(error) = next {
            causes = format!("{causes}: {error}");
            next = error.source();
        }
        let host = target.url().host().unwrap_or_default();
        tracing::warn!(host, error = causes, "a server cannot be reached");
        Self::Unreachable
    }

    const fn name(&self) -> &'static str {
        match self {
            Self::NoTarget => "no-target",
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::Protocol(_) => "protocol",
            Self::Credential => "credential-refused",
            Self::LegacyOnly | Self::ModernOnly { .. } => "era",
        }
    }

    const fn code(&self) -> i64 {
        match self {
            Self::NoTarget | Self::Unreachable | Self::Credential => code::UPSTREAM_UNAVAILABLE,
            Self::Timeout => code::UPSTREAM_TIMEOUT,
            Self::Protocol(_) => code::UPSTREAM_PROTOCOL,
            // Not a modern code, by which clients would take the server for a modern one and not fall back.
            Self::LegacyOnly => code::ERA_UNAVAILABLE,
            // As the specification's own example of a version that `initialize` cannot have.
            Self::ModernOnly { .. } => code::INVALID_PARAMS,
        }
    }

    fn data(&self) -> Option<serde_json::Value> {
        match self {
            Self::ModernOnly { supported } => Some(json!({ "supported": **supported })),
            _ => None,
        }
    }

    pub(crate) const fn refused(&self) -> Refused {
        Refused {
            layer: "upstream",
            code: self.name(),
        }
    }

    /// As an answer of its own.
    pub(crate) fn answer(&self, id: Option<&Id>) -> Response<AnswerBody> {
        let data = self.data();
        let status = code::status(self.code());
        json_rpc_refusal(
            status,
            self.refused(),
            id,
            self.code(),
            &self.to_string(),
            data.as_ref(),
        )
    }

    /// As a message in an answer that has begun.
    pub(crate) fn message(&self, id: &Id) -> Bytes {
        error_body(
            Some(id),
            self.code(),
            &self.to_string(),
            self.data().as_ref(),
        )
    }
}
