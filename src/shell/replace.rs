//! An object that a field keeps from becoming what is wanted is made anew, where nothing is lost by it.

use super::applier::{Applied, Applier};
use super::error::Error;
use super::progress::Moment;
use super::words::replaced;
use super::writer::reference;
use crate::core::fixed;
use crate::core::live::Live;
use crate::core::merge::Path;
use crate::core::observed::Child;

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
    /// only to the parent's very own, and only where nothing is lost by it; else the user is told what to do.
    pub async fn replace(&self, before: &Child, live: &Live, sent: Moment, field: &Path) -> Result<Applied, Error> {
        let Self { context, parent, object, .. } = self;
        self.take(live, sent);
        if !before.owner.is_controller(parent) || !fixed::is_replaceable(object.kind) {
            return Ok(Applied::Fixed(fixed::explain(object.kind, &object.name, field)));
        }
        context.writer.delete(object.kind, &parent.namespace, &object.name, live.uid(), live.version()).await?;
        context.caches().mark_deleting(object.kind, &self.key(), live.uid());
        context.writer.event(replaced(parent, object, field), &reference(parent)).await;
        Ok(Applied::Waiting)
    }
}
