//! **The table** of what can be set: `values.yaml`, its schema and the chart's page are written from it.

use super::types::{amount, choice, flag, list, map, name, of, text, text_like};
use crate::core::plan::Forbidden;
use crate::generate::deploy::{deployment, disruption_budget};
use crate::generate::files::document;
use crate::generate::rbac::{COMPONENTS, Component, Place};
use crate::shell::settings::{LogFormat, REGISTRY_IMAGE};
use clap::ValueEnum;
use k8s_openapi::api::core::v1::{Affinity, EnvVar, ResourceRequirements, Toleration, TopologySpreadConstraint};
use serde_json::{Value, json};
use std::fmt::Write;

/// One value.
#[derive(Debug)]
pub struct Setting {
    /// Its path in `values.yaml`, which has no more than two parts.
    pub path: String,
    /// What it is unless somebody sets it.
    pub default: Value,
    /// What it may be.
    pub schema: Value,
    /// What it does.
    pub what: String,
}

fn setting(path: &str, default: impl Into<Value>, schema: Value, what: impl Into<String>) -> Setting {
    Setting { path: path.to_owned(), default: default.into(), schema, what: what.into() }
}

/// Every value, in the order of `values.yaml`.
pub fn settings() -> Vec<Setting> {
    let mut all = image();
    all.extend(scope());
    all.extend(COMPONENTS.iter().map(component));
    all.extend(operator());
    all.extend(pods());
    all.extend(beside());
    all
}

/// An image's name without tag or digest, as registries have it, or none.
const REPOSITORY: &str = "^([a-z0-9]+([.-][a-z0-9]+)*(:[0-9]+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*)?$";

/// No value has a default that would be somebody's image.
fn image() -> Vec<Setting> {
    let pull = choice(&["", "Always", "IfNotPresent", "Never"]);
    vec![
        setting(
            "image.repository",
            "",
            text_like(REPOSITORY, 255),
            "Where your image of the operator is, without tag or digest. It must be set where the chart names none.",
        ),
        setting(
            "image.tag",
            "",
            text_like("^([A-Za-z0-9_][A-Za-z0-9._-]*)?$", 128),
            "Its tag. Unset, it is the chart's appVersion.",
        ),
        setting(
            "image.digest",
            "",
            text_like("^(sha256:[0-9a-f]{64})?$", 71),
            "Its digest, such as `sha256:...`, which is taken in place of a tag.",
        ),
        setting("image.pullPolicy", "", pull, "When nodes pull it. Unset, it is as Kubernetes has it for that tag."),
        setting(
            "image.pullSecrets",
            json!([]),
            list(&name(), true),
            "Names of Secrets in the release's namespace by which nodes pull it.",
        ),
    ]
}

fn scope() -> Vec<Setting> {
    vec![
        setting(
            "watchNamespaces",
            json!([]),
            list(&namespace(), true),
            "Watch these namespaces only, which must exist; rights are then granted by a Role in each, and beside it only in the \
             release's own namespace (but for `components.metricsAuth`). Unset, all are watched.",
        ),
        setting(
            "crds.install",
            true,
            flag(),
            "Install the CustomResourceDefinitions and upgrade them. They stay when the release is uninstalled, and with them every \
             App.",
        ),
        setting(
            "userRoles",
            true,
            flag(),
            "Let whoever may view, edit or administer a namespace do so with Apps, StorageClaims and Registries.",
        ),
        setting(
            "fence",
            true,
            flag(),
            "Install the admission policies that refuse the operator's own account what it never needs.",
        ),
    ]
}

/// The switch of a component: a list of namespaces where an admin chooses them, and else a flag.
fn component(component: &Component) -> Setting {
    let path = format!("components.{}", switch(component.name));
    if is_chosen(component) {
        let what = format!("{} List the namespaces in which the operator may read Secrets for that.", component.what);
        return setting(&path, json!([]), list(&namespace(), true), what);
    }
    setting(&path, false, flag(), component.what)
}

/// Whether an admin chooses the namespaces of a component.
pub fn is_chosen(component: &Component) -> bool {
    (component.grants)().iter().any(|grant| grant.place == Place::Chosen)
}

/// `ownerReferences` of `owner-references`.
pub fn switch(component: &str) -> String {
    let mut parts = component.split('-');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |name, part| {
        let (begin, rest) = part.split_at(1);
        name + &begin.to_uppercase() + rest
    })
}

fn operator() -> Vec<Setting> {
    let formats = LogFormat::value_variants().iter().filter_map(ValueEnum::to_possible_value);
    let formats: Vec<String> = formats.map(|format| format.get_name().to_owned()).collect();
    let formats: Vec<&str> = std::iter::once("").chain(formats.iter().map(String::as_str)).collect();
    let forbidden = Forbidden::ALL.map(Forbidden::as_str);
    vec![
        setting(
            "log.filter",
            "",
            text(1024),
            "What is logged: a level, or levels by module such as `info,moorage=debug`.",
        ),
        setting("log.format", "", choice(&formats), "Form of the log: `json`, which is what it is unset, or `text`."),
        setting(
            "forbid",
            json!([]),
            list(&choice(&forbidden), true),
            format!("What no App may ask for: {}.", forbidden.map(|what| format!("`{what}`")).join(", ")),
        ),
        setting(
            "registryImage",
            "",
            text(1024),
            format!("Image of Registries that name none. Unset, it is `{REGISTRY_IMAGE}`."),
        ),
        setting(
            "extraArgs",
            json!([]),
            list(&flags(), false),
            "Further flags of `moorage run`, such as `--workers=16`.",
        ),
        setting(
            "extraEnv",
            json!([]),
            list(&variable(), false),
            "Further environment variables, as a container has them.",
        ),
    ]
}

/// A flag of the operator's that sets none of what the chart's own variables do.
fn flags() -> Value {
    let ours: Vec<String> = variables().iter().map(|name| name.trim_start_matches("MOORAGE_").to_lowercase()).collect();
    let mut flag = text(1024);
    flag["not"] = json!({"pattern": format!("^--({})(=|$)", ours.join("|").replace('_', "-"))});
    flag
}

/// A variable of a container that the chart does not set itself.
fn variable() -> Value {
    let mut variable = of::<EnvVar>();
    let ours = variables();
    variable["properties"]["name"]["not"] = json!({"enum": ours});
    variable
}

/// Names of the variables that the chart sets itself.
fn variables() -> Vec<String> {
    let made = deployment(None);
    let always = made["spec"]["template"]["spec"]["containers"][0]["env"].as_array().cloned().unwrap_or_default();
    let always = always.into_iter().filter_map(|one| Some(one["name"].as_str()?.to_owned()));
    let ours = ["WATCH_NAMESPACE", "LOG", "LOG_FORMAT", "METRICS_AUTH", "REGISTRY_IMAGE", "FORBID"];
    always.chain(ours.map(|name| format!("MOORAGE_{name}"))).collect()
}

fn pods() -> Vec<Setting> {
    let deployment = deployment(None);
    let spec = &deployment["spec"];
    let pod = &spec["template"]["spec"];
    vec![
        setting(
            "replicas",
            spec["replicas"].clone(),
            amount(0, 16),
            "Pods of the operator: one leads, the others stand by.",
        ),
        setting(
            "resources",
            pod["containers"][0]["resources"].clone(),
            of::<ResourceRequirements>(),
            "What a pod of the operator asks for, and what it may use.",
        ),
        setting("priorityClassName", "", text(253), "Priority class of its pods."),
        setting("nodeSelector", json!({}), map(&text(63)), "Labels of the nodes that its pods may run on."),
        setting("tolerations", json!([]), list(&of::<Toleration>(), false), "Taints that its pods tolerate."),
        setting("affinity", json!({}), of::<Affinity>(), "Where its pods are drawn to, or kept from."),
        setting(
            "topologySpreadConstraints",
            pod["topologySpreadConstraints"].clone(),
            list(&of::<TopologySpreadConstraint>(), false),
            "How its pods are spread.",
        ),
        setting("podAnnotations", json!({}), map(&text(16384)), "Annotations of its pods."),
        setting("podLabels", json!({}), labels(), "Labels of its pods, beside those that it is found by."),
    ]
}

fn beside() -> Vec<Setting> {
    let most = disruption_budget()["spec"]["maxUnavailable"].clone();
    let share = json!({"type": ["integer", "string"], "minimum": 0, "pattern": "^[0-9]{1,2}%$|^100%$"});
    vec![
        setting("commonLabels", json!({}), labels(), "Labels of everything that the chart installs, and of the pods."),
        setting(
            "serviceAccount.annotations",
            json!({}),
            map(&text(16384)),
            "Annotations of the operator's ServiceAccount, which is called `moorage`.",
        ),
        setting("podDisruptionBudget.enabled", true, flag(), "Keep its pods from being evicted all at once."),
        setting(
            "podDisruptionBudget.maxUnavailable",
            most,
            share,
            "How many may be away then: a number or a percentage.",
        ),
        setting(
            "podMonitor.enabled",
            false,
            flag(),
            "Have Prometheus scrape the operator itself, by a PodMonitor of prometheus-operator's.",
        ),
        setting("podMonitor.labels", json!({}), labels(), "Labels of that, by which a Prometheus selects it."),
        setting(
            "podMonitor.interval",
            "",
            text_like("^(([0-9]+(ms|[ywdhms]))+)?$", 32),
            "How often it is scraped. Unset, it is as Prometheus has it.",
        ),
        setting(
            "podMonitor.tokenSecret",
            "",
            text_like("^([a-z0-9]([a-z0-9.-]*[a-z0-9])?)?$", 253),
            "Name of a Secret in the release's namespace whose key `token` it is scraped with, which `components.metricsAuth` asks for.",
        ),
    ]
}

/// Labels that are not those by which everything of the operator is known, or which Helm sets.
fn labels() -> Value {
    let ours = ["name", "component", "instance", "version", "managed-by"];
    let mut ours: Vec<String> = ours.iter().map(|part| format!("app.kubernetes.io/{part}")).collect();
    ours.push("helm.sh/chart".to_owned());
    // By these the rights of a role become those of everybody who may view, edit or administer.
    ours.extend(["view", "edit", "admin"].map(|role| format!("rbac.authorization.k8s.io/aggregate-to-{role}")));
    let mut labels = map(&text(63));
    // `propertyNames` would say it better, but Helm's validator names another value where that fails.
    labels["properties"] = ours.into_iter().map(|label| (label, json!(false))).collect();
    labels
}

fn namespace() -> Value {
    text_like("^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", 63)
}

/// Longest line of a comment.
const WIDTH: usize = 110;

/// `values.yaml`: every value with what it does above it.
pub fn values() -> String {
    let mut made = "# Generated by `cargo xtask generate`; do not edit. `helm show values` prints it.\n".to_owned();
    let mut within = String::new();
    for Setting { path, default, what, .. } in settings() {
        let (group, name) = path.rsplit_once('.').unwrap_or(("", &path));
        if group != within {
            group.clone_into(&mut within);
            if !group.is_empty() {
                let _ = writeln!(made, "\n{group}:");
            }
        }
        let indent = if group.is_empty() { "" } else { "  " };
        if group.is_empty() {
            made.push('\n');
        }
        for line in wrapped(&what, WIDTH) {
            let _ = writeln!(made, "{indent}# {line}");
        }
        for line in entry(name, &default).lines() {
            let _ = writeln!(made, "{indent}{line}");
        }
    }
    made
}

/// A key with its value, on one line if that is small.
fn entry(name: &str, value: &Value) -> String {
    let is_empty =
        value.as_array().is_some_and(Vec::is_empty) || value.as_object().is_some_and(serde_json::Map::is_empty);
    if is_empty || !(value.is_array() || value.is_object()) {
        return format!("{name}: {value}");
    }
    document(&json!({name: value}))
}

/// A text in lines of at most so many letters.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.len() + 1 + word.len() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
