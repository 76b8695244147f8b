//! The one key from which shared secrets and hashes of configuration are derived, kept in a Secret of the operator's own namespace.

use crate::core::known::Known;
use crate::core::meta::{MANAGED_BY, MANAGER};
use crate::core::secret_key::SecretKey;
use k8s_openapi::ByteString;
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Client;
use kube::api::{Api, PostParams};
use std::collections::BTreeMap;
use std::time::Duration;

/// Name of the Secret.
pub const NAME: &str = "moorage-key";
const FIELD: &str = "key";

/// Waits between tries: where the Role is not bound, one request in five minutes notices that it is now.
const RETRY: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(300));

/// Reads the key, making it on the first start. `None` where that failed, or where no Secret may be made of it in any namespace that
/// is watched (all if none is named): Registries then say what they lack.
pub async fn secret_key(client: Client, namespace: &str, watched: &[String]) -> Option<SecretKey> {
    let key = async {
        may_make(&client, watched).await?;
        read_or_create(&Api::namespaced(client, namespace), namespace).await
    };
    match key.await {
        Ok(key) => Some(key),
        Err(error) => {
            tracing::info!(%error, "no key of shared secrets; until there is, Registries are limited to one replica");
            None
        }
    }
}

/// Tries until the key of configuration is there, whether or not Secrets may be made of it; tells what is known of it meanwhile.
pub async fn wait_for_config_key(client: Client, namespace: &str, tell: impl Fn(Known<SecretKey>)) {
    let mut wait = RETRY.0;
    loop {
        match read_or_create(&Api::namespaced(client.clone(), namespace), namespace).await {
            Ok(key) => return tell(Known::Known(key)),
            Err(error) => {
                tracing::warn!(%error, "no key for hashes of Secrets; until there is, they are not followed");
                if !error.may_pass() {
                    tell(Known::Absent);
                }
            }
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(RETRY.1);
    }
}

/// Tries until the key is there.
pub async fn wait_for_secret_key(client: Client, namespace: &str, watched: &[String]) -> SecretKey {
    let mut wait = RETRY.0;
    loop {
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(RETRY.1);
        if let Some(key) = secret_key(client.clone(), namespace, watched).await {
            return key;
        }
    }
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
enum KeyError {
    /// The API server said no, or nothing.
    #[error(transparent)]
    Api(#[from] kube::Error),
    /// There would be no use for it.
    #[error("the operator may not make Secrets in {0}; see docs/reasons/SecretAccessMissing.md")]
    Denied(String),
    /// Somebody else wrote it.
    #[error("Secret {NAME} holds no {FIELD} of 32 bytes; delete it and it is made anew")]
    Malformed,
}

impl KeyError {
    /// Whether it may be another answer in a moment, without anybody's doing.
    fn may_pass(&self) -> bool {
        match self {
            Self::Api(kube::Error::Api(status)) => status.code >= 500 || status.code == 429,
            Self::Api(_) => true,
            Self::Denied(_) | Self::Malformed => false,
        }
    }
}

/// Asks whether Secrets may be made in one of these namespaces at least, or in all if none is named, as nothing else tells before
/// one is.
async fn may_make(client: &Client, namespaces: &[String]) -> Result<(), KeyError> {
    if namespaces.is_empty() {
        return if may_make_in(client, None).await? {
            Ok(())
        } else {
            Err(KeyError::Denied("all namespaces".to_owned()))
        };
    }
    for namespace in namespaces {
        if may_make_in(client, Some(namespace.clone())).await? {
            return Ok(());
        }
    }
    Err(KeyError::Denied(namespaces.join(", ")))
}

async fn may_make_in(client: &Client, namespace: Option<String>) -> Result<bool, kube::Error> {
    let attributes = ResourceAttributes {
        verb: Some("create".to_owned()),
        version: Some("v1".to_owned()),
        resource: Some("secrets".to_owned()),
        namespace,
        ..ResourceAttributes::default()
    };
    let review = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec { resource_attributes: Some(attributes), ..Default::default() },
        ..SelfSubjectAccessReview::default()
    };
    let answer = Api::all(client.clone()).create(&PostParams::default(), &review).await?;
    Ok(answer.status.is_some_and(|status| status.allowed))
}

async fn read_or_create(api: &Api<Secret>, namespace: &str) -> Result<SecretKey, KeyError> {
    if let Some(secret) = api.get_opt(NAME).await? {
        return key(&secret);
    }
    let fresh: [u8; 32] = rand::random();
    let secret = Secret {
        metadata: ObjectMeta {
            name: Some(NAME.to_owned()),
            namespace: Some(namespace.to_owned()),
            labels: Some([(MANAGED_BY.to_owned(), MANAGER.to_owned())].into()),
            ..ObjectMeta::default()
        },
        data: Some(BTreeMap::from([(FIELD.to_owned(), ByteString(fresh.to_vec()))])),
        type_: Some("Opaque".to_owned()),
        immutable: Some(true),
        ..Secret::default()
    };
    match api.create(&PostParams::default(), &secret).await {
        Ok(_) => Ok(SecretKey(fresh)),
        // Another replica was first; its key counts.
        Err(kube::Error::Api(status)) if status.code == 409 => key(&api.get(NAME).await?),
        Err(error) => Err(error.into()),
    }
}

fn key(secret: &Secret) -> Result<SecretKey, KeyError> {
    let bytes = secret.data.as_ref().and_then(|data| data.get(FIELD)).ok_or(KeyError::Malformed)?;
    bytes.0.as_slice().try_into().map(SecretKey).map_err(|_| KeyError::Malformed)
}
