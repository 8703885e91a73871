//! The service below every layer: relays a permitted call to an MCP server over Streamable HTTP.
//!
//! It takes `Request<Permitted>` and nothing else, so no call reaches a server without a decision. What goes up is
//! the call's own bytes under headers of an allow-list: never the caller's `Authorization`, cookies or hop-by-hop
//! headers. What comes down is held to the protocol: an answer to this very call, in well-formed messages, event by
//! event and without buffering streams. A server that is down, slow or talks nonsense becomes an error with the
//! call's id, and none of its own words.
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
//! use gatewright_core::Permitted;
//! use gatewright_egress::Egress;
//! use gatewright_upstream::{Target, Upstream};
//! use http::Request;
//! use tower::Service;
//!
//! fn takes_permitted_calls<S: Service<Request<Permitted>>>(_: &S) {}
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let billing = Target::new("https://billing.internal.example.com/mcp".parse().unwrap());
//! let upstream = Upstream::new(billing, &Egress::builder().build());
//! takes_permitted_calls(&upstream);
//! # });
//! ```
//!
//! **Reads** the [`Permitted`](gatewright_core::Permitted) body and the headers that the protocol needs.
//!
//! **Adds** to the [`Draft`](gatewright_core::Draft) whose credential went up, and how a relay failed.
//!
//! **Refuses** a request of an era that the server does not speak (400).
//!
//! **Fails** with 502 when the server is down or breaks the protocol, and 504 when it is too slow.

mod cancel;
mod era;
mod events;
mod failure;
mod headers;
mod relay;
mod service;
mod target;
#[cfg(test)]
mod tests;

pub use service::Upstream;
pub use target::{EraSetting, Target, Targets, Timeouts};
