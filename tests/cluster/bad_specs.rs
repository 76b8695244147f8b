//! What can't be right is refused by the API server, with a message that begins with the field.

use crate::support::MOORAGE;
use anyhow::{Context, Result, ensure};
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use moorage_harness::ControlPlane;
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;

crate::cases![every_bad_spec_is_refused_with_its_field];

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
