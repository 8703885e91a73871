use std::{error::Error, sync::Arc, time::Duration};

use bytes::Bytes;
use gatewright_core::{AnswerBody, Refused, json_rpc_refusal};
use gatewright_wire::{Era, Id, Version, code, error_body};
use http::{HeaderValue, Response, StatusCode, Uri, header};
use serde_json::json;

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
    #[error("the server's credential is configured in a form that cannot reach it: {0}")]
    CredentialForm(&'static str),
    #[error("{0}")]
    UnfitSecret(&'static str),
    #[error("the server's process cannot be started")]
    Start,
    #[error("the server's process has ended before it answered")]
    Gone,
    #[error("the server's process keeps ending; it is started again in {} s", .retry.as_secs().max(1))]
    Crashing { retry: Duration },
    #[error("the server's process is being ended")]
    Ending,
    #[error("too much is under way at this server: {0}")]
    Busy(&'static str),
    #[error("there is no such session: send `initialize` to open one")]
    NoSession,
    #[error("this server has sessions: send `initialize` to open one")]
    SessionNeeded,
    #[error("this server is shared between its callers and keeps nothing for one of them")]
    Stateless,
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
    pub(crate) fn unreachable(url: &Uri, error: &dyn Error) -> Self {
        let (mut causes, mut next) = (error.to_string(), error.source());
        while let Some(error) = next {
            causes = format!("{causes}: {error}");
            next = error.source();
        }
        let host = url.host().unwrap_or_default();
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
            Self::CredentialForm(_) => "credential-form",
            Self::UnfitSecret(_) => "credential-unfit",
            Self::Start => "not-started",
            Self::Gone => "ended",
            Self::Crashing { .. } => "crashing",
            Self::Ending => "ending",
            Self::Busy(_) => "busy",
            Self::NoSession | Self::SessionNeeded => "unknown-session",
            Self::Stateless => "stateless",
        }
    }

    const fn code(&self) -> i64 {
        match self {
            Self::NoTarget
            | Self::Unreachable
            | Self::Credential
            | Self::UnfitSecret(_)
            | Self::Start
            | Self::Gone
            | Self::Crashing { .. }
            | Self::Ending => code::UPSTREAM_UNAVAILABLE,
            Self::CredentialForm(_) => code::MISWIRED,
            Self::Busy(_) => code::OVERLOADED,
            Self::NoSession => code::UNKNOWN_SESSION,
            Self::SessionNeeded => code::INVALID_REQUEST,
            Self::Stateless => code::METHOD_NOT_FOUND,
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
    pub(crate) fn answer(&self, id: Option<&Id>, era: Era) -> Response<AnswerBody> {
        let data = self.data();
        let status = match (self, era) {
            // In the legacy era 404 is for sessions that there are not.
            (Self::Stateless, Era::Legacy) => StatusCode::OK,
            _ => code::status(self.code()),
        };
        let mut answer = json_rpc_refusal(
            status,
            self.refused(),
            id,
            self.code(),
            &self.to_string(),
            data.as_ref(),
        );
        if let Self::Crashing { retry } = self {
            let seconds = HeaderValue::from(retry.as_secs().max(1));
            answer.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        answer
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
