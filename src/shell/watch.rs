//! Watches: one task for each, with its own backoff, so that a missing API or right delays no other.

use super::client::{heard, is_too_long};
use super::error::status;
use super::grants::PROBE;
use super::health::Health;
use super::kinds::{Observable, Subject};
use super::metrics::Metrics;
use super::scope::{Place, Watch};
use crate::core::kind::ParentKind;
use crate::core::meta::{MANAGED_BY, MANAGER, parent_label};
use futures::StreamExt;
use kube::api::Api;
use kube::core::{ApiResource, DynamicResourceScope};
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Client, runtime::watcher::Error};
use serde::de::DeserializeOwned;
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
        // There is no selector for two kinds. What comes most often and says nothing new is left out.
        Subject::Observed(Observable::Event) => config.fields("type=Warning,reason!=BackOff,reason!=FailedScheduling"),
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
        let is_optional = code == 403 && self.watch.subject.comes_with_a_component();
        if self.told != message {
            if is_optional {
                tracing::info!(watch = %self.watch, code, "{message}; done without");
            } else {
                tracing::warn!(watch = %self.watch, code, "{message}; trying again");
            }
            self.told.clone_from(&message);
        }
        self.count += 1;
        (code, if is_optional { PROBE } else { delay(self.count, code) }, message)
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
