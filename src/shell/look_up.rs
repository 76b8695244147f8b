//! Looks up what plans ask for, a few at a time, and wakes who asked.

use super::context::Context;
use super::error::Error;
use super::guard::{Ended, isolated};
use super::key::ParentKey;
use super::kinds::Observable;
use super::queue::Lane;
use super::wants::State;
use crate::core::known::Known;
use crate::core::live::{LARGEST, Live};
use crate::core::revisions::{Parts, bare};
use crate::core::want::{Answer, Want};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// So many are looked up at once.
const AT_ONCE: usize = 4;
/// How long one look may take.
const DEADLINE: Duration = Duration::from_secs(10);
/// A look that failed is made again after that time.
const AGAIN: Duration = Duration::from_secs(10);
/// One that was refused, after that time.
const REFUSED: Duration = Duration::from_secs(60);

/// Looks up what is asked for until it is dropped.
pub async fn look_up(context: Context) {
    let Some(mut asked) = context.wants().to_look_up() else { return };
    let mut looks = JoinSet::new();
    loop {
        tokio::select! {
            Some((parent, want)) = asked.recv(), if looks.len() < AT_ONCE => {
                let context = context.clone();
                looks.spawn(async move { answer(&context, &parent, &want).await });
            }
            Some(_) = looks.join_next() => {}
            else => std::future::pending().await,
        }
    }
}

async fn answer(context: &Context, parent: &ParentKey, want: &Want) {
    if !context.writer.leads() {
        // Whoever leads asks anew.
        context.wants().take(parent, want, None);
        return;
    }
    let state = match isolated(look(context, parent, want), DEADLINE).await {
        Ended::Returned(state) => state,
        Ended::Panicked(message) => {
            failed(format!("{want}: the operator failed on it; please report it: {message}"), REFUSED)
        }
        Ended::TimedOut => failed(format!("{want}: no answer within {} s", DEADLINE.as_secs()), AGAIN),
    };
    if context.wants().take(parent, want, Some(state)) {
        context.wake([parent.clone()], Lane::Edit);
    }
}

async fn look(context: &Context, parent: &ParentKey, want: &Want) -> State {
    let Want::Template { replica_set, parts } = want;
    match context.writer.read_observed(Observable::ReplicaSet, &parent.key.namespace, replica_set).await {
        Ok(Some(live)) => template(&live, parent, want, parts),
        Ok(None) => State::Again(Answer { found: Known::Absent, trouble: None }, Instant::now() + AGAIN),
        Err(error) => failed(format!("{want}: {}", error.message()), if is_refusal(&error) { REFUSED } else { AGAIN }),
    }
}

fn template(live: &Live, parent: &ParentKey, want: &Want, parts: &Parts) -> State {
    let template = &live.body["spec"]["template"];
    if live.too_large {
        failed(format!("{want}: larger than {} KiB, which is all that is read of one object", LARGEST / 1024), REFUSED)
    } else if Parts::of(template, &parent.key.name) == *parts {
        State::Known(Answer { found: Known::Known(Arc::new(bare(template))), trouble: None })
    } else {
        failed(format!("{want}: has been changed meanwhile"), AGAIN)
    }
}

fn is_refusal(error: &Error) -> bool {
    [401, 403].contains(&error.code())
}

fn failed(trouble: String, again: Duration) -> State {
    State::Again(Answer { found: Known::Unknown, trouble: Some(trouble.into()) }, Instant::now() + again)
}
