//! What the rig is made of: a folder of `tests/rig` each, with the binaries and files that are taken out of it.

/// What is built in one go out of one folder of `tests/rig`.
pub(crate) struct Module {
    pub(crate) name: &'static str,
    /// The folder under `tests/rig`.
    pub(crate) folder: &'static str,
    /// Binary names as the harness asks for them.
    pub(crate) binaries: &'static [&'static str],
    pub(crate) purpose: Purpose,
    /// What of its modules' own files is kept beside the binaries.
    pub(crate) files: Option<Files>,
}

/// YAML files out of a Go module.
pub(crate) struct Files {
    /// The folder in which they are kept, and by whose name they are asked for.
    pub(crate) into: &'static str,
    /// The Go module.
    pub(crate) module: &'static str,
    /// Its folders.
    pub(crate) from: &'static [&'static str],
    /// Ends of the names of those that are wanted.
    pub(crate) ends: &'static [&'static str],
}

/// What a binary of the rig is for.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Purpose {
    /// A control plane does not start without it.
    ControlPlane,
    /// A control plane starts without it.
    Tool,
    /// Only who installs or lints what is in `deploy/` asks for it, so only then is it built.
    Output,
    /// Only a real node asks for it, so only then is it built.
    Node,
}

/// Everything that can be built.
pub(crate) const MODULES: [Module; 13] = [
    module(
        "kubernetes",
        &["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl"],
        Purpose::ControlPlane,
    ),
    Module {
        files: Some(Files {
            into: STAGES,
            module: "sigs.k8s.io/kwok",
            from: &[
                "kustomize/stage/node/fast",
                "kustomize/stage/node/heartbeat",
                "kustomize/stage/pod/fast",
                "kustomize/stage/volume/fast",
            ],
            ends: &[".yaml"],
        }),
        ..module("kwok", &["kwok"], Purpose::ControlPlane)
    },
    Module {
        files: Some(Files {
            into: MONITORING,
            module: "github.com/prometheus-operator/prometheus-operator",
            from: &["example/prometheus-operator-crd"],
            ends: &["_servicemonitors.yaml", "_podmonitors.yaml", "_prometheusrules.yaml"],
        }),
        ..module("monitoring", &[], Purpose::Tool)
    },
    Module {
        files: Some(Files {
            into: OLM,
            module: "github.com/operator-framework/api",
            from: &["crds"],
            ends: &[
                "_catalogsources.yaml",
                "_clusterserviceversions.yaml",
                "_operatorgroups.yaml",
                "_subscriptions.yaml",
            ],
        }),
        ..module("olm", &[], Purpose::Tool)
    },
    module("registry", &["registry"], Purpose::Tool),
    module("crane", &["crane"], Purpose::Tool),
    module(HELM, &[HELM], Purpose::Output),
    module(KUBECONFORM, &[KUBECONFORM], Purpose::Output),
    Module {
        name: "kubernetes-node",
        folder: "kubernetes",
        ..module("kubernetes", &["kubelet", "kube-proxy"], Purpose::Node)
    },
    module(
        "node",
        &["containerd", "containerd-shim-runc-v2", "ptp", "loopback", "host-local", "portmap"],
        Purpose::Node,
    ),
    module("coredns", &["coredns"], Purpose::Node),
    module("metrics-server", &["metrics-server"], Purpose::Node),
    module("local-path", &["local-path-provisioner"], Purpose::Node),
];

const fn module(name: &'static str, binaries: &'static [&'static str], purpose: Purpose) -> Module {
    Module { name, folder: name, binaries, purpose, files: None }
}

/// What renders and installs the chart.
pub const HELM: &str = "helm";
/// What tells whether manifests fit the schemas of their kinds.
pub const KUBECONFORM: &str = "kubeconform";
/// The folder of kwok's stage files.
pub(crate) const STAGES: &str = "stages";
/// The folder of prometheus-operator's `CustomResourceDefinitions`.
pub const MONITORING: &str = "monitoring";
/// The folder of Operator Framework's `CustomResourceDefinitions`.
pub const OLM: &str = "olm";
