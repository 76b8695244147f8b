//! What an App may not ask for here, although it makes sense: what the admin forbids, and the operator's own power.

use super::references::{Mention, references};
use super::validate::ValidApp;
use crate::api::app::ServiceType;
use crate::core::plan::{Forbidden, PlanSettings};

/// Checks an App against the admin's limits and the operator's.
///
/// # Errors
/// Everything that it may not ask for, each starting with the field.
pub fn check<'a>(app: ValidApp<'a>, settings: &PlanSettings) -> Result<ValidApp<'a>, Vec<String>> {
    let asked = Forbidden::ALL.into_iter().filter(|what| settings.forbidden.contains(what));
    let mut errors: Vec<String> = asked
        .filter_map(|what| {
            let (field, remedy) = asks_for(&app, what)?;
            Some(format!("{field}: {remedy}, as this cluster forbids Apps {}", what.as_str()))
        })
        .collect();
    if let Some(own) = &settings.own {
        let mentions = references(app.spec);
        let refusal = |it: &Mention<'_>| own.refusal(&app.identity.namespace, &it.field, it.named);
        errors.extend(mentions.iter().filter_map(refusal));
    }
    if errors.is_empty() { Ok(app) } else { Err(errors) }
}

/// The field by which an App asks for it, and what to do instead.
fn asks_for(app: &ValidApp<'_>, what: Forbidden) -> Option<(&'static str, &'static str)> {
    let account = app.spec.service_account.as_ref();
    let is_of = |type_| app.spec.service.as_ref().is_some_and(|service| service.type_ == type_);
    let (asks, field, remedy) = match what {
        Forbidden::LoadBalancers => (is_of(ServiceType::LoadBalancer), "spec.service.type", "must not be LoadBalancer"),
        // A load balancer sends to ports of the nodes.
        Forbidden::NodePorts => {
            let opens = is_of(ServiceType::NodePort) || is_of(ServiceType::LoadBalancer);
            (opens, "spec.service.type", "must be ClusterIP")
        }
        Forbidden::OwnServiceAccounts => (
            app.owns_service_account(),
            "spec.serviceAccount.name",
            "must be that of an existing account such as default",
        ),
        Forbidden::ServiceAccountAnnotations => {
            let has_any = account.is_some_and(|account| !account.annotations.is_empty());
            (has_any, "spec.serviceAccount.annotations", "must be empty")
        }
        Forbidden::ServiceAccountNames => {
            let is_named = account.is_some_and(|account| account.name.is_some());
            (is_named, "spec.serviceAccount.name", "must be unset")
        }
    };
    asks.then_some((field, remedy))
}

#[cfg(test)]
mod tests {
    use super::{Forbidden, PlanSettings};
    use crate::api::App;
    use crate::core::observed::Observed;
    use crate::core::parent::Parent;
    use jiff::Timestamp;
    use serde_json::{Value, json};

    fn invalid(spec: &Value, forbidden: &[Forbidden]) -> Vec<String> {
        let app = json!({"metadata": {"name": "web", "namespace": "shop"}, "spec": spec});
        let app: App = serde_json::from_value(app).unwrap();
        let forbidden = forbidden.iter().copied().collect();
        app.plan(&Observed::default(), &PlanSettings { forbidden, ..PlanSettings::default() }, Timestamp::UNIX_EPOCH)
            .invalid
    }

    #[test]
    fn what_the_admin_forbids_is_refused_with_its_field_and_nothing_else_is() {
        let with = |more: Value| {
            let mut spec = json!({"image": "web:1", "ports": [{"port": 80}], "serviceAccount": {"name": "default"}});
            for (key, value) in more.as_object().unwrap() {
                spec[key] = value.clone();
            }
            spec
        };
        let cases = [
            (
                Forbidden::LoadBalancers,
                with(json!({"service": {"type": "LoadBalancer"}})),
                "spec.service.type: must not be LoadBalancer",
            ),
            (
                Forbidden::NodePorts,
                with(json!({"service": {"type": "NodePort"}})),
                "spec.service.type: must be ClusterIP",
            ),
            (
                Forbidden::NodePorts,
                with(json!({"service": {"type": "LoadBalancer"}})),
                "spec.service.type: must be ClusterIP",
            ),
            (
                Forbidden::OwnServiceAccounts,
                with(json!({"serviceAccount": null})),
                "spec.serviceAccount.name: must be that of",
            ),
            (
                Forbidden::ServiceAccountAnnotations,
                with(json!({"serviceAccount": {"annotations": {"example.com/role": "admin"}}})),
                "spec.serviceAccount.annotations: must be empty",
            ),
            (Forbidden::ServiceAccountNames, with(json!({})), "spec.serviceAccount.name: must be unset"),
        ];
        for (forbidden, spec, told) in &cases {
            assert_eq!(invalid(spec, &[]), Vec::<String>::new());
            let errors = invalid(spec, &[*forbidden]);
            assert!(
                errors.len() == 1 && errors[0].starts_with(told) && errors[0].ends_with(forbidden.as_str()),
                "{errors:?}"
            );
        }
        // What asks for nothing of it is let pass by all but the one that it can't be without.
        let modest = with(json!({}));
        for forbidden in Forbidden::ALL.into_iter().filter(|what| *what != Forbidden::ServiceAccountNames) {
            assert_eq!(invalid(&modest, &[forbidden]), Vec::<String>::new(), "{forbidden:?}");
        }
        assert_eq!(
            invalid(&with(json!({"serviceAccount": null})), &[Forbidden::ServiceAccountNames]),
            Vec::<String>::new()
        );
    }
}
