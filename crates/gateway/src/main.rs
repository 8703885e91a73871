//! The `gatewright` binary; everything it does is in the library beside it.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// A call makes some hundred small allocations, on one thread and freed on another: see `docs/performance.md`.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    gatewright::cli::main()
}
