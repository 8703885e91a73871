//! The policy layer above the envelope has no call to decide on.

use gatewright_mcp::EnvelopeLayer;
use gatewright_policy::PolicyLayer;
use gatewright_proofs::{engine, serves, server};
use tower::ServiceBuilder;

fn main() {
    let stack = ServiceBuilder::new()
        .layer(PolicyLayer::new(engine()))
        .layer(EnvelopeLayer::new())
        .service(server());
    serves(stack);
}
