//! What an App's spec names for its pods to have, and where; and what of it the pods read.

use super::containers::{beside, mounts_beside};
use crate::api::app::{AppSpec, ServiceAccountSettings};
use crate::api::rollout::{ConfigKind, ConfigReference};
use crate::api::volume::AppVolume;
use crate::core::configuration::Reading;
use crate::core::own::Named;
use crate::core::reference::{Reference, ReferenceKind};
use k8s_openapi::api::core::v1::{
    ConfigMapKeySelector, Container, EnvFromSource, EnvVar, EnvVarSource, KeyToPath, LocalObjectReference,
    SecretKeySelector, VolumeProjection,
};
use std::collections::{BTreeMap, BTreeSet};

/// One place in a spec that names an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mention<'a> {
    /// The field that says so.
    pub field: String,
    /// The object.
    pub named: Named<'a>,
    /// What of it the pods read.
    pub reads: Reads<'a>,
    /// Whether pods start without it.
    pub optional: bool,
}

/// What pods read of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reads<'a> {
    /// Nothing: they run as it, or their images are pulled with it.
    Nothing,
    /// All of it.
    All,
    /// Likewise, of which they see the one file that is mounted.
    File(&'a str),
    /// These keys.
    Keys(Vec<&'a str>),
}

/// Every `ServiceAccount`, Secret and `ConfigMap` that the spec names.
pub fn references(spec: &AppSpec) -> Vec<Mention<'_>> {
    let AppSpec { service_account, image_pull_secrets, env, env_from, volumes, .. } = spec;
    let accounts = service_account.iter().flat_map(of_account);
    let others = beside(spec).flat_map(|it| {
        let Container { env, env_from, .. } = it.declared;
        of_container(&it.field(), env.iter().flatten(), env_from.iter().flatten())
    });
    accounts
        .chain(pull_secrets("spec.imagePullSecrets", image_pull_secrets))
        .chain(of_container("spec", env.iter(), env_from.iter()))
        .chain(others)
        .chain(volumes.iter().enumerate().flat_map(|(index, volume)| of_volume(spec, index, volume)))
        .collect()
}

fn of_account(account: &ServiceAccountSettings) -> Vec<Mention<'_>> {
    let ServiceAccountSettings { name, annotations: _, image_pull_secrets, automount_token: _ } = account;
    let name = name.iter().map(|name| Mention {
        field: "spec.serviceAccount.name".to_owned(),
        named: Named::ServiceAccount(name),
        reads: Reads::Nothing,
        optional: false,
    });
    name.chain(pull_secrets("spec.serviceAccount.imagePullSecrets", image_pull_secrets)).collect()
}

fn pull_secrets<'a>(field: &str, secrets: &'a [LocalObjectReference]) -> Vec<Mention<'a>> {
    let mention = |(index, secret): (usize, &'a LocalObjectReference)| Mention {
        field: format!("{field}[{index}].name"),
        named: Named::Secret(&secret.name),
        reads: Reads::Nothing,
        optional: false,
    };
    secrets.iter().enumerate().map(mention).collect()
}

fn of_container<'a>(
    field: &str,
    env: impl Iterator<Item = &'a EnvVar>,
    env_from: impl Iterator<Item = &'a EnvFromSource>,
) -> Vec<Mention<'a>> {
    let env = env.enumerate().flat_map(|(index, variable)| of_variable(&format!("{field}.env[{index}]"), variable));
    let from = env_from.enumerate();
    env.chain(from.flat_map(|(index, source)| of_variables(&format!("{field}.envFrom[{index}]"), source))).collect()
}

fn of_variable<'a>(field: &str, variable: &'a EnvVar) -> Vec<Mention<'a>> {
    let Some(EnvVarSource { secret_key_ref, config_map_key_ref, field_ref: _, resource_field_ref: _ }) =
        &variable.value_from
    else {
        return Vec::new();
    };
    let mention = |source: &str, named, key, optional: Option<bool>| Mention {
        field: format!("{field}.valueFrom.{source}.name"),
        named,
        reads: Reads::Keys(vec![key]),
        optional: optional.unwrap_or(false),
    };
    let secret = secret_key_ref.iter().map(|SecretKeySelector { name, key, optional }| {
        mention("secretKeyRef", Named::Secret(name), key.as_str(), *optional)
    });
    let config_map = config_map_key_ref.iter().map(|ConfigMapKeySelector { name, key, optional }| {
        mention("configMapKeyRef", Named::ConfigMap(name), key.as_str(), *optional)
    });
    secret.chain(config_map).collect()
}

fn of_variables<'a>(field: &str, source: &'a EnvFromSource) -> Vec<Mention<'a>> {
    let EnvFromSource { secret_ref, config_map_ref, prefix: _ } = source;
    let mention = |source: &str, named, optional: Option<bool>| Mention {
        field: format!("{field}.{source}.name"),
        named,
        reads: Reads::All,
        optional: optional.unwrap_or(false),
    };
    let secret = secret_ref.iter().map(|secret| mention("secretRef", Named::Secret(&secret.name), secret.optional));
    let config_map =
        config_map_ref.iter().map(|map| mention("configMapRef", Named::ConfigMap(&map.name), map.optional));
    secret.chain(config_map).collect()
}

/// The path of a volume that is mounted, where that is one and the same everywhere.
fn only_path<'a>(spec: &'a AppSpec, volume: &'a AppVolume) -> Option<&'a str> {
    let own = volume.mount_path.as_ref().map(|_| volume.sub_path.as_deref());
    let places = volume.mounts.iter().map(|place| place.sub_path.as_deref());
    let mounts =
        mounts_beside(spec, volume).map(|mount| mount.sub_path.as_deref().filter(|_| mount.sub_path_expr.is_none()));
    let paths: BTreeSet<Option<&str>> = own.into_iter().chain(places).chain(mounts).collect();
    paths.first().copied().flatten().filter(|_| paths.len() == 1)
}

fn of_volume<'a>(spec: &'a AppSpec, index: usize, volume: &'a AppVolume) -> Vec<Mention<'a>> {
    let AppVolume { secret, config_map, projected, csi, .. } = volume;
    let file = only_path(spec, volume);
    let field = format!("spec.volumes[{index}]");
    let mut mentions: Vec<Mention<'_>> = Vec::new();
    mentions.extend(secret.iter().filter_map(|secret| {
        let named = Named::Secret(secret.secret_name.as_ref()?);
        Some(files(format!("{field}.secret.secretName"), named, secret.items.as_ref(), secret.optional).only(file))
    }));
    mentions.extend(config_map.iter().map(|map| {
        files(format!("{field}.configMap.name"), Named::ConfigMap(&map.name), map.items.as_ref(), map.optional)
            .only(file)
    }));
    mentions.extend(csi.iter().filter_map(|csi| csi.node_publish_secret_ref.as_ref()).map(|secret| Mention {
        field: format!("{field}.csi.nodePublishSecretRef.name"),
        named: Named::Secret(&secret.name),
        reads: Reads::Nothing,
        optional: false,
    }));
    let sources = projected.iter().flat_map(|projected| projected.sources.iter().flatten()).enumerate();
    mentions.extend(
        sources.flat_map(|(index, source)| {
            let VolumeProjection {
                secret,
                cluster_trust_bundle: _,
                config_map,
                downward_api: _,
                service_account_token: _,
            } = source;
            let field = format!("{field}.projected.sources[{index}]");
            let secret = secret.iter().map(|secret| {
                let named = Named::Secret(&secret.name);
                files(format!("{field}.secret.name"), named, secret.items.as_ref(), secret.optional)
            });
            let config_map = config_map.iter().map(|map| {
                files(format!("{field}.configMap.name"), Named::ConfigMap(&map.name), map.items.as_ref(), map.optional)
            });
            secret.chain(config_map).collect::<Vec<_>>()
        }),
    );
    mentions
}

/// What is mounted as files: all keys, or those that are listed.
fn files<'a>(
    field: String,
    named: Named<'a>,
    items: Option<&'a Vec<KeyToPath>>,
    optional: Option<bool>,
) -> Mention<'a> {
    let reads = items
        .filter(|items| !items.is_empty())
        .map_or(Reads::All, |items| Reads::Keys(items.iter().map(|item| item.key.as_str()).collect()));
    Mention { field, named, reads, optional: optional.unwrap_or(false) }
}

impl<'a> Mention<'a> {
    /// Of all files the one at that path is mounted. Where there is none Kubernetes mounts an empty folder in its place.
    fn only(self, path: Option<&'a str>) -> Self {
        let key = path.and_then(|path| path.split('/').next()).filter(|key| !key.is_empty() && *key != ".");
        match (self.reads, key) {
            (Reads::All, Some(key)) => Self { reads: Reads::File(key), ..self },
            (reads, _) => Self { reads, ..self },
        }
    }
}

/// What the pods read, by object.
pub fn readings(spec: &AppSpec) -> BTreeMap<Reference, Reading> {
    let mut readings: BTreeMap<Reference, Reading> = BTreeMap::new();
    for Mention { field: _, named, reads, optional } in references(spec) {
        let (kind, name) = match named {
            Named::ConfigMap(name) => (ReferenceKind::ConfigMap, name),
            Named::Secret(name) => (ReferenceKind::Secret, name),
            Named::ServiceAccount(_) => continue,
        };
        if reads == Reads::Nothing {
            continue;
        }
        let reference = Reference::new(kind, name);
        let reading = readings.entry(reference).or_insert_with(|| Reading { optional: true, ..Reading::default() });
        reading.optional &= optional;
        match reads {
            Reads::Nothing => {}
            Reads::All => reading.whole = true,
            Reads::File(key) => {
                reading.whole = true;
                reading.files.extend((!optional).then(|| key.to_owned()));
            }
            Reads::Keys(keys) => {
                for key in keys {
                    *reading.keys.entry(key.to_owned()).or_insert(true) &= optional;
                }
            }
        }
    }
    readings
}

/// What is wrong with what the author wants to be ignored.
pub fn unread(spec: &AppSpec, readings: &BTreeMap<Reference, Reading>) -> Vec<String> {
    let ignored = spec.rollout.iter().flat_map(|rollout| &rollout.ignore_changes_of).enumerate();
    let unread = ignored.filter(|(_, ignored)| !readings.contains_key(&reference(ignored)));
    unread
        .map(|(index, ignored)| {
            let named = reference(ignored);
            format!("spec.rollout.ignoreChangesOf[{index}]: {named} is read by no variable and no volume of this App")
        })
        .collect()
}

/// What the author names there.
pub fn reference(ConfigReference { kind, name }: &ConfigReference) -> Reference {
    let kind = match kind {
        ConfigKind::ConfigMap => ReferenceKind::ConfigMap,
        ConfigKind::Secret => ReferenceKind::Secret,
    };
    Reference::new(kind, name)
}

#[cfg(test)]
mod tests {
    use crate::api::App;
    use crate::core::observed::Observed;
    use crate::core::own::Own;
    use crate::core::parent::Parent;
    use crate::core::plan::PlanSettings;
    use jiff::Timestamp;
    use serde_json::{Value, json};

    /// What is wrong with an App of that namespace, for an operator in `moorage-system`.
    fn invalid(namespace: &str, mut spec: Value) -> Vec<String> {
        spec["image"] = json!("web:1");
        let app = json!({"apiVersion": "moorage.dev/v1alpha1", "kind": "App", "spec": spec,
            "metadata": {"name": "web", "namespace": namespace, "uid": "uid-1"}});
        let own = Own {
            namespace: "moorage-system".to_owned(),
            service_account: "moorage".to_owned(),
            key: "moorage-key".to_owned(),
        };
        let settings = PlanSettings { own: Some(own), ..PlanSettings::default() };
        let app: App = serde_json::from_value(app).unwrap();
        let plan = app.plan(&Observed::default(), &settings, Timestamp::UNIX_EPOCH);
        assert!(plan.invalid.is_empty() || plan.objects.is_empty(), "an invalid App has no objects");
        plan.invalid
    }

    /// Each way to have the operator's power, and the field that is named.
    fn table() -> Vec<(Value, &'static str)> {
        let volume = |source: Value| {
            let mut volume = json!({"name": "v", "mountPath": "/v"});
            volume.as_object_mut().unwrap().extend(source.as_object().unwrap().clone());
            json!({"volumes": [{"name": "scratch", "mountPath": "/s", "emptyDir": {}}, volume]})
        };
        vec![
            (json!({"serviceAccount": {"name": "moorage"}}), "spec.serviceAccount.name"),
            (
                json!({"serviceAccount": {"imagePullSecrets": [{"name": "moorage-key"}]}}),
                "spec.serviceAccount.imagePullSecrets[0].name",
            ),
            (
                json!({"imagePullSecrets": [{"name": "other"}, {"name": "moorage-key"}]}),
                "spec.imagePullSecrets[1].name",
            ),
            (
                json!({"env": [
                    {"name": "A", "value": "moorage-key"},
                    {"name": "B", "valueFrom": {"secretKeyRef": {"name": "moorage-key", "key": "key"}}},
                ]}),
                "spec.env[1].valueFrom.secretKeyRef.name",
            ),
            (
                json!({"sidecars": [{"name": "proxy", "image": "p:1", "env": [
                    {"name": "B", "valueFrom": {"secretKeyRef": {"name": "moorage-key", "key": "key"}}},
                ]}]}),
                "spec.sidecars[0].env[0].valueFrom.secretKeyRef.name",
            ),
            (
                json!({"initContainers": [{"name": "wait", "image": "w:1", "envFrom": [{"secretRef": {"name": "moorage-key"}}]}]}),
                "spec.initContainers[0].envFrom[0].secretRef.name",
            ),
            (json!({"envFrom": [{"secretRef": {"name": "moorage-key"}}]}), "spec.envFrom[0].secretRef.name"),
            (volume(json!({"secret": {"secretName": "moorage-key"}})), "spec.volumes[1].secret.secretName"),
            (
                volume(
                    json!({"csi": {"driver": "vault.example.com", "nodePublishSecretRef": {"name": "moorage-key"}}}),
                ),
                "spec.volumes[1].csi.nodePublishSecretRef.name",
            ),
            (
                volume(json!({"projected": {"sources": [
                    {"secret": {"name": "other"}},
                    {"secret": {"name": "moorage-key"}},
                ]}})),
                "spec.volumes[1].projected.sources[1].secret.name",
            ),
        ]
    }

    #[test]
    fn what_holds_the_operators_power_is_refused_beside_it() {
        for (spec, field) in table() {
            let errors = invalid("moorage-system", spec.clone());
            assert_eq!(errors.len(), 1, "{spec}: {errors:?}");
            assert!(errors[0].starts_with(&format!("{field}: must not be moorage")), "{spec}: {errors:?}");
            assert!(errors[0].contains("the operator's own"), "{spec}: {errors:?}");
        }
    }

    #[test]
    fn elsewhere_such_names_are_nobodys() {
        for (spec, _) in table() {
            assert_eq!(invalid("shop", spec.clone()), [""; 0], "{spec}");
        }
    }

    /// A name counts only for what it is the name of.
    #[test]
    fn beside_the_operator_other_names_are_fine() {
        let fine = [
            json!({"serviceAccount": {"name": "moorage-key"}}),
            json!({"serviceAccount": {"name": "web"}}),
            json!({"envFrom": [{"secretRef": {"name": "moorage"}}, {"configMapRef": {"name": "moorage-key"}}]}),
            json!({"volumes": [{"name": "v", "mountPath": "/v", "configMap": {"name": "moorage-key"}}]}),
        ];
        for spec in fine {
            assert_eq!(invalid("moorage-system", spec.clone()), [""; 0], "{spec}");
        }
    }
}
