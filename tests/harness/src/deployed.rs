//! The operator of an installed Deployment where kwok plays the pods: a process that is what one of these pods would be.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use kube::{Api, api::ListParams};
use serde_json::Value;

use crate::{
    access::Access,
    control_plane::ControlPlane,
    operator::{Operator, OperatorOptions},
    wait::eventually,
};

const DEADLINE: Duration = Duration::from_mins(1);

impl ControlPlane {
    /// Waits until every pod of the Deployment `moorage` is admitted, and starts the operator with the account, the arguments and the
    /// variables of the first of them. It has that account's rights and no others.
    pub async fn deployed_operator(&self, namespace: &str, options: OperatorOptions) -> Result<Operator> {
        let pod = serde_json::to_value(self.pod_of(namespace).await?)?;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let container = &pod["spec"]["containers"][0];
        let mut arguments = container["args"].as_array().into_iter().flatten().filter_map(text);
        ensure!(arguments.next().as_deref() == Some("run"), "its pod does not run it: {container}");
        let variables = container["env"].as_array().into_iter().flatten();
        let operator = self.operator(OperatorOptions {
            operator_namespace: namespace.to_owned(),
            service_account: text(&pod["spec"]["serviceAccountName"]).context("its pod has no account")?,
            name: text(&pod["metadata"]["name"]).context("its pod has no name")?,
            extra_args: arguments.collect(),
            env: variables.map(|variable| resolved(variable, &pod)).collect::<Result<_>>()?,
            ..options
        });
        let operator = operator.await?;
        operator.ready().await?;
        Ok(operator)
    }

    async fn pod_of(&self, namespace: &str) -> Result<Pod> {
        let deployment = self.rolled_out(namespace, DEADLINE).await?;
        let selector = deployment.spec.and_then(|spec| spec.selector.match_labels).unwrap_or_default();
        let labels: Vec<String> = selector.into_iter().map(|(key, value)| format!("{key}={value}")).collect();
        let pods: Api<Pod> = Api::namespaced(self.client(), namespace);
        let pods = pods.list(&ListParams::default().labels(&labels.join(","))).await?;
        pods.items.into_iter().find(|pod| pod.metadata.deletion_timestamp.is_none()).context("it has no pod")
    }
}

impl Access {
    /// The Deployment `moorage`, once every replica that it asks for is of its template and available, and there is no other.
    pub(crate) async fn rolled_out(&self, namespace: &str, deadline: Duration) -> Result<Deployment> {
        let deployments: Api<Deployment> = Api::namespaced(self.client(), namespace);
        eventually(deadline, "every replica of the operator to be available", || async {
            let deployment = deployments.get("moorage").await?;
            let wanted = deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
            let status = deployment.status.clone().unwrap_or_default();
            let current = status.observed_generation >= deployment.metadata.generation;
            let counts = [status.available_replicas, status.updated_replicas, status.replicas];
            ensure!(current && counts == [Some(wanted); 3], "available, updated, all: {counts:?}");
            Ok(Some(deployment))
        })
        .await
    }
}

/// A variable, as the kubelet makes it.
fn resolved(variable: &Value, pod: &Value) -> Result<(String, String)> {
    let name = variable["name"].as_str().context("a variable without a name")?.to_owned();
    let value = match variable["valueFrom"]["fieldRef"]["fieldPath"].as_str() {
        None => &variable["value"],
        Some(path) => match path.strip_suffix("']").and_then(|path| path.split_once("['")) {
            Some((map, key)) => &pod.pointer(&pointer(map)).with_context(|| format!("its pod has no {map}"))?[key],
            None => pod.pointer(&pointer(path)).with_context(|| format!("its pod has no {path}"))?,
        },
    };
    Ok((name, value.as_str().with_context(|| format!("the kubelet has nothing for {variable}"))?.to_owned()))
}

fn pointer(path: &str) -> String {
    format!("/{}", path.replace('.', "/"))
}
