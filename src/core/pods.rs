//! What is wrong with pods, from when and until when, in Kubernetes' own words.

use super::kind::ParentKind;
use super::live::{Live, items};
use super::owner::of_pod;
use super::probe::Probe;
use super::reason::Reason;
use super::text::{WORD, cut, list};
use super::trouble::{Trouble, problem, second, text};
use crate::api::common::Problem;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::Value;

/// How long a container that ended again and again has to run until that is over, in seconds.
pub const CALM: i64 = 600;
/// How long after the end of its grace period a pod may be there, in seconds: as long as a kubelet needs to say that it stopped.
const STOPPING: i64 = 30;
/// How long a pod may wait for the first word of a scheduler, in seconds; and one that has volumes made for it first, which says nothing
/// before (`bindTimeoutSeconds` of its `VolumeBinding` plugin).
const SCHEDULING: i64 = 60;
const SCHEDULING_WITH_VOLUMES: i64 = 600;
/// How long a volume may take to be made, in seconds. What keeps it from being made, its claim tells.
const BINDING: i64 = 60;
/// What is told of a container that ends again and again while it runs.
pub const RUNS_AGAIN: &str = "it runs again since it last ended at";
/// What is told of a container that a failing hook may have stopped.
pub const HOOKED: &str = "it ends by itself, or is stopped as its postStart hook fails";
/// How a pod is told of which no scheduler has said anything.
pub const SILENT: &str = "it has no node yet, and no scheduler named";
/// What the scheduler says of a pod whose volume is being made.
const UNBOUND: &str = "unbound immediate PersistentVolumeClaims";

/// The slim memory of one pod.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pod {
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: Box<str>,
    /// Whether it is to be remembered: it is not ready, something is wrong, or a container of it was restarted and may be again.
    pub matters: bool,
    /// Whether it has a node, and its volumes and network are still to come.
    pub starting: bool,
    /// Whether another takes its place: it has ended for good, or is being deleted.
    pub leaving: bool,
    /// What is wrong with it; empty while it starts or runs well.
    pub troubles: Vec<Trouble>,
}

/// The memory of a live pod and the parent that it runs for.
pub fn pod(live: &Live) -> Option<(ParentKind, String, Pod)> {
    let (kind, name) = of_pod(live)?;
    let ended = live.body["status"]["phase"] == "Failed";
    let troubles = if live.is_deleting() {
        stopping(live).into_iter().collect()
    } else {
        failure(live).filter(|_| ended).map_or_else(|| running(live), |failure| vec![failure])
    };
    let leaving = ended || live.is_deleting();
    let was_restarted = containers(live).any(|container| container.restarts() > 0);
    let pod = Pod {
        name: live.name().to_owned(),
        uid: live.uid().into(),
        matters: !troubles.is_empty() || !leaving && (!is_ready(live) || was_restarted),
        starting: !leaving && is_starting(live),
        leaving,
        troubles,
    };
    Some((kind, name.into_string(), pod))
}

/// Whether its Ready condition is True.
pub fn is_ready(live: &Live) -> bool {
    has_condition(live, "Ready", "True")
}

fn has_condition(live: &Live, type_: &str, status: &str) -> bool {
    items(&live.body["status"]["conditions"])
        .any(|condition| condition["type"] == type_ && condition["status"] == status)
}

/// Whether a pod has a node and no container of it has run. That its volumes and network are there is told by a condition since
/// Kubernetes 1.29 (KEP-3085).
fn is_starting(live: &Live) -> bool {
    let status = &live.body["status"];
    let statuses = ["initContainerStatuses", "containerStatuses"].into_iter().flat_map(|field| items(&status[field]));
    let runs = |container: &Value| {
        let (state, last) = (&container["state"], &container["lastState"]);
        state.get("running").is_some() || state.get("terminated").is_some() || last.get("terminated").is_some()
    };
    let has_node = !text(&live.body["spec"]["nodeName"]).is_empty();
    has_node && !has_condition(live, "PodReadyToStartContainers", "True") && !statuses.into_iter().any(runs)
}

/// Why a pod has ended as a whole, if that has a reason of its own: its node refused it, evicted it or was shut down.
fn failure(live: &Live) -> Option<Trouble> {
    let status = &live.body["status"];
    let reason = status["reason"].as_str().filter(|reason| !reason.is_empty())?;
    let since = last_moment(live).and_then(|moment| Timestamp::from_second(moment).ok()).map(Time);
    let problem = Problem { since, ..problem(live.name(), "", reason, text(&status["message"])) };
    Some(Trouble { problem, from: second(&live.body["metadata"]["creationTimestamp"]), ..Trouble::default() })
}

/// The last moment that a pod tells of.
fn last_moment(live: &Live) -> Option<i64> {
    let status = &live.body["status"];
    let begun = [&live.body["metadata"]["creationTimestamp"], &status["startTime"]];
    let turned = items(&status["conditions"]).map(|condition| &condition["lastTransitionTime"]);
    let ended = items(&status["containerStatuses"]).map(|container| &container["state"]["terminated"]["finishedAt"]);
    begun.into_iter().chain(turned).chain(ended).filter_map(second).max()
}

/// A pod that should be gone: its node is dead, or something holds it.
fn stopping(live: &Live) -> Option<Trouble> {
    let due = second(&live.body["metadata"]["deletionTimestamp"])?;
    let (name, node) = (live.name(), text(&live.body["spec"]["nodeName"]));
    let holders: Vec<&str> = live.finalizers().collect();
    let since = Timestamp::from_second(due).ok()?;
    let message = if holders.is_empty() {
        format!(
            "it should have stopped by {since}, and node {node} does not say that it did. Look at the node: kubectl describe node {node}. \
             If it is dead, make sure that it is off, then free the pod: kubectl delete pod {name} --grace-period=0 --force"
        )
    } else {
        let holders = list(holders, 4, ", ");
        format!(
            "it should have stopped by {since}, on node {node}, and is held by its finalizers: {holders}. Whoever set them takes them off \
             once it is done"
        )
    };
    let problem = problem(name, "", Reason::TerminationStuck.as_str(), &message);
    Some(Trouble {
        problem: Problem { since: Some(Time(since)), ..problem },
        from: Some(due + STOPPING),
        ..Trouble::default()
    })
}

/// What is wrong with a pod that is to run.
fn running(live: &Live) -> Vec<Trouble> {
    let mut troubles: Vec<Trouble> = unscheduled(live).into_iter().chain(lost(live)).collect();
    troubles.extend(containers(live).filter_map(|container| container.trouble()));
    if troubles.is_empty() && !is_ready(live) {
        let services = containers(live).filter(|container| !container.is_init && container.spec.is_object());
        troubles.extend(services.filter_map(|container| container.late()).take(1));
    }
    troubles
}

/// The containers of a pod, in the order in which they start. Of the init containers those with `restartPolicy: Always` are none: they run
/// on, and what comes after them waits until they have started.
fn containers(live: &Live) -> impl Iterator<Item = Container<'_>> {
    let (spec, status) = (&live.body["spec"], &live.body["status"]);
    let lists = [("initContainerStatuses", "initContainers"), ("containerStatuses", "containers")];
    lists.into_iter().flat_map(move |(statuses, specs)| {
        items(&status[statuses]).map(move |status| {
            let spec = items(&spec[specs]).find(|spec| spec["name"] == status["name"]).unwrap_or(&Value::Null);
            let is_init = specs == "initContainers" && spec["restartPolicy"] != "Always";
            Container { pod: live.name(), spec, status, is_init }
        })
    })
}

/// A pod without a node: what the scheduler says of that, or that none has said anything, as long as it has volumes made for the pod as
/// well.
fn unscheduled(live: &Live) -> Option<Trouble> {
    let spec = &live.body["spec"];
    let claim = items(&spec["volumes"]).find_map(|volume| volume["persistentVolumeClaim"]["claimName"].as_str());
    let condition = items(&live.body["status"]["conditions"]).find(|condition| condition["type"] == "PodScheduled");
    let (message, from) = match condition {
        None if text(&spec["nodeName"]).is_empty() => {
            let since = second(&live.body["metadata"]["creationTimestamp"])?;
            let name = spec["schedulerName"].as_str().unwrap_or("default-scheduler");
            let is_made = |volume: &Value| volume.get("ephemeral").is_some();
            let has_volumes = claim.is_some() || items(&spec["volumes"]).any(is_made);
            let patience = if has_volumes { SCHEDULING_WITH_VOLUMES } else { SCHEDULING };
            (format!("{SILENT} {name} has said why"), Some(since + patience))
        }
        Some(condition) if condition["status"] == "False" && condition["reason"] == "Unschedulable" => {
            let message = text(&condition["message"]);
            let since = second(&condition["lastTransitionTime"]).filter(|_| message.contains(UNBOUND));
            (message.to_owned(), since.map(|since| since + BINDING))
        }
        _ => return None,
    };
    let message = match from.and(claim) {
        Some(claim) => {
            format!("{}. What keeps its volume: kubectl describe pvc {claim}", cut(message.trim_end_matches('.'), WORD))
        }
        None => message,
    };
    let problem = problem(live.name(), "", Reason::Unschedulable.as_str(), &message);
    Some(Trouble { problem, from, ..Trouble::default() })
}

/// A pod that is not ready although its kubelet last said that all of its containers are: the node controller says so, of a node that
/// it does not hear of. A gate of its own may say so as well.
fn lost(live: &Live) -> Option<Trouble> {
    let spec = &live.body["spec"];
    let node = text(&spec["nodeName"]);
    let was_ready = has_condition(live, "ContainersReady", "True");
    if !was_ready || !has_condition(live, "Ready", "False") || spec.get("readinessGates").is_some() {
        return None;
    }
    let message = format!(
        "its node {node} does not report any more, so nobody knows how the pod is; another takes its place after five minutes, unless its \
         volume or spec.pod.tolerations keep it. Look at the node: kubectl describe node {node}"
    );
    Some(problem(live.name(), "", Reason::NodeLost.as_str(), &message).into())
}

/// States of a container that every start passes through.
const HARMLESS: [&str; 3] = ["ContainerCreating", "PodInitializing", ""];

/// A container as it is declared and as it runs.
struct Container<'a> {
    pod: &'a str,
    spec: &'a Value,
    status: &'a Value,
    is_init: bool,
}

impl Container<'_> {
    fn name(&self) -> &str {
        text(&self.status["name"])
    }

    fn restarts(&self) -> i32 {
        self.status["restartCount"].as_i64().and_then(|count| i32::try_from(count).ok()).unwrap_or(0).max(0)
    }

    /// Its last run that is over; null if none is.
    fn run(&self) -> &Value {
        let ended = &self.status["state"]["terminated"];
        if ended.is_object() { ended } else { &self.status["lastState"]["terminated"] }
    }

    fn exit_code(&self) -> Option<i32> {
        self.run()["exitCode"].as_i64().and_then(|code| i32::try_from(code).ok())
    }

    /// Whether it ended at least twice, the last time after so short a run that the time before was no longer ago than that. What ends
    /// cleanly, or is stopped, does so again however long it ran.
    fn ends_again(&self) -> bool {
        let ends = self.restarts().saturating_add(i32::from(self.status["state"]["terminated"].is_object()));
        let run = self.run();
        let is_habit = ends >= 3 && matches!(self.exit_code(), Some(0 | 137 | 143));
        ends >= 2 && run.is_object() && (is_habit || self.lasted().is_none_or(|lasted| lasted < CALM))
    }

    /// How long its last run took, in seconds.
    fn lasted(&self) -> Option<i64> {
        let run = self.run();
        second(&run["finishedAt"]).zip(second(&run["startedAt"])).map(|(end, start)| end - start)
    }

    /// What is wrong with it now, or was a short while ago and comes again and again.
    fn trouble(&self) -> Option<Trouble> {
        let state = &self.status["state"];
        let (waiting, ended) = (&state["waiting"], &state["terminated"]);
        let waits_for = text(&waiting["reason"]);
        let (repeats, fails) = (self.ends_again(), self.exit_code().is_some_and(|code| code != 0));
        if waits_for == Reason::CrashLoopBackOff.as_str() {
            Some(self.ended(true, text(&waiting["message"])))
        } else if !HARMLESS.contains(&waits_for) {
            Some(self.problem(waits_for, text(&waiting["message"])).into())
        } else if ended.is_object() {
            let is_wrong = fails || repeats && !self.is_init;
            is_wrong.then(|| self.ended(repeats, text(&ended["message"])))
        } else if repeats && (fails || !self.is_init) {
            let end = second(&self.run()["finishedAt"])?;
            let message = format!("{RUNS_AGAIN} {}", Timestamp::from_second(end).ok()?);
            Some(Trouble { until: Some(end + CALM), ..self.ended(true, &message) })
        } else {
            None
        }
    }

    /// That it ended. Where it came to an end by a signal, or cleanly, a probe may have had it stopped.
    fn ended(&self, repeats: bool, message: &str) -> Trouble {
        let may_be_stopped = matches!(self.exit_code(), Some(0 | 137 | 143)) && self.killing_probe().is_some();
        let problem = self.why_ended(repeats, message);
        let is_oom = problem.reason == Reason::OOMKilled.as_str();
        let stopped = second(&self.run()["finishedAt"]).filter(|_| repeats && may_be_stopped && !is_oom);
        Trouble { problem, stopped, ..Trouble::default() }
    }

    /// What made it end. The message tells it where nothing better is known.
    fn why_ended(&self, repeats: bool, message: &str) -> Problem {
        let (reason, code) = (text(&self.run()["reason"]), self.exit_code());
        if reason == Reason::OOMKilled.as_str() {
            return self.problem(reason, message);
        }
        if matches!(reason, "StartError" | "ContainerCannotRun") {
            return self.problem(reason, text(&self.run()["message"]));
        }
        if let Some(probe) = self.killing_probe().filter(|_| repeats && self.is_stopped()) {
            let message = format!(
                "it is stopped again and again, as the kubelet does when the {} fails{}{message}",
                probe.words(),
                if message.is_empty() { "" } else { "; " },
            );
            return self.problem(probe.reason().as_str(), &message);
        }
        let message = match (code, self.killing_probe()) {
            (Some(0 | 137 | 143), None) if self.spec["lifecycle"].get("postStart").is_some() => HOOKED,
            (Some(0), None) => "it exits with 0; a service must keep running",
            (Some(0), Some(_)) => "it exits with 0: by itself, and a service must keep running, or as a probe failed",
            (_, _) => message,
        };
        let reason = if repeats { Reason::CrashLoopBackOff } else { Reason::ContainerFailed };
        self.problem(reason.as_str(), message)
    }

    /// Whether its last run ended by SIGTERM or SIGKILL.
    fn is_stopped(&self) -> bool {
        matches!(self.exit_code(), Some(137 | 143))
    }

    /// The declared probe by which the kubelet stops it. Before it has started that is no other than the startup probe.
    fn killing_probe(&self) -> Option<Probe> {
        let is_declared = |probe: &Probe| self.spec.get(probe.field()).is_some();
        let is_early =
            self.lasted().is_some_and(|lasted| lasted <= self.patience(Probe::Startup).saturating_add(STOPPING));
        let order = if is_early { [Probe::Startup, Probe::Liveness] } else { [Probe::Liveness, Probe::Startup] };
        order.into_iter().find(is_declared)
    }

    /// How long a probe may fail, in seconds, as it is declared; nothing where it is not.
    fn patience(&self, probe: Probe) -> i64 {
        let Some(declared) = self.spec.get(probe.field()) else { return 0 };
        let number = |field: &str, default: i64| declared[field].as_i64().unwrap_or(default);
        number("initialDelaySeconds", 0)
            .saturating_add(number("periodSeconds", 10).saturating_mul(number("failureThreshold", 3)))
    }

    /// A container that runs and is not ready: a problem once its probe had the time that it declares itself.
    fn late(&self) -> Option<Trouble> {
        let running = &self.status["state"]["running"];
        if self.status["ready"] != false || !running.is_object() {
            return None;
        }
        let starts = self.status["started"] == false && self.spec.get(Probe::Startup.field()).is_some();
        let probe = if starts { Probe::Startup } else { Probe::Readiness };
        self.spec.get(probe.field())?;
        // Readiness is not asked about before it has started.
        let started = if starts { 0 } else { self.patience(Probe::Startup) };
        let patience = self.patience(probe).saturating_add(started);
        let late = second(&running["startedAt"])?.saturating_add(patience);
        let message = format!("it runs, but its {} does not succeed", probe.words());
        // It had its time before it was stopped.
        let from = if starts && self.restarts() > 0 && self.is_stopped() { None } else { Some(late) };
        let problem = problem(self.pod, self.name(), probe.reason().as_str(), &message);
        Some(Trouble { problem, from, probe: Some(probe), ..Trouble::default() })
    }

    fn problem(&self, reason: &str, message: &str) -> Problem {
        Problem {
            exit_code: self.exit_code(),
            restart_count: self.restarts(),
            ..problem(self.pod, self.name(), reason, message)
        }
    }
}
