//! How the operator itself is watched: by a real Prometheus, with alerts that fire when they should and pages that say what to do.

use crate::support::*;
use anyhow::{Context, Result, ensure};
use moorage::generate::self_monitoring::{ALERTS, PANELS, alerts};
use moorage_harness::build::{self, workspace};
use moorage_harness::{ControlPlane, Progress, Sandbox, eventually, free_port, http_get};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use tokio::process::{Child, Command};

crate::cases![
    every_alert_fires_when_it_should_and_only_then,
    every_panel_shows_what_the_operator_counts,
    the_monitor_finds_the_operator_and_each_alert_has_a_page
];

async fn every_alert_fires_when_it_should_and_only_then(control_plane: Arc<ControlPlane>) -> Result<()> {
    let folder = control_plane.work_dir().join("alerts");
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("rules.yaml"), serde_saphyr::to_string(&alerts()["spec"])?)?;
    std::fs::write(folder.join("test.yaml"), page("tests/cluster/alerts.yaml")?)?;
    let promtool = programs().await?.join("promtool");
    for arguments in [["check", "rules", "--lint-fatal", "rules.yaml"].as_slice(), &["test", "rules", "test.yaml"]] {
        let output = Command::new(&promtool).args(arguments).current_dir(&folder).output().await?;
        let said = [output.stdout, output.stderr].concat();
        ensure!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&said));
    }
    let tests: Value = serde_saphyr::from_str(&page("tests/cluster/alerts.yaml")?)?;
    let rows: Vec<&Value> = tests["tests"].as_array().into_iter().flatten().collect();
    let tried = |name: &str, fires: bool| {
        let tried = rows.iter().flat_map(|row| row["alert_rule_test"].as_array().into_iter().flatten());
        tried.into_iter().any(|one| one["alertname"] == name && one["exp_alerts"].is_array() == fires)
    };
    for alert in &ALERTS {
        ensure!(tried(alert.name, true) && tried(alert.name, false), "{} is not tried both ways", alert.name);
    }
    Ok(())
}

/// Where Prometheus' programs are.
async fn programs() -> Result<PathBuf> {
    tokio::task::spawn_blocking(|| build::prometheus(Progress::stderr())).await?
}

/// A Prometheus of its own; it ends with this.
struct Prometheus {
    _child: Child,
    address: SocketAddr,
}

impl Prometheus {
    async fn scraping(sandbox: &Sandbox) -> Result<Self> {
        let folder = sandbox.work_dir().join("prometheus");
        std::fs::create_dir_all(&folder)?;
        let target = sandbox.operator.address();
        std::fs::write(folder.join("rules.yaml"), serde_saphyr::to_string(&alerts()["spec"])?)?;
        let config = format!(
            "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: [rules.yaml]\nscrape_configs:\n\
             - {{job_name: moorage, static_configs: [{{targets: ['{target}'], labels: {{pod: moorage-0}}}}]}}\n"
        );
        std::fs::write(folder.join("prometheus.yml"), config)?;
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()?));
        let child = Command::new(programs().await?.join("prometheus"))
            .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data", "--log.level=warn"])
            .arg(format!("--web.listen-address={address}"))
            .current_dir(&folder)
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(folder.join("log"))?)
            .kill_on_drop(true)
            .spawn()?;
        Ok(Self { _child: child, address })
    }

    /// What a query finds: series with their values.
    async fn query(&self, expr: &str) -> Result<Vec<Value>> {
        let query: String = form_urlencoded::byte_serialize(expr.as_bytes()).collect();
        let (code, body) = http_get(self.address, &format!("/api/v1/query?query={query}")).await?;
        let answer: Value = serde_json::from_str(&body).with_context(|| format!("{code}: {body}"))?;
        ensure!(answer["status"] == "success", "{expr}: {body}");
        Ok(answer["data"]["result"].as_array().cloned().unwrap_or_default())
    }

    /// Waits until a query finds something.
    async fn shows(&self, expr: &str) -> Result<()> {
        eventually(DEADLINE, &format!("{expr} to show something"), || async {
            let found = self.query(expr).await?;
            let shows = |series: &Value| series["value"][1].as_str().is_some_and(|value| value != "NaN");
            Ok(found.iter().any(shows).then_some(()))
        })
        .await
    }
}

async fn every_panel_shows_what_the_operator_counts(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = sandbox(&control_plane, "self-monitoring").await?;
    let prometheus = Prometheus::scraping(&sandbox).await?;
    sandbox.apply(WEB).await?;
    ready(&sandbox, "App", "web").await?;
    // A rate is one of what happens after it was seen first.
    prometheus.shows("moorage_reconcile_duration_seconds_count").await?;
    patch(&sandbox, "App", "web", &json!({"spec": {"replicas": 2}})).await?;
    ready(&sandbox, "App", "web").await?;
    for (title, expr, ..) in &PANELS {
        prometheus.shows(expr).await.context(*title)?;
    }
    // A query of a metric or label that is not there finds nothing, whatever happens.
    let counted = sandbox.operator.metrics().await?;
    let texts = ALERTS.iter().map(|alert| alert.expr).chain(PANELS.iter().map(|(_, expr, ..)| *expr));
    for name in texts.flat_map(|text| text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')) {
        let is_metric = name.starts_with("moorage_") && !name.starts_with("moorage_watch_errors");
        ensure!(!is_metric || counted.contains(&format!("\n{name}")), "there is no {name}:\n{counted}");
    }
    for result in ["panic", "internal", "denied"] {
        let before_it_happens = format!("moorage_reconciles_total{{kind=\"App\",result=\"{result}\"}} 0");
        ensure!(counted.contains(&before_it_happens), "no {before_it_happens}:\n{counted}");
    }
    for alert in &ALERTS {
        let found = prometheus.query(alert.expr).await?;
        ensure!(found.is_empty(), "{} is about to fire while all is well: {found:?}", alert.name);
    }
    let (_, body) = http_get(prometheus.address, "/api/v1/rules").await?;
    let rules: Value = serde_json::from_str(&body)?;
    let loaded = rules["data"]["groups"][0]["rules"].as_array().map_or(0, Vec::len);
    ensure!(loaded == ALERTS.len(), "{rules}");
    Ok(())
}

async fn the_monitor_finds_the_operator_and_each_alert_has_a_page(control_plane: Arc<ControlPlane>) -> Result<()> {
    let folder = "deploy/self-monitoring";
    let monitor: Value = serde_saphyr::from_str(&page(&format!("{folder}/monitor.yaml"))?)?;
    let deployment: Value = serde_saphyr::from_str(&page("deploy/deployment.yaml")?)?;
    let pod = &deployment["spec"]["template"];
    for (label, value) in monitor["spec"]["selector"]["matchLabels"].as_object().context("it selects nothing")? {
        ensure!(pod["metadata"]["labels"][label] == *value, "{label}: {}", pod["metadata"]["labels"]);
    }
    let port = &monitor["spec"]["podMetricsEndpoints"][0]["port"];
    ensure!(pod["spec"]["containers"][0]["ports"][0]["name"] == *port, "{port}");
    control_plane.apply_object(monitor, "moorage-system").await?;
    control_plane
        .run_kubectl(&["apply", &format!("--filename={}", workspace().join(folder).join("dashboard.yaml").display())])
        .await?;
    for alert in &ALERTS {
        let text = page(&format!("docs/runbooks/{}.md", alert.name))?;
        for part in [
            &format!("# {}\n", alert.name),
            "\n## Meaning\n",
            "\n## Impact\n",
            "\n## Diagnosis\n",
            "\n## Mitigation\n",
            alert.expr,
        ] {
            ensure!(text.contains(part), "docs/runbooks/{}.md lacks {part}", alert.name);
        }
    }
    Ok(())
}
