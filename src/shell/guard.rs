//! What goes wrong with one object stays with it: a panic, or slowness.

use futures::FutureExt;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

/// How work on one object ended.
#[derive(Debug)]
pub enum Ended<T> {
    /// By itself.
    Returned(T),
    /// By a panic, with this message.
    Panicked(String),
    /// Not within its time.
    TimedOut,
}

/// Runs work on one object so that neither its panic nor its slowness reaches the work on others.
pub async fn isolated<T>(work: impl Future<Output = T>, timeout: Duration) -> Ended<T> {
    match tokio::time::timeout(timeout, AssertUnwindSafe(work).catch_unwind()).await {
        Ok(Ok(value)) => Ended::Returned(value),
        Ok(Err(panic)) => Ended::Panicked(panic_message(panic.as_ref()).to_owned()),
        Err(_) => Ended::TimedOut,
    }
}

/// Does one thing about one object; `None` if it panicked, which is logged. The caller goes on without.
pub fn caught<T>(about: impl FnOnce() -> String, work: impl FnOnce() -> T) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(value) => Some(value),
        Err(panic) => {
            let message = panic_message(panic.as_ref());
            tracing::error!(object = about(), message, "panicked while looking at an object; this is a bug");
            None
        }
    }
}

/// What a panic said.
pub fn panic_message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use super::{Duration, Ended, caught, isolated};
    use std::future::pending;

    const TIMEOUT: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn a_panic_ends_the_work_on_one_object_only() {
        let ended = isolated(async { panic!("an index of {}", 7) }, TIMEOUT).await;
        assert!(matches!(ended, Ended::<()>::Panicked(message) if message == "an index of 7"));
        assert!(matches!(isolated(async { 1 }, TIMEOUT).await, Ended::Returned(1)));
    }

    #[test]
    fn what_panicked_is_gone_without() {
        assert_eq!(caught(|| "App a/b".to_owned(), || panic!("an index of {}", 7)), None::<()>);
        assert_eq!(caught(|| "App a/b".to_owned(), || 1), Some(1));
    }

    #[tokio::test(start_paused = true)]
    async fn work_that_hangs_is_given_up() {
        assert!(matches!(isolated(pending::<()>(), TIMEOUT).await, Ended::TimedOut));
    }
}
