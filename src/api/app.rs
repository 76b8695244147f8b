//! `App`: one service, from its image to its Service, with storage that outlives it.

use super::availability::Availability;
use super::common::{ChildStatus, PodSettings, Problem, PullPolicy, RevisionStatus};
use super::container;
use super::monitoring::Monitoring;
use super::rollout::Rollout;
use super::schema::upstream;
use super::volume::AppVolume;
use k8s_openapi::api::core::v1::{
    Container, ContainerResizePolicy, EnvFromSource, EnvVar, Lifecycle, LocalObjectReference, Probe,
    ResourceRequirements, SecurityContext,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What to run and how. Only `image` is required.
#[derive(CustomResource, Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "moorage.dev",
    version = "v1alpha1",
    kind = "App",
    namespaced,
    status = "AppStatus",
    derive = "PartialEq",
    category = "moorage",
    shortname = "mapp",
    scale(
        spec_replicas_path = ".spec.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Pods", type_ = "string", json_path = ".status.pods"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Image", type_ = "string", json_path = ".spec.image"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Strategy", type_ = "string", priority = 1, json_path = ".status.strategy"),
    printcolumn(
        name = "Message",
        type_ = "string",
        priority = 1,
        json_path = ".status.conditions[?(@.type==\"Ready\")].message"
    ),
    doc = "App runs a container image as a service: pods, a Service, storage that outlives it, and a status that says what is wrong."
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AppSpec {
    /// Container image, for example `registry.example.com/team/shop:1.4`.
    pub image: String,
    /// When the kubelet pulls the image. Default: Always for the tag `latest`, else `IfNotPresent`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_pull_policy: Option<PullPolicy>,
    /// Secrets of type dockerconfigjson, in this namespace, for pulling the image.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "upstream::<Vec<LocalObjectReference>>")]
    pub image_pull_secrets: Vec<LocalObjectReference>,
    /// Replaces the image's entrypoint.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// Replaces the image's arguments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// Working directory of the container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<String>,
    /// Environment variables.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "upstream::<Vec<EnvVar>>")]
    pub env: Vec<EnvVar>,
    /// `ConfigMaps` and Secrets whose keys become environment variables.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "upstream::<Vec<EnvFromSource>>")]
    pub env_from: Vec<EnvFromSource>,
    /// Ports of the Service and the container. Without one that is not private there is no Service.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<AppPort>,
    /// CPU and memory that the container asks for and may use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "upstream::<ResourceRequirements>")]
    pub resources: Option<ResourceRequirements>,
    /// Restarts the container when it fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "upstream::<Probe>")]
    pub liveness_probe: Option<Probe>,
    /// Takes the pod out of the Service while it fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "upstream::<Probe>")]
    pub readiness_probe: Option<Probe>,
    /// Holds the other probes back until it succeeds once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "upstream::<Probe>")]
    pub startup_probe: Option<Probe>,
    /// Hooks after the start and before the stop of the container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "upstream::<Lifecycle>")]
    pub lifecycle: Option<Lifecycle>,
    /// File within the container whose text is told when it ends. Kubernetes' default is `/dev/termination-log`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub termination_message_path: Option<String>,
    /// What is told when the container ends: that `File`, or of a failed one without it the end of its log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub termination_message_policy: Option<String>,
    /// Keeps the program's standard input open, for `kubectl attach -i`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stdin: bool,
    /// Gives the program a terminal; with `stdin`, one to type in.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tty: bool,
    /// Whether the container restarts when somebody resizes a running pod.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "upstream::<Vec<ContainerResizePolicy>>")]
    pub resize_policy: Vec<ContainerResizePolicy>,
    /// Containers that run to their end, one after the other, before the App's own starts. With `restartPolicy: Always` one runs on, beside it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "container::init_containers")]
    pub init_containers: Vec<Container>,
    /// Containers that run beside the App's own: they start before it and the init containers, and stop after it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "container::sidecars")]
    pub sidecars: Vec<Container>,
    /// Number of pods. Unset, Kubernetes starts with 1 and an autoscaler of yours is left alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    /// Security settings of the container, laid over the restricted defaults field by field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "upstream::<SecurityContext>")]
    pub security_context: Option<SecurityContext>,
    /// Storage, claims, Secrets, `ConfigMaps` and scratch space to mount.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<AppVolume>,
    /// How the Service is published inside the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceSettings>,
    /// The `ServiceAccount` that the pods run as. By default one of the App's own, its token not mounted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account: Option<ServiceAccountSettings>,
    /// Pod settings that are not about the container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<PodSettings>,
    /// How many pods stay while nodes are drained, and how they are spread; `{}` lets one at a time be missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub availability: Option<Availability>,
    /// How a change reaches the pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Rollout>,
    /// Has Prometheus scrape the pods, by an object of prometheus-operator's. Empty, it scrapes `/metrics` of the only port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monitoring: Option<Monitoring>,
    /// While true the operator writes nothing but the status of this App.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
}

/// One port of the Service and the container, or of the container alone.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AppPort {
    /// Name of the port, unique in the App. Needed when there is more than one port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Port of the Service.
    pub port: i32,
    /// Port that the container listens on. Default: the same as `port`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container_port: Option<i32>,
    /// TCP (the default), UDP or SCTP.
    #[serde(default)]
    pub protocol: Protocol,
    /// Application protocol for meshes and gateways, such as `kubernetes.io/h2c`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_protocol: Option<String>,
    /// Fixed port on every node, for service types `NodePort` and `LoadBalancer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_port: Option<i32>,
    /// On the container only and not on the Service, as for metrics and debugging. `port` is then the container's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub private: bool,
}

impl AppPort {
    /// Name in the Service: as declared, or made of its protocol and number, so that a second port can be added later without
    /// renaming the first.
    pub fn service_name(&self) -> String {
        let made = || format!("{}-{}", self.protocol.as_str().to_lowercase(), self.port);
        self.name.clone().unwrap_or_else(made)
    }

    /// Port that the container listens on.
    pub fn container_port(&self) -> i32 {
        self.container_port.unwrap_or(self.port)
    }
}

/// Transport protocol of a port.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs, reason = "the variants are core Kubernetes words, and docs on them would split the schema")]
pub enum Protocol {
    #[default]
    Tcp,
    Udp,
    Sctp,
}

impl Protocol {
    /// The name that core Kubernetes uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
            Self::Sctp => "SCTP",
        }
    }
}

/// How the Service is published.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServiceSettings {
    /// `ClusterIP` (the default), `NodePort` or `LoadBalancer`.
    #[serde(default, rename = "type")]
    pub type_: ServiceType,
    /// Annotations of the Service, for cloud load balancers and the like.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// No virtual address: the name resolves to the pods themselves. A change makes the Service anew.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub headless: bool,
}

/// Type of the Service.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the variants are core Kubernetes words, and docs on them would split the schema")]
pub enum ServiceType {
    #[default]
    ClusterIP,
    NodePort,
    LoadBalancer,
}

impl ServiceType {
    /// The name that core Kubernetes uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClusterIP => "ClusterIP",
            Self::NodePort => "NodePort",
            Self::LoadBalancer => "LoadBalancer",
        }
    }
}

/// The identity of the pods.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServiceAccountSettings {
    /// An existing `ServiceAccount` of this namespace. Default: the App gets one of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Annotations of the App's own `ServiceAccount`, for workload identity and the like.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Pull secrets of the App's own `ServiceAccount`, beside those that others add to it. Pods with `imagePullSecrets` of their
    /// own get none of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "upstream::<Vec<LocalObjectReference>>")]
    pub image_pull_secrets: Vec<LocalObjectReference>,
    /// Mounts the `ServiceAccount`'s token into the pods. Default: false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub automount_token: bool,
}

/// A port of the Service that every node opens.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct NodePort {
    /// Name of the port in the Service.
    pub name: String,
    /// Port of the Service.
    pub port: i32,
    /// Port of the nodes.
    pub node_port: i32,
}

/// What the operator last saw of the App.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct AppStatus {
    /// Generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready (the summary), Available, Progressing, Degraded; Reconciling, Stalled and Altered only while they are true.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "upstream::<Vec<Condition>>")]
    pub conditions: Vec<Condition>,
    /// Pods that are ready, of those that are declared, as in `1/2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pods: Option<String>,
    /// How pods are replaced: `RollingUpdate` or `Recreate`, as declared, or derived where nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<String>,
    /// Why they are replaced so, where the spec does not say how.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy_message: Option<String>,
    /// Pods that exist; more than may be declared, if something else scaled them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    /// Pods that are ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_replicas: Option<i32>,
    /// Pods that run the declared template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_replicas: Option<i32>,
    /// Label selector of the pods, for `/scale`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
    /// Addresses of the Service's load balancer: IPs and host names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
    /// Ports of the Service that every node opens.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub node_ports: Vec<NodePort>,
    /// What is wrong with single pods, worst first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Problem>,
    /// The pod templates that the App ran, newest first: the current one, and as many old ones as are kept, at most ten.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub revisions: Vec<RevisionStatus>,
    /// The objects that the operator keeps for this App.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<ChildStatus>,
}
