//! A simulated cluster's life: start, nodes and storage that kwok plays, end.

use std::{
    ops::Deref,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use k8s_openapi::api::core::v1::{Node, ServiceAccount};
use kube::{Api, api::ListParams};
use tokio::task::spawn_blocking;

use crate::{
    access::Access,
    build,
    cluster::{Cluster, START_DEADLINE},
    components, install, kwok,
    progress::Progress,
    wait::eventually,
    work_dir::WorkDir,
};

/// How a control plane is started.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many fake nodes it has; each offers 1000 CPUs and 1 TiB.
    pub nodes: usize,
    /// Where building and starting show what they do.
    pub progress: Progress,
    /// Further flags: the component's name and one flag for it, such as
    /// `("kube-controller-manager", "--horizontal-pod-autoscaler-sync-period=2s")`.
    pub extra_args: Vec<(String, String)>,
}

impl Default for Options {
    fn default() -> Self {
        Self { nodes: 3, progress: Progress::stderr(), extra_args: Vec::new() }
    }
}

/// A running control plane. Dropping it ends every process and removes its folder.
pub struct ControlPlane {
    cluster: Cluster,
    start_time: Duration,
}

/// Its processes, and through them everything an administrator can do.
impl Deref for ControlPlane {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        &self.cluster
    }
}

impl ControlPlane {
    /// Starts a control plane and returns once nodes are Ready and pods may be created.
    ///
    /// Builds missing binaries first, which takes minutes once.
    pub async fn start(options: Options) -> Result<Self> {
        let progress = options.progress;
        let assets = spawn_blocking(move || build::assets(progress)).await??;
        let begin = Instant::now();
        let work = Arc::new(WorkDir::new()?);
        let plan = components::simulated(&assets, &work, &options.extra_args)?;
        let cluster = Cluster::start(plan, &assets, work).await?;
        cluster.unless_something_ends(furnish(&cluster, options.nodes)).await?;
        Ok(Self { cluster, start_time: begin.elapsed() })
    }

    /// How long the start took, without building.
    pub fn start_time(&self) -> Duration {
        self.start_time
    }

    /// Applies `crds/*.yaml`, waits until they are served, and applies `rbac/*.yaml` of the deploy folder.
    pub async fn install(&self, crds: &Path, deploy: &Path) -> Result<()> {
        install::crds(self, crds).await?;
        install::rbac(self, deploy).await
    }

    /// Applies the `CustomResourceDefinitions` of a folder, which has nothing else, and waits until they are served.
    pub async fn install_crds(&self, folder: &Path) -> Result<()> {
        install::crds(self, folder).await
    }

    /// Applies the `CustomResourceDefinitions` of prometheus-operator and waits until they are served.
    pub async fn install_monitoring(&self) -> Result<()> {
        self.install_crds(&self.folder(build::MONITORING)?).await
    }
}

/// Creates nodes and storage classes and waits until pods can be made.
async fn furnish(access: &Access, nodes: usize) -> Result<()> {
    for class in kwok::storage_classes() {
        access.apply_object(class, "").await?;
    }
    for index in 0..nodes {
        access.apply_object(kwok::node(index), "").await?;
    }
    until_pods_may_be_made(access, nodes).await
}

/// Waits for the default `ServiceAccount` and for that many usable nodes.
pub(crate) async fn until_pods_may_be_made(access: &Access, nodes: usize) -> Result<()> {
    let accounts: Api<ServiceAccount> = Api::namespaced(access.client(), "default");
    eventually(START_DEADLINE, "the default ServiceAccount", || async { Ok(accounts.get_opt("default").await?) })
        .await?;
    let api: Api<Node> = Api::all(access.client());
    let what = format!("{nodes} nodes to be Ready and without taints");
    eventually(START_DEADLINE, &what, || async {
        let ready = api.list(&ListParams::default()).await?.iter().filter(|node| usable(node)).count();
        if ready < nodes {
            bail!("{ready} of them");
        }
        Ok(Some(()))
    })
    .await
}

fn usable(node: &Node) -> bool {
    let ready = node
        .status
        .iter()
        .flat_map(|status| status.conditions.iter().flatten())
        .any(|condition| condition.type_ == "Ready" && condition.status == "True");
    let tainted = node.spec.as_ref().and_then(|spec| spec.taints.as_ref()).is_some_and(|taints| !taints.is_empty());
    ready && !tainted
}
