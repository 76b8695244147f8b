//! Roles, derived from the table of managed kinds: least privilege, no wildcard.

use crate::api::GROUP;
use crate::core::kind::ParentKind;
use crate::shell::kinds::{MANAGED, OBSERVED, Observable, Rights, Row, Watched};
use crate::shell::{metrics_auth, secret_key};
use serde_json::{Value, json};

/// One role of the operator.
#[derive(Debug)]
pub struct Grant {
    /// Its name.
    pub name: &'static str,
    /// Where it is bound.
    pub place: Place,
    /// Its rules.
    pub rules: Vec<Value>,
}

/// Where a role is bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In every namespace that is watched.
    Watched,
    /// In the namespaces that an admin chooses, one by one.
    Chosen,
    /// In the operator's own namespace.
    Own,
    /// In the cluster.
    Cluster,
    /// To others than the operator, by an admin.
    Others,
}

/// Rights that an admin adds where they are wanted; without them the operator says what it lacks.
#[derive(Debug)]
pub struct Component {
    /// Its folder below `deploy/components`.
    pub name: &'static str,
    /// What an admin gets by it.
    pub what: &'static str,
    /// What it grants.
    pub grants: fn() -> Vec<Grant>,
}

/// Every component.
pub static COMPONENTS: &[Component] = &[
    Component {
        name: "config-secrets",
        what: "An App is rolled out anew when a Secret changes that it reads.",
        grants: config_secrets,
    },
    Component {
        name: "events",
        what: "`kubectl describe` shows what the operator did, and statuses tell what kubelets and storage drivers complain of.",
        grants: events,
    },
    Component {
        name: "metrics-auth",
        what: "Metrics are for accounts only that may get the path /metrics.",
        grants: metrics_auth,
    },
    Component {
        name: "monitoring",
        what: "Apps with `monitoring` are scraped, where prometheus-operator is installed.",
        grants: || vec![optional("moorage-monitoring", "monitoring")],
    },
    Component {
        name: "owner-references",
        what: "What OpenShift asks for, and every cluster with the admission plugin OwnerReferencesPermissionEnforcement.",
        grants: owner_references,
    },
    Component {
        name: "registry-secrets",
        what: "Registries may have several replicas, whose pods share a Secret.",
        grants: registry_secrets,
    },
];

fn rule(group: &str, resources: &[String], verbs: &[&str]) -> Value {
    json!({"apiGroups": [group], "resources": resources, "verbs": verbs})
}

fn parents(suffix: &str) -> Vec<String> {
    ParentKind::ALL.iter().map(|kind| format!("{}{suffix}", kind.plural())).collect()
}

fn managed(which: impl Fn(&Row) -> bool, verbs: &[&str]) -> Vec<Value> {
    let rows = MANAGED.iter().filter(|row| which(row));
    rows.map(|row| rule(row.group, &[row.plural.to_owned()], verbs)).collect()
}

fn observed(which: impl Fn(&Watched) -> bool) -> Vec<Value> {
    let kinds = OBSERVED.iter().filter(|watched| which(watched));
    let verbs = |watched: &Watched| if watched.read { &["get", "list", "watch"][..] } else { &["list", "watch"][..] };
    kinds.map(|watched| rule(watched.group, &[watched.plural.to_owned()], verbs(watched))).collect()
}

/// Keeping what is not made unseen, as the table says.
fn kept(which: impl Fn(&Row) -> bool) -> Vec<Value> {
    let mut rules = managed(|row| which(row) && row.rights == Rights::Keep, &KEEP[..5]);
    rules.extend(managed(|row| which(row) && row.rights == Rights::Delete, KEEP));
    rules
}

/// The last one is for those that may be deleted as well.
const KEEP: &[&str] = &["get", "list", "watch", "create", "patch", "delete"];

/// What the operator can't do without, and the classes of storage, without which messages about them are less precise.
///
/// `get` is for the one read after a name turned out to be taken. A name can't restrict `create`.
pub fn base() -> Vec<Grant> {
    let mut rules = vec![rule(GROUP, &parents(""), &["list", "watch"]), rule(GROUP, &parents("/status"), &["patch"])];
    rules.extend(kept(|row| row.optional.is_none()));
    rules.extend(observed(|watched| watched.namespaced && watched.kind != Observable::Event));
    let lease = |verbs: &[&str]| rule("coordination.k8s.io", &["leases".to_owned()], verbs);
    let mut named = lease(&["list", "watch", "update"]);
    named["resourceNames"] = json!(["moorage"]);
    vec![
        Grant { name: "moorage", place: Place::Watched, rules },
        Grant { name: "moorage-cluster", place: Place::Cluster, rules: observed(|watched| !watched.namespaced) },
        Grant { name: "moorage-leader", place: Place::Own, rules: vec![named, lease(&["create"])] },
    ]
}

/// Events about our objects, and what kubelets and storage drivers complain of in theirs.
fn events() -> Vec<Grant> {
    let mut rules = vec![rule("events.k8s.io", &["events".to_owned()], &["create", "patch"])];
    rules.extend(observed(|watched| watched.kind == Observable::Event));
    vec![Grant { name: "moorage-events", place: Place::Watched, rules }]
}

/// Asking who wants to read the metrics, and reading them, for `--metrics-auth=token`.
fn metrics_auth() -> Vec<Grant> {
    let review = |group: &str, resource: &str| rule(group, &[resource.to_owned()], &["create"]);
    let reviews =
        vec![review("authentication.k8s.io", "tokenreviews"), review("authorization.k8s.io", "subjectaccessreviews")];
    let read = vec![json!({"nonResourceURLs": [metrics_auth::PATH], "verbs": ["get"]})];
    vec![
        Grant { name: "moorage-metrics-auth", place: Place::Cluster, rules: reviews },
        Grant { name: "moorage-metrics-reader", place: Place::Others, rules: read },
    ]
}

/// Keeping the optional kinds that a component is for.
fn optional(name: &'static str, component: &str) -> Grant {
    let is_for = |row: &Row| row.optional.as_ref().is_some_and(|provider| provider.component == component);
    Grant { name, place: Place::Watched, rules: kept(is_for) }
}

/// What the admission plugin `OwnerReferencesPermissionEnforcement` asks for (it is on on `OpenShift`): to change the owner
/// references of an object is for those who may delete it, and to block the deletion of an owner for those who may update its
/// finalizers.
fn owner_references() -> Vec<Grant> {
    let mut rules = vec![rule(GROUP, &parents("/finalizers"), &["update"])];
    rules.extend(managed(|row| row.rights == Rights::Keep, &["delete"]));
    vec![Grant { name: "moorage-owner-references", place: Place::Watched, rules }]
}

/// Following the Secrets that Apps read, and the key of the hashes by which that is done.
fn config_secrets() -> Vec<Grant> {
    let rules = vec![secrets(&["get", "list", "watch"])];
    vec![Grant { name: "moorage-config-secrets", place: Place::Chosen, rules }, key("moorage-config-key")]
}

/// Making the shared Secrets of Registries, and the key from which they are derived.
fn registry_secrets() -> Vec<Grant> {
    vec![
        Grant {
            name: "moorage-registry-secrets",
            place: Place::Watched,
            rules: managed(|row| row.rights == Rights::Make, &["create"]),
        },
        key("moorage-registry-key"),
    ]
}

fn secrets(verbs: &[&str]) -> Value {
    rule("", &["secrets".to_owned()], verbs)
}

/// Reading and making the operator's own key. A name can't restrict `create`.
fn key(name: &'static str) -> Grant {
    let mut read = secrets(&["get"]);
    read["resourceNames"] = json!([secret_key::NAME]);
    Grant { name, place: Place::Own, rules: vec![read, secrets(&["create"])] }
}

/// Rules of the roles that are aggregated into the cluster's own `view` and `edit`.
pub fn users(verbs: &[&str]) -> Vec<Value> {
    let mut rules = vec![rule(GROUP, &parents(""), verbs)];
    if verbs.contains(&"patch") {
        rules.push(rule(GROUP, &["apps/scale".to_owned()], &["get", "update", "patch"]));
    }
    rules
}
