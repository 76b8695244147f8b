//! Containers beside an App's own, as a kubelet starts them.

use crate::support::*;
use anyhow::{Context, Result, ensure};
use moorage_harness::node::NodeCluster;
use std::sync::Arc;

/// A Service called like a program, whose variables some programs would take for their own; and an App of three containers.
const BESIDE: &str = "
apiVersion: v1
kind: Service
metadata: {name: redis}
spec: {ports: [{port: 6379}]}
---
apiVersion: moorage.dev/v1alpha1
kind: App
metadata: {name: web}
spec:
  image: registry.example.com/team/web:1.4
  ports: [{port: 8080}]
  readinessProbe: {httpGet: {path: /ready, port: 8080}, periodSeconds: 1, failureThreshold: 1}
  sidecars:
    - name: helper
      image: registry.example.com/team/web:1.4
      command: [sh, -c, 'echo helper >/shared/from-helper; while [ ! -e /shared/crash ]; do sleep 1; done; exit 3']
      volumeMounts: [{name: shared, mountPath: /shared}]
  initContainers:
    - name: wait
      image: registry.example.com/team/web:1.4
      command: [sh, -c, 'until [ -s /in/from-helper ]; do sleep 1; done; echo wait >/in/from-wait']
  volumes:
    - {name: scratch, mountPath: /scratch, emptyDir: {}}
    - name: shared
      mountPath: /seen
      readOnly: true
      emptyDir: {}
      mounts: [{container: wait, mountPath: /in}]
";

/// The sidecar is there before the init container, and that is done before the App's own starts; all see one volume, each at its place. A
/// sidecar that fails is told by its name.
pub async fn what_is_beside_starts_first_and_is_told_apart(cluster: Arc<NodeCluster>) -> Result<()> {
    namespace(&cluster, "beside").await?;
    cluster.apply(BESIDE, "beside").await?;
    ready(&cluster, "beside", "web").await?;
    let pods = pods(&cluster, "beside", "web").await?;
    let pod = name(pods.first().context("no pod")?);
    let seen = exec(&cluster, "beside", pod, &["cat", "/seen/from-helper", "/seen/from-wait"]).await?;
    ensure!(seen == "helper\nwait\n", "{seen:?}");
    let written = exec(&cluster, "beside", pod, &["sh", "-c", "echo web >/seen/from-web"]).await;
    ensure!(written.is_err(), "it is mounted read-only there");
    let variables = exec(&cluster, "beside", pod, &["env"]).await?;
    ensure!(!variables.contains("REDIS_"), "{variables}");

    let in_helper = |command| ["--namespace=beside", "exec", pod, "--container=helper", "--", "sh", "-c", command];
    cluster.run_kubectl(&in_helper("touch /shared/crash")).await?;
    let app =
        until(&cluster, ("beside", "web"), "to name the sidecar", |app| problem(app, &["CrashLoopBackOff"]).is_some())
            .await?;
    let problem = problem(&app, &["CrashLoopBackOff"]).context("no problem")?;
    ensure!(problem["container"] == "helper" && problem["exitCode"] == 3, "{problem}");
    ensure!(condition(&app, "Degraded")["status"] == "True", "{}", app["status"]);
    let identities = identities(&cluster, "beside", "web").await?;
    ensure!(matches!(identities[..], [(_, 0)]), "the App's own container was restarted: {identities:?}");
    Ok(())
}
