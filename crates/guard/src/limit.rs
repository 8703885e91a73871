//! How much is too much.

mod body;
mod count;
mod entry;
mod layer;
mod queue;
mod rate;
mod refusal;
mod service;
mod table;
#[cfg(test)]
mod tests;

pub use count::{ByPrincipal, ByServer, CountBy, Holds, Load};
pub use layer::{LimitLayer, Limits};
pub use rate::Rate;
pub use service::LimitService;
