//! The identity gateway for the Model Context Protocol.

pub mod cli;
pub mod config;
mod edge;
mod estate;
mod health;
mod holdings;
mod issuers;
mod metrics;
mod offboarding;
mod open_files;
mod quickstart;
mod routing;
mod sealer;
pub mod serve;
mod serving;
mod stack;

pub use edge::LoadCertificateError;
use gatewright_vault::key_file as keys;
pub use holdings::OpenHoldingsError;
pub use keys::OpenKeyError;
pub use sealer::FileSealer;
