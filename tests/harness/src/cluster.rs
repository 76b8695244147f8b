//! A cluster's processes: started in order, each waited for, ended and started again by name.

use std::{
    fmt::Write,
    net::SocketAddr,
    ops::Deref,
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};
use tokio::net::{TcpStream, UnixStream};

use crate::{
    access::Access,
    audit::AuditLog,
    build::Assets,
    components::{self, Component, Plan, Ready},
    guard::lock,
    process::Process,
    wait::eventually,
    work_dir::WorkDir,
};

/// How long any one step of the start may take. It takes seconds; a busy machine gets patience.
pub(crate) const START_DEADLINE: Duration = Duration::from_mins(1);
/// kube-apiserver waits a minute for open connections after SIGTERM; no test wants to.
const STOP_GRACE: Duration = Duration::from_secs(5);

/// The processes of a running cluster. Dropping it ends every one, and removes its folder.
pub struct Cluster {
    // Declared in drop order: processes first, then the folder they write to (inside `access`).
    processes: Mutex<Vec<Process>>,
    components: Vec<Component>,
    access: Access,
    work: Arc<WorkDir>,
}

/// Everything an administrator can do: client, kubectl, kubeconfigs, apply.
impl Deref for Cluster {
    type Target = Access;

    fn deref(&self) -> &Access {
        &self.access
    }
}

impl Cluster {
    /// Starts every component of the plan, in its order.
    pub(crate) async fn start(plan: Plan, assets: &Assets, work: Arc<WorkDir>) -> Result<Self> {
        let access = Access::new(&plan, assets, work.clone()).await?;
        let cluster = Self { processes: Mutex::default(), components: plan.components, access, work };
        for component in &cluster.components {
            cluster.resume(component.name).await?;
        }
        Ok(cluster)
    }

    /// The record of every request that was answered.
    pub fn audit(&self) -> AuditLog {
        AuditLog::new(components::audit_log(&self.work))
    }

    /// The ids of the processes that run now.
    pub fn pids(&self) -> Vec<u32> {
        lock(&self.processes).iter().map(Process::pid).collect()
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

    /// Starts a component that was stopped or killed, and waits until it can be used.
    pub async fn resume(&self, name: &str) -> Result<()> {
        self.spawn(name)?;
        self.unless_something_ends(self.wait_for(self.component(name)?)).await
    }

    /// Kills a component and starts it again, as after a crash.
    pub async fn restart(&self, name: &str) -> Result<()> {
        self.kill(name)?;
        self.resume(name).await
    }

    /// Runs `work`, but fails at once when a component ends; either way the error holds the last log lines.
    pub(crate) async fn unless_something_ends(&self, work: impl Future<Output = Result<()>>) -> Result<()> {
        let outcome = tokio::select! {
            outcome = work => outcome,
            error = self.first_end() => Err(error),
        };
        outcome.map_err(|error| error.context(self.tails()))
    }

    async fn wait_for(&self, component: &Component) -> Result<()> {
        let name = component.name;
        match &component.ready {
            Ready::Started => Ok(()),
            Ready::Readyz => {
                eventually(START_DEADLINE, &format!("{name} to be ready"), || async {
                    let request = http::Request::get("/readyz").body(Vec::new())?;
                    let answer = self.access.client().request_text(request).await?;
                    Ok((answer == "ok").then_some(()))
                })
                .await
            }
            Ready::Port(port) => {
                let address = SocketAddr::from(([127, 0, 0, 1], *port));
                eventually(START_DEADLINE, &format!("{name} to listen on {address}"), || async {
                    TcpStream::connect(address).await?;
                    Ok(Some(()))
                })
                .await
            }
            Ready::Socket(path) => {
                eventually(START_DEADLINE, &format!("{name} to listen on {}", path.display()), || async {
                    UnixStream::connect(path).await?;
                    Ok(Some(()))
                })
                .await
            }
        }
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
        let found = self.components.iter().find(|component| component.name == name);
        found.with_context(|| {
            let names: Vec<_> = self.components.iter().map(|component| component.name).collect();
            format!("no component {name}; there are {}", names.join(", "))
        })
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
        let mut text = String::from("the cluster is not ready; the last lines of each log:\n");
        for process in lock(&self.processes).iter() {
            let _ = write!(text, "--- {}\n{}\n", process.name(), process.tail(12));
        }
        text
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let mut processes = lock(&self.processes);
        // Last started, first ended: nobody is left to complain about a server that went first.
        while processes.pop().is_some() {}
    }
}
