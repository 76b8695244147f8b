//! What a kubelet finds wrong reaches the App's status in its own words.

use crate::support::*;
use anyhow::{Context, Result, ensure};
use moorage_harness::eventually;
use moorage_harness::node::NodeCluster;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How much later than the pod's own status the App may tell a problem.
const LATEST: Duration = Duration::from_secs(5);

pub async fn a_mistyped_image_is_named_within_five_seconds(cluster: Arc<NodeCluster>) -> Result<()> {
    namespace(&cluster, "typo").await?;
    let app = WEB.replace("team/web:1.4", "rhel8/postgresq-13:1");
    cluster.apply(&app, "typo").await?;
    eventually(DEADLINE, "a pod to say that its image is not there", || async {
        let pods = pods(&cluster, "typo", "web").await?;
        Ok(pods.iter().any(waits_for_image).then_some(()))
    })
    .await?;
    let since = Instant::now();
    let app = until(&cluster, ("typo", "web"), "to say so too", |app| problem(app, IMAGE_REASONS).is_some()).await?;
    let took = since.elapsed();
    ensure!(took <= LATEST, "it took {took:?}");
    let problem = problem(&app, IMAGE_REASONS).context("no problem")?;
    let message = problem["message"].as_str().unwrap_or_default();
    ensure!(message.contains("postgresq-13:1") && message.contains("not found"), "the message is {message}");
    let degraded = condition(&app, "Degraded");
    let said = degraded["message"].as_str().unwrap_or_default();
    let pod = problem["pod"].as_str().context("no pod is named")?;
    ensure!(degraded["status"] == "True" && said.contains(pod), "Degraded is {degraded}");
    cluster.apply(WEB, "typo").await?;
    recovers(&cluster, "typo").await
}

pub async fn a_crash_degrades_and_the_rest_serves(cluster: Arc<NodeCluster>) -> Result<()> {
    namespace(&cluster, "crash").await?;
    cluster.apply(&WEB.replace("replicas: 2", "replicas: 3"), "crash").await?;
    ready(&cluster, "crash", "web").await?;
    let pods = pods(&cluster, "crash", "web").await?;
    let victim = name(&pods[0]);
    exec(&cluster, "crash", victim, &["sh", "-c", "echo 3 >/scratch/crash"]).await?;
    let reasons = &["CrashLoopBackOff", "ContainerFailed"];
    let app = until(&cluster, ("crash", "web"), "to be Degraded", |app| {
        condition(app, "Degraded")["status"] == "True" && problem(app, reasons).is_some()
    })
    .await?;
    let problem = problem(&app, reasons).context("no problem")?;
    ensure!(problem["pod"] == victim && problem["exitCode"] == 3, "the problem is {problem}");
    ensure!(condition(&app, "Available")["status"] == "True", "the status is {}", app["status"]);
    answers(&cluster, "crash", "web", "").await
}

pub async fn a_release_that_crashes_goes_back_by_itself(cluster: Arc<NodeCluster>) -> Result<()> {
    namespace(&cluster, "back").await?;
    let guarded = "replicas: 2\n  rollout: {autoRollback: true, progressDeadlineSeconds: 10}";
    let app = WEB.replace("replicas: 2", guarded);
    cluster.apply(&app, "back").await?;
    ready(&cluster, "back", "web").await?;
    let before = identities(&cluster, "back", "web").await?;
    cluster.apply(&format!("{app}  command: [sh, -c, exit 3]\n"), "back").await?;
    let app = until(&cluster, ("back", "web"), "to be rolled back", |app| {
        condition(app, "Degraded")["reason"] == "RolledBack" && app["status"]["updatedReplicas"] == 2
    })
    .await?;
    let said = condition(&app, "Ready")["message"].clone();
    let said = said.as_str().unwrap_or_default();
    ensure!(said.starts_with("revision 2 failed: pod web-") && said.contains("exit code 3"), "it says {said}");
    eventually(DEADLINE, "the old pods to be alone again", || async {
        Ok((identities(&cluster, "back", "web").await? == before).then_some(()))
    })
    .await?;
    answers(&cluster, "back", "web", "").await
}

pub async fn a_secret_that_is_missing_is_named_in_the_kubelets_words(cluster: Arc<NodeCluster>) -> Result<()> {
    namespace(&cluster, "missing").await?;
    let app = WEB.replace("emptyDir: {}}]", "emptyDir: {}}, {name: key, mountPath: /key, secret: {secretName: key}}]");
    cluster.apply(&app, "missing").await?;
    let app = until(&cluster, ("missing", "web"), "to name the Secret", |app| problem(app, &["FailedMount"]).is_some());
    let app = app.await?;
    for type_ in ["Ready", "Degraded"] {
        let said = condition(&app, type_)["message"].clone();
        ensure!(said.as_str().is_some_and(|said| said.contains("secret \"key\" not found")), "{type_} says {said}");
    }
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "key"}, "stringData": {"key": "x"}});
    cluster.apply_object(secret, "missing").await?;
    recovers(&cluster, "missing").await
}

pub async fn a_program_that_ends_well_is_told_to_stay(cluster: Arc<NodeCluster>) -> Result<()> {
    namespace(&cluster, "short").await?;
    cluster.apply(&format!("{WEB}  command: [sh, -c, exit 0]\n"), "short").await?;
    let app = until(&cluster, ("short", "web"), "to be in a crash loop", |app| {
        problem(app, &["CrashLoopBackOff"]).is_some_and(|problem| problem["exitCode"] == 0)
    })
    .await?;
    let said = condition(&app, "Degraded")["message"].clone();
    ensure!(said.as_str().is_some_and(|said| said.contains("a service must keep running")), "it says {said}");
    Ok(())
}

pub async fn memory_exhausted_is_named(cluster: Arc<NodeCluster>) -> Result<()> {
    namespace(&cluster, "memory").await?;
    let app = WEB.replace("replicas: 2", "env: [{name: EAT, value: 'yes'}]\n  resources: {limits: {memory: 32Mi}}");
    cluster.apply(&app, "memory").await?;
    let app = until(&cluster, ("memory", "web"), "to be out of memory", |app| problem(app, &["OOMKilled"]).is_some());
    let app = app.await?;
    let said = condition(&app, "Degraded")["message"].clone();
    ensure!(said.as_str().is_some_and(|said| said.contains("spec.resources.limits.memory")), "it says {said}");
    ensure!(problem(&app, &["OOMKilled"]).is_some_and(|problem| problem["exitCode"] == 137), "{}", app["status"]);
    Ok(())
}

pub async fn a_failing_readiness_probe_is_named(cluster: Arc<NodeCluster>) -> Result<()> {
    namespace(&cluster, "unready").await?;
    cluster.apply(WEB, "unready").await?;
    ready(&cluster, "unready", "web").await?;
    let pods = pods(&cluster, "unready", "web").await?;
    let pod = name(&pods[0]);
    exec(&cluster, "unready", pod, &["touch", "/tmp/unready"]).await?;
    let app = until(&cluster, ("unready", "web"), "to name the probe", |app| {
        problem(app, &["ReadinessFailing"]).is_some_and(|problem| problem["pod"] == pod)
    })
    .await?;
    ensure!(condition(&app, "Available")["status"] == "True", "one pod is left: {}", app["status"]);
    exec(&cluster, "unready", pod, &["rm", "/tmp/unready"]).await?;
    ready(&cluster, "unready", "web").await?;
    Ok(())
}

/// The kubelet stops it again and again, although it serves well.
pub async fn a_liveness_probe_that_kills_is_named_in_the_kubelets_words(cluster: Arc<NodeCluster>) -> Result<()> {
    namespace(&cluster, "alive").await?;
    let probe = "livenessProbe: {httpGet: {path: /nothing, port: 8080}, periodSeconds: 1, failureThreshold: 2}";
    cluster.apply(&WEB.replace("replicas: 2", probe), "alive").await?;
    let app = until(&cluster, ("alive", "web"), "to name the probe", |app| {
        let said = condition(app, "Degraded")["message"].clone();
        let names_it = |said: &str| said.contains("Liveness probe failed") && said.contains("statuscode: 404");
        problem(app, &["LivenessFailing"]).is_some() && said.as_str().is_some_and(names_it)
    })
    .await?;
    ensure!(condition(&app, "Ready")["status"] == "False", "it is killed again and again: {}", app["status"]);
    let said = condition(&app, "Ready")["message"].clone();
    ensure!(said.as_str().is_some_and(|said| said.contains("spec.livenessProbe")), "it says {said}");
    let mended = json!({"spec": {"livenessProbe": null}});
    cluster
        .run_kubectl(&["patch", "mapp", "web", "--namespace=alive", "--type=merge", &format!("--patch={mended}")])
        .await?;
    recovers(&cluster, "alive").await
}

/// Waits until the App is Ready, and tells of no problem then.
async fn recovers(cluster: &NodeCluster, namespace: &str) -> Result<()> {
    let app = ready(cluster, namespace, "web").await?;
    ensure!(app["status"]["problems"].is_null(), "problems stay: {}", app["status"]["problems"]);
    Ok(())
}

const IMAGE_REASONS: &[&str] = &["ErrImagePull", "ImagePullBackOff"];

fn waits_for_image(pod: &Value) -> bool {
    let reason = pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"].as_str();
    reason.is_some_and(|reason| IMAGE_REASONS.contains(&reason))
}
