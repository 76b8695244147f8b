//! The rig itself: it starts, runs pods and volumes, records who did what, and leaves nothing behind.

use std::{path::Path, time::Duration};

use anyhow::{Result, bail, ensure};
use moorage_harness::{ControlPlane, Options, eventually};
use serde_json::Value;

const DEADLINE: Duration = Duration::from_mins(1);

const WORKLOAD: &str = r"
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: web, image: example.com/web:1}]
      volumes:
        - {name: data, persistentVolumeClaim: {claimName: lazy}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec:
  accessModes: [ReadWriteOnce]
  resources: {requests: {storage: 1Gi}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: lazy}
spec:
  storageClassName: kwok-wait
  accessModes: [ReadWriteMany]
  resources: {requests: {storage: 1Gi}}
";

async fn wait_for(
    rig: &ControlPlane,
    (api, kind, name): (&str, &str, &str),
    pointer: &str,
    wanted: Value,
) -> Result<()> {
    let what = format!("{kind} {name} to have {pointer} = {wanted}");
    eventually(DEADLINE, &what, || async {
        let object = rig.get(api, kind, "default", name).await?;
        let seen = object.and_then(|object| object.data.pointer(pointer).cloned());
        if seen.as_ref() != Some(&wanted) {
            bail!("{seen:?}");
        }
        Ok(Some(()))
    })
    .await
}

#[tokio::test]
async fn pods_run_volumes_bind_and_nothing_stays() -> Result<()> {
    let rig = ControlPlane::start(Options::default()).await?;
    println!("ready after {:?}", rig.start_time());
    ensure!(rig.start_time() < Duration::from_mins(1));
    let (pids, work) = (rig.pids(), rig.work_dir().to_owned());
    assert_eq!(pids.len(), 5);

    workload(&rig).await?;
    growth(&rig).await?;
    audit(&rig).await?;
    faults(&rig).await?;

    let restarted = rig.pids();
    drop(rig);
    for pid in pids.into_iter().chain(restarted) {
        ensure!(!Path::new(&format!("/proc/{pid}")).exists(), "{pid} lives");
    }
    ensure!(!work.exists(), "{} stays", work.display());
    Ok(())
}

async fn workload(rig: &ControlPlane) -> Result<()> {
    let begin = std::time::Instant::now();
    rig.apply(WORKLOAD, "default").await?;
    let deployment = ("apps/v1", "Deployment", "web");
    wait_for(rig, deployment, "/status/readyReplicas", 3.into()).await?;
    println!("three replicas ready after {:?}", begin.elapsed());
    for claim in ["data", "lazy"] {
        let claim = ("v1", "PersistentVolumeClaim", claim);
        wait_for(rig, claim, "/status/phase", "Bound".into()).await?;
    }
    println!("claims bound after {:?}", begin.elapsed());
    Ok(())
}

async fn growth(rig: &ControlPlane) -> Result<()> {
    rig.apply(&WORKLOAD.replace("1Gi", "2Gi"), "default").await?;
    let claim = ("v1", "PersistentVolumeClaim", "data");
    wait_for(rig, claim, "/status/capacity/storage", "2Gi".into()).await
}

async fn audit(rig: &ControlPlane) -> Result<()> {
    let log = rig.audit();
    let created = eventually(DEADLINE, "the Deployment's audit event", || async {
        let mut events = log.events()?;
        events.retain(|event| event.name == "web" && event.is_write() && event.user == "admin");
        Ok(events.into_iter().next())
    })
    .await?;
    assert_eq!(created.summary(), "patch deployments default/web -> 201");
    let sent = created.request_object.unwrap_or_default();
    assert_eq!(sent["spec"]["replicas"], 3);
    let answered = created.response_object.unwrap_or_default();
    assert_eq!(answered["metadata"]["generation"], 1);

    let mark = log.mark()?;
    rig.run_kubectl(&["create", "configmap", "later"]).await?;
    let later = eventually(DEADLINE, "the ConfigMap's audit event", || async {
        let events = log.by_user("admin", mark)?;
        Ok(events.into_iter().find(|event| event.name == "later"))
    })
    .await?;
    assert!(later.user_agent.starts_with("kubectl"), "{later:?}");
    Ok(())
}

async fn faults(rig: &ControlPlane) -> Result<()> {
    let begin = std::time::Instant::now();
    rig.restart("kube-apiserver").await?;
    println!("apiserver back after {:?}", begin.elapsed());
    rig.kill("kwok")?;
    rig.kill("kube-controller-manager")?;
    rig.resume("kube-controller-manager").await?;
    rig.resume("kwok").await?;
    rig.run_kubectl(&["scale", "deployment/web", "--replicas=4"]).await?;
    let deployment = ("apps/v1", "Deployment", "web");
    wait_for(rig, deployment, "/status/readyReplicas", 4.into()).await?;
    println!("fourth replica ready after {:?}", begin.elapsed());
    Ok(())
}
