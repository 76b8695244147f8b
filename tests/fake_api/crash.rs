//! The operator may die at any request, before the server acts or before the answer arrives: its successor ends where an
//! undisturbed operator does.

use super::faults::{Target, everywhere};
use anyhow::Result;
use moorage_fake::{Effort, Fault};

#[tokio::test(start_paused = true)]
async fn dying_before_any_request_changes_nothing_in_the_end() -> Result<()> {
    dying(Fault::CrashBefore).await
}

#[tokio::test(start_paused = true)]
async fn dying_before_any_answer_changes_nothing_in_the_end() -> Result<()> {
    dying(Fault::CrashAfterCommit).await
}

async fn dying(fault: Fault) -> Result<()> {
    let runs = everywhere(Target::Requests, &[fault], usize::MAX).await?;
    assert!(runs > Effort::given().of(60, 400, 400), "only {runs} deaths");
    Ok(())
}
