//! PolicyLayer: no decision, no call; lists filtered on the way back.

mod answer;
mod explain;
mod layer;
mod lines;
mod refusal;
mod reply;
mod screen;
mod service;
mod stream;

pub use explain::{Explain, Explanation, Half, HeldRole};
pub use gatewright_core::PolicyEngine;
pub use layer::PolicyLayer;
pub use service::PolicyService;
