//! What others met in their clusters: each is told with its object, why and what to do, and what mends it mends it.

use crate::support::*;
use anyhow::{Context, Result, ensure};
use moorage_harness::{ControlPlane, Sandbox, eventually};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Instant;

crate::cases![every_situation_is_told_and_can_be_mended];

/// One row of the table.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: String,
    /// `App`, unless said otherwise.
    #[serde(default)]
    kind: Option<String>,
    /// What is there before, as manifests.
    #[serde(default)]
    before: String,
    /// A line that shows that a policy or webhook is in force, some time after it was made.
    #[serde(default)]
    in_force: Option<String>,
    /// What that line then prints.
    #[serde(default)]
    prints: Option<String>,
    /// With which words it then fails.
    #[serde(default)]
    refuses: Option<String>,
    /// The spec; an App has an image and a port.
    #[serde(default)]
    spec: Value,
    /// What happens once it is Ready.
    #[serde(default)]
    when: Vec<String>,
    condition: String,
    reason: String,
    words: Vec<String>,
    /// What makes it Ready again, or takes it away.
    #[serde(default)]
    mend: Vec<String>,
}

async fn every_situation_is_told_and_can_be_mended(control_plane: Arc<ControlPlane>) -> Result<()> {
    let rows: Vec<Row> = serde_saphyr::from_str(&page("tests/cluster/situations.yaml")?)?;
    let table = section("docs/situations.md", "Of objects")?;
    ensure!(
        table.matches("\n| ").count() == rows.len() + 1,
        "docs/situations.md has another number of rows than there are"
    );
    let sandbox = sandbox(&control_plane, "situations").await?;
    for row in &rows {
        let line = table.lines().find(|line| line.starts_with(&format!("| {} |", row.name)));
        let told = line.with_context(|| format!("docs/situations.md lacks the row {}", row.name))?;
        ensure!(
            row.reason == "AsExpected"
                || told.contains(&format!("| {}: ", row.reason))
                || told.contains(&format!("| {}, ", row.reason)),
            "{told}: {}",
            row.reason
        );
        row.holds(&sandbox).await.with_context(|| row.name.clone())?;
    }
    Ok(())
}

impl Row {
    async fn holds(&self, sandbox: &Sandbox) -> Result<()> {
        let kind = self.kind.as_deref().unwrap_or("App");
        if !self.before.is_empty() {
            sandbox.apply(&self.before).await?;
        }
        self.is_in_force(sandbox, true).await?;
        let resource = self.resource(kind);
        let mut since = Instant::now();
        sandbox.apply(&serde_json::to_string(&resource)?).await?;
        let file = sandbox.work_dir().join("situation.json");
        std::fs::write(&file, serde_json::to_string(&resource)?)?;
        if !self.when.is_empty() {
            ready(sandbox, kind, "web").await?;
            since = Instant::now();
        }
        for line in &self.when {
            run(sandbox, &line.replace("APP", &file.display().to_string())).await?;
        }
        let what = format!("to say {} {}: {:?}", self.condition, self.reason, self.words);
        until(sandbox, kind, "web", &what, |object| {
            let said = message(object, &self.condition);
            has_reason(object, &self.condition, &self.reason) && self.words.iter().all(|words| said.contains(words))
        })
        .await?;
        println!("{}: told after {:.1} s", self.name, since.elapsed().as_secs_f64());
        for line in &self.mend {
            run(sandbox, line).await?;
            self.is_in_force(sandbox, false).await?;
        }
        if get(sandbox, kind, "web").await?.is_some() {
            ready(sandbox, kind, "web").await?;
            let plural = if kind == "App" { "apps.moorage.dev" } else { "storageclaims.moorage.dev" };
            sandbox.kubectl(&["delete", plural, "web"]).await?;
        }
        for kind in ["Deployment", "PersistentVolumeClaim", "Service"] {
            sandbox.kubectl(&["delete", kind, "--all"]).await?;
        }
        sandbox.kubectl(&["delete", "resourcequotas,limitranges", "--all"]).await.map(drop)
    }

    /// The resource of that kind that the spec makes.
    fn resource(&self, kind: &str) -> Value {
        let mut resource = json!({"apiVersion": MOORAGE, "kind": kind, "metadata": {"name": "web"}, "spec": {}});
        let spec = &mut resource["spec"];
        if kind == "App" {
            *spec = json!({"image": "registry.example.com/team/web:1", "ports": [{"port": 8080}]});
        }
        for (field, value) in self.spec.as_object().into_iter().flatten() {
            spec[field] = value.clone();
        }
        resource
    }

    /// Waits until what is there before is in force, or no longer.
    async fn is_in_force(&self, sandbox: &Sandbox, wanted: bool) -> Result<()> {
        let Some(line) = &self.in_force else { return Ok(()) };
        eventually(DEADLINE, line, || async {
            let is_in_force = match run(sandbox, line).await {
                Ok(printed) => self.prints.as_ref() == Some(&printed),
                Err(error) => self.refuses.as_ref().is_some_and(|words| format!("{error:#}").contains(words)),
            };
            Ok((is_in_force == wanted).then_some(()))
        })
        .await
    }
}
