//! What the queue and the caches are keyed by.

use super::queue::Tenant;
use crate::core::kind::ParentKind;
use std::fmt;
use std::sync::Arc;

/// Namespace and name of an object.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// Namespace, empty for cluster-scoped objects.
    pub namespace: Arc<str>,
    /// Name.
    pub name: Arc<str>,
}

impl Key {
    /// The key of an object.
    pub fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    /// The key of another object of the same namespace.
    #[must_use]
    pub fn sibling(&self, name: &str) -> Self {
        Self { namespace: Arc::clone(&self.namespace), name: name.into() }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.namespace, self.name)
    }
}

/// One parent object: what the queue hands out.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ParentKey {
    /// Its kind.
    pub kind: ParentKind,
    /// Its namespace and name.
    pub key: Key,
}

/// Parents to wake.
pub type Wake = Vec<ParentKey>;

impl ParentKey {
    /// The key of a parent.
    pub const fn new(kind: ParentKind, key: Key) -> Self {
        Self { kind, key }
    }
}

impl Tenant for ParentKey {
    fn tenant(&self) -> Arc<str> {
        Arc::clone(&self.key.namespace)
    }
}

impl fmt::Display for ParentKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.kind.as_str(), self.key)
    }
}
