//! Checks that several kinds share; what each returns is wrong, beginning with the field.

use super::quantity::Quantity;
use k8s_openapi::api::core::v1::ResourceRequirements;

/// Longest name of an App, a Registry or a `StorageClaim`: it names a Service, or is the value of a label.
pub const NAME_LIMIT: usize = 63;

/// Checks a name that becomes the name of a Service.
pub fn name(name: &str) -> Option<String> {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let valid = name.len() <= NAME_LIMIT
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.ends_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && name.chars().all(inner);
    (!valid).then(|| {
        format!(
            "metadata.name: must be at most {NAME_LIMIT} lower-case letters, digits and '-', \
             starting with a letter and ending with a letter or digit, as it names a Service"
        )
    })
}

/// Checks an image reference for what no registry could resolve.
pub fn image(field: &str, image: &str) -> Option<String> {
    if image.is_empty() {
        return Some(format!("{field}: must name an image, for example registry.example.com/team/shop:1.4"));
    }
    let bad = image.contains("://") || image.chars().any(|c| c.is_whitespace() || c.is_control());
    bad.then(|| {
        format!(
            "{field}: must be an image reference such as registry.example.com/team/shop:1.4, without scheme or spaces"
        )
    })
}

/// Checks a duration as Prometheus writes it: numbers, each with its unit, the largest first.
pub fn duration(duration: &str) -> Option<String> {
    let wrong = || Some("must be a duration above zero, for example 30s or 1m30s".to_owned());
    let (mut rest, mut positive) = (duration, false);
    for unit in ["y", "w", "d", "h", "m", "s", "ms"] {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, after) = rest.split_at(digits);
        let Some(after) = after.strip_prefix(unit).filter(|after| !after.starts_with(|c: char| c.is_ascii_lowercase()))
        else {
            continue;
        };
        if number.is_empty() || number.len() > 9 {
            return wrong();
        }
        positive |= number.contains(|c: char| c != '0');
        rest = after;
    }
    if rest.is_empty() && positive { None } else { wrong() }
}

/// Checks the size of a claim.
pub fn size(size: &str) -> Option<String> {
    let positive = size.parse::<Quantity>().is_ok_and(|size| "0".parse().is_ok_and(|zero: Quantity| size > zero));
    (!positive).then(|| "size: must be a quantity above zero, for example 2Gi".to_owned())
}

/// Resources that Kubernetes itself knows; the names of others have a domain.
const RESOURCES: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];

/// Checks what a container asks for as the API server does, where a schema can't: it sees no amounts.
pub fn resources(field: &str, resources: &ResourceRequirements) -> Vec<String> {
    let ResourceRequirements { limits, requests, claims: _ } = resources;
    let both = [("limits", limits), ("requests", requests)];
    let named =
        both.into_iter().flat_map(|(part, amounts)| amounts.iter().flatten().map(move |(name, _)| (part, name)));
    let unknown = named.filter(|(_, name)| {
        !RESOURCES.contains(&name.as_str()) && !name.starts_with("hugepages-") && !name.contains('/')
    });
    let unknown = unknown.map(|(part, name)| {
        format!("{field}.{part}.{name}: must be cpu, memory, ephemeral-storage, hugepages-<size> or one with a domain, such as example.com/gpu")
    });
    let excess = requests.iter().flatten().filter_map(|(name, request)| {
        let Some(limit) = limits.as_ref().and_then(|limits| limits.get(name)) else {
            let is_shared = RESOURCES.contains(&name.as_str());
            return (!is_shared)
                .then(|| format!("{field}.limits.{name}: must be set, to the same as {field}.requests.{name}"));
        };
        let (asked, most) = request.0.parse::<Quantity>().ok().zip(limit.0.parse::<Quantity>().ok())?;
        // What can't be shared can't be promised in part either.
        let is_shared = RESOURCES.contains(&name.as_str());
        let wrong = if is_shared { asked > most } else { asked != most };
        let rule = if is_shared { "must not be more than" } else { "must be the same as" };
        wrong.then(|| {
            format!("{field}.requests.{name}: {rule} {field}.limits.{name}, and is {} ({})", request.0, limit.0)
        })
    });
    unknown.chain(excess).collect()
}

#[cfg(test)]
mod tests {
    use super::{duration, resources};
    use serde_json::json;

    #[test]
    fn amounts_that_the_api_server_refuses_are_found() {
        let said = |value: serde_json::Value| resources("spec.resources", &serde_json::from_value(value).unwrap());
        let right = [
            json!({}),
            json!({"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"cpu": "0.5", "memory": "1024Mi"}}),
            json!({"requests": {"cpu": "2"}, "limits": {"memory": "1Gi"}}),
            json!({"requests": {"example.com/gpu": "1", "hugepages-2Mi": "4Mi"}, "limits": {"example.com/gpu": "1", "hugepages-2Mi": "4Mi"}}),
        ];
        for right in right {
            assert_eq!(said(right.clone()), [""; 0], "{right}");
        }
        let wrong = [
            (
                json!({"requests": {"memory": "2Gi"}, "limits": {"memory": "1Gi"}}),
                "spec.resources.requests.memory: must not be more than spec.resources.limits.memory, and is 2Gi (1Gi)",
            ),
            (
                json!({"requests": {"example.com/gpu": "1"}, "limits": {"example.com/gpu": "2"}}),
                "spec.resources.requests.example.com/gpu: must be the same as spec.resources.limits.example.com/gpu, and is 1 (2)",
            ),
            (json!({"limits": {"cpus": "1"}}), "spec.resources.limits.cpus: must be cpu, memory,"),
        ];
        for (wrong, told) in wrong {
            let said = said(wrong.clone());
            assert!(said.len() == 1 && said[0].starts_with(told), "{wrong}: {said:?}");
        }
    }

    #[test]
    fn durations_are_those_of_prometheus() {
        for right in ["30s", "1m30s", "1h", "500ms", "1s500ms", "1y2w3d4h5m6s7ms", "0h5m"] {
            assert_eq!(duration(right), None, "{right}");
        }
        for wrong in [
            "",
            "0",
            "0s",
            "0m0s",
            "30",
            "s",
            "-1s",
            "1.5m",
            "30 s",
            "30S",
            "30s1m",
            "1s1s",
            "1m30",
            "9999999999s",
            "1week",
        ] {
            assert!(duration(wrong).is_some(), "{wrong}");
        }
    }
}
