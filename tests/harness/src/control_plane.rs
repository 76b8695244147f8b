//! A control plane's life: start, readiness, faults, end.

use std::{
    fmt::Write,
    ops::Deref,
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail};
use k8s_openapi::api::core::v1::{Node, ServiceAccount};
use kube::{Api, api::ListParams};
use tokio::task::spawn_blocking;

use crate::{
    access::Access,
    audit::AuditLog,
    build,
    components::{self, Component, ORDER},
    guard::lock,
    install, kwok,
    process::Process,
    progress::Progress,
    wait::eventually,
    work_dir::WorkDir,
};

/// How long any one step of the start may take. It takes seconds; a busy machine gets patience.
const START_DEADLINE: Duration = Duration::from_mins(1);
/// kube-apiserver waits a minute for open connections after SIGTERM; no test wants to.
const STOP_GRACE: Duration = Duration::from_secs(5);

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
    // Declared in drop order: processes first, then the folder they write to (inside `access`).
    processes: Mutex<Vec<Process>>,
    components: Vec<Component>,
    access: Access,
    work: Arc<WorkDir>,
    start_time: Duration,
}

/// Everything an administrator can do: client, kubectl, kubeconfigs, apply.
impl Deref for ControlPlane {
    type Target = Access;

    fn deref(&self) -> &Access {
        &self.access
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
        let plan = components::plan(&assets, &work, &options.extra_args)?;
        let access = Access::new(&plan, &assets, Arc::clone(&work)).await?;
        let mut control_plane = Self {
            processes: Mutex::new(Vec::new()),
            components: plan.components,
            access,
            work,
            start_time: Duration::ZERO,
        };
        control_plane.bring_up(&options).await?;
        control_plane.start_time = begin.elapsed();
        Ok(control_plane)
    }

    /// How long the last start took, without building.
    pub fn start_time(&self) -> Duration {
        self.start_time
    }

    /// The record of every request that was answered.
    pub fn audit(&self) -> AuditLog {
        AuditLog::new(components::audit_log(&self.work))
    }

    /// The ids of the processes that run now.
    pub fn pids(&self) -> Vec<u32> {
        lock(&self.processes).iter().map(Process::pid).collect()
    }

    /// Applies `crds/*.yaml`, waits until they are served, and applies `rbac/*.yaml` of the deploy folder.
    pub async fn install(&self, crds: &Path, deploy: &Path) -> Result<()> {
        install::crds(&self.access, crds).await?;
        install::rbac(&self.access, deploy).await
    }

    /// Ends a component with SIGTERM, and with SIGKILL if it is not gone 5 s later.
    pub async fn stop(&self, name: &str) -> Result<()> {
        let process = self.take(name)?;
        if process.stop(STOP_GRACE).await.is_err() {
            process.kill();
        }
        Ok(())
    }

    /// Ends a component at once with SIGKILL.
    pub fn kill(&self, name: &str) -> Result<()> {
        self.take(name)?.kill();
        Ok(())
    }

    /// Starts a component that was stopped or killed; the apiserver is waited for until it is ready.
    pub async fn resume(&self, name: &str) -> Result<()> {
        self.spawn(name)?;
        if name == "kube-apiserver" {
            self.unless_something_ends(self.wait_for_apiserver()).await?;
        }
        Ok(())
    }

    /// Kills a component and starts it again, as after a crash.
    pub async fn restart(&self, name: &str) -> Result<()> {
        self.kill(name)?;
        self.resume(name).await
    }

    async fn bring_up(&self, options: &Options) -> Result<()> {
        self.spawn("etcd")?;
        self.spawn("kube-apiserver")?;
        self.unless_something_ends(self.wait_for_apiserver()).await?;
        for name in &ORDER[2..] {
            self.spawn(name)?;
        }
        self.unless_something_ends(self.furnish(options.nodes)).await
    }

    async fn wait_for_apiserver(&self) -> Result<()> {
        eventually(START_DEADLINE, "kube-apiserver to be ready", || async {
            let request = http_get("/readyz")?;
            let answer = self.access.client().request_text(request).await?;
            Ok((answer == "ok").then_some(()))
        })
        .await
    }

    /// Creates nodes and storage classes and waits until pods can be made.
    async fn furnish(&self, nodes: usize) -> Result<()> {
        for class in kwok::storage_classes() {
            self.access.apply_object(class, "").await?;
        }
        for index in 0..nodes {
            self.access.apply_object(kwok::node(index), "").await?;
        }
        let accounts: Api<ServiceAccount> = Api::namespaced(self.access.client(), "default");
        eventually(START_DEADLINE, "the default ServiceAccount", || async { Ok(accounts.get_opt("default").await?) })
            .await?;
        let api: Api<Node> = Api::all(self.access.client());
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

    fn spawn(&self, name: &str) -> Result<()> {
        let component = self.component(name)?;
        let mut processes = lock(&self.processes);
        if processes.iter().any(|process| process.name() == name) {
            bail!("{name} runs already");
        }
        let log = self.work.log(name);
        processes.push(Process::spawn(component.name, &component.command(), &log)?);
        Ok(())
    }

    fn component(&self, name: &str) -> Result<&Component> {
        self.components
            .iter()
            .find(|component| component.name == name)
            .with_context(|| format!("no component {name}; there are {}", ORDER.join(", ")))
    }

    fn take(&self, name: &str) -> Result<Process> {
        self.component(name)?;
        let mut processes = lock(&self.processes);
        let index = processes
            .iter()
            .position(|process| process.name() == name)
            .with_context(|| format!("{name} does not run"))?;
        Ok(processes.remove(index))
    }

    /// Runs `work`, but fails at once when a component ends; either way the error holds the last log lines.
    async fn unless_something_ends(&self, work: impl Future<Output = Result<()>>) -> Result<()> {
        let outcome = tokio::select! {
            outcome = work => outcome,
            error = self.first_end() => Err(error),
        };
        outcome.map_err(|error| error.context(self.tails()))
    }

    async fn first_end(&self) -> anyhow::Error {
        let never = Duration::from_secs(u64::from(u32::MAX));
        let ended = eventually(never, "a component to end", || async {
            for process in lock(&self.processes).iter() {
                if let Some(status) = process.exited()? {
                    return Ok(Some(format!("{} ended with {status}", process.name())));
                }
            }
            Ok(None)
        });
        ended.await.map_or_else(|error| error, |what| anyhow!(what))
    }

    fn tails(&self) -> String {
        let mut text = String::from("the control plane is not ready; the last lines of each log:\n");
        for process in lock(&self.processes).iter() {
            let _ = write!(text, "--- {}\n{}\n", process.name(), process.tail(12));
        }
        text
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        let mut processes = lock(&self.processes);
        // Last started, first ended: nobody is left to complain about a server that went first.
        while processes.pop().is_some() {}
    }
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

fn http_get(path: &str) -> Result<http::Request<Vec<u8>>> {
    Ok(http::Request::get(path).body(Vec::new())?)
}
