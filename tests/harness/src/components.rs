//! The control plane's processes and their command lines, the same for a simulated cluster and a real node but for
//! where kube-apiserver listens and whom it may ask.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;

use crate::{
    access::kubeconfig_with_certificate,
    build::Assets,
    certificates::{Authority, Pair, service_account_key},
    kwok, node, ports,
    work_dir::WorkDir,
};

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
      - group: monitoring.coreos.com
  - level: Metadata
"#;

/// One process of a cluster, ready to be started as often as needed.
#[derive(Debug)]
pub struct Component {
    /// Its name: that of its binary.
    pub name: &'static str,
    /// What tells that it may be used.
    pub ready: Ready,
    program: OsString,
    args: Vec<OsString>,
    envs: Vec<(OsString, OsString)>,
}

/// What tells that a process may be used by the next one.
#[derive(Debug)]
pub enum Ready {
    /// It was started; who needs it tries again.
    Started,
    /// The cluster's `/readyz` answers ok.
    Readyz,
    /// It listens on that port of the loopback address.
    Port(u16),
    /// It listens on that socket.
    Socket(PathBuf),
}

impl Component {
    /// The command that starts it.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.args);
        command.envs(self.envs.iter().map(|(name, value)| (name, value)));
        command
    }

    /// The same, told what to wait for.
    pub fn ready_when(self, ready: Ready) -> Self {
        Self { ready, ..self }
    }

    /// The same, with a variable in its environment.
    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.envs.push((name.into(), value.into()));
        self
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

/// Who is to reach kube-apiserver, and whom it is to reach.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Flavour {
    /// Processes on the loopback address alone.
    Simulated,
    /// Pods too, by the node's address; it asks the kubelet for logs and metrics-server for figures.
    Node,
}

/// What the components of one cluster are made from.
pub struct Ground<'a> {
    /// Where the binaries lie.
    pub assets: &'a Assets,
    /// Where files go.
    pub work: &'a WorkDir,
    /// Signs every certificate.
    pub authority: Authority,
    /// `https://127.0.0.1:<port>`.
    pub server: String,
    port: u16,
    tokens: Pair,
    flavour: Flavour,
}

impl<'a> Ground<'a> {
    /// Makes the authority and the keys, and picks the port.
    pub fn new(assets: &'a Assets, work: &'a WorkDir, flavour: Flavour) -> Result<Self> {
        let port = ports::free()?;
        let server = format!("https://127.0.0.1:{port}");
        Ok(Self {
            assets,
            work,
            authority: Authority::new(work)?,
            server,
            port,
            tokens: service_account_key(work)?,
            flavour,
        })
    }

    /// Writes a kubeconfig for that user; the result is its path.
    pub fn kubeconfig(&self, file: &str, user: &str, group: Option<&str>) -> Result<String> {
        let pair = self.authority.client(self.work, file, user, group)?;
        let content = kubeconfig_with_certificate(&self.server, &self.authority.pair.certificate, &pair);
        Ok(show(&self.work.write(&format!("{file}.kubeconfig"), &content)?))
    }

    /// A process of the rig's binary of that name.
    pub fn component(&self, name: &'static str, args: Vec<String>) -> Result<Component> {
        Ok(Component {
            name,
            ready: Ready::Started,
            program: self.assets.bin(name)?.into_os_string(),
            args: args.into_iter().map(OsString::from).collect(),
            envs: Vec::new(),
        })
    }

    /// etcd, kube-apiserver, kube-controller-manager, kube-scheduler.
    fn control_plane(&self) -> Result<Vec<Component>> {
        let controllers = self.kubeconfig("controllers", "system:kube-controller-manager", None)?;
        let scheduler = self.kubeconfig("scheduler", "system:kube-scheduler", None)?;
        let etcd_url = format!("http://127.0.0.1:{}", ports::free()?);
        let scheduler = vec![
            format!("--kubeconfig={scheduler}"),
            "--leader-elect=false".into(),
            "--secure-port=0".into(),
            "--kube-api-qps=300".into(),
            "--kube-api-burst=600".into(),
        ];
        Ok(vec![
            self.component("etcd", etcd(self.work, &etcd_url)?)?,
            self.component("kube-apiserver", apiserver(self, &etcd_url)?)?.ready_when(Ready::Readyz),
            self.component(
                "kube-controller-manager",
                controller_manager(&controllers, &self.authority.pair, &self.tokens),
            )?,
            self.component("kube-scheduler", scheduler)?,
        ])
    }

    fn plan(&self, components: Vec<Component>) -> Result<Plan> {
        let admin = self.authority.client(self.work, "admin", "admin", Some("system:masters"))?;
        Ok(Plan { components, server: self.server.clone(), authority: self.authority.pair.clone(), admin })
    }
}

/// A control plane with kwok, which plays the nodes; `extra` flags go to the components they name.
pub fn simulated(assets: &Assets, work: &WorkDir, extra: &[(String, String)]) -> Result<Plan> {
    let ground = Ground::new(assets, work, Flavour::Simulated)?;
    let kwok_access = ground.kubeconfig("kwok", "kwok", Some("system:masters"))?;
    let mut components = ground.control_plane()?;
    components.push(ground.component("kwok", kwok::arguments(assets, work, &kwok_access)?)?);
    for component in &mut components {
        let wanted = extra.iter().filter(|(name, _)| name == component.name);
        component.args.extend(wanted.map(|(_, flag)| flag.into()));
    }
    ground.plan(components)
}

/// A control plane with everything that makes this machine its one node.
pub fn on_node(assets: &Assets, work: &WorkDir) -> Result<Plan> {
    let ground = Ground::new(assets, work, Flavour::Node)?;
    let mut components = ground.control_plane()?;
    components.extend(node::components(&ground)?);
    ground.plan(components)
}

/// A path as a flag's value.
pub fn show(path: &Path) -> String {
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

fn apiserver(ground: &Ground, etcd: &str) -> Result<Vec<String>> {
    let (work, tokens) = (ground.work, &ground.tokens);
    let mut hosts =
        vec!["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "127.0.0.1", "10.96.0.1"];
    if ground.flavour == Flavour::Node {
        hosts.push(node::ADDRESS);
    }
    let serving = ground.authority.serving(work, "kube-apiserver", &hosts)?;
    let policy = work.write("audit-policy.yaml", AUDIT_POLICY)?;
    let mut flags = vec![
        format!("--etcd-servers={etcd}"),
        format!("--secure-port={}", ground.port),
        format!("--tls-cert-file={}", show(&serving.certificate)),
        format!("--tls-private-key-file={}", show(&serving.key)),
        format!("--client-ca-file={}", show(&ground.authority.pair.certificate)),
        "--service-account-issuer=https://kubernetes.default.svc".into(),
        format!("--service-account-key-file={}", show(&tokens.certificate)),
        format!("--service-account-signing-key-file={}", show(&tokens.key)),
        "--service-cluster-ip-range=10.96.0.0/12".into(),
        "--authorization-mode=Node,RBAC".into(),
        // Owner references that block deletion ask for rights here, as they do on OpenShift.
        "--enable-admission-plugins=NodeRestriction,OwnerReferencesPermissionEnforcement".into(),
        "--allow-privileged=true".into(),
        format!("--audit-policy-file={}", show(&policy)),
        format!("--audit-log-path={}", show(&audit_log(work))),
        // A rotated log would invalidate the marks that tests hold.
        "--audit-log-maxsize=100000".into(),
    ];
    flags.extend(match ground.flavour {
        // It listens on loopback alone, which no Endpoints object may name.
        Flavour::Simulated => vec!["--bind-address=127.0.0.1".into(), "--endpoint-reconciler-type=none".into()],
        Flavour::Node => node_flags(ground)?,
    });
    Ok(flags)
}

/// What lets pods reach the apiserver, and lets it reach the kubelet and the aggregated metrics API.
fn node_flags(ground: &Ground) -> Result<Vec<String>> {
    let (work, authority) = (ground.work, &ground.authority);
    let kubelet = authority.client(work, "kubelet-client", "kubelet-client", Some("system:masters"))?;
    let proxy = authority.client(work, "front-proxy", "front-proxy", None)?;
    let ca = show(&authority.pair.certificate);
    Ok(vec![
        "--bind-address=0.0.0.0".into(),
        format!("--advertise-address={}", node::ADDRESS),
        "--kubelet-preferred-address-types=InternalIP".into(),
        format!("--kubelet-certificate-authority={ca}"),
        format!("--kubelet-client-certificate={}", show(&kubelet.certificate)),
        format!("--kubelet-client-key={}", show(&kubelet.key)),
        format!("--requestheader-client-ca-file={ca}"),
        "--requestheader-allowed-names=front-proxy".into(),
        "--requestheader-username-headers=X-Remote-User".into(),
        "--requestheader-group-headers=X-Remote-Group".into(),
        "--requestheader-extra-headers-prefix=X-Remote-Extra-".into(),
        format!("--proxy-client-cert-file={}", show(&proxy.certificate)),
        format!("--proxy-client-key-file={}", show(&proxy.key)),
        // Aggregated servers are processes on the node: their endpoints are asked, whatever kube-proxy does.
        "--enable-aggregator-routing=true".into(),
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
