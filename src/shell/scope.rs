//! Which namespaces are watched, and so which watches there are.

use super::key::Key;
use super::kinds::Subject;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// The namespaces that are watched: these, or all where none is named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope(BTreeSet<Arc<str>>);

/// Where a watch looks.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// Into all namespaces, or at what lives in none.
    Everywhere,
    /// Into one namespace.
    In(Arc<str>),
}

/// One watch: of a kind, in a place.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Watch {
    /// Where it looks.
    pub place: Place,
    /// What it is for.
    pub subject: Subject,
}

impl Scope {
    /// The scope of these namespaces.
    pub fn new(namespaces: &[String]) -> Self {
        Self(namespaces.iter().map(|name| name.as_str().into()).collect())
    }

    /// The places in which objects are worked on.
    pub fn places(&self) -> Vec<Place> {
        if self.0.is_empty() { vec![Place::Everywhere] } else { self.0.iter().cloned().map(Place::In).collect() }
    }

    /// The place in which an object of that namespace is watched.
    pub fn place(&self, namespace: &str) -> Place {
        if self.0.is_empty() {
            return Place::Everywhere;
        }
        Place::In(self.0.get(namespace).cloned().unwrap_or_else(|| namespace.into()))
    }

    /// Every watch of what every cluster has.
    pub fn watches(&self) -> Vec<Watch> {
        Subject::all().flat_map(|subject| self.watches_of(subject)).collect()
    }

    /// The watches of one kind.
    pub fn watches_of(&self, subject: Subject) -> Vec<Watch> {
        let places = if subject.resource().1 { self.places() } else { vec![Place::Everywhere] };
        places.into_iter().map(move |place| Watch { place, subject }).collect()
    }
}

impl Place {
    /// Whether objects of that namespace are seen from there.
    pub fn covers(&self, namespace: &str) -> bool {
        match self {
            Self::Everywhere => true,
            Self::In(name) => **name == *namespace,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everywhere => formatter.write_str("all namespaces"),
            Self::In(namespace) => formatter.write_str(namespace),
        }
    }
}

impl fmt::Display for Watch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.subject)?;
        match &self.place {
            Place::Everywhere => Ok(()),
            Place::In(namespace) => write!(formatter, " in {namespace}"),
        }
    }
}

/// Whether a complete list of that place should have shown an object and has not.
pub fn is_unseen(key: &Key, place: &Place, seen: &BTreeSet<Key>) -> bool {
    place.covers(&key.namespace) && !seen.contains(key)
}

#[cfg(test)]
mod tests {
    use super::{Place, Scope, Subject};

    #[test]
    fn each_namespace_has_its_watches_and_what_lives_in_none_has_one() {
        let everything = Scope::default().watches();
        assert_eq!(everything.len(), Subject::all().count());
        assert!(everything.iter().all(|watch| watch.place == Place::Everywhere));
        let watches: Vec<String> =
            Scope::new(&["shop".to_owned(), "blog".to_owned()]).watches().iter().map(ToString::to_string).collect();
        assert_eq!(
            watches.len(),
            2 * Subject::all().count() - Subject::all().filter(|subject| !subject.resource().1).count()
        );
        for name in ["apps in blog", "apps in shop", "pods in blog", "storageclasses"] {
            assert_eq!(watches.iter().filter(|watch| *watch == name).count(), 1, "{name} of {watches:?}");
        }
    }
}
