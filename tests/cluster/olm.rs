//! The bundle for OLM does what it is for: with the rights and the environment that OLM makes of it, in every install mode, the operator
//! works and is refused nothing. Whether it is one by Operator Framework's own schema, `lint.rs` tells.

use crate::rbac::SEVERAL;
use crate::support::*;
use anyhow::{Context, Result, ensure};
use moorage_harness::build::workspace;
use moorage_harness::olm::{Bundle, OperatorGroup};
use moorage_harness::{ControlPlane, Options, eventually};
use serde_json::{Value, json};
use std::sync::Arc;

crate::cases![own: the_bundle_runs_as_olm_renders_it];

/// An install mode: its name, where the operator is and works, and where users apply the samples.
type Mode = (&'static str, OperatorGroup, &'static [&'static str]);

/// All namespaces come last: there an operator works wherever others did.
const MODES: [Mode; 4] = [
    ("OwnNamespace", OperatorGroup { own: "own", watched: &["own"] }, &["own"]),
    ("SingleNamespace", OperatorGroup { own: "single", watched: &["single-shop"] }, &["single-shop"]),
    (
        "MultiNamespace",
        OperatorGroup { own: "multi", watched: &["multi-shop", "multi-blog"] },
        &["multi-shop", "multi-blog"],
    ),
    ("AllNamespaces", OperatorGroup { own: "all", watched: &[] }, &["all-shop"]),
];

/// On a control plane of its own, which has no other rights than these and admits what `OpenShift` does.
async fn the_bundle_runs_as_olm_renders_it(_shared: Arc<ControlPlane>) -> Result<()> {
    let control_plane = ControlPlane::start(Options::default()).await?;
    control_plane.install_crds(&workspace().join("crds")).await?;
    control_plane.install_monitoring().await?;
    let bundle = Bundle::read()?;
    for mode in MODES {
        installed(&control_plane, &bundle, mode).await.with_context(|| mode.0)?;
    }
    Ok(())
}

/// Runs the operator in that mode until the samples are Ready.
async fn installed(control_plane: &ControlPlane, bundle: &Bundle, (_, group, used): Mode) -> Result<()> {
    for namespace in used.iter().filter(|namespace| **namespace != group.own) {
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
        control_plane.apply_object(object, "").await?;
    }
    bundle.install(control_plane, group).await?;
    let mark = control_plane.audit().mark()?;
    let operator = control_plane.deployed_operator(group.own, options()).await?;
    let samples = bundle.samples()?;
    for namespace in used {
        for sample in &samples {
            control_plane.apply_object(sample.clone(), namespace).await?;
        }
        control_plane.apply(SEVERAL, namespace).await?;
        control_plane.apply(SEEN, namespace).await?;
        let several = json!({"kind": "Registry", "metadata": {"name": "many"}});
        let seen = json!({"kind": "App", "metadata": {"name": "seen"}});
        for object in samples.iter().chain([&several, &seen]) {
            let log = || format!("the operator's log ends:\n{}", operator.process().tail(30));
            is_ready(control_plane, namespace, object).await.with_context(log)?;
        }
    }
    let requests = control_plane.audit().by_user(&operator.user(), mark)?;
    let refused: Vec<_> = requests.iter().filter(|event| event.lacks_rights()).cloned().collect();
    ensure!(!requests.is_empty() && refused.is_empty(), "it was refused:\n{}", lines(&refused));
    operator.stop().await?;
    bundle.uninstall(control_plane, group).await
}

async fn is_ready(control_plane: &ControlPlane, namespace: &str, object: &Value) -> Result<()> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (kind, name) = (text(&object["kind"]), text(&object["metadata"]["name"]));
    eventually(DEADLINE, &format!("{kind} {name} in {namespace} to be Ready"), || async {
        let live = serde_json::to_value(control_plane.get(MOORAGE, &kind, namespace, &name).await?)?;
        ensure!(is_true(&live, "Ready"), "its status is {}", live["status"]);
        Ok(Some(()))
    })
    .await
}
