//! The codec of the Model Context Protocol, without I/O.
//!
//! A gateway has to know what a message asks for, and must pass on what it does not know. A typed
//! model loses fields it has not heard of; a second parse can disagree with the first. So a message
//! stays the bytes that arrived: [`Envelope`] says where in them the id, the method, the target and
//! the arguments stand, and [`Splice`] changes those places and leaves every other byte alone.
//!
//! ```
//! use gatewright_wire::{Envelope, Id, Limits, Peer, Splice};
//!
//! let text = br#"{"jsonrpc":"2.0","id":7,"method":"tools/call","x-vendor":[1.50],
//!     "params":{"name":"refund","arguments":{"cents":123456789012345678901234567890}}}"#;
//! let call = Envelope::parse(text, Peer::Client, &Limits::default())?;
//! assert_eq!(call.method(), Some("tools/call"));
//! assert_eq!(call.target(), Some("refund"));
//!
//! let mut splice = Splice::new(text);
//! splice.set_id(&call, &Id::string("a"))?;
//! let sent = splice.build()?;
//! assert!(sent.starts_with(br#"{"jsonrpc":"2.0","id":"a","method":"tools/call","x-vendor":[1.50],"#));
//!
//! // The same name twice is two messages in one, whichever the receiver picks.
//! let twice = br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","n\u0061me":"b"}}"#;
//! let refused = Envelope::parse(twice, Peer::Client, &Limits::default()).unwrap_err();
//! assert_eq!(refused.to_string(), "an object has two members named `name`");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! **Reads** JSON text ([`json`]), JSON-RPC messages ([`Envelope`]), the headers of 2026-07-28
//! ([`headers`]), event streams ([`sse`]) and the lists in results ([`ListView`]).
//!
//! **Adds** nothing: what is not changed on purpose keeps its bytes.
//!
//! **Refuses** texts that are too large, too deep, not JSON, or that have duplicate member names at
//! any depth; batches; members that a careless reader could take for one we decide on; headers that
//! disagree with the body.
//!
//! **Fails** with errors that carry the JSON-RPC code and the HTTP status of the answer.

mod agreement;
mod envelope;
mod era;
mod errors;
mod id;
mod limits;
mod lists;
mod method;
mod params;
mod splice;
mod version;

pub mod code;
pub mod headers;
pub mod json;
pub mod sse;

pub use agreement::Disagreement;
pub use envelope::{Envelope, EnvelopeError, Kind};
pub use era::EraError;
pub use errors::error_body;
pub use id::Id;
pub use json::JsonError;
pub use limits::Limits;
pub use lists::{ListError, ListItem, ListView};
pub use method::{Eras, Form, ItemKind, METHODS, MethodInfo, Peer, Subject, TargetField, method};
pub use splice::{Splice, SpliceError};
pub use version::{Era, Version};
