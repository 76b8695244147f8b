//! Properties of the pure cores, each over 1,000 random cases per kind, the same ones at every run.
//!
//! `cargo xtask test --thorough` tries 10,000 others each time, `--fast` 200. `PROPTEST_CASES` and `PROPTEST_RNG_SEED` say how
//! many and which; a property that fails says both.
//!
//! `specs.rs` makes specs: tame ones that the schema accepts, and wild ones. `worlds.rs` makes clusters around them. What is
//! applied goes to the in-memory API server, which merges, defaults and refuses like the real one (tests/fake).

#![allow(clippy::unwrap_used, clippy::panic, reason = "every function here is part of a test")]

#[path = "../golden/cluster.rs"]
#[allow(dead_code, reason = "the golden cases use more of it")]
mod cluster;
mod defaults;
mod hashes;
#[path = "../gitops/kstatus.rs"]
mod kstatus;
mod live;
mod order;
mod specs;
mod statuses;
mod worlds;

use cluster::{Paper, merge};
use moorage::api::{App, Registry, StorageClaim};
use moorage::core::fixed;
use moorage::core::kind::ChildKind;
use moorage::core::live::Live;
use moorage::core::object::Object;
use moorage::core::parent::Parent;
use moorage::core::plan::Plan;
use moorage::shell::kinds::optional;
use moorage_fake::{Effort, Resource, Server};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestRunner};
use serde_json::{Value, json};
use std::fmt::Debug;

type Outcome = Result<(), TestCaseError>;

/// The seed, unless the environment says otherwise.
const SEED: u64 = 2026;

/// Runs a property.
fn check<S: Strategy>(strategy: &S, property: impl Fn(S::Value) -> Outcome)
where
    S::Value: Debug,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _inside = runtime.enter();
    let given = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let cases =
        given("PROPTEST_CASES").map_or(Effort::given().of(200, 1_000, 10_000), |cases| cases.try_into().unwrap());
    let seed = given("PROPTEST_RNG_SEED").unwrap_or(SEED);
    let config = Config { failure_persistence: None, cases, rng_seed: RngSeed::Fixed(seed), ..Config::default() };
    if let Err(error) = TestRunner::new(config).run(strategy, property) {
        panic!("PROPTEST_CASES={cases} PROPTEST_RNG_SEED={seed}: {error}");
    }
}

/// Any spec in any cluster gives a plan and a status, the same bytes each time and in whatever order things were seen; at another
/// time the plan is another only in when to look again.
fn plans_are_total_and_deterministic<P: Parent>(specs: BoxedStrategy<Value>, worlds: BoxedStrategy<Vec<Value>>) {
    check(&(specs, worlds, any::<prop::sample::Index>(), 0..i64::from(i32::MAX)), |(input, world, turn, second)| {
        let paper = Paper::new();
        let seen = |world: &[Value]| {
            let context = paper.context();
            context.show_input(input.clone());
            for document in world {
                context.show(document).unwrap();
            }
            let then = context.plan_at::<P>(jiff::Timestamp::from_second(second).unwrap());
            let now = context.plan::<P>();
            assert!(Plan { requeue: now.requeue, ..then } == now, "the plan depends on the time");
            pretty(&context.shown::<P>(world).unwrap())
        };
        let mut turned = world.clone();
        if !turned.is_empty() {
            turned.rotate_left(turn.index(world.len()));
        }
        let (first, again, other_order) = (seen(&world), seen(&world), seen(&turned));
        prop_assert!(first == again, "not the same twice");
        prop_assert!(
            first == other_order,
            "the order of events matters: {}",
            cluster::difference(&first, &other_order)
        );
        Ok(())
    });
}

/// What was applied is, as the API server shows it, exactly what is wanted: nothing is left to do.
fn plans_are_fixed_points<P: Parent>(specs: &BoxedStrategy<Value>) {
    check(specs, |input| {
        let paper = Paper::new();
        let context = paper.context();
        context.show_input(input);
        // Of a claim of which nothing is known its last pod is not stopped.
        let claims = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaimList", "items": []});
        context.show(&claims).unwrap();
        let server = server();
        let plan = context.plan::<P>();
        prop_assert!(plan.invalid.is_empty(), "a tame spec is refused: {:?}", plan.invalid);
        for object in &plan.objects {
            context.take(object.kind, as_listed(create(&server, object)?));
        }
        let again = context.plan::<P>();
        for object in &again.objects {
            prop_assert!(context.agrees::<P>(object), "{} {} differs from what was applied", object.kind, object.name);
        }
        prop_assert_eq!(plan.objects, again.objects);
        prop_assert!(again.prune.is_empty());
        Ok(())
    });
}

/// A process that starts, and knows nothing yet of the configuration that pods have, or may not, changes nothing; nor does what it then
/// finds.
#[test]
fn what_is_unknown_keeps_what_runs() {
    let contents = prop::collection::vec(prop::option::of(0..2_u8), 1..4);
    check(&(specs::app(false), contents), |(input, contents)| {
        let (paper, server) = (Paper::new(), server());
        let before = paper.context();
        before.show_input(input.clone());
        let mut version = 7;
        let mut show = |cluster: &cluster::Cluster, value: Option<u8>| {
            version += 1;
            let texts = value.map(|value| value.to_string());
            let map = worlds::config_map(&texts.as_ref().map_or(json!({}), |text| json!({"a": text})));
            let secret = worlds::secret(&texts.as_ref().map_or(json!({}), |text| json!({"k": text})));
            for mut object in [map, secret] {
                object["metadata"]["resourceVersion"] = json!(version.to_string());
                cluster.show(&object).unwrap();
            }
            cluster.gather();
        };
        for value in &contents {
            show(&before, *value);
            for object in &before.plan::<App>().objects {
                match before.uid::<App>(object) {
                    None => drop(create(&server, object)?),
                    Some(uid) => drop(apply(&server, object, Some(&uid))?),
                }
                before.take(object.kind, as_listed(live(&server, object)));
            }
        }
        let ran = before.plan::<App>().objects;
        let restarted = paper.context();
        restarted.show_input(input);
        for object in &ran {
            restarted.take(object.kind, as_listed(live(&server, object)));
        }
        prop_assert_eq!(&restarted.plan::<App>().objects, &ran);
        for kind in ["ConfigMapList", "SecretList"] {
            restarted.show(&json!({"apiVersion": "v1", "kind": kind, "code": 403})).unwrap();
            prop_assert_eq!(&restarted.plan::<App>().objects, &ran);
        }
        prop_assert!(restarted.plan::<App>().prune.is_empty());
        show(&restarted, contents.last().copied().flatten());
        prop_assert_eq!(&restarted.plan::<App>().objects, &ran);
        Ok(())
    });
}

/// A, then B, gives what B alone gives; what others added meanwhile stays.
fn updates_equal_fresh_starts<P: Parent>(specs: &BoxedStrategy<(Value, Value)>) {
    check(specs, |(before, after)| {
        let paper = Paper::new();
        let (updated, fresh) = (server(), server());
        let context = paper.context();
        context.show_input(before);
        for object in &context.plan::<P>().objects {
            create(&updated, object)?;
            meddle(&updated, object)?;
            context.take(object.kind, as_listed(live(&updated, object)));
        }
        context.show_input(after.clone());
        let plan = context.plan::<P>();
        for object in &plan.objects {
            if context.agrees::<P>(object) {
                // Nothing is done.
            } else if fixed::is_replaceable(object.kind)
                && context.uid::<P>(object).is_some()
                && fixed::hindrance(object.kind, &live(&updated, object), &object.body).is_some()
            {
                updated.delete(object.kind.as_str(), "shop", &object.name).map_err(fail)?;
                create(&updated, object)?;
            } else {
                apply(&updated, object, context.uid::<P>(object).as_deref())?;
            }
            prop_assert!(is_meddled(&updated, object), "{} {} lost what others added", object.kind, object.name);
        }
        let alone = paper.context();
        alone.show_input(after);
        for object in &alone.plan::<P>().objects {
            create(&fresh, object)?;
            let (left, right) = (lasting(&live(&updated, object)), lasting(&live(&fresh, object)));
            prop_assert!(left == right, "{}", cluster::difference(&pretty(&left), &pretty(&right)));
        }
        Ok(())
    });
}

/// Selectors never change, and the pod template changes only with what concerns pods.
fn templates_depend_on_pods_only<P: Parent>(specs: &BoxedStrategy<(Value, Value)>) {
    check(specs, |(before, after)| {
        let paper = Paper::new();
        let deployment = |input: Value| {
            let context = paper.context();
            context.show_input(input);
            let plan = context.plan::<P>();
            plan.objects.into_iter().find(|object| object.kind == ChildKind::Deployment).map(|object| object.body)
        };
        let mut other = before.clone();
        for field in ["replicas", "service", "rollout", "monitoring", "paused"] {
            match after["spec"].get(field) {
                Some(value) => other["spec"][field] = value.clone(),
                None => {
                    other["spec"].as_object_mut().unwrap().remove(field);
                }
            }
        }
        other["metadata"]["labels"] = json!({"team": "other"});
        let (before, other, after) = (deployment(before), deployment(other), deployment(after));
        if let (Some(before), Some(other)) = (&before, &other) {
            prop_assert_eq!(&before["spec"]["template"], &other["spec"]["template"]);
        }
        if let (Some(before), Some(after)) = (&before, &after) {
            prop_assert_eq!(&before["spec"]["selector"], &after["spec"]["selector"]);
            let labels = after["spec"]["template"]["metadata"]["labels"].as_object().unwrap();
            let selector = after["spec"]["selector"]["matchLabels"].as_object().unwrap();
            prop_assert!(selector.iter().all(|(key, value)| labels.get(key) == Some(value)), "pods are not selected");
        }
        Ok(())
    });
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap()
}

#[allow(clippy::needless_pass_by_value, reason = "it is what map_err passes")]
fn fail(error: anyhow::Error) -> TestCaseError {
    TestCaseError::fail(format!("{error:#}"))
}

/// One that serves every kind.
fn server() -> Server {
    let server = Server::new();
    for row in optional() {
        let api = format!("{}/{}", row.group, row.versions[0]);
        server.install(Resource::custom(&api, row.kind.as_str(), row.plural));
    }
    server
}

fn create(server: &Server, object: &Object) -> Result<Value, TestCaseError> {
    let mut body = object.body.clone();
    body["metadata"]["resourceVersion"] = json!("1");
    server.apply_as("moorage", body).map_err(fail)
}

fn apply(server: &Server, object: &Object, uid: Option<&str>) -> Result<Value, TestCaseError> {
    let Some(uid) = uid else { return create(server, object) };
    let mut body = object.body.clone();
    body["metadata"]["uid"] = json!(uid);
    server.apply_as("moorage", body).map_err(fail)
}

fn live(server: &Server, object: &Object) -> Value {
    server.get(object.kind.as_str(), "shop", &object.name).unwrap_or_default()
}

/// Items of a list carry no kind.
fn as_listed(mut live: Value) -> Live {
    let map = live.as_object_mut().unwrap();
    map.remove("kind");
    map.remove("apiVersion");
    Live::new(live)
}

/// What a sidecar injector, `kubectl rollout restart` and other controllers add.
fn meddle(server: &Server, object: &Object) -> Outcome {
    let added = |live: &mut Value| {
        live["metadata"]["annotations"]["example.com/note"] = json!("theirs");
        live["metadata"]["labels"]["example.com/team"] = json!("theirs");
        if object.kind == ChildKind::ServiceAccount {
            let mut secrets = live["imagePullSecrets"].as_array().cloned().unwrap_or_default();
            secrets.push(json!({"name": "theirs"}));
            live["imagePullSecrets"] = json!(secrets);
        }
        if object.kind == ChildKind::Deployment {
            let template = &mut live["spec"]["template"]["metadata"];
            merge(template, &json!({"annotations": {"kubectl.kubernetes.io/restartedAt": "2026-01-01T00:00:00Z"}}));
        }
    };
    server.edit_as("somebody", object.kind.as_str(), "shop", &object.name, added).map(drop).map_err(fail)
}

fn is_meddled(server: &Server, object: &Object) -> bool {
    let live = live(server, object);
    let template = &live["spec"]["template"]["metadata"]["annotations"]["kubectl.kubernetes.io/restartedAt"];
    let made_now = live["metadata"]["managedFields"]
        .as_array()
        .is_some_and(|managers| !managers.iter().any(|entry| entry["manager"] == "somebody"));
    let kept = live["metadata"]["annotations"]["example.com/note"] == "theirs"
        && live["metadata"]["labels"]["example.com/team"] == "theirs"
        && (object.kind != ChildKind::Deployment || template.is_string())
        && (object.kind != ChildKind::ServiceAccount || live["imagePullSecrets"].to_string().contains("theirs"));
    made_now || kept
}

/// The object without what others added, and without what tells when it was made and by which writes.
fn lasting(live: &Value) -> Value {
    let mut live = live.clone();
    let meta = live["metadata"].as_object_mut().unwrap();
    for field in ["uid", "resourceVersion", "generation", "creationTimestamp", "managedFields"] {
        meta.remove(field);
    }
    forget(&mut live, &["example.com/note", "example.com/team", "kubectl.kubernetes.io/restartedAt"]);
    if live["kind"] == "ServiceAccount" {
        let declared = live["imagePullSecrets"].as_array().into_iter().flatten();
        let declared: Vec<Value> = declared.filter(|secret| secret["name"] != "theirs").cloned().collect();
        live["imagePullSecrets"] = json!(declared);
        // Whether there were others is told by these.
        forget(&mut live, &["moorage.dev/pull-secrets", "moorage.dev/applied-hash"]);
    }
    if live["kind"] == "Deployment" {
        // What ran before is remembered while a former revision is asked for.
        forget(&mut live, &["moorage.dev/auto-rollback", "moorage.dev/applied-hash"]);
    }
    if live["kind"] == "Service" {
        // Allocated once, for good.
        let allocated =
            if live["spec"]["clusterIP"] == "None" { vec![] } else { vec!["clusterIP", "clusterIPs", "nodePort"] };
        forget(&mut live, &allocated);
    }
    live
}

/// Removes these keys wherever they stand, and the maps that are empty then.
fn forget(value: &mut Value, keys: &[&str]) {
    match value {
        Value::Object(map) => {
            map.retain(|key, _| !keys.contains(&key.as_str()));
            map.values_mut().for_each(|inner| forget(inner, keys));
            map.retain(|key, inner| key != "annotations" || inner.as_object().is_none_or(|map| !map.is_empty()));
        }
        Value::Array(items) => items.iter_mut().for_each(|inner| forget(inner, keys)),
        _ => {}
    }
}

macro_rules! properties {
    ($module:ident, $kind:ty) => {
        mod $module {
            use super::*;

            #[test]
            fn plans_are_total_and_deterministic() {
                super::plans_are_total_and_deterministic::<$kind>(specs::$module(true), worlds::$module());
            }

            #[test]
            fn plans_are_fixed_points() {
                super::plans_are_fixed_points::<$kind>(&specs::$module(false));
            }

            #[test]
            fn updates_equal_fresh_starts() {
                super::updates_equal_fresh_starts::<$kind>(&specs::pairs(<$kind>::KIND));
            }

            #[test]
            fn ready_waits_for_every_child() {
                statuses::ready_waits_for_every_child::<$kind>(specs::$module(false), worlds::$module());
            }

            #[test]
            fn ready_means_that_all_is_live_as_declared() {
                live::ready_means_that_all_is_live_as_declared::<$kind>(&specs::$module(false));
            }

            #[test]
            fn a_start_alarms_nobody() {
                live::a_start_alarms_nobody::<$kind>(&specs::$module(false));
            }

            #[test]
            fn statuses_fit_their_schema() {
                statuses::statuses_fit_their_schema::<$kind>(specs::$module(true), worlds::$module());
            }

            #[test]
            fn templates_depend_on_pods_only() {
                super::templates_depend_on_pods_only::<$kind>(&specs::pairs(<$kind>::KIND));
            }
        }
    };
}

properties!(app, App);
properties!(storage_claim, StorageClaim);
properties!(registry, Registry);

#[test]
fn what_an_author_leaves_open_keeps_its_restricted_default() {
    defaults::what_is_left_open_keeps_its_default::<App>(&specs::app(false));
    defaults::what_is_left_open_keeps_its_default::<Registry>(&specs::registry(false));
}
