//! PolicyLayer: no decision, no call; what comes back is filtered.
//!
//! A tool server trusts whoever reaches it. This layer asks a [`PolicyEngine`] about every call, by whoever it is, and
//! turns `Request<CallBody>` into `Request<Permitted>`: a service that takes `Permitted` cannot be reached without a
//! decision. On the way back nobody learns of tools, prompts and resources that they may not know of, and servers ask
//! clients only for what policy lets them ask.
//!
//! ```
//! use bytes::Bytes;
//! use gatewright_core::{
//!     AnswerBody, AnyIdentified, CallBody, Decision, Identity, Outcome, Party, Permitted, Route, Subject, SystemClock,
//!     authenticate, engine_fn, resolver_fn,
//! };
//! use gatewright_policy::PolicyLayer;
//! use http::{Request, Response};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let stack = ServiceBuilder::new()
//!     .layer(PolicyLayer::new(engine_fn(|_, call| match call.target() {
//!         Some("pay") => Decision::deny("nobody pays on Sundays"),
//!         _ => Decision::allow(["all-but-pay"]),
//!     })))
//!     .service(service_fn(|_: Request<Permitted>| async {
//!         let list = r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"pay"},{"name":"look"}]}}"#;
//!         let answer = Response::builder().header("content-type", "application/json");
//!         Ok::<_, std::convert::Infallible>(answer.body(AnswerBody::full(list.into())).unwrap())
//!     }));
//!
//! // As the layers above hand it down: with a route, a principal and a parsed call.
//! let route = Route::single("billing", "https://api.example.com/mcp").unwrap();
//! let (mut parts, ()) = Request::post("/mcp").extension(route.clone()).body(()).unwrap().into_parts();
//! let resolver = resolver_fn(|_| {
//!     Outcome::Identified(Box::new(Identity::user(Party::new(Subject::new("idp", "ann")))))
//! });
//! let ann = authenticate(&resolver, &AnyIdentified, &SystemClock, &parts).await.unwrap();
//! parts.extensions.insert(ann);
//! let message = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
//! let call = CallBody::parse(&route, &parts, Bytes::from(message), &Default::default()).unwrap();
//!
//! let answer = stack.oneshot(Request::from_parts(parts, call)).await.unwrap();
//! let shown = answer.body().known().unwrap();
//! assert_eq!(shown, br#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"look"}]}}"#);
//! # });
//! ```
//!
//! What passes keeps its bytes. What changes on the way back:
//! - lists lose the items that the see half does not show, and everything that came through policy says `private`
//!   where it says who may share it (`cacheScope`, 2026-07-28);
//! - a request of a server that policy denies is answered by this layer, on the session of the call; one within a
//!   result (`inputRequests`) or an error (`-32042`) denies the whole;
//! - what cannot be read as one reader would, cannot be filtered, and is not passed on.
//!
//! **Reads** [`Principal`](gatewright_core::Principal) from the extensions and the body
//! ([`CallBody`](gatewright_core::CallBody)).
//!
//! **Adds** the decision to the [`Draft`](gatewright_core::Draft), if there is one; changes the type of the body.
//!
//! **Refuses** what the engine denies, with one fixed error whether it exists or not (4403 in JSON-RPC; 403 or 405
//! where that has no answer); what a scope would cure (403 with a challenge); unknown methods, unless the server's
//! profile relays them (-32601).
//!
//! **Fails** closed: without a principal it answers 500 and calls nothing below, and an answer that cannot be filtered
//! becomes an error (5503).

mod answer;
mod explain;
mod layer;
mod lines;
mod refusal;
mod reply;
mod review;
mod screen;
mod service;
mod stream;
#[cfg(test)]
mod tests;

pub use explain::{Explain, Explanation, Half, HeldRole};
pub use gatewright_core::PolicyEngine;
pub use layer::PolicyLayer;
pub use review::{
    Abilities, Callers, Change, Changed, Changes, GranteeChange, HeldAdministration,
    HeldPermission, PartyAbilities, PolicyChange, Review, WrittenPolicy,
};
pub use service::PolicyService;
