//! Wrong stacks do not compile (invariant 3), and the right one does.

use gatewright_mcp::EnvelopeLayer;
use gatewright_policy::PolicyLayer;
use gatewright_proofs::{engine, server, serves};
use tower::ServiceBuilder;

#[test]
fn a_wrong_stack_does_not_compile() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("stacks/without_envelope.rs");
    cases.compile_fail("stacks/without_policy.rs");
    cases.compile_fail("stacks/swapped.rs");
}

#[test]
fn the_right_stack_compiles() {
    serves(
        ServiceBuilder::new()
            .layer(EnvelopeLayer::new())
            .layer(PolicyLayer::new(engine()))
            .service(server()),
    );
}
