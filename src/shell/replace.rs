//! An object that a field keeps from becoming what is wanted: where another manager holds that field, it is taken out; where it can't
//! be changed, the object is made anew, if nothing is lost by it.

use super::applier::{Applied, Applier};
use super::error::Error;
use super::progress::Moment;
use super::words::{excluded, held, irreplaceable, replaced};
use super::writer::reference;
use crate::core::deed::Deed;
use crate::core::fixed;
use crate::core::live::Live;
use crate::core::merge::Path;
use crate::core::observed::Child;
use crate::core::plan::{ErrorClass, Failure};
use crate::core::unions::{self, Freed};
use serde_json::Value;

/// The name of an object that is only tried out, before the UID of the one whose place it is to take.
const REHEARSAL: &str = "rehearsal-";

impl Applier<'_> {
    /// An update was refused as invalid: one read tells whether a field is the cause that keeps its value for good.
    pub async fn refused(&self, child: &Child, error: Error, deed: Deed) -> Result<Applied, Error> {
        let sent = self.moment();
        let live = self.read().await?;
        let Some(live) = live.filter(|live| *live.uid() == *child.uid) else { return Err(error) };
        match fixed::hindrance(self.object.kind, &live.body, &self.object.body) {
            Some(field) => self.replace(child, &live, sent, &field).await,
            None => self.free(child, error, deed).await,
        }
    }

    /// An update was refused, and others hold what excludes what is wanted: that becomes ours, and goes with the next try.
    async fn free(&self, child: &Child, refusal: Error, deed: Deed) -> Result<Applied, Error> {
        let Self { context, parent, object, .. } = self;
        let whole = context.writer.read_whole(object.kind, &parent.namespace, &object.name).await?;
        let is_same = whole["metadata"]["uid"] == *child.uid;
        let Some(Freed { patch, fields }) = unions::freed(&whole, object).filter(|_| is_same) else {
            return Err(refusal);
        };
        match context.writer.holders(object.kind, &parent.namespace, &object.name, &patch).await {
            Err(denied) if denied.class() == ErrorClass::Denied => {
                let message = held(object, &fields, &refusal.message(), &denied.message());
                let object = format!("{} {}", object.kind, object.name);
                return Ok(Applied::Fixed(Failure { object, class: ErrorClass::Invalid, message, field: None }));
            }
            taken => taken?,
        }
        for (field, manager) in &fields {
            context.writer.event(excluded(parent, object, field, manager), &reference(parent)).await;
        }
        let sent = self.moment();
        let live = self.send(&self.body_with("uid", &child.uid)).await?;
        Ok(self.told(&live, sent, Some(deed)))
    }

    /// Deletes an object that a field keeps from becoming what is wanted, so that it is made anew once it is gone. That is done
    /// only to the parent's very own, where nothing is lost by it, and if the API server would take the new one; else the user is
    /// told what to do.
    pub async fn replace(&self, before: &Child, live: &Live, sent: Moment, field: &Path) -> Result<Applied, Error> {
        let Self { context, parent, object, .. } = self;
        self.take(live, sent);
        if !before.owner.is_controller(parent) || !fixed::is_replaceable(object.kind) {
            return Ok(Applied::Fixed(fixed::explain(object, &live.body, field)));
        }
        let rehearsal = format!("{REHEARSAL}{}", live.uid());
        if let Err(refusal) = self.rehearse(&rehearsal).await {
            return match refusal.class() {
                class @ (ErrorClass::Invalid | ErrorClass::Denied) => {
                    let why = refusal.fields().unwrap_or_else(|| refusal.message().replace(&rehearsal, &object.name));
                    Ok(Applied::Fixed(irreplaceable(object, class, field, &why)))
                }
                ErrorClass::Conflict | ErrorClass::Internal | ErrorClass::Unavailable => Err(refusal),
            };
        }
        context.writer.delete(object.kind, &parent.namespace, &object.name, live.uid(), live.version()).await?;
        context.caches().mark_deleting(object.kind, &self.key(), live.uid());
        self.wrote(&Deed::Replaced(field.clone()));
        context.writer.event(replaced(parent, object, field), &reference(parent)).await;
        Ok(Applied::Waiting)
    }

    /// Asks the API server whether it would make the object. The old one stands meanwhile, so a name is used that nobody has; what
    /// of Services the old one holds for itself stands in no way, as of the two one is headless, which has neither address nor port
    /// of a node.
    async fn rehearse(&self, name: &str) -> Result<(), Error> {
        let mut body = self.body_with("resourceVersion", "1");
        body["metadata"]["name"] = Value::String(name.to_owned());
        self.context.writer.rehearse(self.object.kind, &self.parent.namespace, &body).await
    }
}
