//! One thing that is wrong with a pod, and when it is there.

use super::probe::Probe;
use super::text::{QUOTE, WORD, cut};
use crate::api::common::Problem;
use jiff::Timestamp;
use serde_json::Value;

/// Something wrong with a pod, and when.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trouble {
    /// What is wrong.
    pub problem: Problem,
    /// From that second (Unix time) on.
    pub from: Option<i64>,
    /// Until that second, if nothing happens.
    pub until: Option<i64>,
    /// The probe that does not succeed.
    pub probe: Option<Probe>,
    /// When the container ended, if that may have been by a probe.
    pub stopped: Option<i64>,
}

impl Trouble {
    /// Whether it is there at that time.
    pub fn is_there(&self, now: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= now.as_second()) && self.until.is_none_or(|until| now.as_second() < until)
    }
}

impl From<Problem> for Trouble {
    fn from(problem: Problem) -> Self {
        Self { problem, ..Self::default() }
    }
}

/// A text; an empty one where there is none.
pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// A time as Unix seconds.
pub fn second(time: &Value) -> Option<i64> {
    time.as_str()?.parse::<Timestamp>().ok().map(Timestamp::as_second)
}

/// What is wrong with a pod, or one container of it.
pub fn problem(pod: &str, container: &str, reason: &str, message: &str) -> Problem {
    Problem {
        pod: cut(pod, WORD),
        container: cut(container, WORD),
        reason: cut(reason, WORD),
        message: cut(message, QUOTE),
        ..Problem::default()
    }
}
