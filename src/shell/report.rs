//! Writes a status when it says something new; small news wait a moment to be told together.

use super::context::Context;
use super::error::Error;
use super::intake::status_written;
use super::key::ParentKey;
use super::queue::Lane;
use super::reported::Reported;
use super::writer::reference;
use crate::core::conditions::{Summary, Type, is_urgent, merge};
use crate::core::kind::Identity;
use crate::core::live::Live;
use crate::core::parent::Parent;
use crate::core::reason::Reason;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::runtime::events::{Event, EventType};
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
    let last = context.reported().get(key).copied();
    if let Some(rest) = last.and_then(|last| last.rest(is_urgent(before, after))) {
        return Ok(Some(rest));
    }
    write(context, key, parent, status).await?;
    for condition in alarms(before, after) {
        context.writer.event(alarm(condition), &reference(&parent.identity())).await;
    }
    Ok(None)
}

async fn write<P: Parent>(context: &Context, key: &ParentKey, parent: &P, status: &P::Status) -> Result<(), Error> {
    let value = serde_json::to_value(status)
        .map_err(|error| Error::Decode { object: key.to_string(), source: error.into() })?;
    match context.writer.status(&parent.identity(), &value).await {
        Ok(live) => {
            context.metrics.status_write(key.kind);
            let mut reported = context.reported();
            let next = Reported::next(reported.get(key).copied());
            reported.insert(key.clone(), next);
            drop(reported);
            let wake = status_written(context, key, live);
            context.wake(wake, Lane::Edit);
            Ok(())
        }
        Err(error) if error.is_gone() => {
            // Until its watch says so too, whatever the collector takes of its children would be made again and again.
            let wake = context.caches().remove_parent_of(key, &parent.identity().uid);
            context.wake(wake, Lane::Edit);
            Ok(())
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
    let summary = Summary::Stalled(reason, why);
    let conditions = merge(&old, summary.conditions(), live.generation(), Timestamp::now());
    let mut status = live.body["status"].clone();
    status["observedGeneration"] = live.generation().into();
    status["conditions"] = serde_json::to_value(conditions).map_err(|error| unreadable(error.into()))?;
    if status == live.body["status"] {
        return Ok(());
    }
    let identity = Identity {
        kind: key.kind,
        namespace: live.namespace().to_owned(),
        name: live.name().to_owned(),
        uid: live.uid().to_owned(),
        generation: live.generation(),
        deleting: live.is_deleting(),
    };
    let live = context.writer.status(&identity, &status).await?;
    context.metrics.status_write(key.kind);
    let wake = status_written(context, key, live);
    context.wake(wake, Lane::Edit);
    Ok(())
}

/// Conditions that newly say that something is wrong, one for each reason.
fn alarms<'a>(before: &'a [Condition], after: &'a [Condition]) -> Vec<&'a Condition> {
    let is_alarming = |condition: &&Condition| {
        condition.status == "True"
            && [Type::Stalled, Type::Degraded, Type::Altered].iter().any(|type_| type_.as_str() == condition.type_)
    };
    let mut told: BTreeSet<&str> =
        before.iter().filter(is_alarming).map(|condition| condition.reason.as_str()).collect();
    after.iter().filter(is_alarming).filter(|condition| told.insert(&condition.reason)).collect()
}

fn alarm(condition: &Condition) -> Event {
    Event {
        type_: EventType::Warning,
        reason: condition.reason.clone(),
        note: Some(condition.message.clone()),
        action: condition.type_.clone(),
        secondary: None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Condition, Reason, Timestamp, Type, alarms, merge};
    use crate::core::conditions::condition;

    fn conditions(told: &[(Type, Reason)]) -> Vec<Condition> {
        let wanted = told.iter().map(|(type_, reason)| condition(*type_, true, *reason, "")).collect();
        merge(&[], wanted, 1, Timestamp::UNIX_EPOCH)
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
