//! How a reconcile ended, for the queue and for the metrics.

use crate::core::plan::ErrorClass;
use std::time::Duration;

/// How a reconcile ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// Nothing more to do until something moves.
    Settled,
    /// Look again after that time.
    Again(Duration),
    /// The cache was late; look again at once.
    Late,
    /// Something failed; try again with backoff, or after that time if that is sooner.
    Failed(ErrorClass, Option<Duration>),
}

/// How a reconcile ended, as a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReconcileResult {
    /// Nothing more to do.
    Settled,
    /// Waits for a moment.
    Again,
    /// The spec or an object is invalid.
    Invalid,
    /// A name is taken.
    Conflict,
    /// Refused by RBAC, quota or admission.
    Denied,
    /// A fault of the operator.
    Internal,
    /// A request failed in passing.
    Unavailable,
    /// The deadline passed.
    Timeout,
    /// It panicked.
    Panic,
}

impl ReconcileResult {
    /// The result of a reconcile that ended by itself.
    pub const fn of(done: Done) -> Self {
        match done {
            Done::Settled => Self::Settled,
            Done::Again(_) | Done::Late => Self::Again,
            Done::Failed(ErrorClass::Invalid, _) => Self::Invalid,
            Done::Failed(ErrorClass::Conflict, _) => Self::Conflict,
            Done::Failed(ErrorClass::Denied, _) => Self::Denied,
            Done::Failed(ErrorClass::Internal, _) => Self::Internal,
            Done::Failed(ErrorClass::Unavailable, _) => Self::Unavailable,
        }
    }

    /// Every result.
    pub const ALL: [Self; 9] = [
        Self::Settled,
        Self::Again,
        Self::Invalid,
        Self::Conflict,
        Self::Denied,
        Self::Internal,
        Self::Unavailable,
        Self::Timeout,
        Self::Panic,
    ];

    /// The label's value.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Settled => "settled",
            Self::Again => "again",
            Self::Invalid => "invalid",
            Self::Conflict => "conflict",
            Self::Denied => "denied",
            Self::Internal => "internal",
            Self::Unavailable => "unavailable",
            Self::Timeout => "timeout",
            Self::Panic => "panic",
        }
    }
}
