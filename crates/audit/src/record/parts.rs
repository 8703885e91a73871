//! The parts of a record, and how they are taken from a draft.

use gatewright_core::{Actor, Call, DraftDecision, DraftRefusal, Principal, Who};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::{
    chain::Digest,
    text::{bounded, plain_json},
};

/// Arguments that a server's profile puts into the log are written up to this size, in bytes; larger ones leave
/// their digest and size only.
const LONGEST_CONTENT: usize = 256 * 1024;
/// Ids of JSON-RPC are written as they are up to this size, in bytes.
const LONGEST_ID: usize = 128;
/// No record names more policies than this.
const MOST_POLICIES: usize = 64;

#[derive(Clone, Debug, Serialize)]
pub(crate) struct WhoRecord {
    #[serde(skip_serializing_if = "Option::is_none")]
    operator: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<String>,
    method: &'static str,
}

impl WhoRecord {
    /// Who acts, and for whom: of a delegation the agent acts, and the user is the one it acts for.
    pub(crate) fn of(principal: &Principal) -> (Self, Option<String>) {
        let subject = |party: &gatewright_core::Party| bounded(&party.subject().to_string());
        let (user, agent, for_whom) = match principal.who() {
            Who::User(user) => (Some(subject(user)), None, None),
            Who::Agent(agent) => (None, Some(subject(agent)), None),
            Who::Delegated { user, agent } => (None, Some(subject(agent)), Some(subject(user))),
        };
        let who = Self {
            operator: None,
            user,
            agent,
            client: principal.client_id().map(bounded),
            method: principal.method().name(),
        };
        (who, for_whom)
    }

    /// Who changes something.
    pub(crate) fn actor(actor: &Actor) -> Self {
        let method = match actor {
            Actor::Principal(principal) => return Self::of(principal).0,
            Actor::Operator(_) => "socket",
            Actor::Provisioner(_) => "scim",
            _ => "gateway",
        };
        Self {
            operator: Some(bounded(&actor.to_string())),
            user: None,
            agent: None,
            client: None,
            method,
        }
    }
}

/// Digest and size of bytes, and, where the profile says so, the bytes.
#[derive(Clone, Debug, Serialize)]
struct ContentRecord {
    sha256: Digest,
    bytes: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    json: Option<Box<RawValue>>,
}

impl ContentRecord {
    fn of(bytes: &[u8], log_contents: bool) -> Self {
        let json = (log_contents && bytes.len() <= LONGEST_CONTENT)
            .then(|| one_line(bytes))
            .flatten();
        Self {
            sha256: Digest::of(&[bytes]),
            bytes: bytes.len(),
            json,
        }
    }
}

fn one_line(json: &[u8]) -> Option<Box<RawValue>> {
    RawValue::from_string(plain_json(std::str::from_utf8(json).ok()?)).ok()
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct CallRecord {
    kind: &'static str,
    era: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    arguments: Option<ContentRecord>,
    /// In place of the arguments where a message has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<ContentRecord>,
    bytes: usize,
}

impl CallRecord {
    pub(crate) fn of(call: &Call, log_contents: bool) -> Self {
        let content = |text: &[u8]| ContentRecord::of(text, log_contents);
        let (message, arguments) = (call.bytes(), call.arguments());
        let bare = arguments.is_none() && !message.is_empty();
        Self {
            kind: call.kind().name(),
            era: match call.era() {
                gatewright_wire::Era::Modern => "modern",
                gatewright_wire::Era::Legacy => "legacy",
            },
            method: call.method().map(bounded),
            target: call.target().map(bounded),
            id: call.id().and_then(|found| id(found.as_json())),
            arguments: arguments.map(|text| content(text.as_bytes())),
            message: bare.then(|| content(message)),
            bytes: message.len(),
        }
    }
}

fn id(json: &str) -> Option<Box<RawValue>> {
    let text = if json.len() <= LONGEST_ID {
        plain_json(json)
    } else {
        serde_json::to_string(&bounded(json)).ok()?
    };
    RawValue::from_string(text).ok()
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct DecisionRecord {
    effect: &'static str,
    policies: Vec<String>,
    #[serde(skip_serializing_if = "is_zero")]
    policies_unnamed: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    snapshot: u64,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes fields by reference"
)]
const fn is_zero(number: &usize) -> bool {
    *number == 0
}

impl DecisionRecord {
    pub(crate) fn of(decision: &DraftDecision) -> Self {
        let named = decision.policies.iter().take(MOST_POLICIES);
        Self {
            effect: decision.effect.name(),
            policies: named.map(|policy| bounded(policy)).collect(),
            policies_unnamed: decision.policies.len().saturating_sub(MOST_POLICIES),
            reason: decision.reason.as_deref().map(bounded),
            snapshot: decision.snapshot.0,
        }
    }
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct RefusalRecord {
    layer: &'static str,
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

impl RefusalRecord {
    pub(crate) fn of(refusal: &DraftRefusal) -> Self {
        Self {
            layer: refusal.refused.layer,
            code: refusal.refused.code,
            detail: refusal.detail.as_deref().map(bounded),
        }
    }
}

/// How the answer to a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Ended {
    /// All of it was handed over.
    Complete,
    /// The client went away before.
    ClientGone,
    /// The body broke off with an error of the server or the way to it.
    UpstreamError,
    /// There was an error in place of an answer.
    Failed,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct OutcomeRecord {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<u16>,
    pub(crate) ended: Ended,
    pub(crate) bytes: u64,
    /// Code of a JSON-RPC error that is the whole answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<i64>,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct TimingsRecord {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) admitted_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) first_byte_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) total_ms: Option<u64>,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct AggregateRecord {
    pub(crate) count: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) networks: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) elsewhere: Option<u64>,
    pub(crate) since_ms: i64,
    pub(crate) last_ms: i64,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct WriterRecord {
    pub(crate) name: String,
    pub(crate) software: &'static str,
    pub(crate) version: &'static str,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct LostRecord {
    pub(crate) count: u64,
    pub(crate) since_ms: i64,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct RecoveredRecord {
    pub(crate) file: String,
    pub(crate) moved_to: String,
    pub(crate) bytes: u64,
    pub(crate) sha256: Digest,
}
