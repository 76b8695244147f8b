//! Writes a status when it says something new; small news wait a moment to be told together.

use super::context::Context;
use super::error::Error;
use super::intake::status_written;
use super::key::ParentKey;
use super::queue::Lane;
use super::reported::Reported;
use super::writer::reference;
use crate::core::conditions::{Summary, Type, find, is_urgent, merge};
use crate::core::kind::Identity;
use crate::core::live::Live;
use crate::core::parent::Parent;
use crate::core::reason::Reason;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::runtime::events::{Event, EventType};
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
    for condition in after.iter().filter(|condition| is_alarm(before, condition)) {
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

/// Whether a condition newly says that something is wrong.
fn is_alarm(before: &[Condition], condition: &Condition) -> bool {
    let alarming = [Type::Stalled, Type::Degraded, Type::Altered]
        .into_iter()
        .find(|type_| type_.as_str() == condition.type_ && condition.status == "True");
    alarming.is_some_and(|type_| {
        find(before, type_).is_none_or(|old| old.status != condition.status || old.reason != condition.reason)
    })
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
