//! The App's own `ServiceAccount`.

use crate::app::validate::ValidApp;
use crate::core::meta;
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// The `ServiceAccount` that the pods run as; its token is mounted only where the pod says so.
pub fn service_account(app: &ValidApp<'_>) -> ServiceAccount {
    let settings = app.spec.service_account.clone().unwrap_or_default();
    ServiceAccount {
        metadata: ObjectMeta {
            annotations: Some(settings.annotations).filter(|annotations| !annotations.is_empty()),
            ..meta::owned(&app.identity, &app.identity.name)
        },
        automount_service_account_token: Some(false),
        image_pull_secrets: Some(settings.image_pull_secrets).filter(|secrets| !secrets.is_empty()),
        ..ServiceAccount::default()
    }
}
