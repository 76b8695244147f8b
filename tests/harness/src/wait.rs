//! Waiting on a state with a deadline, and saying on failure what was waited for and last seen.

use std::{future::Future, time::Duration};

use anyhow::{Result, anyhow};
use tokio::time::{Instant, sleep, timeout_at};

/// How often a state is looked at: often enough that no test is slowed, seldom enough to cost nothing.
const INTERVAL: Duration = Duration::from_millis(50);

/// Calls `probe` until it returns `Ok(Some(value))`, at most for `deadline`.
///
/// `Ok(None)` and `Err` both mean "not yet". The last error is quoted when the deadline passes, so a
/// probe that has something to tell (`bail!("Ready is False: {reason}")`) makes a better message than
/// one that returns `None`.
pub async fn eventually<T, F, R>(deadline: Duration, what: &str, mut probe: F) -> Result<T>
where
    F: FnMut() -> R,
    R: Future<Output = Result<Option<T>>>,
{
    let end = Instant::now() + deadline;
    let mut last = String::from("nothing");
    loop {
        match timeout_at(end, probe()).await {
            Ok(Ok(Some(value))) => return Ok(value),
            Ok(Ok(None)) => last = String::from("not there yet"),
            Ok(Err(error)) => last = format!("{error:#}"),
            Err(_) => {
                last = format!("{last} (the last look did not return in time)");
            }
        }
        if Instant::now() + INTERVAL >= end {
            return Err(anyhow!("waited {deadline:?} for {what}; last seen: {last}"));
        }
        sleep(INTERVAL).await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use anyhow::{Result, bail};

    use super::eventually;

    #[tokio::test]
    async fn returns_the_value_once_it_is_there() -> Result<()> {
        let mut looks = 0;
        let value = eventually(Duration::from_secs(5), "the third look", || {
            looks += 1;
            let now = looks;
            async move { Ok((now == 3).then_some(now)) }
        })
        .await?;
        assert_eq!(value, 3);
        Ok(())
    }

    #[tokio::test]
    async fn says_what_was_waited_for_and_last_seen() {
        let outcome: Result<()> =
            eventually(Duration::from_millis(120), "the pod", || async { bail!("phase is Pending") }).await;
        let message = outcome.map_or_else(|error| error.to_string(), |()| String::new());
        assert!(message.contains("the pod"), "{message}");
        assert!(message.contains("phase is Pending"), "{message}");
    }
}
