//! PolicyLayer: no decision, no call; lists filtered on the way back.

mod explain;

pub use explain::{Explain, Explanation, Half, HeldRole};
pub use gatewright_core::PolicyEngine;
