//! The closed set of condition reasons. Each has a page in `docs/reasons/`.

use crate::api::common::Problem;

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Why a condition has its status.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Reason { $($(#[$doc])* $name,)* }

        impl Reason {
            /// Every reason there is.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The reason as it stands in a condition.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }

            /// The reason of that name.
            pub fn named(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|reason| reason.as_str() == name)
            }
        }
    };
}

reasons! {
    /// Everything is as declared.
    AsExpected,
    /// The spec can't be carried out; the message starts with the field.
    InvalidSpec,
    /// The spec is larger than the operator reads; nothing is changed.
    TooLarge,
    /// Another object holds a name that is needed.
    NameConflict,
    /// Somebody added to an object of ours what changes what its pods may do.
    FieldsAdded,
    /// What was applied to an object of ours is not in what the API server stored.
    FieldsDropped,
    /// Somebody changes an object of ours again and again.
    Contended,
    /// The API server refused an object as invalid.
    Rejected,
    /// RBAC, a quota or an admission policy refused a write, or a look that is needed.
    Denied,
    /// Something is declared whose API the cluster does not have.
    ApiMissing,
    /// The API server could not be reached or did not answer in time; retried.
    Unavailable,
    /// The operator failed on this object; a bug worth reporting.
    InternalError,
    /// A former revision runs in place of the declared template: it was asked for, or that one failed.
    RolledBack,
    /// `spec.paused` is true.
    Paused,
    /// An older object of the same name is still being deleted.
    WaitingForDeletion,
    /// Objects are being written.
    Applying,
    /// New pods are replacing old ones, or the first ones are starting.
    RollingOut,
    /// The Deployment made no progress within its deadline.
    ProgressDeadlineExceeded,
    /// Fewer pods are available than declared.
    PodsNotReady,
    /// No pod is available.
    NoPodAvailable,
    /// A `ConfigMap` or a Secret that pods need is missing, or a key of it.
    ConfigurationMissing,
    /// The Service has no load balancer's address yet.
    WaitingForAddress,
    /// The Service sends requests to pods of others as well.
    ForeignPods,
    /// A storage claim is not ready.
    StorageNotReady,
    /// The `PersistentVolumeClaim` waits for a volume.
    WaitingForVolume,
    /// The volume is made when the first pod uses the claim.
    WaitingForFirstConsumer,
    /// The claim names no class and the cluster has no default one.
    NoDefaultStorageClass,
    /// The named `StorageClass` does not exist.
    StorageClassNotFound,
    /// The storage driver failed to make the volume.
    ProvisioningFailed,
    /// The `PersistentVolume` that the claim names is not what it asks for.
    VolumeMismatch,
    /// The `PersistentVolume` that the claim names is bound to another one.
    FailedBinding,
    /// The bound volume is gone.
    VolumeLost,
    /// Somebody deleted the `PersistentVolumeClaim`, whose data goes with the last pod that mounts it.
    VolumeDeleting,
    /// More pods are to mount a volume than can at once.
    VolumeNotShareable,
    /// The new size waits until the volume is bound.
    ResizePending,
    /// The volume is growing.
    Resizing,
    /// The storage driver failed to grow the volume.
    ResizeFailed,
    /// The `StorageClass` does not allow growth.
    ExpansionNotAllowed,
    /// The volume is larger than declared, or becomes so; nothing is shrunk.
    LargerThanDeclared,
    /// A retained `PersistentVolumeClaim` of this name exists and `spec.adopt` is not set.
    AdoptionNeeded,
    /// The data is being deleted, as the deletion policy says.
    Deleting,
    /// The claim is bound to its volume.
    Bound,
    /// Something mounts the claim.
    Mounted,
    /// Nothing mounts the claim.
    NotMounted,
    /// The operator may not write Secrets, so several replicas can't share one.
    SecretAccessMissing,
    /// The image can't be pulled.
    ErrImagePull,
    /// The image can't be pulled; the kubelet waits before it tries again.
    ImagePullBackOff,
    /// The image's name is not valid.
    InvalidImageName,
    /// The image is not on the node and the pull policy is Never.
    ErrImageNeverPull,
    /// The container ends again and again.
    CrashLoopBackOff,
    /// The container was killed for using more memory than its limit.
    OOMKilled,
    /// The container ended with an error.
    ContainerFailed,
    /// The container can't be made, most often for a missing Secret, `ConfigMap` or key.
    CreateContainerConfigError,
    /// The container runtime could not make or start the container.
    ContainerCannotRun,
    /// No node takes the pod.
    Unschedulable,
    /// A volume of the pod can't be mounted.
    FailedMount,
    /// A volume of the pod can't be attached to its node.
    FailedAttachVolume,
    /// The pod gets no sandbox, and so no network.
    FailedCreatePodSandBox,
    /// The readiness probe fails.
    ReadinessFailing,
    /// The liveness probe fails, so the kubelet stops the container again and again.
    LivenessFailing,
    /// The startup probe fails for longer than it says itself.
    StartupFailing,
    /// The pod was evicted.
    Evicted,
    /// Its node refused the pod, or ended it.
    PodFailed,
    /// Its node does not report any more.
    NodeLost,
    /// The pod should have stopped and is still there, most often on a dead node.
    TerminationStuck,
    /// The Deployment can't make pods: a quota or an admission policy refuses them.
    PodsRefused,
}

/// The kubelet's word for a container that it stops as its hook fails, until it tries again.
pub const HOOK_FAILED: &str = "PostStartHookError";

/// Reasons of whole pods.
const OF_PODS: [Reason; 7] = [
    Reason::NodeLost,
    Reason::Unschedulable,
    Reason::FailedMount,
    Reason::FailedAttachVolume,
    Reason::FailedCreatePodSandBox,
    Reason::Evicted,
    Reason::TerminationStuck,
];

impl Reason {
    /// That of a problem. What Kubernetes may add one day counts as a failed container, or as a failed pod where it names no container.
    pub fn of_problem(problem: &Problem) -> Self {
        match problem.reason.as_str() {
            "ImageInspectError" | "RegistryUnavailable" => Self::ErrImagePull,
            "FailedMapVolume" => Self::FailedMount,
            HOOK_FAILED if problem.restart_count > 0 => Self::CrashLoopBackOff,
            "CreateContainerError" | "RunContainerError" | "StartError" => Self::ContainerCannotRun,
            _ if problem.container.is_empty() => {
                OF_PODS.into_iter().find(|reason| reason.as_str() == problem.reason).unwrap_or(Self::PodFailed)
            }
            other => Self::named(other).unwrap_or(Self::ContainerFailed),
        }
    }
}
