//! Errors of the shell, each with the class that decides on the retry.

use super::body::BodyError;
use crate::core::live::LARGEST;
use crate::core::plan::ErrorClass;
use crate::core::reason::Reason;
use crate::core::text::list;
use kube::core::Status;

/// Most fields named in a message.
const FIELDS: usize = 8;

/// Why a reconcile could not finish.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A request failed.
    #[error("failed to {action}: {source}")]
    Request {
        /// What was tried, such as `apply Service shop`.
        action: String,
        /// Why it failed.
        #[source]
        source: Box<kube::Error>,
    },
    /// Another replica leads now; nothing may be written.
    #[error("failed to {action}: this replica no longer leads")]
    NotLeader {
        /// What was tried.
        action: String,
    },
    /// A cached object is not what its type says.
    #[error("failed to read {object}: {source}")]
    Decode {
        /// Which object.
        object: String,
        /// Why.
        #[source]
        source: BodyError,
    },
    /// An object is larger than what is read of one.
    #[error("spec: larger than {} KiB, which is all that is read of one object; nothing is changed until it is smaller. Move what \
        is large into ConfigMaps or Secrets, and mount or refer to them", LARGEST / 1024)]
    TooLarge,
}

impl Error {
    /// How to treat it.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Request { .. } if self.is_mismatch() => ErrorClass::Unavailable,
            Self::Request { source, .. } => class(source),
            Self::NotLeader { .. } => ErrorClass::Unavailable,
            Self::Decode { .. } | Self::TooLarge => ErrorClass::Invalid,
        }
    }

    /// If the object itself can't be read: what to tell of it.
    pub fn unreadable(&self) -> Option<(Reason, String)> {
        match self {
            Self::Decode { .. } => Some((
                Reason::InvalidSpec,
                format!(
                    "spec: can't be read by this version of the operator, so nothing is changed ({self}); upgrade the operator, or take out what it does not know"
                ),
            )),
            Self::TooLarge => Some((Reason::TooLarge, self.to_string())),
            Self::Request { .. } | Self::NotLeader { .. } => None,
        }
    }

    /// The API server's answer, if there was one.
    pub fn status(&self) -> Option<&Status> {
        match self {
            Self::Request { source, .. } => status(source),
            Self::NotLeader { .. } | Self::Decode { .. } | Self::TooLarge => None,
        }
    }

    /// The HTTP code of the answer, 0 if there was none.
    pub fn code(&self) -> u16 {
        self.status().map_or(0, |status| status.code)
    }

    /// Whether other requests would fail as well for now: the API server has too much to do, or this replica has not.
    pub fn concerns_all(&self) -> bool {
        matches!(self, Self::NotLeader { .. }) || [429, 503].contains(&self.code())
    }

    /// Whether the API server has no object of that name; one that does not serve the kind at all says nothing about it.
    pub fn is_gone(&self) -> bool {
        self.status().is_some_and(|status| status.code == 404 && status.reason == "NotFound")
    }

    /// Whether the object that was meant is not the one that stands there: 409, or 422 for a UID that is another's.
    pub fn is_mismatch(&self) -> bool {
        let foreign_uid = |status: &Status| {
            let causes = status.details.iter().flat_map(|details| &details.causes);
            status.code == 422 && causes.into_iter().any(|cause| cause.field == "metadata.uid")
        };
        self.code() == 409 || self.status().is_some_and(foreign_uid)
    }

    /// What the API server says of fields, each first; `None` where it names none.
    pub fn fields(&self) -> Option<String> {
        let causes = &self.status()?.details.as_ref()?.causes;
        let named = causes.iter().filter(|cause| !cause.field.is_empty());
        let told: Vec<String> = named.map(|cause| format!("{}: {}", cause.field, cause.message)).collect();
        (!told.is_empty()).then(|| told.join("; "))
    }

    /// What to tell the user: the API server's own words where there are any.
    pub fn message(&self) -> String {
        match self.status() {
            Some(status) if is_unknown_field(status) => unknown_fields(&status.message),
            Some(status) if !status.message.is_empty() => status.message.clone(),
            _ => self.to_string(),
        }
    }
}

/// The API server's answer in an error, if there was one.
pub fn status(error: &kube::Error) -> Option<&Status> {
    match error {
        kube::Error::Api(status) => Some(status),
        _ => None,
    }
}

/// How to treat a failed request.
pub fn class(error: &kube::Error) -> ErrorClass {
    match status(error) {
        Some(status) => match status.code {
            400 | 413 | 422 => ErrorClass::Invalid,
            500 if is_unknown_field(status) || status.message.starts_with(UNTYPED) => ErrorClass::Invalid,
            401 | 403 => denied(status),
            _ => ErrorClass::Unavailable,
        },
        None => ErrorClass::Unavailable,
    }
}

/// What the API server says of each field that it does not know, as one of an older version does. It answers with code 500 then: it is
/// said by `structured-merge-diff`, before the object is validated.
const UNKNOWN_FIELD: &str = ": field not declared in schema";

/// What it says, by the same code, of all that it can't make sense of by its schema, such as an item that is there twice.
const UNTYPED: &str = "failed to create typed patch object";

fn is_unknown_field(status: &Status) -> bool {
    status.message.contains(UNKNOWN_FIELD)
}

/// What to tell of an object that has such fields.
fn unknown_fields(message: &str) -> String {
    let before = message.lines().filter_map(|line| line.split_once(UNKNOWN_FIELD));
    let fields = before.filter_map(|(before, _)| before.rsplit(' ').next()).map(|field| field.trim_start_matches('.'));
    format!(
        "the API server does not know {}: this cluster doesn't support that. Leave it out of the spec, or upgrade the cluster",
        list(fields, FIELDS, ", ")
    )
}

/// Two refusals with 403 pass by themselves: by a namespace on its way out, and by the admission plugin
/// `OwnerReferencesPermissionEnforcement` for up to ten seconds after the definition of the owner's kind was installed.
fn denied(status: &Status) -> ErrorClass {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    let terminating = causes.into_iter().any(|cause| cause.reason == "NamespaceTerminating");
    if terminating || status.message.contains(KIND_NOT_YET_KNOWN) {
        ErrorClass::Unavailable
    } else {
        ErrorClass::Denied
    }
}

/// What that plugin says of an owner whose kind it does not know yet: it looks up all kinds every ten seconds.
const KIND_NOT_YET_KNOWN: &str = "cannot find RESTMapping";

#[cfg(test)]
mod tests {
    use super::{Error, ErrorClass};
    use kube::core::Status;

    fn refused(code: u16, message: &str) -> Error {
        let status = Status { code, message: message.to_owned(), ..Status::default() };
        Error::Request {
            action: "apply Deployment web".to_owned(),
            source: Box::new(kube::Error::Api(Box::new(status))),
        }
    }

    #[test]
    fn what_is_refused_only_until_a_kind_is_known_is_a_passing_failure() {
        let of_the_plugin = |why: &str| {
            let what = "serviceaccounts \"shop\" is forbidden: cannot set blockOwnerDeletion";
            refused(403, &format!("{what} {why}")).class()
        };
        let unknown = "in this case because cannot find RESTMapping for APIVersion moorage.dev/v1alpha1 Kind App: \
                       no matches for kind \"App\" in version \"moorage.dev/v1alpha1\"";
        assert_eq!(of_the_plugin(unknown), ErrorClass::Unavailable);
        let unauthorized = "if an ownerReference refers to a resource you can't set finalizers on: , <nil>";
        assert_eq!(of_the_plugin(unauthorized), ErrorClass::Denied);
    }

    #[test]
    fn a_field_that_an_older_api_server_does_not_know_is_no_passing_failure() {
        let one = "failed to create typed patch object (shop/web; apps/v1, Kind=Deployment): \
                   .spec.template.spec.containers[name=\"web\"].lifecycle.stopSignal: field not declared in schema";
        let error = refused(500, one);
        assert_eq!(error.class(), ErrorClass::Invalid);
        let told = error.message();
        assert!(
            told.starts_with(
                "the API server does not know spec.template.spec.containers[name=\"web\"].lifecycle.stopSignal: this"
            ),
            "{told}"
        );
        let two = "failed to create typed patch object (shop/web; apps/v1, Kind=Deployment): errors:\n  .spec.a: field not declared in schema\n  \
                   .spec.b: field not declared in schema";
        assert!(refused(500, two).message().contains("know spec.a, spec.b: "), "{}", refused(500, two).message());
        let twice = "failed to create typed patch object (shop/web; apps/v1, Kind=Deployment): \
                     .spec.template.spec.containers[name=\"web\"].volumeMounts: duplicate entries for key [mountPath=\"/data\"]";
        assert_eq!(refused(500, twice).class(), ErrorClass::Invalid);
        assert_eq!(refused(500, "etcdserver: request timed out").class(), ErrorClass::Unavailable);
    }
}
