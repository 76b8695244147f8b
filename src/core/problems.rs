//! The problems of all pods of a workload: which are told, in which order and words, and with what to do.

use super::advice::{Author, advice};
use super::pods::{CALM, Pod};
use super::reason::Reason;
use super::trouble::Trouble;
use crate::api::common::Problem;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

/// Most problems told in one status.
const PROBLEM_LIMIT: usize = 10;

/// The problems of some pods.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Problems {
    /// The worst ones, worst first; few enough for a status.
    pub told: Vec<Problem>,
    /// How many there are, told or not.
    pub count: usize,
}

/// The problems of all pods at that time, worst first. Pods whose place another takes count only as long as their places are empty
/// (the workload is not complete), and after those that may still come; those that ended alike count as one.
pub fn problems(pods: &[Pod], complete: bool, now: Timestamp) -> Problems {
    let (leaving, staying): (Vec<&Pod>, Vec<&Pod>) = pods.iter().partition(|pod| pod.leaving);
    let mut all = there(&staying, now);
    all.sort_by(|one, other| rank(one).cmp(&rank(other)));
    all.extend(alike(if complete { evicted_again(&leaving, now) } else { there(&leaving, now) }));
    let count = all.len();
    all.truncate(PROBLEM_LIMIT);
    Problems { told: all, count }
}

fn there(pods: &[&Pod], now: Timestamp) -> Vec<Problem> {
    let troubles = pods.iter().flat_map(|pod| &pod.troubles);
    troubles.filter(|trouble| trouble.is_there(now)).map(|trouble| trouble.problem.clone()).collect()
}

/// Evictions of which one came after the other, of the pod in its place: they go on, as a crash loop does, until it was calm for as long.
fn evicted_again(pods: &[&Pod], now: Timestamp) -> Vec<Problem> {
    let evicted = pods.iter().flat_map(|pod| &pod.troubles).filter(|trouble| calm(trouble) > Some(now.as_second()));
    let evicted: Vec<&Trouble> = evicted.collect();
    let follows = |trouble: &&Trouble| {
        let others = evicted.iter().filter(|other| other.problem.pod != trouble.problem.pod);
        let ended = others.filter_map(|other| calm(other)).map(|calm| calm - CALM);
        trouble.from.is_some_and(|from| ended.min().is_some_and(|end| end <= from))
    };
    if evicted.iter().any(follows) {
        evicted.iter().map(|trouble| trouble.problem.clone()).collect()
    } else {
        Vec::new()
    }
}

/// When an eviction is past if no other follows, in Unix seconds.
fn calm(trouble: &Trouble) -> Option<i64> {
    let since = trouble.problem.since.as_ref().filter(|_| Reason::of_problem(&trouble.problem) == Reason::Evicted)?;
    Some(since.0.as_second() + CALM)
}

/// One problem for all of a kind, of the pod that was the last to have it.
fn alike(problems: Vec<Problem>) -> Vec<Problem> {
    let mut kinds: BTreeMap<(String, String), Vec<Problem>> = BTreeMap::new();
    for problem in problems {
        kinds.entry((problem.reason.clone(), problem.container.clone())).or_default().push(problem);
    }
    let time = |problem: &Problem| problem.since.as_ref().map(|since| since.0);
    let group = |mut group: Vec<Problem>| {
        group.sort_by_key(|problem| (time(problem), problem.pod.clone()));
        let since = group.iter().find_map(|problem| problem.since.clone());
        let count = if group.len() > 1 { i32::try_from(group.len()).unwrap_or(i32::MAX) } else { 0 };
        group.pop().map(|last| Problem { count, since, ..last })
    };
    kinds.into_values().filter_map(group).collect()
}

/// The worst that is, was or will be wrong with pods of that `ReplicaSet` that stay: why it failed, at whatever time that is asked.
pub fn worst<'a>(pods: &'a [Pod], replica_set: &str) -> Option<&'a Problem> {
    let is_of = |pod: &&Pod| pod.name.strip_prefix(replica_set).is_some_and(|rest| rest.starts_with('-'));
    let troubles = pods.iter().filter(is_of).filter(|pod| !pod.leaving).flat_map(|pod| &pod.troubles);
    let problems = troubles.map(|trouble| &trouble.problem);
    problems.min_by_key(|problem| rank(problem))
}

/// When [`problems`] may say something else although nothing moved.
pub fn next_change(pods: &[Pod], now: Timestamp) -> Option<Duration> {
    let troubles = pods.iter().flat_map(|pod| &pod.troubles);
    let moments = troubles.flat_map(|trouble| [trouble.from, trouble.until, calm(trouble)]).flatten();
    let soonest = moments.filter(|moment| *moment > now.as_second()).min()?;
    u64::try_from(soonest - now.as_second()).ok().map(|seconds| Duration::from_secs(seconds.saturating_add(1)))
}

/// Rank of a problem: what the user's own edit most likely fixes comes first, a failing probe last.
fn severity(problem: &Problem) -> u8 {
    match Reason::of_problem(problem) {
        Reason::ReadinessFailing => 2,
        Reason::Unschedulable
        | Reason::FailedCreatePodSandBox
        | Reason::Evicted
        | Reason::PodFailed
        | Reason::NodeLost
        | Reason::TerminationStuck => 1,
        _ => 0,
    }
}

/// By which problems are told, the worst first.
fn rank(problem: &Problem) -> (u8, &str, &str) {
    (severity(problem), &problem.pod, &problem.container)
}

/// A problem in one sentence, with what its author can do about it.
pub fn sentence(problem: &Problem, author: Author<'_>) -> String {
    let Problem { pod, container, reason, message, exit_code, restart_count, count, since } = problem;
    let mut text = match (count, container.is_empty()) {
        (0 | 1, true) => format!("pod {pod}: {reason}"),
        (0 | 1, false) => format!("pod {pod}, container {container}: {reason}"),
        (count, true) => format!("{count} pods, the last one {pod}: {reason}"),
        (count, false) => format!("{count} pods, the last one {pod}, container {container}: {reason}"),
    };
    if let Some(since) = since.as_ref().filter(|_| *count > 1) {
        let _ = write!(text, " since {}", since.0);
    }
    // What follows begins with a period of its own.
    let message = message.trim_end_matches(['.', ' ']);
    if !message.is_empty() {
        let _ = write!(text, ": {message}");
    }
    if let Some(code) = exit_code {
        let _ = write!(text, " (exit code {code}, {restart_count} restarts)");
    }
    text.push_str(&advice(problem, author));
    text
}

#[cfg(test)]
mod tests {
    use super::{Author, Pod, Problems, Reason, next_change, problems, sentence};
    use crate::core::kind::ParentKind;
    use crate::core::live::Live;
    use crate::core::pods::pod;
    use jiff::Timestamp;
    use serde_json::{Value, json};

    const WEB: Author<'_> = Author { kind: ParentKind::App, container: "web", beside: [&[], &[]] };

    /// A pod of an App with that spec and status.
    fn seen(name: &str, spec: &Value, status: &Value, metadata: &Value) -> Pod {
        let mut body = json!({
            "metadata": {"name": name, "labels": {"app.kubernetes.io/managed-by": "moorage", "moorage.dev/app": "web", "pod-template-hash": "1"},
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-1", "controller": true}]},
            "spec": spec, "status": status,
        });
        for (field, value) in metadata.as_object().cloned().unwrap_or_default() {
            body["metadata"][field] = value;
        }
        pod(&Live::new(body)).unwrap().2
    }

    /// Likewise, of one container.
    fn container(probe: &str, status: Value) -> Pod {
        let mut status = status;
        status["name"] = json!("web");
        let ready = status["ready"] == true;
        let spec = json!({"containers": [{"name": "web", probe: {}}]});
        let condition = json!({"type": "Ready", "status": if ready { "True" } else { "False" }});
        seen("web-1-x", &spec, &json!({"containerStatuses": [status], "conditions": [condition]}), &Value::Null)
    }

    /// A run from the first to the second minute after midnight.
    fn run(code: i32, from: i64, to: i64) -> Value {
        json!({"exitCode": code, "startedAt": at(60 * from).to_string(), "finishedAt": at(60 * to).to_string()})
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_767_225_600 + second).unwrap()
    }

    fn told(pods: &[Pod], minute: i64) -> String {
        let Problems { told, .. } = problems(pods, false, at(60 * minute));
        told.iter()
            .map(|problem| format!("{:?}: {}", Reason::of_problem(problem), sentence(problem, WEB)))
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// Whatever the container does between its ends, the problem is the same, until it was calm for ten minutes.
    #[test]
    fn a_crash_loop_is_one_problem_also_while_its_container_runs() {
        let loops = |code| {
            [
                json!({"restartCount": 2, "ready": true, "state": {"running": {"startedAt": at(120).to_string()}}, "lastState": {"terminated": run(code, 1, 2)}}),
                json!({"restartCount": 1, "ready": false, "state": {"terminated": run(code, 1, 2)}, "lastState": {"terminated": run(code, 0, 1)}}),
                json!({"restartCount": 1, "ready": false, "state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": {"terminated": run(code, 1, 2)}}),
            ]
        };
        for (probe, code, expected) in [
            ("", 1, "CrashLoopBackOff"),
            ("", 0, "CrashLoopBackOff"),
            ("", 137, "CrashLoopBackOff"),
            ("livenessProbe", 137, "LivenessFailing"),
            ("livenessProbe", 143, "LivenessFailing"),
            ("livenessProbe", 1, "CrashLoopBackOff"),
            ("startupProbe", 143, "StartupFailing"),
        ] {
            for status in loops(code) {
                let pods = [container(probe, status.clone())];
                assert!(told(&pods, 11).starts_with(expected), "{probe} {code} {status}: {}", told(&pods, 11));
                let over = status["state"].get("running").is_some();
                assert_eq!(told(&pods, 12).is_empty(), over, "{status}");
                assert_eq!(next_change(&pods, at(60 * 2)).is_some(), over, "{status}");
            }
        }
    }

    #[test]
    fn an_end_now_and_then_is_no_loop() {
        let running = |restarts: i32, last: Value| {
            container(
                "",
                json!({"restartCount": restarts, "ready": true, "state": {"running": {}}, "lastState": {"terminated": last}}),
            )
        };
        for (pod, expected) in [
            (running(1, run(1, 0, 1)), ""),
            (running(7, run(1, -60, 1)), ""),
            (running(7, json!({"exitCode": 1})), ""),
            (running(7, run(1, 0, 1)), "CrashLoopBackOff"),
            (container("", json!({"restartCount": 0, "state": {"terminated": run(0, 0, 1)}})), ""),
            (container("", json!({"restartCount": 0, "state": {"terminated": run(1, 0, 1)}})), "ContainerFailed"),
        ] {
            assert_eq!(told(&[pod], 2).split(':').next(), Some(expected));
        }
        let done = json!({"initContainerStatuses": [{"name": "migrate", "restartCount": 3, "state": {"terminated": run(0, 1, 2)}, "lastState": {"terminated": run(1, 0, 1)}}]});
        assert_eq!(told(&[seen("web-1-x", &json!({}), &done, &Value::Null)], 2), "");
    }

    #[test]
    fn what_exits_with_0_is_told_to_keep_running() {
        let status = json!({"restartCount": 4, "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}}, "lastState": {"terminated": run(0, 0, 1)}});
        let said = told(&[container("", status.clone())], 1);
        assert!(
            said.contains("it exits with 0; a service must keep running (exit code 0, 4 restarts). Have spec.command"),
            "{said}"
        );
        // A program that stops cleanly when it is told to may be stopped by its probe.
        let said = told(&[container("livenessProbe", status)], 1);
        assert!(said.contains("or as a probe failed"), "{said}");
    }

    /// A program that could not be started has no log; the container runtime says why, also while the kubelet waits.
    #[test]
    fn what_never_started_is_told_in_the_runtimes_words() {
        let words = "exec: \"serve\": executable file not found in $PATH";
        let ended = json!({"terminated": {"reason": "StartError", "exitCode": 128, "message": words}});
        let waiting = json!({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}});
        for status in [
            json!({"restartCount": 0, "state": ended}),
            json!({"restartCount": 3, "state": waiting, "lastState": ended}),
        ] {
            let said = told(&[container("", status)], 1);
            assert!(
                said.starts_with("ContainerCannotRun: ") && said.contains(words) && !said.contains("kubectl logs"),
                "{said}"
            );
        }
    }

    #[test]
    fn a_probe_is_late_once_it_had_its_time() {
        let running = |restarts: i32, last: Value| json!({"restartCount": restarts, "ready": false, "started": false, "state": {"running": {"startedAt": at(0).to_string()}}, "lastState": last});
        let stopped = json!({"terminated": {"exitCode": 137}});
        for (probe, status, second, expected) in [
            ("readinessProbe", running(0, json!({})), 29, ""),
            ("readinessProbe", running(0, json!({})), 30, "ReadinessFailing"),
            ("startupProbe", running(0, json!({})), 29, ""),
            ("startupProbe", running(0, json!({})), 30, "StartupFailing"),
            ("startupProbe", running(1, stopped), 0, "StartupFailing"),
            ("startupProbe", running(1, json!({"terminated": {"exitCode": 1}})), 0, ""),
            ("livenessProbe", running(0, json!({})), 300, ""),
        ] {
            let problems = problems(&[container(probe, status)], false, at(second)).told;
            assert_eq!(
                problems.first().map(|problem| problem.reason.as_str()).unwrap_or_default(),
                expected,
                "{probe}"
            );
        }
    }

    #[test]
    fn pods_that_ended_alike_are_one_problem() {
        let failed = |name: &str, reason: &str, minute: i64| {
            let status = json!({"phase": "Failed", "reason": reason, "message": format!("of {name}"), "startTime": at(60 * minute).to_string(),
                "containerStatuses": [{"name": "web", "state": {"terminated": {"exitCode": 143}}}]});
            seen(name, &json!({}), &status, &Value::Null)
        };
        let mut pods: Vec<Pod> = (1..40).map(|index| failed(&format!("web-1-{index:02}"), "OutOfcpu", index)).collect();
        pods.push(failed("web-1-z", "UnexpectedAdmissionError", 50));
        let found = problems(&pods, false, at(3600));
        assert_eq!((found.count, found.told[0].count, found.told[1].count), (2, 39, 0));
        assert_eq!(
            told(&pods, 60).lines().collect::<Vec<_>>(),
            [
                "PodFailed: 39 pods, the last one web-1-39: OutOfcpu since 2026-01-01T00:01:00Z: of web-1-39. The Deployment makes another \
                 one; kubectl get pod web-1-39 -o wide tells the node that this one was on",
                "PodFailed: pod web-1-z: UnexpectedAdmissionError: of web-1-z. The Deployment makes another one; kubectl get pod web-1-z \
                 -o wide tells the node that this one was on",
            ]
        );
        assert_eq!(problems(&pods, true, at(3600)), Problems::default());
    }

    /// Each pod that fills its folder is evicted, and the next one does it again: that is one problem, also while the next one still runs.
    #[test]
    fn evictions_that_go_on_are_no_recovery() {
        let evicted = |name: &str, from: i64, to: i64| {
            let status = json!({"phase": "Failed", "reason": "Evicted", "message": "Usage of EmptyDir volume \"s\" exceeds the limit \"1Mi\". ",
                "conditions": [{"type": "DisruptionTarget", "status": "True", "lastTransitionTime": at(to).to_string()}]});
            seen(name, &json!({}), &status, &json!({"creationTimestamp": at(from).to_string()}))
        };
        let once = [evicted("web-1-a", 0, 60), evicted("web-1-b", 0, 61)];
        assert_eq!(problems(&once, true, at(62)).count, 0, "two at once, as a node runs out of memory");
        let again = [evicted("web-1-a", 0, 60), evicted("web-1-b", 60, 120)];
        for complete in [false, true] {
            let problem = problems(&again, complete, at(130)).told.pop().unwrap();
            assert!(sentence(&problem, WEB).starts_with("2 pods, the last one web-1-b: Evicted since "), "{problem:?}");
        }
        assert!(next_change(&again, at(130)).is_some());
        assert_eq!((problems(&again, true, at(659)).count, problems(&again, true, at(720)).count), (1, 0));
    }

    #[test]
    fn a_pod_that_does_not_stop_names_its_node_and_what_frees_it() {
        let stopping = |finalizers: Value| {
            let metadata = json!({"deletionTimestamp": at(0).to_string(), "finalizers": finalizers});
            [seen("web-1-x", &json!({"nodeName": "n1"}), &json!({"phase": "Running"}), &metadata)]
        };
        let pods = stopping(json!([]));
        assert_eq!(problems(&pods, false, at(29)).count, 0);
        assert_eq!(next_change(&pods, at(29)).map(|wait| wait.as_secs()), Some(2));
        let said = told(&pods, 1);
        for words in [
            "TerminationStuck: pod web-1-x",
            "by 2026-01-01T00:00:00Z",
            "node n1",
            "delete pod web-1-x --grace-period=0 --force",
        ] {
            assert!(said.contains(words), "{said}");
        }
        assert_eq!(problems(&pods, true, at(60)).count, 0, "another has taken its place");
        let said = told(&stopping(json!(["example.com/drain"])), 1);
        assert!(said.contains("held by its finalizers: example.com/drain") && !said.contains("--force"), "{said}");
    }

    #[test]
    fn who_may_not_run_as_root_gets_the_cause_that_is_it() {
        let said = |message: &str| {
            told(
                &[container(
                    "",
                    json!({"state": {"waiting": {"reason": "CreateContainerConfigError", "message": message}}}),
                )],
                0,
            )
        };
        let cases = [
            (
                "container has runAsNonRoot and image has non-numeric user (app), cannot verify user is non-root (pod: x)",
                "user is a name",
                false,
            ),
            (
                "container's runAsUser breaks non-root policy (pod: x, container: web)",
                "runAsUser is 0, which is root",
                true,
            ),
            (
                "container has runAsNonRoot and image will run as root (pod: x, container: web)",
                "The image runs as root",
                true,
            ),
        ];
        for (message, cause, may_loosen) in cases {
            let said = said(message);
            assert!(
                said.contains(cause)
                    && said.contains("spec.securityContext.runAsUser")
                    && !said.contains("Check the Secrets"),
                "{said}"
            );
            let loosens = said.find("runAsNonRoot: false");
            assert_eq!(loosens.is_some(), may_loosen, "{said}");
            assert!(
                loosens.is_none_or(|place| place > said.find("another number").or(said.find("a number")).unwrap()),
                "{said}"
            );
        }
        assert!(said("secret \"db\" not found").contains("Check the Secrets"));
    }

    /// While its volume is made, a pod has no node; that is how every first start with a volume begins.
    #[test]
    fn a_volume_that_is_being_made_is_no_alarm() {
        let unscheduled = |message: &str| {
            let condition = json!({"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message, "lastTransitionTime": at(0).to_string()});
            [seen("web-1-x", &json!({}), &json!({"conditions": [condition]}), &Value::Null)]
        };
        let unbound = unscheduled("0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.");
        assert_eq!((problems(&unbound, false, at(59)).count, problems(&unbound, false, at(60)).count), (0, 1));
        assert_eq!(problems(&unscheduled("0/1 nodes are available: 1 Insufficient cpu."), false, at(0)).count, 1);
        let claims = json!({"volumes": [{"persistentVolumeClaim": {"claimName": "data"}}, {"emptyDir": {}}]});
        let status = json!({"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
            "message": "pod has unbound immediate PersistentVolumeClaims.", "lastTransitionTime": at(0).to_string()}]});
        let said = told(&[seen("web-1-x", &claims, &status, &Value::Null)], 1);
        assert!(said.ends_with("PersistentVolumeClaims. What keeps its volume: kubectl describe pvc data"), "{said}");
    }

    /// The node controller marks the pod, and its kubelet can't say what it has become.
    #[test]
    fn a_pod_whose_node_is_silent_is_no_rollout() {
        let pod = |ready: &str, containers: &str, spec: Value| {
            let mut spec = spec;
            spec["nodeName"] = json!("n1");
            let condition = |type_: &str, status: &str| json!({"type": type_, "status": status});
            let conditions = [condition("Ready", ready), condition("ContainersReady", containers)];
            let statuses = json!([{"name": "web", "ready": true, "restartCount": 0, "state": {"running": {}}}]);
            let status = json!({"phase": "Running", "conditions": conditions, "containerStatuses": statuses});
            [seen("web-1-x", &spec, &status, &Value::Null)]
        };
        let said = told(&pod("False", "True", json!({})), 0);
        assert!(said.starts_with("NodeLost: pod web-1-x") && said.ends_with("kubectl describe node n1"), "{said}");
        let gate = json!({"readinessGates": [{"conditionType": "example.com/lb"}]});
        // A sidecar among the init containers counts for its containers as well.
        for (ready, containers, spec) in
            [("True", "True", json!({})), ("False", "True", gate), ("False", "False", json!({}))]
        {
            assert_eq!(told(&pod(ready, containers, spec), 0), "");
        }
    }

    #[test]
    fn a_hook_that_fails_is_one_problem_through_every_back_off() {
        let spec = json!({"containers": [{"name": "web", "lifecycle": {"postStart": {"exec": {}}}}]});
        let ended =
            json!({"terminated": {"exitCode": 0, "startedAt": at(0).to_string(), "finishedAt": at(1).to_string()}});
        for state in
            [json!({"reason": "PostStartHookError", "message": "exited with 3"}), json!({"reason": "CrashLoopBackOff"})]
        {
            let status = json!({"containerStatuses": [{"name": "web", "restartCount": 2, "state": {"waiting": state}, "lastState": ended}]});
            let said = told(&[seen("web-1-x", &spec, &status, &Value::Null)], 1);
            let is_told = said.starts_with("CrashLoopBackOff: ") && said.contains("Check spec.lifecycle.postStart");
            assert!(is_told && !said.contains("must keep running"), "{said}");
        }
    }

    /// One that is down, or that there is not.
    #[test]
    fn a_scheduler_that_says_nothing_is_named() {
        let made = json!({"creationTimestamp": at(0).to_string()});
        let pods = [seen("web-1-x", &json!({"schedulerName": "gpu"}), &json!({"phase": "Pending"}), &made)];
        assert_eq!(problems(&pods, false, at(59)).count, 0);
        let said = told(&pods, 1);
        assert!(
            said.starts_with("Unschedulable: pod web-1-x") && said.contains("no scheduler named gpu has said why"),
            "{said}"
        );
        // It may be busy with the pod's volume.
        let mounts = json!({"volumes": [{"persistentVolumeClaim": {"claimName": "data"}}]});
        let pods = [seen("web-1-x", &mounts, &json!({"phase": "Pending"}), &made)];
        assert_eq!(problems(&pods, false, at(599)).count, 0);
        assert!(told(&pods, 10).contains("What keeps its volume: kubectl describe pvc data"), "{}", told(&pods, 10));
        let pods = [seen("web-1-x", &json!({"nodeName": "n1"}), &json!({"phase": "Pending"}), &made)];
        assert_eq!(problems(&pods, false, at(60)).count, 0, "somebody gave it a node");
    }
}
