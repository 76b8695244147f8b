//! What a parent refers to and does not make: a change of it concerns the parent.

use std::fmt;

/// Kinds that can be referred to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ReferenceKind {
    /// A `StorageClaim` that is mounted.
    StorageClaim,
    /// A `PersistentVolumeClaim` that is mounted, by the name of which there may be a `StorageClaim` too.
    PersistentVolumeClaim,
    /// A `ConfigMap` that pods read.
    ConfigMap,
    /// A Secret that pods read.
    Secret,
}

impl ReferenceKind {
    /// The name of the kind.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::StorageClaim => "StorageClaim",
            Self::PersistentVolumeClaim => "PersistentVolumeClaim",
            Self::ConfigMap => "ConfigMap",
            Self::Secret => "Secret",
        }
    }

    /// The component below `deploy/components` that gives the right to look at objects of the kind, namespace by namespace; `None`
    /// if the operator has that anyway.
    pub const fn component(self) -> Option<&'static str> {
        match self {
            Self::StorageClaim | Self::PersistentVolumeClaim | Self::ConfigMap => None,
            Self::Secret => Some("config-secrets"),
        }
    }

    /// Whether whoever changes several objects of the kind, or one several times, means one change.
    pub const fn changes_together(self) -> bool {
        match self {
            Self::StorageClaim | Self::PersistentVolumeClaim => false,
            Self::ConfigMap | Self::Secret => true,
        }
    }
}

/// One object that a parent refers to, in the parent's own namespace.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    /// Its kind.
    pub kind: ReferenceKind,
    /// Its name.
    pub name: Box<str>,
}

impl Reference {
    /// The reference to an object of that name.
    pub fn new(kind: ReferenceKind, name: &str) -> Self {
        Self { kind, name: name.into() }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.kind.as_str(), self.name)
    }
}
