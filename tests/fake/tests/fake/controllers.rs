//! The stand-ins for the cluster's controllers.

use std::time::Duration;

use anyhow::{Context, Result};
use moorage_fake::Server;
use serde_json::{Value, json};

use crate::{config_map, deployment};

fn claim(name: &str, class: &Value) -> Value {
    let mut claim = json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name, "namespace": "default"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    });
    if !class.is_null() {
        claim["spec"]["storageClassName"] = class.clone();
    }
    claim
}

fn owned(name: &str, owner: &Value) -> Value {
    let mut object = config_map(name, "x", "1");
    object["metadata"]["ownerReferences"] = json!([{
        "apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"], "controller": true, "blockOwnerDeletion": true,
    }]);
    object
}

fn get(server: &Server, kind: &str, name: &str) -> Option<Value> {
    server.get(kind, "default", name)
}

#[test]
fn workloads_roll_out_and_stay_quiet() -> Result<()> {
    let server = Server::new();
    server.create(deployment("web", "a:1"))?;
    assert_eq!(server.settle(), 1);
    let settled = get(&server, "Deployment", "web").context("web")?;
    assert_eq!(settled["status"]["availableReplicas"], 2);
    assert_eq!(settled["status"]["observedGeneration"], settled["metadata"]["generation"]);
    assert_eq!(settled["status"]["conditions"][1]["reason"], "NewReplicaSetAvailable");
    assert_eq!(server.settle(), 0, "a settled workload is not written again");

    let image = |object: &mut Value| {
        object["spec"]["template"]["spec"]["containers"][0]["image"] = json!("a:2");
    };
    server.edit("Deployment", "default", "web", image)?;
    assert_eq!(server.settle(), 1);
    let settled = get(&server, "Deployment", "web").context("web")?;
    assert_eq!(settled["metadata"]["annotations"]["deployment.kubernetes.io/revision"], "2");
    assert_eq!((&settled["metadata"]["generation"], &settled["status"]["observedGeneration"]), (&json!(2), &json!(2)));
    Ok(())
}

#[test]
fn claims_bind_where_their_class_exists_and_grow() -> Result<()> {
    let server = Server::new();
    server.create(claim("data", &Value::Null))?;
    server.create(claim("lost", &json!("no-such-class")))?;
    assert_eq!(server.bind_claims(), 1);
    let bound = get(&server, "PersistentVolumeClaim", "data").context("data")?;
    assert_eq!((&bound["status"]["phase"], &bound["spec"]["storageClassName"]), (&json!("Bound"), &json!("standard")));
    assert_eq!(get(&server, "PersistentVolumeClaim", "lost").context("lost")?["status"]["phase"], "Pending");

    let grow = |object: &mut Value| object["spec"]["resources"]["requests"]["storage"] = json!("2048Mi");
    server.edit("PersistentVolumeClaim", "default", "data", grow)?;
    server.bind_claims();
    let grown = get(&server, "PersistentVolumeClaim", "data").context("data")?;
    assert_eq!(grown["status"]["capacity"]["storage"], "2Gi");
    assert_eq!(server.bind_claims(), 0);
    Ok(())
}

#[test]
fn a_mounted_claim_outlives_its_deletion() -> Result<()> {
    let server = Server::new();
    server.create(claim("data", &Value::Null))?;
    server.create(deployment("web", "a:1"))?;
    server.delete("PersistentVolumeClaim", "default", "data")?;
    server.step();
    assert!(get(&server, "PersistentVolumeClaim", "data").is_some());
    server.delete("Deployment", "default", "web")?;
    server.step();
    assert!(get(&server, "PersistentVolumeClaim", "data").is_none());
    Ok(())
}

#[test]
fn dependents_follow_their_owner_as_the_policy_says() -> Result<()> {
    for (policy, owner_at_once, dependent_stays) in
        [("Background", false, false), ("Foreground", true, false), ("Orphan", true, true)]
    {
        let server = Server::new();
        let owner = server.create(config_map("owner", "x", "1"))?;
        server.create(owned("child", &owner))?;
        server.create(owned(
            "impostor",
            &json!({
                "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "owner", "uid": "another"},
            }),
        ))?;
        server.delete_with("ConfigMap", "default", "owner", policy)?;
        assert_eq!(get(&server, "ConfigMap", "owner").is_some(), owner_at_once, "{policy}");
        server.step();
        assert!(get(&server, "ConfigMap", "owner").is_none(), "{policy}");
        assert_eq!(get(&server, "ConfigMap", "child").is_some(), dependent_stays, "{policy}");
        assert!(get(&server, "ConfigMap", "impostor").is_none(), "an owner is known by its uid");
    }
    Ok(())
}

#[test]
fn a_deleted_namespace_takes_its_content_along() -> Result<()> {
    let server = Server::new();
    let mut object = config_map("a", "x", "1");
    object["metadata"]["namespace"] = json!("team");
    server.create(object)?;
    server.delete("Namespace", "", "team")?;
    assert_eq!(server.get("Namespace", "", "team").context("team")?["status"]["phase"], "Terminating");
    server.step();
    assert!(server.get("Namespace", "", "team").is_none());
    assert!(server.get("ConfigMap", "team", "a").is_none());
    Ok(())
}

#[test]
fn a_finalizer_holds_an_object_until_it_is_gone() -> Result<()> {
    let server = Server::new();
    let mut object = config_map("a", "x", "1");
    object["metadata"]["finalizers"] = json!(["moorage.dev/x"]);
    server.create(object)?;
    server.delete("ConfigMap", "default", "a")?;
    server.step();
    let held = get(&server, "ConfigMap", "a").context("a")?;
    assert!(held["metadata"]["deletionTimestamp"].is_string());
    server.edit("ConfigMap", "default", "a", |object| {
        object["metadata"]["finalizers"] = json!([]);
    })?;
    assert!(get(&server, "ConfigMap", "a").is_none());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn left_to_run_they_follow_every_change() -> Result<()> {
    let server = Server::new();
    let running = server.run_controllers(Duration::from_millis(10));
    for image in ["a:1", "a:2"] {
        server.apply_as("m", deployment("web", image))?;
        server
            .until(Duration::from_secs(5), |server| {
                let web = get(server, "Deployment", "web").unwrap_or_default();
                web["status"]["observedGeneration"] == web["metadata"]["generation"]
                    && !web["status"]["conditions"].is_null()
            })
            .await?;
    }
    running.abort();
    Ok(())
}
