//! A Postgres server for tests: on loopback, on a free port, in a directory of its own, and gone with whoever started it.
//!
//! `cargo xtask test` starts one for all tests and names it in [`VARIABLE`]. Where that is not set, each process of tests
//! that asks for a database starts a server for itself.
//!
//! ```no_run
//! use gatewright_test_postgres::Database;
//!
//! let database = Database::create(); // empty, with an owner of its own, who is no superuser
//! assert!(database.url().starts_with("postgres://"));
//! ```

mod database;
mod programs;
mod server;

pub use database::Database;
pub use programs::Programs;
pub use server::Server;

/// The environment variable that names the server of this run of tests, as a superuser reaches it.
pub const VARIABLE: &str = "GATEWRIGHT_TEST_POSTGRES";
