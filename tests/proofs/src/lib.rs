//! What the stacks of this crate's tests are made of: an engine, a server that takes permitted calls only, and
//! a client that sends plain bodies.

use std::convert::Infallible;

use bytes::Bytes;
use gatewright_core::{AnswerBody, Call, Decision, EngineFn, Permitted, Principal, engine_fn};
use http::{Request, Response};
use http_body_util::Full;
use tower::{Service, service_fn};

/// An engine that allows everything.
pub fn engine() -> EngineFn<fn(&Principal, &Call) -> Decision> {
    engine_fn(|_, _| Decision::allow(["all"]))
}

/// A server below every layer.
pub fn server()
-> impl Service<Request<Permitted>, Response = Response<AnswerBody>, Error = Infallible, Future: Send>
+ Clone
+ Send
+ 'static {
    service_fn(|_: Request<Permitted>| async { Ok(Response::new(AnswerBody::empty())) })
}

/// What a listener needs of a stack.
pub fn serves<S: Service<Request<Full<Bytes>>>>(_: S) {}
