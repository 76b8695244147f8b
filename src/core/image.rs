//! What an image reference says about itself.

/// The pull policy that Kubernetes gives to a container without one: `Always` for the tag `latest`, written or implied.
///
/// It is given once, when the pod template is made, and does not follow a later change of the image. So that an update
/// leads to what a fresh start leads to, it is always written.
pub fn default_pull_policy(image: &str) -> &'static str {
    let (name, digest) = image.split_once('@').map_or((image, None), |(name, digest)| (name, Some(digest)));
    let last = name.rsplit('/').next().unwrap_or(name);
    match last.split_once(':') {
        Some((_, "latest")) => "Always",
        None if digest.is_none() => "Always",
        Some(_) | None => "IfNotPresent",
    }
}

#[cfg(test)]
mod tests {
    use super::default_pull_policy;

    #[test]
    fn only_latest_is_always_pulled() {
        for image in ["web", "host:5000/web", "web:latest", "host:5000/a/web:latest@sha256:00"] {
            assert_eq!(default_pull_policy(image), "Always", "{image}");
        }
        for image in ["web:1", "host:5000/web:1", "web@sha256:00", "host:5000/web:1@sha256:00"] {
            assert_eq!(default_pull_policy(image), "IfNotPresent", "{image}");
        }
    }
}
