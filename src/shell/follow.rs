//! Follows what of others Apps and Registries refer to: watched from the first reference to the last, and looked up once where a watch
//! has not shown it yet.

use super::context::Context;
use super::guard::caught;
use super::health::Health;
use super::key::{Key, ParentKey};
use super::kinds::Subject;
use super::queue::Lane;
use super::references::subject;
use super::scope::Watch;
use super::watch::{Intake, WatchSettings, follow};
use crate::core::known::Known;
use crate::core::reference::{Reference, ReferenceKind};
use crate::core::referent::{Holder, Referent};
use futures::StreamExt;
use futures::stream::iter;
use kube::Client;
use kube::runtime::watcher::Event;
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

/// Look-ups of one parent that may be under way at a time.
const LOOKUPS: usize = 8;
/// How long they may take together. A reconcile goes on without what is unknown, and has its own work to do in time.
const PATIENCE: Duration = Duration::from_secs(5);

/// Takes what is shown of one kind in one place into the caches, if somebody refers to it.
pub struct Contents {
    context: Context,
    watch: Watch,
    kind: ReferenceKind,
    /// Those of the running list that somebody refers to.
    seen: BTreeSet<Key>,
}

impl Contents {
    /// The intake of that watch of such objects.
    pub const fn new(context: Context, watch: Watch, kind: ReferenceKind) -> Self {
        Self { context, watch, kind, seen: BTreeSet::new() }
    }

    fn take_holder(&self, holder: Holder, state: impl FnOnce(Holder) -> Known<Referent>, lane: Lane) {
        let (key, version) = (Key::new(holder.namespace(), holder.name()), holder.version());
        let wake = caught(
            || format!("{} {key}", self.watch.subject),
            || {
                let content = state(holder);
                self.context.caches().references.take(self.kind, &key, version, content, Instant::now())
            },
        );
        self.context.wake(wake.unwrap_or_default(), lane);
    }
}

impl Intake for Contents {
    type Object = Holder;

    fn take(&mut self, event: Event<Holder>) -> bool {
        let kind = self.kind;
        let known = |holder: Holder| Known::Known(holder.referent(kind));
        match event {
            Event::Init => {
                self.seen.clear();
                self.context.caches().references.begin_list(&self.watch);
            }
            Event::InitApply(holder) => {
                let key = Key::new(holder.namespace(), holder.name());
                let is_referred_to = {
                    let mut caches = self.context.caches();
                    caches.references.shows(&self.watch);
                    caches.references.referrers(self.kind, &key).next().is_some()
                };
                if is_referred_to {
                    self.seen.insert(key);
                    self.take_holder(holder, known, Lane::Background);
                }
            }
            Event::InitDone => {
                let seen = std::mem::take(&mut self.seen);
                let wake = {
                    let mut caches = self.context.caches();
                    caches.references.end_list(self.kind, &self.watch, &seen, Instant::now())
                };
                self.context.wake(wake, Lane::Background);
                return true;
            }
            Event::Apply(holder) => self.take_holder(holder, known, Lane::Edit),
            Event::Delete(holder) => self.take_holder(holder, |_| Known::Absent, Lane::Edit),
        }
        false
    }

    fn failed(&mut self, code: u16) {
        let wake = {
            let mut caches = self.context.caches();
            let refused = (code == 403).then(|| caches.references.refuse(&self.watch, Instant::now()));
            caches.references.answered(&self.watch);
            refused.unwrap_or_default()
        };
        self.context.wake(wake, Lane::Edit);
    }
}

/// Runs the watches that are needed, as long as they are, and tells changes when they are due.
pub async fn follow_contents(
    client: Client,
    context: Context,
    settings: WatchSettings,
    stop: CancellationToken,
    health: Health,
) {
    let (mut wanted, mut alarm) = {
        let caches = context.caches();
        (caches.references.wanted(), caches.references.alarm())
    };
    let (mut tasks, mut running) = (JoinSet::new(), HashMap::<Watch, AbortHandle>::new());
    loop {
        let needed = wanted.borrow_and_update().clone();
        for (watch, task) in running.extract_if(|watch, _| !needed.contains(watch)) {
            task.abort();
            health.ends(&watch);
        }
        for watch in needed {
            let Subject::Content(kind) = watch.subject else { continue };
            running.entry(watch.clone()).or_insert_with(|| {
                let intake = Contents::new(context.clone(), watch.clone(), kind);
                let (client, metrics) = (client.clone(), context.metrics.clone());
                let (settings, stop, health) = (settings.clone(), stop.clone(), health.clone());
                let begin = context.caches().references.not_before(&watch);
                tasks.spawn(async move {
                    if let Some(begin) = begin {
                        sleep_until(begin).await;
                    }
                    follow(client, intake, metrics, watch, settings, stop, health).await;
                })
            });
        }
        let due = *alarm.borrow_and_update();
        tokio::select! {
            () = stop.cancelled() => return,
            changed = wanted.changed() => if changed.is_err() { return },
            changed = alarm.changed() => if changed.is_err() { return },
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                let wake = context.caches().references.tell(Instant::now());
                context.wake(wake, Lane::Edit);
            }
            Some(Err(error)) = tasks.join_next() => if let Ok(panic) = error.try_into_panic() {
                std::panic::resume_unwind(panic)
            },
        }
    }
}

/// Looks up what a parent refers to and nobody has seen yet. What can't be read now stays unknown.
pub async fn learn(context: &Context, parent: &ParentKey) {
    let learned = async {
        first_answers(context, parent).await;
        let unknown = context.caches().unknown(parent);
        iter(unknown).map(|it| look_up(context, parent, it)).buffer_unordered(LOOKUPS).for_each(|()| async {}).await;
    };
    if timeout(PATIENCE, learned).await.is_err() {
        tracing::debug!("look-ups were not answered in time");
    }
}

/// Waits while a watch is about to tell whether what a parent refers to may be looked at.
async fn first_answers(context: &Context, parent: &ParentKey) {
    let mut answers = context.caches().references.answers();
    let is_awaited = || {
        let caches = context.caches();
        caches.parent(parent).is_some_and(|entry| caches.references.awaits(parent, &entry.references))
    };
    while is_awaited() && answers.changed().await.is_ok() {}
}

async fn look_up(context: &Context, parent: &ParentKey, reference: Reference) {
    let Some(subject) = subject(reference.kind) else { return };
    let key = parent.key.sibling(&reference.name);
    match context.writer.read_referent(subject, &key.namespace, &key.name).await {
        Ok(found) => {
            let found = found.map(|holder| (holder.version(), holder.referent(reference.kind)));
            // Others who refer to it are woken; this one is about to look.
            let wake = context.caches().references.answer(reference.kind, &key, found, Instant::now());
            context.wake(wake.into_iter().filter(|other| other != parent), Lane::Edit);
        }
        Err(error) if error.code() == 403 => {
            tracing::debug!(%error, "{reference} may not be looked up");
            let wake = context.caches().references.refuse_look_up(reference.kind, &key, Instant::now());
            context.wake(wake.into_iter().filter(|other| other != parent), Lane::Edit);
        }
        Err(error) => tracing::debug!(%error, "failed to look up {reference}"),
    }
}
