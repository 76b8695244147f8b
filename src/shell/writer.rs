//! The only way to write: every request that changes the cluster passes here, and none does unless this replica leads.

use super::apis::Apis;
use super::error::Error;
use super::kinds::{Observable, Subject, parent_resource};
use super::leader::Leadership;
use crate::core::kind::{ChildKind, Identity};
use crate::core::live::Live;
use crate::core::meta::FIELD_MANAGER;
use crate::core::referent::Holder;
use crate::core::text::cut;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::api::{
    Api, DeleteParams, GetParams, ListParams, Patch, PatchParams, PostParams, Preconditions, PropagationPolicy,
};
use kube::core::{ApiResource, Request};
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Longest note of an Event that the API server takes, in bytes.
const NOTE: usize = 1024;
/// For how long no Event is published where one was refused.
const MUTE: Duration = Duration::from_secs(600);

/// Writes to the cluster while this replica leads.
#[derive(Clone)]
pub struct Writer {
    client: Client,
    leadership: Leadership,
    /// By whom Events that may come again and again are counted.
    recorder: Recorder,
    reporter: Reporter,
    /// Until when no Event is published in a namespace, as it was refused there.
    mute: Arc<Mutex<HashMap<String, Instant>>>,
    /// How each kind is addressed.
    apis: Apis,
}

impl Writer {
    /// A writer over that client, whose Events name that instance of the operator.
    pub fn new(client: Client, leadership: Leadership, instance: Option<String>) -> Self {
        let reporter = Reporter { controller: FIELD_MANAGER.to_owned(), instance };
        let recorder = Recorder::new(client.clone(), reporter.clone());
        Self { client, leadership, recorder, reporter, mute: Arc::default(), apis: Apis::default() }
    }

    /// How each kind is addressed.
    pub fn apis(&self) -> &Apis {
        &self.apis
    }

    /// Whether this replica may write.
    pub fn leads(&self) -> bool {
        self.leadership.is_leader()
    }

    /// Applies a child. The body carries its precondition: `resourceVersion` to create, `uid` to update.
    pub async fn apply(&self, kind: ChildKind, namespace: &str, name: &str, body: &Value) -> Result<Live, Error> {
        let action = || format!("apply {kind} {name}");
        self.check(action)?;
        let params = PatchParams::apply(FIELD_MANAGER).force().validation_strict();
        self.children(kind, namespace).patch(name, &params, &Patch::Apply(body)).await.map_err(|e| failed(action, e))
    }

    /// Makes a child where there is none of its name; whether it did. What there is, is neither read nor changed.
    pub async fn make(&self, kind: ChildKind, namespace: &str, name: &str, body: &Value) -> Result<bool, Error> {
        let action = || format!("make {kind} {name}");
        self.check(action)?;
        let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        let create = |path: Request| path.create(&params, body.to_string().into_bytes());
        match self.request::<IgnoredAny>(kind, namespace, create).await {
            Ok(IgnoredAny) => Ok(true),
            Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(false),
            Err(error) => Err(failed(action, error)),
        }
    }

    /// Asks whether a child of that body could be made; nothing is. The answer is not read, as it has no `resourceVersion`.
    pub async fn rehearse(&self, kind: ChildKind, namespace: &str, body: &Value) -> Result<(), Error> {
        let name = body["metadata"]["name"].as_str().unwrap_or_default();
        let action = || format!("try out {kind} {name}");
        let params = PatchParams { dry_run: true, ..PatchParams::apply(FIELD_MANAGER).force().validation_strict() };
        let apply = |path: Request| path.patch(name, &params, &Patch::Apply(body));
        let tried = self.request::<IgnoredAny>(kind, namespace, apply).await;
        tried.map(|IgnoredAny| ()).map_err(|error| failed(action, error))
    }

    /// Changes who holds which fields of a child, by a patch that carries its precondition: the `resourceVersion` that was read.
    pub async fn holders(&self, kind: ChildKind, namespace: &str, name: &str, patch: &Value) -> Result<(), Error> {
        let action = || format!("take over the fields of {kind} {name}");
        self.check(action)?;
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let patched = self.children(kind, namespace).patch(name, &params, &Patch::Merge(patch)).await;
        patched.map(|_| ()).map_err(|error| failed(action, error))
    }

    /// Reads a child as it stands, not as it is remembered.
    pub async fn read(&self, kind: ChildKind, namespace: &str, name: &str) -> Result<Option<Live>, Error> {
        let found = self.children(kind, namespace).get_opt(name).await;
        found.map_err(|error| failed(|| format!("read {kind} {name}"), error))
    }

    /// Reads a child with everything that the API server has, `managedFields` included.
    pub async fn read_whole(&self, kind: ChildKind, namespace: &str, name: &str) -> Result<Value, Error> {
        let found = self.request(kind, namespace, |path| path.get(name, &GetParams::default())).await;
        found.map_err(|error| failed(|| format!("read {kind} {name}"), error))
    }

    /// Reads what is only looked at, as a whole.
    pub async fn read_observed(&self, kind: Observable, namespace: &str, name: &str) -> Result<Option<Live>, Error> {
        let subject = Subject::Observed(kind);
        let found = namespaced(&self.client, namespace, &subject.resource().0).get_opt(name).await;
        found.map_err(|error| failed(|| format!("read {name} of {subject}"), error))
    }

    /// Reads a parent as it stands, not as it is remembered. A list of one, as that asks for no right that a watch does not need.
    pub async fn read_parent(&self, parent: &Identity) -> Result<Option<Live>, Error> {
        let this = ListParams::default().fields(&format!("metadata.name={}", parent.name));
        let found = self.parents(parent).list(&this).await;
        let found = found.map_err(|error| failed(|| format!("read {parent}"), error))?;
        Ok(found.items.into_iter().next())
    }

    /// Reads what is to be remembered of an object that somebody refers to.
    pub async fn read_referent(&self, subject: Subject, namespace: &str, name: &str) -> Result<Option<Holder>, Error> {
        let api: Api<Holder> = Api::namespaced_with(self.client.clone(), namespace, &subject.resource().0);
        api.get_opt(name).await.map_err(|error| failed(|| format!("read {name} of {subject}"), error))
    }

    /// Deletes a child, if it still is exactly the one that was seen.
    pub async fn delete(
        &self,
        kind: ChildKind,
        namespace: &str,
        name: &str,
        uid: &str,
        version: u64,
    ) -> Result<(), Error> {
        let action = || format!("delete {kind} {name}");
        self.check(action)?;
        let params = DeleteParams {
            preconditions: Some(Preconditions {
                uid: Some(uid.to_owned()),
                resource_version: Some(version.to_string()),
            }),
            propagation_policy: Some(PropagationPolicy::Background),
            ..DeleteParams::default()
        };
        self.children(kind, namespace).delete(name, &params).await.map(|_| ()).map_err(|error| failed(action, error))
    }

    /// Writes the status of a parent, if it still is the same object.
    pub async fn status(&self, parent: &Identity, status: &Value) -> Result<Live, Error> {
        let action = || format!("write the status of {parent}");
        self.check(action)?;
        let body = serde_json::json!({
            "apiVersion": crate::api::API_VERSION,
            "kind": parent.kind.as_str(),
            "metadata": {"name": parent.name, "namespace": parent.namespace, "uid": parent.uid},
            "status": status,
        });
        let params = PatchParams::apply(FIELD_MANAGER).force();
        let api = self.parents(parent);
        api.patch_status(&parent.name, &params, &Patch::Apply(&body)).await.map_err(|error| failed(action, error))
    }

    /// Replaces the finalizers of a parent, if nobody changed it since it was seen.
    pub async fn finalizers(&self, parent: &Identity, version: &str, finalizers: &[String]) -> Result<Live, Error> {
        let action = || format!("change the finalizers of {parent}");
        self.check(action)?;
        let body =
            serde_json::json!({"metadata": {"resourceVersion": version, "uid": parent.uid, "finalizers": finalizers}});
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        self.parents(parent)
            .patch(&parent.name, &params, &Patch::Merge(&body))
            .await
            .map_err(|error| failed(action, error))
    }

    /// Publishes an Event about a parent; best effort, as an Event tells nothing that the status does not. The right to do so is
    /// optional: where it is refused, it is not asked for again for a while.
    pub async fn event(&self, event: Event, about: &ObjectReference) {
        self.publish(&self.recorder, event, about).await;
    }

    /// Publishes an Event about what happens once, so that nothing of it is remembered.
    pub async fn news(&self, event: Event, about: &ObjectReference) {
        self.publish(&Recorder::new(self.client.clone(), self.reporter.clone()), event, about).await;
    }

    async fn publish(&self, recorder: &Recorder, event: Event, about: &ObjectReference) {
        let event = Event { note: event.note.as_deref().map(|note| cut(note, NOTE)), ..event };
        let namespace = about.namespace.clone().unwrap_or_default();
        if !self.leads() || self.mute().get(&namespace).is_some_and(|until| Instant::now() < *until) {
            return;
        }
        match recorder.publish(&event, about).await {
            Err(kube::Error::Api(status)) if status.code == 403 => {
                tracing::debug!(namespace, "Events may not be published; deploy/components/events grants it");
                self.mute().insert(namespace, Instant::now() + MUTE);
            }
            Err(error) => tracing::debug!(%error, "failed to publish an Event"),
            Ok(()) => {}
        }
    }

    /// Publishes an Event about a parent, and says the same in the log.
    pub async fn tell(&self, parent: &Identity, event: Event) {
        let (reason, note) = (&event.reason, event.note.as_deref().unwrap_or_default());
        match event.type_ {
            EventType::Normal => tracing::info!(reason, "{note}"),
            EventType::Warning => tracing::warn!(reason, "{note}"),
        }
        self.news(event, &reference(parent)).await;
    }

    fn mute(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        self.mute.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check(&self, action: impl Fn() -> String) -> Result<(), Error> {
        if self.leads() { Ok(()) } else { Err(Error::NotLeader { action: action() }) }
    }

    /// Sends a request about children whose answer is not read as one of them.
    async fn request<T: DeserializeOwned>(
        &self,
        kind: ChildKind,
        namespace: &str,
        build: impl FnOnce(Request) -> Result<http::Request<Vec<u8>>, kube::core::request::Error>,
    ) -> Result<T, kube::Error> {
        let path = Request::new(self.children(kind, namespace).resource_url());
        self.client.request(build(path).map_err(kube::Error::BuildRequest)?).await
    }

    fn children(&self, kind: ChildKind, namespace: &str) -> Api<Live> {
        namespaced(&self.client, namespace, &self.apis.resource(kind))
    }

    fn parents(&self, parent: &Identity) -> Api<Live> {
        namespaced(&self.client, &parent.namespace, &parent_resource(parent.kind))
    }
}

/// The API of one kind in one namespace.
fn namespaced(client: &Client, namespace: &str, resource: &ApiResource) -> Api<Live> {
    Api::namespaced_with(client.clone(), namespace, resource)
}

fn failed(action: impl Fn() -> String, source: kube::Error) -> Error {
    Error::Request { action: action(), source: Box::new(source) }
}

/// The reference by which an Event names its subject.
pub fn reference(parent: &Identity) -> ObjectReference {
    ObjectReference {
        api_version: Some(crate::api::API_VERSION.to_owned()),
        kind: Some(parent.kind.as_str().to_owned()),
        namespace: Some(parent.namespace.clone()),
        name: Some(parent.name.clone()),
        uid: Some(parent.uid.clone()),
        ..ObjectReference::default()
    }
}
