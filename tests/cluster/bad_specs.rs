//! What can't be right is refused by the API server, with a message that begins with the field.

use crate::support::{MOORAGE, message, patch, ready, reason, sandbox};
use anyhow::{Context, Result, ensure};
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use moorage_harness::ControlPlane;
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;

crate::cases![every_bad_spec_is_refused_with_its_field, what_no_rule_can_see_is_told];

/// One row of the table.
#[derive(Deserialize)]
struct Row {
    /// `App`, `StorageClaim` or `Registry`.
    kind: String,
    /// `metadata.name`, where it is not `sample`.
    #[serde(default)]
    name: Option<String>,
    /// The spec; for an App, `image` is added if missing.
    spec: Value,
    /// The spec that stands before, where the change is what is wrong.
    #[serde(default)]
    before: Option<Value>,
    /// The status that stands before, where the rule looks at that.
    #[serde(default)]
    status: Option<Value>,
    /// What the message must contain, beginning with the field.
    message: String,
}

async fn every_bad_spec_is_refused_with_its_field(control_plane: Arc<ControlPlane>) -> Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cluster/bad_specs.yaml");
    let rows: Vec<Row> = serde_saphyr::from_str(&std::fs::read_to_string(path)?)?;
    ensure!(rows.len() >= 60, "{} rows", rows.len());
    let mut wrong = Vec::new();
    for (index, row) in rows.into_iter().enumerate() {
        let said =
            refusal(&control_plane, index, &row).await.with_context(|| format!("row {}: {}", index + 1, row.spec))?;
        if !said.contains(&row.message) {
            wrong.push(format!("{} {}\n  wanted: {}\n  said:   {said}", row.kind, row.spec, row.message));
        }
    }
    ensure!(wrong.is_empty(), "{} rows differ:\n{}", wrong.len(), wrong.join("\n"));
    Ok(())
}

/// What the API server says to a row.
async fn refusal(control_plane: &ControlPlane, index: usize, row: &Row) -> Result<String> {
    let mut resource = ApiResource::from_gvk(&GroupVersionKind::gvk("moorage.dev", "v1alpha1", &row.kind));
    if row.kind == "Registry" {
        "registries".clone_into(&mut resource.plural);
    }
    let api: Api<DynamicObject> = Api::namespaced_with(control_plane.client(), "default", &resource);
    let name = row.name.clone().unwrap_or_else(|| format!("sample-{index}"));
    let object = |spec: &Value| -> Result<DynamicObject> {
        let mut spec = spec.clone();
        if row.kind == "App" && spec.get("image").is_none() {
            spec["image"] = json!("registry.example.com/team/shop:1");
        }
        Ok(serde_json::from_value(json!({
            "apiVersion": MOORAGE, "kind": row.kind, "metadata": {"name": name}, "spec": spec,
        }))?)
    };
    let answer = match &row.before {
        Some(before) => {
            api.create(&PostParams::default(), &object(before)?).await?;
            if let Some(status) = &row.status {
                let status = Patch::Merge(json!({"status": status}));
                api.patch_status(&name, &PatchParams::default(), &status).await?;
            }
            let params = PatchParams::apply("a-user").force();
            let changed = api.patch(&name, &params, &Patch::Apply(&object(&row.spec)?)).await;
            api.delete(&name, &kube::api::DeleteParams::default()).await?;
            changed
        }
        None => api.create(&PostParams { dry_run: true, ..PostParams::default() }, &object(&row.spec)?).await,
    };
    match answer {
        Ok(_) => Ok("nothing: it was accepted".to_owned()),
        Err(kube::Error::Api(status)) => Ok(status.message),
        Err(error) => Err(error.into()),
    }
}

/// Amounts have no type that rules could compare; the App is stored, stalled, and says which field.
async fn what_no_rule_can_see_is_told(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = sandbox(&control_plane, "bad-amounts").await?;
    sandbox.apply(crate::support::WEB).await?;
    ready(&sandbox, "App", "web").await?;
    let cases = [
        (
            json!({"requests": {"memory": "2Gi"}, "limits": {"memory": "1Gi"}}),
            "spec.resources.requests.memory: must not be more than spec.resources.limits.memory",
        ),
        (
            json!({"requests": {"memory": null, "cpu": 1}, "limits": {"memory": null, "cpu": 0.5}}),
            "spec.resources.requests.cpu: must not be more than spec.resources.limits.cpu",
        ),
        (
            json!({"requests": null, "limits": {"cpu": null, "cpus": "1"}}),
            "spec.resources.limits.cpus: must be cpu, memory,",
        ),
    ];
    for (resources, told) in cases {
        patch(&sandbox, "App", "web", &json!({"spec": {"resources": resources}})).await?;
        crate::support::until(&sandbox, "App", "web", &format!("to say {told}"), |app| {
            message(app, "Stalled").starts_with(told)
        })
        .await?;
        reason(&sandbox, "App", "web", "Stalled", "InvalidSpec").await?;
    }
    patch(&sandbox, "App", "web", &json!({"spec": {"resources": null}})).await?;
    ready(&sandbox, "App", "web").await.map(drop)
}
