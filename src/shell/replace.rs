//! An object that a field keeps from becoming what is wanted is made anew, where nothing is lost by it.

use super::applier::{Applied, Applier};
use super::error::Error;
use super::progress::Moment;
use super::words::{irreplaceable, replaced};
use super::writer::reference;
use crate::core::deed::Deed;
use crate::core::fixed;
use crate::core::live::Live;
use crate::core::merge::Path;
use crate::core::observed::Child;
use crate::core::plan::ErrorClass;
use serde_json::Value;

/// The name of an object that is only tried out, before the UID of the one whose place it is to take.
const REHEARSAL: &str = "rehearsal-";

impl Applier<'_> {
    /// An update was refused as invalid: one read tells whether a field is the cause that keeps its value for good.
    pub async fn refused(&self, child: &Child, error: Error) -> Result<Applied, Error> {
        let sent = self.moment();
        let live = self.read().await?;
        let Some(live) = live.filter(|live| *live.uid() == *child.uid) else { return Err(error) };
        match fixed::hindrance(self.object.kind, &live.body, &self.object.body) {
            Some(field) => self.replace(child, &live, sent, &field).await,
            None => Err(error),
        }
    }

    /// Deletes an object that a field keeps from becoming what is wanted, so that it is made anew once it is gone. That is done
    /// only to the parent's very own, where nothing is lost by it, and if the API server would take the new one; else the user is
    /// told what to do.
    pub async fn replace(&self, before: &Child, live: &Live, sent: Moment, field: &Path) -> Result<Applied, Error> {
        let Self { context, parent, object, .. } = self;
        self.take(live, sent);
        if !before.owner.is_controller(parent) || !fixed::is_replaceable(object.kind) {
            return Ok(Applied::Fixed(ErrorClass::Invalid, fixed::explain(object.kind, &object.name, field)));
        }
        let rehearsal = format!("{REHEARSAL}{}", live.uid());
        if let Err(refusal) = self.rehearse(&rehearsal).await {
            return match refusal.class() {
                class @ (ErrorClass::Invalid | ErrorClass::Denied) => {
                    let why = refusal.fields().unwrap_or_else(|| refusal.message().replace(&rehearsal, &object.name));
                    Ok(Applied::Fixed(class, irreplaceable(object, field, &why)))
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
