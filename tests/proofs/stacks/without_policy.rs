//! Without the policy layer no call is permitted.

use gatewright_mcp::EnvelopeLayer;
use gatewright_proofs::{serves, server};
use tower::ServiceBuilder;

fn main() {
    let stack = ServiceBuilder::new()
        .layer(EnvelopeLayer::new())
        .service(server());
    serves(stack);
}
