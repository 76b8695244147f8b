//! Optional APIs: what the API server serves is watched, and what it does not is not asked for.
//!
//! Where definitions may not be watched, discovery is asked at the start and as often as everything is listed again.

use super::apis::discover;
use super::cache::Caches;
use super::context::Context;
use super::error::status;
use super::health::Health;
use super::key::Wake;
use super::kinds::{Row, Subject, optional};
use super::objects::Objects;
use super::queue::Lane;
use super::scope::{Place, Scope, Watch};
use super::watch::{Intake, WatchSettings, delay, follow, relist_after};
use crate::core::kind::ChildKind;
use crate::core::offer::{Offer, Provider};
use kube::core::{DynamicObject, PartialObjectMeta};
use kube::runtime::watcher::Event;
use kube::{Client, ResourceExt};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

/// How often discovery is asked again until it says what the definitions let expect: each API server learns of a new one by itself.
/// With the pauses between them that takes a minute.
const TRIES: u32 = 10;
/// Definitions come in several steps. So long after one, discovery is asked for the next.
const GATHER: Duration = Duration::from_millis(200);

/// Takes in which definitions there are; of each no more than its metadata is asked for.
pub struct Definitions {
    context: Context,
    /// What the running list has shown so far.
    seen: BTreeSet<String>,
}

impl Definitions {
    /// The intake of their watch.
    pub const fn new(context: Context) -> Self {
        Self { context, seen: BTreeSet::new() }
    }
}

impl Intake for Definitions {
    type Object = PartialObjectMeta<DynamicObject>;

    fn take(&mut self, event: Event<Self::Object>) -> bool {
        let apis = self.context.apis();
        let stands = |definition: &Self::Object| definition.metadata.deletion_timestamp.is_none();
        match event {
            Event::Init => self.seen.clear(),
            Event::InitApply(definition) => {
                apis.define(&definition.name_any(), stands(&definition));
                self.seen.insert(definition.name_any());
            }
            Event::InitDone => {
                let seen = std::mem::take(&mut self.seen);
                apis.listed(|name| seen.contains(name));
                return true;
            }
            Event::Apply(definition) => apis.define(&definition.name_any(), stands(&definition)),
            Event::Delete(definition) => apis.define(&definition.name_any(), false),
        }
        false
    }

    fn failed(&mut self, code: u16) {
        self.context.apis().unlisted(code == 403);
    }
}

/// Keeps the watches of optional kinds as the API server serves them.
pub struct Keeper {
    /// Through which everything is asked.
    pub client: Client,
    /// What is kept.
    pub context: Context,
    /// Where to watch.
    pub scope: Scope,
    /// How to watch.
    pub settings: WatchSettings,
    /// Ends it.
    pub stop: CancellationToken,
    /// Is told of the watches.
    pub health: Health,
}

/// A kind that is watched, in the version in which it is served.
struct Followed {
    version: &'static str,
    stop: CancellationToken,
    /// How many watches have not ended.
    running: usize,
}

/// What the keeper knows between two looks.
#[derive(Default)]
struct Kept {
    followed: BTreeMap<ChildKind, Followed>,
    tasks: JoinSet<ChildKind>,
}

impl Keeper {
    /// Until stopped. Returns sooner only if a watch ends, which none does by itself.
    ///
    /// # Panics
    /// When a watch does.
    pub async fn run(self) {
        let (mut kept, mut failures, mut tries) = (Kept::default(), 0, 0);
        let (apis, mut relist, mut again) = (self.context.apis().clone(), Instant::now() + relist_after(), None);
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = apis.news() => tries = 0,
                () = sleep_until(again.unwrap_or(relist)) => {}
                Some(ended) = kept.tasks.join_next() => {
                    unwind(ended);
                    return;
                }
            }
            let now = Instant::now();
            if now >= relist {
                relist = now + relist_after();
            }
            match discover(&self.client, optional()).await {
                Ok(served) => {
                    (failures, tries) = (0, tries + 1);
                    self.take(&mut kept, &served).await;
                    self.health.looked_up();
                    let as_defined = |row: &Row| apis.stands(row).is_none_or(|it| it == served.contains_key(&row.kind));
                    let settled = tries == TRIES || optional().all(as_defined);
                    again = (!settled).then(|| now + delay(tries, 0));
                }
                Err(error) => {
                    failures += 1;
                    tracing::warn!(%error, "failed to ask which optional APIs are served; trying again");
                    if status(&error).is_some() {
                        self.health.looked_up();
                    }
                    again = Some(now + delay(failures, 0));
                }
            }
            let _ = self.stop.run_until_cancelled(sleep(GATHER)).await;
        }
    }

    /// Watches what is served, and forgets what is not.
    async fn take(&self, kept: &mut Kept, served: &BTreeMap<ChildKind, &'static str>) {
        for row in optional() {
            // What is going is served until the last of it is gone, but nothing can be made any more.
            let goes = self.context.apis().stands(row) == Some(false);
            let version = served.get(&row.kind).copied().filter(|_| !goes);
            let current = kept.followed.get(&row.kind).map(|followed| followed.version);
            if current.is_some() && current != version {
                tracing::info!(kind = %row.kind, version = current, "an optional API is not used any more");
                self.leave(kept, row.kind).await;
            }
            match (version, &row.optional) {
                (Some(version), _) if current != Some(version) => self.begin(kept, row.kind, version),
                (None, Some(provider)) => self.lack(row.kind, provider),
                (Some(_), _) | (None, None) => {}
            }
        }
    }

    fn begin(&self, kept: &mut Kept, kind: ChildKind, version: &'static str) {
        tracing::info!(%kind, version, "an optional API is served");
        self.context.apis().use_version(kind, Some(version));
        let (watches, stop) = (self.scope.watches_of(Subject::Child(kind)), self.stop.child_token());
        kept.followed.insert(kind, Followed { version, stop: stop.clone(), running: watches.len() });
        for watch in watches {
            self.health.add(&watch);
            self.offer(kind, &watch, Offer::Unknown);
            let (client, context, settings) = (self.client.clone(), self.context.clone(), self.settings.clone());
            let (stop, health) = (stop.clone(), self.health.clone());
            kept.tasks.spawn(async move {
                if stop.run_until_cancelled(health.until_turn_of(&watch)).await.is_some() {
                    let (intake, metrics) = (Objects::new(context.clone(), watch.clone()), context.metrics.clone());
                    follow(client, intake, metrics, watch, settings, stop, health).await;
                }
                kind
            });
        }
    }

    /// Ends the watches of a kind. They have taken in the last that they will when this returns.
    async fn leave(&self, kept: &mut Kept, kind: ChildKind) {
        if let Some(followed) = kept.followed.get(&kind) {
            followed.stop.cancel();
        }
        while kept.followed.get(&kind).is_some_and(|followed| followed.running > 0) {
            let Some(ended) = kept.tasks.join_next().await else { break };
            if let Some(followed) = kept.followed.get_mut(&unwind(ended)) {
                followed.running -= 1;
            }
        }
        kept.followed.remove(&kind);
        self.scope.watches_of(Subject::Child(kind)).iter().for_each(|watch| self.health.ends(watch));
    }

    /// Of a kind that is not served there is nothing, whatever was seen of it.
    fn lack(&self, kind: ChildKind, provider: &'static Provider) {
        self.context.apis().use_version(kind, None);
        for watch in self.scope.watches_of(Subject::Child(kind)) {
            let wake = forget_all(&mut self.context.caches(), kind, &watch.place);
            self.context.wake(wake, Lane::Edit);
            self.offer(kind, &watch, Offer::Absent(provider));
        }
    }

    fn offer(&self, kind: ChildKind, watch: &Watch, offer: Offer) {
        let wake = self.context.caches().set_offer(kind, &watch.place, offer);
        self.context.wake(wake, Lane::Edit);
    }
}

/// Forgets every child of a kind there, as a list that is empty does, and with it every answer about one that is on its way.
fn forget_all(caches: &mut Caches, kind: ChildKind, place: &Place) -> Wake {
    caches.begin_list(kind, place);
    caches.end_list(kind, place, &BTreeSet::new())
}

/// The kind whose watch ended. A panic of a watch is one of the whole, which is then started anew.
fn unwind(ended: Result<ChildKind, JoinError>) -> ChildKind {
    ended.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}
