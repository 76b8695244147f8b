//! The processes that make a machine a node, their command lines and the files they read.

use std::fs;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{ADDRESS, NAME, REGISTRY, enter::cgroup_of, packages::search_path};
use crate::components::{Component, Ground, Ready, show};

/// Addresses of the pods.
const PODS: &str = "10.244.0.0/24";
/// The Service that pods ask for names.
pub const DNS_SERVICE: &str = "10.96.0.10";
/// Where metrics-server listens, on every address.
pub const METRICS_PORT: u16 = 4443;
/// The namespace of the volume provisioner's helper pods.
pub const STORAGE_NAMESPACE: &str = "local-path-storage";

const CONTAINERD_SOCKET: &str = "/run/containerd.sock";
/// Where containerd keeps what it knows of each running container, by its id.
pub const TASKS: &str = "/run/containerd/io.containerd.runtime.v2.task/k8s.io";

/// Everything beside the control plane, in start order.
pub fn components(ground: &Ground) -> Result<Vec<Component>> {
    Ok(vec![
        registry(ground)?,
        containerd(ground)?,
        kubelet(ground)?,
        kube_proxy(ground)?,
        coredns(ground)?,
        metrics_server(ground)?,
        local_path(ground)?,
    ])
}

/// The registry that holds every image of the run.
fn registry(ground: &Ground) -> Result<Component> {
    let config = json!({
        "version": 0.1,
        "log": {"level": "warn", "accesslog": {"disabled": true}},
        "storage": {
            "filesystem": {"rootdirectory": ground.work.path().join("registry")},
            "delete": {"enabled": true},
        },
        "http": {"addr": REGISTRY},
    });
    let path = ground.work.write("registry.yaml", &config.to_string())?;
    let port = REGISTRY.rsplit(':').next().and_then(|port| port.parse().ok()).context("REGISTRY has no port")?;
    let registry = ground.component("registry", vec!["serve".into(), show(&path)])?;
    Ok(registry.env("OTEL_TRACES_EXPORTER", "none").ready_when(Ready::Port(port)))
}

fn containerd(ground: &Ground) -> Result<Component> {
    let work = ground.work.path();
    let containerd = ground.assets.bin("containerd")?;
    let programs = containerd.parent().context("containerd lies nowhere")?;
    let mirrors = work.join("mirrors/_default");
    fs::create_dir_all(&mirrors)?;
    let hosts = format!(
        "server = \"http://{REGISTRY}\"\n\
        [host.\"http://{REGISTRY}\"]\ncapabilities = [\"pull\", \"resolve\"]\n"
    );
    fs::write(mirrors.join("hosts.toml"), hosts)?;
    fs::create_dir_all(work.join("cni"))?;
    fs::write(work.join("cni/10-pods.conflist"), pod_network(&show(&work.join("addresses"))).to_string())?;
    let config = format!(
        "version = 3
root = \"{root}\"
state = \"/run/containerd\"
[grpc]
  address = {CONTAINERD_SOCKET:?}
[plugins.'io.containerd.cri.v1.images']
  max_concurrent_downloads = 10
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = \"{REGISTRY}/pause:1\"
[plugins.'io.containerd.cri.v1.images'.registry]
  config_path = \"{mirrors}\"
[plugins.'io.containerd.cri.v1.runtime']
  # A container inside a container may not lower anybody's score.
  restrict_oom_score_adj = true
  # A profile would stay in the kernel.
  disable_apparmor = true
[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = [\"{programs}\"]
  conf_dir = \"{cni}\"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = \"io.containerd.runc.v2\"
[plugins.'io.containerd.internal.v1.opt']
  path = \"{opt}\"
",
        programs = programs.display(),
        root = show(&work.join("containerd")),
        mirrors = show(&work.join("mirrors")),
        cni = show(&work.join("cni")),
        opt = show(&work.join("opt")),
    );
    let path = ground.work.write("containerd.toml", &config)?;
    let search = search_path();
    let mut folders = vec![programs.to_owned()];
    folders.extend(std::env::split_paths(&search));
    let component = ground.component("containerd", vec![format!("--config={}", show(&path))])?;
    Ok(component.env("PATH", std::env::join_paths(folders)?).ready_when(Ready::Socket(CONTAINERD_SOCKET.into())))
}

/// A route for each pod and no bridge between them: what a pod sends passes the node's packet filter, so that a
/// Service's answers find their way back also without the kernel's `br_netfilter`.
fn pod_network(addresses: &str) -> Value {
    json!({
        "cniVersion": "1.0.0",
        "name": "pods",
        "plugins": [
            {
                "type": "ptp",
                "ipam": {
                    "type": "host-local",
                    "dataDir": addresses,
                    "ranges": [[{"subnet": PODS}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": true}},
        ],
    })
}

fn kubelet(ground: &Ground) -> Result<Component> {
    let work = ground.work.path();
    let serving = ground.authority.serving(ground.work, "kubelet", &[ADDRESS, NAME])?;
    let config = json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": false},
            "webhook": {"enabled": true},
            "x509": {"clientCAFile": ground.authority.pair.certificate},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": serving.certificate,
        "tlsPrivateKeyFile": serving.key,
        "containerRuntimeEndpoint": format!("unix://{CONTAINERD_SOCKET}"),
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": format!("/{}", cgroup_of(work)),
        "enforceNodeAllocatable": [],
        // Machines that developers use have swap, and some still control groups v1.
        "failSwapOn": false,
        "failCgroupV1": false,
        "oomScoreAdj": 0,
        "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
        "serializeImagePulls": false,
        "clusterDomain": "cluster.local",
        "clusterDNS": [DNS_SERVICE],
        "resolvConf": "",
        "podLogsDir": work.join("pods"),
        "volumePluginDir": work.join("volume-plugins"),
    });
    let config = ground.work.write("kubelet.yaml", &config.to_string())?;
    let kubeconfig = ground.kubeconfig("kubelet-access", &format!("system:node:{NAME}"), Some("system:nodes"))?;
    ground.component(
        "kubelet",
        vec![
            format!("--kubeconfig={kubeconfig}"),
            format!("--config={}", show(&config)),
            format!("--hostname-override={NAME}"),
            format!("--node-ip={ADDRESS}"),
            format!("--root-dir={}", show(&work.join("kubelet"))),
        ],
    )
}

fn kube_proxy(ground: &Ground) -> Result<Component> {
    let config = json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": ground.kubeconfig("kube-proxy-access", "system:kube-proxy", None)?},
        "mode": "iptables",
        "clusterCIDR": PODS,
        "hostnameOverride": NAME,
        // These settings are the machine's own, which a namespace may not change.
        "conntrack": {"maxPerCore": 0, "min": 0},
        "iptables": {"minSyncPeriod": "100ms"},
    });
    let path = ground.work.write("kube-proxy.yaml", &config.to_string())?;
    ground.component("kube-proxy", vec![format!("--config={}", show(&path))])
}

fn coredns(ground: &Ground) -> Result<Component> {
    let kubeconfig = ground.kubeconfig("coredns", "coredns", Some("system:masters"))?;
    let corefile = format!(
        "cluster.local in-addr.arpa {{
    bind {ADDRESS}
    errors
    kubernetes {{
        kubeconfig {kubeconfig}
        ttl 1
    }}
}}
. {{
    bind {ADDRESS}
    # There is no world outside: a name that is not the cluster's does not exist.
    template ANY ANY {{
        rcode NXDOMAIN
    }}
}}
"
    );
    let path = ground.work.write("Corefile", &corefile)?;
    ground.component("coredns", vec!["-conf".into(), show(&path)])
}

fn metrics_server(ground: &Ground) -> Result<Component> {
    let serving = ground.authority.serving(ground.work, "metrics-server", &["metrics-server.kube-system.svc"])?;
    let kubeconfig = ground.kubeconfig("metrics", "metrics-server", Some("system:masters"))?;
    let ca = show(&ground.authority.pair.certificate);
    ground.component(
        "metrics-server",
        vec![
            format!("--kubeconfig={kubeconfig}"),
            format!("--authentication-kubeconfig={kubeconfig}"),
            format!("--authorization-kubeconfig={kubeconfig}"),
            format!("--secure-port={METRICS_PORT}"),
            format!("--tls-cert-file={}", show(&serving.certificate)),
            format!("--tls-private-key-file={}", show(&serving.key)),
            format!("--kubelet-certificate-authority={ca}"),
            "--kubelet-preferred-address-types=InternalIP".into(),
            "--metric-resolution=10s".into(),
            "--kubelet-request-timeout=5s".into(),
        ],
    )
}

/// Makes a folder for each claim, by a pod that it starts for the moment.
fn local_path(ground: &Ground) -> Result<Component> {
    let folder = ground.work.path().join("volumes");
    let config = json!({
        "nodePathMap": [{"node": "DEFAULT_PATH_FOR_NON_LISTED_NODES", "paths": [folder]}],
    });
    let helper = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "helper-pod"},
        "spec": {"containers": [{
            "name": "helper-pod",
            "image": format!("{REGISTRY}/busybox:1"),
            "securityContext": {"runAsUser": 0},
        }]},
    });
    let config = ground.work.write("local-path.json", &config.to_string())?;
    let helper = ground.work.write("local-path-helper.yaml", &helper.to_string())?;
    let kubeconfig = ground.kubeconfig("local-path", "local-path", Some("system:masters"))?;
    ground.component(
        "local-path-provisioner",
        vec![
            "start".into(),
            format!("--config={}", show(&config)),
            format!("--kubeconfig={kubeconfig}"),
            format!("--namespace={STORAGE_NAMESPACE}"),
            format!("--helper-image={REGISTRY}/busybox:1"),
            format!("--helper-pod-file={}", show(&helper)),
            "--service-account-name=default".into(),
            "--configmap-name=local-path-config".into(),
        ],
    )
}
