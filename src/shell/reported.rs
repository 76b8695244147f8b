//! When a status was last written: small news wait for each other, and a fight over a status is slow.

use std::time::Duration;
use tokio::time::Instant;

/// How long counts and messages wait for each other. Truth that a user waits for is told at once.
pub const GATHERING: Duration = Duration::from_secs(3);

/// So many writes may follow each other faster, for truth that a user waits for. More are a fight with somebody who writes the
/// same status, and would be as many as the API server takes.
const BURST: u32 = 8;
/// After that time without a write the next ones are another burst.
const CALM: Duration = Duration::from_secs(10);

/// When a status was last written.
#[derive(Clone, Debug)]
pub struct Reported {
    /// UID of what it is the status of.
    uid: Box<str>,
    at: Instant,
    /// How many writes before it belong to the same burst.
    before: u32,
    /// Reason of the last alarm, until it is told that it is over.
    pub alarm: Option<String>,
}

impl Reported {
    /// One more write, now. What had the same name before is another: its alarm is none of this one.
    pub fn next(last: Option<Self>, uid: &str) -> Self {
        let last = last.filter(|last| last.is_of(uid));
        let same_burst = last.as_ref().filter(|last| last.at.elapsed() < CALM);
        let before = same_burst.map_or(0, |last| last.before.saturating_add(1));
        Self { uid: uid.into(), at: Instant::now(), before, alarm: last.and_then(|last| last.alarm) }
    }

    /// Whether it is of what has that UID.
    pub fn is_of(&self, uid: &str) -> bool {
        *self.uid == *uid
    }

    /// How long the next write is to wait.
    pub fn rest(&self, urgent: bool) -> Option<Duration> {
        let rest = GATHERING.checked_sub(self.at.elapsed()).filter(|rest| !rest.is_zero())?;
        (!urgent || self.before >= BURST).then_some(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::{BURST, CALM, Duration, GATHERING, Reported};

    #[tokio::test(start_paused = true)]
    async fn small_news_wait_and_what_is_urgent_does_not() {
        let first = Reported::next(None, "u");
        assert_eq!((first.rest(false), first.rest(true)), (Some(GATHERING), None));
        tokio::time::advance(GATHERING).await;
        assert_eq!(first.rest(false), None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_urgent_again_and_again_waits_too_until_it_is_calm() {
        let mut last = Reported::next(None, "u");
        for _ in 0..BURST {
            assert_eq!(last.rest(true), None);
            last = Reported::next(Some(last), "u");
        }
        for _ in 0..10 {
            assert_eq!(last.rest(true), Some(GATHERING));
            tokio::time::advance(GATHERING + Duration::from_millis(1)).await;
            last = Reported::next(Some(last), "u");
        }
        tokio::time::advance(CALM).await;
        assert_eq!(Reported::next(Some(last), "u").rest(true), None);
    }

    /// A late answer about what was deleted may bring it back.
    #[tokio::test(start_paused = true)]
    async fn what_comes_later_under_its_name_has_no_part_in_it() {
        let mut first = Reported::next(None, "first");
        first.alarm = Some("ErrImagePull".to_owned());
        assert_eq!(Reported::next(Some(first.clone()), "second").alarm, None);
        assert_eq!(Reported::next(Some(first), "first").alarm.as_deref(), Some("ErrImagePull"));
    }
}
