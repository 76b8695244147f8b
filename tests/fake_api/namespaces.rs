//! Of several namespaces each is seen by watches of its own: what one's tell, or can't, is nothing to another's.

use super::watches::WEB;
use super::world::{Replica, World, is_lease, settings};
use anyhow::{Context, Result, ensure};
use moorage_fake::{Call, Entry, Fault, Faults};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::sleep;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// An App with a Service and a volume, and a claim whose volume can't be made.
const OBJECTS: [&str; 2] = [
    "{apiVersion: moorage.dev/v1alpha1, kind: App, metadata: {name: web},
      spec: {image: 'web:1', ports: [{port: 80}], volumes: [{name: data, mountPath: /data, storage: {size: 1Gi}}]}}",
    "{apiVersion: moorage.dev/v1alpha1, kind: StorageClaim, metadata: {name: tape},
      spec: {size: 1Gi, storageClassName: tape}}",
];

/// Starts an operator that watches `shop` and `blog`.
async fn start(world: &World, name: &str, faults: Faults) -> Replica {
    let mut settings = settings(name);
    settings.watch_namespace = vec!["shop".to_owned(), "blog".to_owned()];
    Replica::start_with(&world.server, &settings, faults).await
}

/// Applies an object of that namespace.
fn apply(world: &World, namespace: &str, manifest: &str) -> Result<Value> {
    let place = format!("metadata: {{namespace: {namespace}, ");
    world.server.apply(&manifest.replace(", namespace: default", "").replace("metadata: {", &place))
}

fn is_ready(world: &World, namespace: &str) -> bool {
    let app = world.server.get("App", namespace, "web").unwrap_or_default();
    let conditions = app["status"]["conditions"].as_array().into_iter().flatten();
    conditions.into_iter().any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

fn is_in(call: &Call, namespace: &str) -> bool {
    call.namespace.as_deref() == Some(namespace)
}

fn is_read(call: &Call) -> bool {
    matches!(call.verb.as_str(), "list" | "watch")
}

/// Every list and watch in `blog` of these resources, or of all if there are none, meets that fault.
fn blog(fault: Fault, plurals: &'static [&str]) -> Faults {
    Faults::new(move |call| {
        let hit = is_in(call, "blog") && is_read(call);
        let hit = hit && (plurals.is_empty() || plurals.contains(&call.resource.as_str()));
        if hit { fault.clone() } else { Fault::None }
    })
}

fn leader(world: &World) -> Option<String> {
    let lease = world.server.get("Lease", "moorage-system", "moorage")?;
    lease["spec"]["holderIdentity"].as_str().map(str::to_owned)
}

/// Two namespaces are worked on, a third is not even looked at; at rest that costs nothing, and a restart writes nothing.
#[tokio::test(start_paused = true)]
async fn these_namespaces_are_worked_on_and_no_other() -> Result<()> {
    let world = World::new();
    let mut first = start(&world, "first", Faults::default()).await;
    for namespace in ["shop", "blog", "other"] {
        apply(&world, namespace, OBJECTS[0])?;
    }
    world.rest(&mut first).await?;
    ensure!(is_ready(&world, "shop") && is_ready(&world, "blog"), "{}", world.summary());
    ensure!(world.server.get("Deployment", "other", "web").is_none(), "it works where it does not watch");
    let mark = world.server.request_count();
    sleep(10 * MINUTE).await;
    let quiet = |entry: &Entry| is_lease(&entry.call) || entry.call.verb == "watch";
    let noise: Vec<Entry> = world.server.requests().split_off(mark).into_iter().filter(|entry| !quiet(entry)).collect();
    ensure!(noise.is_empty(), "{}", world.summary());
    first.stop().await;
    let mark = world.server.request_count();
    let mut next = start(&world, "next", Faults::default()).await;
    world.rest(&mut next).await?;
    let requests = world.server.requests().split_off(mark);
    let mut lists: Vec<String> = Vec::new();
    for Entry { call, .. } in requests.iter().filter(|entry| !is_lease(&entry.call)) {
        ensure!(!call.is_write(), "{} in {:?}", call.summary(), call.namespace);
        if call.verb == "list" {
            let namespace = call.namespace.clone().unwrap_or_else(|| "everywhere".to_owned());
            lists.push(format!("{} {namespace}", call.resource));
        }
    }
    let lives_in_none =
        |list: &str| ["storageclasses everywhere", "customresourcedefinitions everywhere"].contains(&list);
    ensure!(lists.iter().all(|list| !list.ends_with("everywhere") || lives_in_none(list)), "{lists:?}");
    for list in ["apps shop", "apps blog", "pods shop", "pods blog", "storageclasses everywhere"] {
        ensure!(lists.iter().filter(|other| *other == list).count() == 1, "{list}: {lists:?}");
    }
    Ok(())
}

/// Everything that a watch can show lies in both namespaces. When only one of them can be listed again, of the other nothing is
/// forgotten: nothing of it is asked for or told anew, and it is still worked on.
#[tokio::test(start_paused = true)]
async fn a_list_of_one_namespace_forgets_nothing_of_another() -> Result<()> {
    const PLURALS: [&str; 8] = [
        "apps",
        "storageclaims",
        "serviceaccounts",
        "persistentvolumeclaims",
        "deployments",
        "services",
        "pods",
        "events",
    ];
    for plural in PLURALS {
        let world = World::new();
        // Without classes, a claim says what the driver complained of.
        let mut replica = start(&world, "first", Faults::on("", "storageclasses", Fault::Status(403))).await;
        for furnish in [furnish, complain] {
            ["shop", "blog"].into_iter().try_for_each(|namespace| furnish(&world, namespace))?;
            world.rest(&mut replica).await?;
        }
        let troubles = || (status(&world, "App", "web"), status(&world, "StorageClaim", "tape"));
        let told = troubles();
        ensure!(told.0.contains("ErrImagePull") && told.1.contains("the robot is stuck"), "{told:?}");
        replica.endpoint.set_faults(Faults::new(move |call| match call.resource.as_str() {
            "storageclasses" => Fault::Status(403),
            resource if resource == plural && is_in(call, "blog") && is_read(call) => Fault::Status(503),
            _ => Fault::None,
        }));
        let mark = world.server.request_count();
        world.server.break_watches();
        world.server.compact();
        sleep(MINUTE).await;
        let requests = world.server.requests().split_off(mark);
        let listed = |namespace: &str| {
            let list = |entry: &&Entry| entry.call.summary() == format!("list {plural}") && entry.code == Some(200);
            requests.iter().filter(list).any(|entry| is_in(&entry.call, namespace))
        };
        ensure!(listed("shop") && !listed("blog"), "{plural}: {}", world.summary());
        let asked: Vec<String> = requests
            .iter()
            .filter(|entry| is_in(&entry.call, "blog") && !is_read(&entry.call))
            .map(|entry| entry.call.summary())
            .collect();
        ensure!(asked.is_empty(), "{plural}: {asked:?}");
        ensure!(troubles() == told, "{plural}: {told:?} became {:?}", troubles());
        let strange = json!({"moorage.dev/app": "other"});
        if plural != "services" {
            world.server.edit("Service", "blog", "web", |service| service["spec"]["selector"] = strange.clone())?;
        }
        if plural != "persistentvolumeclaims" {
            world.server.edit("PersistentVolumeClaim", "blog", "tape", |claim| {
                claim["metadata"]["labels"]["app.kubernetes.io/name"] = json!("other");
            })?;
        }
        sleep(30 * SECOND).await;
        let service = world.server.get("Service", "blog", "web").unwrap_or_default();
        ensure!(service["spec"]["selector"] != strange, "{plural}: the App is not worked on\n{}", world.summary());
        let claim = world.server.get("PersistentVolumeClaim", "blog", "tape").unwrap_or_default();
        let label = &claim["metadata"]["labels"]["app.kubernetes.io/name"];
        ensure!(label != "other", "{plural}: the claim is not worked on\n{}", world.summary());
    }
    Ok(())
}

/// The objects, with a pod that can't pull its image.
fn furnish(world: &World, namespace: &str) -> Result<()> {
    for manifest in OBJECTS {
        apply(world, namespace, manifest)?;
    }
    let set = json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "web-1a", "namespace": namespace},
        "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}}}},
    });
    let set = world.server.apply_as("test", set)?;
    let waiting = json!({"waiting": {"reason": "ErrImagePull", "message": "no such image"}});
    world.server.create(json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": "web-1a-x", "namespace": namespace,
            "labels": {"app.kubernetes.io/managed-by": "moorage", "moorage.dev/app": "web", "pod-template-hash": "1a"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-1a",
                "uid": set["metadata"]["uid"], "controller": true}],
        },
        "spec": {"containers": [{"name": "web", "image": "web"}]},
        "status": {"containerStatuses": [{"name": "web", "ready": false, "state": waiting}]},
    }))?;
    Ok(())
}

/// The storage driver complains of a claim.
fn complain(world: &World, namespace: &str) -> Result<()> {
    let claim = world.server.get("PersistentVolumeClaim", namespace, "tape").unwrap_or_default();
    let uid = &claim["metadata"]["uid"];
    world.server.create(json!({
        "apiVersion": "v1", "kind": "Event", "metadata": {"name": "tape.1", "namespace": namespace},
        "involvedObject": {"kind": "PersistentVolumeClaim", "name": "tape", "namespace": namespace, "uid": uid},
        "reason": "ProvisioningFailed", "type": "Warning", "message": "the robot is stuck",
    }))?;
    Ok(())
}

fn status(world: &World, kind: &str, name: &str) -> String {
    world.server.get(kind, "blog", name).unwrap_or_default()["status"].to_string()
}

/// A watch tells in the order of versions what happens in its own namespace only. That another is further does not make the
/// answer to a creation one about an object that is gone.
#[tokio::test(start_paused = true)]
async fn how_far_one_namespace_is_says_nothing_of_another() -> Result<()> {
    let world = World::new();
    let mut replica = start(&world, "first", Faults::default()).await;
    world.rest(&mut replica).await?;
    replica.endpoint.set_faults(Faults::new(|call| match (call.verb.as_str(), call.resource.as_str()) {
        ("watch", "deployments") if is_in(call, "blog") => Fault::Stall(10 * MINUTE),
        ("patch", "deployments") if is_in(call, "blog") => Fault::Late(4 * SECOND),
        _ => Fault::None,
    }));
    world.server.break_watches();
    sleep(5 * SECOND).await;
    apply(&world, "blog", WEB)?;
    sleep(SECOND).await;
    ensure!(world.server.get("Deployment", "blog", "web").is_some(), "{}", world.summary());
    apply(&world, "shop", WEB)?;
    sleep(MINUTE).await;
    ensure!(is_ready(&world, "shop"), "{}", world.summary());
    let asked = |entry: &Entry| entry.call.resource == "deployments" && is_in(&entry.call, "blog");
    let asked: Vec<String> =
        world.work().iter().filter(|entry| asked(entry)).map(|entry| entry.call.summary()).collect();
    ensure!(asked == ["list deployments", "patch deployments"], "{asked:?}");
    Ok(())
}

/// Whatever is wrong with the watches of a namespace, from the start or later: the others are worked on by the same leader, and
/// `/readyz` names it. Nothing is written where not everything is seen; what was wanted there meanwhile is done when it is.
#[tokio::test(start_paused = true)]
async fn a_namespace_that_cannot_be_seen_harms_no_other() -> Result<()> {
    let faults = [Fault::Status(403), Fault::Status(500), Fault::Hang, Fault::DropBefore];
    for (fault, plurals) in faults.into_iter().flat_map(|fault| [(fault.clone(), &[][..]), (fault, &["services"][..])])
    {
        for from_the_start in [false, true] {
            let case = format!("{fault:?} of {plurals:?} from the start: {from_the_start}");
            one_is_unseen(fault.clone(), plurals, from_the_start).await.context(case)?;
        }
    }
    Ok(())
}

async fn one_is_unseen(fault: Fault, plurals: &'static [&'static str], from_the_start: bool) -> Result<()> {
    let world = World::new();
    let refused = blog(fault, plurals);
    let mut replica = start(&world, "first", if from_the_start { refused.clone() } else { Faults::default() }).await;
    if !from_the_start {
        apply(&world, "blog", WEB)?;
        world.rest(&mut replica).await?;
        ensure!(is_ready(&world, "blog"), "{}", world.summary());
        replica.endpoint.set_faults(refused);
        world.server.break_watches();
    }
    sleep(4 * MINUTE).await;
    let sight = replica.health.sight();
    let unseen: Vec<String> = sight.unseen.into_values().flatten().collect();
    ensure!(sight.missing.is_empty() && unseen.iter().all(|line| line.contains(" in blog: ")), "{:?}", sight.missing);
    ensure!(unseen.iter().any(|line| line.starts_with(plurals.first().unwrap_or(&"apps"))), "{unseen:?}");
    let before = world.server.get("Deployment", "blog", "web");
    apply(&world, "blog", &WEB.replace("web:1", "web:2"))?;
    apply(&world, "shop", WEB)?;
    sleep(30 * SECOND).await;
    ensure!(is_ready(&world, "shop"), "{}", world.summary());
    ensure!(world.server.get("Deployment", "blog", "web") == before, "it writes where it can't see");
    ensure!(replica.health.stuck().is_empty(), "{:?}", replica.health.stuck());
    ensure!(leader(&world).as_deref() == Some("first"), "{:?} leads", leader(&world));
    replica.endpoint.set_faults(Faults::default());
    sleep(2 * MINUTE).await;
    ensure!(replica.health.sight().unseen.is_empty(), "{:?}", replica.health.sight());
    let image =
        |object: Option<Value>| object.map(|made| made["spec"]["template"]["spec"]["containers"][0]["image"].clone());
    ensure!(image(world.server.get("Deployment", "blog", "web")) == Some(json!("web:2")), "{}", world.summary());
    ensure!(is_ready(&world, "blog"), "{}", world.summary());
    Ok(())
}

/// Who sees none of its namespaces does not lead, and says why for each.
#[tokio::test(start_paused = true)]
async fn who_sees_no_namespace_does_not_lead() -> Result<()> {
    let world = World::new();
    let refuse = |call: &Call| if is_read(call) && !is_lease(call) { Fault::Status(403) } else { Fault::None };
    let replica = start(&world, "first", Faults::new(refuse)).await;
    sleep(MINUTE).await;
    ensure!(leader(&world).is_none(), "{:?} leads", leader(&world));
    let missing = replica.health.sight().missing.join("; ");
    ensure!(missing.contains("apps in blog: ") && missing.contains("apps in shop: "), "{missing}");
    Ok(())
}
