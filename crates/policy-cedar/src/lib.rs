//! The Cedar engine: schema, compilation of roles and grants, slices.

mod arguments;
mod ask;
mod builder;
mod compile;
mod engine;
mod error;
mod files;
mod index;
mod limited;
mod names;
mod schema;
mod tenants;
mod view;

pub use builder::{CedarEngineBuilder, ToolFacts};
pub use engine::CedarEngine;
pub use error::BuildEngineError;
pub use schema::SCHEMA;
pub use tenants::TenantEngines;

pub(crate) use limited::{Limited, read, write};

#[cfg(test)]
mod tests;
