//! A cluster on paper: objects go through the code of the watches into the caches, and from there to a plan.

use anyhow::{Context as _, Result, ensure};
use jiff::Timestamp;
use kube::runtime::watcher::Event;
use moorage::api::words::explanation;
use moorage::api::{App, Registry, StorageClaim};
use moorage::core::kind::{ChildKind, Identity, ParentKind};
use moorage::core::known::Known;
use moorage::core::live::Live;
use moorage::core::object::Object;
use moorage::core::observed::Observed;
use moorage::core::offer::{Lacking, Offer};
use moorage::core::owner::{Owner, Ownership};
use moorage::core::parent::Parent;
use moorage::core::plan::{FinalizerChange, Outcome, Plan, PlanSettings};
use moorage::core::reference::ReferenceKind;
use moorage::core::revisions::bare;
use moorage::core::secret_key::SecretKey;
use moorage::core::want::{Answer, Want};
use moorage::generate::crds::crd;
use moorage::shell::context::Context;
use moorage::shell::error::Error;
use moorage::shell::follow::Contents;
use moorage::shell::intake::written;
use moorage::shell::key::{Key, ParentKey};
use moorage::shell::kinds::Subject;
use moorage::shell::kinds::{MANAGED, OBSERVED, Row, optional};
use moorage::shell::leader::Leadership;
use moorage::shell::make::fail;
use moorage::shell::metrics::Metrics;
use moorage::shell::objects::{key, sweep, take};
use moorage::shell::observe::observe;
use moorage::shell::progress::Source;
use moorage::shell::scope::{Place, Scope, Watch};
use moorage::shell::wants::State;
use moorage::shell::watch::Intake as _;
use moorage::shell::words::taken;
use moorage::shell::writer::Writer;
use moorage_fake::Server;
use serde_json::{Map, Value, json};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::Arc;

/// When plans are made and statuses written: at ten past midnight, on the first of January 2026.
fn now() -> Timestamp {
    Timestamp::from_second(1_767_226_200).unwrap_or_default()
}

/// The objects of a YAML stream.
pub fn documents(text: &str) -> Result<Vec<Value>> {
    let all: Vec<Value> = serde_saphyr::from_multiple(text)?;
    Ok(all.into_iter().filter(|document| !document.is_null()).collect())
}

/// What the operator, with a key or without, makes of `input` in a cluster that holds `world`.
pub fn planned(input: Value, world: &[Value], has_key: bool) -> Result<Value> {
    let kind = ParentKind::named(input["kind"].as_str().unwrap_or_default()).context("input.yaml is none of ours")?;
    let cluster = Paper::new().context_with(has_key.then_some(KEY));
    cluster.show_input(input);
    let seen = world.iter().filter(|document| document["kind"] != "Status");
    seen.into_iter().try_for_each(|document| cluster.show(document))?;
    match kind {
        ParentKind::App => cluster.shown::<App>(world),
        ParentKind::StorageClaim => cluster.shown::<StorageClaim>(world),
        ParentKind::Registry => cluster.shown::<Registry>(world),
    }
}

const KEY: SecretKey = SecretKey([7; 32]);
/// Where everything lives whose right is granted namespace by namespace.
const NAMESPACE: &str = "shop";

/// Where clusters on paper come from. Needs a tokio runtime, as a client does, though none is ever used.
pub struct Paper {
    writer: Writer,
}

/// One cluster on paper.
pub struct Cluster {
    context: Context,
    key: RefCell<Option<ParentKey>>,
}

impl Paper {
    /// A fresh one.
    pub fn new() -> Self {
        let client = Server::new().client();
        Self { writer: Writer::new(client, Leadership::never(), None) }
    }

    /// An empty cluster that serves every kind.
    pub fn context(&self) -> Cluster {
        let cluster = self.context_with(Some(KEY));
        for row in optional() {
            serve(&cluster.context, row, Some(row.versions[0]));
        }
        cluster
    }

    fn context_with(&self, secret_key: Option<SecretKey>) -> Cluster {
        let registry_image = "registry.example.com/distribution:3.1.1".into();
        let settings = PlanSettings {
            registry_image,
            secret_key,
            config_key: secret_key.map_or(Known::Absent, Known::Known),
            ..PlanSettings::default()
        };
        let context = Context::new(self.writer.clone(), settings, Scope::default(), 4, Metrics::new());
        // Bare, until a definition is shown.
        for row in optional() {
            serve(&context, row, None);
        }
        Cluster { context, key: RefCell::default() }
    }
}

impl Cluster {
    /// Takes in the resource in question, or its next version.
    pub fn show_input(&self, input: Value) {
        let kind = ParentKind::named(input["kind"].as_str().unwrap_or_default()).unwrap_or(ParentKind::App);
        let live = Live::new(with_our_status(input));
        let key = ParentKey::new(kind, Key::new(live.namespace(), live.name()));
        self.context.caches().remove_parent(&key);
        self.key.replace(Some(key));
        take(&self.context, Subject::Parent(kind), live, Source::List);
    }

    /// Takes in a child.
    pub fn take(&self, kind: ChildKind, live: Live) {
        take(&self.context, Subject::Child(kind), live, Source::List);
    }

    fn observe<P: Parent>(&self) -> Result<(P, Observed)> {
        let key = self.key.borrow().clone().context("there is no input")?;
        observe::<P>(&self.context, &key)?.context("the input is not in the cache")
    }

    /// The plan of the resource in question.
    pub fn plan<P: Parent>(&self) -> Plan {
        self.plan_at::<P>(now())
    }

    /// Likewise, made at that time.
    pub fn plan_at<P: Parent>(&self, now: Timestamp) -> Plan {
        self.observe::<P>().map(|(parent, seen)| parent.plan(&seen, &self.context.settings(), now)).unwrap_or_default()
    }

    /// Whether an object stands as wanted.
    pub fn agrees<P: Parent>(&self, object: &Object) -> bool {
        self.observe::<P>().is_ok_and(|(_, seen)| seen.agrees(object))
    }

    /// The UID of the live object.
    pub fn uid<P: Parent>(&self, object: &Object) -> Option<String> {
        let (_, seen) = self.observe::<P>().ok()?;
        Some(seen.child(object.kind, &object.name)?.uid.to_string())
    }

    /// The status once that became of the plan.
    pub fn status<P: Parent>(&self, outcome: impl FnOnce(&Plan) -> Outcome) -> Result<Value> {
        let (parent, seen) = self.observe::<P>()?;
        let plan = parent.plan(&seen, &self.context.settings(), now());
        Ok(serde_json::to_value(parent.status(&plan, &outcome(&plan), &seen, now()))?)
    }

    /// Takes in an object as its watch would, or a complete list.
    pub fn show(&self, document: &Value) -> Result<()> {
        show(&self.context, document)
    }

    /// Lets the time pass in which changes of configuration are gathered.
    pub fn gather(&self) {
        let later = tokio::time::Instant::now() + std::time::Duration::from_secs(10);
        self.context.caches().references.tell(later);
    }

    /// Answers what the plan wants to know of that world.
    fn answer<P: Parent>(&self, world: &[Value]) -> Result<()> {
        let key = self.key.borrow().clone().context("there is no input")?;
        let wanted = self.plan::<P>().wants;
        self.context.wants().ask(&key, &wanted);
        for want in &wanted {
            let Want::Template { replica_set, .. } = want;
            let is_wanted =
                |object: &&Value| object["kind"] == "ReplicaSet" && object["metadata"]["name"] == **replica_set;
            if let Some(set) = world.iter().find(is_wanted) {
                let found = Known::Known(Arc::new(bare(&set["spec"]["template"])));
                let known = State::Known(Answer { found, trouble: None });
                self.context.wants().take(&key, want, Some(known));
            }
        }
        Ok(())
    }

    /// Plan and status as a file shows them; `world` is what the API server merges the writes into.
    pub fn shown<P: Parent>(&self, world: &[Value]) -> Result<Value> {
        self.answer::<P>(world)?;
        let (parent, seen) = self.observe::<P>()?;
        let plan = parent.plan(&seen, &self.context.settings(), now());
        let mut outcome = Outcome::default();
        if plan.invalid.is_empty() && !plan.paused {
            outcome = carry_out(&self.context, &parent.identity(), &plan, &seen, world);
        }
        let (_, after) = self.observe::<P>()?;
        shown(&parent, &plan, &outcome, &after)
    }
}

/// The status of a kind of ours is ours, which the API server would say in `managedFields`.
fn with_our_status(mut document: Value) -> Value {
    if document["kind"].as_str().and_then(ParentKind::named).is_some() && document.get("status").is_some() {
        let managers = &mut document["metadata"]["managedFields"];
        if managers.is_null() {
            *managers = json!([]);
        }
        if let Some(managers) = managers.as_array_mut() {
            managers.push(json!({
                "manager": "moorage", "operation": "Apply", "subresource": "status", "fieldsV1": {"f:status": {}},
            }));
        }
    }
    document
}

/// Takes in an object as its watch would, or a complete list.
fn show(context: &Context, document: &Value) -> Result<()> {
    let kind = document["kind"].as_str().unwrap_or_default().to_owned();
    let Some(kind) = kind.strip_suffix("List") else {
        if let Some(mut contents) = contents(context, &kind) {
            contents.take(Event::Apply(serde_json::from_value(document.clone())?));
        }
        let definition = document["metadata"]["name"].as_str().unwrap_or_default();
        for row in optional().filter(|row| kind == "CustomResourceDefinition" && row.definition() == definition) {
            serve(context, row, Some(row.versions[0]));
        }
        for subject in subjects(&kind)? {
            take(context, subject, Live::new(with_our_status(document.clone())), Source::Watch);
        }
        return Ok(());
    };
    if let Some(code) = document["code"].as_u64() {
        contents(context, kind).context("only of what is referred to")?.failed(u16::try_from(code)?);
        return Ok(());
    }
    if let Some(mut contents) = contents(context, kind) {
        contents.take(Event::Init);
        for item in document["items"].as_array().into_iter().flatten() {
            contents.take(Event::InitApply(serde_json::from_value(item.clone())?));
        }
        contents.take(Event::InitDone);
    }
    for subject in subjects(kind)? {
        let mut seen = BTreeSet::new();
        for item in document["items"].as_array().cloned().unwrap_or_default() {
            let live = Live::new(with_our_status(item));
            seen.insert(key(&live));
            take(context, subject, live, Source::List);
        }
        sweep(context, &Watch { place: Place::Everywhere, subject }, &seen);
    }
    Ok(())
}

/// The watch that shows objects of a kind to those who refer to them.
fn contents(context: &Context, kind: &str) -> Option<Contents> {
    let kinds = [ReferenceKind::PersistentVolumeClaim, ReferenceKind::ConfigMap, ReferenceKind::Secret];
    let kind = kinds.into_iter().find(|known| known.as_str() == kind)?;
    let place = if kind.component().is_some() { Place::In(NAMESPACE.into()) } else { Place::Everywhere };
    let watch = Watch { place, subject: Subject::Content(kind) };
    Some(Contents::new(context.clone(), watch, kind))
}

/// Takes in whether an optional kind is served, in the version that is liked best.
fn serve(context: &Context, row: &'static Row, version: Option<&'static str>) {
    let offer = match (version, &row.optional) {
        (Some(version), _) => Offer::Served(version),
        (None, Some(provider)) => Offer::Absent(provider),
        (None, None) => Offer::Unknown,
    };
    context.caches().set_offer(row.kind, &Place::Everywhere, offer);
}

/// The watches that show a kind: a `StorageClaim` is a parent and a child.
fn subjects(kind: &str) -> Result<Vec<Subject>> {
    let parent = ParentKind::named(kind).map(Subject::Parent);
    let child = MANAGED.iter().find(|row| row.kind.as_str() == kind).map(|row| Subject::Child(row.kind));
    let observed = OBSERVED.iter().find(|watched| watched.name == kind).map(|watched| Subject::Observed(watched.kind));
    let subjects: Vec<Subject> = [parent, child, observed].into_iter().flatten().collect();
    ensure!(!subjects.is_empty(), "the operator never looks at a {kind}");
    Ok(subjects)
}

/// What the API server would answer to the writes of a plan.
fn carry_out(context: &Context, parent: &Identity, plan: &Plan, seen: &Observed, documents: &[Value]) -> Outcome {
    let mut outcome = Outcome::default();
    for object in &plan.objects {
        let named = format!("{} {}", object.kind, object.name);
        if outcome.holds(object) {
            if !seen.agrees(object) {
                outcome.held.push(named);
            }
            continue;
        }
        if let Some(error) = refusal(object, documents) {
            fail(context, &mut outcome, object, &error);
            if error.concerns_all() {
                break;
            }
            continue;
        }
        let child = seen.child(object.kind, &object.name);
        let stranger = || stranger(object, parent, documents).map(|stranger| (false, stranger));
        match child.map(|child| (child.deleting, child.owner.to(parent))).or_else(stranger) {
            Some((true, _) | (_, Ownership::Predecessor)) => {
                outcome.unmet.insert(object.kind);
                outcome.waiting.push(named);
            }
            Some((_, Ownership::Foreign(holder))) => {
                outcome.unmet.insert(object.kind);
                outcome.failures.push(taken(object, parent, &holder));
            }
            Some((_, Ownership::Ours)) | None => {
                let mut live = documents
                    .iter()
                    .find(|live| live["kind"] == object.kind.as_str() && live["metadata"]["name"] == object.name)
                    .cloned()
                    .unwrap_or_else(|| json!({"metadata": {"uid": "made"}}));
                merge(&mut live, &object.body);
                live["metadata"]["resourceVersion"] = json!("1000");
                let sent = context.caches().moment(object.kind, &parent.namespace);
                written(context, object, &Live::new(live), sent);
            }
        }
    }
    outcome
}

/// Whose an object of that name is that nobody is known to have, as the look after a refused creation tells.
fn stranger(object: &Object, parent: &Identity, documents: &[Value]) -> Option<Ownership> {
    let is_it = |live: &&Value| live["kind"] == object.kind.as_str() && live["metadata"]["name"] == object.name;
    let live = documents.iter().find(is_it).filter(|_| object.kind != ChildKind::PersistentVolumeClaim)?;
    Some(Owner::of(object.kind, &Live::new(live.clone())).to(parent))
}

/// What the API server says to the write of an object, if the world has a `Status` about that.
fn refusal(object: &Object, documents: &[Value]) -> Option<Error> {
    let plural = MANAGED.iter().find(|row| row.kind == object.kind)?.plural;
    let is_about = |details: &Value| details["kind"] == plural && details["name"] == object.name;
    let status = documents.iter().find(|document| document["kind"] == "Status" && is_about(&document["details"]))?;
    let source = Box::new(kube::Error::Api(serde_json::from_value(status.clone()).ok()?));
    Some(Error::Request { action: format!("apply {} {}", object.kind, object.name), source })
}

/// A JSON merge, but without deletion.
pub fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from.clone(),
    }
}

/// A plan and its status as the file shows them: what is as usual is left out.
fn shown<P: Parent>(parent: &P, plan: &Plan, outcome: &Outcome, observed: &Observed) -> Result<Value> {
    let now: Timestamp = now();
    let status = parent.status(plan, outcome, observed, now);
    let mut shown = Map::new();
    let mut show = |key: &str, value: Value| shown.insert(key.to_owned(), value);
    let Plan { objects, once, lacking, unfollowed, prune, invalid, paused, finalizer, requeue, wants, notice: _ } =
        plan;
    show("objects", objects.iter().map(|object| object.body.clone()).collect());
    let due: Vec<Value> = once.iter().filter(|object| !object.held).map(|object| object.body.clone()).collect();
    if !due.is_empty() {
        show("makes", due.into());
    }
    if objects.iter().any(|object| object.adopt) {
        show("adopts", objects.iter().filter(|object| object.adopt).map(|object| json!(object.name)).collect());
    }
    if objects.iter().any(|object| object.held) {
        show("held", objects.iter().filter(|object| object.held).map(|object| json!(object.name)).collect());
    }
    if !unfollowed.is_empty() {
        show("unfollowed", unfollowed.iter().map(|it| json!(it.reference.to_string())).collect());
    }
    if !lacking.is_empty() {
        let named = |lacking: &Lacking| json!(format!("{} {}", lacking.kind, lacking.name));
        show("lacking", lacking.iter().map(named).collect());
    }
    if !prune.is_empty() {
        show("prune", prune.iter().map(|(kind, name)| json!(format!("{kind} {name}"))).collect());
    }
    if !invalid.is_empty() {
        show("invalid", json!(invalid));
    }
    if !wants.is_empty() {
        show("wants", wants.iter().map(|want| json!(want.to_string())).collect());
    }
    if *paused {
        show("paused", json!(true));
    }
    if *finalizer != FinalizerChange::Keep {
        show("finalizer", json!(format!("{finalizer:?}")));
    }
    if let Some(requeue) = requeue {
        show("requeue", json!(requeue.as_secs()));
    }
    show("status", serde_json::to_value(&status)?);
    Ok(Value::Object(shown))
}

/// The fields of our own specs, as `App.ports.containerPort`; fields of embedded Kubernetes types count with their root.
pub fn declared_fields() -> Vec<String> {
    let mut fields = Vec::new();
    for kind in ParentKind::ALL {
        let crd = crd(kind);
        let spec = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
        walk(kind.as_str(), spec, &mut fields);
    }
    fields
}

/// Ours are described where they are declared; what is taken over from Kubernetes, below its root, in a table.
fn walk(path: &str, schema: &Value, fields: &mut Vec<String>) {
    let schema = schema.get("items").unwrap_or(schema);
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let within = path.rsplit('.').next().unwrap_or_default();
        if explanation(within, name).is_none_or(|text| field["description"] != text) {
            let path = format!("{path}.{name}");
            walk(&path, field, fields);
            fields.push(path);
        }
    }
}

/// The lines from the first that differs, of both.
pub fn difference(golden: &str, made: &str) -> String {
    let (golden, made): (Vec<_>, Vec<_>) = (golden.lines().collect(), made.lines().collect());
    let same = golden.iter().zip(&made).take_while(|(left, right)| left == right).count();
    let mut text = String::new();
    for (sign, lines) in [("-", &golden), ("+", &made)] {
        for line in lines.iter().skip(same).take(8) {
            let _ = writeln!(text, "{sign} {line}");
        }
    }
    format!("line {}\n{text}", same + 1)
}
