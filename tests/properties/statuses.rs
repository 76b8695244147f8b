//! Whatever is in the cluster, a status is one that the API server takes.

use crate::kstatus::kstatus;
use crate::{Outcome, Paper, as_listed, check, create, json, prop_assert, server};
use moorage::core::parent::Parent;
use moorage::core::plan::{self, ErrorClass, Failure, Plan};
use moorage::generate::crds::crd;
use moorage::generate::lint::refused;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::Value;
use std::cell::Cell;

/// Texts that users, kubelets and drivers could write: none, one of a megabyte, ones to be cut within a character or an escape.
fn texts() -> BoxedStrategy<String> {
    let text = |unit: &str, times: usize| Just(unit.repeat(times));
    prop_oneof![
        4 => text("", 1),
        4 => text("word ", 90),
        4 => text("\u{e9}\u{301}\u{1f980}\n", 200),
        2 => text("\u{65e5}", 33_000),
        1 => text("megabyte", 1 << 17),
    ]
    .boxed()
}

/// Fields that others than the operator fill.
const FREE: [&str; 15] = [
    "message",
    "image",
    "reason",
    "phase",
    "name",
    "storage",
    "storageClassName",
    "volumeName",
    "accessModes",
    "type",
    "replicas",
    "updatedReplicas",
    "readyReplicas",
    "exitCode",
    "restartCount",
];

/// What stands in the cluster for what the operator looks at.
#[derive(Clone, Debug)]
struct Hostile {
    fields: Vec<&'static str>,
    text: String,
    number: i64,
    crowd: usize,
    failing: bool,
}

fn hostile() -> BoxedStrategy<Hostile> {
    let numbers = select(vec![-1, 0, 20_000, i64::from(i32::MAX), i64::MAX, i64::MIN]);
    (
        subsequence(FREE.to_vec(), 0..=FREE.len()),
        texts(),
        numbers,
        select(vec![0, 0, 0, 1, 1, 1, 1, 20, 20, 20, 20, 1_100]),
        any::<bool>(),
    )
        .prop_map(|(fields, text, number, crowd, failing)| Hostile { fields, text, number, crowd, failing })
        .boxed()
}

impl Hostile {
    /// Overwrites the free fields below a value.
    fn corrupt(&self, value: &mut Value) {
        match value {
            Value::Object(map) => {
                for (key, inner) in map.iter_mut() {
                    match inner {
                        Value::String(text) if self.fields.contains(&key.as_str()) => text.clone_from(&self.text),
                        Value::Number(_) if self.fields.contains(&key.as_str()) => *inner = json!(self.number),
                        Value::Array(modes) if key == "accessModes" && self.fields.contains(&"accessModes") => {
                            *modes = vec![json!("ReadWriteOnce"); self.crowd]
                                .into_iter()
                                .chain([json!(self.text)])
                                .collect();
                        }
                        inner => self.corrupt(inner),
                    }
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.corrupt(item)),
            _ => {}
        }
    }

    /// Names the API server bounds, so only what is below metadata is free; of pods and consumers there are many.
    fn world(&self, world: &[Value]) -> Vec<Value> {
        let mut all = Vec::new();
        for document in world {
            let is_one_of_many = ["Pod", "App"].iter().any(|kind| document["kind"] == *kind);
            for turn in 0..if is_one_of_many { self.crowd } else { 0 } {
                let mut another = document.clone();
                another["metadata"]["name"] = json!(format!("{turn}-{}", "n".repeat(240)));
                another["metadata"]["uid"] = json!(turn.to_string());
                all.push(another);
            }
            let mut document = document.clone();
            for (_, part) in document.as_object_mut().into_iter().flatten().filter(|(key, _)| *key != "metadata") {
                self.corrupt(part);
            }
            all.push(document);
        }
        all
    }

    fn outcome(&self, plan: &Plan) -> plan::Outcome {
        if !self.failing {
            return plan::Outcome::default();
        }
        let named = || plan.objects.iter().map(|object| format!("{} {}", object.kind, object.name));
        let failure = |object| Failure { object, class: ErrorClass::Invalid, message: self.text.clone(), field: None };
        plan::Outcome {
            failures: if self.crowd == 0 { Vec::new() } else { named().map(failure).collect() },
            contended: named().map(|named| format!("{named}: {}", self.text)).collect(),
            waiting: named().collect(),
            ..plan::Outcome::default()
        }
    }
}

/// Tools that wait by kstatus neither go on too early nor wait for what can't come: it is Current only if Ready says True, Failed if
/// the author must act, and never of a former generation.
fn is_read_rightly(status: &Value, generation: &Value, must_act: bool) -> Outcome {
    let conditions = || status["conditions"].as_array().into_iter().flatten();
    let is_true = |type_: &str| conditions().any(|one| one["type"] == type_ && one["status"] == "True");
    let read = kstatus(&json!({"metadata": {"generation": generation}, "status": status}));
    prop_assert!((read == "Current") == is_true("Ready"), "{read}\n{status}");
    prop_assert!(!is_true("Stalled") || read == "Failed", "{read}\n{status}");
    // What is on its way out is told first: nothing could be applied to it.
    let goes = |one: &Value| {
        ["Deleting", "VolumeDeleting", "WaitingForDeletion"].iter().any(|reason| one["reason"] == *reason)
    };
    let is_going = conditions().any(|one| one["type"] == "Ready" && goes(one));
    prop_assert!(!must_act || is_going || read == "Failed", "the author must act, and it is {read}\n{status}");
    let outdated: Vec<&Value> = conditions().filter(|one| one["observedGeneration"] != *generation).collect();
    prop_assert!(outdated.is_empty() && status["observedGeneration"] == *generation, "of another generation\n{status}");
    Ok(())
}

/// Every status that can come about is valid by the schema of its own CRD, and read rightly by kstatus.
pub fn statuses_fit_their_schema<P: Parent>(specs: BoxedStrategy<Value>, worlds: BoxedStrategy<Vec<Value>>) {
    let crd = crd(P::KIND);
    let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"];
    let unbounded = unbounded("status", schema);
    assert!(unbounded.is_empty(), "{unbounded:?} may grow without bound");
    check(&(specs, worlds, hostile()), |(input, world, hostile)| -> Outcome {
        let paper = Paper::new();
        let cluster = paper.context();
        let generation = json!(input["metadata"]["generation"].as_i64().unwrap_or(0));
        cluster.show_input(input);
        hostile.world(&world).iter().try_for_each(|document| cluster.show(document)).unwrap();
        let must_act = Cell::new(false);
        let status = cluster.status::<P>(|plan| {
            let outcome = hostile.outcome(plan);
            must_act.set(!plan.invalid.is_empty() || !outcome.failures.is_empty());
            outcome
        });
        let status = status.unwrap();
        let errors = refused("status", schema, &status);
        prop_assert!(errors.is_empty(), "{}", errors.join("\n"));
        is_read_rightly(&status, &generation, must_act.get())
    });
}

/// Of objects that stand as declared, in whatever state they are, Ready is true only if `status.children` says so of each, and no
/// pod has a problem. What progresses is reconciling, and the other way round.
pub fn ready_waits_for_every_child<P: Parent>(specs: BoxedStrategy<Value>, worlds: BoxedStrategy<Vec<Value>>) {
    check(&(specs, worlds), |(input, world)| -> Outcome {
        let paper = Paper::new();
        let cluster = paper.context();
        cluster.show_input(input);
        world.iter().try_for_each(|document| cluster.show(document)).unwrap();
        let server = server();
        for object in &cluster.plan::<P>().objects {
            let mut child = create(&server, object)?;
            let is_it = |seen: &&Value| seen["kind"] == object.kind.as_str() && seen["metadata"]["name"] == object.name;
            child["status"] = world.iter().find(is_it).map(|seen| seen["status"].clone()).unwrap_or_default();
            cluster.take(object.kind, as_listed(child));
        }
        let status = cluster.status::<P>(|_| plan::Outcome::default()).unwrap();
        let conditions = status["conditions"].as_array().into_iter().flatten();
        let is_ready = conditions.into_iter().any(|one| one["type"] == "Ready" && one["status"] == "True");
        let is_true = |type_: &str| {
            let mut conditions = status["conditions"].as_array().into_iter().flatten();
            conditions.any(|one| one["type"] == type_ && one["status"] == "True")
        };
        let progresses = is_true("Progressing");
        let has_pods = ["App", "Registry"].contains(&P::KIND.as_str());
        prop_assert!(!has_pods || progresses == is_true("Reconciling"), "Progressing: {progresses}\n{status}");
        prop_assert!(!is_ready || status["problems"].is_null(), "Ready with problems\n{status}");
        let children = status["children"].as_array().into_iter().flatten();
        let waits: Vec<&Value> = children.filter(|child| child["ready"] != true).collect();
        prop_assert!(!is_ready || waits.is_empty(), "Ready, and yet {waits:?}");
        Ok(())
    });
}

/// Strings and lists of a schema that nothing bounds.
fn unbounded(path: &str, schema: &Value) -> Vec<String> {
    let is_open = ["string", "array"].iter().any(|type_| schema["type"] == *type_)
        && !["maxLength", "maxItems", "enum", "format"].iter().any(|bound| schema.get(bound).is_some());
    let fields = schema["properties"].as_object().into_iter().flatten();
    let below = fields.flat_map(|(name, field)| unbounded(&format!("{path}.{name}"), field));
    let items = schema.get("items").map(|items| unbounded(&format!("{path}[]"), items)).unwrap_or_default();
    is_open.then(|| path.to_owned()).into_iter().chain(below).chain(items).collect()
}
