//! What was done to an object of ours, for who audits: which fields changed, never to what, as a value may be secret.

use super::merge::Path;
use std::fmt;

/// What was done to one object.
#[derive(Clone, Debug, PartialEq)]
pub enum Deed {
    /// There was none.
    Created,
    /// These fields were not as wanted; none where they could not be read.
    Updated(Vec<Path>),
    /// Likewise, and they had been: somebody changed them.
    Reverted(Vec<Path>),
    /// Somebody else had made it, and consented.
    Adopted,
    /// It was deleted, to be made anew, as this field can't be changed.
    Replaced(Path),
    /// It was deleted, as nothing wants it any more.
    Deleted,
}

impl Deed {
    /// The fields that it concerns.
    pub fn fields(&self) -> &[Path] {
        match self {
            Self::Updated(fields) | Self::Reverted(fields) => fields,
            Self::Replaced(field) => std::slice::from_ref(field),
            Self::Created | Self::Adopted | Self::Deleted => &[],
        }
    }
}

impl fmt::Display for Deed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Created => "created",
            Self::Updated(_) => "updated",
            Self::Reverted(_) => "changed back",
            Self::Adopted => "adopted",
            Self::Replaced(_) => "deleted, to be made anew",
            Self::Deleted => "deleted",
        })
    }
}
