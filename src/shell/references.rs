//! Who refers to what, and what is known of the configuration that somebody refers to.
//!
//! Synchronous and free of I/O, as the rest of the caches. Of what nobody refers to nothing is kept.

use super::grants::Grants;
use super::key::{Key, ParentKey, Wake};
use super::kinds::Subject;
use super::scope::{Place, Scope, Watch, is_unseen};
use crate::core::known::Known;
use crate::core::reference::{Reference, ReferenceKind};
use crate::core::referent::Referent;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// Changes of configuration are gathered for that long after the first of them in a namespace, and then told together: whoever
/// changes several objects, or one several times, means one rollout.
const GATHER: Duration = Duration::from_secs(3);

/// An object that is referred to.
type Id = (ReferenceKind, Key);

/// References, and what is known of what they lead to.
#[derive(Debug, Default)]
pub struct References {
    scope: Scope,
    /// Who refers to an object. None of them is empty.
    referrers: HashMap<Id, BTreeSet<ParentKey>>,
    /// What is known of configuration that somebody refers to.
    contents: HashMap<Id, Entry>,
    /// The watches that are needed, each with how many objects of it.
    watches: BTreeMap<Watch, usize>,
    /// How many lists have begun, and which of them each watch began last.
    lists: u64,
    begun: BTreeMap<Watch, u64>,
    /// Which watches are allowed.
    grants: Grants,
    /// What changed in a namespace, and when that is told.
    due: BTreeMap<Arc<str>, (Instant, BTreeSet<Id>)>,
    /// The needed watches.
    wanted: watch::Sender<BTreeSet<Watch>>,
    /// When the next changes are told.
    alarm: watch::Sender<Option<Instant>>,
    /// Whether something was shown that is hashed by a key.
    needs_key: watch::Sender<bool>,
}

/// What is known of one object.
#[derive(Debug, Default)]
struct Entry {
    /// What plans see.
    told: Known<Arc<Referent>>,
    /// What it is by now, if that is something else.
    latest: Option<Known<Arc<Referent>>>,
    /// The version of the newest state that was seen.
    version: u64,
    /// How many lists had begun when somebody began to refer to it, or it was seen since.
    list: u64,
}

impl References {
    /// None yet, of what is watched in that scope.
    pub fn new(scope: Scope) -> Self {
        Self { scope, ..Self::default() }
    }

    /// Moves a parent between the referrers of objects; those to which it begins or ceases to refer.
    pub fn change(&mut self, parent: &ParentKey, before: &[Reference], after: &[Reference]) -> Vec<Reference> {
        let (before, after): (BTreeSet<&Reference>, BTreeSet<&Reference>) =
            (before.iter().collect(), after.iter().collect());
        if before == after {
            return Vec::new();
        }
        // What is new comes first: a watch that both need goes on as it is.
        for new in after.difference(&before) {
            let id = (new.kind, parent.key.sibling(&new.name));
            if let Some(watch) = watch_of(&self.scope, new.kind, &id.1) {
                self.grants.ask(&watch);
                if !self.contents.contains_key(&id) {
                    self.contents.insert(id.clone(), Entry { list: self.lists, ..Entry::default() });
                    *self.watches.entry(watch).or_default() += 1;
                }
            }
            self.referrers.entry(id).or_default().insert(parent.clone());
        }
        for gone in before.difference(&after) {
            let id = (gone.kind, parent.key.sibling(&gone.name));
            if let Some(referrers) = self.referrers.get_mut(&id) {
                referrers.remove(parent);
                if referrers.is_empty() {
                    self.referrers.remove(&id);
                    self.drop_content(&id);
                }
            }
        }
        self.want();
        before.symmetric_difference(&after).copied().cloned().collect()
    }

    fn drop_content(&mut self, id: &Id) {
        let Some((_, watch)) = self.contents.remove(id).zip(watch_of(&self.scope, id.0, &id.1)) else { return };
        if let Some(count) = self.watches.get_mut(&watch) {
            *count -= 1;
            if *count == 0 {
                self.watches.remove(&watch);
                self.begun.remove(&watch);
                self.grants.forget(&watch);
            }
        }
    }

    fn want(&self) {
        let needed = || self.watches.keys().filter(|watch| self.grants.is_of_use(watch));
        let is_news = !needed().eq(self.wanted.borrow().iter());
        if is_news {
            self.wanted.send_replace(needed().cloned().collect());
        }
    }

    /// When a watch that is wanted may begin, if not at once.
    pub fn not_before(&self, watch: &Watch) -> Option<Instant> {
        self.grants.not_before(watch)
    }

    /// Has everything that was refused tried once more.
    pub fn retry(&mut self) {
        self.grants.retry();
        self.want();
    }

    /// Remembers on which objects a parent insists although they may not be read. False if one of them may be by now.
    pub fn lacks(&mut self, parent: &ParentKey, denied: &[&Reference]) -> bool {
        if denied.is_empty() && self.grants.is_content() {
            return true;
        }
        let watch =
            |reference: &&Reference| watch_of(&self.scope, reference.kind, &parent.key.sibling(&reference.name));
        self.grants.insist(parent, denied.iter().filter_map(watch));
        self.want();
        denied.iter().all(|reference| self.is_denied(parent, reference))
    }

    /// Tells which watches are needed.
    pub fn wanted(&self) -> watch::Receiver<BTreeSet<Watch>> {
        self.wanted.subscribe()
    }

    /// Tells when [`Self::tell`] has something to do.
    pub fn alarm(&self) -> watch::Receiver<Option<Instant>> {
        self.alarm.subscribe()
    }

    /// Tells of every answer that a watch gets.
    pub fn answers(&self) -> watch::Receiver<u64> {
        self.grants.answers()
    }

    /// Tells when something is shown that is hashed by a key.
    pub fn needs_key(&self) -> watch::Receiver<bool> {
        self.needs_key.subscribe()
    }

    /// Who refers to an object.
    pub fn referrers(&self, kind: ReferenceKind, key: &Key) -> impl Iterator<Item = &ParentKey> {
        self.referrers.get(&(kind, key.clone())).into_iter().flatten()
    }

    /// Whether nobody has seen an object, though it is known who could.
    fn is_unknown(&self, parent: &ParentKey, reference: &Reference) -> Option<Watch> {
        let key = parent.key.sibling(&reference.name);
        let entry = self.contents.get(&(reference.kind, key.clone()))?;
        let is_unknown = entry.told == Known::Unknown && entry.latest.is_none();
        watch_of(&self.scope, reference.kind, &key).filter(|_| is_unknown)
    }

    /// What of these is to be looked up for a parent: what nobody has seen yet, though it may be. Where a watch is what tells whether
    /// it may, its answer comes first.
    pub fn unknown(&self, parent: &ParentKey, references: &[Reference]) -> Vec<Reference> {
        let is_due = |watch: &Watch| !self.grants.is_refused(watch) && !self.grants.is_untried(watch);
        let unknown = |reference: &&Reference| self.is_unknown(parent, reference).as_ref().is_some_and(is_due);
        references.iter().filter(unknown).cloned().collect()
    }

    /// Whether the first answer of a watch is about to tell of one of these.
    pub fn awaits(&self, parent: &ParentKey, references: &[Reference]) -> bool {
        let awaited =
            |reference| self.is_unknown(parent, reference).is_some_and(|watch| self.grants.is_untried(&watch));
        references.iter().any(awaited)
    }

    /// Which of these may not be looked at.
    pub fn denied(&self, parent: &ParentKey, references: &[Reference]) -> BTreeSet<Reference> {
        references.iter().filter(|reference| self.is_denied(parent, reference)).cloned().collect()
    }

    fn is_denied(&self, parent: &ParentKey, reference: &Reference) -> bool {
        self.is_unknown(parent, reference).is_some_and(|watch| self.grants.is_refused(&watch))
    }

    /// What is known of each of these.
    pub fn referents(&self, parent: &ParentKey, references: &[Reference]) -> BTreeMap<Reference, Known<Arc<Referent>>> {
        let known = |reference: &Reference| {
            let entry = self.contents.get(&(reference.kind, parent.key.sibling(&reference.name)))?;
            Some((reference.clone(), entry.told.clone()))
        };
        references.iter().filter_map(known).collect()
    }

    /// Takes in an object as a watch, or a list, showed it at that version: its content, or that it is gone.
    pub fn take(
        &mut self,
        kind: ReferenceKind,
        key: &Key,
        version: u64,
        content: Known<Referent>,
        now: Instant,
    ) -> Wake {
        let Some(entry) = self.contents.get_mut(&(kind, key.clone())) else { return Wake::new() };
        if entry.version > version {
            return Wake::new();
        }
        entry.version = version;
        entry.list = self.lists;
        self.see(kind, key, content, now)
    }

    /// Takes in the answer to a look-up that was sent after somebody began to refer to the object. What a watch has shown since is
    /// as new, or newer things of it are on their way.
    pub fn answer(&mut self, kind: ReferenceKind, key: &Key, found: Option<(u64, Referent)>, now: Instant) -> Wake {
        match self.contents.get(&(kind, key.clone())) {
            Some(entry) if entry.told == Known::Unknown && entry.latest.is_none() => match found {
                Some((version, content)) => self.take(kind, key, version, Known::Known(content), now),
                None => self.see(kind, key, Known::Absent, now),
            },
            Some(_) | None => Wake::new(),
        }
    }

    /// What is seen for the first time is told at once, and a change of configuration when those of its namespace are.
    fn see(&mut self, kind: ReferenceKind, key: &Key, content: Known<Referent>, now: Instant) -> Wake {
        let id = (kind, key.clone());
        let Some(entry) = self.contents.get_mut(&id) else { return Wake::new() };
        let content = match content {
            Known::Unknown => Known::Unknown,
            Known::Absent => Known::Absent,
            Known::Known(content) => Known::Known(Arc::new(content)),
        };
        if entry.told == content {
            entry.latest = None;
            return Wake::new();
        }
        if entry.told == Known::Unknown || content == Known::Unknown || !kind.changes_together() {
            entry.told = content;
            entry.latest = None;
            return self.referrers(kind, key).cloned().collect();
        }
        entry.latest = Some(content);
        let due = self.due.entry(Arc::clone(&key.namespace)).or_insert_with(|| (now + GATHER, BTreeSet::new()));
        due.1.insert(id);
        self.ring();
        Wake::new()
    }

    /// Nothing is known of an object any more. Whoever refers to it is to look again, whatever it knew.
    fn lose(&mut self, kind: ReferenceKind, key: &Key, now: Instant) -> Wake {
        self.see(kind, key, Known::Unknown, now);
        self.referrers(kind, key).cloned().collect()
    }

    fn ring(&self) {
        let next = self.due.values().map(|(at, _)| *at).min();
        self.alarm.send_if_modified(|alarm| std::mem::replace(alarm, next) != next);
    }

    /// Tells the changes that are due: plans see them from now on, and whoever refers to them is woken.
    pub fn tell(&mut self, now: Instant) -> Wake {
        let mut wake = Wake::new();
        let due: Vec<Arc<str>> =
            self.due.iter().filter(|(_, (at, _))| *at <= now).map(|(namespace, _)| Arc::clone(namespace)).collect();
        let ids = due.iter().filter_map(|namespace| self.due.remove(namespace)).flat_map(|(_, ids)| ids);
        for id in ids.collect::<Vec<_>>() {
            let latest = self.contents.get_mut(&id).and_then(|entry| Some((&mut entry.told, entry.latest.take()?)));
            if let Some((told, latest)) = latest {
                *told = latest;
                wake.extend(self.referrers(id.0, &id.1).cloned());
            }
        }
        self.ring();
        wake
    }

    /// A list of that watch begins.
    pub fn begin_list(&mut self, watch: &Watch) {
        self.lists += 1;
        self.begun.insert(watch.clone(), self.lists);
    }

    /// A list of that watch shows objects: they may be read again, and those that are not shown yet are about to be. Until the list is
    /// complete nobody is to act on half of it.
    pub fn shows(&mut self, watch: &Watch) {
        self.grants.shows(watch);
    }

    /// A list of that watch, of objects of that kind, is complete and has shown these. The others are gone; but one that was seen
    /// since the list began may have been made since, and one that nobody referred to by then may have been passed over: those are
    /// looked up.
    pub fn end_list(&mut self, kind: ReferenceKind, watch: &Watch, seen: &BTreeSet<Key>, now: Instant) -> Wake {
        self.grants.allow(watch);
        self.answered(watch);
        if watch.subject.comes_with_a_component() {
            self.needs_key.send_if_modified(|needs| !std::mem::replace(needs, true));
        }
        let begun = self.begun.get(watch).copied().unwrap_or_default();
        let unseen = |((other, key), _): &(&Id, &Entry)| *other == kind && is_unseen(key, &watch.place, seen);
        let unseen: Vec<(Key, bool)> =
            self.contents.iter().filter(unseen).map(|((_, key), entry)| (key.clone(), entry.list >= begun)).collect();
        let mut wake = Wake::new();
        for (key, is_new) in &unseen {
            wake.extend(if *is_new { self.lose(kind, key, now) } else { self.see(kind, key, Known::Absent, now) });
        }
        wake
    }

    /// A watch was answered, if only by a failure.
    pub fn answered(&mut self, watch: &Watch) {
        if self.watches.contains_key(watch) {
            self.grants.answered(watch);
        } else {
            self.grants.tell();
        }
    }

    /// Nothing of that watch may be read any more, so nothing of it is known. Wakes whom that concerns, if it is news.
    pub fn refuse(&mut self, watch: &Watch, now: Instant) -> Wake {
        if !self.watches.contains_key(watch) {
            return Wake::new();
        }
        let is_news = self.grants.refuse(watch, now);
        let concerned = |(kind, key): &&Id| watch_of(&self.scope, *kind, key).as_ref() == Some(watch);
        let concerned: Vec<Id> = self.contents.keys().filter(concerned).cloned().collect();
        let mut wake = Wake::new();
        for (kind, key) in &concerned {
            wake.extend(if is_news { self.lose(*kind, key, now) } else { self.see(*kind, key, Known::Unknown, now) });
        }
        self.want();
        wake
    }

    /// An object may not be looked up. Where a component gives the right to its kind, that is taken away, and its watch has not been told.
    pub fn refuse_look_up(&mut self, kind: ReferenceKind, key: &Key, now: Instant) -> Wake {
        let watch = watch_of(&self.scope, kind, key).filter(|watch| watch.subject.comes_with_a_component());
        watch.map(|watch| self.refuse(&watch, now)).unwrap_or_default()
    }
}

/// The watch that shows objects of that kind, if that is for who refers to them only.
pub const fn subject(kind: ReferenceKind) -> Option<Subject> {
    match kind {
        // Those are parents.
        ReferenceKind::StorageClaim => None,
        ReferenceKind::PersistentVolumeClaim | ReferenceKind::ConfigMap | ReferenceKind::Secret => {
            Some(Subject::Content(kind))
        }
    }
}

/// The watch that shows an object. What is granted namespace by namespace is watched so, whatever else is.
fn watch_of(scope: &Scope, kind: ReferenceKind, key: &Key) -> Option<Watch> {
    let place = match kind.component() {
        Some(_) => Place::In(Arc::clone(&key.namespace)),
        None => scope.place(&key.namespace),
    };
    subject(kind).map(|subject| Watch { place, subject })
}

#[cfg(test)]
mod tests {
    use super::super::grants::PROBE;
    use super::{
        GATHER, Instant, Key, Known, ParentKey, Place, Reference, ReferenceKind, References, Referent, Scope, Watch,
        watch_of,
    };
    use crate::core::kind::ParentKind;
    use std::collections::BTreeSet;
    use std::time::Duration;

    const MAP: ReferenceKind = ReferenceKind::ConfigMap;

    fn key() -> Key {
        Key::new("shop", "settings")
    }

    fn app(name: &str) -> ParentKey {
        ParentKey::new(ParentKind::App, key().sibling(name))
    }

    fn watch() -> Watch {
        watch_of(&Scope::default(), MAP, &key()).unwrap()
    }

    fn content(value: &str) -> Referent {
        Referent::Content(serde_json::from_value(serde_json::json!({"a": value})).unwrap())
    }

    fn known(value: &str) -> Known<Referent> {
        Known::Known(content(value))
    }

    /// References of App `web` to `settings`.
    fn referred() -> References {
        let mut references = References::default();
        references.change(&app("web"), &[], &[Reference::new(MAP, "settings")]);
        references
    }

    /// What a plan sees of `settings`.
    fn seen(references: &References) -> Known<Referent> {
        let all = references.referents(&app("web"), &[Reference::new(MAP, "settings")]);
        match all.into_values().next().unwrap_or_default() {
            Known::Unknown => Known::Unknown,
            Known::Absent => Known::Absent,
            Known::Known(content) => Known::Known(Referent::clone(&content)),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_comes_after_an_event_is_passed_over() {
        let now = Instant::now();
        for (event, then) in [(known("new"), known("new")), (Known::Absent, Known::Absent)] {
            let mut references = referred();
            assert_eq!(references.take(MAP, &key(), 9, event, now), [app("web")]);
            assert!(references.answer(MAP, &key(), Some((8, content("old"))), now).is_empty());
            assert_eq!(seen(&references), then);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_older_event_is_passed_over() {
        let (now, mut references) = (Instant::now(), referred());
        references.answer(MAP, &key(), Some((8, content("new"))), now);
        references.take(MAP, &key(), 7, known("old"), now);
        references.tell(now + GATHER);
        assert_eq!(seen(&references), known("new"));
    }

    /// A list is as old as its first page. What was seen since may have been made since, or be gone: nobody knows.
    #[tokio::test(start_paused = true)]
    async fn what_a_list_does_not_show_is_gone_unless_it_was_seen_meanwhile() {
        let now = Instant::now();
        for (before, after) in [(false, Known::Unknown), (true, Known::Absent)] {
            let mut references = referred();
            let see = |references: &mut References| drop(references.answer(MAP, &key(), Some((8, content("1"))), now));
            if before {
                see(&mut references);
            }
            references.begin_list(&watch());
            if !before {
                see(&mut references);
            }
            // Another watch's list is none of this one's.
            references.begin_list(&Watch { place: crate::shell::scope::Place::In("blog".into()), ..watch() });
            references.end_list(MAP, &watch(), &BTreeSet::new(), now);
            references.tell(now + GATHER);
            assert_eq!(seen(&references), after, "seen before: {before}");
        }
    }

    /// Its page may have been shown before, when nobody referred to it.
    #[tokio::test(start_paused = true)]
    async fn who_begins_to_refer_while_a_list_runs_is_not_told_that_it_is_gone() {
        let (now, mut references, web) = (Instant::now(), References::default(), [Reference::new(MAP, "settings")]);
        references.change(&app("first"), &[], &[Reference::new(MAP, "other")]);
        references.begin_list(&watch());
        references.change(&app("web"), &[], &web);
        let other = key().sibling("other");
        assert_eq!(references.end_list(MAP, &watch(), &BTreeSet::from([other]), now), [app("web")]);
        assert_eq!((seen(&references), references.unknown(&app("web"), &web)), (Known::Unknown, web.to_vec()));
    }

    #[tokio::test(start_paused = true)]
    async fn changes_of_a_namespace_are_told_together() {
        let (now, mut references) = (Instant::now(), referred());
        let other = Key::new("blog", "settings");
        let blog = ParentKey::new(ParentKind::App, other.sibling("web"));
        references.change(&blog, &[], &[Reference::new(MAP, "settings")]);
        references.change(&app("api"), &[], &[Reference::new(MAP, "more")]);
        for key in [key(), key().sibling("more"), other.clone()] {
            references.answer(MAP, &key, Some((1, content("1"))), now);
        }
        let mut alarm = references.alarm();
        assert!(references.take(MAP, &key(), 2, known("2"), now).is_empty());
        references.take(MAP, &key().sibling("more"), 3, known("2"), now + Duration::from_secs(2));
        references.take(MAP, &other, 4, known("2"), now + Duration::from_secs(2));
        assert_eq!(*alarm.borrow_and_update(), Some(now + GATHER));
        assert_eq!(seen(&references), known("1"), "it is not told yet");
        assert!(references.tell(now + GATHER - Duration::from_millis(1)).is_empty());
        assert_eq!(references.tell(now + GATHER), [app("api"), app("web")]);
        assert_eq!(*alarm.borrow_and_update(), Some(now + Duration::from_secs(2) + GATHER));
        assert_eq!(references.tell(now + 2 * GATHER), [blog]);
        assert_eq!(*alarm.borrow_and_update(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_kept_of_what_nobody_refers_to() {
        let (now, mut references, web) = (Instant::now(), referred(), [Reference::new(MAP, "settings")]);
        let wanted = references.wanted();
        assert_eq!(*wanted.borrow(), BTreeSet::from([watch()]));
        references.change(&app("api"), &[], &web);
        references.answer(MAP, &key(), Some((1, content("1"))), now);
        references.change(&app("web"), &web, &[]);
        assert_eq!(*wanted.borrow(), BTreeSet::from([watch()]), "another still does");
        references.change(&app("api"), &web, &[]);
        assert!(wanted.borrow().is_empty());
        references.take(MAP, &key(), 2, known("2"), now);
        assert!(references.contents.is_empty() && references.referrers.is_empty() && references.watches.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_refused_is_unknown_and_not_asked_for() {
        let (now, mut references, web) = (Instant::now(), referred(), [Reference::new(MAP, "settings")]);
        let unknown = |references: &References| references.unknown(&app("web"), &web);
        assert_eq!(unknown(&references), web);
        references.answer(MAP, &key(), Some((5, content("1"))), now);
        assert!(unknown(&references).is_empty());
        assert_eq!(references.refuse(&watch(), now), [app("web")]);
        assert_eq!((seen(&references), unknown(&references)), (Known::Unknown, Vec::new()));
        references.begin_list(&watch());
        assert_eq!(references.take(MAP, &key(), 5, known("1"), now), [app("web")]);
        assert_eq!(seen(&references), known("1"));
    }

    const SECRET: ReferenceKind = ReferenceKind::Secret;

    fn secrets() -> [Reference; 2] {
        ["database", "mail"].map(|name| Reference::new(SECRET, name))
    }

    fn secret_watch() -> Watch {
        watch_of(&Scope::default(), SECRET, &key()).unwrap()
    }

    /// References of App `web` to Secrets that may not be read.
    fn denied(now: Instant) -> References {
        let mut references = References::default();
        references.change(&app("web"), &[], &secrets());
        assert!(references.awaits(&app("web"), &secrets()) && references.unknown(&app("web"), &secrets()).is_empty());
        references.begin_list(&secret_watch());
        let concerned = references.refuse(&secret_watch(), now);
        assert!(concerned.contains(&app("web")));
        references.answered(&secret_watch());
        assert!(!references.awaits(&app("web"), &secrets()) && references.unknown(&app("web"), &secrets()).is_empty());
        references
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_refused_and_nobody_insists_on_is_watched_once_more_for_each_new_reason() {
        let now = Instant::now();
        let mut references = denied(now);
        let wanted = references.wanted();
        let is_wanted = || wanted.borrow().contains(&secret_watch());
        assert!(!is_wanted());
        references.change(&app("api"), &[], &secrets()[..1]);
        assert!(is_wanted(), "another begins to refer to one");
        assert!(references.refuse(&secret_watch(), now).is_empty(), "it is no news");
        assert!(!is_wanted());
        references.change(&app("cron"), &[], &secrets());
        assert_eq!(references.not_before(&secret_watch()), Some(now + PROBE), "however many reasons there are");
        references.refuse(&secret_watch(), now);
        references.retry();
        assert!(is_wanted() && references.not_before(&secret_watch()).is_none());
        assert!(references.awaits(&app("web"), &secrets()) && references.denied(&app("web"), &secrets()).is_empty());
        references.refuse(&secret_watch(), now);
        assert!(references.lacks(&app("web"), &secrets().each_ref()));
        assert!(is_wanted(), "somebody insists");
        assert_eq!(references.not_before(&secret_watch()), Some(now + PROBE));
        references.lacks(&app("web"), &[]);
        assert!(!is_wanted());
    }

    /// The watch goes on, and what is new is looked up, as that has told what there was before.
    #[tokio::test(start_paused = true)]
    async fn who_refers_to_another_secret_than_before_is_not_kept_waiting() {
        let (web, [database, mail]) = (app("web"), secrets());
        let mut references = References::default();
        references.change(&web, &[], std::slice::from_ref(&database));
        references.begin_list(&secret_watch());
        references.end_list(SECRET, &secret_watch(), &BTreeSet::new(), Instant::now());
        references.change(&web, std::slice::from_ref(&database), std::slice::from_ref(&mail));
        let mail = [mail];
        assert!(!references.awaits(&web, &mail));
        assert_eq!(references.unknown(&web, &mail), mail);
    }

    /// Else two Secrets that changed meanwhile would be two rollouts.
    #[tokio::test(start_paused = true)]
    async fn while_a_list_shows_what_was_refused_the_rest_of_it_is_awaited() {
        let now = Instant::now();
        let mut references = denied(now);
        let (web, [database, mail]) = (app("web"), secrets());
        assert_eq!(references.denied(&web, &secrets()), BTreeSet::from(secrets()));
        references.begin_list(&secret_watch());
        assert_eq!(references.denied(&web, &secrets()), BTreeSet::from(secrets()), "nothing is shown yet");
        references.shows(&secret_watch());
        references.take(SECRET, &key().sibling("database"), 5, known("1"), now);
        assert!(references.denied(&web, &secrets()).is_empty() && references.awaits(&web, &secrets()));
        assert!(!references.lacks(&web, &[&mail]), "it was planned by what is no longer so");
        references.end_list(SECRET, &secret_watch(), &BTreeSet::from([key().sibling("database")]), now);
        assert!(!references.awaits(&web, &secrets()) && *references.needs_key().borrow());
        let contents = references.referents(&web, &secrets());
        assert!(matches!(contents[&database], Known::Known(_)) && contents[&mail] == Known::Absent);
    }

    #[tokio::test(start_paused = true)]
    async fn secrets_are_watched_by_namespace_whatever_else_is() {
        let place = Place::In("shop".into());
        assert_eq!(secret_watch().place, place);
        assert_eq!(watch().place, Place::Everywhere);
    }
}
