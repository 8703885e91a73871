//! The storage that the other crates ask for, in SQLite and in Postgres.
//!
//! A storage trait stands in the crate that needs it and takes the tenant first; this crate implements it. Whoever has a
//! database of another kind implements the same traits, and needs nothing of this crate.
//!
//! ```
//! use gatewright_core::{CredentialOwner, ServerName, TenantId, Timestamp};
//! use gatewright_store::SqliteStore;
//! use gatewright_vault::{RecordKey, SealedRecord, SealedRecords as _};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let dir = tempfile::tempdir().unwrap();
//! let store = SqliteStore::open(&dir.path().join("gatewright.db")).await.unwrap();
//! let tenant = TenantId::default();
//! let key = RecordKey { owner: CredentialOwner::Shared, server: ServerName::new("wiki").unwrap() };
//! let version = store.next_version(&tenant).await.unwrap();
//! let record = SealedRecord { version, stored_at: Timestamp::from_secs(0), envelope: b"sealed".to_vec() };
//! assert!(store.write(&tenant, &key, &record).await.unwrap());
//! assert_eq!(store.read(&tenant, &key).await.unwrap(), Some(record));
//! # });
//! ```
//!
//! What was acknowledged is on the disk (`synchronous = FULL`, `synchronous_commit = on`), whatever happens to the process or the machine afterwards.
//! Secrets are in none of it: credentials come sealed, and of API keys only an HMAC does.

mod announcer;
mod background;
mod commit;
mod migrations;
mod open_error;
mod postgres;
mod rows;
mod sqlite;
mod store;
#[cfg(test)]
mod tests;
pub mod transfer;

pub use announcer::KeyEvent;
pub use open_error::OpenStoreError;
pub use postgres::PostgresStore;
pub use sqlite::SqliteStore;
pub use store::Store;
