//! The pod template: a function of the declared inputs that concern pods, and of nothing else.

use super::container::{container, init_containers};
use super::volumes::volumes;
use crate::api::availability::Spread;
use crate::app::validate::ValidApp;
use crate::core::{meta, template};
use k8s_openapi::api::core::v1::{PodSpec, PodTemplateSpec, TopologySpreadConstraint};

/// The template of the App's pods, with the hash of the configuration that was last rolled out.
pub fn pod_template(app: &ValidApp<'_>, configuration: Option<String>) -> PodTemplateSpec {
    let automount = app.spec.service_account.as_ref().is_some_and(|account| account.automount_token);
    let spec = PodSpec {
        init_containers: init_containers(app),
        containers: vec![container(app)],
        volumes: volumes(app),
        image_pull_secrets: Some(app.spec.image_pull_secrets.clone()).filter(|secrets| !secrets.is_empty()),
        service_account_name: Some(app.service_account_name().to_owned()),
        automount_service_account_token: Some(automount),
        ..PodSpec::default()
    };
    let mut settings = app.spec.pod.clone().unwrap_or_default();
    // Else Kubernetes sets variables named for each Service of the namespace: one called redis would give redis-server the
    // variable REDIS_PORT=tcp://..., which it takes for its own.
    settings.enable_service_links.get_or_insert(false);
    let spread = app.spec.availability.as_ref().and_then(|availability| availability.spread);
    settings.topology_spread_constraints.extend(spread.iter().flat_map(|spread| constraints(app, *spread)));
    settings.annotations.extend(configuration.map(|hash| (meta::CONFIG_HASH.to_owned(), hash)));
    template::pod_template(&app.identity, settings, spec)
}

/// Of each revision by itself, as a new one would else be put where the old one is not. Where there is no room it is done without.
fn constraints(app: &ValidApp<'_>, spread: Spread) -> impl Iterator<Item = TopologySpreadConstraint> {
    spread.topology_keys().iter().map(|key| TopologySpreadConstraint {
        label_selector: Some(meta::label_selector(&app.identity)),
        match_label_keys: Some(vec!["pod-template-hash".to_owned()]),
        max_skew: 1,
        topology_key: (*key).to_owned(),
        when_unsatisfiable: "ScheduleAnyway".to_owned(),
        ..TopologySpreadConstraint::default()
    })
}
