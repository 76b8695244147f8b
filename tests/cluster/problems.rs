//! The status names what is wrong with a pod, in Kubernetes' own words. The kubelet is played by the test.

use crate::support::*;
use anyhow::{Context, Result, ensure};
use jiff::{Timestamp, ToSpan as _};
use kube::api::{ListParams, Patch, PatchParams};
use moorage_harness::{ControlPlane, Sandbox, eventually};
use serde_json::{Value, json};
use std::sync::Arc;

crate::cases![
    every_pod_problem_is_told,
    a_crash_loop_stays_degraded_while_its_container_runs,
    a_paused_deployment_is_told,
    what_events_say_of_a_pod_is_told,
    an_unschedulable_pod_is_told,
    refused_pods_are_told,
    a_rollout_past_its_deadline_is_stalled
];

/// What a kubelet says of an image whose user is a name.
const NAMED_USER: &str =
    "container has runAsNonRoot and image has non-numeric user (app), cannot verify user is non-root";

/// A problem: the container's state as a kubelet reports it, and what the App must say.
fn states() -> Vec<(&'static str, Value)> {
    let waiting = |reason: &str, message: &str| json!({"state": {"waiting": {"reason": reason, "message": message}}});
    let ended = |reason: &str, code: i32| {
        json!({
            "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s restarting failed container"}},
            "lastState": {"terminated": {"reason": reason, "exitCode": code, "startedAt": null, "finishedAt": null, "containerID": "x"}},
            "restartCount": 4,
        })
    };
    vec![
        ("ErrImagePull", waiting("ErrImagePull", "failed to resolve image: manifest unknown")),
        ("ImagePullBackOff", waiting("ImagePullBackOff", "Back-off pulling image")),
        ("CreateContainerConfigError", waiting("CreateContainerConfigError", "secret \"db\" not found")),
        ("CreateContainerConfigError", waiting("CreateContainerConfigError", NAMED_USER)),
        ("CrashLoopBackOff", ended("Error", 3)),
        ("CrashLoopBackOff", ended("Completed", 0)),
        ("OOMKilled", ended("OOMKilled", 137)),
    ]
}

async fn every_pod_problem_is_told(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = sandbox(&control_plane, "problems").await?;
    sandbox.apply(&WEB.replace("ports:", "replicas: 2\n  ports:")).await?;
    ready(&sandbox, "App", "web").await?;
    let warnings = "--field-selector=type=Warning,involvedObject.kind=App";
    let events = sandbox.kubectl(&["get", "events", warnings, "-o=name"]).await?;
    ensure!(events.is_empty(), "a healthy first start alarms nobody: {events}");
    for (reason_name, state) in states() {
        let pod = fail_one_pod(&sandbox, &state).await?;
        let app = reason(&sandbox, "App", "web", "Degraded", reason_name).await?;
        ensure!(is_true(&app, "Available"), "one pod of two still serves: {}", app["status"]);
        let problem = &app["status"]["problems"][0];
        ensure!(problem["pod"] == pod.as_str() && problem["container"] == "web", "{problem}");
        ensure!(problem["reason"] == reason_name, "{problem}");
        if reason_name == "OOMKilled" {
            ensure!(problem["exitCode"] == 137 && problem["restartCount"] == 4, "{problem}");
        }
        let said = message(&app, "Degraded");
        ensure!(said.contains(&pod), "{said}");
        if problem["message"] == NAMED_USER {
            ensure!(said.contains("set spec.securityContext.runAsUser to its number"), "{said}");
        }
        if problem["exitCode"] == 0 {
            ensure!(said.contains("it exits with 0; a service must keep running"), "{said}");
        }
        sandbox.kubectl(&["delete", "pod", &pod, "--grace-period=0", "--force"]).await?;
        let healed = ready(&sandbox, "App", "web").await?;
        ensure!(healed["status"]["problems"].is_null(), "{}", healed["status"]);
    }
    let events = sandbox.kubectl(&["get", "events", "--field-selector=type=Warning", "-o=name"]).await?;
    ensure!(events.contains("event/web."), "a Warning Event is published: {events}");
    Ok(())
}

/// Makes one pod report that state and not be ready; its name.
async fn fail_one_pod(sandbox: &Sandbox, state: &Value) -> Result<String> {
    let pods = api(sandbox, "Pod").list(&ListParams::default().labels("moorage.dev/app=web")).await?;
    let living = pods.items.into_iter().find(|pod| pod.metadata.deletion_timestamp.is_none()).context("no pod")?;
    let name = living.metadata.name.context("a pod without a name")?;
    let mut container =
        json!({"name": "web", "ready": false, "started": false, "restartCount": 0, "image": "x", "imageID": ""});
    if let (Some(container), Some(state)) = (container.as_object_mut(), state.as_object()) {
        container.extend(state.clone());
    }
    let status = json!({"status": {
        "containerStatuses": [container],
        "conditions": [{"type": "Ready", "status": "False"}, {"type": "ContainersReady", "status": "False"}],
    }});
    let params = PatchParams::default();
    api(sandbox, "Pod").patch_status(&name, &params, &Patch::Strategic(&status)).await?;
    Ok(name)
}

async fn an_unschedulable_pod_is_told(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = sandbox(&control_plane, "unschedulable").await?;
    sandbox.apply(&WEB.replace("ports:", "pod: {nodeSelector: {example.com/disk: fast}}\n  ports:")).await?;
    let app = reason(&sandbox, "App", "web", "Degraded", "Unschedulable").await?;
    ensure!(message(&app, "Degraded").contains("node affinity/selector"), "{}", message(&app, "Degraded"));
    ensure!(!is_true(&app, "Available") && !is_true(&app, "Ready"));
    patch(&sandbox, "App", "web", &json!({"spec": {"pod": null}})).await?;
    ready(&sandbox, "App", "web").await?;
    // What comes again is counted in the same Event.
    patch(&sandbox, "App", "web", &json!({"spec": {"pod": {"nodeSelector": {"example.com/disk": "fast"}}}})).await?;
    eventually(DEADLINE, "an Event that counts", || async {
        let events =
            sandbox.kubectl(&["get", "events", "--field-selector=reason=Unschedulable", "--output=json"]).await?;
        let events: Value = serde_json::from_str(&events)?;
        ensure!(events["items"][0]["series"]["count"] == 2, "they are {}", events["items"]);
        Ok(Some(()))
    })
    .await
}

/// A quota or an admission policy refuses the pods: the Deployment stands, and nothing comes of it.
async fn refused_pods_are_told(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = sandbox(&control_plane, "refused").await?;
    sandbox.apply("{apiVersion: v1, kind: ResourceQuota, metadata: {name: none}, spec: {hard: {pods: '0'}}}").await?;
    sandbox.apply(WEB).await?;
    let app = reason(&sandbox, "App", "web", "Degraded", "PodsRefused").await?;
    ensure!(message(&app, "Degraded").contains("exceeded quota"), "{}", message(&app, "Degraded"));
    let app = until(&sandbox, "App", "web", "to be Stalled", |app| is_true(app, "Stalled")).await?;
    ensure!(has_reason(&app, "Progressing", "PodsRefused"), "{}", app["status"]);
    let selector = "--field-selector=involvedObject.kind=App,reason=PodsRefused";
    let events = sandbox.kubectl(&["get", "events", selector, "-o=name"]).await?;
    ensure!(events.lines().count() == 1, "one alarm is one Event: {events}");
    Ok(())
}

/// Between two ends the container runs and is ready: Degraded stays and keeps its time, and the App is not Ready.
async fn a_crash_loop_stays_degraded_while_its_container_runs(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = sandbox(&control_plane, "loop").await?;
    sandbox.apply(WEB).await?;
    ready(&sandbox, "App", "web").await?;
    let (now, ago) = (Timestamp::now().to_string(), (Timestamp::now() - 20.seconds()).to_string());
    let last = json!({"terminated": {"exitCode": 1, "reason": "Error", "startedAt": ago, "finishedAt": now, "containerID": "x"}});
    let waits =
        json!({"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": last.clone(), "restartCount": 3});
    let pod = fail_one_pod(&sandbox, &waits).await?;
    let before = reason(&sandbox, "App", "web", "Degraded", "CrashLoopBackOff").await?;
    let runs = json!({"status": {
        "containerStatuses": [{"name": "web", "ready": true, "started": true, "restartCount": 4, "image": "x", "imageID": "",
            "state": {"running": {"startedAt": now}, "waiting": null}, "lastState": last}],
        "conditions": [{"type": "Ready", "status": "True"}, {"type": "ContainersReady", "status": "True"}],
    }});
    api(&sandbox, "Pod").patch_status(&pod, &PatchParams::default(), &Patch::Strategic(&runs)).await?;
    let app = until(&sandbox, "App", "web", "to be told that it runs again", |app| {
        is_true(app, "Available") && message(app, "Ready").contains("runs again")
    })
    .await?;
    let time = |app: &Value| condition(app, "Degraded").map(|degraded| degraded["lastTransitionTime"].clone());
    ensure!(is_true(&app, "Degraded") && time(&app) == time(&before), "{}", app["status"]);
    ensure!(!is_true(&app, "Ready") && has_reason(&app, "Ready", "CrashLoopBackOff"), "{}", app["status"]);
    Ok(())
}

/// A volume that can't be mounted is told by an Event only. One about a former pod of that name counts for nothing.
async fn what_events_say_of_a_pod_is_told(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = sandbox(&control_plane, "mount").await?;
    sandbox.apply(WEB).await?;
    ready(&sandbox, "App", "web").await?;
    let pod = fail_one_pod(&sandbox, &json!({"state": {"waiting": {"reason": "ContainerCreating"}}})).await?;
    let uid = must_get(&sandbox, "Pod", &pod).await?["metadata"]["uid"].clone();
    let now = Timestamp::now().to_string();
    for (name, uid, message) in [("former", json!("0"), "of a former pod"), ("this", uid, "secret \"db\" not found")] {
        let event = json!({
            "apiVersion": "v1", "kind": "Event", "metadata": {"name": format!("{pod}.{name}")},
            "involvedObject": {"kind": "Pod", "namespace": sandbox.namespace, "name": pod, "uid": uid},
            "reason": "FailedMount", "message": message, "type": "Warning", "count": 2, "lastTimestamp": now,
        });
        sandbox.apply(&event.to_string()).await?;
    }
    let app = reason(&sandbox, "App", "web", "Degraded", "FailedMount").await?;
    let said = message(&app, "Ready");
    ensure!(said.contains(&pod) && said.contains("secret \"db\" not found"), "{said}");
    sandbox.kubectl(&["delete", "event", &format!("{pod}.this")]).await?;
    until(&sandbox, "App", "web", "to forget it", |app| app["status"]["problems"].is_null()).await?;
    Ok(())
}

async fn a_paused_deployment_is_told(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = sandbox(&control_plane, "pause").await?;
    sandbox.apply(WEB).await?;
    ready(&sandbox, "App", "web").await?;
    sandbox.kubectl(&["rollout", "pause", "deployment/web"]).await?;
    let is_as_declared = |app: &Value| has_reason(app, "Ready", "Paused") && is_true(app, "Ready");
    until(&sandbox, "App", "web", "to be Ready and tell of the pause", is_as_declared).await?;
    patch(&sandbox, "App", "web", &json!({"spec": {"image": "registry.example.com/team/web:2"}})).await?;
    let app = until(&sandbox, "App", "web", "to wait for the Deployment", |app| {
        condition(app, "Ready").is_some_and(|ready| ready["status"] == "False" && ready["reason"] == "Paused")
    })
    .await?;
    let said = message(&app, "Ready");
    ensure!(said == "Deployment web is paused: kubectl rollout resume deployment/web", "{said}");
    ensure!(condition(&app, "Reconciling").is_none() && !is_true(&app, "Progressing"), "{}", app["status"]);
    sandbox.kubectl(&["rollout", "resume", "deployment/web"]).await?;
    ready(&sandbox, "App", "web").await?;
    Ok(())
}

async fn a_rollout_past_its_deadline_is_stalled(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = sandbox(&control_plane, "deadline").await?;
    let spec = "pod: {nodeSelector: {example.com/disk: fast}}\n  rollout: {progressDeadlineSeconds: 2}\n  ports:";
    sandbox.apply(&WEB.replace("ports:", spec)).await?;
    let app = reason(&sandbox, "App", "web", "Stalled", "ProgressDeadlineExceeded").await?;
    ensure!(message(&app, "Stalled").contains("Unschedulable"), "the cause is named: {}", message(&app, "Stalled"));
    Ok(())
}
