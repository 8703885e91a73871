use std::{io, path::PathBuf};

use gatewright_core::BoxError;

/// Why the database cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenStoreError {
    /// The file or its directory cannot be read or made.
    #[error("cannot use the database `{}`: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others may read it.
    #[error("others may read the database `{}`: take that right from them, as `chmod go= {}` does", .0.display(), .0.display())]
    Exposed(PathBuf),
    /// It belongs to somebody else.
    #[error("the database `{}` belongs to the user {owner}, and this process is {us}: give it to that one, as `chown {us} {}` does", path.display(), path.display())]
    Foreign {
        /// Which.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who we are.
        us: u32,
    },
    /// A later version of Gatewright has used it.
    #[error(
        "the database was written by a later version (step {0} is unknown here): start that version, or restore a backup"
    )]
    Newer(i64),
    /// It was made by steps that are not those of this version.
    #[error(
        "the database was not made by this version or an earlier one (step {0} differs): restore a backup"
    )]
    Changed(i64),
    /// What names the server says nothing that can be used. The reason holds no password.
    #[error("the database's URL cannot be used: {0} (postgres://user@host/database is its form)")]
    Url(#[source] BoxError),
    /// The way to the server is open to others.
    #[error(
        "the database at `{0}` is on another machine, and sslmode is weaker than verify-full: leave it out, or set it to verify-full (with sslrootcert=<file> where the server's certificate is of an authority of your own)"
    )]
    Insecure(String),
    /// The user that we are there is not held to one tenant's rows.
    #[error(
        "the database user `{0}` is a superuser or has BYPASSRLS, so that nothing would keep tenants apart: connect as one that has neither, as `CREATE ROLE gatewright LOGIN` makes"
    )]
    BypassesRowSecurity(String),
    /// Somebody switched off what keeps tenants apart.
    #[error(
        "row-level security of the table `{0}` is off, so that nothing would keep tenants apart: `ALTER TABLE {0} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY` switches it on"
    )]
    RowSecurityOff(String),
    /// The server is not one that this was made for.
    #[error("the database server is unfit: {0}")]
    Unfit(String),
    /// It is no database, or cannot be used as one.
    #[error("cannot use the database: {0}")]
    Database(#[source] BoxError),
}
