//! Golden cases: `<kind>/<case>/{input,observed,plan}.yaml`.
//!
//! `input.yaml` is what a user wrote, `observed.yaml` what the cluster holds besides (as `kubectl get -o yaml` shows it; a
//! `...List` is a complete list of its kind, or with a `code` one that failed; a `Status` is what the API server says to the write of an object), `plan.yaml` what the operator makes of it: the exact objects, what it deletes,
//! and what it tells once its writes are done; `settings.yaml` with `secretKey: false` is an operator without a key. Everything is decoded by the code that the watches use.
//!
//! `GOLDEN=update cargo test --test golden` writes `plan.yaml`, `template-hashes.yaml` and the messages in `docs/reasons` anew; read the diff.

#[allow(dead_code, reason = "tests/properties uses more of it")]
mod cluster;
mod rules;
mod words;

use anyhow::{Context as _, Result, bail, ensure};
use cluster::{documents, planned};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// Every case by `<kind>/<name>`.
fn cases() -> Result<BTreeMap<String, PathBuf>> {
    let mut cases = BTreeMap::new();
    for kind in ["app", "registry", "storageclaim"] {
        for entry in fs::read_dir(root().join(kind))? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str()).context("a case without a name")?;
            cases.insert(format!("{kind}/{name}"), path);
        }
    }
    Ok(cases)
}

fn updating() -> bool {
    std::env::var("GOLDEN").is_ok_and(|mode| mode == "update")
}

/// The plan of a case, as YAML.
fn plan_of(case: &Path) -> Result<Value> {
    let read = |name: &str| fs::read_to_string(case.join(name));
    let input = documents(&read("input.yaml")?)?.pop().context("input.yaml is empty")?;
    let observed = if case.join("observed.yaml").exists() { documents(&read("observed.yaml")?)? } else { Vec::new() };
    let settings = if case.join("settings.yaml").exists() { documents(&read("settings.yaml")?)? } else { Vec::new() };
    planned(input, &observed, settings.iter().all(|settings| settings["secretKey"] != false))
}

/// Compares a file with what it should hold, or writes it.
fn settle(path: &Path, text: &str) -> Result<()> {
    if updating() {
        return Ok(fs::write(path, text)?);
    }
    let golden = fs::read_to_string(path).unwrap_or_default();
    ensure!(
        golden == text,
        "{} differs:\n{}GOLDEN=update writes it anew",
        path.display(),
        cluster::difference(&golden, text)
    );
    Ok(())
}

#[tokio::test]
async fn plans_are_as_recorded() -> Result<()> {
    let mut failures = Vec::new();
    for (name, path) in cases()? {
        let plan = plan_of(&path).with_context(|| name.clone())?;
        let files: BTreeSet<_> =
            fs::read_dir(&path)?.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
        if let Some(stray) = files
            .iter()
            .find(|file| !["input.yaml", "observed.yaml", "plan.yaml", "settings.yaml"].contains(&file.as_str()))
        {
            bail!("{name}/{stray} is no part of a case");
        }
        failures.extend(settle(&path.join("plan.yaml"), &serde_saphyr::to_string(&plan)?).err());
    }
    let texts: Vec<String> = failures.iter().map(ToString::to_string).collect();
    ensure!(texts.is_empty(), "{}", texts.join("\n"));
    Ok(())
}

/// A hash that changes restarts every pod of every user with such a spec when the operator is upgraded.
#[tokio::test]
async fn pod_templates_are_as_recorded() -> Result<()> {
    let mut hashes = String::from(
        "# Hash of each case's pod template. A line that changes restarts the pods of every user with such a spec when\n\
         # the operator is upgraded: that needs a reason in the changelog.\n",
    );
    for (name, path) in cases()? {
        let plan = plan_of(&path)?;
        let objects = plan["objects"].as_array().into_iter().flatten();
        for object in objects.filter(|object| object["kind"] == "Deployment") {
            let hash = moorage::core::hash::of(&object["spec"]["template"]);
            writeln!(hashes, "{name}: {hash:016x}")?;
        }
    }
    settle(&root().join("template-hashes.yaml"), &hashes)
}

/// Every kind that the operator writes, and every field of the specs, is in some case.
#[tokio::test]
async fn every_child_kind_and_every_field_has_a_case() -> Result<()> {
    let (mut kinds, mut fields) = (BTreeSet::new(), BTreeSet::new());
    let mut count = 0;
    for (_, path) in cases()? {
        count += 1;
        let plan = plan_of(&path)?;
        let objects = ["objects", "makes"].into_iter().flat_map(|list| plan[list].as_array().into_iter().flatten());
        kinds.extend(objects.filter_map(|object| Some(object["kind"].as_str()?.to_owned())));
        let input = documents(&fs::read_to_string(path.join("input.yaml"))?)?;
        for input in input {
            let kind = input["kind"].as_str().unwrap_or_default().to_owned();
            collect(&kind, &input["spec"], &mut fields);
        }
    }
    ensure!(count >= 60, "{count} cases");
    for row in moorage::shell::kinds::MANAGED {
        ensure!(kinds.contains(row.kind.as_str()), "no case has a {}", row.kind);
    }
    let missing: Vec<String> = cluster::declared_fields().into_iter().filter(|field| !fields.contains(field)).collect();
    ensure!(missing.is_empty(), "no case has {}", missing.join(", "));
    Ok(())
}

/// Paths of all fields in a value.
fn collect(path: &str, value: &Value, fields: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                let path = format!("{path}.{key}");
                collect(&path, inner, fields);
                fields.insert(path);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(path, item, fields)),
        _ => {}
    }
}
