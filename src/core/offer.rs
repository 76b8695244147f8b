//! Whether objects of a kind can be had that is not part of every cluster.

use super::conditions::Summary;
use super::kind::ChildKind;
use super::reason::Reason;

/// Where an optional kind comes from, in words for the user.
#[derive(Debug, PartialEq, Eq)]
pub struct Provider {
    /// What is to be installed where its API is missing.
    pub install: &'static str,
    /// The component below `deploy/components` that gives the operator its rights.
    pub component: &'static str,
}

/// Whether objects of an optional kind can be had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Offer {
    /// Not known for now: either whether the API server serves it, or which objects of it there are.
    #[default]
    Unknown,
    /// The API server does not serve it.
    Absent(&'static Provider),
    /// It is served, and the operator may not look at it.
    Denied(&'static Provider),
    /// In that version.
    Served(&'static str),
}

/// An object that is declared, and of a kind that can't be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lacking {
    /// Its kind.
    pub kind: ChildKind,
    /// Its name.
    pub name: String,
    /// What is known of the kind; never [`Offer::Served`].
    pub offer: Offer,
}

impl Lacking {
    /// What is lacking and what to do, without kind and name.
    pub fn message(&self) -> String {
        let Self { kind, .. } = self;
        match self.offer {
            Offer::Unknown | Offer::Served(_) => format!("waits until it is known which {kind}s there are"),
            Offer::Absent(provider) => format!(
                "the API server does not serve {kind}s; install {}, and it is made as soon as they are served",
                provider.install
            ),
            Offer::Denied(provider) => format!(
                "the operator has no rights on {kind}s in this namespace; apply deploy/components/{} or, where only some \
                 namespaces are watched, deploy/namespaced/tenant.yaml in this one",
                provider.component
            ),
        }
    }

    /// What the parent's Ready says of it.
    pub fn summary(&self) -> Summary {
        let message = format!("{} {}: {}", self.kind, self.name, self.message());
        match self.offer {
            Offer::Unknown | Offer::Served(_) => Summary::Waiting(Reason::Applying, message),
            Offer::Absent(_) => Summary::Stalled(Reason::ApiMissing, message),
            Offer::Denied(_) => Summary::Stalled(Reason::Denied, message),
        }
    }
}
