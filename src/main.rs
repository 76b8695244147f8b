//! The `moorage` binary.

use std::process::ExitCode;

/// The static image would otherwise use musl's allocator, which is made for size; why this one: ADR 9.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[tokio::main]
async fn main() -> ExitCode {
    moorage::cli::main().await
}
