//! Without the envelope nobody has parsed the call that the policy layer decides on.

use gatewright_policy::PolicyLayer;
use gatewright_proofs::{engine, serves, server};
use tower::ServiceBuilder;

fn main() {
    let stack = ServiceBuilder::new()
        .layer(PolicyLayer::new(engine()))
        .service(server());
    serves(stack);
}
