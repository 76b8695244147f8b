//! Snapshots of equal clusters are equal, however they came about.

use anyhow::Result;
use moorage_fake::Server;
use serde_json::json;

use crate::{config_map, deployment};

#[tokio::test(start_paused = true)]
async fn the_way_to_a_state_does_not_show() -> Result<()> {
    let build = |detour: bool| -> Result<Server> {
        let server = Server::new();
        if detour {
            server.create(config_map("gone", "x", "1"))?;
            server.delete("ConfigMap", "default", "gone")?;
            server.apply_as("m", deployment("web", "a:0"))?;
            server.settle();
        }
        let web = server.apply_as("m", deployment("web", "a:1"))?;
        let mut child = config_map("child", "x", "1");
        child["metadata"]["ownerReferences"] = json!([{
            "apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": web["metadata"]["uid"],
        }]);
        server.apply_as("m", child)?;
        Ok(server)
    };
    let (straight, detour) = (build(false)?, build(true)?);
    tokio::time::advance(std::time::Duration::from_secs(100)).await;
    assert_ne!(straight.snapshot(), detour.snapshot(), "one has been rolled out");
    for server in [&straight, &detour] {
        server.edit("Deployment", "default", "web", |web| {
            web["metadata"]["annotations"] = json!({"deployment.kubernetes.io/revision": "1"});
            web["status"] = json!({"observedGeneration": web["metadata"]["generation"]});
        })?;
    }
    let (mut left, mut right) = (straight.snapshot(), detour.snapshot());
    for snapshot in [&mut left, &mut right] {
        let web = snapshot.get_mut("Deployment.apps/default/web").expect("the Deployment is there");
        assert_eq!(web["status"]["observedGeneration"], "current");
        // Whoever wrote the revision first owns it, and former revisions are kept; that much history remains.
        web["metadata"]["managedFields"] = json!(null);
        snapshot.retain(|object, _| !object.starts_with("ReplicaSet."));
    }
    assert_eq!(left, right);
    let owner = &left["ConfigMap/default/child"]["metadata"]["ownerReferences"][0]["uid"];
    assert_eq!(owner, "<uid of Deployment.apps/default/web>");
    Ok(())
}
