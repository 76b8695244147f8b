//! The control plane's processes and their command lines.

use std::{ffi::OsString, path::Path, process::Command};

use anyhow::Result;

use crate::{
    access::kubeconfig_with_certificate,
    build::Assets,
    certificates::{Authority, Pair, service_account_key},
    kwok, ports,
    work_dir::WorkDir,
};

/// Start order; the end comes in the opposite order.
pub const ORDER: [&str; 5] = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok"];

/// What is recorded in full: what the operator writes and what its tests ask about.
const AUDIT_POLICY: &str = r#"
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules:
  - level: RequestResponse
    resources:
      - group: moorage.dev
      - group: ""
        resources: [serviceaccounts, services, configmaps, secrets, persistentvolumeclaims, events, pods]
      - group: apps
        resources: [deployments, "deployments/*", statefulsets, "statefulsets/*"]
      - group: autoscaling
      - group: policy
      - group: networking.k8s.io
      - group: batch
      - group: coordination.k8s.io
        resources: [leases]
      - group: events.k8s.io
  - level: Metadata
"#;

/// One process of the control plane, ready to be started as often as needed.
#[derive(Debug)]
pub struct Component {
    /// Its name, one of [`ORDER`].
    pub name: &'static str,
    program: OsString,
    args: Vec<OsString>,
}

impl Component {
    /// The command that starts it.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.args);
        command
    }
}

/// Everything the components agree on.
pub struct Plan {
    /// The processes, in start order.
    pub components: Vec<Component>,
    /// `https://127.0.0.1:<port>`.
    pub server: String,
    /// The certificate authority's certificate.
    pub authority: Pair,
    /// Client certificate of the cluster's administrator.
    pub admin: Pair,
}

/// Makes certificates, picks ports and writes every file the components read.
pub fn plan(assets: &Assets, work: &WorkDir, extra: &[(String, String)]) -> Result<Plan> {
    let authority = Authority::new(work)?;
    let tokens = service_account_key(work)?;
    let etcd_url = format!("http://127.0.0.1:{}", ports::free()?);
    let port = ports::free()?;
    let server = format!("https://127.0.0.1:{port}");
    let ca = authority.pair.clone();
    let kubeconfig = |file: &str, user: &str, group: Option<&str>| -> Result<String> {
        let pair = authority.client(work, file, user, group)?;
        let content = kubeconfig_with_certificate(&server, &ca.certificate, &pair);
        Ok(show(&work.write(&format!("{file}.kubeconfig"), &content)?))
    };
    let controllers = kubeconfig("controllers", "system:kube-controller-manager", None)?;
    let scheduler = kubeconfig("scheduler", "system:kube-scheduler", None)?;
    let kwok_access = kubeconfig("kwok", "kwok", Some("system:masters"))?;
    let mut components = vec![
        component(assets, "etcd", etcd(work, &etcd_url)?)?,
        component(assets, "kube-apiserver", apiserver(work, &authority, &tokens, &etcd_url, port)?)?,
        component(assets, "kube-controller-manager", controller_manager(&controllers, &ca, &tokens))?,
        component(
            assets,
            "kube-scheduler",
            vec![
                format!("--kubeconfig={scheduler}"),
                "--leader-elect=false".into(),
                "--secure-port=0".into(),
                "--kube-api-qps=300".into(),
                "--kube-api-burst=600".into(),
            ],
        )?,
        component(assets, "kwok", kwok::arguments(assets, work, &kwok_access)?)?,
    ];
    for component in &mut components {
        let wanted = extra.iter().filter(|(name, _)| name == component.name);
        component.args.extend(wanted.map(|(_, flag)| flag.into()));
    }
    let admin = authority.client(work, "admin", "admin", Some("system:masters"))?;
    Ok(Plan { components, server, authority: ca, admin })
}

fn component(assets: &Assets, name: &'static str, args: Vec<String>) -> Result<Component> {
    Ok(Component {
        name,
        program: assets.bin(name)?.into_os_string(),
        args: args.into_iter().map(OsString::from).collect(),
    })
}

fn show(path: &Path) -> String {
    path.display().to_string()
}

fn etcd(work: &WorkDir, client: &str) -> Result<Vec<String>> {
    let peer = format!("http://127.0.0.1:{}", ports::free()?);
    Ok(vec![
        format!("--data-dir={}", show(&work.path().join("etcd"))),
        format!("--listen-client-urls={client}"),
        format!("--advertise-client-urls={client}"),
        format!("--listen-peer-urls={peer}"),
        format!("--initial-advertise-peer-urls={peer}"),
        format!("--initial-cluster=default={peer}"),
        "--unsafe-no-fsync".into(),
        "--log-level=warn".into(),
    ])
}

fn apiserver(work: &WorkDir, authority: &Authority, tokens: &Pair, etcd: &str, port: u16) -> Result<Vec<String>> {
    let hosts = ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "127.0.0.1", "10.96.0.1"];
    let serving = authority.serving(work, "kube-apiserver", &hosts)?;
    let policy = work.write("audit-policy.yaml", AUDIT_POLICY)?;
    let ca = show(&authority.pair.certificate);
    Ok(vec![
        format!("--etcd-servers={etcd}"),
        "--bind-address=127.0.0.1".into(),
        format!("--secure-port={port}"),
        format!("--tls-cert-file={}", show(&serving.certificate)),
        format!("--tls-private-key-file={}", show(&serving.key)),
        format!("--client-ca-file={ca}"),
        "--service-account-issuer=https://kubernetes.default.svc".into(),
        format!("--service-account-key-file={}", show(&tokens.certificate)),
        format!("--service-account-signing-key-file={}", show(&tokens.key)),
        "--service-cluster-ip-range=10.96.0.0/12".into(),
        "--authorization-mode=Node,RBAC".into(),
        // Owner references that block deletion ask for rights here, as they do on OpenShift.
        "--enable-admission-plugins=NodeRestriction,OwnerReferencesPermissionEnforcement".into(),
        "--allow-privileged=true".into(),
        // It listens on loopback alone, which no Endpoints object may name.
        "--endpoint-reconciler-type=none".into(),
        format!("--audit-policy-file={}", show(&policy)),
        format!("--audit-log-path={}", show(&audit_log(work))),
        // A rotated log would invalidate the marks that tests hold.
        "--audit-log-maxsize=100000".into(),
    ])
}

/// The file that kube-apiserver writes its audit events to.
pub fn audit_log(work: &WorkDir) -> std::path::PathBuf {
    work.path().join("audit.jsonl")
}

fn controller_manager(kubeconfig: &str, ca: &Pair, tokens: &Pair) -> Vec<String> {
    vec![
        format!("--kubeconfig={kubeconfig}"),
        format!("--root-ca-file={}", show(&ca.certificate)),
        format!("--cluster-signing-cert-file={}", show(&ca.certificate)),
        format!("--cluster-signing-key-file={}", show(&ca.key)),
        format!("--service-account-private-key-file={}", show(&tokens.key)),
        "--use-service-account-credentials".into(),
        "--leader-elect=false".into(),
        "--secure-port=0".into(),
        // A busy machine must not make kwok's heartbeats look like dead nodes.
        "--node-monitor-grace-period=5m".into(),
        "--pvclaimbinder-sync-period=1s".into(),
        "--kube-api-qps=300".into(),
        "--kube-api-burst=600".into(),
    ]
}
