//! `deploy/self-monitoring/`: how the operator itself is watched. Each alert has its page in `docs/runbooks/`.

use super::about::SITE;
use super::deploy::{NAME, kustomization, labels, metadata};
use super::files::{File, yaml};
use crate::shell::metrics_auth::PATH;
use serde_json::{Value, json};

/// When somebody has to look after the operator.
pub struct Alert {
    /// Its name, and that of its page.
    pub name: &'static str,
    /// When it is so, in `PromQL`.
    pub expr: &'static str,
    /// How long it has to be so.
    pub lasts: &'static str,
    /// `critical`: nothing is reconciled; `warning`: something is not.
    pub severity: &'static str,
    /// What is wrong, in a sentence.
    pub summary: &'static str,
}

/// Every alert.
pub const ALERTS: [Alert; 7] = [
    Alert {
        name: "MoorageAbsent",
        expr: "absent(moorage_build_info)",
        lasts: "5m",
        severity: "critical",
        summary: "No Moorage operator is scraped: none runs, or Prometheus does not find it.",
    },
    Alert {
        name: "MoorageNobodyLeads",
        expr: "max(moorage_leader) < 1",
        lasts: "2m",
        severity: "critical",
        summary: "No replica of the Moorage operator leads, so nothing is reconciled.",
    },
    Alert {
        name: "MoorageInternalErrors",
        expr: "sum by (kind, result) (increase(moorage_reconciles_total{result=~\"panic|internal\"}[15m])) > 0",
        lasts: "0m",
        severity: "warning",
        summary: "Reconciles of {{ $labels.kind }} ended with {{ $labels.result }}, which is a fault of the Moorage operator.",
    },
    Alert {
        name: "MoorageDenied",
        expr: "sum by (kind) (increase(moorage_reconciles_total{result=\"denied\"}[15m])) > 0",
        lasts: "15m",
        severity: "warning",
        summary: "The Moorage operator is refused again and again what a resource of kind {{ $labels.kind }} declares.",
    },
    Alert {
        name: "MoorageNamespacesUnseen",
        expr: "max(moorage_unseen_namespaces) > 0",
        lasts: "5m",
        severity: "warning",
        summary: "The Moorage operator can't see {{ $value }} of the namespaces that it watches, and does nothing in them.",
    },
    Alert {
        name: "MoorageWatchErrors",
        expr: "sum by (resource, code) (increase(moorage_watch_errors_total{code!=\"403\"}[15m])) > 5",
        lasts: "15m",
        severity: "warning",
        summary: "Watches of {{ $labels.resource }} fail again and again (code {{ $labels.code }}), so changes are noticed late.",
    },
    Alert {
        name: "MoorageBacklog",
        expr: "max(moorage_queue_depth) > 100",
        lasts: "10m",
        severity: "warning",
        summary: "{{ $value }} resources wait for the Moorage operator, which does not keep up.",
    },
];

/// A panel of the dashboard: its title, its query, the legend of its series, and their unit as Grafana calls it.
pub type Panel = (&'static str, &'static str, &'static str, &'static str);

/// Every panel. A rate of what has not happened yet is 0.
pub const PANELS: [Panel; 9] = [
    ("Leader", "sum by (pod) (moorage_leader)", "{{pod}}", "short"),
    ("Reconciles", "sum by (kind, result) (rate(moorage_reconciles_total[5m]))", "{{kind}} {{result}}", "reqps"),
    (
        "Time of a reconcile, 99 of 100",
        "histogram_quantile(0.99, sum by (kind, le) (rate(moorage_reconcile_duration_seconds_bucket[5m])))",
        "{{kind}}",
        "s",
    ),
    ("Objects of plans", "sum by (outcome) (rate(moorage_applies_total[5m]))", "{{outcome}}", "reqps"),
    ("Statuses written", "sum by (kind) (rate(moorage_status_writes_total[5m]))", "{{kind}}", "reqps"),
    // There need be none.
    (
        "Failures of watches",
        "sum by (resource, code) (rate(moorage_watch_errors_total[5m])) or vector(0)",
        "{{resource}} {{code}}",
        "reqps",
    ),
    ("Waiting", "max(moorage_queue_depth)", "resources", "short"),
    ("Remembered", "sum by (kind) (moorage_cache_objects)", "{{kind}}", "short"),
    ("Namespaces unseen", "max(moorage_unseen_namespaces)", "namespaces", "short"),
];

/// Its files, by their paths below `deploy/`.
pub fn self_monitoring() -> Vec<File> {
    let objects = [("monitor.yaml", monitor()), ("alerts.yaml", alerts()), ("dashboard.yaml", board())];
    let resources = objects.each_ref().map(|(name, _)| *name);
    let all = [("kustomization.yaml", kustomization(&resources))].into_iter().chain(objects);
    all.map(|(name, object)| (format!("self-monitoring/{name}"), yaml(&[object]))).collect()
}

/// What has Prometheus scrape every replica.
pub fn monitor() -> Value {
    json!({
        "apiVersion": "monitoring.coreos.com/v1", "kind": "PodMonitor", "metadata": metadata(NAME),
        "spec": {"selector": {"matchLabels": labels()}, "podMetricsEndpoints": [{"port": "http", "path": PATH}]},
    })
}

/// The alerts, as prometheus-operator takes them.
pub fn alerts() -> Value {
    let rule = |alert: &Alert| {
        let page = format!("{SITE}/docs/runbooks/{}.md", alert.name);
        json!({
            "alert": alert.name, "expr": alert.expr, "for": alert.lasts, "labels": {"severity": alert.severity},
            "annotations": {"summary": alert.summary, "runbook_url": page},
        })
    };
    json!({
        "apiVersion": "monitoring.coreos.com/v1", "kind": "PrometheusRule", "metadata": metadata(NAME),
        "spec": {"groups": [{"name": NAME, "rules": ALERTS.iter().map(rule).collect::<Vec<_>>()}]},
    })
}

/// The dashboard in a `ConfigMap`, as Grafana's chart and operator find it by its label.
fn board() -> Value {
    let mut metadata = metadata("moorage-dashboard");
    metadata["labels"]["grafana_dashboard"] = json!("1");
    let text = serde_json::to_string_pretty(&dashboard()).unwrap_or_default();
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"moorage.json": text}})
}

/// The dashboard as Grafana keeps it.
fn dashboard() -> Value {
    let source = json!({"type": "prometheus", "uid": "${datasource}"});
    let panel = |(index, (title, expr, legend, unit)): (usize, &Panel)| {
        json!({
            "id": index + 1, "type": "timeseries", "title": title, "datasource": source,
            "gridPos": {"w": 8, "h": 7, "x": index % 3 * 8, "y": index / 3 * 7},
            "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
            "targets": [{"refId": "A", "datasource": source, "expr": expr, "legendFormat": legend}],
        })
    };
    json!({
        "uid": NAME, "title": "Moorage", "tags": [NAME], "schemaVersion": 39, "timezone": "browser", "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": [{"name": "datasource", "type": "datasource", "query": "prometheus"}]},
        "panels": PANELS.iter().enumerate().map(panel).collect::<Vec<_>>(),
    })
}
