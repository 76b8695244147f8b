//! What kubelets and controllers complain of in Warning Events, and which problem of a pod that explains.

use super::live::Live;
use super::pods::Pod;
use super::probe::Probe;
use super::reason::Reason;
use super::text::{QUOTE, WORD, cut, steady};
use super::trouble::{Trouble, problem, second, text};

/// How long a complaint counts that is not made again, in seconds. Kubelets repeat theirs every few minutes at least.
const FRESH: i64 = 600;
/// How long what is complained of once may take to be well, in seconds. A mount that fails is tried again within one, and complained of
/// again if it fails for good; most that are not are well by then. That a volume is attached elsewhere is said once.
const PATIENCE: i64 = 2;
const PATIENCE_OF_THE_KUBELET: i64 = 130;
/// How long before a container ended a probe's failure may have been the cause, in seconds: a grace period, and the minute to which
/// repetitions are told.
const STOPPING: i64 = 120;
/// What stands before the message of Events that a recorder has merged as too many alike.
const COMBINED: &str = "(combined from similar events): ";
/// Kubernetes' word for a volume that can't be attached.
const ATTACH: &str = "FailedAttachVolume";

/// A Warning Event, as far as it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    about: About,
    /// The container; empty if it is about all of the object.
    container: Box<str>,
    /// Kubernetes' own word.
    reason: Box<str>,
    message: Box<str>,
    /// When it was made last, in Unix seconds; of one that is repeated to the minute, so that not each repetition is news.
    last: i64,
    repeated: bool,
}

/// What a complaint is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum About {
    /// The making of a claim's volume, or its binding.
    Volume(Reason),
    /// A volume of a pod.
    Volumes,
    /// Its sandbox, and so its network.
    Sandbox,
    /// One of its probes.
    Probe(Probe),
    /// A Secret that its images are to be pulled with.
    PullSecret,
}

/// Kind of an object that can be complained of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// A pod.
    Pod,
    /// A `PersistentVolumeClaim`.
    Claim,
}

/// The object that an Event is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Involved<'a> {
    /// Its kind.
    pub subject: Subject,
    /// Its name, in the Event's own namespace.
    pub name: &'a str,
    /// Its UID.
    pub uid: &'a str,
}

/// What an Event complains of, and about which object, if that is anything to be told.
pub fn complaint(event: &Live) -> Option<(Involved<'_>, Complaint)> {
    let (body, involved) = (&event.body, &event.body["involvedObject"]);
    let subject = match involved["kind"].as_str()? {
        "Pod" => Subject::Pod,
        "PersistentVolumeClaim" => Subject::Claim,
        _ => return None,
    };
    let (reason, message) = (text(&body["reason"]), text(&body["message"]));
    let message = message.strip_prefix(COMBINED).unwrap_or(message);
    let about = match (subject, reason) {
        (Subject::Claim, "ProvisioningFailed") => About::Volume(Reason::ProvisioningFailed),
        (Subject::Claim, "VolumeMismatch") => About::Volume(Reason::VolumeMismatch),
        (Subject::Claim, "FailedBinding") => About::Volume(Reason::FailedBinding),
        (Subject::Pod, "FailedMount" | "FailedMapVolume" | ATTACH) => About::Volumes,
        (Subject::Pod, "FailedCreatePodSandBox") => About::Sandbox,
        (Subject::Pod, "FailedToRetrieveImagePullSecret") => About::PullSecret,
        (Subject::Pod, "Unhealthy") => About::Probe(probe(message)?),
        _ => return None,
    };
    if body["type"] != "Warning" {
        return None;
    }
    let series = &body["series"];
    let repeated = [&series["count"], &body["count"]].iter().any(|count| count.as_i64().is_some_and(|count| count > 1));
    let times = [
        &series["lastObservedTime"],
        &body["lastTimestamp"],
        &body["eventTime"],
        &body["metadata"]["creationTimestamp"],
    ];
    let last = times.into_iter().find_map(second).unwrap_or(0);
    let complaint = Complaint {
        about,
        container: cut(container(text(&involved["fieldPath"])), WORD).into(),
        reason: reason.into(),
        message: cut(&steady(message), QUOTE).into(),
        last: if repeated { last - last.rem_euclid(60) } else { last },
        repeated,
    };
    let involved = Involved { subject, name: text(&involved["name"]), uid: text(&involved["uid"]) };
    (!involved.uid.is_empty()).then_some((involved, complaint))
}

/// The probe that the kubelet speaks of, as in `Readiness probe failed: ...` (`pkg/kubelet/prober/prober.go`).
fn probe(message: &str) -> Option<Probe> {
    let probes = [("Liveness", Probe::Liveness), ("Readiness", Probe::Readiness), ("Startup", Probe::Startup)];
    let (word, _) = message.split_once(" probe ")?;
    probes.into_iter().find(|(name, _)| *name == word).map(|(_, probe)| probe)
}

/// The container of a path as in `spec.containers{web}`.
fn container(path: &str) -> &str {
    path.split_once('{').and_then(|(_, rest)| rest.strip_suffix('}')).unwrap_or_default()
}

impl Complaint {
    /// When it was made last.
    pub const fn last(&self) -> i64 {
        self.last
    }
}

/// Why a claim has no volume, in the words of whoever makes or binds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoVolume {
    /// Kubernetes' own word.
    pub reason: Reason,
    /// What was said last.
    pub message: String,
}

/// What was complained of last about the volume of a claim.
pub fn no_volume<'a>(complaints: impl Iterator<Item = &'a Complaint>) -> Option<NoVolume> {
    let newest = newest(complaints.filter(|complaint| matches!(complaint.about, About::Volume(_))))?;
    let About::Volume(reason) = newest.about else { return None };
    Some(NoVolume { reason, message: newest.message.to_string() })
}

fn newest<'a>(complaints: impl Iterator<Item = &'a Complaint>) -> Option<&'a Complaint> {
    complaints.max_by_key(|complaint| complaint.last)
}

/// A pod with what is complained of: what keeps it from starting, and why its probes fail.
pub fn explained(pod: &Pod, complaints: &[&Complaint]) -> Pod {
    let mut pod = pod.clone();
    for trouble in &mut pod.troubles {
        explain(trouble, complaints);
    }
    let lacking = pod.troubles.iter_mut().filter_map(|trouble| lacking(trouble, complaints)).collect::<Vec<_>>();
    pod.troubles.extend(lacking);
    if pod.starting {
        let begins = begins(&pod.name, complaints);
        pod.troubles.extend(begins);
    }
    pod
}

/// Says of an image that can't be pulled which Secret is missing, as long as the kubelet says so; returns what is told afterwards.
fn lacking(trouble: &mut Trouble, complaints: &[&Complaint]) -> Option<Trouble> {
    let is_pull = [Reason::ErrImagePull, Reason::ImagePullBackOff].contains(&Reason::of_problem(&trouble.problem));
    let about = complaints.iter().copied().filter(|complaint| is_pull && complaint.about == About::PullSecret);
    let complaint = newest(about)?;
    let later = Trouble { from: Some(complaint.last + FRESH), ..trouble.clone() };
    trouble.until = later.from;
    trouble.problem.message =
        cut(&format!("{}; {}", complaint.message.trim_end_matches('.'), trouble.problem.message), QUOTE);
    Some(later)
}

/// Puts the kubelet's words in the place of what was told without them.
fn explain(trouble: &mut Trouble, complaints: &[&Complaint]) {
    let of = |probe: Probe| {
        let container = trouble.problem.container.as_str();
        let about =
            move |complaint: &&&Complaint| complaint.about == About::Probe(probe) && *complaint.container == *container;
        newest(complaints.iter().filter(about).copied()).map(|complaint| (probe, complaint))
    };
    let near =
        |end: i64| move |(_, complaint): &(Probe, &Complaint)| complaint.last.abs_diff(end) < FRESH.unsigned_abs();
    let words = match (trouble.stopped, &trouble.probe) {
        (Some(end), _) => {
            let stops = [Probe::Liveness, Probe::Startup].into_iter().filter_map(of).filter(near(end));
            stops.max_by_key(|(_, complaint)| complaint.last)
        }
        (None, Some(probe)) => of(*probe),
        (None, None) => None,
    };
    if let Some((probe, complaint)) = words {
        let is_why = trouble.stopped.is_none_or(|end| (-STOPPING..=STOPPING).contains(&(end - complaint.last)));
        if trouble.problem.exit_code == Some(0) && !is_why {
            // It may have ended by itself all the same.
            trouble.problem.message = cut(&format!("{}; {}", trouble.problem.message, complaint.message), QUOTE);
            return;
        }
        probe.reason().as_str().clone_into(&mut trouble.problem.reason);
        complaint.message.as_ref().clone_into(&mut trouble.problem.message);
    }
}

/// What keeps a pod from starting: of each of Kubernetes' words the newest complaint, and none that it is past.
fn begins(pod: &str, complaints: &[&Complaint]) -> Vec<Trouble> {
    let of = |about: About| complaints.iter().copied().filter(move |complaint| complaint.about == about);
    let sandbox = newest(of(About::Sandbox));
    let is_past = |complaint: &&Complaint| sandbox.is_some_and(|sandbox| sandbox.last >= complaint.last);
    let volumes = [ATTACH, "FailedMount", "FailedMapVolume"].into_iter().filter_map(|word| {
        newest(of(About::Volumes).filter(|complaint| *complaint.reason == *word))
            .filter(|complaint| !is_past(complaint))
    });
    let told = |complaint: &Complaint| {
        let is_attaching = *complaint.reason == *ATTACH;
        let patience = if is_attaching { PATIENCE } else { PATIENCE_OF_THE_KUBELET };
        Trouble {
            problem: problem(pod, "", &complaint.reason, &complaint.message),
            from: (!complaint.repeated).then_some(complaint.last + patience),
            until: (!is_attaching).then_some(complaint.last + FRESH),
            ..Trouble::default()
        }
    };
    volumes.chain(sandbox).map(told).collect()
}

#[cfg(test)]
mod tests {
    use super::{Complaint, FRESH, Subject, complaint, explained, no_volume};
    use crate::api::common::Problem;
    use crate::core::live::Live;
    use crate::core::pods::Pod;
    use crate::core::probe::Probe;
    use crate::core::trouble::{Trouble, problem};
    use jiff::Timestamp;
    use serde_json::{Value, json};

    fn event(reason: &str, message: &str, change: impl FnOnce(&mut Value)) -> Live {
        let mut event = json!({
            "involvedObject": {"kind": "Pod", "name": "web-1-x", "uid": "1", "fieldPath": "spec.containers{web}"},
            "type": "Warning", "reason": reason, "message": message, "count": 1, "lastTimestamp": "1970-01-01T00:01:30Z",
        });
        change(&mut event);
        Live::new(event)
    }

    type Change = fn(&mut Value);

    fn told(event: &Live) -> Complaint {
        complaint(event).unwrap().1
    }

    fn first(reason: &str, message: &str, last: i64) -> Complaint {
        let at = Timestamp::from_second(last).unwrap().to_string();
        told(&event(reason, message, |event| event["lastTimestamp"] = json!(at)))
    }

    #[test]
    fn only_what_can_be_told_of_pods_and_claims_is_kept() {
        let none: Change = |_| ();
        let cases: [(&str, &str, Change, bool); 11] = [
            ("FailedMount", "m", none, true),
            ("FailedAttachVolume", "m", none, true),
            ("FailedCreatePodSandBox", "m", none, true),
            ("Unhealthy", "Liveness probe failed: refused", none, true),
            ("Unhealthy", "Startup probe errored: invalid syntax", none, true),
            ("Unhealthy", "(combined from similar events): Readiness probe failed: refused", none, true),
            ("Unhealthy", "something else", none, false),
            ("BackOff", "m", none, false),
            ("FailedMount", "m", |event| event["type"] = json!("Normal"), false),
            ("FailedMount", "m", |event| event["involvedObject"]["kind"] = json!("Node"), false),
            ("FailedMount", "m", |event| event["involvedObject"]["uid"] = json!(""), false),
        ];
        for (reason, message, change, kept) in cases {
            assert_eq!(complaint(&event(reason, message, change)).is_some(), kept, "{reason} {message}");
        }
        let claim = event("ProvisioningFailed", "full", |event| {
            event["involvedObject"]["kind"] = json!("PersistentVolumeClaim");
        });
        assert_eq!(
            complaint(&claim).map(|(involved, _)| (involved.subject, involved.uid)),
            Some((Subject::Claim, "1"))
        );
    }

    /// The image may be public all the same, so what the pull itself says is told as well.
    #[test]
    fn a_pull_secret_that_is_missing_is_named() {
        let words =
            "Unable to retrieve some image pull secrets (regcred); attempting to pull the image may not succeed.";
        let lacking = first("FailedToRetrieveImagePullSecret", words, 100);
        let message = |reason: &str| {
            let trouble = Trouble::from(problem("web-1-x", "web", reason, "not found"));
            let pod = Pod { name: "web-1-x".to_owned(), troubles: vec![trouble], ..Pod::default() };
            let troubles = explained(&pod, &[&lacking]).troubles;
            let at = |second: i64| {
                let now = Timestamp::from_second(second).unwrap();
                let there: Vec<&Trouble> = troubles.iter().filter(|trouble| trouble.is_there(now)).collect();
                assert_eq!(there.len(), 1, "{reason} at {second}");
                there[0].problem.message.clone()
            };
            (at(110), at(100 + FRESH))
        };
        for reason in ["ErrImagePull", "ImagePullBackOff"] {
            let (said, later) = message(reason);
            assert!(said.contains("(regcred)") && said.ends_with("may not succeed; not found"), "{said}");
            assert_eq!(later, "not found", "it may be there by now");
        }
        assert_eq!(message("CrashLoopBackOff").0, "not found");
    }

    #[test]
    fn a_repetition_within_the_minute_is_no_news() {
        let again = |count: i64, time: &str| {
            told(&event("FailedMount", "m", |event| {
                event["count"] = json!(count);
                event["lastTimestamp"] = json!(time);
            }))
        };
        assert_eq!(again(2, "1970-01-01T00:01:10Z"), again(3, "1970-01-01T00:01:50Z"));
        assert_ne!(again(3, "1970-01-01T00:01:50Z"), again(4, "1970-01-01T00:02:50Z"));
        // Events of the newer API tell it by a series.
        let series = told(&event("FailedMount", "m", |event| {
            event["count"] = Value::Null;
            event["series"] = json!({"count": 2, "lastObservedTime": "1970-01-01T00:01:20.000000Z"});
        }));
        assert_eq!(series, again(2, "1970-01-01T00:01:10Z"));
    }

    #[test]
    fn the_newest_complaint_about_a_volume_is_told() {
        let of = |word: &str, message: &str, last: i64| {
            let at = Timestamp::from_second(last).unwrap().to_string();
            told(&event(word, message, |event| {
                event["involvedObject"]["kind"] = json!("PersistentVolumeClaim");
                event["lastTimestamp"] = json!(at);
            }))
        };
        for word in ["ProvisioningFailed", "VolumeMismatch", "FailedBinding"] {
            let told = no_volume([of(word, "new", 90), of("ProvisioningFailed", "old", 60)].iter()).unwrap();
            assert_eq!((told.reason.as_str(), told.message.as_str()), (word, "new"));
        }
    }

    #[test]
    fn what_keeps_a_pod_from_starting_is_told_until_it_starts_or_nobody_says_it_any_more() {
        let starting = Pod { name: "web-1-x".to_owned(), starting: true, ..Pod::default() };
        let (mount, sandbox) =
            (first("FailedMount", "no secret", 100), first("FailedCreatePodSandBox", "no network", 200));
        let there = |pod: &Pod, complaints: &[&Complaint], now: i64| {
            let now = Timestamp::from_second(now).unwrap();
            let troubles = explained(pod, complaints).troubles.into_iter().filter(|trouble| trouble.is_there(now));
            troubles.map(|trouble| trouble.problem.message).collect::<Vec<_>>()
        };
        assert_eq!(there(&starting, &[&mount], 102), [""; 0], "it is tried again at once, and may be well");
        assert_eq!(there(&starting, &[&mount], 230), ["no secret"]);
        let again = told(&event("FailedMount", "no secret", |event| event["count"] = json!(2)));
        assert_eq!(there(&starting, &[&again], 61), ["no secret"], "it has been tried again");
        let attach = first(super::ATTACH, "attached elsewhere", 100);
        assert_eq!(there(&starting, &[&attach], 101), [""; 0], "it may heal at once");
        assert_eq!(there(&starting, &[&attach], 102), ["attached elsewhere"]);
        assert_eq!(there(&starting, &[&attach], 100 + 9 * FRESH), ["attached elsewhere"], "it is said once");
        assert_eq!(there(&starting, &[&mount], 99 + FRESH), ["no secret"]);
        assert_eq!(there(&starting, &[&mount], 100 + FRESH), [""; 0]);
        assert_eq!(there(&starting, &[&mount, &sandbox], 340), ["no network"], "the volumes are there by then");
        assert_eq!(there(&Pod { starting: false, ..starting }, &[&mount, &sandbox], 300), [""; 0]);
    }

    #[test]
    fn a_probe_is_told_in_the_words_of_the_kubelet() {
        let liveness = first("Unhealthy", "Liveness probe failed: statuscode: 500", 1000);
        let readiness = first("Unhealthy", "Readiness probe failed: connection refused", 1000);
        let words = |trouble: Trouble, container: &str| {
            let trouble = Trouble { problem: problem("web-1-x", container, "CrashLoopBackOff", "without"), ..trouble };
            let pod = Pod { troubles: vec![trouble], ..Pod::default() };
            let problem = explained(&pod, &[&liveness, &readiness]).troubles.remove(0).problem;
            format!("{}: {}", problem.reason, problem.message)
        };
        let (killed, said) = ("LivenessFailing: Liveness probe failed: statuscode: 500", "CrashLoopBackOff: without");
        let stopped = |end| Trouble { stopped: Some(end), ..Trouble::default() };
        assert_eq!(words(stopped(1001), "web"), killed);
        assert_eq!(words(stopped(1001), "sidecar"), said, "it is about another container");
        assert_eq!(words(stopped(1000 + FRESH), "web"), said, "it was long before");
        assert_eq!(words(Trouble::default(), "web"), said, "no probe stopped it");
        let clean = |end: i64| {
            let without = problem("web-1-x", "web", "CrashLoopBackOff", "it exits with 0");
            let trouble = Trouble { problem: Problem { exit_code: Some(0), ..without }, ..stopped(end) };
            let pod = Pod { troubles: vec![trouble], ..Pod::default() };
            let problem = explained(&pod, &[&liveness]).troubles.remove(0).problem;
            format!("{}: {}", problem.reason, problem.message)
        };
        assert_eq!(clean(1030), killed);
        let both = "CrashLoopBackOff: it exits with 0; Liveness probe failed: statuscode: 500";
        assert_eq!(clean(1300), both, "it may have ended by itself");
        let late = Trouble { probe: Some(Probe::Readiness), ..Trouble::default() };
        assert_eq!(words(late, "web"), "ReadinessFailing: Readiness probe failed: connection refused");
    }
}
