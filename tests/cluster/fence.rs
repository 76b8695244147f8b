//! The fence around the operator's account: each clause of it refuses what it should, and only that. That it hinders no work of
//! the operator's, every other test shows, as the fence stands around all of them.

use crate::support::*;
use anyhow::{Context, Result, bail, ensure};
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Client, Config};
use moorage_harness::{ControlPlane, Sandbox, build::workspace, documents, eventually};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;

crate::cases![each_clause_refuses_what_it_should, what_others_own_is_out_of_reach, some_namespaces_are_closed];

/// What a thief does with the operator's token.
struct Thief {
    sandbox: Sandbox,
    kubeconfig: PathBuf,
    folder: PathBuf,
}

impl Thief {
    async fn of(control_plane: &ControlPlane, namespace: &str) -> Result<Self> {
        let sandbox = sandbox(control_plane, namespace).await?;
        let kubeconfig = sandbox.token_kubeconfig(namespace, "moorage").await?;
        let folder = sandbox.work_dir().join(namespace);
        std::fs::create_dir_all(&folder)?;
        Ok(Self { sandbox, kubeconfig, folder })
    }

    async fn kubectl(&self, args: &[&str]) -> Result<String> {
        let namespace = format!("--namespace={}", self.sandbox.namespace);
        self.anywhere(&[&[namespace.as_str()], args].concat()).await
    }

    async fn anywhere(&self, args: &[&str]) -> Result<String> {
        let kubeconfig = format!("--kubeconfig={}", self.kubeconfig.display());
        self.sandbox.run_kubectl(&[&[kubeconfig.as_str()], args].concat()).await
    }

    /// What kubectl can't be made to send, as it reads first, which the token may not.
    async fn claims(&self) -> Result<Api<DynamicObject>> {
        let options = KubeConfigOptions::default();
        let config = Config::from_custom_kubeconfig(Kubeconfig::read_from(&self.kubeconfig)?, &options).await?;
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("moorage.dev", "v1alpha1", "StorageClaim"));
        Ok(Api::namespaced_with(Client::try_from(config)?, &self.sandbox.namespace, &resource))
    }

    /// Whether the API server would make an object, and why not.
    async fn makes(&self, object: &Value) -> Result<String> {
        let path = self.folder.join("object.json");
        std::fs::write(&path, object.to_string())?;
        let path = path.display().to_string();
        self.kubectl(&["create", "--validate=false", "--dry-run=server", "--filename", &path]).await
    }
}

fn refused(said: Result<String>, why: &str) -> Result<()> {
    match said {
        Ok(said) => bail!("it was let pass: {said}"),
        Err(error) => {
            let said = format!("{error:#}");
            ensure!(said.contains("ValidatingAdmissionPolicy") && said.contains(why), "{said}");
            Ok(())
        }
    }
}

/// What the fence lets pass, of the kind that a case changes.
fn good(kind: &str) -> Value {
    let metadata = json!({"name": "loot", "labels": {"app.kubernetes.io/managed-by": "moorage"}});
    let container =
        |name: &str| json!({"name": name, "image": "i", "securityContext": {"capabilities": {"add": ["CHOWN"]}}});
    match kind {
        "ConfigMap" => json!({"apiVersion": "v1", "kind": kind, "metadata": metadata, "data": {}}),
        "Secret" => json!({"apiVersion": "v1", "kind": kind, "metadata": metadata, "type": "Opaque"}),
        "Service" => json!({"apiVersion": "v1", "kind": kind, "metadata": metadata, "spec": {"ports": [{"port": 80}]}}),
        "ServiceMonitor" => json!({
            "apiVersion": "monitoring.coreos.com/v1", "kind": kind, "metadata": metadata,
            "spec": {"selector": {}, "endpoints": [{"port": "http", "path": "/metrics"}]},
        }),
        "PodMonitor" => json!({
            "apiVersion": "monitoring.coreos.com/v1", "kind": kind, "metadata": metadata,
            "spec": {"selector": {}, "podMetricsEndpoints": [{"portNumber": 80}]},
        }),
        "StorageClaim" => json!({"apiVersion": MOORAGE, "kind": kind, "metadata": metadata, "spec": {"size": "1Gi"}}),
        _ => json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata,
            "spec": {
                "selector": {"matchLabels": {"a": "b"}},
                "template": {
                    "metadata": {"labels": {"a": "b"}},
                    "spec": {
                        "securityContext": {"sysctls": [{"name": "net.ipv4.tcp_syncookies", "value": "1"}]},
                        "containers": [container("loot")], "initContainers": [container("first")],
                    },
                },
            },
        }),
    }
}

fn changed(kind: &str, change: &Value) -> Result<Value> {
    let mut object = good(kind);
    let place = match kind {
        "Template" => "/spec/template",
        "Pod" => "/spec/template/spec",
        "Container" => "/spec/template/spec/containers/0",
        "InitContainer" => "/spec/template/spec/initContainers/0",
        _ => "",
    };
    json_patch::merge(object.pointer_mut(place).context("there is no such place")?, change);
    Ok(object)
}

async fn each_clause_refuses_what_it_should(control_plane: Arc<ControlPlane>) -> Result<()> {
    let thief = Thief::of(&control_plane, "fenced").await?;
    let cases: Vec<Value> = serde_saphyr::from_str(include_str!("fence.yaml"))?;
    for case in &cases {
        let (kind, why) = (case["kind"].as_str().unwrap_or_default(), case["refused"].as_str().unwrap_or_default());
        thief.makes(&good(kind)).await.with_context(|| format!("the {kind} that should pass"))?;
        refused(thief.makes(&changed(kind, &case["change"])?).await, why).with_context(|| case.to_string())?;
    }
    for policy in documents(&std::fs::read_to_string(workspace().join("deploy/fence.yaml"))?)? {
        for clause in policy["spec"]["validations"].as_array().into_iter().flatten() {
            let message = clause["message"].as_str().unwrap_or_default();
            let is_shown = cases.iter().any(|case| case["refused"].as_str().is_some_and(|why| message.contains(why)));
            // Those of namespaces have a test of their own.
            ensure!(is_shown || message.contains("namespace"), "no case shows: {message}");
        }
    }
    Ok(())
}

async fn what_others_own_is_out_of_reach(control_plane: Arc<ControlPlane>) -> Result<()> {
    let thief = Thief::of(&control_plane, "fenced-others").await?;
    let why = "may only write what carries its label";
    thief.sandbox.kubectl(&["create", "configmap", "theirs", "--from-literal=a=b"]).await?;
    let stolen = r#"{"metadata": {"labels": {"app.kubernetes.io/managed-by": "moorage"}}, "data": {"a": "c"}}"#;
    refused(thief.kubectl(&["patch", "configmap/theirs", "--type=merge", "--patch", stolen]).await, why)?;
    refused(thief.kubectl(&["delete", "configmap/theirs", "--wait=false"]).await, why)?;
    // What is its own stays marked.
    thief.sandbox.apply(WEB).await?;
    ready(&thief.sandbox, "App", "web").await?;
    let unmarked = r#"{"metadata": {"labels": {"app.kubernetes.io/managed-by": null}}}"#;
    refused(thief.kubectl(&["patch", "service/web", "--type=merge", "--patch", unmarked]).await, why)?;
    // An address that somebody else gave a Service stays; no other comes to it.
    patch(&thief.sandbox, "Service", "web", &json!({"spec": {"externalIPs": ["192.0.2.1"]}})).await?;
    let noted = r#"{"metadata": {"annotations": {"note": "kept"}}}"#;
    thief.kubectl(&["patch", "service/web", "--type=merge", "--patch", noted]).await?;
    let more = r#"{"spec": {"externalIPs": ["192.0.2.1", "192.0.2.2"]}}"#;
    refused(thief.kubectl(&["patch", "service/web", "--type=merge", "--patch", more]).await, "must not be added to")?;
    // Of claims that users write it changes the finalizers, and nothing else.
    thief
        .sandbox
        .apply("{apiVersion: moorage.dev/v1alpha1, kind: StorageClaim, metadata: {name: theirs}, spec: {size: 1Gi}}")
        .await?;
    ready(&thief.sandbox, "StorageClaim", "theirs").await?;
    let larger = r#"{"metadata": {"labels": {"app.kubernetes.io/managed-by": "moorage"}}, "spec": {"size": "9Gi"}}"#;
    refused(thief.kubectl(&["patch", "storageclaim/theirs", "--type=merge", "--patch", larger]).await, why)?;
    // Nor is it taken in two steps, collected with an owner that is not there, or claimed by a forged list of managers.
    let absent =
        r#"{"apiVersion": "v1", "kind": "ConfigMap", "name": "gone", "uid": "00000000-0000-4000-8000-000000000000"}"#;
    for step in [
        r#"{"metadata": {"labels": {"app.kubernetes.io/managed-by": "moorage"}}}"#.to_owned(),
        r#"{"metadata": {"annotations": {"moorage.dev/applied-hash": "1a"}}}"#.to_owned(),
        format!(r#"{{"metadata": {{"ownerReferences": [{absent}]}}}}"#),
    ] {
        refused(thief.kubectl(&["patch", "storageclaim/theirs", "--type=merge", "--patch", &step]).await, why)?;
    }
    let entry = json!({
        "manager": "moorage", "operation": "Apply", "apiVersion": MOORAGE, "fieldsType": "FieldsV1",
        "fieldsV1": {"f:spec": {"f:size": {}}},
    });
    let forged = json!({"metadata": {"managedFields": [entry]}});
    thief.claims().await?.patch_status("theirs", &PatchParams::default(), &Patch::Merge(&forged)).await?;
    let listed = must_get(&thief.sandbox, "StorageClaim", "theirs").await?["metadata"]["managedFields"].to_string();
    ensure!(listed.contains("f:size") && listed.contains("Apply"), "it could not be forged: {listed}");
    refused(thief.kubectl(&["patch", "storageclaim/theirs", "--type=merge", "--patch", larger]).await, why)?;
    let finalizer = r#"{"metadata": {"finalizers": ["moorage.dev/deletion-policy"]}}"#;
    thief.kubectl(&["patch", "storageclaim/theirs", "--type=merge", "--patch", finalizer]).await.map(drop)
}

/// What an admin closes stays as it is, and the author reads why; namespaces of the cluster's own are always closed.
async fn some_namespaces_are_closed(control_plane: Arc<ControlPlane>) -> Result<()> {
    let thief = Thief::of(&control_plane, "fenced-closed").await?;
    let sandbox = &thief.sandbox;
    let account = "--serviceaccount=fenced-closed:moorage";
    let bind = ["create", "rolebinding", "fenced", "--clusterrole=moorage", account, "--namespace=kube-public"];
    sandbox.run_kubectl(&bind).await?;
    let mut elsewhere = good("ConfigMap");
    elsewhere["metadata"]["namespace"] = json!("kube-public");
    let path = thief.folder.join("elsewhere.json");
    std::fs::write(&path, elsewhere.to_string())?;
    let path = path.display().to_string();
    let made = thief.anywhere(&["create", "--dry-run=server", "--filename", &path]).await;
    refused(made, "may write nothing in namespaces kube-*")?;
    // Pods beside the operator would have its power.
    let bind = ["create", "rolebinding", "fenced", "--clusterrole=moorage", account, "--namespace=moorage-system"];
    sandbox.run_kubectl(&bind).await?;
    let mut beside = good("Deployment");
    beside["metadata"]["namespace"] = json!("moorage-system");
    std::fs::write(&path, beside.to_string())?;
    let made = thief.anywhere(&["create", "--dry-run=server", "--filename", &path]).await;
    refused(made, "may run nothing in its own namespace")?;
    sandbox.run_kubectl(&["label", "namespace", "fenced-closed", "moorage.dev/closed=true"]).await?;
    let closed = "may write nothing in a namespace with the label moorage.dev/closed";
    eventually(DEADLINE, "the namespace to be closed", || async {
        Ok(refused(thief.makes(&good("ConfigMap")).await, closed).ok())
    })
    .await?;
    sandbox.apply(WEB).await?;
    let app = reason(sandbox, "App", "web", "Stalled", "Denied").await?;
    ensure!(message(&app, "Stalled").contains(closed), "{}", message(&app, "Stalled"));
    sandbox.run_kubectl(&["label", "namespace", "fenced-closed", "moorage.dev/closed-"]).await?;
    ready(sandbox, "App", "web").await.map(drop)
}
