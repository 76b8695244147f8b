//! What holds the operator's own power: pods of others are not to have it.
//!
//! Whoever may write our kinds beside the operator could else run a pod as the operator. Elsewhere such names are nobody's.

/// The operator itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Own {
    /// Its namespace.
    pub namespace: String,
    /// Its `ServiceAccount`.
    pub service_account: String,
    /// The Secret with its key.
    pub key: String,
}

/// What a spec names for its pods to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named<'a> {
    /// A `ServiceAccount` to run as.
    ServiceAccount(&'a str),
    /// A Secret to read, or to pull images with.
    Secret(&'a str),
    /// A `ConfigMap` to read.
    ConfigMap(&'a str),
}

impl Own {
    /// What is wrong with a field of an object of that namespace that names this; `None` if nothing is.
    pub fn refusal(&self, namespace: &str, field: &str, named: Named<'_>) -> Option<String> {
        let (name, own, what) = match named {
            Named::ServiceAccount(name) => (name, &self.service_account, "the operator's own ServiceAccount"),
            Named::Secret(name) => (name, &self.key, "the Secret with the operator's own key"),
            Named::ConfigMap(_) => return None,
        };
        (namespace == self.namespace && name == own)
            .then(|| format!("{field}: must not be {name}, {what}; name another"))
    }
}
