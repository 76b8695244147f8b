//! The configuration of an App's pods: what they read, what of it is followed, and what of it is missing.

use super::references::{Mention, Reads, references};
use crate::api::app::AppSpec;
use crate::api::rollout::{ConfigKind, ConfigReference, OnConfigChange};
use crate::core::configuration::{Configuration, Reading};
use crate::core::content::Content;
use crate::core::known::Known;
use crate::core::observed::Observed;
use crate::core::own::Named;
use crate::core::reference::{Reference, ReferenceKind};
use std::collections::{BTreeMap, BTreeSet};

/// What the pods read, by object.
pub fn readings(spec: &AppSpec) -> BTreeMap<Reference, Reading> {
    let mut readings: BTreeMap<Reference, Reading> = BTreeMap::new();
    for Mention { field: _, named, reads, optional } in references(spec) {
        let Named::ConfigMap(name) = named else { continue };
        let reference = Reference::new(ReferenceKind::ConfigMap, name);
        let reading = readings.entry(reference).or_insert_with(|| Reading { optional: true, ..Reading::default() });
        reading.optional &= optional;
        match reads {
            Reads::Nothing => {}
            Reads::All => reading.whole = true,
            Reads::Keys(keys) => {
                for key in keys {
                    *reading.keys.entry(key.to_owned()).or_insert(true) &= optional;
                }
            }
        }
    }
    readings
}

/// What the App's Deployment is to remember of its configuration.
pub fn configuration(app: &str, spec: &AppSpec, observed: &Observed) -> Configuration {
    let rollout = spec.rollout.clone().unwrap_or_default();
    let ignored: BTreeSet<Reference> = rollout.ignore_changes_of.iter().map(reference).collect();
    let live =
        observed.workload(app).and_then(|workload| workload.configuration.as_deref()).cloned().unwrap_or_default();
    let followed = readings(spec)
        .into_iter()
        .filter(|(reference, _)| rollout.on_config_change == OnConfigChange::Restart && !ignored.contains(reference))
        .map(|(reference, reading)| {
            let known = observed.content(&reference);
            (reference, (reading, known))
        })
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

/// What is wrong with what the author wants to be ignored.
pub fn check(spec: &AppSpec) -> Vec<String> {
    let ignored = spec.rollout.iter().flat_map(|rollout| &rollout.ignore_changes_of).enumerate();
    let readings = readings(spec);
    let unread = ignored.filter(|(_, ignored)| !readings.contains_key(&reference(ignored)));
    unread
        .map(|(index, ignored)| {
            let named = reference(ignored);
            format!("spec.rollout.ignoreChangesOf[{index}]: {named} is read by no variable and no volume of this App")
        })
        .collect()
}

fn reference(ConfigReference { kind, name }: &ConfigReference) -> Reference {
    let kind = match kind {
        ConfigKind::ConfigMap => ReferenceKind::ConfigMap,
    };
    Reference::new(kind, name)
}
