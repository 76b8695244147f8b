//! The real `moorage` binary as a child process.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    time::Duration,
};

use anyhow::{Context, Result, bail};

use crate::{access::Access, control_plane::ControlPlane, http, ports, process::Process, wait::eventually};

const DEADLINE: Duration = Duration::from_secs(30);

/// How an operator process is started.
#[derive(Clone, Debug)]
pub struct OperatorOptions {
    /// The `moorage` binary; in its own package's tests `env!("CARGO_BIN_EXE_moorage")`.
    pub binary: PathBuf,
    /// The namespaces to watch; none is the whole cluster.
    pub watch_namespaces: Vec<String>,
    /// Where its Lease and its `ServiceAccount` are.
    pub operator_namespace: String,
    /// The `ServiceAccount` whose rights it has.
    pub service_account: String,
    /// Its identity in the Lease, and the name of its log.
    pub name: String,
    /// Further command line arguments.
    pub extra_args: Vec<String>,
    /// Further environment variables.
    pub env: Vec<(String, String)>,
    /// `MOORAGE_LOG`.
    pub log_filter: String,
    /// The generated `ClusterRoles` that a [`crate::Sandbox`] binds inside its namespace.
    pub namespaced_roles: Vec<String>,
    /// The generated Roles of the operator's own namespace, likewise.
    pub own_roles: Vec<String>,
}

impl OperatorOptions {
    /// An operator named `moorage` for the whole cluster, in `moorage-system`.
    pub fn new(binary: impl Into<PathBuf>) -> Self {
        Self {
            binary: binary.into(),
            watch_namespaces: Vec::new(),
            operator_namespace: "moorage-system".into(),
            service_account: "moorage".into(),
            name: "moorage".into(),
            extra_args: Vec::new(),
            env: Vec::new(),
            log_filter: "info".into(),
            namespaced_roles: [
                "moorage",
                "moorage-events",
                "moorage-monitoring",
                "moorage-owner-references",
                "moorage-registry-secrets",
            ]
            .map(Into::into)
            .into(),
            own_roles: ["moorage-leader", "moorage-registry-key"].map(Into::into).into(),
        }
    }
}

/// A running operator. Dropping it kills the process.
pub struct Operator {
    options: OperatorOptions,
    kubeconfig: PathBuf,
    address: SocketAddr,
    log: PathBuf,
    process: Process,
}

impl ControlPlane {
    /// Starts an operator with the rights of its `ServiceAccount`, which must exist.
    pub async fn operator(&self, options: OperatorOptions) -> Result<Operator> {
        Operator::start(self, options).await
    }
}

impl Operator {
    pub(crate) async fn start(access: &Access, options: OperatorOptions) -> Result<Self> {
        let kubeconfig = access.token_kubeconfig(&options.operator_namespace, &options.service_account).await?;
        let address = SocketAddr::from(([127, 0, 0, 1], ports::free()?));
        let log = access.work().log(&format!("{}.{}", options.operator_namespace, options.name));
        let command = command(&options, &kubeconfig, address);
        let process = Process::spawn(&options.name, &command, &log)?;
        Ok(Self { options, kubeconfig, address, log, process })
    }

    /// Waits until `/readyz` answers 200; fails at once if the process ended.
    pub async fn ready(&self) -> Result<()> {
        let what = format!("operator {} to be ready", self.options.name);
        let ready = eventually(DEADLINE, &what, || async {
            if let Some(status) = self.process.exited()? {
                return Ok(Some(Some(status)));
            }
            match http::get(self.address, "/readyz").await? {
                (200, _) => Ok(Some(None)),
                (code, body) => bail!("/readyz answers {code} {}", body.trim()),
            }
        });
        let outcome = match ready.await {
            Ok(None) => return Ok(()),
            Ok(Some(status)) => Err(anyhow::anyhow!("the operator ended with {status}")),
            Err(error) => Err(error),
        };
        outcome.with_context(|| format!("the operator's last lines:\n{}", self.process.tail(20)))
    }

    /// Asks it to end with SIGTERM and waits; fails if it does not end in time.
    pub async fn stop(&self) -> Result<ExitStatus> {
        self.process.stop(DEADLINE).await
    }

    /// Ends it at once with SIGKILL.
    pub fn kill(&self) {
        self.process.kill();
    }

    /// Starts it anew with the same options, after a stop, a kill, or instead of the running one.
    pub async fn restart(&mut self) -> Result<()> {
        if self.process.exited()?.is_none() {
            self.stop().await?;
        }
        let command = command(&self.options, &self.kubeconfig, self.address);
        self.process = Process::spawn(&self.options.name, &command, &self.log)?;
        Ok(())
    }

    /// The process, for its id, its exit status, and to freeze it.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Everything it has logged, over restarts.
    pub fn logs(&self) -> String {
        self.process.logs()
    }

    /// Where it serves `/metrics`, `/healthz` and `/readyz`.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The kubeconfig it uses: what it may do, a test may try with this.
    pub fn kubeconfig_path(&self) -> &Path {
        &self.kubeconfig
    }

    /// The text of `/metrics`.
    pub async fn metrics(&self) -> Result<String> {
        match self.metrics_as(None).await? {
            (200, body) => Ok(body),
            (code, body) => bail!("/metrics answers {code} {}", body.trim()),
        }
    }

    /// Status code and body of `/metrics` for whoever sends that bearer token.
    pub async fn metrics_as(&self, token: Option<&str>) -> Result<(u16, String)> {
        http::get_with(self.address, "/metrics", token).await
    }

    /// The name it has in the audit log.
    pub fn user(&self) -> String {
        format!("system:serviceaccount:{}:{}", self.options.operator_namespace, self.options.service_account)
    }
}

fn command(options: &OperatorOptions, kubeconfig: &Path, address: SocketAddr) -> Command {
    let mut command = Command::new(&options.binary);
    command
        .arg("run")
        .args(["--namespace", &options.operator_namespace])
        .args(["--identity", &options.name])
        .args(["--service-account", &options.service_account])
        .args(["--http-address", &address.to_string()])
        .args(["--log-format", "text"]);
    for namespace in &options.watch_namespaces {
        command.args(["--watch-namespace", namespace]);
    }
    command
        .args(&options.extra_args)
        .envs(options.env.iter().cloned())
        .env("KUBECONFIG", kubeconfig)
        .env("MOORAGE_LOG", &options.log_filter)
        .env("RUST_BACKTRACE", "1");
    command
}
