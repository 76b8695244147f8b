//! The `moorage` binary.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    moorage::cli::main().await
}
