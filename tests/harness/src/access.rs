//! How to reach a running control plane: kubeconfigs, a client, kubectl, and applying manifests.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::ServiceAccount,
};
use kube::{
    Api, Client, Config,
    api::{DynamicObject, Patch, PatchParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
    core::GroupVersionKind,
    discovery::{ApiCapabilities, ApiResource, Scope, oneshot::pinned_kind},
};
use serde_json::{Value, json};

use crate::{build::Assets, certificates::Pair, components::Plan, work_dir::WorkDir};

/// How long one command may take.
pub(crate) const DEADLINE: Duration = Duration::from_mins(3);

/// The field manager of everything the rig applies.
const FIELD_MANAGER: &str = "moorage-rig";

/// An administrator's access to a control plane. Cheap to clone.
#[derive(Clone)]
pub struct Access {
    client: Client,
    assets: Assets,
    server: String,
    authority: PathBuf,
    kubeconfig: PathBuf,
    work: Arc<WorkDir>,
}

impl Access {
    pub(crate) async fn new(plan: &Plan, assets: &Assets, work: Arc<WorkDir>) -> Result<Self> {
        let authority = plan.authority.certificate.clone();
        let content = kubeconfig_with_certificate(&plan.server, &authority, &plan.admin);
        let kubeconfig = work.write("kubeconfig", &content)?;
        let config =
            Config::from_custom_kubeconfig(Kubeconfig::from_yaml(&content)?, &KubeConfigOptions::default()).await?;
        Ok(Self {
            client: Client::try_from(config)?,
            assets: assets.clone(),
            server: plan.server.clone(),
            authority,
            kubeconfig,
            work,
        })
    }

    /// The administrator's kubeconfig file.
    pub fn kubeconfig_path(&self) -> &Path {
        &self.kubeconfig
    }

    /// A client with the administrator's rights, bound to the runtime that started the control plane.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// A binary of the rig; names as in [`Assets::bin`].
    pub fn bin(&self, name: &str) -> Result<PathBuf> {
        self.assets.bin(name)
    }

    /// A folder of the rig; names as in [`Assets::folder`].
    pub fn folder(&self, name: &str) -> Result<PathBuf> {
        self.assets.folder(name)
    }

    /// kubectl with the administrator's kubeconfig.
    pub fn kubectl(&self) -> Result<Command> {
        let mut command = Command::new(self.bin("kubectl")?);
        command.env("KUBECONFIG", &self.kubeconfig);
        Ok(command)
    }

    /// A line for a shell in which the rig's kubectl is to reach this cluster.
    pub fn exports(&self) -> Result<String> {
        let kubectl = self.bin("kubectl")?;
        let folder = kubectl.parent().context("kubectl lies nowhere")?;
        Ok(format!("export KUBECONFIG={} PATH=\"{}:$PATH\"", self.kubeconfig.display(), folder.display()))
    }

    /// The run's folder.
    pub fn work_dir(&self) -> &Path {
        self.work.path()
    }

    /// Has the logs of the run stay when it ends, for who looks for the cause of a failure; where, is printed then.
    pub fn keep_logs(&self) {
        self.work.keep_logs();
    }

    pub(crate) fn work(&self) -> &WorkDir {
        &self.work
    }

    /// A kubeconfig that holds a token of that `ServiceAccount`, valid for a day.
    pub async fn token_kubeconfig(&self, namespace: &str, account: &str) -> Result<PathBuf> {
        let token = self.token(namespace, account).await?;
        let content = kubeconfig(&self.server, &self.authority, &json!({"token": token}));
        self.work.write(&format!("{namespace}.{account}.kubeconfig"), &content)
    }

    /// A token of that `ServiceAccount`, valid for a day.
    pub async fn token(&self, namespace: &str, account: &str) -> Result<String> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client(), namespace);
        let request = TokenRequest {
            spec: TokenRequestSpec {
                audiences: vec![],
                expiration_seconds: Some(24 * 60 * 60),
                ..TokenRequestSpec::default()
            },
            ..TokenRequest::default()
        };
        let answer = accounts.create_token_request(account, &PostParams::default(), &request).await;
        let answer = answer.with_context(|| format!("requesting a token of {namespace}/{account}"))?;
        Ok(answer.status.context("the apiserver answered without a token")?.token)
    }

    /// Applies every document of a YAML stream by server-side apply, in order.
    ///
    /// Namespaced objects that name no namespace go to `namespace`.
    pub async fn apply(&self, yaml: &str, namespace: &str) -> Result<Vec<DynamicObject>> {
        let mut applied = Vec::new();
        for document in documents(yaml)? {
            applied.push(self.apply_object(document, namespace).await?);
        }
        Ok(applied)
    }

    /// Applies one object by server-side apply.
    pub async fn apply_object(&self, object: Value, namespace: &str) -> Result<DynamicObject> {
        let object: DynamicObject = serde_json::from_value(object)?;
        let (resource, capabilities) = self.resource_of(&object).await?;
        let name = object.metadata.name.clone().context("object has no name")?;
        let namespace = object.metadata.namespace.as_deref().unwrap_or(namespace);
        let api = self.api(&resource, &capabilities, namespace);
        api.patch(&name, &PatchParams::apply(FIELD_MANAGER).force(), &Patch::Apply(&object))
            .await
            .with_context(|| format!("applying {} {name}", resource.kind))
    }

    /// Reads one object of any kind; `None` when it does not exist.
    pub async fn get(
        &self,
        api_version: &str,
        kind: &str,
        namespace: &str,
        name: &str,
    ) -> Result<Option<DynamicObject>> {
        let (resource, capabilities) = self.discover(api_version, kind).await?;
        let api = self.api(&resource, &capabilities, namespace);
        Ok(api.get_opt(name).await?)
    }

    async fn resource_of(&self, object: &DynamicObject) -> Result<(ApiResource, ApiCapabilities)> {
        let types = object.types.as_ref().context("object has no kind")?;
        self.discover(&types.api_version, &types.kind).await
    }

    pub(crate) async fn discover(&self, api_version: &str, kind: &str) -> Result<(ApiResource, ApiCapabilities)> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        pinned_kind(&self.client, &GroupVersionKind::gvk(group, version, kind))
            .await
            .with_context(|| format!("looking up {kind} in {api_version}"))
    }

    fn api(&self, resource: &ApiResource, capabilities: &ApiCapabilities, namespace: &str) -> Api<DynamicObject> {
        match capabilities.scope {
            Scope::Cluster => Api::all_with(self.client(), resource),
            Scope::Namespaced => Api::namespaced_with(self.client(), namespace, resource),
        }
    }

    /// Runs kubectl and returns its stdout; its stderr is the error. So is taking longer than minutes, as a deletion does
    /// that nobody carries out.
    pub async fn run_kubectl(&self, args: &[&str]) -> Result<String> {
        let output = tokio::process::Command::from(self.kubectl()?).args(args).kill_on_drop(true).output();
        let output = tokio::time::timeout(DEADLINE, output).await;
        let output = output.with_context(|| format!("kubectl {}: not done in time", args.join(" ")))??;
        if !output.status.success() {
            let why = String::from_utf8_lossy(&output.stderr);
            bail!("kubectl {}: {}", args.join(" "), why.trim());
        }
        Ok(String::from_utf8(output.stdout)?)
    }
}

/// The objects of a YAML stream; empty documents are skipped.
pub fn documents(yaml: &str) -> Result<Vec<Value>> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(yaml)?;
    Ok(documents.into_iter().filter(|document| !document.is_null()).collect())
}

/// A kubeconfig whose user holds a client certificate.
pub fn kubeconfig_with_certificate(server: &str, authority: &Path, pair: &Pair) -> String {
    let user = json!({"client-certificate": pair.certificate, "client-key": pair.key});
    kubeconfig(server, authority, &user)
}

/// JSON is YAML, so every client reads this.
fn kubeconfig(server: &str, authority: &Path, user: &Value) -> String {
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "rig", "cluster": {"server": server, "certificate-authority": authority}}],
        "users": [{"name": "rig", "user": user}],
        "contexts": [{"name": "rig", "context": {"cluster": "rig", "user": "rig"}}],
        "current-context": "rig",
    })
    .to_string()
}
