//! Carries out the `objects` of a plan by server-side apply, under the two preconditions that keep strangers' objects
//! untouched: create only what is missing, update only what was seen.

use super::applier::{Applied, Applier};
use super::context::Context;
use super::error::Error;
use super::intake::{is_selected, written};
use super::key::{Key, ParentKey};
use super::make::{fail, make};
use super::metrics::ApplyOutcome;
use super::progress::Moment;
use super::repairs::Id;
use super::words::{adoptable, bereft, kept, reverted, taken, unseen};
use super::writer::reference;
use crate::core::changes::changes;
use crate::core::copy::taken_over;
use crate::core::deed::Deed;
use crate::core::drift::Drift;
use crate::core::fixed;
use crate::core::kind::Identity;
use crate::core::live::Live;
use crate::core::observed::{Child, Observed, fingerprint};
use crate::core::owner::{Owner, Ownership};
use crate::core::plan::{ErrorClass, Outcome, Plan};
use crate::core::revisions::Parts;
use serde_json::Value;
use std::time::Duration;
use tokio::time::Instant;

/// A request that takes so long is slow. A reconcile has time for two that fail so late, and then to tell of them.
const SLOW: Duration = Duration::from_secs(5);

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
            Ok(Applied::Done(None))
        } else if outcome.holds(object) {
            outcome.held.push(named);
            continue;
        } else {
            tracing::debug!(object = named, "differs from what is wanted");
            Applier { context, parent, object, id }.apply(observed.child(object.kind, &object.name)).await
        };
        if let Some(fight) = context.repairs().fight(id, Instant::now()) {
            outcome.contended.push(format!("{named}: {fight}"));
        }
        if !matches!(applied, Ok(Applied::Done(_))) {
            outcome.unmet.insert(object.kind);
        }
        match applied {
            Ok(Applied::Done(deed)) => outcome.deeds.extend(deed.map(|deed| (named, deed))),
            Ok(Applied::Contended) => outcome.held.push(named),
            Ok(Applied::Waiting) => outcome.waiting.push(named),
            Ok(Applied::Late) => outcome.late = true,
            Ok(Applied::Fixed(failure)) => outcome.failures.push(failure),
            Ok(Applied::Taken(holder)) => outcome.failures.push(taken(object, parent, &holder)),
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

impl Applier<'_> {
    async fn apply(&self, seen: Option<&Child>) -> Result<Applied, Error> {
        // What the author has just declared waits for nobody.
        if seen.is_none_or(|child| child.stood_as(self.object))
            && self.context.repairs().must_wait(self.id, Instant::now())
        {
            return Ok(Applied::Contended);
        }
        let Some(mut child) = seen.cloned() else { return self.create().await };
        if !child.deleting && child.is_unsure(self.object) {
            let Some(looked) = self.look(&child).await? else { return Ok(Applied::Late) };
            child = looked;
            if child.is_as(self.object) {
                return Ok(Applied::Done(None));
            }
        }
        if child.deleting {
            return self.wait(&child).await;
        }
        match child.owner.to(self.parent) {
            Ownership::Ours if self.is_orphan(&child) && !self.parent_stands().await? => Ok(Applied::Late),
            Ownership::Ours => self.change(&child).await,
            Ownership::Predecessor => self.wait(&child).await,
            Ownership::Foreign(holder) => Ok(Applied::Taken(holder)),
        }
    }

    /// Reads a child and compares it anew with what is wanted of it; `None` if it is gone.
    async fn look(&self, child: &Child) -> Result<Option<Child>, Error> {
        let sent = self.moment();
        match self.read().await? {
            Some(live) => self.take(&live, sent),
            None => self.forget(&child.uid),
        }
        Ok(self.cached())
    }

    /// Waits for an object to go. That it has gone is told by the watch; this look is for when the watch has not.
    async fn wait(&self, child: &Child) -> Result<Applied, Error> {
        let stands = self.look(child).await?.is_some();
        Ok(if stands { Applied::Waiting } else { Applied::Late })
    }

    /// Whether the object has lost the owner reference that it is wanted to have.
    fn is_orphan(&self, child: &Child) -> bool {
        matches!(child.owner, Owner::Labelled { .. }) && self.object.body["metadata"].get("ownerReferences").is_some()
    }

    /// Changes an object to what is wanted. A look at it before tells which fields that concerns, and who changed one that stood as
    /// wanted. All of a copy is made ours first.
    async fn change(&self, child: &Child) -> Result<Applied, Error> {
        let Self { context, parent, object, .. } = self;
        if !child.copied && !child.stood_as(object) {
            let seen = match self.read().await {
                Err(error) if error.class() == ErrorClass::Unavailable => return Err(error),
                seen => seen.ok().flatten().filter(|live| *live.uid() == *child.uid && !live.too_large),
            };
            let fields = seen.map(|live| changes(&live, object)).unwrap_or_default();
            return self.update(child, Deed::Updated(fields)).await;
        }
        let whole = match context.writer.read_whole(object.kind, &parent.namespace, &object.name).await {
            Err(error) if child.copied => return Err(error),
            whole => whole.ok().filter(|whole| whole["metadata"]["uid"] == *child.uid),
        };
        if child.copied
            && let Some(holders) = whole.as_ref().and_then(taken_over)
        {
            context.writer.holders(object.kind, &parent.namespace, &object.name, &holders).await?;
        }
        let seen = whole.map(|whole| (whole["metadata"]["managedFields"].clone(), Live::new(whole)));
        let fields = seen.as_ref().map(|(_, live)| changes(live, object)).unwrap_or_default();
        if !child.stood_as(object) {
            return self.update(child, Deed::Updated(fields)).await;
        }
        let undone = seen.as_ref().and_then(|(_, live)| self.undone(&live.body["spec"]["template"]));
        let drift = seen.and_then(|(managed, live)| Drift::of(&live, &managed, object));
        let applied = self.update(child, Deed::Reverted(fields)).await?;
        self.repaired(&drift.as_ref().map_or_else(|| "somebody changed it".to_owned(), ToString::to_string));
        if let (Some(drift), Applied::Done(_)) = (drift, &applied) {
            context.writer.event(reverted(parent, object, &drift, undone), &reference(parent)).await;
        }
        Ok(applied)
    }

    /// The number of the revision that has this pod template.
    fn undone(&self, template: &Value) -> Option<i32> {
        let parent = ParentKey::new(self.parent.kind, Key::new(&self.parent.namespace, &self.parent.name));
        let revisions = self.context.caches().revisions(&parent);
        let parts = Parts::of(template, &self.object.name);
        revisions.iter().find(|revision| revision.parts == parts).map(|revision| revision.number)
    }

    /// `resourceVersion: "1"` lets the API server create the object and refuse to touch an existing one.
    async fn create(&self) -> Result<Applied, Error> {
        let sent = self.moment();
        match self.send(&self.body_with("resourceVersion", "1")).await {
            Ok(live) => {
                self.context.repairs().made(self.id, Instant::now());
                if let Some(former) = &self.object.follows {
                    self.context.writer.tell(self.parent, bereft(self.object, former)).await;
                }
                Ok(self.told(&live, sent, Some(Deed::Created)))
            }
            Err(error) if error.code() == 409 => self.resolve(None, error).await,
            Err(error) => Err(error),
        }
    }

    /// The known UID keeps an object that was deleted and made again by somebody else from being overwritten.
    async fn update(&self, child: &Child, deed: Deed) -> Result<Applied, Error> {
        let sent = self.moment();
        match self.send(&self.body_with("uid", &child.uid)).await {
            Ok(live) => {
                // One that comes back as it was has been applied in vain.
                let deed = (fingerprint(&live) != child.fingerprint).then_some(deed);
                if let Some(field) = fixed::copied_back(self.object.kind, &live.body, &self.object.body) {
                    if let Some(deed) = &deed {
                        self.wrote(deed);
                    }
                    return self.replace(child, &live, sent, &field).await;
                }
                Ok(self.told(&live, sent, deed))
            }
            Err(error) if error.is_mismatch() => self.resolve(Some(child), error).await,
            Err(error) if error.code() == 422 => self.refused(child, error, deed).await,
            Err(error) => Err(error),
        }
    }

    /// What the answer to an apply tells.
    pub fn told(&self, live: &Live, sent: Moment, deed: Option<Deed>) -> Applied {
        if let Some(deed) = &deed {
            self.wrote(deed);
        }
        if !is_selected(live) {
            return Applied::Unseen;
        }
        if written(self.context, self.object, live, sent) { Applied::Done(deed) } else { Applied::Late }
    }
}
