//! Each way of installing the operator does what its page says: the page's commands install, upgrade and uninstall it, it works with the
//! rights that it gets by them and is refused nothing, and what users have outlives it, until they remove that too.

use crate::rbac::SEVERAL;
use crate::support::*;
use anyhow::{Context, Result, ensure};
use moorage_harness::build::workspace;
use moorage_harness::page::steps;
use moorage_harness::{ControlPlane, Installer, Mark, Operator, Options, Way, documents, eventually, manifests};
use serde_json::{Value, json};
use std::sync::Arc;

crate::cases![own: by_kubectl_and_kustomize, by_helm_and_olm, some_namespaces_and_what_was_there_before];

const OWN: &str = "moorage-system";
/// What all ways have in common.
const PAGE: &str = "docs/install/README.md";
/// What users have, of which nothing may go or restart.
const USERS: &str = "deployments,replicasets,services,persistentvolumeclaims,serviceaccounts,pods";
/// What the kinds of data begin with.
const VOLUME: &str = "PersistentVolume";
const KINDS: &str = "apps.moorage.dev,storageclaims.moorage.dev,registries.moorage.dev";

/// Storage that the operator alone would delete.
const SCRATCH: &str = "
apiVersion: moorage.dev/v1alpha1
kind: StorageClaim
metadata: {name: scratch}
spec: {size: 1Gi, deletionPolicy: Delete}
";

async fn by_kubectl_and_kustomize(_shared: Arc<ControlPlane>) -> Result<()> {
    each([Way::Kubectl, Way::Kustomize]).await
}

async fn by_helm_and_olm(_shared: Arc<ControlPlane>) -> Result<()> {
    each([Way::Helm, Way::Olm]).await
}

/// One way after the other, each in a cluster that has nothing of the one before.
async fn each(ways: [Way; 2]) -> Result<()> {
    let control_plane = cluster(&["shop"]).await?;
    for way in ways {
        let installer = control_plane.installer(way, |_| ()).await?;
        let life = Life { control_plane: &control_plane, installer: &installer };
        life.begins().await.with_context(|| way.page())?;
        // What is common to all ways.
        if way == Way::Kubectl {
            life.leaves_the_data().await.with_context(|| way.page())?;
        }
        life.ends().await.with_context(|| way.page())?;
    }
    Ok(())
}

/// What is done in one way.
struct Life<'a> {
    control_plane: &'a ControlPlane,
    installer: &'a Installer,
}

impl Life<'_> {
    /// Installed, used, upgraded, uninstalled, installed again.
    async fn begins(&self) -> Result<()> {
        let (operator, mark) = self.installed().await?;
        self.used(&operator, false).await.context("installed")?;
        self.refused_nothing(&operator, mark)?;
        self.upgraded(&operator).await.context("upgraded")?;
        let before = self.users("generation").await?;
        self.uninstalled(&operator).await?;
        ensure!(self.users("generation").await? == before, "it was\n{before}\nand is not any more");

        let (operator, mark) = self.installed().await.context("installed again")?;
        self.used(&operator, false).await.context("installed again")?;
        ensure!(self.users("generation").await? == before, "it was\n{before}\nand is not any more");
        self.wrote_nothing(&operator, mark)?;
        operator.stop().await.map(drop)
    }

    /// Everything is removed but the data and what runs; later it is installed again, and takes both.
    async fn leaves_the_data(&self) -> Result<()> {
        let before = self.users("uid").await?;
        self.installer.uninstall().await?;
        self.follow("Remove the rest, keep the data").await?;
        ensure!(self.users("uid").await? == before, "it was\n{before}\nand is not any more");
        self.nothing_is_left().await.context("the data kept")?;
        let (operator, _) = self.installed().await.context("installed to the data")?;
        self.used(&operator, true).await.context("installed to the data")?;
        let (kept, volumes) = (only(&before, VOLUME), only(&self.users("uid").await?, VOLUME));
        ensure!(volumes == kept, "of\n{kept}\nare left\n{volumes}");
        operator.stop().await.map(drop)
    }

    /// Everything is removed, data too.
    async fn ends(&self) -> Result<()> {
        let operator = self.control_plane.deployed_operator(OWN, options()).await?;
        self.follow("Remove everything").await?;
        self.uninstalled(&operator).await?;
        self.follow("Remove the rest, keep the data").await?;
        self.nothing_is_left().await?;
        eventually(DEADLINE, "what ran and the data to be gone", || async {
            let left = self.users("uid").await?;
            ensure!(left.lines().all(|line| line.starts_with("ServiceAccount default ")), "left are\n{left}");
            Ok(Some(()))
        })
        .await
    }

    /// The operator, as the page installs it; and the time before it was started.
    async fn installed(&self) -> Result<(Operator, Mark)> {
        self.installer.install().await?;
        let mark = self.control_plane.audit().mark()?;
        Ok((self.control_plane.deployed_operator(OWN, options()).await?, mark))
    }

    /// All that it works for is Ready; `adopted` is storage of a former installation.
    async fn used(&self, operator: &Operator, adopted: bool) -> Result<()> {
        let mut objects = manifests(&workspace().join("examples/quickstart"))?;
        for yaml in [SEVERAL, SEEN, SCRATCH] {
            objects.extend(documents(yaml)?);
        }
        for mut object in objects {
            if adopted && object["kind"] == "StorageClaim" {
                object["spec"]["adopt"] = json!(true);
            }
            self.control_plane.apply_object(object.clone(), "shop").await?;
            if object["apiVersion"] == MOORAGE {
                is_ready(self.control_plane, operator, "shop", &object).await?;
            }
        }
        Ok(())
    }

    fn refused_nothing(&self, operator: &Operator, mark: Mark) -> Result<()> {
        let requests = self.control_plane.audit().by_user(&operator.user(), mark)?;
        let refused: Vec<_> = requests.iter().filter(|event| event.lacks_rights()).cloned().collect();
        ensure!(!requests.is_empty() && refused.is_empty(), "it was refused:\n{}", lines(&refused));
        Ok(())
    }

    fn wrote_nothing(&self, operator: &Operator, mark: Mark) -> Result<()> {
        let writes = writes_of(self.control_plane, &operator.user(), mark)?;
        ensure!(writes.is_empty(), "the operator wrote:\n{}", lines(&writes));
        Ok(())
    }

    /// An upgrade that changes nothing writes nothing: neither to the operator's objects, nor does the operator to anybody's.
    async fn upgraded(&self, operator: &Operator) -> Result<()> {
        let before = (self.users("generation").await?, self.ours().await?);
        ensure!(before.0.contains("Deployment web ") && before.1.contains("Deployment moorage "), "{before:?}");
        let mark = self.control_plane.audit().mark()?;
        self.installer.upgrade().await?;
        let after = (self.users("generation").await?, self.ours().await?);
        ensure!(after == before, "it was\n{}\n{}\nand is\n{}\n{}", before.0, before.1, after.0, after.1);
        self.wrote_nothing(operator, mark)
    }

    /// The operator runs until its Deployment is gone, and then all that it could is gone; the definitions stay.
    async fn uninstalled(&self, operator: &Operator) -> Result<()> {
        let definitions = self.definitions().await?;
        ensure!(definitions.lines().count() == 3, "{definitions}");
        let (uninstalled, stopped) = tokio::join!(self.installer.uninstall(), self.stopped(operator));
        uninstalled.context("uninstalling")?;
        stopped?;
        ensure!(self.definitions().await? == definitions, "the definitions were {definitions}");
        let left = self.ours().await? + &self.of_the_cluster().await?;
        ensure!(left.is_empty(), "left are\n{left}");
        Ok(())
    }

    /// As by its kubelet, once its pod is being deleted.
    async fn stopped(&self, operator: &Operator) -> Result<()> {
        eventually(DEADLINE, "the operator's Deployment to be deleted", || async {
            let live = self.control_plane.get("apps/v1", "Deployment", OWN, "moorage").await?;
            Ok(live.is_none_or(|live| live.metadata.deletion_timestamp.is_some()).then_some(()))
        })
        .await?;
        operator.stop().await.map(drop)
    }

    async fn nothing_is_left(&self) -> Result<()> {
        let namespaces = self.names("namespaces").await?;
        let left = self.definitions().await? + &self.of_the_cluster().await? + &namespaces;
        ensure!(left.is_empty(), "left are\n{left}");
        Ok(())
    }

    async fn follow(&self, title: &str) -> Result<()> {
        self.installer.does(&steps(&section(PAGE, title)?)).await.with_context(|| title.to_owned())
    }

    /// What users have, and which of it that is: by its UID, also by its generation where it has one and else by its version.
    async fn users(&self, by: &str) -> Result<String> {
        let place = "--namespace=shop";
        let mut found = self.versions(USERS, place, by).await?;
        if by == "generation" {
            found += &self.versions(KINDS, place, by).await?;
        }
        // A new one is made for a new pod only after the old one is gone, so these are all.
        Ok(found + &self.versions("persistentvolumes", place, "uid").await?)
    }

    /// The operator's own objects, of the kinds that all ways install.
    async fn ours(&self) -> Result<String> {
        let own = "serviceaccounts,deployments,poddisruptionbudgets,roles,rolebindings";
        let cluster = "clusterroles,clusterrolebindings,validatingadmissionpolicies,validatingadmissionpolicybindings";
        let place = format!("--namespace={OWN}");
        let found = self.versions(own, &place, "generation").await?;
        let found = found + &self.versions(cluster, "--all-namespaces", "generation").await?;
        Ok(only(&found, "moorage"))
    }

    /// What any namespace or the cluster has of the operator's, but the definitions.
    async fn of_the_cluster(&self) -> Result<String> {
        self.names(
            "clusterroles,clusterrolebindings,validatingadmissionpolicies,validatingadmissionpolicybindings,roles,rolebindings",
        )
        .await
    }

    async fn definitions(&self) -> Result<String> {
        self.names("customresourcedefinitions").await
    }

    async fn names(&self, kinds: &str) -> Result<String> {
        let all = self.control_plane.run_kubectl(&["get", kinds, "--all-namespaces", "-o=name"]).await?;
        Ok(only(&all, "moorage"))
    }

    /// Kind, name and UID of each object, and which state of it that is.
    async fn versions(&self, kinds: &str, place: &str, by: &str) -> Result<String> {
        let version = "{{if .generation}}{{.generation}}{{else}}{{.resourceVersion}}{{end}}";
        let version = if by == "uid" { "" } else { version };
        let one =
            format!("{{{{.kind}}}} {{{{.metadata.name}}}} {{{{with .metadata}}}}{{{{.uid}}}} {version}{{{{end}}}}");
        let template = format!("-o=go-template={{{{range .items}}}}{one}\n{{{{end}}}}");
        self.control_plane.run_kubectl(&["get", kinds, place, &template]).await
    }
}

/// The lines with that word.
fn only(lines: &str, word: &str) -> String {
    lines.split_inclusive('\n').filter(|line| line.contains(word)).collect()
}

/// Installed for some namespaces, the operator works in these and nowhere else; and Helm takes over what kubectl installed.
async fn some_namespaces_and_what_was_there_before(_shared: Arc<ControlPlane>) -> Result<()> {
    let control_plane = cluster(&["shop", "blog", "other"]).await?;
    for way in [Way::Helm, Way::Kubectl] {
        let installer = control_plane.installer(way, |_| ()).await?;
        for_some(&control_plane, &installer).await.with_context(|| way.page())?;
    }
    taken_over(&control_plane).await
}

async fn for_some(control_plane: &ControlPlane, installer: &Installer) -> Result<()> {
    installer.follow("Some namespaces only").await?;
    let bindings = control_plane.run_kubectl(&["get", "clusterrolebindings", "-o=name"]).await?;
    ensure!(!bindings.contains("moorage"), "{bindings}");
    let operator = control_plane.deployed_operator(OWN, options()).await?;
    for namespace in ["shop", "blog", "other"] {
        control_plane.apply(WEB, namespace).await?;
    }
    let web = json!({"kind": "App", "metadata": {"name": "web"}});
    for namespace in ["shop", "blog"] {
        is_ready(control_plane, &operator, namespace, &web).await?;
    }
    let other = control_plane.get(MOORAGE, "App", "other", "web").await?.context("no App")?;
    ensure!(other.data["status"]["conditions"].is_null(), "it works where it does not watch: {}", other.data["status"]);
    operator.stop().await?;
    installer.follow("Uninstall").await
}

/// What `deploy/install.yaml` installed becomes a release's, if Helm is told so.
async fn taken_over(control_plane: &ControlPlane) -> Result<()> {
    control_plane.installer(Way::Kubectl, |_| ()).await?.install().await?;
    let helm = control_plane.installer(Way::Helm, |_| ()).await?;
    let page = section(&Way::Helm.page(), "What kubectl installed")?;
    let plain = page.replace("--take-ownership ", "").replace("--force-conflicts ", "");
    let refused = helm.does(&steps(&plain)).await.err().context("it was taken without a word")?;
    ensure!(format!("{refused:#}").contains("invalid ownership metadata"), "{refused:#}");
    helm.does(&steps(&page)).await?;
    let operator = control_plane.deployed_operator(OWN, options()).await?;
    control_plane.apply(WEB, "other").await?;
    is_ready(control_plane, &operator, "other", &json!({"kind": "App", "metadata": {"name": "web"}})).await?;
    operator.stop().await.map(drop)
}

/// A control plane of its own, which has nothing but what is installed into it, and these namespaces.
async fn cluster(namespaces: &[&str]) -> Result<ControlPlane> {
    let control_plane = ControlPlane::start(Options::default()).await?;
    control_plane.install_monitoring().await?;
    for namespace in namespaces {
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
        control_plane.apply_object(object, "").await?;
    }
    Ok(control_plane)
}

async fn is_ready(control_plane: &ControlPlane, operator: &Operator, namespace: &str, object: &Value) -> Result<()> {
    let [kind, name] = [&object["kind"], &object["metadata"]["name"]].map(|text| text.as_str().unwrap_or_default());
    eventually(DEADLINE, &format!("{kind} {name} in {namespace} to be Ready"), || async {
        let live = serde_json::to_value(control_plane.get(MOORAGE, kind, namespace, name).await?)?;
        ensure!(is_true(&live, "Ready"), "its status is {}", live["status"]);
        Ok(Some(()))
    })
    .await
    .with_context(|| format!("the operator's log ends:\n{}", operator.process().tail(30)))
}
