//! One object of a plan while it is applied: what each step of that needs.

use super::audit::log;
use super::context::Context;
use super::error::Error;
use super::intake::{take_child, take_parent};
use super::key::{Key, ParentKey, Wake};
use super::metrics::ApplyOutcome;
use super::progress::{Moment, Source};
use super::queue::Lane;
use super::repairs::Id;
use crate::core::deed::Deed;
use crate::core::kind::Identity;
use crate::core::live::Live;
use crate::core::object::Object;
use crate::core::observed::Child;
use crate::core::plan::Failure;
use serde_json::Value;
use tokio::time::Instant;

/// What became of one object.
pub enum Applied {
    /// It stands as wanted, after this was done.
    Done(Option<Deed>),
    /// A predecessor is still being deleted.
    Waiting,
    /// The cache was late: what was read instead is remembered, and the parent is to be planned again.
    Late,
    /// Somebody else holds the name.
    Taken(String),
    /// Nobody controls it, but it would have to be adopted.
    Adoptable {
        /// Whether it was kept for an earlier parent; else somebody else made it.
        kept: bool,
    },
    /// Something takes the label away by which the operator sees it.
    Unseen,
    /// It can't become what is wanted, for that reason.
    Fixed(Failure),
    /// Somebody changes it again and again; it is left for now.
    Contended,
}

/// One object, whose it is to be, and the rest of the world.
pub struct Applier<'a> {
    /// The rest of the world.
    pub context: &'a Context,
    /// Whose it is to be.
    pub parent: &'a Identity,
    /// As it is wanted.
    pub object: &'a Object,
    /// By which its repairs are counted.
    pub id: Id,
}

impl Applier<'_> {
    /// Its key in the cache.
    pub fn key(&self) -> Key {
        Key::new(&self.parent.namespace, &self.object.name)
    }

    /// What the cache has of it.
    pub fn cached(&self) -> Option<Child> {
        self.context.caches().child(self.object.kind, &self.key()).cloned()
    }

    /// When a request about it is sent, for [`Self::take`].
    pub fn moment(&self) -> Moment {
        self.context.caches().moment(self.object.kind, &self.parent.namespace)
    }

    /// What is wanted, with one field of its metadata as a precondition.
    pub fn body_with(&self, field: &str, value: &str) -> Value {
        let mut body = self.object.body.clone();
        body["metadata"][field] = Value::String(value.to_owned());
        body
    }

    /// Applies that body under its name.
    pub async fn send(&self, body: &Value) -> Result<Live, Error> {
        self.context.writer.apply(self.object.kind, &self.parent.namespace, &self.object.name, body).await
    }

    /// Reads it as it stands.
    pub async fn read(&self) -> Result<Option<Live>, Error> {
        self.context.writer.read(self.object.kind, &self.parent.namespace, &self.object.name).await
    }

    /// Counts and logs a write of it.
    pub fn wrote(&self, deed: &Deed) {
        match deed {
            Deed::Created => self.context.metrics.apply(self.object.kind, ApplyOutcome::Created),
            Deed::Updated(_) | Deed::Reverted(_) | Deed::Adopted => {
                self.context.metrics.apply(self.object.kind, ApplyOutcome::Updated);
            }
            Deed::Replaced(_) | Deed::Deleted => {}
        }
        log(self.parent, self.object.kind, &self.object.name, deed);
    }

    /// Counts a repair of it.
    pub fn repaired(&self, what: &str) {
        self.context.repairs().note(self.id, Instant::now(), what);
    }

    /// Takes in what an answer shows of it, and wakes whom else it concerns.
    pub fn take(&self, live: &Live, sent: Moment) {
        let wake = take_child(self.context, self.object.kind, live, Source::Answer(sent)).unwrap_or_default();
        self.wake_others(wake);
    }

    /// Takes in that it is gone.
    pub fn forget(&self, uid: &str) {
        self.context.caches().remove_child_of(self.object.kind, &self.key(), uid);
    }

    /// Whether the parent stands, by a look at it: a deletion with `--cascade=orphan` takes the owner references away, and may have
    /// ended before the watch tells of it. An object that is claimed for a parent that is gone is collected.
    pub async fn parent_stands(&self) -> Result<bool, Error> {
        let Self { context, parent, .. } = self;
        let key = ParentKey::new(parent.kind, Key::new(&parent.namespace, &parent.name));
        let Some(live) = context.writer.read_parent(parent).await? else {
            let wake = context.caches().remove_parent_of(&key, &parent.uid);
            self.wake_others(wake);
            return Ok(false);
        };
        let stands = *live.uid() == *parent.uid && !live.is_deleting();
        if !stands {
            let wake = take_parent(context, parent.kind, live);
            self.wake_others(wake);
        }
        Ok(stands)
    }

    fn wake_others(&self, wake: Wake) {
        let parent = self.parent;
        let is_other = |other: &ParentKey| other.kind != parent.kind || *other.key.name != *parent.name;
        self.context.wake(wake.into_iter().filter(is_other), Lane::Edit);
    }
}
