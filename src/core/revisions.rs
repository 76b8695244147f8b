//! Revisions of an App: what is remembered of each `ReplicaSet` of its Deployment, and how two of them differ.
//!
//! Of a pod template only hashes stay, one per field of the App that it comes from, so that what changed is told without bodies.

use super::facts::{self, Workload, revision_number};
use super::kind::ParentKind;
use super::live::{Live, items};
use super::meta::{MANAGED_BY, MANAGER, parent_label};
use super::text::{QUOTE, cut};
use super::{hash, owner};
use crate::api::common::{RevisionOutcome, RevisionStatus};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Map, Value};

/// Most revisions told in one status: the current one, and as many old ones as Kubernetes keeps by default.
pub const TOLD: usize = 11;
/// Most former numbers that are remembered of one revision, the last ones.
const FORMER: usize = 16;

/// Annotation of a `ReplicaSet` with the numbers that it had before its Deployment went back to it.
pub const FORMER_NUMBERS: &str = "deployment.kubernetes.io/revision-history";
/// Label by which a Deployment tells its `ReplicaSets` apart.
pub const TEMPLATE_HASH: &str = "pod-template-hash";

/// One revision: a `ReplicaSet` of a Deployment.
#[derive(Clone, Debug, PartialEq)]
pub struct Revision {
    /// Name of its `ReplicaSet`.
    pub replica_set: Box<str>,
    /// Its number; going back to it gives it a new one.
    pub number: i32,
    /// Numbers that it had before.
    pub former: Box<[i32]>,
    /// Image of the App's container.
    pub image: Box<str>,
    /// When its `ReplicaSet` was made.
    pub created: Timestamp,
    /// Pods that run it.
    pub replicas: i32,
    /// Its pod template.
    pub parts: Parts,
    /// Hash of its Deployment's UID.
    deployment: u64,
}

/// A field of the App and where its part of a pod template is, `/container` being the App's own container.
type Part = (&'static str, &'static [&'static str]);

/// Every part of a pod template that is told by its own name. What is left is told as `other`.
const PARTS: [Part; 35] = [
    ("image", &["/container/image"]),
    ("imagePullPolicy", &["/container/imagePullPolicy"]),
    ("imagePullSecrets", &["/spec/imagePullSecrets"]),
    ("command", &["/container/command"]),
    ("args", &["/container/args"]),
    ("workingDir", &["/container/workingDir"]),
    ("env", &["/container/env"]),
    ("envFrom", &["/container/envFrom"]),
    ("ports", &["/container/ports"]),
    ("resources", &["/container/resources"]),
    ("livenessProbe", &["/container/livenessProbe"]),
    ("readinessProbe", &["/container/readinessProbe"]),
    ("startupProbe", &["/container/startupProbe"]),
    ("lifecycle", &["/container/lifecycle"]),
    ("securityContext", &["/container/securityContext"]),
    ("terminationMessagePath", &["/container/terminationMessagePath"]),
    ("terminationMessagePolicy", &["/container/terminationMessagePolicy"]),
    ("stdin", &["/container/stdin"]),
    ("tty", &["/container/tty"]),
    ("resizePolicy", &["/container/resizePolicy"]),
    ("initContainers and sidecars", &["/spec/initContainers"]),
    ("volumes", &["/container/volumeMounts", "/container/volumeDevices", "/spec/volumes"]),
    ("serviceAccount", &["/spec/serviceAccountName", "/spec/serviceAccount", "/spec/automountServiceAccountToken"]),
    ("configuration", &["/metadata/annotations/moorage.dev~1config-hash"]),
    ("kubectl rollout restart", &["/metadata/annotations/kubectl.kubernetes.io~1restartedAt"]),
    ("pod.labels", &["/metadata/labels"]),
    ("pod.annotations", &["/metadata/annotations"]),
    ("pod.nodeSelector", &["/spec/nodeSelector"]),
    ("pod.tolerations", &["/spec/tolerations"]),
    ("pod.affinity", &["/spec/affinity"]),
    ("pod.topologySpreadConstraints", &["/spec/topologySpreadConstraints"]),
    ("pod.enableServiceLinks", &["/spec/enableServiceLinks"]),
    ("pod.securityContext", &["/spec/securityContext"]),
    ("pod.terminationGracePeriodSeconds", &["/spec/terminationGracePeriodSeconds"]),
    (
        "pod",
        &[
            "/spec/priorityClassName",
            "/spec/preemptionPolicy",
            "/spec/runtimeClassName",
            "/spec/schedulerName",
            "/spec/os",
            "/spec/readinessGates",
            "/spec/resourceClaims",
            "/spec/hostAliases",
            "/spec/dnsPolicy",
            "/spec/dnsConfig",
            "/spec/shareProcessNamespace",
            "/spec/hostUsers",
        ],
    ),
];

/// Hashes of the parts of a pod template, in the order of [`PARTS`], and of what is left.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Parts(Box<[u32; PARTS.len() + 1]>);

impl Parts {
    /// Those of a pod template whose main container has that name.
    pub fn of(template: &Value, container: &str) -> Self {
        let mut left = bare(template);
        let containers = left["spec"]["containers"].as_array_mut();
        let main = containers.and_then(|containers| {
            let index = containers.iter().position(|one| one["name"] == container)?;
            Some(containers.remove(index))
        });
        left["container"] = main.unwrap_or_default();
        let mut hashes = [0; PARTS.len() + 1];
        for (hash, (_, places)) in hashes.iter_mut().zip(PARTS) {
            *hash = short(&places.iter().map(|place| take(&mut left, place)).collect());
        }
        hashes[PARTS.len()] = short(&left);
        Self(Box::new(hashes))
    }

    /// The fields in which two differ, by the names that the App has for them.
    pub fn differing(&self, other: &Self) -> Vec<&'static str> {
        let names = PARTS.iter().map(|(name, _)| *name).chain(["other"]);
        names
            .zip(self.0.iter().zip(other.0.iter()))
            .filter(|(_, (one, two))| one != two)
            .map(|(name, _)| name)
            .collect()
    }
}

/// A pod template without what the API server and the Deployment controller add to each.
pub fn bare(template: &Value) -> Value {
    let mut bare = template.clone();
    if let Some(metadata) = bare["metadata"].as_object_mut() {
        metadata.remove("creationTimestamp");
        if let Some(labels) = metadata.get_mut("labels").and_then(Value::as_object_mut) {
            labels.remove(TEMPLATE_HASH);
        }
    }
    bare
}

/// Takes a part out of a template; nothing where it is empty, as the API server keeps some of what is empty and some not.
fn take(template: &mut Value, place: &str) -> Value {
    let (above, field) = place.rsplit_once('/').unwrap_or_default();
    let above = template.pointer_mut(above).and_then(Value::as_object_mut);
    let part = above.and_then(|above| above.remove(&field.replace("~1", "/"))).unwrap_or_default();
    if part.as_object().is_some_and(Map::is_empty) || part.as_array().is_some_and(Vec::is_empty) {
        Value::Null
    } else {
        part
    }
}

#[allow(clippy::cast_possible_truncation, reason = "it is a hash, of which fewer bits do")]
fn short(value: &Value) -> u32 {
    hash::of(value) as u32
}

fn text_hash(text: &str) -> u64 {
    hash::of(&Value::String(text.to_owned()))
}

/// The memory of a live `ReplicaSet`, and the App whose Deployment controls it.
pub fn revision(live: &Live) -> Option<(Box<str>, Revision)> {
    let app = live.label(parent_label(ParentKind::App)).filter(|_| live.label(MANAGED_BY) == Some(MANAGER))?;
    let controller =
        owner::controlling(&live.body).filter(|owner| owner["kind"] == "Deployment" && owner["name"] == app)?;
    let template = &live.body["spec"]["template"];
    let main = items(&template["spec"]["containers"]).find(|container| container["name"] == app);
    let image = main.and_then(|container| container["image"].as_str()).unwrap_or_default();
    let former = live.annotation(FORMER_NUMBERS).unwrap_or_default().split(',').filter_map(revision_number);
    let former: Vec<i32> = former.collect();
    let replicas = live.body["status"]["replicas"].as_i64().and_then(|count| i32::try_from(count).ok()).unwrap_or(0);
    let revision = Revision {
        replica_set: live.name().into(),
        number: facts::revision(live)?,
        former: former[former.len().saturating_sub(FORMER)..].into(),
        image: cut(image, QUOTE).into(),
        created: live.body["metadata"]["creationTimestamp"].as_str()?.parse().ok()?,
        replicas: replicas.max(0),
        parts: Parts::of(template, app),
        deployment: text_hash(controller["uid"].as_str()?),
    };
    Some((app.into(), revision))
}

impl Revision {
    /// Whether that number is its own, or was before it was gone back to.
    pub fn has_number(&self, number: i32) -> bool {
        self.number == number || self.former.contains(&number)
    }

    /// The last of its numbers that is smaller.
    fn last_before(&self, number: i32) -> Option<i32> {
        self.former.iter().copied().chain([self.number]).filter(|own| *own < number).max()
    }

    /// Whether it is one of the Deployment of that UID.
    pub fn is_of(&self, deployment: &str) -> bool {
        self.deployment == text_hash(deployment)
    }
}

/// What the status tells of the revisions, newest first. What was `told` of one stays: why it was made is told once, and how it
/// ended can't be seen of a former one any more.
pub fn told(
    revisions: &[impl AsRef<Revision>],
    workload: Option<&Workload>,
    limit: Option<i32>,
    told: &[RevisionStatus],
) -> Vec<RevisionStatus> {
    let Some(workload) = workload else { return Vec::new() };
    let mut all: Vec<&Revision> = revisions.iter().map(AsRef::as_ref).collect();
    all.sort_unstable_by_key(|revision| std::cmp::Reverse(revision.number));
    // Those that the Deployment controller deletes once it is done are left out before: that they go is no news.
    let kept =
        limit.and_then(|limit| usize::try_from(limit).ok()).map_or(TOLD, |limit| TOLD.min(limit.saturating_add(1)));
    let one = |revision: &&Revision| {
        let before = told.iter().find(|before| before.number == revision.number);
        let changed = || {
            let former = all.iter().max_by_key(|other| other.last_before(revision.number));
            let former = former.filter(|former| former.last_before(revision.number).is_some());
            let differing = former.map(|former| revision.parts.differing(&former.parts));
            differing.unwrap_or_default().into_iter().map(str::to_owned).collect()
        };
        let is_current = workload.revision == Some(revision.number);
        RevisionStatus {
            number: revision.number,
            image: revision.image.to_string(),
            created: Time(revision.created),
            changed: before.map_or_else(changed, |before| before.changed.clone()),
            replicas: replicas(revision, is_current, workload),
            outcome: outcome(revision, is_current, workload, before.and_then(|before| before.outcome)),
        }
    };
    all.iter().take(kept).map(one).collect()
}

/// A Deployment that is complete says by itself how many pods run what; that of its `ReplicaSets` may come later, and is no news.
fn replicas(revision: &Revision, is_current: bool, workload: &Workload) -> i32 {
    match (workload.is_complete(), is_current) {
        (true, true) => workload.replicas,
        (true, false) => 0,
        (false, _) => revision.replicas,
    }
}

fn outcome(
    revision: &Revision,
    is_current: bool,
    workload: &Workload,
    before: Option<RevisionOutcome>,
) -> Option<RevisionOutcome> {
    match before {
        _ if is_current && workload.stuck.is_some() => Some(RevisionOutcome::Failed),
        _ if is_current && workload.has_succeeded(&revision.replica_set) => Some(RevisionOutcome::Succeeded),
        Some(RevisionOutcome::Succeeded) if workload.is_mistaken(&revision.replica_set) => before,
        _ if is_current && workload.observed => Some(RevisionOutcome::Progressing),
        Some(RevisionOutcome::Progressing) if !is_current && workload.observed => Some(RevisionOutcome::Superseded),
        before => before,
    }
}

#[cfg(test)]
mod tests {
    use super::{Parts, Revision, RevisionOutcome, RevisionStatus, revision, told};
    use crate::core::facts::Workload;
    use crate::core::live::Live;
    use crate::core::meta::CONFIG_HASH;
    use serde_json::{Value, json};
    use std::sync::Arc;

    type Change = fn(&mut Value);

    fn template() -> Value {
        json!({"metadata": {"labels": {"moorage.dev/app": "web"}, "annotations": {"a": "b"}}, "spec": {
            "containers": [{"name": "side", "image": "side:1"}, {"name": "web", "image": "web:1", "env": [{"name": "A", "value": "1"}]}],
            "serviceAccountName": "web", "volumes": [{"name": "data"}], "dnsPolicy": "ClusterFirst"}})
    }

    /// Each change of a template, and by which name it is told.
    #[test]
    fn what_changed_is_told_by_the_names_of_the_app() {
        let cases: [(&str, Change); 17] = [
            ("initContainers and sidecars", |it| it["spec"]["initContainers"] = json!([{"name": "wait"}])),
            ("tty", |it| it["spec"]["containers"][1]["tty"] = json!(true)),
            ("pod.affinity", |it| it["spec"]["affinity"] = json!({"podAntiAffinity": {}})),
            ("pod.enableServiceLinks", |it| it["spec"]["enableServiceLinks"] = json!(false)),
            ("pod", |it| it["spec"]["dnsPolicy"] = json!("Default")),
            ("image", |it| it["spec"]["containers"][1]["image"] = json!("web:2")),
            ("env", |it| it["spec"]["containers"][1]["env"] = json!([])),
            ("resources", |it| it["spec"]["containers"][1]["resources"] = json!({"limits": {"cpu": 1}})),
            ("volumes", |it| it["spec"]["containers"][1]["volumeMounts"] = json!([{"name": "data"}])),
            ("volumes", |it| it["spec"]["volumes"][0]["emptyDir"] = json!({})),
            ("serviceAccount", |it| it["spec"]["automountServiceAccountToken"] = json!(true)),
            ("configuration", |it| it["metadata"]["annotations"][CONFIG_HASH] = json!("1")),
            ("kubectl rollout restart", |it| {
                it["metadata"]["annotations"]["kubectl.kubernetes.io/restartedAt"] = json!("now");
            }),
            ("pod.annotations", |it| it["metadata"]["annotations"]["a"] = json!("c")),
            ("pod.labels", |it| it["metadata"]["labels"]["team"] = json!("c")),
            ("other", |it| it["spec"]["hostname"] = json!("web")),
            ("other", |it| it["spec"]["containers"][0]["image"] = json!("side:2")),
        ];
        let before = Parts::of(&template(), "web");
        for (name, change) in cases {
            let mut after = template();
            change(&mut after);
            assert_eq!(Parts::of(&after, "web").differing(&before), [name]);
        }
        let same: [fn(&mut Value); 3] = [
            |it| it["metadata"]["labels"]["pod-template-hash"] = json!("6d4"),
            |it| it["metadata"]["creationTimestamp"] = json!(null),
            |it| it["spec"]["containers"][1]["resources"] = json!({}),
        ];
        for change in same {
            let mut after = template();
            change(&mut after);
            assert_eq!(Parts::of(&after, "web"), before);
        }
    }

    fn replica_set(change: fn(&mut Value)) -> Live {
        let mut object = json!({"metadata": {"name": "web-6d4", "namespace": "shop", "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": {"app.kubernetes.io/managed-by": "moorage", "moorage.dev/app": "web"},
            "annotations": {"deployment.kubernetes.io/revision": "3", "deployment.kubernetes.io/revision-history": "1,x,2"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "d", "controller": true}]},
            "spec": {"template": template()}, "status": {"replicas": 2}});
        change(&mut object);
        Live::new(object)
    }

    #[test]
    fn a_revision_is_a_replica_set_of_the_apps_deployment() {
        let (app, found) = revision(&replica_set(|_| ())).unwrap();
        assert_eq!(
            (&*app, found.number, &*found.former, &*found.image, found.replicas),
            ("web", 3, &[1, 2][..], "web:1", 2)
        );
        assert!(found.is_of("d") && !found.is_of("e"));
        let none: [fn(&mut Value); 6] = [
            |it| it["metadata"]["annotations"] = json!({}),
            |it| it["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = json!("-1"),
            |it| it["metadata"]["ownerReferences"] = json!([]),
            |it| it["metadata"]["ownerReferences"][0]["controller"] = json!(false),
            |it| it["metadata"]["ownerReferences"][0]["kind"] = json!("Rollout"),
            |it| it["metadata"]["labels"] = json!({"moorage.dev/app": "web"}),
        ];
        for change in none {
            assert_eq!(revision(&replica_set(change)), None);
        }
    }

    fn numbered(number: i32, image: &str) -> Arc<Revision> {
        let mut template = template();
        template["spec"]["containers"][1]["image"] = json!(image);
        let (_, found) = revision(&replica_set(|_| ())).unwrap();
        Arc::new(Revision {
            number,
            former: Box::default(),
            image: image.into(),
            parts: Parts::of(&template, "web"),
            ..found
        })
    }

    fn rolled_out(revision: i32) -> Workload {
        Workload { observed: true, succeeded: Some("web-6d4".into()), revision: Some(revision), ..complete() }
    }

    fn complete() -> Workload {
        Workload { desired: 1, replicas: 1, updated: 1, available: 1, ..Workload::default() }
    }

    fn outcomes(told: &[RevisionStatus]) -> Vec<(i32, Option<RevisionOutcome>)> {
        told.iter().map(|revision| (revision.number, revision.outcome)).collect()
    }

    #[test]
    fn how_a_revision_ended_stays_told_once_it_is_replaced() {
        use RevisionOutcome::{Failed, Progressing, Succeeded, Superseded};
        let (one, two, three) = (numbered(1, "web:1"), numbered(2, "web:2"), numbered(3, "web:3"));
        let first = told(std::slice::from_ref(&one), Some(&rolled_out(1)), None, &[]);
        assert_eq!((outcomes(&first), first[0].replicas), (vec![(1, Some(Succeeded))], 1));
        let begun = Workload { observed: false, ..rolled_out(1) };
        assert_eq!(
            told(&[one.clone(), two.clone()], Some(&begun), None, &first)[1],
            RevisionStatus { replicas: 2, ..first[0].clone() }
        );
        let moving = Workload { succeeded: None, updated: 0, ..rolled_out(2) };
        let second = told(&[one.clone(), two.clone()], Some(&moving), None, &first);
        assert_eq!(outcomes(&second), [(2, Some(Progressing)), (1, Some(Succeeded))]);
        assert_eq!(second[0].changed, ["image"]);
        let stuck = Workload { stuck: Some("late".into()), ..moving.clone() };
        assert_eq!(outcomes(&told(&[one.clone(), two.clone()], Some(&stuck), None, &second))[0], (2, Some(Failed)));
        let third = told(&[two, three, one], Some(&rolled_out(3)), None, &second);
        assert_eq!(outcomes(&third), [(3, Some(Succeeded)), (2, Some(Superseded)), (1, Some(Succeeded))]);
        assert_eq!(third.iter().map(|revision| revision.replicas).collect::<Vec<_>>(), [1, 0, 0]);
    }

    /// Under Recreate the Deployment controller's word may be about the template before.
    #[test]
    fn what_is_said_of_another_revision_is_no_outcome() {
        use RevisionOutcome::{Progressing, Succeeded};
        let two = [numbered(2, "web:2")];
        let other = Workload { succeeded: Some("web-other".into()), ..rolled_out(2) };
        let lacking = Workload { available: 0, ..other.clone() };
        let first = told(&two, Some(&lacking), None, &[]);
        assert_eq!(outcomes(&first), [(2, Some(Progressing))]);
        let second = told(&two, Some(&other), None, &first);
        assert_eq!(outcomes(&second), [(2, Some(Succeeded))], "every pod is available");
        assert_eq!(outcomes(&told(&two, Some(&lacking), None, &second)), [(2, Some(Succeeded))], "it was once");
    }

    /// A rolling update whose status is not there yet looks alike, and so does one that has begun.
    #[test]
    fn the_controller_errs_while_there_are_pods_of_no_other() {
        let erring = Workload { succeeded: Some("web-other".into()), available: 0, ..rolled_out(2) };
        let endless = Workload { is_endless: true, ..erring.clone() };
        for (what, workload, expected) in [
            ("no pod of another", erring.clone(), true),
            ("no pod at all", Workload { replicas: 0, updated: 0, ..erring.clone() }, true),
            ("it says so of this one", Workload { succeeded: Some("web-6d4".into()), ..erring.clone() }, false),
            ("it has forgotten", Workload { succeeded: None, ..endless.clone() }, false),
            ("every pod is available", Workload { available: 1, ..erring.clone() }, false),
            ("pods of another are left", Workload { replicas: 2, ..erring.clone() }, false),
            ("the status is of the spec before", Workload { observed: false, ..erring }, false),
            ("the deadline is off, and not yet seen to be", Workload { observed: false, ..endless }, true),
        ] {
            assert_eq!(workload.is_mistaken("web-6d4"), expected, "{what}");
        }
    }

    /// One that runs again has a new number; why the one after it was made is told by the number that it had.
    #[test]
    fn what_changed_is_told_from_the_one_that_came_before() {
        let (one, two) = (numbered(1, "web:1"), numbered(2, "web:2"));
        let again = Arc::new(Revision { number: 3, former: [1].into(), ..Revision::clone(&one) });
        let told = told(&[again, two], Some(&rolled_out(3)), None, &[]);
        let changed: Vec<_> = told.iter().map(|revision| (revision.number, revision.changed.join(","))).collect();
        assert_eq!(changed, [(3, "image".to_owned()), (2, "image".to_owned())]);
    }

    /// The Deployment controller deletes the oldest once the newest is done, which is no news then.
    #[test]
    fn what_is_about_to_be_deleted_is_not_told() {
        let all: Vec<_> = (1..=20).map(|number| numbered(number, &format!("web:{number}"))).collect();
        for (limit, first) in [(None, 10), (Some(0), 20), (Some(2), 18), (Some(100), 10_usize)] {
            let before = told(&all, Some(&rolled_out(20)), limit, &[]);
            assert_eq!(before.last().map(|revision| revision.number), i32::try_from(first).ok(), "{limit:?}");
            let after = told(&all[first - 1..], Some(&rolled_out(20)), limit, &before);
            assert_eq!(after, before, "{limit:?}");
        }
    }
}
