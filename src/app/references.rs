//! What an App's spec names for its pods to have, and where.

use crate::api::app::{AppSpec, AppVolume, ServiceAccountSettings};
use crate::core::own::Named;
use k8s_openapi::api::core::v1::{EnvFromSource, EnvVar, EnvVarSource, LocalObjectReference, VolumeProjection};

/// Every `ServiceAccount` and Secret that the spec names, each after its field.
pub fn references(spec: &AppSpec) -> Vec<(String, Named<'_>)> {
    let AppSpec { service_account, image_pull_secrets, env, env_from, volumes, .. } = spec;
    let accounts = service_account.iter().flat_map(of_account);
    accounts
        .chain(pull_secrets("spec.imagePullSecrets", image_pull_secrets))
        .chain(env.iter().enumerate().filter_map(of_variable))
        .chain(env_from.iter().enumerate().filter_map(of_variables))
        .chain(volumes.iter().enumerate().flat_map(of_volume))
        .collect()
}

fn of_account(account: &ServiceAccountSettings) -> Vec<(String, Named<'_>)> {
    let ServiceAccountSettings { name, annotations: _, image_pull_secrets, automount_token: _ } = account;
    let name = name.iter().map(|name| ("spec.serviceAccount.name".to_owned(), Named::ServiceAccount(name)));
    name.chain(pull_secrets("spec.serviceAccount.imagePullSecrets", image_pull_secrets)).collect()
}

fn pull_secrets<'a>(field: &str, secrets: &'a [LocalObjectReference]) -> Vec<(String, Named<'a>)> {
    let secrets = secrets.iter().enumerate();
    secrets.map(|(index, secret)| (format!("{field}[{index}].name"), Named::Secret(&secret.name))).collect()
}

fn of_variable((index, variable): (usize, &EnvVar)) -> Option<(String, Named<'_>)> {
    let EnvVarSource { secret_key_ref, config_map_key_ref: _, field_ref: _, resource_field_ref: _ } =
        variable.value_from.as_ref()?;
    let field = format!("spec.env[{index}].valueFrom.secretKeyRef.name");
    Some((field, Named::Secret(&secret_key_ref.as_ref()?.name)))
}

fn of_variables((index, source): (usize, &EnvFromSource)) -> Option<(String, Named<'_>)> {
    let EnvFromSource { secret_ref, config_map_ref: _, prefix: _ } = source;
    Some((format!("spec.envFrom[{index}].secretRef.name"), Named::Secret(&secret_ref.as_ref()?.name)))
}

fn of_volume((index, volume): (usize, &AppVolume)) -> Vec<(String, Named<'_>)> {
    let (field, AppVolume { secret, projected, .. }) = (format!("spec.volumes[{index}]"), volume);
    let whole = secret.as_ref().and_then(|secret| secret.secret_name.as_ref());
    let whole = whole.map(|name| (format!("{field}.secret.secretName"), Named::Secret(name)));
    let sources = projected.iter().flat_map(|projected| projected.sources.iter().flatten()).enumerate();
    let parts = sources.filter_map(|(index, source)| {
        let VolumeProjection {
            secret,
            cluster_trust_bundle: _,
            config_map: _,
            downward_api: _,
            service_account_token: _,
        } = source;
        let name = &secret.as_ref()?.name;
        Some((format!("{field}.projected.sources[{index}].secret.name"), Named::Secret(name)))
    });
    whole.into_iter().chain(parts).collect()
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
            (json!({"envFrom": [{"secretRef": {"name": "moorage-key"}}]}), "spec.envFrom[0].secretRef.name"),
            (volume(json!({"secret": {"secretName": "moorage-key"}})), "spec.volumes[1].secret.secretName"),
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
