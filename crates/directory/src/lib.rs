//! Who and what there is in a tenant: people, groups, agents, roles, grants, servers.
//!
//! Everything is a [record](records) in one storage, and every change goes through one door, [`Directory::change`]: it is checked
//! against the rules, asked about, recorded, committed and in force before it returns. Requests are answered from memory, which
//! follows the storage at the cost of what changes.

pub mod apply;
mod check;
mod directory;
mod edit;
mod lock;
mod memory;
pub mod model;
mod plan;
mod receipt;
pub mod records;
pub mod scim;
mod state;
#[cfg(test)]
mod tests;

pub use check::{Alteration, Authorise, Authorised, DocumentCheck, Proposal};
pub use directory::{
    Directory, DirectoryBuilder, GroupOf, Listed, LookError, MAX_STALENESS, Observer,
    OpenDirectoryError, TenantSettings, Update,
};
pub use edit::{Applied, ChangeError, Edit, Expected, Fault};
pub use memory::MemoryRecords;
