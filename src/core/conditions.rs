//! Conditions: made as a list of wanted ones, merged with the old so that times move only when a status does.

use super::reason::Reason;
use super::text::{MESSAGE, cut};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// Type of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// The summary.
    Ready,
    /// Work is going on (kstatus); present only while true.
    Reconciling,
    /// The user must act (kstatus); present only while true.
    Stalled,
    /// It serves.
    Available,
    /// A change is on its way.
    Progressing,
    /// A part of it fails.
    Degraded,
    /// Others added to what its pods may do; present only while true.
    Altered,
    /// The claim has a volume.
    Bound,
    /// The volume has the declared size.
    Resized,
    /// Something mounts the claim.
    InUse,
}

impl Type {
    /// The type as it stands in the condition.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Reconciling => "Reconciling",
            Self::Stalled => "Stalled",
            Self::Available => "Available",
            Self::Progressing => "Progressing",
            Self::Degraded => "Degraded",
            Self::Altered => "Altered",
            Self::Bound => "Bound",
            Self::Resized => "Resized",
            Self::InUse => "InUse",
        }
    }
}

/// A condition that should stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Its type.
    pub type_: Type,
    /// True or False; what can't be known is said in the message of a False one.
    pub status: bool,
    /// Why.
    pub reason: Reason,
    /// Which object, what is wrong and what to do; empty when all is well.
    pub message: String,
}

/// Shorthand for a [`Wanted`].
pub fn condition(type_: Type, status: bool, reason: Reason, message: impl Into<String>) -> Wanted {
    Wanted { type_, status, reason, message: message.into() }
}

/// The summary, with `Reconciling` or `Stalled` beside it as kstatus wants them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Summary {
    /// Everything is as declared.
    Ready(Reason, String),
    /// It will become ready by itself.
    Waiting(Reason, String),
    /// The user must act.
    Stalled(Reason, String),
    /// It was ready, or may be, and is not: neither a change under way nor for the user to fix by a new spec.
    Impaired(Reason, String),
}

/// What is to be expected of what is not ready.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Outlook {
    /// It becomes ready by itself.
    #[default]
    Waits,
    /// It can't become ready by itself.
    Stalled,
    /// No change is under way, and no new spec would mend it.
    Impaired,
}

impl Outlook {
    /// The summary that says so.
    pub const fn summary(self, reason: Reason, message: String) -> Summary {
        match self {
            Self::Waits => Summary::Waiting(reason, message),
            Self::Stalled => Summary::Stalled(reason, message),
            Self::Impaired => Summary::Impaired(reason, message),
        }
    }
}

impl Summary {
    /// The same, for another cause; what is ready goes on, and is not as it should be.
    #[must_use]
    pub fn because(self, reason: Reason, message: String) -> Self {
        match self {
            Self::Ready(_, _) | Self::Impaired(_, _) => Self::Impaired(reason, message),
            Self::Waiting(_, _) => Self::Waiting(reason, message),
            Self::Stalled(_, _) => Self::Stalled(reason, message),
        }
    }

    /// What it says.
    pub fn message(&self) -> &str {
        match self {
            Self::Ready(_, message)
            | Self::Waiting(_, message)
            | Self::Stalled(_, message)
            | Self::Impaired(_, message) => message,
        }
    }

    /// The conditions that say it.
    pub fn conditions(&self) -> Vec<Wanted> {
        match self {
            Self::Ready(reason, message) => vec![condition(Type::Ready, true, *reason, message)],
            Self::Impaired(reason, message) => vec![condition(Type::Ready, false, *reason, message)],
            Self::Waiting(reason, message) => vec![
                condition(Type::Ready, false, *reason, message),
                condition(Type::Reconciling, true, *reason, message),
            ],
            Self::Stalled(reason, message) => {
                vec![condition(Type::Ready, false, *reason, message), condition(Type::Stalled, true, *reason, message)]
            }
        }
    }
}

/// The wanted conditions in full, with the time of the last change of status taken from `old`.
pub fn merge(old: &[Condition], wanted: Vec<Wanted>, generation: i64, now: Timestamp) -> Vec<Condition> {
    wanted
        .into_iter()
        .map(|Wanted { type_, status, reason, message }| {
            let status = if status { "True" } else { "False" };
            let unchanged = old.iter().find(|before| before.type_ == type_.as_str() && before.status == status);
            Condition {
                type_: type_.as_str().to_owned(),
                status: status.to_owned(),
                reason: reason.as_str().to_owned(),
                message: cut(&message, MESSAGE),
                observed_generation: Some(generation),
                last_transition_time: unchanged
                    .map_or_else(|| Time(whole_seconds(now)), |before| before.last_transition_time.clone()),
            }
        })
        .collect()
}

/// The API keeps whole seconds; a finer time would differ from what is read back.
fn whole_seconds(now: Timestamp) -> Timestamp {
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}

/// The condition of that type.
pub fn find(conditions: &[Condition], type_: Type) -> Option<&Condition> {
    conditions.iter().find(|condition| condition.type_ == type_.as_str())
}

/// Whether `new` tells something a user must learn at once: that it is ready, stuck, failing, altered or no longer available,
/// or that it speaks of another generation. Everything else (counts, messages, steps on the way to ready) may wait a
/// moment and be told together.
pub fn is_urgent(old: &[Condition], new: &[Condition]) -> bool {
    new.iter().filter_map(news).any(|item| !old.iter().filter_map(news).any(|before| before == item))
}

/// What of one condition is news.
fn news(condition: &Condition) -> Option<(&str, &str, &str, Option<i64>)> {
    let (type_, status) = (condition.type_.as_str(), condition.status.as_str());
    let reason = match (type_, status) {
        ("Available" | "Ready", "False") => "",
        ("Ready" | "Stalled" | "Degraded" | "Altered", _) => condition.reason.as_str(),
        _ => return None,
    };
    Some((type_, status, reason, condition.observed_generation))
}

#[cfg(test)]
mod tests {
    use super::{Reason, Summary, Type, find, merge};
    use jiff::Timestamp;

    #[test]
    fn time_moves_only_with_the_status() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let ready = |message: &str| Summary::Ready(Reason::AsExpected, message.into()).conditions();
        let first = merge(&[], ready("a"), 1, at(10));
        let second = merge(&first, ready("b"), 2, at(20));
        assert_eq!(first[0].last_transition_time, second[0].last_transition_time);
        let third = merge(&second, Summary::Waiting(Reason::RollingOut, String::new()).conditions(), 2, at(30));
        assert_eq!(find(&third, Type::Ready).unwrap().last_transition_time.0, at(30));
    }

    #[test]
    fn kstatus_types_are_present_only_while_true() {
        assert_eq!(Summary::Ready(Reason::AsExpected, String::new()).conditions().len(), 1);
        assert_eq!(Summary::Stalled(Reason::Denied, String::new()).conditions()[1].type_, Type::Stalled);
        assert_eq!(Summary::Waiting(Reason::Applying, String::new()).conditions()[1].type_, Type::Reconciling);
    }
}
