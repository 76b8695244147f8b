//! Pods of others that carry the labels of an App or Registry: its Service sends them requests as it does to its own.

use super::conditions::Summary;
use super::kind::{ChildKind, Identity, ParentKind};
use super::live::Live;
use super::meta;
use super::owner::of_stray;
use super::plan::Plan;
use super::pods::is_ready;
use super::reason::Reason;
use super::text::list;
use std::collections::BTreeMap;

/// Most makers of such pods that are named.
const NAMED: usize = 8;

/// A pod that carries the labels of an App or Registry and does not run for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stray {
    /// Its name.
    pub name: String,
    /// Who controls it, as `ReplicaSet web-6d4`.
    pub controller: Option<String>,
}

/// The memory of such a pod while it is ready, as a Service sends requests to no other; and whose labels it carries.
pub fn stray(live: &Live) -> Option<(ParentKind, String, Stray)> {
    let (kind, name, controller) = of_stray(live)?;
    let stray = Stray { name: live.name().to_owned(), controller };
    (is_ready(live) && !live.is_deleting()).then(|| (kind, name.into_string(), stray))
}

/// That requests go to pods of others as well. They are counted by who makes them.
pub fn summary(parent: &Identity, plan: &Plan, strays: &[Stray]) -> Option<Summary> {
    let service = plan.objects.iter().find(|object| object.kind == ChildKind::Service)?;
    let mut makers: BTreeMap<String, usize> = BTreeMap::new();
    for stray in strays {
        let maker = stray.controller.clone().unwrap_or_else(|| format!("Pod {}", stray.name));
        *makers.entry(maker).or_default() += 1;
    }
    if makers.is_empty() {
        return None;
    }
    let told = makers.iter().map(|(maker, count)| match count {
        1 => maker.clone(),
        count => format!("{maker} ({count} pods)"),
    });
    let message = format!(
        "Service {} sends requests to pods of others too, which carry its label {}={}: {}. Take that label off these pods, or off the \
         template that they are made of",
        service.name,
        meta::parent_label(parent.kind),
        parent.name,
        list(told, NAMED, ", ")
    );
    Some(Summary::Impaired(Reason::ForeignPods, message))
}
