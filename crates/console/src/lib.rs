//! The admin API: what operators of the machine ask a running gateway for, over a socket that only they reach,
//! and administrators who bring a token.
//!
//! REST and JSON under `/api/v1`; errors are problem details (RFC 9457). [`AdminSocket`] lets in root and the gateway's own
//! user and nobody else, told by the kernel and not by what they say. Each change is in the audit log before it is made,
//! with the operator's uid, and takes effect in the next call; secrets come in and never go out again, but for the text of
//! a new API key, once.
//!
//! `GET /api/v1/openapi.json` describes all of it, made from the routes. Under `/api/v1/tenants/{tenant}` are `users`, `groups`
//! and their members, `agents`, `roles`, `grants`, `servers`, `virtual-servers`, `issuers`, `scim-tokens` and `receipts` of the
//! [directory](gatewright_directory), which alone changes them; `policies`, as draft, versions and what is in force; and
//! `credentials` and `keys`. Lists come in pages; a thing's ETag is the commit that changed it last.
//!
//! `/api/v1/apply` makes tenants as a file has them.
//!
//! Who brings a token is asked about by the [`Authority`]: it asks the policy engine, for each thing that a request reads or
//! changes.
//!
//! **Reads** what the gateway [`Estate`] serves. **Adds** records to the audit log. **Refuses** peers of other users, and
//! what does not fit the estate. **Fails** closed: no record, no change.

mod api;
mod authority;
mod caller;
mod connections;
mod estate;
mod problem;
mod refusal;
mod socket;
#[cfg(test)]
mod tests;

pub use api::{Console, tenant_of};
pub use authority::Authority;
pub use estate::{Estate, Figures, ServerView, TenantView};
pub use socket::{AdminSocket, BindAdminError, Operator, path_to};
