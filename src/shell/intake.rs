//! From live objects to caches: what came off a watch, and what a write returned. No request is made here.

use super::body::Body;
use super::cache::{Caches, ParentEntry};
use super::complaints::Object as Complained;
use super::context::Context;
use super::guard::caught;
use super::key::{Key, ParentKey, Wake};
use super::observe::observe;
use super::progress::{Moment, Source};
use crate::api::{App, Registry, StorageClaim};
use crate::core::complaints::{Involved, complaint};
use crate::core::facts::{Facts, facts};
use crate::core::hash;
use crate::core::kind::{ChildKind, ParentKind};
use crate::core::live::Live;
use crate::core::managed::listed;
use crate::core::meta::{MANAGED_BY, MANAGER};
use crate::core::object::Object;
use crate::core::observed::{Child, Verdict};
use crate::core::offer::Offer;
use crate::core::parent::Parent;
use crate::core::plan::Plan;
use crate::core::reference::Reference;
use crate::core::{pods, revisions, stray};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;

/// Takes in a parent as it came off a watch.
pub fn take_parent(context: &Context, kind: ParentKind, live: Live) -> Wake {
    let key = ParentKey::new(kind, Key::new(live.namespace(), live.name()));
    let read = || match kind {
        ParentKind::App => references::<App>(&live),
        ParentKind::StorageClaim => references::<StorageClaim>(&live),
        ParentKind::Registry => references::<Registry>(&live),
    };
    let known =
        if live.too_large { context.caches().parent(&key).map(|known| Arc::clone(&known.references)) } else { None };
    // What is too large to be read keeps what runs, and that refers to what it did.
    let references = known.unwrap_or_else(|| caught(|| key.to_string(), read).unwrap_or_default().into());
    let entry = remembered(kind, live, references);
    context.caches().set_parent(&key, entry)
}

fn references<P: Parent>(live: &Live) -> Vec<Reference> {
    P::deserialize(&live.body).map(|parent| parent.references()).unwrap_or_default()
}

/// What is remembered of a parent: without what others write in its status, and without the copy of itself that `kubectl apply`
/// leaves in an annotation.
fn remembered(kind: ParentKind, mut live: Live, references: Arc<[Reference]>) -> ParentEntry {
    let status = live.our_status.get("f:status").map(|fields| listed(&live.body["status"], fields));
    // Where others took a part without which the rest can't be read, it is written anew.
    let status = status.filter(|ours| *ours == live.body["status"] || is_status(kind, ours));
    if let Some(body) = live.body.as_object_mut() {
        match status {
            Some(status) => body.insert("status".to_owned(), status),
            None => body.remove("status"),
        };
    }
    let facts = match kind {
        ParentKind::StorageClaim => facts(ChildKind::StorageClaim, &live),
        ParentKind::App | ParentKind::Registry => Facts::None,
    };
    if let Some(annotations) = live.body["metadata"]["annotations"].as_object_mut() {
        annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
    }
    let (version, uid, too_large) = (live.version(), live.uid().into(), live.too_large);
    let body = Body::new(&live.body);
    ParentEntry { version, uid, body, declared: declared(live.body), too_large, references, facts }
}

fn is_status(kind: ParentKind, status: &Value) -> bool {
    match kind {
        ParentKind::App => <App as Parent>::Status::deserialize(status).is_ok(),
        ParentKind::StorageClaim => <StorageClaim as Parent>::Status::deserialize(status).is_ok(),
        ParentKind::Registry => <Registry as Parent>::Status::deserialize(status).is_ok(),
    }
}

/// Takes in what a write of a parent's status returned. If it holds an edit as well, it is passed over: the event of that edit is
/// on its way, and wakes whom it concerns.
pub fn status_written(context: &Context, key: &ParentKey, live: Live) -> Wake {
    let known = context.caches().parent(key).cloned();
    let Some(known) = known else { return Wake::new() };
    let written = remembered(key.kind, live, known.references);
    if known.declared == written.declared { context.caches().written_parent(key, written) } else { Wake::new() }
}

/// Takes in what a write of a parent's finalizers returned, which was refused if anything else had changed.
pub fn finalizers_written(context: &Context, key: &ParentKey, live: Live) -> Wake {
    let known = context.caches().parent(key).cloned();
    let Some(known) = known else { return Wake::new() };
    context.caches().written_parent(key, remembered(key.kind, live, known.references))
}

/// Hash of all of a body but its status and version.
fn declared(mut body: Value) -> u64 {
    if let Some(body) = body.as_object_mut() {
        body.remove("status");
    }
    if let Some(metadata) = body["metadata"].as_object_mut() {
        metadata.remove("resourceVersion");
    }
    hash::of(&body)
}

/// Takes in a child: compares it with what its parent wants, and drops the body. `None` if it is no news, because what is
/// known is as new, or because the child is gone by now.
pub fn take_child(context: &Context, kind: ChildKind, live: &Live, source: Source) -> Option<Wake> {
    let key = Key::new(live.namespace(), live.name());
    let is_news = |caches: &Caches| caches.is_news(kind, &key, live.version(), source, is_selected(live));
    let known = {
        let caches = context.caches();
        is_news(&caches).then(|| caches.child(kind, &key).cloned())?
    };
    let seen = Child::of(kind, live);
    // A child that differed is compared again although it stands as it was, as what is wanted of it may be another by now.
    let stands = |known: &&Child| {
        source == Source::Watch && known.fingerprint == seen.fingerprint && matches!(known.verdict, Verdict::Agrees(_))
    };
    let child = if let Some(known) = known.as_ref().filter(stands) {
        let (added, unlike) = (known.added.clone(), known.unlike.clone());
        Child { verdict: known.verdict, good: known.good, added, unlike, ..seen }
    } else {
        let wanted = wanted(context, kind, &key, &seen);
        // An API server of a newer version, or without a policy, takes what was not taken before, of which nothing else tells.
        let was_taken = |known: &Child| known.unlike.as_ref().is_none_or(|unlike| unlike.message().is_none());
        let known = known.filter(|known| source != Source::List || was_taken(known));
        seen.compared(live, wanted.as_ref(), known.as_ref())
    };
    let mut caches = context.caches();
    is_news(&caches).then(|| caches.set_child(kind, &key, child, source))
}

/// Takes in what a write of ours returned: it agrees by definition. False if the object is gone by now.
pub fn written(context: &Context, object: &Object, live: &Live, sent: Moment) -> bool {
    let key = Key::new(live.namespace(), live.name());
    let child = Child::of(object.kind, live).applied(live, object);
    let (source, mut caches) = (Source::Answer(sent), context.caches());
    let exists = match caches.child(object.kind, &key) {
        // What is known came after this write, and was compared when it did.
        Some(known) if known.version > child.version => return true,
        Some(_) => true,
        None => caches.is_news(object.kind, &key, child.version, source, is_selected(live)),
    };
    if exists {
        caches.set_child(object.kind, &key, child, source);
    }
    exists
}

/// Whether the watches of our children tell of it.
pub fn is_selected(live: &Live) -> bool {
    live.label(MANAGED_BY) == Some(MANAGER)
}

/// What the owner of a child wants of it. That may depend on this very child (a claim's size on its volume's), so the plan is
/// made as if it were known already.
fn wanted(context: &Context, kind: ChildKind, key: &Key, seen: &Child) -> Option<Object> {
    let (parent, name) = seen.owner.parent()?;
    let parent = ParentKey::new(parent, key.sibling(name));
    let plan = || match parent.kind {
        ParentKind::App => plan::<App>(context, &parent, kind, key, seen),
        ParentKind::StorageClaim => plan::<StorageClaim>(context, &parent, kind, key, seen),
        ParentKind::Registry => plan::<Registry>(context, &parent, kind, key, seen),
    };
    // A plan that panics wants nothing, so the child differs and its parent is woken, which then tells of the panic.
    let plan = caught(|| parent.to_string(), plan)??;
    plan.object(kind, &key.name).cloned()
}

fn plan<P: Parent>(context: &Context, parent: &ParentKey, kind: ChildKind, key: &Key, seen: &Child) -> Option<Plan> {
    let (parent, mut observed) = observe::<P>(context, parent).ok()??;
    observed.children.insert((kind, key.name.to_string()), seen.clone());
    if let Some(version) = context.apis().version(kind) {
        observed.offers.insert(kind, Offer::Served(version));
    }
    Some(parent.plan(&observed, &context.settings(), Timestamp::now()))
}

/// Takes in a pod as it came off a watch.
pub fn take_pod(context: &Context, live: &Live) -> Wake {
    let key = Key::new(live.namespace(), live.name());
    match caught(|| format!("Pod {key}"), || pods::pod(live)).flatten() {
        Some((kind, name, pod)) => {
            let parent = ParentKey::new(kind, key.sibling(&name));
            context.caches().troubles.set_pod(&key, &parent, &pod)
        }
        None => match caught(|| format!("Pod {key}"), || stray::stray(live)).flatten() {
            Some((kind, name, stray)) => {
                let parent = ParentKey::new(kind, key.sibling(&name));
                context.caches().troubles.set_stray(&key, &parent, stray)
            }
            None => context.caches().troubles.remove_pod(&key),
        },
    }
}

/// Takes in an Event as it came off a watch.
pub fn take_event(context: &Context, live: &Live) -> Wake {
    let event = Key::new(live.namespace(), live.name());
    let told = caught(|| format!("Event {event}"), || complaint(live)).flatten();
    let told = told.map(|(Involved { subject, name, uid }, complaint)| {
        (Complained { subject, key: event.sibling(name), uid: uid.into() }, complaint)
    });
    context.caches().complained(&event, told)
}

/// Takes in a `ReplicaSet` as it came off a watch.
pub fn take_revision(context: &Context, live: &Live) -> Wake {
    let key = Key::new(live.namespace(), live.name());
    let taken = caught(|| format!("ReplicaSet {key}"), || revisions::revision(live)).flatten();
    let revision = taken.map(|(app, revision)| (ParentKey::new(ParentKind::App, key.sibling(&app)), revision));
    context.caches().set_revision(&key, revision)
}
