//! Whoever audits finds every change that the operator made, once, in its log and as Events, and no value in either.

use crate::rules;
use crate::support::*;
use anyhow::{Result, ensure};
use moorage_harness::{ControlPlane, Sandbox, eventually};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

crate::cases![
    every_change_is_told_once,
    a_refusal_is_told_once_and_that_it_is_over,
    a_deletion_that_is_refused_says_so
];
crate::cases![last: all_that_was_told_keeps_the_rules];

/// What no log and no Event may hold.
const VALUE: &str = "hunter2";

/// Lines of the operator's log that have each of these parts.
fn lines_with(sandbox: &Sandbox, parts: &[&str]) -> Vec<String> {
    let log = sandbox.operator.logs();
    log.lines().filter(|line| parts.iter().all(|part| line.contains(part))).map(str::to_owned).collect()
}

/// What finds the Events on the App of that name.
const ON_WEB: &str = "involvedObject.name=web,involvedObject.kind=App";

/// Waits for as many Events with that reason on the App; returns their messages.
async fn on_web(sandbox: &Sandbox, reason: &str, count: usize) -> Result<Vec<String>> {
    told(sandbox, &format!("{ON_WEB},reason={reason}"), count).await
}

async fn every_change_is_told_once(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = sandbox(&control_plane, "audit-changes").await?;
    sandbox.apply(WEB).await?;
    ready(&sandbox, "App", "web").await?;
    ensure!(on_web(&sandbox, "Created", 1).await? == ["made ServiceAccount web, Deployment web, Service web"]);
    ensure!(on_web(&sandbox, "RolloutComplete", 1).await? == ["1 of 1 pods are available"]);

    let change =
        json!({"spec": {"image": "registry.example.com/team/web:2", "env": [{"name": "KEY", "value": VALUE}]}});
    patch(&sandbox, "App", "web", &change).await?;
    ready(&sandbox, "App", "web").await?;
    let updated = on_web(&sandbox, "Updated", 1).await?;
    let container = "spec.template.spec.containers[name=web]";
    let fields = format!("{container}.env, {container}.image");
    ensure!(updated == [format!("Deployment web, to generation 2 of the App: {fields}")], "{updated:?}");
    on_web(&sandbox, "RolloutComplete", 2).await?;

    patch(&sandbox, "Service", "web", &json!({"spec": {"selector": {"moorage.dev/app": "x"}}})).await?;
    until(&sandbox, "Service", "web", "to be repaired", |service| {
        service["spec"]["selector"]["moorage.dev/app"] == "web"
    })
    .await?;
    on_web(&sandbox, "DriftReverted", 1).await?;

    patch(&sandbox, "App", "web", &json!({"spec": {"ports": null}})).await?;
    until_gone(&sandbox, "Service", "web").await?;
    ensure!(on_web(&sandbox, "Pruned", 1).await? == ["deleted Service web, which the App declares no more"]);
    on_web(&sandbox, "RolloutComplete", 3).await?;

    for (deed, child, generation, fields) in [
        ("created", "ServiceAccount web", 1, ""),
        ("created", "Deployment web", 1, ""),
        ("created", "Service web", 1, ""),
        ("updated", "Deployment web", 2, fields.as_str()),
        ("changed back", "Service web", 2, "spec.selector"),
        ("updated", "Deployment web", 3, &format!("{container}.ports")),
        ("deleted", "Service web", 3, ""),
    ] {
        let (child, generation) = (format!("child=\"{child}\""), format!("generation={generation}"));
        let found = lines_with(&sandbox, &[" INFO ", deed, "audit-changes/web", &child, &generation, fields]);
        ensure!(found.len() == 1, "{deed} {child}: {found:?}\n{}", sandbox.operator.logs());
    }
    let all = lines_with(&sandbox, &[" INFO ", "child="]);
    ensure!(all.len() == 7, "{all:?}");
    let events = events(&sandbox, ON_WEB).await?;
    ensure!(events.len() == 8, "{events:?}");
    ensure!(!format!("{events:?}{}", sandbox.operator.logs()).contains(VALUE), "a value was told");
    Ok(())
}

async fn a_refusal_is_told_once_and_that_it_is_over(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = sandbox(&control_plane, "audit-refusals").await?;
    sandbox.kubectl(&["create", "service", "clusterip", "web", "--tcp=80"]).await?;
    sandbox.apply(WEB).await?;
    reason(&sandbox, "App", "web", "Stalled", "NameConflict").await?;
    // It is tried again, and refused again.
    let mark = control_plane.audit().mark()?;
    eventually(DEADLINE, "another try", || async {
        let tried = control_plane.audit().by_user(&sandbox.user(), mark)?;
        Ok(tried.iter().any(|event| event.resource == "services" && event.code == 409).then_some(()))
    })
    .await?;
    let warned = lines_with(&sandbox, &[" WARN ", "NameConflict", "Service web", "audit-refusals/web"]);
    ensure!(warned.len() == 1, "{warned:?}\n{}", sandbox.operator.logs());
    on_web(&sandbox, "NameConflict", 1).await?;

    sandbox.kubectl(&["delete", "service", "web"]).await?;
    ready(&sandbox, "App", "web").await?;
    let recovered = on_web(&sandbox, "Recovered", 1).await?;
    ensure!(recovered == ["NameConflict is over; 1 of 1 pods are available"], "{recovered:?}");
    Ok(())
}

/// Whoever reads "forbidden" has to know that it was a deletion.
const KEPT: &str = "
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: services-are-kept}
spec:
  failurePolicy: Fail
  matchConstraints:
    namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: audit-kept}}
    resourceRules: [{apiGroups: [''], apiVersions: [v1], operations: [DELETE], resources: [services]}]
  validations: [{expression: 'false', message: services are kept here}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: services-are-kept}
spec: {policyName: services-are-kept, validationActions: [Deny]}
";

async fn a_deletion_that_is_refused_says_so(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = sandbox(&control_plane, "audit-kept").await?;
    sandbox.apply(KEPT).await?;
    sandbox.apply(WEB).await?;
    ready(&sandbox, "App", "web").await?;
    // The policy is in force some time after it was made.
    eventually(DEADLINE, "the policy to refuse", || async {
        let tried = sandbox.kubectl(&["delete", "service", "web", "--dry-run=server"]).await;
        Ok(tried.is_err_and(|error| format!("{error:#}").contains("services are kept here")).then_some(()))
    })
    .await?;
    patch(&sandbox, "App", "web", &json!({"spec": {"ports": null}})).await?;
    let app = until(&sandbox, "App", "web", "to say what is refused", |app| {
        message(app, "Ready").starts_with("Service web: can't be deleted: ")
    })
    .await?;
    ensure!(message(&app, "Ready").contains("services are kept here"), "{}", app["status"]);
    sandbox
        .kubectl(&["delete", "validatingadmissionpolicybinding,validatingadmissionpolicy", "services-are-kept"])
        .await?;
    until_gone(&sandbox, "Service", "web").await?;
    ready(&sandbox, "App", "web").await?;
    Ok(())
}

/// Conditions and Events that operators wrote in all tests of this suite: whatever the cluster made them say, and what only happens in
/// one.
async fn all_that_was_told_keeps_the_rules(control_plane: Arc<ControlPlane>) -> Result<()> {
    let (mut reasons, mut failures) = (BTreeSet::new(), BTreeSet::new());
    for event in control_plane.audit().events()? {
        // Tests of what a status may hold write some themselves, as administrators.
        let is_operators = event.user.starts_with("system:serviceaccount:");
        let Some(body) = event.request_object.filter(|_| is_operators) else { continue };
        let mut note = |what: &Value, message: &str, rules: Vec<&str>| {
            failures.extend(rules.into_iter().map(|rule| format!("{what} {rule}: {message}")));
        };
        if event.group == "events.k8s.io" && body["reportingController"] == "moorage" {
            reasons.extend(body["reason"].as_str().map(str::to_owned));
            // What an Event is about stands beside it.
            if let Some(message) = body["note"].as_str() {
                note(&body["reason"], message, rules::misshapen(message).collect());
            }
        } else if event.group == "moorage.dev" && event.subresource == "status" {
            for condition in body["status"]["conditions"].as_array().into_iter().flatten() {
                note(&condition["reason"], condition["message"].as_str().unwrap_or_default(), rules::broken(condition));
            }
        }
    }
    let expected =
        ["Created", "Updated", "RolloutComplete", "Pruned", "VolumeDeleted", "Adopted", "Recovered", "DriftReverted"];
    let unseen: Vec<&str> = expected.into_iter().filter(|reason| !reasons.contains(*reason)).collect();
    ensure!(unseen.is_empty(), "no test led to the Events {unseen:?}, only to {reasons:?}");
    ensure!(failures.is_empty(), "{}", failures.into_iter().collect::<Vec<_>>().join("\n"));
    Ok(())
}
