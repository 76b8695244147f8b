//! A namespace of its own with an operator of its own: what one test works in.

use std::ops::Deref;

use anyhow::{Context, Result};
use kube::api::DynamicObject;
use serde_json::{Value, json};

use crate::{
    access::Access,
    control_plane::ControlPlane,
    install::namespace_object,
    operator::{Operator, OperatorOptions},
    ways::OPERATOR_NAMESPACE,
};

/// Cluster-scoped reads, bound cluster-wide even for an operator that watches one namespace.
const CLUSTER_ROLE: &str = "moorage-cluster";

/// One test's namespace and operator. The namespace goes with the control plane.
pub struct Sandbox {
    access: Access,
    /// The namespace that the operator watches and lives in.
    pub namespace: String,
    /// The operator process.
    pub operator: Operator,
}

/// The administrator's access; namespaced helpers of [`Sandbox`] come on top.
impl Deref for Sandbox {
    type Target = Access;

    fn deref(&self) -> &Access {
        &self.access
    }
}

impl ControlPlane {
    /// Makes a namespace `name`, gives a `ServiceAccount` in it the generated RBAC for that namespace only,
    /// starts the operator there and waits until it is ready. Needs [`ControlPlane::install`] first.
    ///
    /// `watch_namespaces` and `operator_namespace` of the options are set to `name`.
    pub async fn sandbox(&self, name: &str, mut options: OperatorOptions) -> Result<Sandbox> {
        options.watch_namespaces = vec![name.to_owned()];
        options.operator_namespace = name.to_owned();
        self.apply_object(namespace_object(name), "").await?;
        for object in self.grants(name, &options).await? {
            self.apply_object(object, name).await?;
        }
        let operator = self.operator(options).await?;
        operator.ready().await?;
        Ok(Sandbox { access: Access::clone(self), namespace: name.to_owned(), operator })
    }

    /// The `ServiceAccount` and its bindings.
    async fn grants(&self, namespace: &str, options: &OperatorOptions) -> Result<Vec<Value>> {
        let account = &options.service_account;
        let mut objects = vec![json!({
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": account},
        })];
        for role in &options.namespaced_roles {
            let reference = ("ClusterRole", role.as_str());
            objects.push(binding("RoleBinding", role, reference, namespace, account));
        }
        let name = format!("{CLUSTER_ROLE}-{namespace}");
        let reference = ("ClusterRole", CLUSTER_ROLE);
        objects.push(binding("ClusterRoleBinding", &name, reference, namespace, account));
        for role in &options.own_roles {
            objects.extend(self.own_role(namespace, role, account).await?);
        }
        Ok(objects)
    }

    /// A copy, in the sandbox's namespace, of a Role that the manifests put into the operator's.
    async fn own_role(&self, namespace: &str, role: &str, account: &str) -> Result<[Value; 2]> {
        let (api, kind) = ("rbac.authorization.k8s.io/v1", "Role");
        let generated = self
            .get(api, kind, OPERATOR_NAMESPACE, role)
            .await?
            .with_context(|| format!("no Role {OPERATOR_NAMESPACE}/{role}: install first"))?;
        let copy = json!({
            "apiVersion": api,
            "kind": kind,
            "metadata": {"name": role},
            "rules": generated.data["rules"],
        });
        Ok([copy, binding("RoleBinding", role, (kind, role), namespace, account)])
    }
}

fn binding(kind: &str, name: &str, (role_kind, role): (&str, &str), namespace: &str, account: &str) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": role_kind, "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": namespace}],
    })
}

impl Sandbox {
    /// The operator's name in the audit log.
    pub fn user(&self) -> String {
        self.operator.user()
    }

    /// Applies a YAML stream as the administrator, in this namespace unless an object names another.
    pub async fn apply(&self, yaml: &str) -> Result<Vec<DynamicObject>> {
        self.access.apply(yaml, &self.namespace).await
    }

    /// Reads one object of this namespace; `None` when it does not exist.
    pub async fn get(&self, api_version: &str, kind: &str, name: &str) -> Result<Option<DynamicObject>> {
        self.access.get(api_version, kind, &self.namespace, name).await
    }

    /// Runs kubectl in this namespace and returns its stdout.
    pub async fn kubectl(&self, args: &[&str]) -> Result<String> {
        let mut all = vec!["--namespace", self.namespace.as_str()];
        all.extend(args);
        self.access.run_kubectl(&all).await
    }
}
