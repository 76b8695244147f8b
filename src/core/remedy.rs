//! What can be done about a refusal of the API server's, by its words.

/// What can be done about a refusal, by words of the API server or of an admission plugin.
const REMEDIES: [(&str, &str); 7] = [
    ("exceeded quota", "Ask for less, or have the quota raised"),
    ("failed quota", "Set what it names in spec.resources, or have a LimitRange of the namespace give it a default"),
    (
        "usage per ",
        "Ask for what lies within the limits of the namespace (kubectl describe limitrange), or have them changed",
    ),
    (
        "limit to request ratio",
        "Bring limits and requests in spec.resources nearer to each other, or have the LimitRange changed",
    ),
    ("error looking up service account", "Create that ServiceAccount, or have the spec name one that exists"),
    ("ownerRef", "Give the operator that right: kubectl apply -k deploy/components/owner-references"),
    (" cannot ", "Give the operator that right: apply the manifests of its version again"),
];

/// Likewise by words of answers that are no refusal for lack of rights.
const REMEDIES_OF_ANY: [(&str, &str); 3] = [
    (
        "because it is being terminated",
        "Nothing new can be made in a namespace that is being deleted; what holds it: kubectl describe namespace",
    ),
    (
        "failed calling webhook",
        "Whoever runs that webhook has to mend it: kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations",
    ),
    (
        "provided port is already allocated",
        "Name another nodePort, or none, to be given one; who has it: kubectl get services -A",
    ),
];

/// Whether something can be done about an answer that is no refusal for lack of rights.
pub fn has_remedy(answer: &str) -> bool {
    REMEDIES_OF_ANY.iter().any(|(words, _)| answer.contains(words))
}

/// A refusal in the API server's own words, with what can be done about it.
pub fn with_remedy(refusal: &str) -> String {
    let found = REMEDIES_OF_ANY.iter().chain(&REMEDIES).find(|(words, _)| refusal.contains(words));
    let remedy = found.map_or("Suit the spec to what refuses it, or have that changed", |(_, remedy)| remedy);
    // What an admission plugin of Kubernetes' own prints of an empty field and no error.
    let refusal = refusal.trim_end_matches(": , <nil>").trim_end_matches('.');
    format!("{refusal}. {remedy}")
}

#[cfg(test)]
mod tests {
    use super::with_remedy;

    #[test]
    fn a_refusal_is_told_with_what_can_be_done_about_it() {
        for (refusal, remedy) in [
            ("pods \"web-1\" is forbidden: exceeded quota: small, requested: pods=1", "have the quota raised"),
            ("services is forbidden: User \"m\" cannot create resource \"services\"", "apply the manifests"),
            (
                "is forbidden: cannot set an ownerRef on a resource you can't delete: , <nil>",
                "components/owner-references",
            ),
            ("pods \"a\" is forbidden: failed quota: q: must specify requests.cpu for: a", "spec.resources"),
            (
                "pods \"a\" is forbidden: minimum memory usage per Container is 256Mi, but request is 64Mi",
                "describe limitrange",
            ),
            (
                "pods \"a\" is forbidden: memory max limit to request ratio per Container is 2, but provided ratio is 4",
                "nearer",
            ),
            (
                "pods \"a-\" is forbidden: error looking up service account n/b: serviceaccount \"b\" not found",
                "Create that",
            ),
            (
                "Internal error occurred: failed calling webhook \"v.example.com\": no endpoints available",
                "validatingwebhook",
            ),
            (
                "serviceaccounts \"a\" is forbidden: unable to create new content in namespace b because it is being terminated",
                "being deleted",
            ),
            ("spec.ports[0].nodePort: Invalid value: 30080: provided port is already allocated", "another nodePort"),
            ("is forbidden: violates PodSecurity \"restricted:latest\": privileged.", "Suit the spec"),
        ] {
            let told = with_remedy(refusal);
            let (words, advice) = told.split_at(refusal.trim_end_matches(": , <nil>").trim_end_matches('.').len());
            assert!(refusal.starts_with(words) && advice.starts_with(". ") && advice.contains(remedy), "{told}");
        }
    }
}
