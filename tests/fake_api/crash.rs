//! The operator may die at any request, before the server acts or before the answer arrives: its successor ends where an
//! undisturbed operator does.

use super::faults::{Target, everywhere};
use anyhow::Result;
use moorage_fake::Fault;

#[tokio::test(start_paused = true)]
async fn dying_at_any_request_changes_nothing_in_the_end() -> Result<()> {
    let runs = everywhere(Target::Requests, &[Fault::CrashBefore, Fault::CrashAfterCommit], usize::MAX).await?;
    assert!(runs > 800, "only {runs} deaths");
    Ok(())
}
