//! Vocabulary and proofs of the gateway: who calls, what they ask, what was decided.
//!
//! A layer that decides changes the request's body type, and what needs the decision accepts only the
//! changed type. The types that prove something have one maker each:
//!
//! | proof | says | only maker |
//! | --- | --- | --- |
//! | [`Principal`] | a resolver identified the caller, and the subject is alive | [`authenticate`] |
//! | [`CallBody`] | the body is one well-formed MCP message | [`CallBody::parse`] |
//! | [`Permitted`] | an engine was asked about this very call and allowed it | [`authorize`] |
//!
//! ```
//! use gatewright_core::{CallBody, Decision, Route, authenticate, authorize, engine_fn, resolver_fn};
//! use gatewright_core::{AnyIdentified, Identity, Outcome, Party, Subject, SystemClock};
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let route = Route::single("billing", "https://api.example.com/mcp").unwrap();
//! let body = br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"pay"}}"#;
//! let (mut parts, ()) = http::Request::post("/mcp").body(()).unwrap().into_parts();
//! parts.extensions.insert(route.clone());
//!
//! let resolver = resolver_fn(|_parts| {
//!     Outcome::Identified(Box::new(Identity::user(Party::new(Subject::new("own", "ann")))))
//! });
//! let ann = authenticate(&resolver, &AnyIdentified, &SystemClock, &parts).await.unwrap();
//!
//! let call = CallBody::parse(&route, &parts, body.as_slice().into(), &Default::default()).unwrap();
//! let engine = engine_fn(|principal, call| {
//!     if call.target() == Some("pay") && principal.user().is_some_and(|u| u.subject().id() == "ann") {
//!         Decision::allow(["ann-pays"])
//!     } else {
//!         Decision::deny("nobody else pays")
//!     }
//! });
//! let permitted = authorize(&engine, &ann, call).await.unwrap();
//! assert_eq!(&*permitted.permit().policies()[0], "ann-pays");
//! # });
//! ```
//!
//! This crate does no I/O and knows no runtime.

pub mod access;
mod admin;
mod answer;
mod authenticate;
mod authorize;
mod call;
mod change;
mod changes;
mod clock;
mod credential;
mod draft;
mod engine;
mod ids;
mod principal;
mod route;
mod sealer;
mod secret;
mod subjects;
mod withdrawal;

pub use admin::{AdminAction, AdminVerb, Given};
pub use answer::{
    AnswerBody, BoxError, Refused, Standing, bearer_challenge, json_rpc_refusal, miswired,
};
pub use authenticate::{
    AuthenticateError, Fault, Outcome, Rejection, Resolver, ResolverFn, authenticate, resolver_fn,
};
pub use authorize::{
    AuthorizeError, Challenge, Decision, Denial, Obligation, Permit, Permitted, SnapshotVersion,
    authorize,
};
pub use call::{Call, CallBody, CallKind, ParseCallError, SubscriptionsError};
pub use change::{Actor, Change, Difference, RecordError, Recorder, Stage};
pub use changes::{Attestation, Changes, Found, GoneParty, Held, HeldKind};
pub use clock::{Clock, ManualClock, SystemClock, Timestamp};
pub use credential::{
    CredentialForm, CredentialMode, CredentialOwner, CredentialRule, UnfitSecret, UnknownOwner,
    UpstreamAuth,
};
pub use draft::{Draft, DraftDecision, DraftFields, DraftRefusal, Effect, TraceContext};
pub use engine::{EngineFn, PolicyEngine, Visible, engine_fn};
/// Strict reading of JSON, for crates that decide on other documents than MCP messages (tokens, key sets): they
/// have no edge to the codec, and there is one place that refuses duplicate member names (invariant 14).
pub use gatewright_wire::{JsonError, Limits as JsonLimits, json};
pub use ids::{InvalidName, ReferenceId, ServerName, TenantId};
pub use principal::{Group, Identity, Method, Party, Principal, Subject, Who};
pub use route::{AuditClass, InvalidRoute, Profile, Route, ScopeRule, UnknownMethods};
pub use sealer::{OpenError, Purpose, SealError, Sealer};
pub use secret::{Secret, SecretBytes};
pub use subjects::{AnyIdentified, Membership, PartyKind, Status, Subjects};
pub use withdrawal::Withdrawal;
