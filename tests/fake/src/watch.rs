//! WATCH: history from a resourceVersion on, then changes as they are committed.
//!
//! Times are tokio's, so a paused clock drives timeouts and bookmarks too.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{Stream, unfold};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::Server;
use crate::read::metadata_only;
use crate::resource::Resource;
use crate::route::{Call, Query};
use crate::select::Selector;
use crate::status::{Failure, Outcome};
use crate::store::{Change, Store};

const BOOKMARK_EVERY: Duration = Duration::from_secs(60);
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(1800);

/// An open watch.
pub(crate) struct Feed {
    server: Server,
    signal: watch::Receiver<u64>,
    resource: Resource,
    namespace: Option<String>,
    selector: Selector,
    metadata_only: bool,
    bookmarks: bool,
    /// Everything up to this version was sent, or was not ours to send.
    cursor: u64,
    breaks: u64,
    expiries: u64,
    deadline: Instant,
    next_bookmark: Instant,
    queue: VecDeque<Bytes>,
    closed: bool,
}

impl Feed {
    /// Opens a watch. Too old a version becomes an ERROR event; one from the future stays
    /// silent until history has caught up with it, as on the real server.
    pub(crate) fn open(server: &Server, resource: Resource, call: &Call, query: &Query, slim: bool) -> Outcome<Self> {
        let selector = query.selector()?;
        let state = server.lock();
        let asked = query.get("resourceVersion").parse::<u64>().unwrap_or_default();
        let timeout = query.get("timeoutSeconds").parse().map_or(DEFAULT_TIMEOUT, Duration::from_secs);
        let mut feed = Self {
            server: server.clone(),
            signal: server.subscribe(),
            resource,
            namespace: call.namespace.clone(),
            selector,
            metadata_only: slim,
            bookmarks: query.is_true("allowWatchBookmarks"),
            cursor: asked,
            breaks: state.breaks,
            expiries: state.expiries,
            deadline: Instant::now() + timeout,
            next_bookmark: Instant::now() + BOOKMARK_EVERY,
            queue: VecDeque::new(),
            closed: false,
        };
        let initial = query.is_true("sendInitialEvents");
        if asked == 0 || initial {
            feed.send_current(&state.store, initial);
        } else if asked < state.store.compacted {
            feed.expire();
        }
        Ok(feed)
    }

    /// The body of the response.
    pub(crate) fn into_stream(self) -> impl Stream<Item = io::Result<Bytes>> {
        unfold(self, |mut feed| async move { Some((feed.next().await?, feed)) })
    }

    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        loop {
            if let Some(line) = self.queue.pop_front() {
                return Some(Ok(line));
            }
            if self.closed {
                return None;
            }
            self.signal.borrow_and_update();
            if let Err(error) = self.pump() {
                self.closed = true;
                return Some(Err(error));
            }
            if self.queue.is_empty() && !self.closed {
                self.wait().await;
            }
        }
    }

    async fn wait(&mut self) {
        let wake = self.deadline.min(self.next_bookmark);
        tokio::select! {
            _ = self.signal.changed() => return,
            () = sleep_until(wake) => {}
        }
        // A frozen watch is a connection gone silent: it brings no bookmark and no end.
        if self.server.lock().is_frozen(&self.resource.plural) {
            (self.deadline, self.next_bookmark) = (far(), far());
            return;
        }
        self.next_bookmark = Instant::now() + BOOKMARK_EVERY;
        if self.bookmarks {
            self.bookmark(false);
        }
        self.closed = Instant::now() >= self.deadline;
    }

    /// Queues what was committed since the last look.
    fn pump(&mut self) -> io::Result<()> {
        let server = self.server.clone();
        let state = server.lock();
        if state.breaks != self.breaks {
            return Err(io::Error::new(io::ErrorKind::ConnectionReset, "connection reset by peer"));
        }
        if state.is_frozen(&self.resource.plural) {
            return Ok(());
        }
        if state.expiries != self.expiries {
            self.expire();
            return Ok(());
        }
        let Some(table) = state.store.tables.get(&self.resource.id()) else {
            self.closed = true;
            return Ok(());
        };
        let skipped = state.skipped.get(&self.resource.plural).copied().unwrap_or_default();
        self.cursor = self.cursor.max(skipped);
        let first = table.changes.partition_point(|change| change.version <= self.cursor);
        for change in &table.changes[first..] {
            self.send(change);
        }
        self.cursor = self.cursor.max(state.store.version);
        Ok(())
    }

    fn send(&mut self, change: &Change) {
        let key = &change.shown["metadata"]["namespace"];
        if self.namespace.as_deref().is_some_and(|namespace| key != namespace) {
            return;
        }
        let selected =
            |object: &Option<Arc<Value>>| object.as_ref().is_some_and(|object| self.selector.matches(object));
        match (selected(&change.before), selected(&change.after), &change.before) {
            (false, true, _) => self.queue_event("ADDED", &change.shown),
            (true, true, _) => self.queue_event("MODIFIED", &change.shown),
            (true, false, Some(before)) => {
                // An object that stops matching is shown as it last matched, under the new version.
                let mut last = Value::clone(before);
                last["metadata"]["resourceVersion"] = json!(change.version.to_string());
                self.queue_event("DELETED", &last);
            }
            _ => {}
        }
    }

    fn send_current(&mut self, store: &Store, mark_end: bool) {
        let table = store.tables.get(&self.resource.id());
        for object in table.into_iter().flat_map(|table| table.objects.values()) {
            let here =
                self.namespace.as_ref().is_none_or(|namespace| object.value["metadata"]["namespace"] == **namespace);
            if here && self.selector.matches(&object.value) {
                self.queue_event("ADDED", &object.value);
            }
        }
        self.cursor = store.version;
        if mark_end {
            self.bookmark(true);
        }
    }

    fn bookmark(&mut self, initial_end: bool) {
        let mut meta = json!({"resourceVersion": self.cursor.to_string(), "creationTimestamp": null});
        if initial_end {
            meta["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let object = json!({"kind": self.resource.kind, "apiVersion": self.resource.api_version(), "metadata": meta});
        self.queue_event("BOOKMARK", &object);
    }

    fn expire(&mut self) {
        self.queue_line(&json!({"type": "ERROR", "object": Failure::expired().to_value()}));
        self.closed = true;
    }

    fn queue_event(&mut self, kind: &str, object: &Value) {
        let event = if self.metadata_only {
            json!({"type": kind, "object": metadata_only(object)})
        } else {
            json!({"type": kind, "object": object})
        };
        self.queue_line(&event);
    }

    fn queue_line(&mut self, event: &Value) {
        self.queue.push_back(Bytes::from(format!("{event}\n")));
    }
}

fn far() -> Instant {
    Instant::now() + Duration::from_secs(86_400 * 365)
}
