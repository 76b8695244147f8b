//! The configuration of an App's pods: what of it is followed, and what of it is missing.

use super::references::{readings, reference};
use super::validate::ValidApp;
use crate::api::app::AppSpec;
use crate::api::rollout::OnConfigChange;
use crate::core::configuration::{Configuration, Reading};
use crate::core::content::Content;
use crate::core::known::Known;
use crate::core::observed::Observed;
use crate::core::reference::Reference;
use std::collections::BTreeSet;

/// What the App's Deployment is to remember of its configuration.
pub fn configuration(app: &ValidApp<'_>, observed: &Observed) -> Configuration {
    let rollout = app.spec.rollout.clone().unwrap_or_default();
    let ignored: BTreeSet<Reference> = rollout.ignore_changes_of.iter().map(reference).collect();
    let workload = observed.workload(&app.identity.name);
    let live = workload.and_then(|workload| workload.configuration.as_deref()).cloned().unwrap_or_default();
    let followed = app
        .readings
        .iter()
        .filter(|(reference, _)| rollout.on_config_change == OnConfigChange::Restart && !ignored.contains(reference))
        .map(|(reference, reading)| (reference, (reading, observed.content(reference))))
        .collect();
    live.next(&followed)
}

/// What the pods can't start without and is missing, in words.
pub fn missing(spec: &AppSpec, observed: &Observed) -> Vec<String> {
    let missing = |(reference, reading): (Reference, Reading)| {
        let known: Known<&Content> = observed.content(&reference);
        reading.missing(&reference, &known)
    };
    readings(spec).into_iter().flat_map(missing).collect()
}
