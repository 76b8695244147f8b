//! What users do, step by step, and where it must end. Between two steps the cluster comes to rest.

use super::world::{Replica, World};
use anyhow::{Context, Result, ensure};
use moorage_fake::{Faults, Server};
use serde_json::{Value, json};

/// One step of a user.
type Step = fn(&Server) -> Result<()>;

/// A few steps, the name of their story, and its end.
pub struct Scenario {
    /// For messages.
    pub name: &'static str,
    steps: &'static [Step],
    end: fn(&World) -> Result<()>,
}

/// Every scenario.
pub const ALL: &[Scenario] = &[
    SHOP,
    Scenario { name: "a new image", steps: &[create_shop, change_image], end: is_new },
    Scenario { name: "a failed rollout goes back", steps: &[create_guarded_shop, fail], end: has_gone_back },
    Scenario { name: "a former revision runs again", steps: &[create_shop, change_image, go_back], end: is_back },
    Scenario {
        name: "a former revision runs until the template changes",
        steps: &[create_shop, change_image, go_back, move_on],
        end: has_moved_on,
    },
    Scenario { name: "no port and no volume any more", steps: &[create_shop, drop_port_and_volume], end: is_pruned },
    Scenario {
        name: "an account of its own is no longer wanted",
        steps: &[create_shop, name_account],
        end: |world| ready(world, "App", "shop").and(has_no_account(world)),
    },
    Scenario {
        name: "an App goes and comes back",
        steps: &[create_shop, delete_shop, create_shop],
        end: |world| ready(world, "App", "shop").and(keeps_data(world, "shop-data", "1Gi")),
    },
    Scenario { name: "a name is used again at once", steps: &[create_shop, replace_shop], end: is_the_new_one },
    Scenario {
        name: "somebody edits and deletes children",
        steps: &[create_shop, edit_service, delete_deployment],
        end: is_repaired,
    },
    Scenario {
        name: "a Service becomes headless and gets an address again",
        steps: &[create_shop, make_headless, give_address],
        end: has_address,
    },
    Scenario {
        name: "a claim grows and is retained",
        steps: &[create_claim, grow_claim, delete_claim],
        end: |world| is_gone(world, "StorageClaim").and(keeps_data(world, "data", "2Gi")),
    },
    Scenario {
        name: "a claim goes with its volume",
        steps: &[create_doomed_claim, grow_claim, delete_claim],
        end: |world| is_gone(world, "StorageClaim").and(is_gone(world, "PersistentVolumeClaim")),
    },
    Scenario {
        name: "a policy changes there and back",
        steps: &[create_claim, doom_claim, spare_claim, delete_claim],
        end: |world| is_gone(world, "StorageClaim").and(keeps_data(world, "data", "1Gi")),
    },
    Scenario {
        name: "a retained volume is adopted",
        steps: &[create_claim, delete_claim, adopt_volume],
        end: |world| ready(world, "StorageClaim", "data").and(keeps_data(world, "data", "1Gi")),
    },
    Scenario {
        name: "a stranger's volume is adopted",
        steps: &[create_volume, consent, adopt_volume, grow_claim],
        end: |world| ready(world, "StorageClaim", "data").and(keeps_data(world, "data", "2Gi")),
    },
    Scenario {
        name: "a stranger's volume goes with the claim by its consent",
        steps: &[create_volume, consent, adopt_volume, doom_claim, delete_claim],
        end: |world| is_gone(world, "StorageClaim").and(is_gone(world, "PersistentVolumeClaim")),
    },
    Scenario {
        name: "a stranger's volume stays when it consents no more",
        steps: &[create_volume, consent, adopt_volume, refuse, doom_claim, delete_claim],
        end: |world| is_gone(world, "StorageClaim").and(keeps_data(world, "data", "1Gi")),
    },
    Scenario { name: "a Registry and its configuration", steps: &[create_registry, make_read_only], end: is_read_only },
];

/// The first one: an App with a Service and a volume.
pub const SHOP: Scenario = Scenario {
    name: "an App with a volume",
    steps: &[create_shop],
    end: |world| ready(world, "App", "shop").and(keeps_data(world, "shop-data", "1Gi")),
};

impl Scenario {
    /// Plays it in a new cluster, with an operator that meets these faults. The cluster, at rest at its right end.
    pub async fn play(&self, faults: Faults) -> Result<(World, Replica)> {
        let world = World::new();
        self.play_in(world, faults).await
    }

    /// Plays it in that cluster.
    pub async fn play_in(&self, world: World, faults: Faults) -> Result<(World, Replica)> {
        let mut replica = world.start("first", faults).await;
        for step in self.steps {
            step(&world.server)?;
            world.rest(&mut replica).await?;
        }
        (self.end)(&world).with_context(|| world.summary())?;
        Ok((world, replica))
    }
}

/// The shop.
pub fn create_shop(server: &Server) -> Result<()> {
    server
        .apply(
            "{apiVersion: moorage.dev/v1alpha1, kind: App, metadata: {name: shop, namespace: default}, spec: {
                image: 'registry.example.com/shop:1', ports: [{port: 8080}],
                volumes: [{name: data, mountPath: /data, storage: {size: 1Gi}}]}}",
        )
        .map(drop)
}

/// Its second image.
pub fn change_image(server: &Server) -> Result<()> {
    edit(server, "App", "shop", |app| app["spec"]["image"] = json!("registry.example.com/shop:2"))
}

fn is_new(world: &World) -> Result<()> {
    let deployment = world.server.get("Deployment", "default", "shop").unwrap_or_default();
    let image = &deployment["spec"]["template"]["spec"]["containers"][0]["image"];
    ensure!(image == "registry.example.com/shop:2", "{image}");
    ready(world, "App", "shop")
}

/// The first revision is asked for.
pub fn go_back(server: &Server) -> Result<()> {
    edit(server, "App", "shop", |app| app["spec"]["rollout"] = json!({"toRevision": 1}))
}

/// The image of the pods.
pub fn image(world: &World) -> String {
    let deployment = world.server.get("Deployment", "default", "shop").unwrap_or_default();
    deployment["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap_or_default().to_owned()
}

/// The first revision runs, by the `ReplicaSet` that it had.
pub fn is_back(world: &World) -> Result<()> {
    ensure!(image(world) == "registry.example.com/shop:1", "{}", image(world));
    let ready = world.condition("App", "shop", "Ready").unwrap_or_default();
    ensure!(ready["status"] == "True" && ready["reason"] == "RolledBack", "{ready}");
    let sets = world.server.list("ReplicaSet");
    ensure!(sets.len() == 2, "{} ReplicaSets", sets.len());
    Ok(())
}

/// A shop whose failed rollouts go back.
pub fn create_guarded_shop(server: &Server) -> Result<()> {
    create_shop(server)?;
    edit(server, "App", "shop", |app| app["spec"]["rollout"] = json!({"autoRollback": true}))
}

/// An image whose pods are never available.
pub fn fail(server: &Server) -> Result<()> {
    edit(server, "App", "shop", |app| app["spec"]["image"] = json!("registry.example.com/shop:never"))
}

/// The first revision runs by the `ReplicaSet` that it had, and what failed is told.
pub fn has_gone_back(world: &World) -> Result<()> {
    ensure!(image(world) == "registry.example.com/shop:1", "{}", image(world));
    for condition in ["Ready", "Stalled", "Degraded"] {
        let told = world.condition("App", "shop", condition).unwrap_or_default();
        let is_told = told["message"].as_str().is_some_and(|text| text.starts_with("revision 2 failed: "));
        ensure!(told["reason"] == "RolledBack" && is_told, "{told}");
    }
    let sets = world.server.list("ReplicaSet");
    ensure!(sets.len() == 2, "{} ReplicaSets", sets.len());
    let app = world.server.get("App", "default", "shop").unwrap_or_default();
    let failed = &app["status"]["revisions"][1];
    ensure!(failed["number"] == 2 && failed["outcome"] == "Failed", "{failed}");
    Ok(())
}

fn move_on(server: &Server) -> Result<()> {
    let sets = server.list("ReplicaSet");
    ensure!(sets.len() == 2, "{} ReplicaSets", sets.len());
    edit(server, "App", "shop", |app| app["spec"]["image"] = json!("registry.example.com/shop:3"))
}

fn has_moved_on(world: &World) -> Result<()> {
    ensure!(image(world) == "registry.example.com/shop:3", "{}", image(world));
    let ready = world.condition("App", "shop", "Ready").unwrap_or_default();
    ensure!(ready["message"].as_str().is_some_and(|text| text.contains("toRevision: 1 was for an earlier")), "{ready}");
    self::ready(world, "App", "shop")
}

fn make_headless(server: &Server) -> Result<()> {
    edit(server, "App", "shop", |app| app["spec"]["service"] = json!({"headless": true}))
}

fn give_address(server: &Server) -> Result<()> {
    let service = server.get("Service", "default", "shop").unwrap_or_default();
    ensure!(service["spec"]["clusterIP"] == "None", "it never became headless: {service}");
    edit(server, "App", "shop", |app| app["spec"]["service"] = json!({}))
}

fn has_address(world: &World) -> Result<()> {
    let service = world.server.get("Service", "default", "shop").unwrap_or_default();
    ensure!(service["spec"]["clusterIP"] != "None" && service["spec"]["clusterIP"].is_string(), "{service}");
    keeps_data(world, "shop-data", "1Gi")?;
    ready(world, "App", "shop")
}

fn name_account(server: &Server) -> Result<()> {
    edit(server, "App", "shop", |app| app["spec"]["serviceAccount"] = json!({"name": "builder"}))
}

fn has_no_account(world: &World) -> Result<()> {
    ensure!(!world.has("ServiceAccount", "shop"), "ServiceAccount shop is there");
    Ok(())
}

fn drop_port_and_volume(server: &Server) -> Result<()> {
    edit(server, "App", "shop", |app| {
        let spec = app["spec"].as_object_mut().unwrap();
        spec.remove("ports");
        spec.remove("volumes");
    })
}

fn is_pruned(world: &World) -> Result<()> {
    ensure!(!world.has("Service", "shop"), "Service shop is there");
    keeps_data(world, "shop-data", "1Gi")?;
    ready(world, "App", "shop")
}

fn delete_shop(server: &Server) -> Result<()> {
    server.delete("App", "default", "shop")
}

fn replace_shop(server: &Server) -> Result<()> {
    delete_shop(server)?;
    create_shop(server)
}

fn is_the_new_one(world: &World) -> Result<()> {
    let get = |kind: &str| world.server.get(kind, "default", "shop").with_context(|| format!("no {kind} shop"));
    let app = get("App")?;
    for kind in ["Deployment", "Service", "ServiceAccount"] {
        let owners = &get(kind)?["metadata"]["ownerReferences"];
        ensure!(owners[0]["uid"] == app["metadata"]["uid"], "{kind} belongs to {owners}");
    }
    keeps_data(world, "shop-data", "1Gi")?;
    ready(world, "App", "shop")
}

fn edit_service(server: &Server) -> Result<()> {
    edit(server, "Service", "shop", |service| service["spec"]["selector"] = json!({"moorage.dev/app": "other"}))
}

fn delete_deployment(server: &Server) -> Result<()> {
    server.delete("Deployment", "default", "shop")
}

fn is_repaired(world: &World) -> Result<()> {
    let service = world.server.get("Service", "default", "shop").unwrap_or_default();
    ensure!(service["spec"]["selector"] == json!({"moorage.dev/app": "shop"}), "{service}");
    ready(world, "App", "shop")
}

fn create_claim(server: &Server) -> Result<()> {
    claim(server, "Retain", false)
}

fn create_doomed_claim(server: &Server) -> Result<()> {
    claim(server, "Delete", false)
}

/// A claim that asks for the volume of its name.
pub fn adopt_volume(server: &Server) -> Result<()> {
    claim(server, "Retain", true)
}

fn claim(server: &Server, policy: &str, adopt: bool) -> Result<()> {
    server
        .apply_as(
            "kubectl",
            json!({
                "apiVersion": "moorage.dev/v1alpha1", "kind": "StorageClaim", "metadata": {"name": "data", "namespace": "default"},
                "spec": {"size": "1Gi", "storageClassName": "standard", "deletionPolicy": policy, "adopt": adopt},
            }),
        )
        .map(drop)
}

/// A volume that nobody controls.
pub fn create_volume(server: &Server) -> Result<()> {
    server
        .apply(
            "{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: data, namespace: default}, spec: {
                accessModes: [ReadWriteOnce], storageClassName: standard, resources: {requests: {storage: 1Gi}}}}",
        )
        .map(drop)
}

/// The volume's owner lets the claim have it.
pub fn consent(server: &Server) -> Result<()> {
    edit(server, "PersistentVolumeClaim", "data", |volume| {
        volume["metadata"]["annotations"]["moorage.dev/adoptable"] = json!("data");
    })
}

/// And no longer.
pub fn refuse(server: &Server) -> Result<()> {
    edit(server, "PersistentVolumeClaim", "data", |volume| {
        volume["metadata"]["annotations"]["moorage.dev/adoptable"] = json!("another");
    })
}

/// The claim is edited.
pub fn grow_claim(server: &Server) -> Result<()> {
    edit(server, "StorageClaim", "data", |claim| claim["spec"]["size"] = json!("2Gi"))
}

fn doom_claim(server: &Server) -> Result<()> {
    edit(server, "StorageClaim", "data", |claim| claim["spec"]["deletionPolicy"] = json!("Delete"))
}

fn spare_claim(server: &Server) -> Result<()> {
    edit(server, "StorageClaim", "data", |claim| claim["spec"]["deletionPolicy"] = json!("Retain"))
}

fn delete_claim(server: &Server) -> Result<()> {
    server.delete("StorageClaim", "default", "data")
}

fn create_registry(server: &Server) -> Result<()> {
    server
        .apply(
            "{apiVersion: moorage.dev/v1alpha1, kind: Registry, metadata: {name: images, namespace: default},
              spec: {storage: {volume: {size: 1Gi}}}}",
        )
        .map(drop)
}

fn make_read_only(server: &Server) -> Result<()> {
    edit(server, "Registry", "images", |registry| registry["spec"]["readOnly"] = json!(true))
}

fn is_read_only(world: &World) -> Result<()> {
    let configurations = world.server.list("ConfigMap");
    let text = configurations.iter().map(|map| map["data"].to_string()).collect::<String>();
    ensure!(text.contains("readonly"), "{text}");
    ready(world, "Registry", "images")
}

fn ready(world: &World, kind: &str, name: &str) -> Result<()> {
    world.expect_ready(kind, name)
}

fn is_gone(world: &World, kind: &str) -> Result<()> {
    ensure!(!world.has(kind, "data"), "{kind} data is there");
    Ok(())
}

/// The volume is there, of that size, and never was another one.
fn keeps_data(world: &World, name: &str, size: &str) -> Result<()> {
    let volume = world.server.get("PersistentVolumeClaim", "default", name).context("the volume is gone")?;
    let capacity = &volume["status"]["capacity"]["storage"];
    ensure!(capacity == size && volume["metadata"]["deletionTimestamp"].is_null(), "{volume}");
    let deleted =
        |entry: &moorage_fake::Entry| entry.call.verb == "delete" && entry.call.resource == "persistentvolumeclaims";
    ensure!(world.server.count_requests(deleted) == 0, "it was deleted and made again");
    Ok(())
}

fn edit(server: &Server, kind: &str, name: &str, change: fn(&mut Value)) -> Result<()> {
    server.edit_as("kubectl", kind, "default", name, change).map(drop)
}
