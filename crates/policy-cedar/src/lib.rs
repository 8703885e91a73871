//! The Cedar engine: schema, compilation of roles and grants, slices.
//!
//! Roles are what administrators write; policies are what can be checked, explained and proven about. So a role
//! becomes Cedar policies, two for each of its permissions: what its holders may *see*, and what they may *call*.
//! Policies written by hand stand beside them in one set per tenant, and a decision never knows which is which.
//! A call meets only the slice of policies that can match it, so that ten thousand policies cost what five do.
//!
//! ```
//! use gatewright_core::{AnyIdentified, CallBody, Decision, Identity, Outcome, Party, PolicyEngine, Route};
//! use gatewright_core::{Subject, SystemClock, authenticate, resolver_fn};
//! use gatewright_core::access::{Grant, Grantee, Role};
//! use gatewright_policy_cedar::CedarEngine;
//! use gatewright_wire::ItemKind;
//! use serde_json::json;
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let clerk: Role = serde_json::from_value(json!({
//!     "name": "clerk",
//!     "permissions": [{
//!         "servers": ["billing"], "tools": ["pay"],
//!         "when": {"arguments": [{"argument": "cents", "at_most": 10_000}]},
//!     }],
//! }))?;
//! let ann = Subject::new("https://login.example.com", "ann");
//! let to_ann = Grant::new("clerk", Grantee::User(ann));
//! let engine = CedarEngine::builder()
//!     .roles([clerk])
//!     .grants([to_ann])
//!     .policies("own.cedar", r#"
//!         @id("nobody-refunds")
//!         forbid(principal, action, resource == Gatewright::Tool::"billing/refund");
//!     "#)
//!     .build()?;
//!
//! # let route = Route::single("billing", "https://api.example.com/mcp")?;
//! # let mut request = http::Request::post("/mcp").body(())?;
//! # request.extensions_mut().insert(route.clone());
//! # let (parts, ()) = request.into_parts();
//! # let ann = Party::new(Subject::new("https://login.example.com", "ann"));
//! # let ann = resolver_fn(move |_| Outcome::Identified(Box::new(Identity::user(ann.clone()))));
//! # let ann = authenticate(&ann, &AnyIdentified, &SystemClock, &parts).await?;
//! # let call = |arguments: &str| {
//! #     let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"pay","arguments":{arguments}}}}}"#);
//! #     CallBody::parse(&route, &parts, text.into(), &Default::default())
//! # };
//! let small = call(r#"{"cents": 500}"#)?; // a call of the tool `pay`
//! let Decision::Allow { policies, .. } = engine.decide(&ann, small.call()).await else { panic!() };
//! assert_eq!(*policies, ["role:clerk/1#see".into(), "role:clerk/1#call".into()]);
//!
//! // Too much, and everything that is no plain number of 64 bits: no permission, no call.
//! for arguments in [r#"{"cents": 10001}"#, r#"{"cents": null}"#, r#"{"cents": "5"}"#, r#"{"cents": 1e2}"#, "{}"] {
//!     assert!(matches!(engine.decide(&ann, call(arguments)?.call()).await, Decision::Deny { .. }));
//! }
//! let visible = engine.visible(&ann, &route, ItemKind::Tool, &["pay", "refund"]).await;
//! assert_eq!(visible.shown, [true, false]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! **Reads** the principal, with the groups and claimed roles of each of its parties, and the call: its server,
//! method, tool, prompt or resource, and of its arguments those that a policy names.
//!
//! **Decides** `Allow` only where every party of the principal may see and may call: a delegated call needs the
//! permissions of the user and of the agent. The deciding policies are named by the `@id` of hand-written ones and
//! as `role:<name>/<permission>#<half>` for those of roles. The credential modes that the permitting policies choose
//! become the obligation [`CREDENTIAL`](gatewright_core::Obligation::CREDENTIAL), one for each mode: a permission's
//! `credential`, or the annotation of a policy, as `@credential("per-user")`.
//!
//! **Decides on administrators** (`decide_admin`) in a name space of its own, [`ADMIN_SCHEMA`]: no policy on calls permits an
//! administrator anything. Nobody can give away more than they hold: see [`CedarEngine::may_grant`].
//!
//! **Grants** ([`Grants`]) change without another engine, at the cost of what changed.
//!
//! **Denies** without a matching permission, where any policy forbids, where a policy fails to evaluate, where
//! the principal or the call is of another tenant, and where members of the arguments that a policy names could be
//! read in two ways. Numbers other than plain integers of 64 bits compare with nothing. A URI of a resource that
//! servers may read otherwise than policies do (`..`, hidden letters) is denied, and not shown.
//!
//! **Fails** to be built with [`BuildEngineError`], which names file and line or role and permission: no policy is
//! served that is not understood in full. [`CedarEngine::warnings`] says what is allowed and looks like a mistake.
//!
//! Answers that neither time nor arguments can change are kept per principal, up to a number; what callers make
//! up is not. Hours and weekdays are in UTC.

mod admin;
mod arguments;
mod ask;
mod builder;
mod compile;
mod engine;
mod error;
mod files;
mod grants;
mod index;
mod limited;
mod names;
mod review;
mod roles;
mod schema;
mod tenants;
mod uri;
mod view;

pub use admin::ADMIN_SCHEMA;
pub use builder::{CedarEngineBuilder, ToolFacts};
pub use engine::CedarEngine;
pub use error::BuildEngineError;
pub use grants::{Grants, InvalidGrant};
pub use schema::SCHEMA;
pub use tenants::{SetGrantsError, TenantEngines};

pub(crate) use limited::{Limited, read, write};

#[cfg(test)]
mod tests;
