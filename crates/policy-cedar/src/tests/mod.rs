//! The engine as a whole.

use std::sync::Arc;

use bytes::Bytes;
use gatewright_core::{
    CallBody, Decision, Group, Identity, ManualClock, Outcome, Party, PolicyEngine, Principal,
    Route, Subject, SystemClock, TenantId, Timestamp,
    access::{Grant, Grantee, Role},
    authenticate, resolver_fn,
};
use gatewright_wire::{ItemKind, Limits};
use serde_json::{Value as Json, json};

use crate::{CedarEngine, CedarEngineBuilder};

mod admin;
mod arguments;
mod credentials;
mod decisions;
mod files;
mod grants;
mod parties;
mod review;
mod slices;

const IDP: &str = "https://idp.example.com";

/// Monday, 2026-11-23T10:00:00Z.
const NOON: i64 = 1_795_428_000;

fn clock() -> ManualClock {
    ManualClock::at(Timestamp::from_secs(NOON))
}

fn route() -> Route {
    Route::single("billing", "https://gw.example.com/mcp").unwrap()
}

fn subject(name: &str) -> Subject {
    Subject::new(IDP, name)
}

fn party(name: &str) -> Party {
    Party::new(subject(name))
}

fn group(name: &str) -> Group {
    Group::new(IDP, name)
}

async fn on(route: &Route, identity: Identity) -> Principal {
    let (mut parts, ()) = http::Request::new(()).into_parts();
    parts.extensions.insert(route.clone());
    let resolver = resolver_fn(move |_| Outcome::Identified(Box::new(identity.clone())));
    authenticate(
        &resolver,
        &gatewright_core::AnyIdentified,
        &SystemClock,
        &parts,
    )
    .await
    .unwrap()
}

async fn principal(identity: Identity) -> Principal {
    on(&route(), identity).await
}

async fn ann() -> Principal {
    principal(Identity::user(party("ann"))).await
}

fn body_on(route: &Route, message: &str) -> CallBody {
    let (parts, ()) = http::Request::post("/mcp").body(()).unwrap().into_parts();
    CallBody::parse(
        route,
        &parts,
        Bytes::copy_from_slice(message.as_bytes()),
        &Limits::default(),
    )
    .unwrap()
}

fn body(method: &str, params: &Json) -> CallBody {
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    body_on(&route(), &message.to_string())
}

/// A call of a tool, with arguments as they are written.
fn tool(name: &str, arguments: &str) -> CallBody {
    let name = Json::from(name);
    let text = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":{name},"arguments":{arguments}}}}}"#
    );
    body_on(&route(), &text)
}

fn role(name: &str, permissions: &Json) -> Role {
    serde_json::from_value(json!({"name": name, "permissions": permissions})).unwrap()
}

fn grant(role: &str, to: Grantee) -> Grant {
    Grant::new(role, to)
}

fn to_user(role: &str, name: &str) -> Grant {
    grant(role, Grantee::User(subject(name)))
}

fn builder() -> CedarEngineBuilder {
    CedarEngine::builder().clock(clock())
}

/// An engine in which ann holds a role of these permissions.
fn ann_may(permissions: &Json) -> CedarEngine {
    builder()
        .roles([role("r", permissions)])
        .grants([to_user("r", "ann")])
        .build()
        .unwrap()
}

/// An engine of Cedar text alone.
fn written(text: &str) -> CedarEngine {
    builder().policies("p.cedar", text).build().unwrap()
}

async fn decide(engine: &impl PolicyEngine, principal: &Principal, body: &CallBody) -> Decision {
    engine.decide(principal, body.call()).await
}

/// The ids of policies, to be compared.
fn names(policies: &[Arc<str>]) -> Vec<&str> {
    policies.iter().map(AsRef::as_ref).collect()
}

async fn allows(engine: &impl PolicyEngine, principal: &Principal, body: &CallBody) -> bool {
    matches!(
        decide(engine, principal, body).await,
        Decision::Allow { .. }
    )
}

async fn shows(
    engine: &impl PolicyEngine,
    principal: &Principal,
    kind: ItemKind,
    name: &str,
) -> bool {
    engine
        .visible(principal, principal.route(), kind, &[name])
        .await
        .shown
        == [true]
}

fn tenant(name: &str) -> TenantId {
    TenantId::new(name).unwrap()
}
