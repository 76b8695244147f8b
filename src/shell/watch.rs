//! Watches: one task for each, with its own backoff, so that a missing API or right delays no other.

use super::client::{heard, is_too_long};
use super::context::Context;
use super::error::status;
use super::guard::caught;
use super::health::Health;
use super::intake::{take_child, take_parent, take_pod, take_revision};
use super::key::{Key, ParentKey, Wake};
use super::kinds::{Observable, Subject, row};
use super::metrics::Metrics;
use super::progress::Source;
use super::queue::Lane;
use super::scope::{Place, Watch};
use crate::core::kind::ParentKind;
use crate::core::live::Live;
use crate::core::meta::{MANAGED_BY, MANAGER, parent_label};
use crate::core::observed::StorageClass;
use crate::core::offer::Offer;
use futures::StreamExt;
use kube::api::Api;
use kube::core::{ApiResource, DynamicResourceScope};
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Client, runtime::watcher::Error};
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;
use std::fmt::Debug;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How to watch.
#[derive(Clone, Debug)]
pub struct WatchSettings {
    /// Objects per page of the initial list.
    pub page_size: u32,
    /// Seconds after which the API server ends a watch, which is then renewed.
    pub timeout_seconds: u32,
}

/// Into how many a page is parted that is too long.
const PAGE_SHRINKS: u32 = 4;

/// What is asked of the API server; a list comes in pages of so many objects.
fn config(subject: Subject, settings: &WatchSettings, page_size: u32) -> watcher::Config {
    let config = watcher::Config::default().page_size(page_size).timeout(settings.timeout_seconds);
    match subject {
        Subject::Parent(_)
        | Subject::Content(_)
        | Subject::Observed(Observable::StorageClass | Observable::Definition) => config,
        Subject::Child(_) | Subject::Observed(Observable::Pod) => config.labels(&format!("{MANAGED_BY}={MANAGER}")),
        Subject::Observed(Observable::ReplicaSet) => {
            config.labels(&format!("{MANAGED_BY}={MANAGER},{}", parent_label(ParentKind::App)))
        }
        Subject::Observed(Observable::Event) => {
            config.fields("involvedObject.kind=PersistentVolumeClaim,reason=ProvisioningFailed")
        }
    }
}

/// Everything is listed again after that time, or up to half of it sooner, so that kinds and replicas do not do so together. No
/// fault of a watch, of the API server's or of ours, lasts longer.
const RELIST: Duration = Duration::from_secs(6 * 3600);

/// In what time everything is listed again.
pub fn relist_after() -> Duration {
    RELIST.mul_f64(rand::random_range(0.5..1.0))
}

impl WatchSettings {
    /// How long a watch that works may be silent: until the API server ends it, or does not, and until it is renewed, with all the
    /// tries that are refused.
    pub fn silence(&self) -> Duration {
        Duration::from_secs(u64::from(self.timeout_seconds) + 180)
    }
}

/// What becomes of what a watch shows.
pub trait Intake: Send {
    /// As what an object is decoded.
    type Object: kube::Resource<DynamicType = ApiResource, Scope = DynamicResourceScope>
        + DeserializeOwned
        + Clone
        + Debug
        + Send
        + 'static;

    /// Takes in one event; true when a list is complete.
    fn take(&mut self, event: Event<Self::Object>) -> bool;

    /// Takes in a failure, by its HTTP code: with 403 nothing may be looked at.
    fn failed(&mut self, code: u16);

    /// How the API server addresses what is watched.
    fn resource(&self, subject: Subject) -> ApiResource {
        subject.resource().0
    }
}

/// Follows one watch until cancelled; `health` is told how that goes.
pub async fn follow<I: Intake>(
    client: Client,
    mut intake: I,
    metrics: Metrics,
    watch: Watch,
    settings: WatchSettings,
    stop: CancellationToken,
    health: Health,
) {
    health.begins(&watch);
    let (pulse, heard_of) = (health.clone(), watch.clone());
    let client = heard(client, move |works| pulse.heard(&heard_of, works));
    let resource = intake.resource(watch.subject);
    let api: Api<I::Object> = match &watch.place {
        Place::In(namespace) => Api::namespaced_with(client, namespace, &resource),
        Place::Everywhere => Api::all_with(client, &resource),
    };
    let begin = |page_size| watcher(api.clone(), config(watch.subject, &settings, page_size)).boxed();
    let mut page_size = settings.page_size;
    let mut stream = begin(page_size);
    let mut relist = Instant::now() + relist_after();
    let mut failures = Failures { metrics, watch: watch.clone(), count: 0, told: String::new() };
    loop {
        let event = tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep_until(relist) => {
                relist = Instant::now() + relist_after();
                page_size = settings.page_size;
                stream = begin(page_size);
                continue;
            }
            event = stream.next() => event,
        };
        match event {
            None => return,
            Some(Ok(event)) => {
                if !matches!(event, Event::Init) {
                    failures.end();
                }
                if intake.take(event) {
                    health.listed(&watch);
                }
            }
            Some(Err(error)) if page_size > 1 && is_too_long(&error) => {
                page_size = page_size.div_ceil(PAGE_SHRINKS);
                tracing::info!(%watch, page_size, "objects are large; listing them in smaller pages");
                stream = begin(page_size);
            }
            Some(Err(error)) => {
                let (code, delay, message) = failures.add(&error);
                intake.failed(code);
                if code == 403 {
                    // What was forgotten must be listed again; the old stream would go on where it was.
                    stream = begin(page_size);
                }
                health.failed(&watch, message);
                if stop.run_until_cancelled(tokio::time::sleep(delay)).await.is_none() {
                    return;
                }
            }
        }
    }
}

/// Takes objects of ours, and others that are looked at, into the caches.
pub struct Objects {
    context: Context,
    watch: Watch,
    /// What the running relist has shown so far.
    seen: BTreeSet<Key>,
}

impl Objects {
    /// The intake of that watch.
    pub const fn new(context: Context, watch: Watch) -> Self {
        Self { context, watch, seen: BTreeSet::new() }
    }

    /// Takes in one object. One that makes the operator panic is passed over; the others are not to suffer from it.
    fn take_object(&self, live: Live, source: Source, lane: Lane) {
        let subject = self.watch.subject;
        let key = key(subject, &live);
        let wake = caught(|| format!("{subject} {key}"), || take(&self.context, subject, live, source));
        self.wake(wake.unwrap_or_default(), lane);
    }

    fn wake(&self, parents: Wake, lane: Lane) {
        if self.watch.subject.is_followed() {
            self.context.wake_later(parents);
        } else {
            self.context.wake(parents, lane);
        }
    }
}

impl Intake for Objects {
    type Object = Live;

    fn take(&mut self, event: Event<Live>) -> bool {
        let subject = self.watch.subject;
        match event {
            Event::Init => {
                self.seen.clear();
                if let Subject::Child(kind) = subject {
                    self.context.caches().begin_list(kind, &self.watch.place);
                }
            }
            Event::InitApply(live) => {
                self.seen.insert(key(subject, &live));
                self.take_object(live, Source::List, Lane::Background);
            }
            Event::InitDone => {
                let wake = sweep(&self.context, &self.watch, &std::mem::take(&mut self.seen));
                self.context.wake(wake, Lane::Background);
                return true;
            }
            Event::Apply(live) => self.take_object(live, Source::Watch, Lane::Edit),
            Event::Delete(live) => {
                let key = key(subject, &live);
                let wake = match subject {
                    Subject::Child(kind) => self.context.caches().child_is_gone(kind, &key, live.version()),
                    Subject::Parent(_) | Subject::Observed(_) | Subject::Content(_) => {
                        forget(&self.context, subject, &key)
                    }
                };
                self.wake(wake, Lane::Edit);
            }
        }
        false
    }

    fn failed(&mut self, code: u16) {
        let wake = failed(&self.context, &self.watch, code);
        self.context.wake(wake, Lane::Edit);
    }

    fn resource(&self, subject: Subject) -> ApiResource {
        match subject {
            Subject::Child(kind) => self.context.apis().resource(kind),
            Subject::Parent(_) | Subject::Observed(_) | Subject::Content(_) => subject.resource().0,
        }
    }
}

/// The failures of one watch since it last worked.
struct Failures {
    metrics: Metrics,
    watch: Watch,
    count: u32,
    told: String,
}

impl Failures {
    /// Counts a failure, tells it once, and says its HTTP code and how long to wait.
    fn add(&mut self, error: &Error) -> (u16, Duration, String) {
        let (code, message) = describe(error);
        self.metrics.watch_error(self.watch.subject, code);
        let message = format!("{}: {message}", self.watch);
        if self.told != message {
            tracing::warn!(watch = %self.watch, code, "{message}; trying again");
            self.told.clone_from(&message);
        }
        self.count += 1;
        (code, delay(self.count, code), message)
    }

    /// It works.
    fn end(&mut self) {
        self.count = 0;
        self.told.clear();
    }
}

/// Half a second, doubling to ten, within which an API that appears is noticed; to a minute where it is not allowed, as that
/// may be for good.
pub fn delay(failures: u32, code: u16) -> Duration {
    let longest = Duration::from_secs(if code == 403 { 60 } else { 10 });
    let base = Duration::from_millis(500).saturating_mul(1 << failures.saturating_sub(1).min(7));
    base.min(longest).mul_f64(rand::random_range(0.8..1.2))
}

fn describe(error: &Error) -> (u16, String) {
    let status = match error {
        Error::InitialListFailed(source) | Error::WatchStartFailed(source) | Error::WatchFailed(source) => {
            status(source)
        }
        Error::WatchError(status) => Some(status.as_ref()),
        Error::NoResourceVersion => None,
    };
    match status {
        Some(status) if status.code == 404 => {
            (404, "the API server does not serve this kind; is its CRD installed?".to_owned())
        }
        Some(status) => (status.code, status.message.clone()),
        None => (0, error.to_string()),
    }
}

/// By what an object is remembered: itself, or the claim that an Event speaks of, which lives where it does.
pub fn key(subject: Subject, live: &Live) -> Key {
    match subject {
        Subject::Observed(Observable::Event) => {
            Key::new(live.namespace(), live.body["involvedObject"]["name"].as_str().unwrap_or_default())
        }
        Subject::Parent(_) | Subject::Child(_) | Subject::Observed(_) | Subject::Content(_) => {
            Key::new(live.namespace(), live.name())
        }
    }
}

/// Takes in one object of the subject's kind; configuration has an intake of its own.
pub fn take(context: &Context, subject: Subject, live: Live, source: Source) -> Wake {
    match subject {
        Subject::Parent(kind) => take_parent(context, kind, live),
        Subject::Child(kind) => take_child(context, kind, &live, source).unwrap_or_default(),
        Subject::Observed(Observable::Pod) => take_pod(context, &live),
        Subject::Observed(Observable::ReplicaSet) => take_revision(context, &live),
        Subject::Observed(Observable::Event) => {
            context.caches().set_failure(&key(subject, &live), live.body["message"].as_str())
        }
        Subject::Observed(Observable::StorageClass) => {
            let mut caches = context.caches();
            let mut classes = caches.classes();
            classes.insert(live.name().to_owned(), StorageClass::of(&live));
            caches.set_classes(Some(classes))
        }
        Subject::Observed(Observable::Definition) | Subject::Content(_) => Wake::new(),
    }
}

fn forget(context: &Context, subject: Subject, key: &Key) -> Wake {
    let mut caches = context.caches();
    match subject {
        Subject::Parent(kind) => {
            let parent = ParentKey::new(kind, key.clone());
            context.reported().remove(&parent);
            context.wants().ask(&parent, &[]);
            caches.remove_parent(&parent)
        }
        Subject::Child(kind) => caches.remove_child(kind, key),
        Subject::Observed(Observable::Pod) => caches.remove_pod(key),
        Subject::Observed(Observable::ReplicaSet) => caches.set_revision(key, None),
        Subject::Observed(Observable::Event) => caches.set_failure(key, None),
        Subject::Observed(Observable::StorageClass) => {
            let mut classes = caches.classes();
            classes.remove(key.name.as_ref());
            caches.set_classes(Some(classes))
        }
        Subject::Observed(Observable::Definition) | Subject::Content(_) => Wake::new(),
    }
}

/// Forgets what a complete list no longer shows, of all that its watch tells of.
pub fn sweep(context: &Context, watch: &Watch, seen: &BTreeSet<Key>) -> Wake {
    let Watch { place, subject } = watch;
    let mut wake = match *subject {
        Subject::Child(kind) => context.caches().end_list(kind, place, seen),
        Subject::Parent(_) | Subject::Observed(_) | Subject::Content(_) => {
            let gone = unseen(context, watch, seen);
            gone.iter().flat_map(|key| forget(context, *subject, key)).collect()
        }
    };
    wake.extend(match *subject {
        // Each is planned again, as a plan that finds everything as it should be costs no request.
        Subject::Parent(kind) => {
            let caches = context.caches();
            let listed = |parent: &&ParentKey| parent.kind == kind && place.covers(&parent.key.namespace);
            caches.parents().filter(listed).cloned().collect()
        }
        Subject::Observed(Observable::StorageClass) => {
            let mut caches = context.caches();
            let classes = caches.classes();
            caches.set_classes(Some(classes))
        }
        Subject::Child(kind) => match context.apis().version(kind) {
            Some(version) => context.caches().set_offer(kind, place, Offer::Served(version)),
            None => Wake::new(),
        },
        Subject::Observed(_) | Subject::Content(_) => Wake::new(),
    });
    wake
}

/// What is remembered and a complete list of its watch does not show.
fn unseen(context: &Context, Watch { place, subject }: &Watch, seen: &BTreeSet<Key>) -> Vec<Key> {
    let caches = context.caches();
    match *subject {
        Subject::Parent(kind) => caches.unseen_parents(kind, place, seen),
        Subject::Child(_) | Subject::Observed(Observable::Definition) | Subject::Content(_) => Vec::new(),
        Subject::Observed(Observable::Pod) => caches.unseen_pods(place, seen),
        Subject::Observed(Observable::ReplicaSet) => caches.unseen_revisions(place, seen),
        Subject::Observed(Observable::Event) => caches.unseen_failures(place, seen),
        Subject::Observed(Observable::StorageClass) => {
            caches.classes().into_keys().map(|name| Key::new("", &name)).filter(|key| !seen.contains(key)).collect()
        }
    }
}

/// Takes in that a kind can't be looked at: with 403 it may not be, with 404 it may be served no longer.
fn failed(context: &Context, Watch { place, subject }: &Watch, code: u16) -> Wake {
    match (*subject, code) {
        (Subject::Observed(Observable::StorageClass), 403) => context.caches().set_classes(None),
        (Subject::Child(kind), 403 | 404) => match &row(kind).optional {
            Some(provider) if code == 403 => context.caches().set_offer(kind, place, Offer::Denied(provider)),
            Some(_) => {
                context.apis().ask();
                Wake::new()
            }
            None => Wake::new(),
        },
        (Subject::Parent(_) | Subject::Child(_) | Subject::Observed(_) | Subject::Content(_), _) => Wake::new(),
    }
}
