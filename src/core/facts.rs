//! What is remembered of a live child once its body is dropped: a few numbers and words per kind.

use super::conditions::Outlook;
use super::configuration::Configuration;
use super::kind::ChildKind;
use super::live::{Live, items};
use super::rollout::NO_DEADLINE;
use super::text::{QUOTE, WORD, cut};
use crate::api::app::NodePort;
use serde_json::Value;
use std::collections::BTreeSet;

/// What a plan or a status needs to know of a child beyond whether it is as declared.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Facts {
    /// The kind has nothing to tell.
    #[default]
    None,
    /// A Deployment.
    Workload(Box<Workload>),
    /// A `PersistentVolumeClaim`.
    Volume(Box<Volume>),
    /// A `StorageClaim`.
    Claim(Box<Claim>),
    /// A `ServiceAccount` with pull secrets.
    Account(Box<Account>),
    /// A Service that is reached from outside.
    Published(Box<Published>),
}

/// How a Service is reached from outside.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Published {
    /// Whether it is to have the address of a load balancer.
    pub balanced: bool,
    /// The addresses that it has: IPs and host names.
    pub addresses: Vec<String>,
    /// Its ports that every node opens.
    pub node_ports: Vec<NodePort>,
}

/// Pull secrets of a `ServiceAccount`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Account {
    /// `imagePullSecrets`, by name.
    pub pull_secrets: Vec<String>,
    /// Those that the App declared, from our annotation; `None` if it never declared any.
    pub declared: Option<Vec<String>>,
}

impl Account {
    /// Those that somebody else added.
    pub fn others(&self) -> impl Iterator<Item = &String> {
        self.pull_secrets.iter().filter(|name| !self.declared.iter().flatten().any(|declared| declared == *name))
    }
}

/// Progress of a Deployment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Workload {
    /// The Deployment controller has seen the current spec.
    pub observed: bool,
    /// `spec.replicas`
    pub desired: i32,
    /// Pods that exist.
    pub replicas: i32,
    /// Pods of the current template.
    pub updated: i32,
    /// Pods that are ready.
    pub ready: i32,
    /// Pods that are ready for long enough.
    pub available: i32,
    /// Pods that are stopping, which the other counts leave out.
    pub terminating: i32,
    /// Its rollout may take for ever: `spec.progressDeadlineSeconds` is [`NO_DEADLINE`].
    pub is_endless: bool,
    /// Somebody keeps new templates from reaching the pods (`spec.paused`).
    pub paused: bool,
    /// The rollout exceeded its deadline; the controller's message.
    pub stuck: Option<String>,
    /// Pods can't be created; the controller's message.
    pub refused: Option<String>,
    /// Number of the revision that the Deployment controller has made of its template.
    pub revision: Option<i32>,
    /// The `ReplicaSet` of which the Deployment controller last said that every pod was available. Under Recreate it may never say it of
    /// the current one: it takes the word on the one before for it.
    pub succeeded: Option<Box<str>>,
    /// Of which revision's template it was made in place of the declared one, from our annotation.
    pub rolled_back: Option<Box<str>>,
    /// What goes back by itself remembers, from our annotation.
    pub auto_rollback: Option<Box<str>>,
    /// Image of the pods that was the default when they were declared, and the hash of their template, from our annotation.
    pub default_image: Option<Box<str>>,
    /// The configuration that the pods are known to have, from our annotations.
    pub configuration: Option<Box<Configuration>>,
}

impl Workload {
    /// Whether every declared pod runs the current template and is available, and no other is left.
    pub fn is_complete(&self) -> bool {
        self.observed && self.updated == self.desired && self.available == self.desired && self.replicas == self.desired
    }

    /// Whether the template of the current `ReplicaSet`, of that name, was rolled out to the end.
    pub fn has_succeeded(&self, replica_set: &str) -> bool {
        self.observed && self.stuck.is_none() && (self.is_complete() || self.succeeded.as_deref() == Some(replica_set))
    }

    /// Whether the Deployment controller takes its word on another `ReplicaSet` for one on the current, of that name, and so never says
    /// that its deadline has passed: as it does while there are pods of no other. Without a deadline it stays so until it forgets.
    pub fn is_mistaken(&self, replica_set: &str) -> bool {
        let is_about_another = self.succeeded.as_deref().is_some_and(|other| other != replica_set);
        is_about_another && !self.is_complete() && (self.is_endless || self.observed && self.replicas == self.updated)
    }

    /// Whether somebody paused it before the current template reached every pod.
    pub fn is_held(&self) -> bool {
        self.paused && self.observed && !self.is_rolled_out()
    }

    /// Whether the current template has reached every pod, available or not.
    pub fn is_rolled_out(&self) -> bool {
        self.observed && self.updated == self.desired && self.replicas == self.updated
    }
}

/// State of a `PersistentVolumeClaim`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Volume {
    /// `Pending`, `Bound` or `Lost`.
    pub phase: String,
    /// `spec.resources.requests.storage`
    pub requested: String,
    /// `status.capacity.storage`, empty until bound.
    pub capacity: String,
    /// `spec.storageClassName`; an empty one binds only volumes that have no class.
    pub class: Option<String>,
    /// `spec.accessModes`
    pub declared_modes: Vec<String>,
    /// `spec.volumeMode`
    pub mode: Option<String>,
    /// `spec.selector`
    pub selector: Option<Value>,
    /// `spec.volumeName`
    pub volume: Option<String>,
    /// The storage driver that was asked to make its volume, from Kubernetes' own annotation, which stays.
    pub provisioner: Option<String>,
    /// The node on which a pod waits for it, likewise.
    pub node: Option<String>,
    /// `status.accessModes`
    pub access_modes: Vec<String>,
    /// Conditions of resizing: type and message of those that are true.
    pub conditions: Vec<(String, String)>,
    /// `status.allocatedResourceStatuses.storage`
    pub resize_status: Option<String>,
    /// UID of the `StorageClaim` that keeps it, from our annotation.
    pub claim_uid: Option<String>,
    /// Whether a later `StorageClaim` took it over, from our annotation.
    pub adopted: bool,
    /// Whether somebody else made it, or may have.
    pub foreign: bool,
    /// Whether it consents to its adoption.
    pub adoptable: bool,
    /// Name of the App or Registry whose storage it is, from our labels.
    pub parent_label: Option<String>,
    /// The Helm release whose uninstall deletes it.
    pub release: Option<String>,
}

/// State of a `StorageClaim` as its App or Registry sees it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Claim {
    /// Ready for the current generation.
    pub ready: bool,
    /// The Ready condition's reason.
    pub reason: String,
    /// The Ready condition's message.
    pub message: String,
    /// What is to be expected of it while it is not ready.
    pub outlook: Outlook,
    /// `spec.accessModes`, or where it leaves them open those of its volume.
    pub access_modes: Vec<String>,
    /// `status.accessModes`: those of its volume, which may have more.
    pub granted: Vec<String>,
}

/// The facts of a live object of that kind.
pub fn facts(kind: ChildKind, live: &Live) -> Facts {
    match kind {
        ChildKind::Deployment => Facts::Workload(Box::new(workload(live))),
        ChildKind::PersistentVolumeClaim => Facts::Volume(Box::new(volume(live))),
        ChildKind::StorageClaim => Facts::Claim(Box::new(claim(live))),
        ChildKind::ServiceAccount => account(live),
        ChildKind::Service => published(live),
        ChildKind::ConfigMap
        | ChildKind::Secret
        | ChildKind::PodDisruptionBudget
        | ChildKind::ServiceMonitor
        | ChildKind::PodMonitor => Facts::None,
    }
}

fn account(live: &Live) -> Facts {
    let pull_secrets: Vec<String> =
        items(&live.body["imagePullSecrets"]).filter_map(|secret| secret["name"].as_str().map(str::to_owned)).collect();
    let declared = live.annotation(super::meta::PULL_SECRETS).and_then(|names| serde_json::from_str(names).ok());
    if pull_secrets.is_empty() && declared.is_none() {
        return Facts::None;
    }
    Facts::Account(Box::new(Account { pull_secrets, declared }))
}

/// Most addresses, and most ports, that are remembered of a Service.
const DOORS: usize = 16;

fn published(live: &Live) -> Facts {
    let (spec, status) = (&live.body["spec"], &live.body["status"]);
    let balanced = spec["type"] == "LoadBalancer";
    if !balanced && spec["type"] != "NodePort" {
        return Facts::None;
    }
    let number = |port: &Value, field: &str| port[field].as_i64().and_then(|number| i32::try_from(number).ok());
    let node_port = |port: &Value| {
        let node_port = number(port, "nodePort").filter(|port| *port > 0)?;
        Some(NodePort { name: text(&port["name"]), port: number(port, "port")?, node_port })
    };
    let addresses =
        items(&status["loadBalancer"]["ingress"]).flat_map(|ingress| [&ingress["ip"], &ingress["hostname"]]);
    // Controllers list them in any order.
    let addresses: BTreeSet<String> = addresses.filter_map(optional).collect();
    Facts::Published(Box::new(Published {
        balanced,
        addresses: addresses.into_iter().take(DOORS).collect(),
        node_ports: items(&spec["ports"]).filter_map(node_port).take(DOORS).collect(),
    }))
}

fn workload(live: &Live) -> Workload {
    let status = &live.body["status"];
    let count = |field: &str| status[field].as_i64().and_then(|count| i32::try_from(count).ok()).unwrap_or(0).max(0);
    let stuck = true_condition(status, "Progressing", "False")
        .filter(|condition| condition["reason"] == "ProgressDeadlineExceeded");
    let refused = true_condition(status, "ReplicaFailure", "True");
    let succeeded = true_condition(status, "Progressing", "True")
        .filter(|condition| condition["reason"] == "NewReplicaSetAvailable")
        .and_then(|condition| condition["message"].as_str()?.split('"').nth(1));
    // Conditions of a spec that has been replaced say nothing about the new one.
    let observed = status["observedGeneration"].as_i64().unwrap_or(0) >= live.generation();
    Workload {
        observed,
        desired: match &live.body["spec"] {
            // It is too large to be read.
            Value::Null => count("replicas"),
            spec => spec["replicas"].as_i64().and_then(|count| i32::try_from(count).ok()).unwrap_or(1),
        },
        replicas: count("replicas"),
        updated: count("updatedReplicas"),
        ready: count("readyReplicas"),
        available: count("availableReplicas"),
        terminating: count("terminatingReplicas"),
        is_endless: live.body["spec"]["progressDeadlineSeconds"] == NO_DEADLINE,
        paused: live.body["spec"]["paused"] == true,
        stuck: stuck.filter(|_| observed).map(message),
        refused: refused.filter(|_| observed).map(message),
        revision: revision(live),
        succeeded: succeeded.map(Into::into),
        rolled_back: live.annotation(super::meta::ROLLED_BACK).map(Into::into),
        auto_rollback: live.annotation(super::meta::AUTO_ROLLBACK).map(Into::into),
        default_image: live.annotation(super::meta::DEFAULT_IMAGE).map(Into::into),
        configuration: Configuration::of(live).map(Box::new),
    }
}

/// Annotation of Deployments and `ReplicaSets` with the number of their revision.
const REVISION: &str = "deployment.kubernetes.io/revision";

/// The number of the revision that a Deployment or `ReplicaSet` is at.
pub fn revision(live: &Live) -> Option<i32> {
    live.annotation(REVISION).and_then(revision_number)
}

/// The number of a revision, as an annotation tells it.
pub fn revision_number(text: &str) -> Option<i32> {
    text.trim().parse().ok().filter(|number| *number > 0)
}

/// By what the `PersistentVolume` controller asks a storage driver.
const PROVISIONER: &str = "volume.kubernetes.io/storage-provisioner";
/// By what the scheduler says where a pod waits for the volume, where the class waits for that.
const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";

fn volume(live: &Live) -> Volume {
    let (spec, status) = (&live.body["spec"], &live.body["status"]);
    let conditions = items(&status["conditions"])
        .filter(|condition| condition["status"] == "True")
        .map(|condition| (text(&condition["type"]), message(condition)))
        .collect();
    Volume {
        phase: text(&status["phase"]),
        requested: text(&spec["resources"]["requests"]["storage"]),
        capacity: text(&status["capacity"]["storage"]),
        class: spec["storageClassName"].as_str().map(|_| text(&spec["storageClassName"])),
        declared_modes: items(&spec["accessModes"]).map(text).collect(),
        mode: optional(&spec["volumeMode"]),
        selector: spec.get("selector").cloned(),
        volume: optional(&spec["volumeName"]),
        provisioner: live.annotation(PROVISIONER).map(|driver| cut(driver, WORD)),
        node: live.annotation(SELECTED_NODE).map(|node| cut(node, WORD)),
        access_modes: items(&status["accessModes"]).map(text).collect(),
        conditions,
        resize_status: optional(&status["allocatedResourceStatuses"]["storage"]),
        claim_uid: live.annotation(super::meta::CLAIM_UID).map(str::to_owned),
        adopted: live.annotation(super::meta::ADOPTED).is_some(),
        foreign: !super::owner::is_made_by_us(live),
        adoptable: super::owner::is_adoptable(live),
        parent_label: super::owner::parent_labels(live),
        release: super::owner::helm_release(live).map(|release| cut(release, WORD)),
    }
}

fn claim(live: &Live) -> Claim {
    let status = &live.body["status"];
    let current = status["observedGeneration"].as_i64() == Some(live.generation());
    let ready = items(&status["conditions"]).find(|condition| condition["type"] == "Ready");
    let is = |type_| true_condition(status, type_, "True").is_some();
    let is_unready = ready.is_some_and(|condition| condition["status"] != "True");
    Claim {
        ready: current && is("Ready"),
        reason: ready.map(|condition| text(&condition["reason"])).unwrap_or_default(),
        message: ready.map(message).unwrap_or_default(),
        outlook: match (is("Stalled"), is("Reconciling")) {
            (true, _) if current => Outlook::Stalled,
            (false, false) if current && is_unready => Outlook::Impaired,
            (_, _) => Outlook::Waits,
        },
        access_modes: Some(modes(&live.body["spec"])).filter(|it| !it.is_empty()).unwrap_or_else(|| modes(status)),
        granted: modes(status),
    }
}

fn modes(value: &Value) -> Vec<String> {
    items(&value["accessModes"]).map(text).collect()
}

fn true_condition<'a>(status: &'a Value, type_: &str, wanted: &str) -> Option<&'a Value> {
    items(&status["conditions"]).find(|condition| condition["type"] == type_ && condition["status"] == wanted)
}

fn text(value: &Value) -> String {
    cut(value.as_str().unwrap_or_default(), WORD)
}

fn optional(value: &Value) -> Option<String> {
    Some(text(value)).filter(|text| !text.is_empty())
}

fn message(condition: &Value) -> String {
    cut(condition["message"].as_str().unwrap_or_default(), QUOTE)
}
