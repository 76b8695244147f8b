//! The one key from which shared secrets are derived, kept in a Secret of the operator's own namespace.

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Client;
use kube::api::{Api, PostParams};
use std::collections::BTreeMap;

/// Name of the Secret.
pub const NAME: &str = "moorage-key";
const FIELD: &str = "key";

/// Reads the key, making it on the first start. `None` where the operator may not: Registries then say what they lack.
pub async fn secret_key(client: Client, namespace: &str) -> Option<[u8; 32]> {
    let api: Api<Secret> = Api::namespaced(client, namespace);
    match read_or_create(&api, namespace).await {
        Ok(key) => key,
        Err(error) => {
            tracing::info!(%error, "no access to the key of shared secrets; Registries are limited to one replica");
            None
        }
    }
}

async fn read_or_create(api: &Api<Secret>, namespace: &str) -> Result<Option<[u8; 32]>, kube::Error> {
    if let Some(secret) = api.get_opt(NAME).await? {
        return Ok(key(&secret));
    }
    let fresh: [u8; 32] = rand::random();
    let secret = Secret {
        metadata: ObjectMeta {
            name: Some(NAME.to_owned()),
            namespace: Some(namespace.to_owned()),
            ..ObjectMeta::default()
        },
        data: Some(BTreeMap::from([(FIELD.to_owned(), ByteString(fresh.to_vec()))])),
        immutable: Some(true),
        ..Secret::default()
    };
    match api.create(&PostParams::default(), &secret).await {
        Ok(_) => Ok(Some(fresh)),
        // Another replica was first; its key counts.
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(key(&api.get(NAME).await?)),
        Err(error) => Err(error),
    }
}

fn key(secret: &Secret) -> Option<[u8; 32]> {
    secret.data.as_ref()?.get(FIELD)?.0.as_slice().try_into().ok()
}
