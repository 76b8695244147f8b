//! Carries out the `objects` of a plan by server-side apply, under the two preconditions that keep strangers' objects
//! untouched: create only what is missing, update only what was seen.

use super::cache::Wake;
use super::context::Context;
use super::error::Error;
use super::intake::{is_selected, take_child, take_parent, written};
use super::key::{Key, ParentKey};
use super::make::{fail, make};
use super::metrics::ApplyOutcome;
use super::progress::{Moment, Source};
use super::queue::Lane;
use super::repairs::Id;
use super::words::{adoptable, kept, replaced, reverted, taken, unseen};
use super::writer::reference;
use crate::core::copy::taken_over;
use crate::core::drift::Drift;
use crate::core::fixed;
use crate::core::kind::{ChildKind, Identity};
use crate::core::live::Live;
use crate::core::merge::Path;
use crate::core::object::Object;
use crate::core::observed::{Child, Observed};
use crate::core::owner::{self, Owner, Ownership};
use crate::core::plan::{ErrorClass, Failure, Outcome, Plan};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;

/// A request that takes so long is slow. A reconcile has time for two that fail so late, and then to tell of them.
const SLOW: Duration = Duration::from_secs(5);

/// What became of one object.
enum Applied {
    /// It stands as wanted.
    Done,
    /// A predecessor is still being deleted.
    Waiting,
    /// The cache was late: what was read instead is remembered, and the parent is to be planned again.
    Late,
    /// Somebody else holds the name.
    Taken(String),
    /// Nobody controls it, but it would have to be adopted; whether it was kept for an earlier parent, or somebody else made it.
    Adoptable { kept: bool },
    /// Something takes the label away by which the operator sees it.
    Unseen,
    /// It can't become what is wanted, in words for the user.
    Fixed(String),
    /// Somebody changes it again and again; it is left for now.
    Contended,
}

/// Applies what differs; what agrees costs no request.
pub async fn apply(context: &Context, parent: &Identity, plan: &Plan, observed: &Observed) -> Outcome {
    let mut outcome = make(context, parent, plan).await;
    let mut slow = 0;
    for object in &plan.objects {
        let since = Instant::now();
        let named = format!("{} {}", object.kind, object.name);
        let id = Id::new(&parent.uid, &named);
        let applied = if observed.agrees(object) {
            context.metrics.apply(object.kind, ApplyOutcome::Skipped);
            Ok(Applied::Done)
        } else if outcome.holds(object) {
            outcome.held.push(named);
            continue;
        } else {
            tracing::debug!(object = named, "differs from what is wanted");
            apply_object(context, parent, object, observed.child(object.kind, &object.name), id).await
        };
        if let Some(fight) = context.repairs().fight(id, Instant::now()) {
            outcome.contended.push(format!("{named}: {fight}"));
        }
        if !matches!(applied, Ok(Applied::Done)) {
            outcome.unmet.insert(object.kind);
        }
        match applied {
            Ok(Applied::Done) => {}
            Ok(Applied::Contended) => outcome.held.push(named),
            Ok(Applied::Waiting) => outcome.waiting.push(named),
            Ok(Applied::Late) => outcome.late = true,
            Ok(Applied::Fixed(message)) => {
                outcome.failures.push(Failure { object: named, class: ErrorClass::Invalid, message });
            }
            Ok(Applied::Taken(holder)) => outcome.failures.push(taken(named, parent, &holder)),
            Ok(Applied::Adoptable { kept: true }) => outcome.failures.push(kept(named, parent)),
            Ok(Applied::Adoptable { kept: false }) => outcome.failures.push(adoptable(named, parent, object)),
            Ok(Applied::Unseen) => outcome.failures.push(unseen(named)),
            Err(error) => {
                fail(context, &mut outcome, object, &error);
                slow += u32::from(since.elapsed() >= SLOW);
                if error.concerns_all() || slow == 2 {
                    break;
                }
            }
        }
    }
    outcome
}

async fn apply_object(
    context: &Context,
    parent: &Identity,
    object: &Object,
    seen: Option<&Child>,
    id: Id,
) -> Result<Applied, Error> {
    // What the author has just declared waits for nobody.
    if seen.is_none_or(|child| child.stood_as(object)) && context.repairs().must_wait(id, Instant::now()) {
        return Ok(Applied::Contended);
    }
    let Some(mut child) = seen.cloned() else { return create(context, parent, object, id).await };
    if !child.deleting && child.is_unsure(object) {
        let Some(looked) = look(context, parent, object, &child).await? else { return Ok(Applied::Late) };
        child = looked;
        if child.is_as(object) {
            return Ok(Applied::Done);
        }
    }
    if child.deleting {
        return wait(context, parent, object, &child).await;
    }
    match child.owner.to(parent) {
        Ownership::Ours if is_orphan(&child, object) && !stands(context, parent).await? => Ok(Applied::Late),
        Ownership::Ours if child.stood_as(object) || child.copied => repair(context, parent, object, &child, id).await,
        Ownership::Ours => update(context, parent, object, &child, id).await,
        Ownership::Predecessor => wait(context, parent, object, &child).await,
        Ownership::Foreign(holder) => Ok(Applied::Taken(holder)),
    }
}

/// Reads a child and compares it anew with what is wanted of it; `None` if it is gone.
async fn look(context: &Context, parent: &Identity, object: &Object, child: &Child) -> Result<Option<Child>, Error> {
    let key = Key::new(&parent.namespace, &object.name);
    let sent = context.caches().moment(object.kind, &parent.namespace);
    match context.writer.read(object.kind, &parent.namespace, &object.name).await? {
        Some(live) => take(context, parent, object.kind, &live, sent),
        None => {
            context.caches().remove_child_of(object.kind, &key, &child.uid);
        }
    }
    Ok(context.caches().child(object.kind, &key).cloned())
}

/// Takes in what an answer shows of a child, and wakes whom else it concerns.
fn take(context: &Context, parent: &Identity, kind: ChildKind, live: &Live, sent: Moment) {
    let wake = take_child(context, kind, live, Source::Answer(sent)).unwrap_or_default();
    wake_others(context, parent, wake);
}

fn wake_others(context: &Context, parent: &Identity, wake: Wake) {
    let is_other = |other: &ParentKey| other.kind != parent.kind || *other.key.name != *parent.name;
    context.wake(wake.into_iter().filter(is_other), Lane::Edit);
}

/// Changes an object back that stood as wanted, and tells who changed what. All of a copy is made ours first.
async fn repair(
    context: &Context,
    parent: &Identity,
    object: &Object,
    child: &Child,
    id: Id,
) -> Result<Applied, Error> {
    let whole = match context.writer.read_whole(object.kind, &parent.namespace, &object.name).await {
        Err(error) if child.copied => return Err(error),
        whole => whole.ok().filter(|whole| whole["metadata"]["uid"] == *child.uid),
    };
    if child.copied
        && let Some(holders) = whole.as_ref().and_then(taken_over)
    {
        context.writer.holders(object.kind, &parent.namespace, &object.name, &holders).await?;
    }
    let drift = whole.filter(|_| child.stood_as(object)).and_then(|whole| Drift::of(whole, object));
    let applied = update(context, parent, object, child, id).await?;
    if !child.stood_as(object) {
        return Ok(applied);
    }
    let what = drift.as_ref().map_or_else(|| "somebody changed it".to_owned(), ToString::to_string);
    context.repairs().note(id, Instant::now(), &what);
    if let (Some(drift), Applied::Done) = (drift, &applied) {
        context.writer.event(reverted(parent, object, &drift), &reference(parent)).await;
    }
    Ok(applied)
}

/// Waits for an object to go. That it has gone is told by the watch; this look is for when the watch has not.
async fn wait(context: &Context, parent: &Identity, object: &Object, child: &Child) -> Result<Applied, Error> {
    let stands = look(context, parent, object, child).await?.is_some();
    Ok(if stands { Applied::Waiting } else { Applied::Late })
}

/// Whether the object has lost the owner reference that it is wanted to have.
fn is_orphan(child: &Child, object: &Object) -> bool {
    matches!(child.owner, Owner::Labelled { .. }) && object.body["metadata"].get("ownerReferences").is_some()
}

/// Whether the parent stands, by a look at it: a deletion with `--cascade=orphan` takes the owner references away, and may have
/// ended before the watch tells of it. An object that is claimed for a parent that is gone is collected.
async fn stands(context: &Context, parent: &Identity) -> Result<bool, Error> {
    let key = ParentKey::new(parent.kind, Key::new(&parent.namespace, &parent.name));
    let Some(live) = context.writer.read_parent(parent).await? else {
        let wake = context.caches().remove_parent_of(&key, &parent.uid);
        wake_others(context, parent, wake);
        return Ok(false);
    };
    let stands = *live.uid() == *parent.uid && !live.is_deleting();
    if !stands {
        let wake = take_parent(context, parent.kind, live);
        wake_others(context, parent, wake);
    }
    Ok(stands)
}

/// `resourceVersion: "1"` lets the API server create the object and refuse to touch an existing one.
async fn create(context: &Context, parent: &Identity, object: &Object, id: Id) -> Result<Applied, Error> {
    let body = with_metadata(object, "resourceVersion", "1");
    let sent = context.caches().moment(object.kind, &parent.namespace);
    match context.writer.apply(object.kind, &parent.namespace, &object.name, &body).await {
        Ok(live) => {
            context.metrics.apply(object.kind, ApplyOutcome::Created);
            context.repairs().made(id, Instant::now());
            Ok(told(context, object, &live, sent))
        }
        Err(error) if error.code() == 409 => resolve(context, parent, object, None, error, id).await,
        Err(error) => Err(error),
    }
}

/// The known UID keeps an object that was deleted and made again by somebody else from being overwritten.
async fn update(
    context: &Context,
    parent: &Identity,
    object: &Object,
    child: &Child,
    id: Id,
) -> Result<Applied, Error> {
    let body = with_metadata(object, "uid", &child.uid);
    let sent = context.caches().moment(object.kind, &parent.namespace);
    match context.writer.apply(object.kind, &parent.namespace, &object.name, &body).await {
        Ok(live) => {
            context.metrics.apply(object.kind, ApplyOutcome::Updated);
            if let Some(field) = fixed::copied_back(object.kind, &live.body, &object.body) {
                return replace(context, parent, object, child, &live, sent, &field).await;
            }
            Ok(told(context, object, &live, sent))
        }
        Err(error) if error.is_mismatch() => resolve(context, parent, object, Some(child), error, id).await,
        Err(error) if error.code() == 422 => refused(context, parent, object, child, error).await,
        Err(error) => Err(error),
    }
}

/// What the answer to an apply tells.
fn told(context: &Context, object: &Object, live: &Live, sent: Moment) -> Applied {
    if !is_selected(live) {
        return Applied::Unseen;
    }
    if written(context, object, live, sent) { Applied::Done } else { Applied::Late }
}

/// An update was refused as invalid: one read tells whether a field is the cause that keeps its value for good.
async fn refused(
    context: &Context,
    parent: &Identity,
    object: &Object,
    child: &Child,
    error: Error,
) -> Result<Applied, Error> {
    let sent = context.caches().moment(object.kind, &parent.namespace);
    let live = context.writer.read(object.kind, &parent.namespace, &object.name).await?;
    let Some(live) = live.filter(|live| *live.uid() == *child.uid) else { return Err(error) };
    match fixed::hindrance(object.kind, &live.body, &object.body) {
        Some(field) => replace(context, parent, object, child, &live, sent, &field).await,
        None => Err(error),
    }
}

/// Deletes an object that a field keeps from becoming what is wanted, so that it is made anew once it is gone. That is done only
/// to the parent's very own, and only where nothing is lost by it; else the user is told what to do.
async fn replace(
    context: &Context,
    parent: &Identity,
    object: &Object,
    before: &Child,
    live: &Live,
    sent: Moment,
    field: &Path,
) -> Result<Applied, Error> {
    let kind = object.kind;
    take(context, parent, kind, live, sent);
    if !before.owner.is_controller(parent) || !fixed::is_replaceable(kind) {
        return Ok(Applied::Fixed(fixed::explain(kind, &object.name, field)));
    }
    context.writer.delete(kind, &parent.namespace, &object.name, live.uid(), live.version()).await?;
    context.caches().mark_deleting(kind, &Key::new(&parent.namespace, &object.name), live.uid());
    context.writer.event(replaced(parent, object, field), &reference(parent)).await;
    Ok(Applied::Waiting)
}

/// What stands there is not what was `known`: one read tells whose it is. What turns out to be ours is only remembered, as the
/// plan that is being carried out was made without it.
async fn resolve(
    context: &Context,
    parent: &Identity,
    object: &Object,
    known: Option<&Child>,
    conflict: Error,
    id: Id,
) -> Result<Applied, Error> {
    let key = Key::new(&parent.namespace, &object.name);
    let sent = context.caches().moment(object.kind, &parent.namespace);
    let Some(live) = context.writer.read(object.kind, &parent.namespace, &object.name).await? else {
        if let Some(known) = known {
            context.caches().remove_child_of(object.kind, &key, &known.uid);
        }
        return Err(conflict);
    };
    if known.is_some_and(|known| *known.uid == *live.uid()) {
        // It is the very object that was meant; the write was refused for another cause.
        return Err(conflict);
    }
    let owner = Owner::of(object.kind, &live);
    let is_lost = owner::is_free(&live) && object.is_told_by(&live);
    if !is_selected(&live) && !matches!(owner.to(parent), Ownership::Foreign(_)) || is_lost {
        context.repairs().note(id, Instant::now(), "somebody took the labels by which it is known as ours");
    }
    match owner.to(parent) {
        Ownership::Ours => {}
        Ownership::Predecessor => return Ok(Applied::Waiting),
        Ownership::Foreign(_) if is_lost => {
            if !stands(context, parent).await? {
                return Ok(Applied::Late);
            }
            let whole = with_metadata(object, "uid", live.uid());
            return take_over(context, parent, object, &whole).await;
        }
        Ownership::Foreign(_) if object.kind == ChildKind::PersistentVolumeClaim && owner::is_free(&live) => {
            let kept = matches!(owner, Owner::Kept { .. }) || owner::is_made_by_us(&live);
            let consents = object.adopt && (kept || owner::is_adoptable(&live));
            return if consents {
                adopt(context, parent, object, &live).await
            } else {
                Ok(Applied::Adoptable { kept })
            };
        }
        Ownership::Foreign(holder) => return Ok(Applied::Taken(holder)),
    }
    take(context, parent, object.kind, &live, sent);
    let is_known = context.caches().child(object.kind, &key).is_some_and(|child| *child.uid == *live.uid());
    // If it is not, it is gone again by now.
    if is_known { Ok(Applied::Late) } else { Err(conflict) }
}

/// Takes over an object that consents by marking it ours, if it still is exactly what was seen.
async fn adopt(context: &Context, parent: &Identity, object: &Object, seen: &Live) -> Result<Applied, Error> {
    let mut marks = with_metadata(object, "uid", seen.uid());
    marks["metadata"]["resourceVersion"] = Value::String(seen.version().to_string());
    let mut body = json!({"apiVersion": marks["apiVersion"], "kind": marks["kind"], "metadata": marks["metadata"]});
    if !seen.ours.is_null() {
        // What we declared once and leave out now, the API server would take away, which nothing in a volume's spec allows.
        body["spec"] = seen.body["spec"].clone();
    }
    take_over(context, parent, object, &body).await
}

/// Marks an object ours that was not known as ours; what it should become is planned once it is seen.
async fn take_over(context: &Context, parent: &Identity, object: &Object, body: &Value) -> Result<Applied, Error> {
    let sent = context.caches().moment(object.kind, &parent.namespace);
    let live = context.writer.apply(object.kind, &parent.namespace, &object.name, body).await?;
    context.metrics.apply(object.kind, ApplyOutcome::Updated);
    match Owner::of(object.kind, &live).to(parent) {
        // Something on the way to the store takes what marks it as ours; the next try would find the same.
        Ownership::Foreign(holder) => Ok(Applied::Taken(holder)),
        Ownership::Ours | Ownership::Predecessor => {
            take(context, parent, object.kind, &live, sent);
            Ok(Applied::Late)
        }
    }
}

fn with_metadata(object: &Object, field: &str, value: &str) -> Value {
    let mut body = object.body.clone();
    body["metadata"][field] = Value::String(value.to_owned());
    body
}
