//! The answers that this layer gives by itself.

use bytes::Bytes;
use gatewright_core::{
    AnswerBody, Call, CallKind, Challenge, Draft, ReferenceId, Refused, bearer_challenge,
    json_rpc_refusal,
};
use gatewright_wire::{Era, Id, code, error_body};
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Value as Json, json};

/// The fixed message of every denial: it does not tell what is forbidden from what does not exist.
const DENIED: &str = "denied by policy";
const UNREADABLE: &str = "the server's answer cannot be read";

/// Why a request is refused, as records name it.
pub(crate) const fn refused(code: &'static str) -> Refused {
    Refused {
        layer: "policy",
        code,
    }
}

/// What leads from an answer to its record.
pub(crate) fn reference(draft: Option<&Draft>) -> ReferenceId {
    draft.map_or_else(ReferenceId::random, Draft::reference)
}

fn data(reference: ReferenceId) -> Json {
    json!({"reference": reference.to_string()})
}

/// A denial. Requests are answered in JSON-RPC; what has no answer there, in HTTP.
pub(crate) fn denied(call: &Call, reference: ReferenceId) -> Response<AnswerBody> {
    let status = match call.kind() {
        CallKind::Request => StatusCode::OK,
        CallKind::Notification | CallKind::Response => StatusCode::FORBIDDEN,
        // What servers say that offer neither; 404 would say that the session is gone, and the client would open
        // another and ask again (2025-11-25, Streamable HTTP).
        CallKind::Stream | CallKind::EndSession => StatusCode::METHOD_NOT_ALLOWED,
    };
    let mut answer = json_rpc_refusal(
        status,
        refused("denied"),
        answer_id(call),
        code::DENIED,
        DENIED,
        Some(&data(reference)),
    );
    if status == StatusCode::METHOD_NOT_ALLOWED {
        let allow = HeaderValue::from_static("POST");
        answer.headers_mut().insert(header::ALLOW, allow);
    }
    answer
}

/// A scope would cure it (RFC 6750 §3.1).
pub(crate) fn challenged(
    call: &Call,
    challenge: &Challenge,
    reference: ReferenceId,
) -> Response<AnswerBody> {
    let mut answer = json_rpc_refusal(
        StatusCode::FORBIDDEN,
        refused("insufficient-scope"),
        answer_id(call),
        code::DENIED,
        "a scope is missing",
        Some(&data(reference)),
    );
    let value = bearer_challenge(&[
        ("error", "insufficient_scope"),
        ("scope", &challenge.scopes.join(" ")),
        ("resource_metadata", call.route().metadata_url()),
    ]);
    if let Some(value) = value {
        answer.headers_mut().insert(header::WWW_AUTHENTICATE, value);
    }
    answer
}

/// A method that this version does not know, and that the server's configuration does not relay.
pub(crate) fn unknown_method(call: &Call, reference: ReferenceId) -> Response<AnswerBody> {
    let status = match (call.kind(), call.era()) {
        (_, Era::Modern) => StatusCode::NOT_FOUND,
        (CallKind::Request, Era::Legacy) => StatusCode::OK,
        // A legacy client takes 404 for the end of its session.
        (_, Era::Legacy) => StatusCode::BAD_REQUEST,
    };
    json_rpc_refusal(
        status,
        refused("unknown-method"),
        answer_id(call),
        code::METHOD_NOT_FOUND,
        "method not found",
        Some(&data(reference)),
    )
}

/// An answer of the server that cannot be read, and therefore not filtered.
pub(crate) fn unreadable(call: &Call, reference: ReferenceId) -> Response<AnswerBody> {
    json_rpc_refusal(
        code::status(code::UPSTREAM_PROTOCOL),
        refused("unreadable-answer"),
        answer_id(call),
        code::UPSTREAM_PROTOCOL,
        UNREADABLE,
        Some(&data(reference)),
    )
}

/// A denial as a message: in the place of a response to the client, or as the response to the server.
pub(crate) fn denied_message(id: Option<&Id>, reference: ReferenceId) -> Bytes {
    error_body(id, code::DENIED, DENIED, Some(&data(reference)))
}

/// [`unreadable`] as a message.
pub(crate) fn unreadable_message(id: Option<&Id>, reference: ReferenceId) -> Bytes {
    error_body(
        id,
        code::UPSTREAM_PROTOCOL,
        UNREADABLE,
        Some(&data(reference)),
    )
}

/// The response to a server that asks for what no client is known to have.
pub(crate) fn unknown_method_message(id: Option<&Id>) -> Bytes {
    error_body(id, code::METHOD_NOT_FOUND, "method not found", None)
}

/// The id of a request; nothing else is answered with one.
pub(crate) fn answer_id(call: &Call) -> Option<&Id> {
    call.id().filter(|_| call.kind() == CallKind::Request)
}
