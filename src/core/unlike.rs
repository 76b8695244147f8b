//! How what the API server stored is unlike what was applied: what it dropped, and what an admission policy or webhook made of it.

use super::live::Live;
use super::merge::{Path, Rules};
use super::object::Object;
use super::subset;
use super::text::{WORD, cut, list};

/// Most places told of one object.
const PLACES: usize = 8;
/// Fields of containers that platforms set for every workload alike: a mirror, a pull policy, sizes to choose from.
const REWRITTEN: [&str; 3] = ["image", "imagePullPolicy", "resources"];

/// Places, as they are told.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Unlike {
    /// Where it has nothing.
    pub dropped: Vec<String>,
    /// Where it has something else.
    pub changed: Vec<String>,
    /// Likewise, and the cluster's own affair.
    pub rewritten: Vec<String>,
}

impl Unlike {
    /// Of the answer to an apply, with the places where it is not what was applied. `None` where it is, and of what is too large to be
    /// read.
    pub fn of(live: &Live, wanted: &Object, differing: &[Path]) -> Option<Box<Self>> {
        if live.too_large || differing.is_empty() {
            return None;
        }
        let rules = Rules::of(wanted.kind);
        let missing = wanted.fields().flat_map(|(field, value)| {
            let found = subset::missing(&live.body[field], value, rules.field(field));
            found.into_iter().map(|path| path.within_field(field).to_string())
        });
        let dropped: Vec<String> = missing.collect();
        let lacks = |place: &String| {
            dropped.iter().any(|path| {
                path.strip_prefix(place.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
            })
        };
        // What the API server puts in the place of nothing is a default, as / for an empty path.
        let changed = differing.iter().filter(|path| !subset::is_empty(path.value(&wanted.body)));
        let changed = changed.map(ToString::to_string).filter(|place| !lacks(place));
        let (rewritten, changed) = changed.partition(|place| {
            let field =
                place.split_once("ontainers[").and_then(|(_, rest)| rest.split_once("].")).map(|(_, field)| field);
            field.is_some_and(|field| REWRITTEN.contains(&field.split('.').next().unwrap_or_default()))
        });
        let told = |places: Vec<String>| places.iter().take(PLACES).map(|place| cut(place, WORD)).collect();
        Some(Box::new(Self { dropped: told(dropped), changed: told(changed), rewritten: told(rewritten) }))
    }

    /// What is wrong, and what can be done: something that is declared is not so.
    pub fn message(&self) -> Option<String> {
        let part = |places: &[String], words: fn(&str, &str) -> String| {
            let it = if places.len() == 1 { "it" } else { "them" };
            (!places.is_empty()).then(|| words(&list(places, PLACES, ", "), it))
        };
        let parts = [
            part(&self.dropped, |places, it| {
                format!(
                    "the API server dropped {places}: this cluster doesn't support {it}, or an admission webhook takes {it} out. Leave {it} \
                     out of the spec, or have the cluster keep {it}"
                )
            }),
            part(&self.changed, |places, it| {
                format!(
                    "an admission policy or webhook changed {places}, so what is declared is not what there is. Declare what it lets \
                     through, or have it leave {it}: kubectl get mutatingwebhookconfigurations,mutatingadmissionpolicies"
                )
            }),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        (!parts.is_empty()).then(|| parts.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::Unlike;
    use crate::core::kind::ChildKind;
    use crate::core::live::Live;
    use crate::core::merge::Ours;
    use crate::core::object::Object;
    use crate::core::observed::differences;
    use serde_json::{Value, json};

    fn unlike(wanted: Value, live: Value) -> Unlike {
        let body = |container: Value| json!({"metadata": {"name": "web"}, "spec": {"replicas": 3, "template": {"spec": {"containers": [container]}}}});
        let wanted = Object::new(ChildKind::Deployment, &body(wanted)).unwrap();
        let mut stored = body(live);
        stored["metadata"]["annotations"] = wanted.body["metadata"]["annotations"].clone();
        let live = Live::new(stored);
        Unlike::of(&live, &wanted, &differences(&live, &wanted, Ours::All)).map(|unlike| *unlike).unwrap_or_default()
    }

    /// Else every App that says it so would be told of a policy that there is not.
    #[test]
    fn what_the_api_server_rounds_or_fills_in_is_as_it_was_applied() {
        let of = |cpu: Value, path: &str, scheme: &str| {
            json!({"name": "web", "resources": {"limits": {"cpu": cpu}},
                "readinessProbe": {"httpGet": {"path": path, "port": 80, "scheme": scheme}}})
        };
        for (cpu, stored) in [(json!(0.0625), "63m"), (json!("62.5m"), "63m"), (json!(0.3333), "334m"), (json!(1), "1")]
        {
            assert_eq!(unlike(of(cpu, "", ""), of(json!(stored), "/", "HTTP")), Unlike::default(), "{stored}");
        }
    }

    #[test]
    fn what_a_platform_sets_for_all_is_told_apart_from_what_a_policy_changes() {
        let wanted = json!({"name": "web", "image": "web:1", "args": ["a"], "resources": {"limits": {"cpu": "1"}}});
        let live =
            json!({"name": "web", "image": "mirror/web:1", "args": ["b"], "resources": {"limits": {"cpu": "2"}}});
        let unlike = unlike(wanted, live);
        let container = "spec.template.spec.containers[name=web]";
        assert_eq!(unlike.changed, [format!("{container}.args")]);
        let rewritten = [format!("{container}.image"), format!("{container}.resources.limits.cpu")];
        assert_eq!((unlike.rewritten.as_slice(), unlike.dropped.len()), (&rewritten[..], 0));
    }
}
