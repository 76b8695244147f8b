//! What the author of a workload can do about a problem of its pods: which field, or which command says more.

use super::kind::ParentKind;
use super::pods::{HOOKED, RUNS_AGAIN, SILENT};
use super::reason::{HOOK_FAILED, Reason};
use super::text::list;
use crate::api::app::AppSpec;
use crate::api::common::Problem;
use k8s_openapi::api::core::v1::Container;

/// Whose pods they are, as far as that decides on what can be done.
#[derive(Clone, Copy, Debug)]
pub struct Author<'a> {
    /// An App or a Registry.
    pub kind: ParentKind,
    /// Name of its own container.
    pub container: &'a str,
    /// The containers that it declares beside that. Any other one was added by somebody else.
    pub beside: [&'a [Container]; 2],
}

impl<'a> Author<'a> {
    /// That of an App.
    pub fn of_app(name: &'a str, spec: &'a AppSpec) -> Self {
        Self { kind: ParentKind::App, container: name, beside: [&spec.init_containers, &spec.sidecars] }
    }

    /// The field that declares a container.
    fn field(&self, container: &str) -> Option<String> {
        if container.is_empty() || container == self.container {
            return Some("spec".to_owned());
        }
        let lists = ["spec.initContainers", "spec.sidecars"].into_iter().zip(self.beside);
        let mut found = lists.filter_map(|(field, list)| {
            let index = list.iter().position(|it| it.name == container)?;
            Some(format!("{field}[{index}]"))
        });
        found.next()
    }
}

/// What the author can do about a problem, as sentences that begin with a full stop; empty where the problem says it all.
pub fn advice(problem: &Problem, author: Author<'_>) -> String {
    match author.field(&problem.container) {
        Some(field) => within(&of_own(problem, author), &field),
        None => format!(
            ". The {} does not declare this container: somebody added it to the pod, or an earlier revision had it. Look at it: \
             kubectl get pod {} -o yaml",
            author.kind.as_str(),
            problem.pod
        ),
    }
}

/// Fields of a container, by which advice names those of `spec`.
const OF_CONTAINERS: [&str; 11] = [
    "args",
    "command",
    "image",
    "imagePullPolicy",
    "lifecycle",
    "livenessProbe",
    "readinessProbe",
    "resources",
    "securityContext",
    "startupProbe",
    "workingDir",
];

/// The advice for another container than the App's own, which that field declares.
fn within(advice: &str, field: &str) -> String {
    let mut parts = advice.split("spec.");
    let mut told = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|letter: char| !letter.is_ascii_alphanumeric()).unwrap_or(part.len());
        told.push_str(if OF_CONTAINERS.contains(&&part[..end]) { field } else { "spec" });
        told.push('.');
        told.push_str(part);
    }
    told
}

/// What can be done about a problem of the container that is the author's own.
fn of_own(problem: &Problem, author: Author<'_>) -> String {
    let Problem { pod, container, message, .. } = problem;
    let is_app = author.kind == ParentKind::App;
    if let Some(advice) = non_root(message, is_app) {
        return advice;
    }
    let reason = Reason::of_problem(problem);
    let of_fields = if is_app { FIELDS_OF_APPS } else { FIELDS_OF_REGISTRIES };
    if let Some((_, advice)) = of_fields.iter().find(|(of, _)| *of == reason) {
        return format!(". {advice}");
    }
    // The kubelet keeps the log of the run before this one, and of one that has ended until the next begins.
    let run = if message.contains(RUNS_AGAIN) { " --previous" } else { "" };
    let log = format!("kubectl logs {pod} -c {container}{run}");
    let node = format!("kubectl get pod {pod} -o wide tells the node");
    match reason {
        Reason::CrashLoopBackOff | Reason::ContainerFailed
            if is_app && (message.contains(HOOKED) || problem.reason == HOOK_FAILED) =>
        {
            format!(". Check spec.lifecycle.postStart. The program's log: {log}")
        }
        Reason::CrashLoopBackOff if is_app && problem.exit_code == Some(0) => {
            format!(". Have spec.command and spec.args start a program that stays in the foreground. Its log: {log}")
        }
        Reason::LivenessFailing if is_app => {
            format!(". Check spec.livenessProbe against what the program serves, and how soon. Its log: {log}")
        }
        Reason::CrashLoopBackOff | Reason::ContainerFailed | Reason::LivenessFailing => {
            format!(". Read its log: {log}")
        }
        Reason::ReadinessFailing | Reason::StartupFailing => {
            format!(". Read its log: kubectl logs {pod} -c {container}")
        }
        Reason::ContainerCannotRun => cannot_run(message, &node),
        Reason::Unschedulable => advised(&UNSCHEDULABLE, message),
        Reason::Evicted => advised(if is_app { &EVICTED } else { &EVICTED[..4] }, message),
        Reason::PodFailed => format!(". The Deployment makes another one; {node} that this one was on"),
        Reason::FailedCreatePodSandBox => {
            format!(". It is tried again by itself. The network plugin's pod on that node has the log: {node}")
        }
        Reason::FailedMount => mount(problem, is_app, &node),
        _ => String::new(),
    }
}

/// What an App's own fields can do, where that is the same whatever is said.
const FIELDS_OF_APPS: &[(Reason, &str)] = &[
    (Reason::ErrImagePull, "Check spec.image and spec.imagePullSecrets"),
    (Reason::ImagePullBackOff, "Check spec.image and spec.imagePullSecrets"),
    (Reason::InvalidImageName, "Check spec.image"),
    (
        Reason::ErrImageNeverPull,
        "Set spec.imagePullPolicy to IfNotPresent, or have the image on every node that may run the pod",
    ),
    (Reason::OOMKilled, "Raise spec.resources.limits.memory"),
    (
        Reason::StartupFailing,
        "Check spec.startupProbe against what the program serves; if it only needs longer, raise failureThreshold",
    ),
    (Reason::ReadinessFailing, "Check spec.readinessProbe against what the program serves"),
    (Reason::CreateContainerConfigError, "Check the Secrets and ConfigMaps that the spec refers to"),
    (Reason::FailedAttachVolume, HELD_VOLUME),
];

/// Likewise of a Registry, whose image is its own affair only if it names one.
const FIELDS_OF_REGISTRIES: &[(Reason, &str)] = &[
    (Reason::ErrImagePull, REGISTRY_IMAGE),
    (Reason::ImagePullBackOff, REGISTRY_IMAGE),
    (Reason::InvalidImageName, REGISTRY_IMAGE),
    (Reason::ContainerCannotRun, REGISTRY_IMAGE),
    (Reason::OOMKilled, "Raise spec.resources.limits.memory"),
    (Reason::FailedAttachVolume, HELD_VOLUME),
];

const REGISTRY_IMAGE: &str = "Check spec.image, or the operator's --registry-image where that is not set";
const HELD_VOLUME: &str =
    "If a pod on another node holds the volume, it is free once that pod is gone: kubectl get pods -o wide";

/// Words of somebody else, and what can be done where they are said.
type Table = [(&'static str, &'static str)];

/// What the scheduler says of nodes that do not take a pod (`pkg/scheduler/framework/plugins`, by folder).
const UNSCHEDULABLE: [(&str, &str); 10] = [
    (SILENT, "see whether that scheduler runs and is well: kubectl get pods -A | grep scheduler"),
    ("Insufficient ", "lower spec.resources.requests or add a node with as much free"),
    (
        "node affinity/selector",
        "check spec.pod.nodeSelector and spec.pod.affinity.nodeAffinity against kubectl get nodes --show-labels",
    ),
    ("pod anti-affinity rules", "relax spec.pod.affinity.podAntiAffinity, or add a node"),
    (
        "pod affinity rules",
        "check spec.pod.affinity.podAffinity: the pods that it names must run, and have room beside them",
    ),
    ("topology spread constraints", "relax spec.pod.topologySpreadConstraints, or add nodes where there are too few"),
    ("untolerated taint", "tolerate the taint with spec.pod.tolerations, or take it off the node"),
    ("were unschedulable", "let pods on the node again with kubectl uncordon"),
    (
        "volume node affinity conflict",
        "a node that can reach the pod's volume must have room: kubectl describe pv tells which can",
    ),
    ("Too many pods", "add a node, as these run as many pods as they may"),
];

/// What the kubelet says of a pod that it evicts (`pkg/kubelet/eviction/helpers.go`).
const EVICTED: [(&str, &str); 5] = [
    ("The node had condition", "see what the node is short of: kubectl describe nodes"),
    (
        "low on resource",
        "pods that use more than they request go first: set spec.resources.requests to what the program needs",
    ),
    ("local ephemeral storage", "have the program write less, or raise spec.resources.limits[ephemeral-storage]"),
    ("ephemeral local storage", "have the program write less, or raise spec.resources.limits[ephemeral-storage]"),
    ("EmptyDir volume", "have the program write less, or raise the sizeLimit of that emptyDir in spec.volumes"),
];

/// What a container runtime says of what an App's container can't start with (runc's `libcontainer`, containerd), what decides first.
const CANNOT_RUN: [(&str, &str); 9] = [
    (
        "seccomp profile",
        "Check spec.securityContext.seccompProfile: every node that may run the pod must have that profile",
    ),
    ("OOM", "Raise spec.resources.limits.memory"),
    ("mounting", "Check spec.volumes: something can't be mounted where it says"),
    ("mkdir ", "Check spec.workingDir and spec.volumes: a folder can't be made there"),
    ("chdir ", "Check spec.workingDir"),
    ("executable file not found", PROGRAM),
    ("no such file or directory", PROGRAM),
    ("exec format error", PROGRAM),
    ("permission denied", PROGRAM),
];
const PROGRAM: &str = "Check spec.command and spec.args: the image must have that program, as an executable file for the node's architecture";

fn cannot_run(said: &str, node: &str) -> String {
    let known = CANNOT_RUN.iter().find(|(words, _)| said.contains(words)).map(|(_, advice)| format!(". {advice}"));
    known.unwrap_or_else(|| format!(". It is tried again by itself. The node's container runtime has the log: {node}"))
}

/// What can be done about each thing that was said.
fn advised(table: &Table, said: &str) -> String {
    let advice =
        list(table.iter().filter(|(words, _)| said.contains(words)).map(|(_, advice)| *advice), table.len(), "; ");
    let mut letters = advice.chars();
    letters.next().map_or_else(String::new, |first| format!(". {}{}", first.to_uppercase(), letters.as_str()))
}

/// Something is missing, or else what mounts it failed; which is told by the kubelet's words (`pkg/volume/{configmap,secret,projected}`).
fn mount(problem: &Problem, is_app: bool, node: &str) -> String {
    let is_missing = ["not found", "non-existent"].into_iter().any(|words| problem.message.contains(words));
    match (is_missing, is_app) {
        (true, true) => {
            ". Check the Secrets, ConfigMaps and claims that spec.volumes refers to; the pod starts once they are there"
                .to_owned()
        }
        (true, false) => ". The pod starts once it is there".to_owned(),
        (false, _) => format!(". It is tried again by itself. The driver's pod on that node has the log: {node}"),
    }
}

/// What to do where the kubelet refuses a container as it would run as root, or may. Its words are those of
/// `verifyRunAsNonRoot` in `pkg/kubelet/kuberuntime/security_context.go`.
fn non_root(message: &str, is_app: bool) -> Option<String> {
    let fields = |field: &str, joint: &str| {
        let pod = format!("spec.pod.securityContext.{field}");
        if is_app { format!("spec.securityContext.{field}{joint}{pod}") } else { pod }
    };
    let user = if is_app { "spec.securityContext.runAsUser" } else { "spec.pod.securityContext.runAsUser" };
    let root = || {
        let allowed = if is_app {
            "spec.securityContext.runAsNonRoot: false and spec.pod.securityContext.runAsNonRoot: false"
        } else {
            "spec.pod.securityContext.runAsNonRoot: false"
        };
        format!("Only if the program can't do without root, allow it with {allowed}")
    };
    if message.contains("image has non-numeric user") {
        return Some(format!(
            ". The image's user is a name, which Kubernetes can't check: set {user} to its number (the image's /etc/passwd has it)"
        ));
    }
    if message.contains("runAsUser breaks non-root policy") {
        return Some(format!(
            ". runAsUser is 0, which is root, and pods run as non-root here: set {} to another number, or leave them out. {}",
            fields("runAsUser", " and "),
            root()
        ));
    }
    let is_root = message.contains("image will run as root");
    is_root.then(|| format!(". The image runs as root: set {user} to a number other than 0. {}", root()))
}

#[cfg(test)]
mod tests {
    use super::{Author, ParentKind, Problem, RUNS_AGAIN, Reason, advice};

    fn said(kind: ParentKind, container: &str, reason: &str, message: &str) -> String {
        let problem = Problem {
            pod: "web-1-x".to_owned(),
            container: container.to_owned(),
            reason: reason.to_owned(),
            message: message.to_owned(),
            exit_code: Some(0),
            ..Problem::default()
        };
        advice(&problem, Author { kind, container: "web", beside: [&[], &[]] })
    }

    /// A field that the author does not have helps nobody.
    #[test]
    fn no_advice_names_a_field_that_the_kind_lacks() {
        const OF_APPS: [&str; 7] = [
            "spec.imagePullSecrets",
            "spec.command",
            "spec.livenessProbe",
            "spec.readinessProbe",
            "spec.startupProbe",
            "spec.volumes",
            "spec.securityContext",
        ];
        let mut told = Vec::new();
        for reason in Reason::ALL {
            for (container, message) in [
                ("", ""),
                ("web", ""),
                ("", "configmap \"a\" not found"),
                ("web", "container has runAsNonRoot and image has non-numeric user (app)"),
                ("web", "container's runAsUser breaks non-root policy"),
                ("web", "container has runAsNonRoot and image will run as root"),
            ] {
                let of_registry = said(ParentKind::Registry, container, reason.as_str(), message);
                assert!(!OF_APPS.iter().any(|field| of_registry.contains(field)), "{reason:?}: {of_registry}");
                told.push(said(ParentKind::App, container, reason.as_str(), message));
            }
        }
        for field in OF_APPS {
            assert!(told.iter().any(|advice| advice.contains(field)), "{field}");
        }
    }

    /// Whoever is woken by it is told what to do, or that nothing is to be done.
    #[test]
    fn of_an_app_there_is_advice_about_every_problem_of_pods() {
        let whole =
            ["FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox", "OutOfcpu", "UnexpectedAdmissionError"];
        let container = [
            "ErrImagePull",
            "ImagePullBackOff",
            "InvalidImageName",
            "ErrImageNeverPull",
            "ImageInspectError",
            "CrashLoopBackOff",
            "OOMKilled",
            "Error",
            "CreateContainerConfigError",
            "CreateContainerError",
            "RunContainerError",
            "StartError",
            "ReadinessFailing",
            "LivenessFailing",
            "StartupFailing",
        ];
        for (container, reason) in
            whole.map(|reason| ("", reason)).into_iter().chain(container.map(|reason| ("web", reason)))
        {
            let told = said(ParentKind::App, container, reason, "");
            assert!(told.starts_with(". ") && !told.ends_with('.'), "{reason}: {told}");
        }
    }

    #[test]
    fn advice_goes_by_what_was_said() {
        for (reason, message, expected) in [
            ("Unschedulable", "0/1 nodes are available: 1 Insufficient cpu.", ". Lower spec.resources.requests or"),
            (
                "Unschedulable",
                "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.",
                ". Check spec.pod.nodeSelector",
            ),
            (
                "Unschedulable",
                "0/2 nodes are available: 1 Insufficient memory, 1 node(s) had untolerated taint {a: b}.",
                "; tolerate the taint with spec.pod.tolerations",
            ),
            ("Unschedulable", "0/1 nodes are available: 1 node(s) were unschedulable.", "kubectl uncordon"),
            (
                "Evicted",
                "The node was low on resource: memory. Threshold quantity: 100Mi, available: 9Mi. ",
                "set spec.resources.requests",
            ),
            (
                "StartError",
                "unable to start container process: exec: \"serve\": executable file not found in $PATH",
                "spec.command",
            ),
            ("StartError", "error during container init: error mounting \"/x\" to rootfs at \"/proc\"", "spec.volumes"),
            ("StartError", "error during container init: mkdir /etc/passwd: not a directory", "spec.workingDir"),
            ("CreateContainerError", "cannot load seccomp profile \"/p/audit.json\": no such file", "seccompProfile"),
            ("CreateContainerError", "context deadline exceeded", "The node's container runtime has the log"),
            ("Evicted", "Usage of EmptyDir volume \"scratch\" exceeds the limit \"1Mi\". ", "sizeLimit"),
            (
                "Evicted",
                "Pod ephemeral local storage usage exceeds the total limit of containers 10Mi. ",
                "limits[ephemeral-storage]",
            ),
            (
                "Evicted",
                "Container web exceeded its local ephemeral storage limit \"10Mi\". ",
                "limits[ephemeral-storage]",
            ),
        ] {
            let container = if reason.contains("Error") { "web" } else { "" };
            let told = said(ParentKind::App, container, reason, message);
            assert!(told.contains(expected), "{message}: {told}");
        }
    }

    /// `kubectl logs --previous` fails for a container that has ended and not begun again, as it is the newest run.
    #[test]
    fn the_log_that_is_named_exists() {
        for (message, previous) in [("back-off 10s", false), ("", false), (RUNS_AGAIN, true)] {
            let told = said(ParentKind::App, "web", "CrashLoopBackOff", message);
            assert_eq!(told.ends_with(" --previous"), previous, "{told}");
        }
    }

    #[test]
    fn of_a_container_that_somebody_added_no_field_is_to_blame() {
        for reason in ["ImagePullBackOff", "CrashLoopBackOff", "OOMKilled", "ReadinessFailing"] {
            let told = said(ParentKind::App, "istio-proxy", reason, "");
            assert!(told.contains("does not declare this container") && !told.contains("spec."), "{told}");
        }
    }

    #[test]
    fn what_is_missing_is_told_apart_from_a_driver_that_fails() {
        for (message, expected) in [
            ("MountVolume.SetUp failed for volume \"cfg\" : configmap \"shop\" not found", "spec.volumes"),
            ("MountVolume.SetUp failed for volume \"cfg\" : references non-existent config key: a", "spec.volumes"),
            (
                "MountVolume.MountDevice failed for volume \"pvc-1\" : rpc error: code = Internal desc = exit status 32",
                "driver",
            ),
        ] {
            let told = said(ParentKind::App, "", "FailedMount", message);
            assert!(told.contains(expected), "{message}: {told}");
        }
    }
}
