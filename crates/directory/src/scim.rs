//! What an identity provider pushes by SCIM 2.0 (RFC 7643, RFC 7644).

mod token;

pub use token::{NoRandomness, digest_of_token, new_token};
