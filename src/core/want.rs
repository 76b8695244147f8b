//! What a plan asks for that no watch tells. It never waits: it is made with what is known, and made again once more is.

use super::known::Known;
use super::revisions::Parts;
use serde_json::Value;
use std::fmt;
use std::sync::Arc;

/// A fact that somebody has to look up. Whatever makes an answer outdated is a part of it, so that an answer is good for ever.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Want {
    /// The pod template of a revision, less what its Deployment added to it.
    Template {
        /// Name of its `ReplicaSet`.
        replica_set: Box<str>,
        /// As the watch told it.
        parts: Parts,
    },
}

/// What is known of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// The fact.
    pub found: Known<Arc<Value>>,
    /// Why it is not known, if the last look failed.
    pub trouble: Option<Box<str>>,
}

impl fmt::Display for Want {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Template { replica_set, parts: _ } => write!(formatter, "ReplicaSet {replica_set}"),
        }
    }
}
