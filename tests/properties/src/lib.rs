//! What must hold for any bytes that the parsers of hostile input are given.
//!
//! Each function takes bytes, asks a parser about them, and panics when a property does not hold. The fuzz targets
//! call them with whatever the fuzzer makes up, and a test with the corpus that the fuzzer has left: what was found once
//! is looked for in every run. Where it can be, a property compares with a second, simpler reading (`serde_json`'s,
//! or one written here from the standard's text), since a parser that is only asked not to panic may still be wrong.
//!
//! ```
//! gatewright_properties::envelope(br#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"refund"}}"#);
//! gatewright_properties::sse(b"data: a\r\n\r\n: note\n\n");
//! gatewright_properties::stdio_frame(b"{}\n{}\r\n");
//! gatewright_properties::jwt_header(br#"{"alg":"EdDSA","typ":"at+jwt"}"#);
//! gatewright_properties::scim_filter(br#"emails[type eq "work"] and active eq true"#);
//! gatewright_properties::scim_patch(br#"{"Operations":[]}"#);
//! ```
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "a property that does not hold fails the test that asks"
)]

mod chunks;
mod envelope;
mod jwt_header;
mod scim_filter;
mod scim_patch;
mod sse;
mod stdio_frame;

pub use envelope::envelope;
pub use jwt_header::jwt_header;
pub use scim_filter::scim_filter;
pub use scim_patch::scim_patch;
pub use sse::sse;
pub use stdio_frame::stdio_frame;

/// A target's name and its property.
pub type Target = (&'static str, fn(&[u8]));

/// All of them, under the names of the fuzz targets.
pub const TARGETS: [Target; 6] = [
    ("envelope", envelope),
    ("jwt_header", jwt_header),
    ("scim_filter", scim_filter),
    ("scim_patch", scim_patch),
    ("sse", sse),
    ("stdio_frame", stdio_frame),
];
