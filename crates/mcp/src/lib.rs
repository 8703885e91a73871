//! The layers that know MCP: bytes become one checked call, and legacy sessions belong to who opened them.
//!
//! A policy that decides on one reading of a message while the server acts on another decides nothing. So
//! [`EnvelopeLayer`] turns a request's bytes into a [`CallBody`](gatewright_core::CallBody) once, and everything
//! below works on that. A session id that works for whoever holds it is a credential that nobody guards. So
//! [`SessionLayer`] hands out sealed ids that open for their owner only.
//!
//! ```
//! use bytes::Bytes;
//! use gatewright_core::{AnswerBody, CallBody, Route};
//! use gatewright_mcp::EnvelopeLayer;
//! use http::{Request, Response};
//! use http_body_util::Full;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let stack = ServiceBuilder::new().layer(EnvelopeLayer::new()).service(service_fn(
//!     |request: Request<CallBody>| async move {
//!         assert_eq!(request.body().call().target(), Some("pay"));
//!         Ok::<_, std::convert::Infallible>(Response::new(AnswerBody::empty()))
//!     },
//! ));
//! let post = |body: &'static str| {
//!     Request::post("/mcp")
//!         .header("content-type", "application/json")
//!         .extension(Route::single("billing", "https://api.example.com/mcp").unwrap())
//!         .body(Full::new(Bytes::from(body)))
//!         .unwrap()
//! };
//! let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"pay"}}"#;
//! assert_eq!(stack.clone().oneshot(post(call)).await.unwrap().status(), 200);
//! let two_in_one = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"pay","name":"x"}}"#;
//! assert_eq!(stack.oneshot(post(two_in_one)).await.unwrap().status(), 400);
//! # });
//! ```
//!
//! **Reads** [`Route`](gatewright_core::Route) (both layers) and [`Principal`](gatewright_core::Principal)
//! (`SessionLayer`) from the extensions, and the body.
//!
//! **Adds** nothing to the extensions of the request; `EnvelopeLayer` changes the type of its body, and marks
//! answers that stay open as [`Standing`](gatewright_core::Standing).
//!
//! **Refuses** what is not one well-formed message (400, 413), comes too slowly (408), has another content type
//! (415) or accepts nothing that we could answer (406); a session id that does not open for this caller (404).
//!
//! **Fails** closed: without a route, a principal or a working sealer it answers 500 and calls nothing below.

mod envelope;
mod session;

pub use envelope::{EnvelopeLayer, EnvelopeService};
pub use session::{SessionLayer, SessionService};
