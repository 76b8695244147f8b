//! Writes a status when it says something new; small news wait a moment to be told together.

use super::audit::{event, normal};
use super::context::Context;
use super::error::Error;
use super::intake::status_written;
use super::key::ParentKey;
use super::queue::Lane;
use super::reported::Reported;
use super::writer::reference;
use crate::core::conditions::{Summary, Type, find, is_urgent, merge};
use crate::core::kind::Identity;
use crate::core::leaving;
use crate::core::live::Live;
use crate::core::observed::Observed;
use crate::core::parent::Parent;
use crate::core::reason::Reason;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta};
use kube::runtime::events::{Event, EventType};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::time::Duration;

/// Writes `status` if it differs from what stands. Returns how long to wait before telling small news.
pub async fn report<P: Parent>(
    context: &Context,
    key: &ParentKey,
    parent: &P,
    status: &P::Status,
) -> Result<Option<Duration>, Error> {
    let standing = parent.current_status();
    if standing == Some(status) {
        return Ok(None);
    }
    let before = standing.map(P::conditions).unwrap_or_default();
    let after = P::conditions(status);
    let identity = parent.identity();
    let is_same = |last: &&Reported| last.is_of(&identity.uid);
    let rest = context.reported().get(key).filter(is_same).and_then(|last| last.rest(is_urgent(before, after)));
    if rest.is_some() {
        return Ok(rest);
    }
    if write::<P>(context, key, &identity, status).await? {
        tell(context, key, &identity, before, after).await;
    }
    Ok(None)
}

/// Logs what newly is wrong, and publishes that, and what newly is well.
async fn tell(context: &Context, key: &ParentKey, parent: &Identity, before: &[Condition], after: &[Condition]) {
    let about = reference(parent);
    for condition in alarms(before, after) {
        tracing::warn!(condition = condition.type_, reason = condition.reason, "{}", logged(condition));
        context.writer.event(alarm(condition), &about).await;
    }
    let over = context.reported().get_mut(key).and_then(|reported| over(&mut reported.alarm, before, after));
    let recovered = over.map(|reason| normal("Recovered", "Recover", format!("{reason} is over; {}", state(after))));
    let rolled_out = is_rolled_out(before, after).then(|| normal("RolloutComplete", "RollOut", state(after)));
    for event in rolled_out.into_iter().chain(recovered) {
        context.writer.news(event, &about).await;
    }
}

/// Takes note of an alarm; returns the reason of one that newly is over. One is while all is ready, not while something else is tried.
fn over(alarm: &mut Option<String>, before: &[Condition], after: &[Condition]) -> Option<String> {
    let reason = |conditions: &[Condition]| {
        // What others added is tolerated, and may stay for ever.
        let mut alarms = conditions.iter().filter(is_alarming).filter(|one| one.type_ != Type::Altered.as_str());
        alarms.next().map(|condition| condition.reason.clone())
    };
    *alarm = reason(after).or_else(|| alarm.take()).or_else(|| reason(before));
    let is_over = reason(after).is_none() && is_true(after, Type::Ready);
    if is_over { alarm.take() } else { None }
}

/// Whether all that was changed newly runs.
fn is_rolled_out(before: &[Condition], after: &[Condition]) -> bool {
    let is_rollout = |condition: &Condition| {
        condition.status == "True"
            && [Reason::RollingOut, Reason::Applying].iter().any(|is| is.as_str() == condition.reason)
    };
    let was_under_way = find(before, Type::Ready).is_none() || find(before, Type::Progressing).is_some_and(is_rollout);
    let is_done =
        find(after, Type::Progressing).is_some_and(|condition| condition.reason == Reason::AsExpected.as_str());
    was_under_way && is_done && is_true(after, Type::Ready)
}

fn is_true(conditions: &[Condition], type_: Type) -> bool {
    find(conditions, type_).is_some_and(|condition| condition.status == "True")
}

/// What Ready says.
fn state(conditions: &[Condition]) -> String {
    find(conditions, Type::Ready).map(|condition| condition.message.clone()).unwrap_or_default()
}

/// Writes a status; whether there still is what it is about.
async fn write<P: Parent>(
    context: &Context,
    key: &ParentKey,
    parent: &Identity,
    status: &P::Status,
) -> Result<bool, Error> {
    let value = serde_json::to_value(status)
        .map_err(|error| Error::Decode { object: key.to_string(), source: error.into() })?;
    match context.writer.status(parent, &value).await {
        Ok(live) => {
            context.metrics.status_write(key.kind);
            let mut reported = context.reported();
            let next = Reported::next(reported.remove(key), &parent.uid);
            reported.insert(key.clone(), next);
            drop(reported);
            let wake = status_written(context, key, live);
            context.wake(wake, Lane::Edit);
            Ok(true)
        }
        Err(error) if error.is_gone() => {
            // Until its watch says so too, whatever the collector takes of its children would be made again and again.
            let wake = context.caches().remove_parent_of(key, &parent.uid);
            context.wake(wake, Lane::Edit);
            Ok(false)
        }
        // Another of its name may stand there, whose event is on its way; or this write was just unlucky.
        Err(error) => Err(error),
    }
}

/// Tells that this operator can't read a resource, as one of an older version can't read a field of a newer one. What
/// else stands in the status stays.
pub async fn report_unreadable(context: &Context, key: &ParentKey, reason: Reason, why: String) -> Result<(), Error> {
    let Some(body) = context.caches().parent(key).map(|entry| entry.body.clone()) else { return Ok(()) };
    let unreadable = |source| Error::Decode { object: key.to_string(), source };
    let live = Live::new(body.read().map_err(unreadable)?);
    let old: Vec<Condition> = serde_json::from_value(live.body["status"]["conditions"].clone()).unwrap_or_default();
    let identity = Identity {
        kind: key.kind,
        namespace: live.namespace().to_owned(),
        name: live.name().to_owned(),
        uid: live.uid().to_owned(),
        generation: live.generation(),
        deleting: live.is_deleting(),
    };
    let meta = ObjectMeta::deserialize(&live.body["metadata"]).unwrap_or_default();
    let leaving = leaving::summary(&identity, &meta, &Observed::default(), Some(why.clone()));
    let summary = leaving.unwrap_or(Summary::Stalled(reason, why));
    let conditions = merge(&old, summary.conditions(), live.generation(), Timestamp::now());
    let mut status = live.body["status"].clone();
    status["observedGeneration"] = live.generation().into();
    status["conditions"] = serde_json::to_value(conditions).map_err(|error| unreadable(error.into()))?;
    if status == live.body["status"] {
        return Ok(());
    }
    let live = context.writer.status(&identity, &status).await?;
    context.metrics.status_write(key.kind);
    let wake = status_written(context, key, live);
    context.wake(wake, Lane::Edit);
    Ok(())
}

/// Conditions that newly say that something is wrong, one for each reason.
fn alarms<'a>(before: &'a [Condition], after: &'a [Condition]) -> Vec<&'a Condition> {
    let mut told: BTreeSet<&str> =
        before.iter().filter(is_alarming).map(|condition| condition.reason.as_str()).collect();
    after.iter().filter(is_alarming).filter(|condition| told.insert(&condition.reason)).collect()
}

/// Whether it says that something is wrong.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "what an iterator filters by takes a reference to its items")]
fn is_alarming(condition: &&Condition) -> bool {
    condition.status == "True"
        && [Type::Stalled, Type::Degraded, Type::Altered].iter().any(|type_| type_.as_str() == condition.type_)
}

/// What the log says of it: the words of the API server and our own. What programs and kubelets write stays in the status, which only
/// those may read who may read the resource.
fn logged(condition: &Condition) -> &str {
    let is_of_pods = condition.type_ == Type::Degraded.as_str()
        || condition.reason == Reason::ProgressDeadlineExceeded.as_str()
        || condition.reason == Reason::RolledBack.as_str();
    if is_of_pods { "see the status" } else { &condition.message }
}

fn alarm(condition: &Condition) -> Event {
    event(EventType::Warning, &condition.reason, &condition.type_, condition.message.clone())
}

#[cfg(test)]
mod tests {
    use super::{Condition, Reason, Timestamp, Type, alarms, is_rolled_out, merge, over};
    use crate::core::conditions::condition;

    fn conditions(told: &[(Type, Reason)]) -> Vec<Condition> {
        let wanted = told.iter().map(|(type_, reason)| condition(*type_, true, *reason, "")).collect();
        merge(&[], wanted, 1, Timestamp::UNIX_EPOCH)
    }

    /// From the states in their order, the reasons of the alarms that are told to be over, each with the number of its state.
    #[test]
    fn an_alarm_is_over_once_all_is_ready_again() {
        let (ready, degraded, stalled) = (Type::Ready, Type::Degraded, Type::Stalled);
        let well = &[(ready, Reason::AsExpected)][..];
        let (starting, failing) =
            (&[(Type::Progressing, Reason::RollingOut)][..], &[(degraded, Reason::ErrImagePull)][..]);
        for (states, expected) in [
            (&[well, failing, well, well][..], &[(2, "ErrImagePull")][..]),
            (&[failing, starting, starting, well], &[(3, "ErrImagePull")]),
            (&[failing, &[(stalled, Reason::Denied)], well], &[(2, "Denied")]),
            (&[starting, well], &[]),
            (&[&[(ready, Reason::AsExpected), (degraded, Reason::OOMKilled)], well], &[(1, "OOMKilled")]),
        ] {
            let (mut alarm, mut before, mut told) = (None, Vec::new(), Vec::new());
            for (index, state) in states.iter().enumerate() {
                let after = conditions(state);
                told.extend(over(&mut alarm, &before, &after).map(|reason| (index, reason)));
                before = after;
            }
            let expected: Vec<(usize, String)> =
                expected.iter().map(|(index, reason)| (*index, (*reason).into())).collect();
            assert_eq!(told, expected, "{states:?}");
        }
        // Another replica told the alarm.
        assert_eq!(over(&mut None, &conditions(failing), &conditions(well)).as_deref(), Some("ErrImagePull"));
    }

    #[test]
    fn a_rollout_is_complete_once() {
        let is = |type_, status, reason| condition(type_, status, reason, "");
        let state = |ready, progressing, reason| {
            let wanted = vec![is(Type::Ready, ready, reason), is(Type::Progressing, progressing, reason)];
            merge(&[], wanted, 1, Timestamp::UNIX_EPOCH)
        };
        let done = state(true, false, Reason::AsExpected);
        let rolling = state(false, true, Reason::RollingOut);
        for (before, after, expected) in [
            (&Vec::new(), &done, true),
            (&rolling, &done, true),
            (&done, &done, false),
            (&done, &rolling, false),
            (&rolling, &state(false, false, Reason::PodsNotReady), false),
            (&state(false, false, Reason::PodsNotReady), &done, false),
            (&rolling, &state(true, false, Reason::RolledBack), false),
        ] {
            assert_eq!(is_rolled_out(before, after), expected, "{before:?} {after:?}");
        }
    }

    #[test]
    fn one_alarm_is_one_event() {
        let (stalled, degraded) = (Type::Stalled, Type::Degraded);
        for (before, after, expected) in [
            (&[][..], &[(stalled, Reason::PodsRefused), (degraded, Reason::PodsRefused)][..], &["PodsRefused"][..]),
            (&[(degraded, Reason::PodsRefused)], &[(stalled, Reason::PodsRefused)], &[]),
            (&[(degraded, Reason::OOMKilled)], &[(degraded, Reason::OOMKilled)], &[]),
            (&[], &[(stalled, Reason::Denied), (degraded, Reason::OOMKilled)], &["Denied", "OOMKilled"]),
            (&[], &[(Type::Ready, Reason::AsExpected)], &[]),
        ] {
            let (before, after) = (conditions(before), conditions(after));
            let told: Vec<&str> = alarms(&before, &after).iter().map(|condition| condition.reason.as_str()).collect();
            assert_eq!(told, expected, "{before:?} {after:?}");
        }
    }
}
