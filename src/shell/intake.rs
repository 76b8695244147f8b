//! From live objects to caches: what came off a watch, and what a write returned. No request is made here.

use super::cache::{ParentEntry, Wake};
use super::context::Context;
use super::key::{Key, ParentKey};
use super::observe::observe;
use crate::api::{App, Registry, StorageClaim};
use crate::core::kind::{ChildKind, ParentKind};
use crate::core::live::Live;
use crate::core::object::Object;
use crate::core::observed::{self, Child};
use crate::core::owner::Owner;
use crate::core::parent::Parent;
use crate::core::plan::Plan;
use crate::core::pods;

/// Takes in a parent as it came off a watch.
pub fn take_parent(context: &Context, kind: ParentKind, live: Live, relist: bool) -> Wake {
    let key = ParentKey::new(kind, Key::new(live.namespace(), live.name()));
    let claims = match kind {
        ParentKind::App => claims::<App>(&live),
        ParentKind::StorageClaim => claims::<StorageClaim>(&live),
        ParentKind::Registry => claims::<Registry>(&live),
    };
    let entry =
        ParentEntry { version: live.version(), uid: live.uid().into(), claims: claims.into(), body: compact(live) };
    context.caches().set_parent(&key, entry, relist)
}

fn claims<P: Parent>(live: &Live) -> Vec<String> {
    serde_json::from_value::<P>(live.body.clone()).map(|parent| parent.claims()).unwrap_or_default()
}

/// The object as JSON, without the copy of itself that `kubectl apply` leaves in an annotation.
pub fn compact(mut live: Live) -> Box<[u8]> {
    if let Some(annotations) = live.body["metadata"]["annotations"].as_object_mut() {
        annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
    }
    live.body.to_string().into_bytes().into_boxed_slice()
}

/// Takes in a child as it came off a watch: compares it with what its parent wants, and drops the body.
pub fn take_child(context: &Context, kind: ChildKind, live: &Live, relist: bool) -> Wake {
    let key = Key::new(live.namespace(), live.name());
    let known = context.caches().child(kind, &key).cloned();
    if let Some(known) = &known
        && (known.version == live.version() || (known.version > live.version() && !relist))
    {
        return Wake::new();
    }
    let fingerprint = observed::fingerprint(live);
    let mut child = Child::of(kind, live, None);
    match known {
        Some(known) if known.fingerprint == fingerprint => child.agrees = known.agrees,
        Some(_) | None => {
            // What is wanted may depend on this very child (a claim's size on its volume's), so it is remembered first.
            let mut wake = context.caches().set_child(kind, &key, child.clone());
            if let Some(wanted) = wanted(context, kind, &key, &child.owner) {
                child = Child::of(kind, live, Some(&wanted));
            }
            wake.extend(context.caches().set_child(kind, &key, child));
            return wake;
        }
    }
    context.caches().set_child(kind, &key, child)
}

/// Takes in what a write of ours returned: it agrees by definition.
pub fn written(context: &Context, object: &Object, live: &Live) {
    let key = Key::new(live.namespace(), live.name());
    let child = Child { agrees: Some(object.hash), ..Child::of(object.kind, live, None) };
    let mut caches = context.caches();
    if caches.child(object.kind, &key).is_none_or(|known| known.version <= child.version) {
        caches.set_child(object.kind, &key, child);
    }
}

/// What the owner of a child wants of it.
fn wanted(context: &Context, kind: ChildKind, key: &Key, owner: &Owner) -> Option<Object> {
    let (parent, name) = owner.parent()?;
    let parent = ParentKey::new(parent, key.sibling(name));
    let plan = match parent.kind {
        ParentKind::App => plan::<App>(context, &parent),
        ParentKind::StorageClaim => plan::<StorageClaim>(context, &parent),
        ParentKind::Registry => plan::<Registry>(context, &parent),
    }?;
    plan.object(kind, &key.name).cloned()
}

fn plan<P: Parent>(context: &Context, key: &ParentKey) -> Option<Plan> {
    let (parent, observed) = observe::<P>(context, key).ok()??;
    Some(parent.plan(&observed, &context.settings()))
}

/// Takes in a pod as it came off a watch.
pub fn take_pod(context: &Context, live: &Live) -> Wake {
    let key = Key::new(live.namespace(), live.name());
    match pods::pod(live) {
        Some((kind, name, pod)) => {
            let parent = ParentKey::new(kind, key.sibling(&name));
            context.caches().set_pod(&key, &parent, &pod)
        }
        None => context.caches().remove_pod(&key),
    }
}
