//! Types that more than one kind uses.

use super::schema::upstream;
use k8s_openapi::api::core::v1::{
    Affinity, HostAlias, PodDNSConfig, PodOS, PodReadinessGate, PodResourceClaim, PodSecurityContext, Toleration,
    TopologySpreadConstraint,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// When the kubelet pulls an image; as in core.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the variants are core Kubernetes words, and docs on them would split the schema")]
pub enum PullPolicy {
    Always,
    IfNotPresent,
    Never,
}

impl PullPolicy {
    /// The name that core Kubernetes uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Always => "Always",
            Self::IfNotPresent => "IfNotPresent",
            Self::Never => "Never",
        }
    }
}

/// How a volume may be mounted; as in core.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the variants are core Kubernetes words, and docs on them would split the schema")]
pub enum AccessMode {
    ReadWriteOnce,
    ReadOnlyMany,
    ReadWriteMany,
    ReadWriteOncePod,
}

impl AccessMode {
    /// The name that core Kubernetes uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReadWriteOnce => "ReadWriteOnce",
            Self::ReadOnlyMany => "ReadOnlyMany",
            Self::ReadWriteMany => "ReadWriteMany",
            Self::ReadWriteOncePod => "ReadWriteOncePod",
        }
    }

    /// Whether a second pod on another node could mount the volume.
    pub const fn is_shared(self) -> bool {
        match self {
            Self::ReadOnlyMany | Self::ReadWriteMany => true,
            Self::ReadWriteOnce | Self::ReadWriteOncePod => false,
        }
    }
}

/// Whether a volume holds a file system or is handed to the container as a raw block device.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the variants are core Kubernetes words, and docs on them would split the schema")]
pub enum VolumeMode {
    #[default]
    Filesystem,
    Block,
}

impl VolumeMode {
    /// The name that core Kubernetes uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Filesystem => "Filesystem",
            Self::Block => "Block",
        }
    }
}

/// What becomes of the data when its owner is deleted.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the variants are core Kubernetes words, and docs on them would split the schema")]
pub enum DeletionPolicy {
    #[default]
    Retain,
    Delete,
}

/// Pod settings that are not about one container.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PodSettings {
    /// Labels added to the pods. Keys of moorage.dev and app.kubernetes.io/managed-by are the operator's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations added to the pods.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Labels that a node must have to run the pods.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<String, String>,
    /// Taints that the pods tolerate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "upstream::<Vec<Toleration>>")]
    pub tolerations: Vec<Toleration>,
    /// Nodes and other pods that the pods want to be near to or away from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "upstream::<Affinity>")]
    pub affinity: Option<Affinity>,
    /// How the pods are spread over nodes, zones and the like. Kubernetes has a `labelSelector` say of which pods.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "upstream::<Vec<TopologySpreadConstraint>>")]
    pub topology_spread_constraints: Vec<TopologySpreadConstraint>,
    /// A `PriorityClass`: who goes first, and who has to make room, where nodes are full.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority_class_name: Option<String>,
    /// Whether the pods may have others make room. The priority class decides: any other value than its own is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preemption_policy: Option<String>,
    /// A `RuntimeClass`, for nodes with several container runtimes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime_class_name: Option<String>,
    /// The scheduler that places the pods. Kubernetes' own unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduler_name: Option<String>,
    /// Operating system that the pod is for; which nodes have it, a `nodeSelector` on `kubernetes.io/os` says. For `windows` no default is given that Windows lacks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "upstream::<PodOS>")]
    pub os: Option<PodOS>,
    /// Conditions that something else sets and that must be true, too, before a pod is ready.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "upstream::<Vec<PodReadinessGate>>")]
    pub readiness_gates: Vec<PodReadinessGate>,
    /// Devices that are set aside for the pods; `resources.claims` says which of them the container uses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "upstream::<Vec<PodResourceClaim>>")]
    pub resource_claims: Vec<PodResourceClaim>,
    /// Lines of the pods' `/etc/hosts`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "upstream::<Vec<HostAlias>>")]
    pub host_aliases: Vec<HostAlias>,
    /// Who resolves names. `ClusterFirst`, the cluster's DNS, unless set; `None` takes `dnsConfig` alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns_policy: Option<String>,
    /// Servers, search domains and options, beside those of `dnsPolicy`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "upstream::<PodDNSConfig>")]
    pub dns_config: Option<PodDNSConfig>,
    /// Whether every Service of the namespace gives the pods variables, such as `SHOP_PORT=tcp://...`. Default: false, unlike in core.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enable_service_links: Option<bool>,
    /// Whether the containers of a pod see each other's processes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share_process_namespace: Option<bool>,
    /// Whether users within the pods are those of the node. False, root within a pod is nobody outside of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_users: Option<bool>,
    /// Security settings of the whole pod, laid over the restricted defaults field by field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "upstream::<PodSecurityContext>")]
    pub security_context: Option<PodSecurityContext>,
    /// Seconds a pod may take to stop before it is killed. Kubernetes' default is 30.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub termination_grace_period_seconds: Option<i64>,
}

/// One object that the operator keeps for this resource.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ChildStatus {
    /// Kind of the object.
    pub kind: String,
    /// Name of the object, in the same namespace.
    pub name: String,
    /// Whether the object is as declared and works.
    pub ready: bool,
    /// What it waits for, or what is wrong; of a ready one, that its volume is still to be made.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// Something wrong with one pod.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// Name of the pod.
    pub pod: String,
    /// Name of the container; empty when the whole pod is concerned.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub container: String,
    /// Kubernetes' own word for it, such as `ErrImagePull`, `CrashLoopBackOff`, `OOMKilled` or `Unschedulable`.
    pub reason: String,
    /// The kubelet's or scheduler's own message, or what its silence means.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Exit code of the last run of the container, if it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// How often the container was restarted.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub restart_count: i32,
    /// How many pods ended alike, if it is more than one; the last one of them is named.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub count: i32,
    /// Since when, of pods that ended or are to be gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "upstream::<Time>")]
    pub since: Option<Time>,
}

/// One pod template that the App runs or ran.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct RevisionStatus {
    /// Its number, as `kubectl rollout history` shows it. Going back to it gives it a new one.
    pub number: i32,
    /// Image of the App's container.
    pub image: String,
    /// When it was first rolled out.
    #[schemars(schema_with = "upstream::<Time>")]
    pub created: Time,
    /// Fields of the spec in which it differs from the one before it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<String>,
    /// Pods that run it.
    pub replicas: i32,
    /// How its rollout went; unset where nobody saw it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<RevisionOutcome>,
}

/// How the rollout of a revision went: `Progressing`, `Succeeded` (every pod was available), `Failed` (it exceeded its deadline)
/// or `Superseded` (another came before it was done).
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "docs on the variants would split the schema")]
pub enum RevisionOutcome {
    Progressing,
    Succeeded,
    Failed,
    Superseded,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if passes a reference")]
const fn is_zero(count: &i32) -> bool {
    *count == 0
}
