//! The fake against a real API server.
//!
//! Each `tests/conformance/*.yaml` is a list of requests; the `.json` beside it holds what
//! kube-apiserver v1.36.3 answered, masked. To record anew, start an empty API server
//! without controllers and run the test with `MOORAGE_FAKE_RECORD=1` and `KUBECONFIG` set.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use http::Request;
use kube::Client;
use moorage_fake::{Resource, Server};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    /// An HTTP method, or the kind of patch: APPLY, MERGE, JSON.
    method: String,
    /// From the plural on.
    path: String,
    #[serde(default)]
    group: Option<String>,
    #[serde(default)]
    manager: Option<String>,
    #[serde(default = "yes")]
    force: bool,
    #[serde(default)]
    strict: bool,
    #[serde(default)]
    body: Value,
}

fn yes() -> bool {
    true
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance")
}

async fn check(case: &str) -> Result<()> {
    let text = std::fs::read_to_string(folder().join(format!("{case}.yaml")))?;
    let steps: Vec<Step> = serde_saphyr::from_str(&text)?;
    let recording = std::env::var_os("MOORAGE_FAKE_RECORD").is_some();
    let client = if recording { real().await? } else { fake() };
    let namespace = format!("case-{case}");
    let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
    send(&client, "POST", "/api/v1/namespaces", "application/json", &body).await?;
    let mut mask = Mask::default();
    let mut answers = Vec::new();
    for step in &steps {
        answers.push(mask.answer(&run(&client, step, &namespace).await?));
    }
    let recorded = folder().join(format!("{case}.json"));
    if recording {
        return Ok(std::fs::write(recorded, serde_json::to_string_pretty(&answers)? + "\n")?);
    }
    let expected: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(recorded)?)?;
    let mut wrong = Vec::new();
    for (at, (answer, expected)) in answers.iter().zip(&expected).enumerate() {
        let mut found = Vec::new();
        compare("", answer, expected, &mut found);
        let step = &steps[at];
        wrong.extend(found.into_iter().map(|line| format!("{at} {} {}: {line}", step.method, step.path)));
    }
    ensure!(answers.len() == expected.len(), "record {case} anew: the number of steps changed");
    ensure!(wrong.is_empty(), "{case}: fake != real\n{}", wrong.join("\n"));
    Ok(())
}

fn fake() -> Client {
    let server = Server::new();
    server.install(Resource::custom("example.com/v1", "Widget", "widgets").with_scale());
    server.client()
}

async fn real() -> Result<Client> {
    let client = Client::try_default().await?;
    let crd: Value = serde_saphyr::from_str(&std::fs::read_to_string(folder().join("widgets.crd.yaml"))?)?;
    let crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    send(&client, "POST", crds, "application/json", &crd).await?;
    let class = json!({
        "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "provisioner": "fake.moorage.dev",
        "allowVolumeExpansion": true,
        "metadata": {"name": "standard", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
    });
    send(&client, "POST", "/apis/storage.k8s.io/v1/storageclasses", "application/json", &class).await?;
    // Until the new resource is served and admission has seen the class.
    for _ in 0..100 {
        let (code, _) = send(&client, "GET", "/apis/example.com/v1/widgets", "", &Value::Null).await?;
        if code == 200 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    Ok(client)
}

async fn run(client: &Client, step: &Step, namespace: &str) -> Result<(u16, Value)> {
    let (method, content_type) = match step.method.as_str() {
        "APPLY" => ("PATCH", "application/apply-patch+yaml"),
        "MERGE" => ("PATCH", "application/merge-patch+json"),
        "JSON" => ("PATCH", "application/json-patch+json"),
        other => (other, "application/json"),
    };
    let plural = step.path.split('/').next().unwrap_or_default();
    let group = step.group.as_deref().unwrap_or(match plural {
        "deployments" | "statefulsets" => "apps/v1",
        "widgets" => "example.com/v1",
        "networkpolicies" | "ingresses" => "networking.k8s.io/v1",
        "poddisruptionbudgets" => "policy/v1",
        "horizontalpodautoscalers" => "autoscaling/v2",
        "cronjobs" | "jobs" => "batch/v1",
        "leases" => "coordination.k8s.io/v1",
        _ => "v1",
    });
    let root = if group.contains('/') { "apis" } else { "api" };
    let mut query = Vec::new();
    query.extend(step.manager.as_ref().map(|manager| format!("fieldManager={manager}")));
    query.extend((step.method == "APPLY" && step.force).then(|| "force=true".to_owned()));
    query.extend(step.strict.then(|| "fieldValidation=Strict".to_owned()));
    let url = format!("/{root}/{group}/namespaces/{namespace}/{}?{}", step.path, query.join("&"));
    let body = step.body.to_string().replace("\"NS\"", &format!("\"{namespace}\""));
    send(client, method, &url, content_type, &serde_json::from_str(&body)?).await
}

async fn send(client: &Client, method: &str, url: &str, content_type: &str, body: &Value) -> Result<(u16, Value)> {
    let bytes = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    let request = Request::builder().method(method).uri(url).header("content-type", content_type);
    let response = client.send(request.body(kube::client::Body::from(bytes))?).await.context("send")?;
    let code = response.status().as_u16();
    let bytes = response.into_body().collect_bytes().await?;
    Ok((code, serde_json::from_slice(&bytes).unwrap_or(Value::Null)))
}

/// Replaces what no two runs share by the order in which it first appeared.
#[derive(Default)]
struct Mask(BTreeMap<String, String>);

impl Mask {
    fn answer(&mut self, (code, body): &(u16, Value)) -> Value {
        if body["kind"] == "Status" {
            // Wording is the server's own; what clients act upon is code and reason.
            return json!({"code": code, "reason": body["reason"]});
        }
        json!({"code": code, "object": self.value("", body)})
    }

    fn value(&mut self, key: &str, value: &Value) -> Value {
        match (key, value) {
            ("uid" | "resourceVersion" | "clusterIP" | "nodePort", Value::String(_) | Value::Number(_))
                if value != "None" =>
            {
                let count = self.0.keys().filter(|known| known.starts_with(key)).count();
                let name = self.0.entry(format!("{key} {value}")).or_insert_with(|| format!("{key}-{count}"));
                json!(name)
            }
            ("clusterIPs", list) if list != &json!(["None"]) => json!("<clusterIPs>"),
            ("creationTimestamp" | "deletionTimestamp", _) => json!("<time>"),
            ("managedFields", Value::Array(entries)) => {
                let mut entries: Vec<_> = entries.iter().map(|entry| self.value("", entry)).collect();
                entries
                    .sort_by_key(|entry| format!("{}{}{}", entry["manager"], entry["operation"], entry["subresource"]));
                Value::Array(entries)
            }
            (_, Value::Object(map)) => {
                // An entry that changed nothing but ownership has no time on the real server.
                let mut keys: Vec<_> = map.iter().filter(|(key, _)| *key != "time").collect();
                keys.sort_by_key(|(key, _)| key.as_str());
                keys.into_iter().map(|(key, child)| (key.clone(), self.value(key, child))).collect()
            }
            (_, Value::Array(items)) => items.iter().map(|item| self.value("", item)).collect(),
            (_, other) => other.clone(),
        }
    }
}

fn compare(path: &str, fake: &Value, real: &Value, wrong: &mut Vec<String>) {
    match (fake, real) {
        (Value::Object(left), Value::Object(right)) => {
            let mut keys: Vec<_> = left.keys().chain(right.keys()).collect();
            keys.sort_unstable();
            keys.dedup();
            for key in keys {
                compare(&format!("{path}.{key}"), &fake[key], &real[key], wrong);
            }
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            for (at, (left, right)) in left.iter().zip(right).enumerate() {
                compare(&format!("{path}[{at}]"), left, right, wrong);
            }
        }
        _ if fake != real => wrong.push(format!("{path}: fake {fake}, real {real}")),
        _ => {}
    }
}

macro_rules! cases {
    ($($name:ident),*) => {$(
        #[tokio::test]
        async fn $name() -> Result<()> {
            check(stringify!($name)).await
        }
    )*};
}

cases!(configmap, deployment, service, claim, widget, others);
