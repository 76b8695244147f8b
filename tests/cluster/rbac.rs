//! What is granted is what is used: no 403 in normal runs, and every granted verb is asked for somewhere in this suite.

use crate::support::*;
use anyhow::{Context, Result, ensure};
use kube::api::{Api, DynamicObject};
use kube::core::{ApiResource, GroupVersionKind};
use moorage_harness::{AuditEvent, ControlPlane, OperatorOptions, eventually};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;

crate::cases![
    secrets_are_optional,
    a_shared_secret_that_is_deleted_is_there_when_pods_start,
    the_key_may_come_late,
    rights_asked_for_inside_others_are_needed
];
crate::cases![last: every_granted_verb_is_used_and_no_more_is_asked_for];

/// Group, resource and verb.
type Grant = (String, String, String);

/// Whether a right leaves no request of its own: the API server asks for it inside another request, as
/// `rights_asked_for_inside_others_are_needed` shows for each of them.
fn is_asked_for_inside_others((_, resource, verb): &Grant) -> bool {
    let applied = [
        "serviceaccounts",
        "configmaps",
        "persistentvolumeclaims",
        "services",
        "deployments",
        "poddisruptionbudgets",
        "storageclaims",
        "servicemonitors",
        "podmonitors",
    ];
    match verb.as_str() {
        // Server-side apply is a patch, which may create.
        "create" => applied.contains(&resource.as_str()),
        // The admission plugin for owner references asks for these.
        "update" => resource.ends_with("/finalizers"),
        "delete" => ["deployments", "storageclaims"].contains(&resource.as_str()),
        _ => false,
    }
}

/// A Registry whose pods must share a secret.
pub const SEVERAL: &str = "
apiVersion: moorage.dev/v1alpha1
kind: Registry
metadata: {name: many}
spec:
  replicas: 2
  storage: {volume: {size: 1Gi, accessModes: [ReadWriteMany]}}
";

/// Without the role for Secrets a Registry of one replica works; one of several says what it lacks.
async fn secrets_are_optional(control_plane: Arc<ControlPlane>) -> Result<()> {
    let options = OperatorOptions {
        namespaced_roles: ["moorage", "moorage-owner-references"].map(Into::into).into(),
        own_roles: vec!["moorage-leader".to_owned()],
        ..options()
    };
    let sandbox = control_plane.sandbox("no-secrets", options).await?;
    sandbox.apply(IMAGES).await?;
    ready(&sandbox, "Registry", "images").await?;
    sandbox.apply(SEVERAL).await?;
    let registry = reason(&sandbox, "Registry", "many", "Stalled", "SecretAccessMissing").await?;
    ensure!(message(&registry, "Ready").contains("components/registry-secrets"), "{}", message(&registry, "Ready"));
    // The grant is noticed without a restart.
    let account = "--serviceaccount=no-secrets:moorage";
    sandbox.kubectl(&["create", "role", "key", "--verb=get,create", "--resource=secrets"]).await?;
    sandbox.kubectl(&["create", "rolebinding", "key", "--role=key", account]).await?;
    sandbox.kubectl(&["create", "rolebinding", "make", "--clusterrole=moorage-registry-secrets", account]).await?;
    ready(&sandbox, "Registry", "many").await?;
    Ok(())
}

/// Pods read the secret when they start; until then nobody misses it, and nobody looks.
async fn a_shared_secret_that_is_deleted_is_there_when_pods_start(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = sandbox(&control_plane, "shared-secret").await?;
    sandbox.apply(IMAGES).await?;
    let registry = ready(&sandbox, "Registry", "images").await?;
    let deployment = must_get(&sandbox, "Deployment", "images").await?;
    let environment = &deployment["spec"]["template"]["spec"]["containers"][0]["env"][1]["valueFrom"];
    let name = environment["secretKeyRef"]["name"].as_str().context("pods read no secret")?;
    let before = must_get(&sandbox, "Secret", name).await?;
    ensure!(before["metadata"]["ownerReferences"][0]["uid"] == registry["metadata"]["uid"], "{before}");
    sandbox.kubectl(&["delete", "secret", name]).await?;
    sandbox.kubectl(&["rollout", "restart", "deployment/images"]).await?;
    let after = until(&sandbox, "Secret", name, "to be made anew", |_| true).await?;
    ensure!(after["data"] == before["data"], "it is another secret");
    ready(&sandbox, "Registry", "images").await.map(drop)
}

/// A key that is no key is told, and made anew once it is gone, without a restart.
async fn the_key_may_come_late(control_plane: Arc<ControlPlane>) -> Result<()> {
    let mut sandbox = sandbox(&control_plane, "late-key").await?;
    sandbox.operator.stop().await?;
    sandbox.kubectl(&["delete", "secret/moorage-key"]).await?;
    sandbox.kubectl(&["create", "secret", "generic", "moorage-key", "--from-literal=key=short"]).await?;
    sandbox.operator.restart().await?;
    sandbox.apply(SEVERAL).await?;
    let registry = reason(&sandbox, "Registry", "many", "Stalled", "SecretAccessMissing").await?;
    ensure!(message(&registry, "Ready").contains("moorage-key"), "{}", message(&registry, "Ready"));
    sandbox.kubectl(&["delete", "secret/moorage-key"]).await?;
    ready(&sandbox, "Registry", "many").await?;
    Ok(())
}

/// Without one of the rights that the API server asks for inside other requests, something is refused.
async fn rights_asked_for_inside_others_are_needed(control_plane: Arc<ControlPlane>) -> Result<()> {
    let owners = "moorage-owner-references";
    for (role, verb, resources, refused) in [
        ("moorage", "create", "", "cannot create resource"),
        (owners, "update", "apps/finalizers", "cannot set blockOwnerDeletion"),
        (owners, "delete", "deployments", "cannot set an ownerRef on a resource you can't delete"),
    ] {
        let name = format!("no-{verb}");
        let less = without(&control_plane, role, &format!("moorage-{name}"), verb, resources).await?;
        let mut roles = vec!["moorage".to_owned(), owners.to_owned()];
        roles.retain(|other| other != role);
        roles.push(less);
        let options = OperatorOptions { namespaced_roles: roles, ..options() };
        let sandbox = control_plane.sandbox(&name, options).await?;
        if verb == "delete" {
            // Only what exists is asked for: an orphan is taken back.
            sandbox.apply(WEB).await?;
            ready(&sandbox, "App", "web").await?;
            sandbox.kubectl(&["delete", "apps.moorage.dev/web", "--cascade=orphan", "--timeout=60s"]).await?;
        }
        sandbox.apply(WEB).await?;
        let app = reason(&sandbox, "App", "web", "Stalled", "Denied").await?;
        ensure!(message(&app, "Stalled").contains(refused), "{verb}: {}", message(&app, "Stalled"));
    }
    Ok(())
}

/// A copy of one of the operator's roles that lacks a verb on the resources; on all of them when none is named.
async fn without(control_plane: &ControlPlane, role: &str, name: &str, verb: &str, resource: &str) -> Result<String> {
    let role = control_plane.run_kubectl(&["get", "clusterrole", role, "--output=json"]).await?;
    let mut rules = serde_json::from_str::<Value>(&role)?["rules"].take();
    for rule in rules.as_array_mut().into_iter().flatten() {
        let concerns = |rule: &Value| {
            let resources = rule["resources"].as_array().into_iter().flatten();
            resource.is_empty() || resources.into_iter().any(|one| one == resource)
        };
        if concerns(rule)
            && let Some(verbs) = rule["verbs"].as_array_mut()
        {
            verbs.retain(|granted| granted != verb);
        }
    }
    rules.as_array_mut().context("no rules")?.retain(|rule| rule["verbs"] != serde_json::json!([]));
    let copy = serde_json::json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name},
        "rules": rules,
    });
    control_plane.apply_object(copy, "").await?;
    Ok(name.to_owned())
}

/// Runs after all other tests, over the audit log of them all.
async fn every_granted_verb_is_used_and_no_more_is_asked_for(control_plane: Arc<ControlPlane>) -> Result<()> {
    let events: Vec<AuditEvent> = control_plane
        .audit()
        .events()?
        .into_iter()
        .filter(|event| event.user.starts_with("system:serviceaccount:") && event.user.ends_with(":moorage"))
        .collect();
    let refused: Vec<AuditEvent> = events
        .iter()
        .filter(|event| event.lacks_rights() && !event.user.contains(":no-") && !is_probe(event))
        .cloned()
        .collect();
    ensure!(refused.is_empty(), "the operator was refused:\n{}", lines(&refused));
    ensure!(events.iter().any(AuditEvent::lacks_rights), "those that lack rights were refused nothing");
    let looks = ["get", "list", "watch", "patch", "update"];
    let read: Vec<AuditEvent> = events
        .iter()
        .filter(|event| {
            let looks = event.resource == "secrets" && looks.contains(&event.verb.as_str());
            looks && event.name != "moorage-key" && event.code < 400 && !event.user.contains(":reads-secrets")
        })
        .cloned()
        .collect();
    ensure!(read.is_empty(), "the operator looked at Secrets:\n{}", lines(&read));
    let used: BTreeSet<Grant> = events
        .into_iter()
        .filter(|event| event.code < 400)
        .map(|event| {
            let resource = if event.subresource.is_empty() {
                event.resource
            } else {
                format!("{}/{}", event.resource, event.subresource)
            };
            (event.group, resource, event.verb)
        })
        .collect();
    let granted = granted(&control_plane).await?;
    let unused: Vec<&Grant> = granted.difference(&used).filter(|grant| !is_asked_for_inside_others(grant)).collect();
    ensure!(unused.is_empty(), "granted and never used: {unused:?}");
    Ok(())
}

/// Where Secrets may be read, which is granted namespace by namespace, only a refused list tells; and that it was revoked, as in one
/// namespace, a watch that is refused when it is renewed. Nor does who has rights in some namespaces only know the cluster's classes.
fn is_probe(event: &AuditEvent) -> bool {
    if event.resource == "storageclasses" {
        return event.user.contains(":reads-secrets:");
    }
    let is_renewal = event.verb == "watch" && event.namespace == crate::secrets::GRANTED;
    event.resource == "secrets" && (event.verb == "list" || is_renewal)
}

async fn granted(control_plane: &ControlPlane) -> Result<BTreeSet<Grant>> {
    let mut grants = BTreeSet::new();
    let of_cluster = [
        "moorage",
        "moorage-cluster",
        "moorage-config-secrets",
        "moorage-events",
        "moorage-metrics-auth",
        "moorage-monitoring",
        "moorage-owner-references",
        "moorage-registry-secrets",
    ];
    for name in of_cluster {
        grants.extend(rules(control_plane, "ClusterRole", name).await?);
    }
    for name in ["moorage-config-key", "moorage-leader", "moorage-registry-key"] {
        grants.extend(rules(control_plane, "Role", name).await?);
    }
    Ok(grants)
}

async fn rules(control_plane: &ControlPlane, kind: &str, name: &str) -> Result<Vec<Grant>> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("rbac.authorization.k8s.io", "v1", kind));
    let api: Api<DynamicObject> = if kind == "Role" {
        Api::namespaced_with(control_plane.client(), "moorage-system", &resource)
    } else {
        Api::all_with(control_plane.client(), &resource)
    };
    let role = eventually(DEADLINE, name, || async { Ok(api.get_opt(name).await?) }).await?;
    let mut grants = Vec::new();
    for rule in role.data["rules"].as_array().context("no rules")? {
        for (resource, verb) in product(&rule["resources"], &rule["verbs"]) {
            grants.push((rule["apiGroups"][0].as_str().unwrap_or_default().to_owned(), resource, verb));
        }
    }
    Ok(grants)
}

fn product(resources: &Value, verbs: &Value) -> Vec<(String, String)> {
    let texts = |list: &Value| {
        list.as_array().into_iter().flatten().filter_map(|text| text.as_str().map(str::to_owned)).collect::<Vec<_>>()
    };
    texts(resources)
        .into_iter()
        .flat_map(|resource| texts(verbs).into_iter().map(move |verb| (resource.clone(), verb)))
        .collect()
}
