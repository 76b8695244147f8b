//! The configuration of an App's pods: what of it is followed, and what of it is missing.

use super::references::{readings, reference};
use super::validate::ValidApp;
use crate::api::app::AppSpec;
use crate::api::rollout::OnConfigChange;
use crate::core::configuration::{Configuration, Followed, Obstacle, Reading, Unfollowed};
use crate::core::content::Content;
use crate::core::known::Known;
use crate::core::observed::Observed;
use crate::core::plan::PlanSettings;
use crate::core::reference::{Reference, ReferenceKind};
use std::collections::{BTreeMap, BTreeSet};

/// What the App's Deployment is to remember of its configuration.
pub fn configuration(app: &ValidApp<'_>, observed: &Observed, settings: &PlanSettings) -> Configuration {
    let workload = observed.workload(&app.identity.name);
    let live = workload.and_then(|workload| workload.configuration.as_deref()).cloned().unwrap_or_default();
    live.next(&app.identity.namespace, &followed(app, observed, settings))
}

/// What is followed only where it can be, unless the author asks for it, and then is told.
pub fn unfollowed(app: &ValidApp<'_>, observed: &Observed, settings: &PlanSettings) -> Vec<Unfollowed> {
    if on_config_change(app.spec) != Some(OnConfigChange::Restart) {
        return Vec::new();
    }
    let followed = followed(app, observed, settings).into_iter();
    let followed = followed.filter(|(reference, _)| reference.kind.component().is_some());
    followed
        .filter_map(|(reference, it)| Some(Unfollowed { reference: reference.clone(), obstacle: it.obstacle? }))
        .collect()
}

fn on_config_change(spec: &AppSpec) -> Option<OnConfigChange> {
    spec.rollout.as_ref().and_then(|rollout| rollout.on_config_change)
}

fn followed<'a>(
    app: &'a ValidApp<'_>,
    observed: &'a Observed,
    settings: &PlanSettings,
) -> BTreeMap<&'a Reference, Followed<'a>> {
    if on_config_change(app.spec) == Some(OnConfigChange::Ignore) {
        return BTreeMap::new();
    }
    let declared = app.spec.rollout.iter().flat_map(|rollout| &rollout.ignore_changes_of);
    let ignored: BTreeSet<Reference> = declared.map(reference).collect();
    let readings = app.readings.iter().filter(|(reference, _)| !ignored.contains(reference));
    readings.map(|(reference, reading)| (reference, follow(reference, reading, observed, settings))).collect()
}

fn follow<'a>(
    reference: &Reference,
    reading: &'a Reading,
    observed: &'a Observed,
    settings: &PlanSettings,
) -> Followed<'a> {
    let all = Followed { reading, known: observed.content(reference), key: None, obstacle: None };
    if observed.denied.contains(reference) {
        return Followed { obstacle: Some(Obstacle::Denied), ..all };
    }
    match (reference.kind, settings.config_key) {
        (ReferenceKind::StorageClaim | ReferenceKind::PersistentVolumeClaim | ReferenceKind::ConfigMap, _) => all,
        (ReferenceKind::Secret, Known::Known(key)) => Followed { key: Some(key), ..all },
        (ReferenceKind::Secret, Known::Absent) => Followed { obstacle: Some(Obstacle::Keyless), ..all },
        (ReferenceKind::Secret, Known::Unknown) => Followed { known: Known::Unknown, ..all },
    }
}

/// What the pods can't start without and is missing, in words.
pub fn missing(spec: &AppSpec, observed: &Observed) -> Vec<String> {
    let missing = |(reference, reading): (Reference, Reading)| {
        let known: Known<&Content> = observed.content(&reference);
        [reading.missing(&reference, &known), reading.lacking(&reference, &known)].concat()
    };
    readings(spec).into_iter().flat_map(missing).collect()
}
