//! What the tests share: namespaces, states to wait for, and Apps to start from.

use anyhow::{Context, Result, ensure};
use moorage_harness::eventually;
use moorage_harness::node::NodeCluster;
use serde_json::{Value, json};
use std::time::Duration;

/// How long any state may take. Generous: it only matters when a test fails.
pub const DEADLINE: Duration = Duration::from_secs(120);

/// A web App that answers on port 8080. `/scratch/crash` ends a container of it again and again.
pub const WEB: &str = "
apiVersion: moorage.dev/v1alpha1
kind: App
metadata: {name: web}
spec:
  image: registry.example.com/team/web:1.4
  replicas: 2
  ports: [{port: 8080}]
  readinessProbe: {httpGet: {path: /ready, port: 8080}, periodSeconds: 1, failureThreshold: 1}
  volumes: [{name: scratch, mountPath: /scratch, emptyDir: {}}]
";

/// A new namespace in which Pod Security \"restricted\" is enforced.
pub async fn namespace(cluster: &NodeCluster, name: &str) -> Result<()> {
    let labels = json!({"pod-security.kubernetes.io/enforce": "restricted"});
    let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}});
    cluster.apply_object(object, "").await?;
    Ok(())
}

/// One object as JSON; it must exist.
pub async fn get(cluster: &NodeCluster, api_version: &str, kind: &str, place: (&str, &str)) -> Result<Value> {
    let (namespace, name) = place;
    let found = cluster.get(api_version, kind, namespace, name).await?;
    Ok(serde_json::to_value(found.with_context(|| format!("{kind} {namespace}/{name} does not exist"))?)?)
}

/// An App.
pub async fn app(cluster: &NodeCluster, namespace: &str, name: &str) -> Result<Value> {
    get(cluster, "moorage.dev/v1alpha1", "App", (namespace, name)).await
}

/// Waits until an App is as `wanted` says.
pub async fn until(
    cluster: &NodeCluster,
    (namespace, name): (&str, &str),
    what: &str,
    wanted: impl Fn(&Value) -> bool,
) -> Result<Value> {
    eventually(DEADLINE, &format!("App {namespace}/{name}: {what}"), || async {
        let app = app(cluster, namespace, name).await?;
        ensure!(wanted(&app), "its status is {}", app["status"]);
        Ok(Some(app))
    })
    .await
}

/// Waits until an App is Ready as it is declared now.
pub async fn ready(cluster: &NodeCluster, namespace: &str, name: &str) -> Result<Value> {
    until(cluster, (namespace, name), "to be Ready", |app| {
        let ready = condition(app, "Ready");
        ready["status"] == "True" && ready["observedGeneration"] == app["metadata"]["generation"]
    })
    .await
}

/// A condition of an object; null if it has none of that type.
pub fn condition(object: &Value, kind: &str) -> Value {
    let conditions = object["status"]["conditions"].as_array().into_iter().flatten();
    conditions.into_iter().find(|condition| condition["type"] == kind).cloned().unwrap_or_default()
}

/// The first of an App's problems with one of these reasons.
pub fn problem(app: &Value, reasons: &[&str]) -> Option<Value> {
    let problems = app["status"]["problems"].as_array()?;
    let wanted = |problem: &&Value| problem["reason"].as_str().is_some_and(|reason| reasons.contains(&reason));
    problems.iter().find(wanted).cloned()
}

/// The pods of an App that are not being deleted, by name.
pub async fn pods(cluster: &NodeCluster, namespace: &str, app: &str) -> Result<Vec<Value>> {
    let selector = format!("--selector=moorage.dev/app={app}");
    let text = cluster.run_kubectl(&["--namespace", namespace, "get", "pods", &selector, "--output=json"]).await?;
    let mut list: Value = serde_json::from_str(&text)?;
    let pods = list["items"].as_array_mut().map(std::mem::take).unwrap_or_default();
    Ok(pods.into_iter().filter(|pod| pod["metadata"]["deletionTimestamp"].is_null()).collect())
}

/// The name of an object.
pub fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

/// Runs a command in the first container of a pod.
pub async fn exec(cluster: &NodeCluster, namespace: &str, pod: &str, command: &[&str]) -> Result<String> {
    cluster.run_kubectl(&[&["--namespace", namespace, "exec", pod, "--"], command].concat()).await
}

/// Pods and their restarts, by which a test tells that nothing was started again.
pub async fn identities(cluster: &NodeCluster, namespace: &str, app: &str) -> Result<Vec<(String, i64)>> {
    let mut found: Vec<_> = pods(cluster, namespace, app)
        .await?
        .iter()
        .map(|pod| {
            let uid = pod["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
            (uid, pod["status"]["containerStatuses"][0]["restartCount"].as_i64().unwrap_or(-1))
        })
        .collect();
    found.sort();
    Ok(found)
}

/// Waits until the Service answers with that text in it. The pods are ready before every node has heard of it.
pub async fn answers(cluster: &NodeCluster, namespace: &str, service: &str, text: &str) -> Result<()> {
    eventually(DEADLINE, &format!("{namespace}/{service} to answer {text:?}"), || async {
        let body = cluster.ask(namespace, service, "/").await?;
        ensure!(body.contains(text), "it answers {body}");
        Ok(Some(()))
    })
    .await
}
