//! Whether a live object has everything we would apply.
//!
//! Defaults that the API server adds and fields of other managers are no differences. Values merge by [`Rules`]; what is one
//! value must be the very one that we applied, which holds while the API server says that it is ours, and else if it is equal.

use super::merge::{Ours, Path, Rules, is_item};
use super::quantity::Quantity;
use serde_json::{Map, Value};

/// Whether `live` contains `wanted`. A wrong "no" costs one apply that changes nothing.
pub fn contains(live: &Value, wanted: &Value, rules: &Rules, ours: Ours<'_>) -> bool {
    differences(live, wanted, rules, ours).is_empty()
}

/// The places where `live` does not contain `wanted`.
pub fn differences(live: &Value, wanted: &Value, rules: &Rules, ours: Ours<'_>) -> Vec<Path> {
    compare(live, wanted, rules, Place { ours, one: None })
}

/// The places of which `live` has nothing. What the API server leaves out as it is empty is not missing.
pub fn missing(live: &Value, wanted: &Value, rules: &Rules) -> Vec<Path> {
    match (live, wanted) {
        (_, wanted) if is_empty(wanted) => Vec::new(),
        (Value::Null, wanted) => vec![innermost(wanted)],
        (Value::Object(live), Value::Object(wanted)) => {
            let of_field = |(key, value): (&String, &Value)| {
                let found = missing(live.get(key).unwrap_or(&Value::Null), value, rules.field(key));
                found.into_iter().map(|path| path.within_field(key)).collect::<Vec<_>>()
            };
            wanted.iter().flat_map(of_field).collect()
        }
        (Value::Array(live), Value::Array(wanted)) if rules.set => {
            if wanted.iter().all(|item| live.contains(item)) {
                Vec::new()
            } else {
                vec![Path::default()]
            }
        }
        (Value::Array(live), Value::Array(wanted)) => {
            let of_item = |(index, item): (usize, &Value)| {
                let is_whole = |live: &&Value| missing(live, item, rules.item()).is_empty();
                let found = if rules.keys.is_empty() {
                    // Others may have put theirs before it.
                    live.iter().find(is_whole).or_else(|| live.get(index))
                } else {
                    item_of(live, item, rules)
                };
                let found = found.map_or_else(|| vec![Path::default()], |live| missing(live, item, rules.item()));
                let within = |path: Path| {
                    if rules.keys.is_empty() { path.within_index(index) } else { path.within_item(&rules.keys, item) }
                };
                found.into_iter().map(within).collect::<Vec<_>>()
            };
            wanted.iter().enumerate().flat_map(of_item).collect()
        }
        _ => Vec::new(),
    }
}

/// The place within a value down to which it holds nothing but that.
fn innermost(value: &Value) -> Path {
    let fields = value.as_object().into_iter().flatten().filter(|(_, value)| !is_empty(value));
    match fields.collect::<Vec<_>>().as_slice() {
        [(name, value)] => innermost(value).within_field(name),
        _ => Path::default(),
    }
}

/// The item of a list merged by keys that is the wanted one.
pub fn item_of<'a>(live: &'a [Value], wanted: &Value, rules: &Rules) -> Option<&'a Value> {
    live.iter().find(|live| is_item(&rules.keys, wanted, live))
}

/// What is known of a place in an object beside its rules.
#[derive(Clone, Copy)]
struct Place<'a> {
    ours: Ours<'a>,
    /// Within one value, which has no parts: whether it is ours.
    one: Option<bool>,
}

impl<'a> Place<'a> {
    fn enter(self, is_one: bool) -> Self {
        Self { one: self.one.or_else(|| is_one.then(|| self.ours.holds())), ..self }
    }

    fn part(self, part: impl FnOnce(Ours<'a>) -> Ours<'a>) -> Self {
        if self.one.is_some() { self } else { Self { ours: part(self.ours), ..self } }
    }

    /// Whether nothing may have been added: somebody else wrote this value.
    fn is_exact(self) -> bool {
        self.one == Some(false)
    }
}

fn compare(live: &Value, wanted: &Value, rules: &Rules, place: Place<'_>) -> Vec<Path> {
    let same = match (wanted, live) {
        (Value::Object(wanted), Value::Object(live)) => {
            return compare_fields(live, wanted, rules, place.enter(rules.atomic));
        }
        (Value::Array(wanted), Value::Array(live)) => return compare_items(live, wanted, rules, place),
        (_, Value::Null) => is_empty(wanted) && place.ours.holds(),
        _ if rules.quantity => match (quantity(wanted), quantity(live)) {
            (Some(wanted), Some(live)) => wanted.thousandths() == live.thousandths(),
            _ => wanted == live,
        },
        (Value::Number(wanted), Value::Number(live)) => wanted.as_f64() == live.as_f64(),
        _ => wanted == live,
    };
    here_unless(same)
}

fn here_unless(same: bool) -> Vec<Path> {
    (!same).then(Path::default).into_iter().collect()
}

fn compare_fields(
    live: &Map<String, Value>,
    wanted: &Map<String, Value>,
    rules: &Rules,
    place: Place<'_>,
) -> Vec<Path> {
    if place.is_exact() && !live.keys().all(|key| wanted.contains_key(key)) {
        return here_unless(false);
    }
    let found = wanted.iter().flat_map(|(key, value)| {
        let part = place.part(|ours| ours.field(key));
        let found = compare(live.get(key).unwrap_or(&Value::Null), value, rules.field(key), part);
        found.into_iter().map(move |path| if place.one.is_some() { path } else { path.within_field(key) })
    });
    if place.one.is_some() { found.take(1).collect() } else { found.collect() }
}

fn compare_items(live: &[Value], wanted: &[Value], rules: &Rules, place: Place<'_>) -> Vec<Path> {
    let is_one = rules.keys.is_empty() && !rules.set;
    if is_one || place.one.is_some() {
        let item = place.enter(true);
        let same = |(live, wanted)| compare(live, wanted, rules.item(), item).is_empty();
        return here_unless(live.len() == wanted.len() && live.iter().zip(wanted).all(same));
    }
    if rules.set {
        return here_unless(wanted.iter().all(|item| live.contains(item)));
    }
    let found = wanted.iter().flat_map(|wanted| {
        let part = place.part(|ours| ours.item(&rules.keys, wanted));
        let found = match item_of(live, wanted, rules) {
            Some(live) => compare(live, wanted, rules.item(), part),
            None => here_unless(false),
        };
        found.into_iter().map(|path| path.within_item(&rules.keys, wanted))
    });
    found.collect()
}

/// The API server leaves out empty values of some fields, while they stay ours. One that was taken out is not.
pub fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.values().all(is_empty),
    }
}

fn quantity(value: &Value) -> Option<Quantity> {
    match value {
        Value::String(text) => text.parse().ok(),
        Value::Number(number) => number.to_string().parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Ours, Rules, contains, missing};
    use crate::core::kind::ChildKind::{self, Deployment, Service, ServiceAccount};
    use serde_json::{Value, json};

    /// Whether one spec contains another, where all of it is ours as it was applied, or as far as it is listed.
    fn agrees(kind: ChildKind, live: &Value, wanted: &Value, ours: Ours<'_>) -> bool {
        contains(live, wanted, Rules::of(kind).field("spec"), ours)
    }

    fn deployment(container: &Value) -> Value {
        json!({"template": {"spec": {"containers": [container]}}})
    }

    #[test]
    fn defaults_and_foreign_fields_are_not_differences() {
        let wanted =
            deployment(&json!({"name": "a", "image": "x", "ports": [{"containerPort": 80, "protocol": "TCP"}]}));
        let live = json!({"replicas": 1, "template": {"spec": {"restartPolicy": "Always", "containers": [
            {"name": "mesh", "image": "m"},
            {"name": "a", "image": "x", "imagePullPolicy": "Always", "ports": [{"containerPort": 80, "protocol": "TCP"}]}
        ]}}});
        assert!(agrees(Deployment, &live, &wanted, Ours::All));
        assert!(agrees(Deployment, &live, &wanted, Ours::Listed(None)));
    }

    #[test]
    fn an_edited_field_is_a_difference() {
        let wanted = deployment(&json!({"name": "a", "image": "x"}));
        let live = |name: &str, image: &str| deployment(&json!({"name": name, "image": image}));
        assert!(agrees(Deployment, &live("a", "x"), &wanted, Ours::All));
        assert!(!agrees(Deployment, &live("a", "y"), &wanted, Ours::All));
        assert!(!agrees(Deployment, &live("b", "x"), &wanted, Ours::All));
        assert!(!agrees(Deployment, &json!({}), &wanted, Ours::All));
    }

    #[test]
    fn a_list_that_is_one_value_compares_whole() {
        let container = |args: Value| deployment(&json!({"name": "a", "args": args}));
        for (live, wanted, same) in [
            (json!(["a", "b"]), json!(["a"]), false),
            (json!(["b", "a"]), json!(["a", "b"]), false),
            (json!(["a"]), json!(["a"]), true),
        ] {
            assert_eq!(agrees(Deployment, &container(live.clone()), &container(wanted), Ours::All), same, "{live}");
        }
    }

    /// A map that is one value may have got defaults as long as it is ours; what somebody else added to it is a difference.
    #[test]
    fn a_map_that_is_one_value_compares_whole_unless_it_is_ours() {
        let (wanted, live) = (json!({"selector": {"app": "a"}}), json!({"selector": {"app": "a", "tier": "b"}}));
        let listed = json!({"f:selector": {}});
        assert!(agrees(Service, &live, &wanted, Ours::Listed(Some(&listed))));
        assert!(!agrees(Service, &live, &wanted, Ours::Listed(None)), "its Service selects nothing");
        assert!(agrees(Service, &wanted, &wanted, Ours::Listed(None)));
        let env = |reference: Value| {
            deployment(&json!({"name": "a", "env": [{"name": "IP", "valueFrom": {"fieldRef": reference}}]}))
        };
        let (wanted, live) =
            (json!({"fieldPath": "status.podIP"}), json!({"fieldPath": "status.podIP", "apiVersion": "v1"}));
        let path = json!({"f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"a\"}": {
            "f:env": {"k:{\"name\":\"IP\"}": {"f:valueFrom": {"f:fieldRef": {}}}}}}}}});
        assert!(agrees(Deployment, &env(live.clone()), &env(wanted.clone()), Ours::Listed(Some(&path))));
        assert!(!agrees(Deployment, &env(live), &env(wanted), Ours::Listed(None)));
    }

    #[test]
    fn quantities_compare_by_value_and_only_where_they_are_quantities() {
        let limits = |memory: &str| deployment(&json!({"name": "a", "resources": {"limits": {"memory": memory}}}));
        assert!(agrees(Deployment, &limits("1Gi"), &limits("1024Mi"), Ours::All));
        assert!(!agrees(Deployment, &limits("1Gi"), &limits("1G"), Ours::All));
        let cpu = |cpu: Value| deployment(&json!({"name": "a", "resources": {"limits": {"cpu": cpu}}}));
        assert!(agrees(Deployment, &cpu(json!("63m")), &cpu(json!(0.0625)), Ours::All), "as the API server rounds it");
        assert!(!agrees(Deployment, &cpu(json!("62m")), &cpu(json!(0.0625)), Ours::All));
        let selector = |value: &str| json!({"template": {"spec": {"nodeSelector": {"memory": value}}}});
        assert!(!agrees(Deployment, &selector("1Gi"), &selector("1024Mi"), Ours::All));
    }

    /// `value: ""` is left out by the API server and stays ours; `replicas: 0` that was taken out is not.
    #[test]
    fn an_empty_value_may_be_absent_while_it_is_ours() {
        let (wanted, live) = (json!({"replicas": 0}), json!({}));
        let listed = json!({"f:replicas": {}});
        assert!(agrees(Deployment, &live, &wanted, Ours::Listed(Some(&listed))));
        assert!(!agrees(Deployment, &live, &wanted, Ours::Listed(None)));
        assert!(!agrees(Deployment, &live, &json!({"replicas": 1}), Ours::All));
    }

    /// A member of a union that was swapped for another one.
    #[test]
    fn an_empty_map_that_was_taken_out_is_a_difference() {
        let volume = |source: Value| json!({"template": {"spec": {"volumes": [source]}}});
        let (wanted, live) = (json!({"name": "a", "emptyDir": {}}), json!({"name": "a", "hostPath": {"path": "/"}}));
        let listed = json!({"f:template": {"f:spec": {"f:volumes": {"k:{\"name\":\"a\"}": {".": {}, "f:name": {}}}}}});
        assert!(!agrees(Deployment, &volume(live), &volume(wanted), Ours::Listed(Some(&listed))));
    }

    #[test]
    fn what_is_missing_is_named_wherever_it_stood() {
        let spec = |container: Value, sources: Value| json!({"replicas": 0, "template": {"spec": {"containers": [container], "volumes": [{"name": "v", "projected": {"sources": sources}}]}}});
        let wanted = spec(
            json!({"name": "a", "image": "x", "env": [{"name": "E", "value": ""}], "lifecycle": {"stopSignal": "SIGINT"}}),
            json!([{"secret": {"name": "s"}}, {"clusterTrustBundle": {"name": "ca", "path": "ca"}}]),
        );
        let live = spec(
            json!({"name": "a", "image": "mirror/x", "env": [{"name": "E"}]}),
            json!([{"secret": {"name": "s"}}, {}]),
        );
        let rules = Rules::of(Deployment).field("spec");
        let told: Vec<String> = missing(&live, &wanted, rules).iter().map(ToString::to_string).collect();
        let expected = [
            "template.spec.containers[name=a].lifecycle.stopSignal",
            "template.spec.volumes[name=v].projected.sources[1].clusterTrustBundle",
        ];
        assert_eq!(told, expected);
        assert_eq!(missing(&wanted, &wanted, rules), []);
        let template = |spec: Value| json!({"template": {"spec": spec}});
        let told =
            missing(&template(json!({"containers": []})), &template(json!({"containers": [{"name": "a"}]})), rules);
        assert_eq!(told[0].to_string(), "template.spec.containers[name=a]");
    }

    #[test]
    fn a_set_may_have_more_members() {
        let rules = Rules::of(ServiceAccount).field("metadata");
        let finalizers = |list: Value| json!({"finalizers": list});
        assert!(contains(&finalizers(json!(["b", "a"])), &finalizers(json!(["a"])), rules, Ours::Listed(None)));
        assert!(!contains(&finalizers(json!(["b"])), &finalizers(json!(["a"])), rules, Ours::All));
    }
}
