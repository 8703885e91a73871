//! Fakes for tests: an identity provider, a real MCP server, and an upstream that answers whatever it is told.
//!
//! All listen on a free loopback port and stop when they are dropped. They share no code with what they test:
//! tokens are signed here by hand, so that a mistake in our own signing cannot hide one in our checking.
//!
//! ```
//! use gatewright_test_support::FakeIdp;
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let idp = FakeIdp::start().await;
//! let token = idp.token("ann", "https://gw.example/mcp/billing").claim("groups", ["finance"]).sign();
//! assert_eq!(token.split('.').count(), 3);
//! idp.set_down(true); // now everything it serves is a 503
//! # });
//! ```
#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a fake that cannot do its part fails the test that uses it"
)]

mod client;
mod idp;
mod key;
mod listen;
mod raw;
mod server;
#[cfg(test)]
mod tests;

pub use client::{Client, legacy_request, message, modern_request};
pub use idp::{FakeIdp, TokenBuilder};
pub use key::{Algorithm, SigningKey};
pub use raw::{Answer, RawServer, Recorded};
pub use server::FakeServer;
