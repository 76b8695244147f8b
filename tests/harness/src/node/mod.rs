//! A real node on this machine: kubelet, containerd and runc under a control plane of its own, so that images are
//! pulled, containers run, volumes hold data and Services answer.
//!
//! [`enter`] comes first. Called outside, it builds and installs what a node needs, runs the current program once
//! more in network, mount and PID namespaces of its own, and afterwards checks that nothing is left of it on this
//! machine. Called by that second run, it says so, and the caller goes on with [`NodeCluster::start`].
//!
//! Every image comes from the rig's own registry, whatever registry its name tells: `docker.io/library/postgres:17` is
//! `library/postgres:17` there. So examples and install manifests are applied as they are.

mod cgroups;
mod components;
mod enter;
mod furnish;
mod images;
mod leftovers;
mod operator;
mod packages;
mod sysctls;
mod world;

use std::{
    fs,
    net::{IpAddr, SocketAddr},
    ops::Deref,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Service;
use kube::Api;
use rustix::process::{Pid, Signal, kill_process};

pub(crate) use components::components;
pub use enter::{Place, enter, environment, shell, unavailable};
pub use images::architecture;
pub use leftovers::{Snapshot, processes};
pub use operator::{build_from, make_image};
pub use packages::{find, install_missing, programs};

pub use crate::ways::OPERATOR_NAMESPACE;

use crate::{build, cluster::Cluster, components as plan, http, progress::Progress, work_dir::WorkDir};

/// The node's address, and the pods' and the administrator's way to everything that runs on it.
pub const ADDRESS: &str = "10.250.0.1";
/// The node's name.
pub const NAME: &str = "node-0";
/// Where the rig's registry listens. Nodes take plain HTTP from the loopback address.
pub const REGISTRY: &str = "127.0.0.1:5000";

/// A cluster of one real node. It ends with the process that was entered.
pub struct NodeCluster {
    cluster: Cluster,
    start_time: Duration,
}

/// Its processes, and through them everything an administrator can do.
impl Deref for NodeCluster {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        &self.cluster
    }
}

impl NodeCluster {
    /// Starts everything in the folder that [`enter`] gave, fills the registry, and returns once pods may be created,
    /// names are resolved and volumes are provisioned.
    pub async fn start(folder: PathBuf, progress: Progress) -> Result<Self> {
        let assets = tokio::task::spawn_blocking(move || build::node_assets(progress)).await??;
        let begin = Instant::now();
        let work = Arc::new(WorkDir::lent(folder));
        let plan = plan::on_node(&assets, &work)?;
        let authority = plan.authority.certificate.clone();
        let cluster = Cluster::start(plan, &assets, work.clone()).await?;
        let pushed = tokio::task::spawn_blocking(move || images::push_all(&assets, &work));
        cluster.unless_something_ends(furnish::furnish(&cluster, &authority)).await?;
        pushed.await??;
        Ok(Self { cluster, start_time: begin.elapsed() })
    }

    /// Ends the first process of a container with SIGKILL, as the kernel does when memory is short.
    pub fn kill_container(&self, id: &str) -> Result<()> {
        let file = Path::new(components::TASKS).join(id).join("init.pid");
        let text = fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
        let pid = Pid::from_raw(text.trim().parse()?).with_context(|| format!("{text} is no process"))?;
        Ok(kill_process(pid, Signal::KILL)?)
    }

    /// What the first port of a Service answers, at the address that pods use. Any code but 200 is an error.
    pub async fn ask(&self, namespace: &str, service: &str, path: &str) -> Result<String> {
        let found = Api::<Service>::namespaced(self.client(), namespace).get(service).await?;
        let spec = found.spec.unwrap_or_default();
        let address: IpAddr = spec.cluster_ip.context("it has no address")?.parse()?;
        let port = spec.ports.unwrap_or_default().first().context("it has no port")?.port;
        let (code, body) = self.http_get(SocketAddr::new(address, port.try_into()?), path).await?;
        ensure!(code == 200, "{service}{path} answers {code}: {body}");
        Ok(body)
    }

    /// The code and body that a pod or Service answers with, asked from the node.
    pub async fn http_get(&self, address: SocketAddr, path: &str) -> Result<(u16, String)> {
        http::get(address, path).await
    }

    /// How long the start took, without building.
    pub fn start_time(&self) -> Duration {
        self.start_time
    }
}
