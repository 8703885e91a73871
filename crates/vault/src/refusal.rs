//! The answers that this layer gives by itself, in words for whoever reads them at the other end of an agent.

use gatewright_core::{
    AnswerBody, Call, CallKind, CredentialMode, Draft, ReferenceId, Refused, json_rpc_refusal,
};
use gatewright_wire::code;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::json;

use crate::{ChooseModeError, VaultError, layer::Settings};

/// Why a call has no credential to go on with.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// There is none yet.
    NotConnected(CredentialMode),
    /// The caller has no side that could have one.
    NoSuchSide(CredentialMode),
    /// The vault cannot say.
    Vault(VaultError),
    /// Policies do not say clearly which one.
    UnclearMode(ChooseModeError),
}

impl Refusal {
    /// Notes the refusal, and answers it. Requests are answered in JSON-RPC; what has no answer there, in HTTP.
    pub(crate) fn answer(
        &self,
        call: &Call,
        draft: Option<&Draft>,
        settings: &Settings,
    ) -> Response<AnswerBody> {
        let refused = Refused {
            layer: "vault",
            code: self.code(),
        };
        let reference = draft.map_or_else(ReferenceId::random, Draft::reference);
        if let Some(draft) = draft {
            draft.refuse(refused, Some(self.detail()));
        }
        let (json_rpc, status) = self.status(call.kind());
        let data = json!({
            "reference": reference.to_string(),
            "server": call.route().server().as_str(),
        });
        let mut answer = json_rpc_refusal(
            status,
            refused,
            // The id of a request; nothing else is answered with one.
            call.id().filter(|_| call.kind() == CallKind::Request),
            json_rpc,
            &self.message(call, settings),
            Some(&data),
        );
        if status == StatusCode::SERVICE_UNAVAILABLE {
            let soon = HeaderValue::from_static("5");
            answer.headers_mut().insert(header::RETRY_AFTER, soon);
        }
        answer
    }

    /// As records name it.
    const fn code(&self) -> &'static str {
        match self {
            Self::NotConnected(_) => "not-connected",
            Self::NoSuchSide(_) => "no-such-side",
            Self::Vault(VaultError::Unreadable(_)) => "unreadable-credential",
            Self::Vault(_) => "vault-unavailable",
            Self::UnclearMode(_) => "unknown-credential-mode",
        }
    }

    /// What the administrator should know.
    fn detail(&self) -> String {
        match self {
            Self::NotConnected(mode) => format!("no credential is stored for `{}`", mode.name()),
            Self::NoSuchSide(CredentialMode::PerAgent) => {
                "`per-agent`, and no agent is involved".to_owned()
            }
            Self::NoSuchSide(mode) => format!("`{}`, and no person is involved", mode.name()),
            Self::Vault(error) => error.to_string(),
            Self::UnclearMode(error) => error.to_string(),
        }
    }

    fn status(&self, kind: CallKind) -> (i64, StatusCode) {
        let refused = match kind {
            CallKind::Request => StatusCode::OK,
            // Not 404, which a legacy client takes for the end of its session.
            CallKind::Notification
            | CallKind::Response
            | CallKind::Stream
            | CallKind::EndSession => StatusCode::FORBIDDEN,
        };
        match self {
            Self::NotConnected(_) => (code::CONNECT_ACCOUNT, refused),
            Self::NoSuchSide(_) => (code::DENIED, refused),
            Self::Vault(_) => (code::UNDECIDED, code::status(code::UNDECIDED)),
            Self::UnclearMode(_) => (code::INTERNAL_ERROR, code::status(code::INTERNAL_ERROR)),
        }
    }

    /// What the caller reads, and an agent passes on to its person.
    fn message(&self, call: &Call, settings: &Settings) -> String {
        let route = call.route();
        let server = route.profile().title.as_deref();
        let server = server.unwrap_or_else(|| route.server().as_str());
        let how = &settings.instructions;
        match self {
            Self::NotConnected(CredentialMode::PerUser) => format!(
                "Your account at {server} is not connected, so nothing was done there: \
                 your own key for it is needed. {how}"
            ),
            Self::NotConnected(CredentialMode::PerAgent) => format!(
                "This agent is not connected to {server}, so nothing was done there: \
                 a key of the agent's own is needed. {how}"
            ),
            Self::NotConnected(_) => format!(
                "{server} is not set up yet, so nothing was done there: its key is missing. {how}"
            ),
            Self::NoSuchSide(CredentialMode::PerAgent) => format!(
                "{server} is for agents only, each with a key of its own: \
                 a person cannot call it without an agent."
            ),
            Self::NoSuchSide(_) => format!(
                "{server} is for people only, each with an account of their own: \
                 an agent cannot call it without a person for whom it acts."
            ),
            Self::Vault(_) => format!(
                "The key for {server} cannot be had at the moment, so nothing was done there. \
                 Try again soon."
            ),
            Self::UnclearMode(_) => format!(
                "The rules of this gateway do not say clearly with whose key {server} is to be called, \
                 so nothing was done there. Whoever runs it has to correct them."
            ),
        }
    }
}
