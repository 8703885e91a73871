//! Bounds on what a caller may ask for, and on what a server is asked for.
//!
//! A caller that asks too fast, or for too much at a time, must harm neither the gateway nor the callers beside it, and
//! no server should get more than it can do. [`LimitLayer`] stands twice in the stack: above the envelope it counts
//! by principal, below it by server. It bounds the rate (GCRA), the calls at a time, the streams that stand open, those
//! that wait, and what it remembers.
//!
//! ```
//! use gatewright_core::{AnswerBody, AnyIdentified, Identity, Outcome, Party, Route, Subject};
//! use gatewright_core::{SystemClock, authenticate, resolver_fn};
//! use gatewright_guard::{LimitLayer, Limits, Rate};
//! use http::{Request, Response, StatusCode};
//! use std::num::NonZeroU32;
//! use tower::{Service as _, ServiceBuilder, ServiceExt as _, service_fn};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
//! let mut limits = Limits::for_principals();
//! limits.rate = Some(Rate::per_second(NonZeroU32::MIN));
//! let mut stack = ServiceBuilder::new()
//!     .layer(LimitLayer::per_principal(limits))
//!     .service(service_fn(|_: Request<()>| async {
//!         Ok::<_, std::convert::Infallible>(Response::new(AnswerBody::empty()))
//!     }));
//!
//! let mut request = Request::post("/mcp").body(()).unwrap();
//! request.extensions_mut().insert(Route::single("billing", "https://api.example.com/mcp").unwrap());
//! let (mut parts, ()) = request.into_parts();
//! let resolver = resolver_fn(|_| {
//!     Outcome::Identified(Box::new(Identity::user(Party::new(Subject::new("own", "ann")))))
//! });
//! let ann = authenticate(&resolver, &AnyIdentified, &SystemClock, &parts).await.unwrap();
//! parts.extensions.insert(ann);
//! let request = Request::from_parts(parts, ());
//!
//! let first = stack.ready().await.unwrap().call(request.clone()).await.unwrap();
//! assert_eq!(first.status(), StatusCode::OK);
//! let second = stack.ready().await.unwrap().call(request).await.unwrap();
//! assert_eq!(second.status(), StatusCode::TOO_MANY_REQUESTS);
//! assert_eq!(second.headers()["retry-after"], "1");
//! # });
//! ```
//!
//! - **Reads** `Principal` (by principal), the call and its `Principal` (by server), `Draft` and `Standing`.
//! - **Adds** nothing.
//! - **Refuses** with 429 and `RATE_LIMITED` what is too much for its own key, with 503 and `OVERLOADED` what is too much
//!   for the gateway, both with `Retry-After`; a request's id is in the answer where the call is parsed already.
//! - **Fails** as miswired without a principal above it.

mod limit;

pub use limit::{
    ByPrincipal, ByServer, CountBy, Holds, LimitLayer, LimitService, Limits, Load, Rate,
};
