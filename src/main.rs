//! The `moorage` binary.

use std::process::ExitCode;

/// A fifth less CPU per write than with glibc's allocator, and the same in the static image, where musl's would be far
/// slower; figures in `docs/adr/0009-mimalloc.md`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    moorage::cli::main().await
}
