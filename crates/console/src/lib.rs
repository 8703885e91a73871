//! The admin API: what operators of the machine ask a running gateway for, over a socket that only they reach.
//!
//! REST and JSON under `/api/v1`; errors are problem details (RFC 9457). [`AdminSocket`] lets in root and the gateway's own
//! user and nobody else, told by the kernel and not by what they say. Each change is in the audit log before it is made,
//! with the operator's uid, and takes effect in the next call; secrets come in and never go out again, but for the text of
//! a new API key, once.
//!
//! | request | does |
//! | --- | --- |
//! | `GET /api/v1/status` | says what is served |
//! | `POST /api/v1/apply` | makes tenants as a file has them; with `?plan=true`, says what that would come to |
//! | `GET /api/v1/tenants/{tenant}/credentials` | lists stored credentials, without their secrets |
//! | `PUT /api/v1/tenants/{tenant}/credentials/{server}/{owner}` | stores a `secret` |
//! | `DELETE /api/v1/tenants/{tenant}/credentials/{server}/{owner}` | removes one |
//! | `GET /api/v1/tenants/{tenant}/keys` | lists API keys |
//! | `POST /api/v1/tenants/{tenant}/keys` | makes one |
//! | `DELETE /api/v1/tenants/{tenant}/keys/{id}` | revokes one |
//! | `POST /api/v1/tenants/{tenant}/keys/purge` | forgets those that have ended |
//! | `POST /api/v1/master-key/rotate` | makes a master key, and seals under it what was sealed under older ones |
//! | `GET /api/v1/audit/records` | the latest records of the audit log, and those that come |
//!
//! **Reads** what the gateway [`Estate`] serves. **Adds** records to the audit log. **Refuses** peers of other users, and
//! what does not fit the estate. **Fails** closed: no record, no change.

mod api;
mod connections;
mod estate;
mod problem;
mod socket;

pub use api::Console;
pub use estate::{Estate, Figures, ServerView, TenantView};
pub use socket::{AdminSocket, BindAdminError, Operator, path_to};
