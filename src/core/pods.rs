//! What is wrong with pods, in Kubernetes' own words.

use super::kind::ParentKind;
use super::live::{Live, items};
use super::owner::of_pod;
use super::reason::Reason;
use super::text::{QUOTE, WORD, cut};
use crate::api::common::Problem;
use jiff::Timestamp;
use serde_json::Value;
use std::fmt::Write;
use std::time::Duration;

/// Most problems told in one status.
const PROBLEM_LIMIT: usize = 10;

/// The slim memory of one pod.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pod {
    /// Its name.
    pub name: String,
    /// Whether it is ready.
    pub ready: bool,
    /// Whether it has ended for good: its node was shut down, or it was evicted. Another takes its place.
    pub ended: bool,
    /// What is wrong with it; empty while it starts or runs well.
    pub problems: Vec<Problem>,
    /// What will be wrong with it from that second (Unix time) on, if it is not ready by then.
    pub late: Option<(i64, Problem)>,
}

/// The memory of a live pod and the parent that it runs for.
pub fn pod(live: &Live) -> Option<(ParentKind, String, Pod)> {
    let (kind, name) = of_pod(live)?;
    let status = &live.body["status"];
    let ready =
        items(&status["conditions"]).any(|condition| condition["type"] == "Ready" && condition["status"] == "True");
    let (mut problems, mut late) = (Vec::new(), None);
    if !live.is_deleting() {
        problems.extend(pod_problem(live.name(), status));
        for field in ["initContainerStatuses", "containerStatuses"] {
            problems.extend(items(&status[field]).filter_map(|container| container_problem(live.name(), container)));
        }
        if problems.is_empty() && !ready {
            late = readiness_problem(live, status);
        }
    }
    let ended = status["phase"] == "Failed";
    Some((kind, name.into_string(), Pod { name: live.name().to_owned(), ready, ended, problems, late }))
}

fn pod_problem(pod: &str, status: &Value) -> Option<Problem> {
    if status["phase"] == "Failed" && status["reason"] == "Evicted" {
        return Some(problem(pod, "", Reason::Evicted.as_str(), &status["message"]));
    }
    let scheduled = items(&status["conditions"]).find(|condition| condition["type"] == "PodScheduled")?;
    (scheduled["status"] == "False" && scheduled["reason"] == "Unschedulable")
        .then(|| problem(pod, "", Reason::Unschedulable.as_str(), &scheduled["message"]))
}

/// States of a container that every start passes through.
const HARMLESS: [&str; 3] = ["ContainerCreating", "PodInitializing", ""];

fn container_problem(pod: &str, container: &Value) -> Option<Problem> {
    let name = container["name"].as_str().unwrap_or_default();
    let (waiting, ended) = (&container["state"]["waiting"], &container["state"]["terminated"]);
    let last = &container["lastState"]["terminated"];
    let restarts = container["restartCount"].as_i64().and_then(|count| i32::try_from(count).ok()).unwrap_or(0).max(0);
    let waits_for = waiting["reason"].as_str().unwrap_or_default();
    let mut found = if waits_for == Reason::CrashLoopBackOff.as_str() && last["reason"] == Reason::OOMKilled.as_str() {
        problem(pod, name, Reason::OOMKilled.as_str(), &waiting["message"])
    } else if !HARMLESS.contains(&waits_for) {
        problem(pod, name, waits_for, &waiting["message"])
    } else if ended["exitCode"].as_i64().is_some_and(|code| code != 0) {
        let reason =
            if ended["reason"] == Reason::OOMKilled.as_str() { Reason::OOMKilled } else { Reason::ContainerFailed };
        problem(pod, name, reason.as_str(), &ended["message"])
    } else {
        return None;
    };
    let run = if ended.is_object() { ended } else { last };
    found.exit_code = run["exitCode"].as_i64().and_then(|code| i32::try_from(code).ok());
    found.restart_count = restarts;
    Some(found)
}

/// A container that runs and is not ready: a problem once its readiness probe had the time that it declares itself.
fn readiness_problem(live: &Live, status: &Value) -> Option<(i64, Problem)> {
    let container = items(&status["containerStatuses"])
        .find(|container| container["ready"] == false && container["state"]["running"].is_object())?;
    let name = container["name"].as_str().unwrap_or_default();
    let declared = items(&live.body["spec"]["containers"]).find(|declared| declared["name"] == name)?;
    let probe = declared.get("readinessProbe")?;
    let started: Timestamp = container["state"]["running"]["startedAt"].as_str()?.parse().ok()?;
    let number = |field: &str, default: i64| probe[field].as_i64().unwrap_or(default);
    let patience = number("initialDelaySeconds", 0) + number("periodSeconds", 10) * number("failureThreshold", 3);
    let message = Value::String(format!("container {name} runs, but its readiness probe does not succeed"));
    Some((started.as_second() + patience, problem(live.name(), name, Reason::ReadinessFailing.as_str(), &message)))
}

fn problem(pod: &str, container: &str, reason: &str, message: &Value) -> Problem {
    Problem {
        pod: cut(pod, WORD),
        container: cut(container, WORD),
        reason: cut(reason, WORD),
        message: cut(message.as_str().unwrap_or_default(), QUOTE),
        exit_code: None,
        restart_count: 0,
    }
}

/// The problems of some pods.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Problems {
    /// The worst ones, worst first; few enough for a status.
    pub told: Vec<Problem>,
    /// How many there are, told or not.
    pub count: usize,
}

/// The problems of all pods at that time, worst first. Pods that have ended count only as long as their
/// places are empty (the workload is not complete), and after those that may still come.
pub fn problems(pods: &[Pod], complete: bool, now: Timestamp) -> Problems {
    let mut all: Vec<(bool, &Problem)> = Vec::new();
    for pod in pods.iter().filter(|pod| !(pod.ended && complete)) {
        let late = pod.late.iter().filter(|(at, _)| *at <= now.as_second()).map(|(_, problem)| problem);
        all.extend(pod.problems.iter().chain(late).map(|problem| (pod.ended, problem)));
    }
    all.sort_by_key(|(ended, problem)| (*ended, severity(problem), &problem.pod, &problem.container));
    let told = all.iter().take(PROBLEM_LIMIT).map(|(_, problem)| (*problem).clone()).collect();
    Problems { told, count: all.len() }
}

/// When [`problems`] may say more although nothing moved.
pub fn next_late(pods: &[Pod], now: Timestamp) -> Option<Duration> {
    let late = pods.iter().filter_map(|pod| pod.late.as_ref()).map(|(at, _)| *at);
    let soonest = late.filter(|at| *at > now.as_second()).min()?;
    u64::try_from(soonest - now.as_second()).ok().map(|seconds| Duration::from_secs(seconds + 1))
}

/// The worst problem that a living pod has by now.
pub fn worst(pods: &[Pod]) -> Option<&Problem> {
    let problems = pods.iter().filter(|pod| !pod.ended).flat_map(|pod| &pod.problems);
    problems.min_by_key(|problem| (severity(problem), &problem.pod, &problem.container))
}

/// The reason of a problem among ours; what Kubernetes may add one day counts as a failed container.
pub fn reason(problem: &Problem) -> Reason {
    match problem.reason.as_str() {
        "ImageInspectError" | "RegistryUnavailable" => Reason::ErrImagePull,
        "CreateContainerError" | "RunContainerError" | "StartError" => Reason::ContainerCannotRun,
        other => Reason::named(other).unwrap_or(Reason::ContainerFailed),
    }
}

/// Rank of a problem: what the user's own edit most likely fixes comes first, a failing probe last.
fn severity(problem: &Problem) -> u8 {
    match reason(problem) {
        Reason::ReadinessFailing => 2,
        Reason::Unschedulable | Reason::Evicted => 1,
        _ => 0,
    }
}

/// A problem in one sentence, with what to do about it.
pub fn sentence(problem: &Problem) -> String {
    let place = if problem.container.is_empty() {
        format!("pod {}", problem.pod)
    } else {
        format!("pod {}, container {}", problem.pod, problem.container)
    };
    let mut text = format!("{place}: {}", problem.reason);
    if !problem.message.is_empty() {
        text.push_str(": ");
        text.push_str(&problem.message);
    }
    if let Some(code) = problem.exit_code {
        let _ = write!(text, " (exit code {code}, {} restarts)", problem.restart_count);
    }
    text.push_str(&advice(problem));
    text
}

/// What the author can do about a problem.
fn advice(problem: &Problem) -> String {
    if problem.message.contains("runAsNonRoot") {
        return ". The image runs as root: set spec.securityContext.runAsUser to a number other than 0, or allow it with \
                spec.securityContext.runAsNonRoot: false and spec.pod.securityContext.runAsNonRoot: false"
            .to_owned();
    }
    match reason(problem) {
        Reason::ErrImagePull | Reason::ImagePullBackOff | Reason::InvalidImageName => {
            ". Check spec.image and spec.imagePullSecrets".to_owned()
        }
        Reason::OOMKilled => ". Raise spec.resources.limits.memory".to_owned(),
        Reason::CrashLoopBackOff | Reason::ContainerFailed => {
            format!(". Read its log: kubectl logs {} -c {} --previous", problem.pod, problem.container)
        }
        Reason::CreateContainerConfigError => ". Check the Secrets and ConfigMaps that the spec refers to".to_owned(),
        _ => String::new(),
    }
}
