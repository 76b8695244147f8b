//! Restricted defaults of every pod, and what an author lays over them.
//!
//! They pass Pod Security "restricted" and `OpenShift`'s restricted-v2: no fixed user, as `OpenShift` assigns one.

use k8s_openapi::api::core::v1::{Capabilities, PodSecurityContext, SeccompProfile, SecurityContext};

/// The pod's security context: the author's, with the restricted defaults where the author is silent.
pub fn pod(author: Option<&PodSecurityContext>) -> PodSecurityContext {
    let author = author.cloned().unwrap_or_default();
    PodSecurityContext {
        run_as_non_root: author.run_as_non_root.or(Some(true)),
        seccomp_profile: author.seccomp_profile.clone().or_else(|| Some(runtime_default())),
        ..author
    }
}

/// The container's security context: the author's, with the restricted defaults where the author is silent.
pub fn container(author: Option<&SecurityContext>) -> SecurityContext {
    let author = author.cloned().unwrap_or_default();
    let privileged = author.privileged == Some(true);
    SecurityContext {
        allow_privilege_escalation: author.allow_privilege_escalation.or(Some(privileged)),
        capabilities: author.capabilities.clone().or_else(|| {
            (!privileged).then(|| Capabilities { drop: Some(vec!["ALL".to_owned()]), ..Capabilities::default() })
        }),
        ..author
    }
}

fn runtime_default() -> SeccompProfile {
    SeccompProfile { type_: "RuntimeDefault".to_owned(), ..SeccompProfile::default() }
}
