//! What the author of a workload can do about a problem of its pods: which field, or which command says more.

use super::kind::ParentKind;
use super::reason::Reason;
use crate::api::common::Problem;

/// Whose pods they are, as far as that decides on what can be done.
#[derive(Clone, Copy, Debug)]
pub struct Author<'a> {
    /// An App or a Registry.
    pub kind: ParentKind,
    /// Name of the container that it declares. Any other one was added by somebody else.
    pub container: &'a str,
}

/// What the author can do about a problem, as sentences that begin with a full stop; empty where the problem says it all.
pub fn advice(problem: &Problem, author: Author<'_>) -> String {
    let Problem { pod, container, message, .. } = problem;
    if !container.is_empty() && container != author.container {
        return format!(
            ". The {} does not declare this container, somebody added it to the pod. Look at it: kubectl get pod {pod} -o yaml",
            author.kind.as_str()
        );
    }
    let is_app = author.kind == ParentKind::App;
    if let Some(advice) = non_root(message, is_app) {
        return advice;
    }
    let log = format!("kubectl logs {pod} -c {container} --previous");
    match Reason::of_problem(problem) {
        Reason::ErrImagePull | Reason::ImagePullBackOff | Reason::InvalidImageName if is_app => {
            ". Check spec.image and spec.imagePullSecrets".to_owned()
        }
        Reason::ErrImagePull | Reason::ImagePullBackOff | Reason::InvalidImageName => {
            ". Check spec.image, or the operator's --registry-image where that is not set".to_owned()
        }
        Reason::OOMKilled => ". Raise spec.resources.limits.memory".to_owned(),
        Reason::CrashLoopBackOff if is_app && problem.exit_code == Some(0) => {
            format!(". Have spec.command and spec.args start a program that stays in the foreground. Its log: {log}")
        }
        Reason::LivenessFailing if is_app => {
            format!(". Check spec.livenessProbe against what the program serves, and how soon. Its log: {log}")
        }
        Reason::CrashLoopBackOff | Reason::ContainerFailed | Reason::LivenessFailing => {
            format!(". Read its log: {log}")
        }
        Reason::StartupFailing if is_app => {
            ". Check spec.startupProbe against what the program serves; if it only needs longer, raise failureThreshold"
                .to_owned()
        }
        Reason::ReadinessFailing if is_app => ". Check spec.readinessProbe against what the program serves".to_owned(),
        Reason::ReadinessFailing | Reason::StartupFailing => {
            format!(". Read its log: kubectl logs {pod} -c {container}")
        }
        Reason::FailedMount => mount(problem, is_app),
        Reason::FailedAttachVolume => {
            ". If a pod on another node holds the volume, it is free once that pod is gone: kubectl get pods -o wide"
                .to_owned()
        }
        Reason::CreateContainerConfigError if is_app => {
            ". Check the Secrets and ConfigMaps that the spec refers to".to_owned()
        }
        _ => String::new(),
    }
}

/// Something is missing, or else what mounts it failed; which is told by the kubelet's words (`pkg/volume/{configmap,secret,projected}`).
fn mount(problem: &Problem, is_app: bool) -> String {
    let is_missing = ["not found", "non-existent"].into_iter().any(|words| problem.message.contains(words));
    match (is_missing, is_app) {
        (true, true) => {
            ". Check the Secrets, ConfigMaps and claims that spec.volumes refers to; the pod starts once they are there"
                .to_owned()
        }
        (true, false) => ". The pod starts once it is there".to_owned(),
        (false, _) => format!(
            ". It is tried again by itself. The driver's pod on that node has the log: kubectl get pod {} -o wide tells the node",
            problem.pod
        ),
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
    use super::{Author, ParentKind, Problem, Reason, advice};

    fn said(kind: ParentKind, container: &str, reason: &str, message: &str) -> String {
        let problem = Problem {
            pod: "web-1-x".to_owned(),
            container: container.to_owned(),
            reason: reason.to_owned(),
            message: message.to_owned(),
            exit_code: Some(0),
            ..Problem::default()
        };
        advice(&problem, Author { kind, container: "web" })
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
