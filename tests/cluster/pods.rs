//! What an App says of its pods is what they are, and the API server takes all of it.

use crate::support::*;
use anyhow::{Context, Result, ensure};
use moorage_harness::{AuditEvent, ControlPlane};
use serde_json::{Value, json};
use std::sync::Arc;

crate::cases![
    the_example_spreads_its_pods,
    every_setting_reaches_the_pods,
    a_pod_for_windows_is_taken,
    volumes_of_every_source,
    private_ports,
    containers_beside
];

/// Everything that no node has to know. The classes are made by the test.
const EVERYTHING: &str = "
apiVersion: moorage.dev/v1alpha1
kind: App
metadata: {name: web}
spec:
  image: registry.example.com/team/web:1
  terminationMessagePath: /tmp/last-words
  terminationMessagePolicy: FallbackToLogsOnError
  stdin: true
  tty: true
  resizePolicy: [{resourceName: cpu, restartPolicy: NotRequired}, {resourceName: memory, restartPolicy: RestartContainer}]
  pod:
    affinity:
      nodeAffinity:
        requiredDuringSchedulingIgnoredDuringExecution:
          nodeSelectorTerms:
            - matchExpressions: [{key: kubernetes.io/arch, operator: In, values: [amd64]}]
            - matchFields: [{key: metadata.name, operator: NotIn, values: [a-node-of-a-long-name.with-more-than-sixty-three-characters.in-all.example.com]}]
        preferredDuringSchedulingIgnoredDuringExecution:
          - {weight: 1, preference: {matchExpressions: [{key: cores, operator: Gt, values: ['3']}]}}
      podAffinity:
        preferredDuringSchedulingIgnoredDuringExecution:
          - weight: 2
            podAffinityTerm:
              topologyKey: topology.kubernetes.io/zone
              labelSelector: {matchExpressions: [{key: moorage.dev/app, operator: In, values: [db]}]}
              namespaceSelector: {}
      podAntiAffinity:
        requiredDuringSchedulingIgnoredDuringExecution:
          - {topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {moorage.dev/app: web}}, matchLabelKeys: [pod-template-hash]}
    topologySpreadConstraints:
      - maxSkew: 1
        minDomains: 1
        topologyKey: topology.kubernetes.io/zone
        whenUnsatisfiable: DoNotSchedule
        nodeAffinityPolicy: Honor
        nodeTaintsPolicy: Ignore
        labelSelector: {matchLabels: {moorage.dev/app: web}}
        matchLabelKeys: [pod-template-hash]
    priorityClassName: pods-everything
    preemptionPolicy: Never
    runtimeClassName: pods-everything
    schedulerName: default-scheduler
    os: {name: linux}
    hostAliases: [{ip: 192.0.2.7, hostnames: [db.internal, db]}, {ip: '2001:db8::7'}]
    dnsPolicy: None
    dnsConfig: {nameservers: [192.0.2.53, '2001:db8::53'], searches: [shop.example.com, _tcp.example.com., .], options: [{name: ndots, value: '2'}, {name: edns0}]}
    enableServiceLinks: true
    shareProcessNamespace: true
    hostUsers: false
";

const CLASSES: &str = "
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {name: pods-everything}
value: 7
preemptionPolicy: Never
---
apiVersion: node.k8s.io/v1
kind: RuntimeClass
metadata: {name: pods-everything}
handler: runc
";

async fn the_example_spreads_its_pods(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = sandbox(&control_plane, "pods-example").await?;
    let text = section("docs/concepts/app.md", "Where and how pods run")?;
    sandbox.apply(blocks(&text, "yaml").first().context("no example")?).await?;
    ready(&sandbox, "App", "spread").await?;
    let nodes = sandbox
        .kubectl(&[
            "get",
            "pods",
            "-l",
            "moorage.dev/app=spread",
            "-o",
            "jsonpath={range .items[*]}{.spec.nodeName}{\"\\n\"}{end}",
        ])
        .await?;
    let mut nodes: Vec<&str> = nodes.lines().collect();
    nodes.sort_unstable();
    nodes.dedup();
    ensure!(nodes.len() == 3, "three pods are on {nodes:?}");
    Ok(())
}

/// Under restricted, and written once: what the API server adds to it is no difference.
async fn every_setting_reaches_the_pods(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = sandbox(&control_plane, "pods-everything").await?;
    sandbox
        .kubectl(&["label", "namespace", "pods-everything", "pod-security.kubernetes.io/enforce=restricted"])
        .await?;
    sandbox.apply(CLASSES).await?;
    let mark = control_plane.audit().mark()?;
    let declared: Value = serde_saphyr::from_str(EVERYTHING)?;
    sandbox.apply(EVERYTHING).await?;
    ready(&sandbox, "App", "web").await?;
    let deployment = must_get(&sandbox, "Deployment", "web").await?;
    let pod = &deployment["spec"]["template"]["spec"];
    for (field, value) in declared["spec"]["pod"].as_object().context("no pod")? {
        ensure!(pod[field] == *value, "{field}: {} in place of {value}", pod[field]);
    }
    for field in ["terminationMessagePath", "terminationMessagePolicy", "stdin", "tty", "resizePolicy"] {
        let (live, value) = (&pod["containers"][0][field], &declared["spec"][field]);
        ensure!(live == value, "{field}: {live} in place of {value}");
    }
    exactly(&control_plane, &sandbox, mark, 2, |event: &AuditEvent| event.subresource.is_empty()).await?;

    // Taken out again, nothing of it is left.
    patch(&sandbox, "App", "web", &json!({"spec": {"pod": null, "stdin": null, "tty": null, "resizePolicy": null}}))
        .await?;
    ready(&sandbox, "App", "web").await?;
    let deployment = must_get(&sandbox, "Deployment", "web").await?;
    let pod = &deployment["spec"]["template"]["spec"];
    for field in
        ["affinity", "topologySpreadConstraints", "hostAliases", "dnsConfig", "priorityClassName", "os", "hostUsers"]
    {
        ensure!(pod.get(field).is_none(), "{field} is left: {pod}");
    }
    ensure!(pod["enableServiceLinks"] == false, "the variables of Services are on by default: {pod}");
    ensure!(pod["containers"][0].get("tty").is_none() && pod["dnsPolicy"] == "ClusterFirst", "{pod}");

    // A gate that nobody opens, and devices that there are not: nothing is refused, and it is told what is waited for.
    let gated = json!({"spec": {
        "resources": {"claims": [{"name": "gpu"}]},
        "pod": {
            "readinessGates": [{"conditionType": "example.com/registered"}],
            "resourceClaims": [{"name": "gpu", "resourceClaimTemplateName": "gpu"}],
        },
    }});
    patch(&sandbox, "App", "web", &gated).await?;
    until(&sandbox, "Deployment", "web", "to have gate and device", |deployment| {
        let pod = &deployment["spec"]["template"]["spec"];
        pod["readinessGates"][0]["conditionType"] == "example.com/registered"
            && pod["resourceClaims"][0]["name"] == "gpu"
            && pod["containers"][0]["resources"]["claims"][0]["name"] == "gpu"
    })
    .await
    .map(drop)
}

/// The API server refuses for Windows what only Linux knows; the defaults have none of it.
async fn a_pod_for_windows_is_taken(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = sandbox(&control_plane, "pods-windows").await?;
    sandbox.kubectl(&["label", "namespace", "pods-windows", "pod-security.kubernetes.io/enforce=restricted"]).await?;
    sandbox.apply(WEB).await?;
    ready(&sandbox, "App", "web").await?;
    patch(&sandbox, "App", "web", &json!({"spec": {"pod": {"os": {"name": "windows"}}}})).await?;
    ready(&sandbox, "App", "web").await?;
    let deployment = must_get(&sandbox, "Deployment", "web").await?;
    ensure!(deployment["spec"]["template"]["spec"]["os"]["name"] == "windows", "{deployment}");
    Ok(())
}

/// Under restricted, and written once.
async fn volumes_of_every_source(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = sandbox(&control_plane, "pods-volumes").await?;
    sandbox.kubectl(&["label", "namespace", "pods-volumes", "pod-security.kubernetes.io/enforce=restricted"]).await?;
    let text = section("docs/concepts/app.md", "Volumes")?;
    let example = blocks(&text, "yaml");
    let example = example.first().context("no example")?;
    let declared: Value = serde_saphyr::from_str(example)?;
    let mark = control_plane.audit().mark()?;
    sandbox.apply(example).await?;
    ready(&sandbox, "App", "many-sources").await?;
    exactly(&control_plane, &sandbox, mark, 2, |event: &AuditEvent| event.subresource.is_empty()).await?;
    let deployment = must_get(&sandbox, "Deployment", "many-sources").await?;
    let live = &deployment["spec"]["template"]["spec"]["volumes"];
    for (live, volume) in
        live.as_array().context("no volumes")?.iter().zip(declared["spec"]["volumes"].as_array().context("none")?)
    {
        let source =
            ["image", "ephemeral", "downwardAPI", "csi"].into_iter().find(|source| volume.get(source).is_some());
        let source = source.context("another source")?;
        ensure!(live["name"] == volume["name"] && live.get(source).is_some(), "{live} in place of {volume}");
    }
    ensure!(live[0]["image"]["pullPolicy"] == "IfNotPresent", "{live}");

    // One source in place of another, and a claim that goes with its pod.
    let pod = sandbox.kubectl(&["get", "pods", "-l", "moorage.dev/app=many-sources", "-o", "name"]).await?;
    let claim = format!("{}-scratch", pod.trim().trim_start_matches("pod/"));
    must_get(&sandbox, "PersistentVolumeClaim", &claim).await?;
    let others = json!([{"name": "scratch", "mountPath": "/scratch", "emptyDir": {}}]);
    patch(&sandbox, "App", "many-sources", &json!({"spec": {"volumes": others}})).await?;
    ready(&sandbox, "App", "many-sources").await?;
    until_gone(&sandbox, "PersistentVolumeClaim", &claim).await
}

/// As documented; and a port that becomes private, or public, leaves the pods alone.
async fn private_ports(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = sandbox(&control_plane, "pods-private").await?;
    let text = section("docs/concepts/app.md", "Service")?;
    sandbox.apply(blocks(&text, "yaml").first().context("no example")?).await?;
    ready(&sandbox, "App", "with-metrics").await?;
    let names = |ports: &Value| -> Vec<String> {
        ports.as_array().into_iter().flatten().filter_map(|port| Some(port["name"].as_str()?.to_owned())).collect()
    };
    let service = must_get(&sandbox, "Service", "with-metrics").await?;
    ensure!(names(&service["spec"]["ports"]) == ["http"], "{service}");
    let deployment = must_get(&sandbox, "Deployment", "with-metrics").await?;
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    ensure!(names(&container["ports"]) == ["http", "metrics"], "{container}");
    let monitor = must_get(&sandbox, "PodMonitor", "with-metrics").await?;
    ensure!(monitor["spec"]["podMetricsEndpoints"][0]["port"] == "metrics", "{monitor}");

    let private =
        json!([{"name": "http", "port": 8080, "private": true}, {"name": "metrics", "port": 9090, "private": true}]);
    patch(&sandbox, "App", "with-metrics", &json!({"spec": {"ports": private}})).await?;
    until_gone(&sandbox, "Service", "with-metrics").await?;
    let public = json!([{"name": "http", "port": 8080}, {"name": "metrics", "port": 9090}]);
    patch(&sandbox, "App", "with-metrics", &json!({"spec": {"ports": public}})).await?;
    until(&sandbox, "ServiceMonitor", "with-metrics", "to take the PodMonitor's place", |monitor| {
        monitor["spec"]["endpoints"][0]["port"] == "metrics"
    })
    .await?;
    ready(&sandbox, "App", "with-metrics").await?;
    let after = must_get(&sandbox, "Deployment", "with-metrics").await?;
    ensure!(
        after["metadata"]["generation"] == deployment["metadata"]["generation"],
        "the Deployment was changed: {after}"
    );
    Ok(())
}

/// As documented, under restricted, written once; and configuration that only a sidecar reads rolls the pods out.
async fn containers_beside(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = sandbox(&control_plane, "pods-beside").await?;
    sandbox.kubectl(&["label", "namespace", "pods-beside", "pod-security.kubernetes.io/enforce=restricted"]).await?;
    let text = section("docs/concepts/app.md", "Containers beside the App's own")?;
    let mark = control_plane.audit().mark()?;
    sandbox.apply(blocks(&text, "yaml").first().context("no example")?).await?;
    ready(&sandbox, "App", "with-proxy").await?;
    exactly(&control_plane, &sandbox, mark, 3, |event: &AuditEvent| event.subresource.is_empty()).await?;
    let template =
        || async { anyhow::Ok(must_get(&sandbox, "Deployment", "with-proxy").await?["spec"]["template"].clone()) };
    let before = template().await?;
    let pod = &before["spec"];
    let names = |list: &Value, field: &str| -> Vec<String> {
        list.as_array().into_iter().flatten().filter_map(|it| Some(it[field].as_str()?.to_owned())).collect()
    };
    ensure!(names(&pod["initContainers"], "name") == ["proxy", "wait"], "{pod}");
    ensure!(names(&pod["initContainers"], "restartPolicy") == ["Always"], "{pod}");
    ensure!(
        names(&pod["initContainers"][0]["volumeMounts"], "mountPath") == ["/etc/proxy/tls", "/var/log/proxy"],
        "{pod}"
    );
    ensure!(names(&pod["containers"][0]["volumeMounts"], "mountPath") == ["/data", "/uploads"], "{pod}");
    for container in pod["initContainers"].as_array().context("no init containers")? {
        ensure!(container["securityContext"]["capabilities"]["drop"] == json!(["ALL"]), "{container}");
    }

    let settings = |colour: &str| {
        format!("{{apiVersion: v1, kind: ConfigMap, metadata: {{name: proxy}}, data: {{colour: {colour}}}}}")
    };
    sandbox.apply(&settings("red")).await?;
    let from = json!([{"configMapRef": {"name": "proxy"}}]);
    let proxy = json!({"name": "proxy", "image": "registry.example.com/team/proxy:3", "envFrom": from});
    patch(&sandbox, "App", "with-proxy", &json!({"spec": {"sidecars": [proxy], "volumes": null}})).await?;
    until(&sandbox, "Deployment", "with-proxy", "to read the ConfigMap", |deployment| {
        deployment["spec"]["template"]["spec"]["initContainers"][0]["envFrom"] == from
    })
    .await?;
    ready(&sandbox, "App", "with-proxy").await?;
    let before = template().await?;
    sandbox.apply(&settings("blue")).await?;
    until(&sandbox, "Deployment", "with-proxy", "to be rolled out for the ConfigMap", |deployment| {
        let hash = |template: &Value| template["metadata"]["annotations"]["moorage.dev/config-hash"].clone();
        hash(&deployment["spec"]["template"]) != hash(&before)
    })
    .await?;
    ready(&sandbox, "App", "with-proxy").await?;

    // What no rule sees is told with the field, and what is taken out is gone.
    let wrong = json!([{"name": "proxy", "image": "registry.example.com/team/proxy:3", "livenessProbe": {"httpGet": {"port": "admin"}}}]);
    patch(&sandbox, "App", "with-proxy", &json!({"spec": {"sidecars": wrong}})).await?;
    let app = reason(&sandbox, "App", "with-proxy", "Stalled", "InvalidSpec").await?;
    let told =
        "spec.sidecars[0].livenessProbe.httpGet.port: must be a number, or the name of one of spec.sidecars[0].ports";
    ensure!(message(&app, "Stalled").starts_with(told), "{}", message(&app, "Stalled"));
    patch(&sandbox, "App", "with-proxy", &json!({"spec": {"sidecars": null, "initContainers": null}})).await?;
    ready(&sandbox, "App", "with-proxy").await?;
    let after = template().await?;
    ensure!(after["spec"].get("initContainers").is_none(), "{after}");
    Ok(())
}
