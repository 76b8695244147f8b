//! Restricted defaults of every pod, and what an author lays over them.
//!
//! They pass Pod Security "restricted" and `OpenShift`'s restricted-v2: no fixed user, as `OpenShift` assigns one.

use k8s_openapi::api::core::v1::{Capabilities, PodOS, PodSecurityContext, SeccompProfile, SecurityContext};

/// Whose defaults those are. The API server refuses what only Linux knows for a pod that says it is for Windows, and Pod Security
/// "restricted" does not ask it of such a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Os {
    /// Or nothing said.
    Linux,
    /// `os: {name: windows}`
    Windows,
}

impl Os {
    /// That of a pod.
    pub fn of(declared: Option<&PodOS>) -> Self {
        if declared.is_some_and(|os| os.name == "windows") { Self::Windows } else { Self::Linux }
    }
}

/// The pod's security context: the author's, with the restricted defaults where the author is silent.
pub fn pod(author: Option<&PodSecurityContext>, os: Os) -> PodSecurityContext {
    let author = author.cloned().unwrap_or_default();
    let profile = (os == Os::Linux).then(runtime_default);
    PodSecurityContext {
        run_as_non_root: author.run_as_non_root.or(Some(true)),
        seccomp_profile: author.seccomp_profile.clone().or(profile),
        ..author
    }
}

/// The container's security context: the author's, with the restricted defaults where the author is silent.
pub fn container(author: Option<&SecurityContext>, os: Os) -> SecurityContext {
    let author = author.cloned().unwrap_or_default();
    if os == Os::Windows {
        return author;
    }
    let privileged = author.privileged == Some(true);
    SecurityContext {
        allow_privilege_escalation: author.allow_privilege_escalation.or(Some(privileged)),
        capabilities: capabilities(author.capabilities.clone(), privileged),
        ..author
    }
}

/// What is added says nothing about what is dropped. A privileged container has every capability whatever it drops
/// (<https://kubernetes.io/docs/concepts/security/linux-kernel-security-constraints/>), so no default is given to it.
fn capabilities(author: Option<Capabilities>, privileged: bool) -> Option<Capabilities> {
    if privileged {
        return author;
    }
    let author = author.unwrap_or_default();
    // Whoever adds all means it; with all dropped as well the container would have none.
    let adds_all = author.add.iter().flatten().any(|name| name.eq_ignore_ascii_case("ALL"));
    let drop = author.drop.or_else(|| (!adds_all).then(|| vec!["ALL".to_owned()]));
    Some(Capabilities { drop, ..author })
}

fn runtime_default() -> SeccompProfile {
    SeccompProfile { type_: "RuntimeDefault".to_owned(), ..SeccompProfile::default() }
}

#[cfg(test)]
mod tests {
    use super::{Os, container, pod};
    use k8s_openapi::api::core::v1::{PodSecurityContext, SecurityContext};
    use schemars::{JsonSchema, schema_for};
    use serde::{Serialize, de::DeserializeOwned};
    use serde_json::{Value, json};
    use std::collections::BTreeSet;

    /// Writes each field alone: it stands as written, and each default that speaks of another field stays.
    fn each_alone<T: JsonSchema + Serialize + DeserializeOwned>(
        laid_over: fn(Option<&T>, Os) -> T,
        defaults: &[(&str, Value)],
        fields: &[(&str, Value)],
    ) {
        let fields_of_type = schema_for!(T).to_value()["properties"].as_object().unwrap().keys().cloned().collect();
        let named: BTreeSet<_> = fields.iter().map(|(path, _)| path.split('/').nth(1).unwrap().to_owned()).collect();
        assert_eq!(named, fields_of_type, "every field of the type has its line");
        for (path, value) in fields {
            let author = path.rsplit('/').filter(|name| !name.is_empty());
            let author = author.fold(value.clone(), |inner, name| json!({name: inner}));
            let made =
                serde_json::to_value(laid_over(Some(&serde_json::from_value(author).unwrap()), Os::Linux)).unwrap();
            assert_eq!(made.pointer(path), Some(value), "{made}");
            for (default, value) in defaults.iter().filter(|(default, _)| default != path) {
                assert_eq!(made.pointer(default), Some(value), "{made}");
            }
        }
    }

    #[test]
    fn what_the_author_did_not_write_is_never_looser_for_what_they_wrote() {
        let defaults = [("/allowPrivilegeEscalation", json!(false)), ("/capabilities/drop", json!(["ALL"]))];
        let fields = [
            ("/allowPrivilegeEscalation", json!(true)),
            ("/appArmorProfile", json!({"type": "Unconfined"})),
            ("/capabilities/add", json!(["CHOWN"])),
            ("/capabilities/drop", json!(["NET_RAW"])),
            ("/capabilities/drop", json!([])),
            ("/privileged", json!(false)),
            ("/procMount", json!("Unmasked")),
            ("/readOnlyRootFilesystem", json!(false)),
            ("/runAsGroup", json!(0)),
            ("/runAsNonRoot", json!(false)),
            ("/runAsUser", json!(0)),
            ("/seLinuxOptions", json!({"type": "spc_t"})),
            ("/seccompProfile", json!({"type": "Unconfined"})),
            ("/windowsOptions", json!({"hostProcess": true})),
        ];
        each_alone::<SecurityContext>(container, &defaults, &fields);

        let defaults = [("/runAsNonRoot", json!(true)), ("/seccompProfile", json!({"type": "RuntimeDefault"}))];
        let fields = [
            ("/appArmorProfile", json!({"type": "Unconfined"})),
            ("/fsGroup", json!(0)),
            ("/fsGroupChangePolicy", json!("Always")),
            ("/runAsGroup", json!(0)),
            ("/runAsNonRoot", json!(false)),
            ("/runAsUser", json!(0)),
            ("/seLinuxChangePolicy", json!("Recursive")),
            ("/seLinuxOptions", json!({"type": "spc_t"})),
            ("/seccompProfile", json!({"type": "Unconfined"})),
            ("/supplementalGroups", json!([0])),
            ("/supplementalGroupsPolicy", json!("Merge")),
            ("/sysctls", json!([{"name": "kernel.msgmax", "value": "1"}])),
            ("/windowsOptions", json!({"hostProcess": true})),
        ];
        each_alone::<PodSecurityContext>(pod, &defaults, &fields);
    }

    /// A runtime that adds all and then drops all leaves none.
    #[test]
    fn who_adds_every_capability_has_them() {
        let author = serde_json::from_value(json!({"capabilities": {"add": ["ALL"]}})).unwrap();
        let made = serde_json::to_value(container(Some(&author), Os::Linux)).unwrap();
        assert_eq!(made["capabilities"], json!({"add": ["ALL"]}));
    }

    /// The API server refuses `allowPrivilegeEscalation: false` beside `privileged: true`.
    #[test]
    fn privileged_is_given_no_default_that_contradicts_it() {
        for capabilities in [json!(null), json!({"add": ["CHOWN"]}), json!({"drop": ["ALL"]})] {
            let author = serde_json::from_value(json!({"privileged": true, "capabilities": capabilities})).unwrap();
            let made = serde_json::to_value(container(Some(&author), Os::Linux)).unwrap();
            assert_eq!(made["allowPrivilegeEscalation"], true);
            assert_eq!(made["capabilities"], capabilities);
        }
    }

    #[test]
    fn a_pod_for_windows_is_given_nothing_that_windows_lacks() {
        assert_eq!(serde_json::to_value(container(None, Os::Windows)).unwrap(), json!({}));
        assert_eq!(serde_json::to_value(pod(None, Os::Windows)).unwrap(), json!({"runAsNonRoot": true}));
        let author = serde_json::from_value(json!({"runAsNonRoot": false})).unwrap();
        assert_eq!(serde_json::to_value(pod(Some(&author), Os::Windows)).unwrap(), json!({"runAsNonRoot": false}));
    }
}
