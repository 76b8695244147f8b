//! The App's own `ServiceAccount`.

use crate::app::validate::ValidApp;
use crate::core::facts::Account;
use crate::core::meta;
use crate::core::observed::Observed;
use k8s_openapi::api::core::v1::{LocalObjectReference, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::json;

/// The `ServiceAccount` that the pods run as; its token is mounted only where the pod says so.
///
/// Its list of pull secrets is one value to the API server, and others add to it (`OpenShift` does to every account): once
/// the App declares any, theirs are repeated. Which are theirs, an annotation with ours tells.
pub fn service_account(app: &ValidApp<'_>, observed: &Observed) -> ServiceAccount {
    let settings = app.spec.service_account.clone().unwrap_or_default();
    let (mut annotations, mut secrets) = (settings.annotations, settings.image_pull_secrets);
    let declared: Vec<String> = secrets.iter().map(|secret| secret.name.clone()).collect();
    let account = observed.account(&app.identity.name);
    if !declared.is_empty() || account.is_some_and(|account| account.declared.is_some()) {
        let others = account.into_iter().flat_map(Account::others).filter(|name| !declared.contains(*name));
        secrets.extend(others.map(|name| LocalObjectReference { name: name.clone() }));
    }
    if !secrets.is_empty() {
        annotations.insert(meta::PULL_SECRETS.to_owned(), json!(declared).to_string());
    }
    ServiceAccount {
        metadata: ObjectMeta {
            annotations: Some(annotations).filter(|annotations| !annotations.is_empty()),
            ..meta::owned(&app.identity, &app.identity.name)
        },
        automount_service_account_token: Some(false),
        image_pull_secrets: Some(secrets).filter(|secrets| !secrets.is_empty()),
        ..ServiceAccount::default()
    }
}
