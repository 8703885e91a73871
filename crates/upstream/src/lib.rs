//! The service below every layer: relays a permitted call to an MCP server, over Streamable HTTP or the standard streams
//! of child processes.
//!
//! It takes `Request<Permitted>` and nothing else, so no call reaches a server without a decision, and needs an
//! [`UpstreamAuth`](gatewright_core::UpstreamAuth), so none goes up before it is known as whom. What goes up is the call's
//! own bytes; over HTTP under headers of an allow-list, never the caller's `Authorization`, cookies or hop-by-hop headers,
//! and with the header of the credential, to the configured URL only. What comes down is held to the protocol: an answer
//! to this very call, in well-formed messages, event by event and without buffering streams. A server that is down, slow
//! or talks nonsense becomes an error with the call's id, and none of its own words.
//!
//! Child processes ([`Target::stdio`]) are kept apart by tenant, server, credential, principal and client session
//! (invariant 6). Their ids and progress tokens are mapped both ways. See [`Program`] for how they are started and ended.
//!
//! Client and server must speak the same era; the [`Era`](gatewright_wire::Era) of a server is told by a probe
//! (`server/discover`, before the first modern call) or by configuration. A modern request for a legacy-only server
//! gets a 400 without a modern error code, by which clients of both eras fall back to `initialize`; an `initialize`
//! that a modern-only server does not take gets an error naming its versions.
//!
//! A client that goes away takes its call along: in the modern era by the closed stream, in the legacy era by
//! `notifications/cancelled`, except where the server gave event ids, by which the client may come back for the rest.
//!
//! ```
//! use gatewright_core::{Permitted, UpstreamAuth};
//! use gatewright_egress::Egress;
//! use gatewright_upstream::{Target, Upstream};
//! use http::Request;
//! use tower::{Service, ServiceBuilder, util::MapRequestLayer};
//!
//! fn takes_permitted_calls<S: Service<Request<Permitted>>>(_: &S) {}
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let billing = Target::new("https://billing.internal.example.com/mcp".parse().unwrap());
//! let upstream = ServiceBuilder::new()
//!     // Where no CredentialLayer stands above: the server needs no credential, and that is said.
//!     .layer(MapRequestLayer::new(|mut request: Request<Permitted>| {
//!         request.extensions_mut().insert(UpstreamAuth::none());
//!         request
//!     }))
//!     .service(Upstream::new(billing, &Egress::builder().build()));
//! takes_permitted_calls(&upstream);
//! # });
//! ```
//!
//! **Reads** the [`Permitted`](gatewright_core::Permitted) body, [`UpstreamAuth`](gatewright_core::UpstreamAuth) and the
//! headers that the protocol needs.
//!
//! **Adds** to the [`Draft`](gatewright_core::Draft) whose credential went up, and how a relay failed.
//!
//! **Refuses** a request of an era that the server does not speak (400), a session that there is not (404), and without
//! `UpstreamAuth` every request (500).
//!
//! **Fails** with 502 when the server is down or breaks the protocol, 503 when it has all the processes or calls that it
//! may have, and 504 when it is too slow.

mod cancel;
mod era;
mod events;
mod failure;
mod headers;
mod program;
mod relay;
mod service;
mod stdio;
mod target;
#[cfg(test)]
mod tests;

pub use headers::may_carry_credential;
pub use program::{ChildLimits, Program, ResourceLimits, Sharing};
pub use service::Upstream;
pub use stdio::frame;
pub use target::{EraSetting, Target, Targets, Timeouts, Transport};
