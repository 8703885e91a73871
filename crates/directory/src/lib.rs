//! Who and what there is in a tenant: people, groups, agents, roles, grants, servers.

pub mod records;

mod memory;

pub use memory::MemoryRecords;
