//! Checks that several kinds share; what each returns is wrong, beginning with the field.

use super::quantity::Quantity;

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
pub fn image(image: &str) -> Option<String> {
    if image.is_empty() {
        return Some("spec.image: must name an image, for example registry.example.com/team/shop:1.4".to_owned());
    }
    let bad = image.contains("://") || image.chars().any(|c| c.is_whitespace() || c.is_control());
    bad.then(|| {
        "spec.image: must be an image reference such as registry.example.com/team/shop:1.4, without scheme or spaces"
            .to_owned()
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

#[cfg(test)]
mod tests {
    use super::duration;

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
