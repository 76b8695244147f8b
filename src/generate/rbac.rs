//! Roles, derived from the table of managed kinds: least privilege, no wildcard.

use crate::api::GROUP;
use crate::core::kind::ParentKind;
pub use crate::registry::{KEY_ROLE as REGISTRY_KEY, SECRETS_ROLE as REGISTRY_SECRETS};
use crate::shell::kinds::{MANAGED, OBSERVED, Role, Row};
use crate::shell::secret_key;
use serde_json::{Value, json};

/// `ClusterRole` with everything namespaced that the operator can't do without.
pub const BASE: &str = "moorage";
/// `ClusterRole` with what is cluster-scoped.
pub const CLUSTER: &str = "moorage-cluster";
/// Role on the operator's own Lease.
pub const LEADER: &str = "moorage-leader";

fn rule(group: &str, resources: &[String], verbs: &[&str]) -> Value {
    json!({"apiGroups": [group], "resources": resources, "verbs": verbs})
}

/// Rights on one managed kind. `get` is for the one read after a name turned out to be taken. `delete` is for pruning, and for
/// all others because of the admission plugin `OwnerReferencesPermissionEnforcement` (it is on on `OpenShift`): whoever changes
/// the owner references of an object must be allowed to delete it.
fn managed(row: &Row) -> Value {
    rule(row.group, &[row.plural.to_owned()], &["get", "list", "watch", "create", "patch", "delete"])
}

fn of_role(role: Role) -> Vec<Value> {
    MANAGED.iter().filter(|row| row.role == role).map(managed).collect()
}

fn parents(suffix: &str) -> Vec<String> {
    ParentKind::ALL.iter().map(|kind| format!("{}{suffix}", kind.plural())).collect()
}

/// Rules of [`BASE`].
pub fn base() -> Vec<Value> {
    let mut rules = vec![
        rule(GROUP, &parents(""), &["list", "watch"]),
        rule(GROUP, &parents("/status"), &["patch"]),
        // Where OwnerReferencesPermissionEnforcement is on (OpenShift), owner references that block deletion ask for this.
        rule(GROUP, &parents("/finalizers"), &["update"]),
        rule("events.k8s.io", &["events".to_owned()], &["create", "patch"]),
    ];
    rules.extend(of_role(Role::Base));
    rules.extend(observed(true));
    rules
}

fn observed(namespaced: bool) -> Vec<Value> {
    let kinds = OBSERVED.iter().filter(|watched| watched.namespaced == namespaced);
    kinds.map(|watched| rule(watched.group, &[watched.plural.to_owned()], &["list", "watch"])).collect()
}

/// Rules of [`CLUSTER`].
pub fn cluster() -> Vec<Value> {
    observed(false)
}

/// Rules of [`REGISTRY_SECRETS`].
pub fn registry_secrets() -> Vec<Value> {
    of_role(Role::RegistrySecrets)
}

/// Rules of [`LEADER`]. A name can't restrict `create`.
pub fn leader() -> Vec<Value> {
    let lease = |verbs: &[&str]| rule("coordination.k8s.io", &["leases".to_owned()], verbs);
    let mut named = lease(&["list", "watch", "update"]);
    named["resourceNames"] = json!(["moorage"]);
    vec![named, lease(&["create"])]
}

/// Rules of [`REGISTRY_KEY`]. A name can't restrict `create`.
pub fn registry_key() -> Vec<Value> {
    let secret = |verbs: &[&str]| rule("", &["secrets".to_owned()], verbs);
    let mut named = secret(&["get"]);
    named["resourceNames"] = json!([secret_key::NAME]);
    vec![named, secret(&["create"])]
}

/// Rules of the roles that are aggregated into the cluster's own `view` and `edit`.
pub fn users(verbs: &[&str]) -> Vec<Value> {
    let mut rules = vec![rule(GROUP, &parents(""), verbs)];
    if verbs.contains(&"patch") {
        rules.push(rule(GROUP, &["apps/scale".to_owned()], &["get", "update", "patch"]));
    }
    rules
}
