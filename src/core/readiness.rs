//! What Ready waits for, one rule per kind of child. `status.children[]`, the Ready condition and a table of the documentation
//! derive from it, so a kind says it nowhere else.

use super::conditions::{Outlook, Summary};
use super::facts::{Claim, Facts, Published, Volume, Workload};
use super::kind::ChildKind;
use super::reason::Reason;

/// Why a child keeps its parent from being Ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unready {
    /// The reason that its parent gives.
    pub reason: Reason,
    /// What is told of it, without its kind and name.
    pub message: String,
    /// What is to be expected of it.
    pub outlook: Outlook,
}

/// The rule of one kind.
#[derive(Debug)]
pub struct Rule {
    /// The kind.
    pub kind: ChildKind,
    /// Until when Ready waits, once the child stands as declared; for the documentation.
    pub until: &'static str,
    unready: fn(&Facts) -> Option<Unready>,
}

const fn exists(kind: ChildKind) -> Rule {
    Rule { kind, until: "it exists as declared", unready: |_| None }
}

/// What is told of a Service without the address that it is to have.
const ADDRESS: &str = "waits for a load balancer address, which the cloud gives, or a controller such as MetalLB; if there is none here, \
                       set spec.service.type to NodePort or ClusterIP";

/// Every rule.
pub static RULES: &[Rule] = &[
    exists(ChildKind::ServiceAccount),
    exists(ChildKind::ConfigMap),
    Rule { kind: ChildKind::Secret, until: "it has been made, while pods start", unready: |_| None },
    Rule {
        kind: ChildKind::StorageClaim,
        until: "its own Ready is True for its current generation",
        unready: |facts| if let Facts::Claim(claim) = facts { claim_unready(claim) } else { None },
    },
    Rule {
        kind: ChildKind::PersistentVolumeClaim,
        until: "it is bound, and has the declared size; one whose class waits for the first consumer counts as ready",
        unready: |facts| if let Facts::Volume(volume) = facts { volume_unready(volume) } else { None },
    },
    Rule {
        kind: ChildKind::Deployment,
        until: "every pod runs the declared template and is available, and no other pod is left",
        unready: |facts| if let Facts::Workload(workload) = facts { workload_unready(workload) } else { None },
    },
    Rule {
        kind: ChildKind::Service,
        until: "it exists as declared, and has an address if its type is `LoadBalancer`",
        unready: |facts| if let Facts::Published(published) = facts { service_unready(published) } else { None },
    },
    exists(ChildKind::PodDisruptionBudget),
    exists(ChildKind::ServiceMonitor),
    exists(ChildKind::PodMonitor),
];

/// Why a child that stands as declared keeps its parent from being Ready.
pub fn unready(kind: ChildKind, facts: &Facts) -> Option<Unready> {
    RULES.iter().find(|rule| rule.kind == kind).and_then(|rule| (rule.unready)(facts))
}

/// Why a claim does, for those who mount it as well.
pub fn claim_unready(claim: &Claim) -> Option<Unready> {
    let message = if claim.reason.is_empty() { "waits for its first status" } else { &claim.message };
    let told = || Unready { reason: Reason::StorageNotReady, message: message.to_owned(), outlook: claim.outlook };
    (!claim.ready).then(told)
}

/// Why a volume does, as far as it shows; its claim knows more.
pub fn volume_unready(volume: &Volume) -> Option<Unready> {
    let unready = |outlook, reason, message: &str| Unready { reason, message: message.to_owned(), outlook };
    match volume.phase.as_str() {
        "Bound" => None,
        "Lost" => Some(unready(Outlook::Stalled, Reason::VolumeLost, "lost its PersistentVolume")),
        _ => Some(unready(Outlook::Waits, Reason::WaitingForVolume, "waits for a volume")),
    }
}

/// Why a Service does: nobody has given it the address of a load balancer yet.
pub fn service_unready(published: &Published) -> Option<Unready> {
    let told = || Unready { reason: Reason::WaitingForAddress, message: ADDRESS.to_owned(), outlook: Outlook::Waits };
    (published.balanced && published.addresses.is_empty()).then(told)
}

/// Why a workload does, as far as its counts show; its pods know more.
pub fn workload_unready(workload: &Workload) -> Option<Unready> {
    let (reason, state) = if workload.is_held() {
        (Reason::Paused, "is paused (kubectl rollout resume); ")
    } else {
        (Reason::RollingOut, "")
    };
    let told = || Unready { reason, message: format!("{state}{}", progress(workload)), outlook: Outlook::Waits };
    (!workload.is_complete()).then(told)
}

/// How far a Deployment is, in words.
pub fn progress(workload: &Workload) -> String {
    if !workload.observed && workload.updated == workload.desired {
        return "no pod has the change yet, as the Deployment controller has not taken it up".to_owned();
    }
    let stopping = match workload.terminating {
        count if count > 0 && workload.updated < workload.desired => {
            format!("; {count} still stopping, for as long as spec.pod.terminationGracePeriodSeconds allows")
        }
        _ => String::new(),
    };
    format!(
        "{} of {} pods updated, {} available{stopping}",
        workload.updated.min(workload.desired),
        workload.desired,
        workload.available
    )
}

impl Unready {
    /// What the parent's Ready says of it.
    pub fn summary(self, kind: ChildKind, name: &str) -> Summary {
        self.outlook.summary(self.reason, format!("{kind} {name}: {}", self.message))
    }
}

#[cfg(test)]
mod tests {
    use super::{ADDRESS, ChildKind, Facts, RULES, unready};
    use crate::core::facts::{Claim, Published, Volume, Workload};
    use crate::shell::kinds::MANAGED;

    #[test]
    fn every_kind_has_one_rule_in_the_order_of_applying() {
        let kinds: Vec<ChildKind> = RULES.iter().map(|rule| rule.kind).collect();
        assert_eq!(kinds, MANAGED.iter().map(|row| row.kind).collect::<Vec<_>>());
    }

    #[test]
    fn facts_decide() {
        let claim = |ready, reason: &str| {
            Facts::Claim(Claim { ready, reason: reason.to_owned(), message: "m".to_owned(), ..Claim::default() }.into())
        };
        let service = |balanced, addresses: &[&str]| {
            let addresses = addresses.iter().map(ToString::to_string).collect();
            Facts::Published(Published { balanced, addresses, ..Published::default() }.into())
        };
        let volume = |phase: &str| Facts::Volume(Volume { phase: phase.to_owned(), ..Volume::default() }.into());
        let workload = |observed, available| {
            Facts::Workload(
                Workload { observed, desired: 1, replicas: 1, updated: 1, available, ..Workload::default() }.into(),
            )
        };
        for (kind, facts, told) in [
            (ChildKind::Service, Facts::None, None),
            (ChildKind::Service, service(true, &["192.0.2.1"]), None),
            (ChildKind::Service, service(false, &[]), None),
            (ChildKind::Service, service(true, &[]), Some(ADDRESS)),
            (ChildKind::StorageClaim, claim(true, "AsExpected"), None),
            (ChildKind::StorageClaim, claim(false, "WaitingForVolume"), Some("m")),
            (ChildKind::StorageClaim, claim(false, ""), Some("waits for its first status")),
            (ChildKind::PersistentVolumeClaim, volume("Bound"), None),
            (ChildKind::PersistentVolumeClaim, volume("Lost"), Some("lost its PersistentVolume")),
            (ChildKind::PersistentVolumeClaim, volume(""), Some("waits for a volume")),
            (ChildKind::Deployment, workload(true, 1), None),
            (ChildKind::Deployment, workload(true, 0), Some("1 of 1 pods updated, 0 available")),
            (
                ChildKind::Deployment,
                Facts::Workload(Workload { observed: true, desired: 1, terminating: 1, ..Workload::default() }.into()),
                Some(
                    "0 of 1 pods updated, 0 available; 1 still stopping, for as long as spec.pod.terminationGracePeriodSeconds allows",
                ),
            ),
            (
                ChildKind::Deployment,
                workload(false, 1),
                Some("no pod has the change yet, as the Deployment controller has not taken it up"),
            ),
        ] {
            assert_eq!(unready(kind, &facts).map(|unready| unready.message).as_deref(), told, "{kind} {facts:?}");
        }
    }
}
