//! Volumes that pods on several nodes can't mount at once.

use super::conditions::Summary;
use super::facts::Workload;
use super::known::Known;
use super::observed::Observed;
use super::reason::Reason;
use super::reference::ReferenceKind;
use super::text::{WORD, cut};
use crate::api::common::AccessMode;

/// A claim of which it is known that one node, or one pod, mounts it at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unshared {
    /// What the claim is: a `StorageClaim`, or a `PersistentVolumeClaim` that is nobody's.
    pub kind: ReferenceKind,
    name: String,
    modes: Vec<String>,
    read_only: bool,
}

impl Unshared {
    /// The claim with these access modes, if it is one; without any it has the default, `ReadWriteOnce`.
    pub fn of<'a>(kind: ReferenceKind, name: &str, modes: impl Iterator<Item = &'a str>) -> Option<Self> {
        let mut modes: Vec<String> = modes.map(str::to_owned).collect();
        if modes.is_empty() {
            modes.push(AccessMode::ReadWriteOnce.as_str().to_owned());
        }
        (!is_shared(&modes)).then(|| Self { kind, name: name.to_owned(), modes, read_only: false })
    }

    /// The same, mounted to be read only.
    #[must_use]
    pub fn read_only(self, read_only: bool) -> Self {
        Self { read_only, ..self }
    }

    /// The claim of that name, if it is known to be one.
    pub fn known(name: &str, observed: &Observed) -> Option<Self> {
        if let Some(claim) = observed.claims.get(name) {
            return Self::of(ReferenceKind::StorageClaim, name, claim.access_modes.iter().map(String::as_str));
        }
        match observed.mountable(name) {
            Known::Known(volume) => {
                Self::of(ReferenceKind::PersistentVolumeClaim, name, volume.access_modes.iter().map(String::as_str))
            }
            Known::Absent | Known::Unknown => None,
        }
    }

    /// Whether its volume is shared all the same, having more access modes than the claim asks for.
    fn is_granted(&self, observed: &Observed) -> bool {
        let volume = || match observed.mountable(&self.name) {
            Known::Known(volume) => is_shared(&volume.granted),
            Known::Absent | Known::Unknown => false,
        };
        observed.claims.get(&*self.name).map_or_else(volume, |claim| is_shared(&claim.granted))
    }

    /// Why it is one.
    pub fn why(&self) -> String {
        let Self { kind, name, modes, read_only: _ } = self;
        let who = if self.is_of_one_pod() { "pod" } else { "node" };
        let modes = cut(&modes.join(", "), WORD);
        format!("{} {name} has {modes}, which one {who} at a time can mount", kind.as_str())
    }

    fn is_of_one_pod(&self) -> bool {
        self.modes.iter().any(|mode| mode == AccessMode::ReadWriteOncePod.as_str())
    }

    /// What is told while several pods are to mount it, in place of what only follows from that: pods that run may go on.
    fn told(&self, pods: i32, otherwise: Summary) -> Summary {
        let (so, mode) = match (self.is_of_one_pod(), self.read_only) {
            (true, _) => ("the others can't start", AccessMode::ReadWriteMany),
            (false, true) => ("those on other nodes can't start", AccessMode::ReadOnlyMany),
            (false, false) => {
                ("those on other nodes can't start, and those on one write over each other", AccessMode::ReadWriteMany)
            }
        };
        let message = format!(
            "{}, and {pods} pods are to: {so}. Set spec.replicas to 1, or mount a volume with {}",
            self.why(),
            mode.as_str()
        );
        let follows = match &otherwise {
            Summary::Ready(reason, _) => *reason == Reason::AsExpected,
            Summary::Waiting(reason, said) | Summary::Impaired(reason, said) => {
                matches!(reason, Reason::RollingOut | Reason::PodsNotReady | Reason::FailedAttachVolume)
                    || *reason == Reason::Unschedulable && said.contains(AccessMode::ReadWriteOncePod.as_str())
            }
            Summary::Stalled(_, _) => false,
        };
        if follows { otherwise.because(Reason::VolumeNotShareable, message) } else { otherwise }
    }
}

/// The summary of a workload that mounts these claims: that it has more pods than can mount one of them goes before what only follows from
/// that. Only the cluster may know it, by what claims are and by who else scales.
pub fn summary(
    mut claims: impl Iterator<Item = Unshared>,
    workload: Option<&Workload>,
    observed: &Observed,
    otherwise: Summary,
) -> Summary {
    let Some(pods) = workload.map(|workload| workload.desired).filter(|pods| *pods > 1) else { return otherwise };
    match claims.find(|claim| !claim.is_granted(observed)) {
        Some(held) => held.told(pods, otherwise),
        None => otherwise,
    }
}

fn is_shared(modes: &[String]) -> bool {
    let shared = [AccessMode::ReadOnlyMany.as_str(), AccessMode::ReadWriteMany.as_str()];
    modes.iter().any(|mode| shared.contains(&mode.as_str()))
}

#[cfg(test)]
mod tests {
    use super::Unshared;
    use crate::core::reference::ReferenceKind;

    #[test]
    fn a_claim_is_shared_if_one_of_its_modes_is() {
        let why = |modes: &[&str]| {
            Unshared::of(ReferenceKind::StorageClaim, "data", modes.iter().copied()).map(|it| it.why())
        };
        assert_eq!(why(&["ReadWriteMany"]), None);
        assert_eq!(why(&["ReadWriteOnce", "ReadOnlyMany"]), None);
        let node = "StorageClaim data has ReadWriteOnce, which one node at a time can mount";
        assert_eq!(why(&[]).as_deref(), Some(node));
        assert_eq!(why(&["ReadWriteOnce"]).as_deref(), Some(node));
        let pod = "StorageClaim data has ReadWriteOncePod, which one pod at a time can mount";
        assert_eq!(why(&["ReadWriteOncePod"]).as_deref(), Some(pod));
    }
}
