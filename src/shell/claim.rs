//! What stands under the name of an object is not what was known: whose it is, and whether it may be made ours.

use super::applier::{Applied, Applier};
use super::error::Error;
use super::intake::is_selected;
use super::words::{adopted, released};
use super::writer::reference;
use crate::core::deed::Deed;
use crate::core::kind::ChildKind;
use crate::core::live::Live;
use crate::core::observed::Child;
use crate::core::owner::{self, Owner, Ownership};
use serde_json::{Value, json};

impl Applier<'_> {
    /// One read tells whose it is. What turns out to be ours is only remembered, as the plan that is being carried out was made
    /// without it.
    pub async fn resolve(&self, known: Option<&Child>, conflict: Error) -> Result<Applied, Error> {
        let sent = self.moment();
        let Some(live) = self.read().await? else {
            if let Some(known) = known {
                self.forget(&known.uid);
            }
            return Err(conflict);
        };
        if known.is_some_and(|known| *known.uid == *live.uid()) {
            // It is the very object that was meant; the write was refused for another cause.
            return Err(conflict);
        }
        let owner = Owner::of(self.object.kind, &live);
        let is_lost = owner::is_free(&live) && self.object.is_told_by(&live);
        if !is_selected(&live) && !matches!(owner.to(self.parent), Ownership::Foreign(_)) || is_lost {
            self.repaired("somebody took the labels by which it is known as ours");
        }
        match owner.to(self.parent) {
            Ownership::Ours => {}
            Ownership::Predecessor => return Ok(Applied::Waiting),
            Ownership::Foreign(_) if is_lost => {
                if !self.parent_stands().await? {
                    return Ok(Applied::Late);
                }
                return self.take_over(&self.body_with("uid", live.uid()), &Deed::Reverted(Vec::new())).await;
            }
            Ownership::Foreign(_) if self.object.kind == ChildKind::PersistentVolumeClaim && owner::is_free(&live) => {
                let kept = matches!(owner, Owner::Kept { .. }) || owner::is_made_by_us(&live);
                let consents = self.object.adopt && (kept || owner::is_adoptable(&live));
                return if consents { self.adopt(&live).await } else { Ok(Applied::Adoptable { kept }) };
            }
            Ownership::Foreign(holder) => return Ok(Applied::Taken(holder)),
        }
        self.take(&live, sent);
        let is_known = self.cached().is_some_and(|child| *child.uid == *live.uid());
        // If it is not, it is gone again by now.
        if is_known { Ok(Applied::Late) } else { Err(conflict) }
    }

    /// Takes over an object that consents by marking it ours, if it still is exactly what was seen.
    async fn adopt(&self, seen: &Live) -> Result<Applied, Error> {
        let mut marks = self.body_with("uid", seen.uid());
        marks["metadata"]["resourceVersion"] = Value::String(seen.version().to_string());
        let mut body = json!({"apiVersion": marks["apiVersion"], "kind": marks["kind"], "metadata": marks["metadata"]});
        if !seen.ours.is_null() {
            // What we declared once and leave out now, the API server would take away, which nothing in a volume's spec allows.
            body["spec"] = seen.body["spec"].clone();
        }
        let taken = self.take_over(&body, &Deed::Adopted).await?;
        if matches!(taken, Applied::Late) {
            self.context.writer.news(adopted(self.parent, self.object), &reference(self.parent)).await;
            if let Some(release) = owner::helm_release(seen) {
                self.context.writer.tell(self.parent, released(self.object, release)).await;
            }
        }
        Ok(taken)
    }

    /// Marks an object ours that was not known as ours; what it should become is planned once it is seen.
    async fn take_over(&self, body: &Value, deed: &Deed) -> Result<Applied, Error> {
        let sent = self.moment();
        let live = self.send(body).await?;
        self.wrote(deed);
        match Owner::of(self.object.kind, &live).to(self.parent) {
            // Something on the way to the store takes what marks it as ours; the next try would find the same.
            Ownership::Foreign(holder) => Ok(Applied::Taken(holder)),
            Ownership::Ours | Ownership::Predecessor => {
                self.take(&live, sent);
                Ok(Applied::Late)
            }
        }
    }
}
