//! Rules of the API that a type alone can't say, as CEL that the API server evaluates.
//!
//! One table for all kinds. A rule stands at the place of the field that it speaks of, so that the API server's message
//! begins with that field; `tests/cluster/bad_specs.yaml` shows each refusing what it should.

use crate::core::kind::ParentKind;

/// One rule.
#[derive(Debug)]
pub struct Rule {
    /// The kinds whose CRDs hold it.
    pub kinds: &'static [ParentKind],
    /// Path of the schema, `spec.volumes[]` for the items of a list, empty for the whole object. `**` in it stands
    /// for any number of fields: Kubernetes' own types are at many places.
    pub path: &'static str,
    /// CEL that must be true.
    pub rule: &'static str,
    /// What the user reads when it is not.
    pub message: &'static str,
    /// CEL that makes what the user reads instead, where that names values.
    pub words: &'static str,
    /// The field to blame, below `path`, where it is not the place itself.
    pub field: &'static str,
}

/// A rule that blames the place itself.
pub const fn rule(kinds: &'static [ParentKind], path: &'static str, rule: &'static str, message: &'static str) -> Rule {
    Rule { kinds, path, rule, message, words: "", field: "" }
}

impl Rule {
    /// Blames a field below the place.
    #[must_use]
    pub const fn of(self, field: &'static str) -> Self {
        Self { field, ..self }
    }

    /// Says what that CEL makes.
    #[must_use]
    pub const fn saying(self, words: &'static str) -> Self {
        Self { words, ..self }
    }
}

/// Of Apps only.
pub const APP: &[ParentKind] = &[ParentKind::App];
/// Of claims only.
pub const CLAIM: &[ParentKind] = &[ParentKind::StorageClaim];
/// Of Registries only.
pub const REGISTRY: &[ParentKind] = &[ParentKind::Registry];
/// Of all that have pods.
pub const PODS: &[ParentKind] = &[ParentKind::App, ParentKind::Registry];

const NAME: &str = "self.metadata.name.matches('^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$')";
const NAME_MESSAGE: &str = "metadata.name must be at most 63 lower-case letters, digits and '-', starting with a letter and ending with a letter or digit, as it names a Service";
const IMAGE: &str = r"self.matches('^[A-Za-z0-9\\[][-A-Za-z0-9._:/@\\[\\]]*$') && !self.contains('://')";
const IMAGE_MESSAGE: &str =
    "must be an image reference such as registry.example.com/team/shop:1.4, without scheme or spaces";
const QUANTITY: &str = "isQuantity(self) && quantity(self).isGreaterThan(quantity('0'))";
const QUANTITY_MESSAGE: &str = "must be a quantity above zero, for example 2Gi";
pub(crate) const LABEL_KEYS: &str =
    "self.all(k, k.matches('^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$'))";
pub(crate) const LABEL_KEYS_MESSAGE: &str = "must have keys such as team or example.com/team";
pub(crate) const OWN_KEYS: &str =
    "self.all(k, !k.startsWith('moorage.dev/') && !(k in ['app.kubernetes.io/managed-by', 'app.kubernetes.io/name']))";
pub(crate) const OWN_KEYS_MESSAGE: &str = "must not have keys of moorage.dev, app.kubernetes.io/managed-by or app.kubernetes.io/name, which are the operator's own";
pub(crate) const LABEL_VALUES: &str = "self.all(k, self[k].matches('^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$'))";
pub(crate) const LABEL_VALUES_MESSAGE: &str =
    "must have values of letters, digits, '-', '_' and '.', starting and ending with a letter or digit";
/// The port of that name, or the only one. Made of a number, a name would cost more than the API server grants a rule.
const MONITORED_PORT: &str = "!has(self.monitoring) || !has(self.ports) || size(self.ports) != 1 && !has(self.monitoring.port) || self.ports.exists(p, (!has(p.protocol) || p.protocol == 'TCP') && (!has(self.monitoring.port) || (has(p.name) ? p.name == self.monitoring.port : self.monitoring.port.matches('^tcp-[0-9]{1,5}$') && int(self.monitoring.port.substring(4)) == p.port)))";
pub(crate) const LABEL_NAME: &str = "self.matches('^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$')";
pub(crate) const LABEL_NAME_MESSAGE: &str =
    "must be at most 63 lower-case letters, digits and '-', starting and ending with a letter or digit";
pub(crate) const SUBDOMAIN: &str = "self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')";
pub(crate) const SUBDOMAIN_MESSAGE: &str =
    "must be a name of lower-case letters, digits, '-' and '.', starting and ending with a letter or digit";
/// A condition on labels; those of nodes may also compare numbers.
pub(crate) const EXPRESSION: &str = "self.operator in ['Exists', 'DoesNotExist'] ? !has(self.values) || size(self.values) == 0 : has(self.values) && size(self.values) > 0 && (!(self.operator in ['Gt', 'Lt']) || size(self.values) == 1)";
pub(crate) const EXPRESSION_MESSAGE: &str =
    "must have values with In and NotIn, one with Gt and Lt, and none with Exists and DoesNotExist";
const MODES: &str = "self.all(a, self.exists_one(b, a == b)) && (!('ReadWriteOncePod' in self) || size(self) == 1)";
const MODES_MESSAGE: &str = "must be unique, and ReadWriteOncePod must stand alone";

/// CEL: pods on several nodes can mount every volume of the App's own.
macro_rules! every_storage_is_shared {
    () => {
        "!has(self.volumes) || self.volumes.all(v, !has(v.storage) || has(v.storage.accessModes) && v.storage.accessModes.exists(m, m in ['ReadWriteMany', 'ReadOnlyMany']))"
    };
}

/// Every rule, but those about pods, and those that keep volumes what they are.
pub static RULES: &[Rule] = &[
    rule(APP, "", NAME, NAME_MESSAGE),
    rule(APP, "", "!has(self.spec.volumes) || self.spec.volumes.all(v, !has(v.storage) || size(self.metadata.name) + size(v.name) < 63)", "spec.volumes must have names short enough that <app>-<volume>, the name of the claim, has at most 63 characters"),
    rule(APP, "spec.image", IMAGE, IMAGE_MESSAGE),
    rule(APP, "spec.ports", "size(self) < 2 || self.all(p, has(p.name))", "must each have a name when there is more than one port"),
    rule(APP, "spec.ports", "self.all(p, !has(p.name) || self.exists_one(q, has(q.name) && q.name == p.name))", "must have unique names"),
    rule(APP, "spec.ports[].name", "self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$') && self.matches('[a-z]') && !self.contains('--') && size(self) <= 15", "must be at most 15 lower-case letters, digits and single '-', with at least one letter"),
    rule(APP, "spec.ports[]", "!has(self.private) || !self.private || !has(self.containerPort)", "must be unset for a private port, which no Service has").of(".containerPort"),
    rule(APP, "spec.ports[]", "!has(self.private) || !self.private || !has(self.nodePort)", "must be unset for a private port, which no Service has").of(".nodePort"),
    rule(APP, "spec.ports[]", "!has(self.private) || !self.private || !has(self.appProtocol)", "must be unset for a private port, which no Service has").of(".appProtocol"),
    rule(APP, "spec.ports", "self.all(p, !has(p.private) || !p.private || self.exists_one(q, (has(q.containerPort) ? q.containerPort : q.port) == p.port && (has(q.protocol) ? q.protocol : 'TCP') == (has(p.protocol) ? p.protocol : 'TCP')))", "must lead to a private port by no other one: make that public, or leave the private one out"),
    rule(APP, "spec", "!has(self.monitoring) || !has(self.monitoring.kind) || self.monitoring.kind != 'ServiceMonitor' || !has(self.ports) || self.ports.exists(p, !has(p.private) || !p.private) && (!has(self.monitoring.port) || !self.ports.exists(p, has(p.name) && p.name == self.monitoring.port && has(p.private) && p.private))", "must be PodMonitor for a private port, which no Service has").of(".monitoring.kind"),
    rule(APP, "spec", "!has(self.ports) || self.ports.all(p, !has(p.nodePort) || (has(self.service) && has(self.service.type) && self.service.type != 'ClusterIP'))", "must have no nodePort unless spec.service.type is NodePort or LoadBalancer").of(".ports"),
    rule(APP, "spec.service", "!has(self.headless) || !self.headless || !has(self.type) || self.type == 'ClusterIP'", "must be false unless spec.service.type is ClusterIP").of(".headless"),
    rule(APP, "spec.volumes", "self.all(v, !has(v.mountPath) || self.exists_one(w, has(w.mountPath) && w.mountPath == v.mountPath))", "must have unique mountPaths"),
    rule(APP, "spec.volumes[]", "[has(self.storage), has(self.claim), has(self.secret), has(self.configMap), has(self.emptyDir), has(self.projected), has(self.downwardAPI), has(self.ephemeral), has(self.image), has(self.csi)].filter(x, x).size() == 1", "must have exactly one of storage, claim, secret, configMap, emptyDir, projected, downwardAPI, ephemeral, image and csi"),
    rule(APP, "spec.volumes[]", "(has(self.storage) && has(self.storage.volumeMode) && self.storage.volumeMode == 'Block' || has(self.ephemeral) && has(self.ephemeral.volumeClaimTemplate.spec.volumeMode) && self.ephemeral.volumeClaimTemplate.spec.volumeMode == 'Block') ? has(self.devicePath) && !has(self.mountPath) && !has(self.subPath) && !has(self.mounts) : (!has(self.devicePath) || has(self.claim) && !has(self.mountPath)) && (!has(self.subPath) || has(self.mountPath))", "must have a mountPath for a subPath, and for volumeMode Block a devicePath and none of mountPath, subPath and mounts"),
    rule(APP, "spec", concat!("!has(self.replicas) || self.replicas <= 1 || ", every_storage_is_shared!()), "must be 1 unless every storage of spec.volumes has an access mode that several nodes can mount (ReadWriteMany or ReadOnlyMany)").of(".replicas"),
    rule(APP, "spec", concat!("!has(self.rollout) || !has(self.rollout.strategy) || self.rollout.strategy != 'RollingUpdate' || has(self.rollout.maxSurge) && string(self.rollout.maxSurge) in ['0', '0%'] || ", every_storage_is_shared!()), "must be Recreate, or have maxSurge 0, unless every storage of spec.volumes has an access mode that several nodes can mount (ReadWriteMany or ReadOnlyMany)").of(".rollout.strategy"),
    rule(APP, "spec.volumes[].name", LABEL_NAME, LABEL_NAME_MESSAGE),
    rule(APP, "spec.volumes[].mountPath", "self.startsWith('/') && !self.contains(':') && !self.split('/').exists(e, e == '..')", "must be an absolute path without ':' and '..'"),
    rule(APP, "spec.volumes[].devicePath", "self.startsWith('/') && !self.split('/').exists(e, e == '..')", "must be an absolute path without '..'"),
    rule(APP, "spec.volumes[].subPath", "!self.startsWith('/') && !self.split('/').exists(e, e == '..')", "must be a relative path without '..'"),
    rule(APP, "spec.volumes[].storage.size", QUANTITY, QUANTITY_MESSAGE),
    rule(APP, "spec.volumes[].storage.accessModes", MODES, MODES_MESSAGE),
    rule(APP, "spec.volumes[].claim.name", SUBDOMAIN, SUBDOMAIN_MESSAGE),
    rule(APP, "spec.volumes[].image", "has(self.reference)", "must be set").of(".reference"),
    rule(APP, "spec.volumes[].image.reference", IMAGE, IMAGE_MESSAGE),
    rule(APP, "spec.volumes[].csi.driver", "self.matches('^[A-Za-z0-9]([-A-Za-z0-9.]{0,61}[A-Za-z0-9])?$')", "must be the name of a driver, such as secrets-store.csi.k8s.io, of at most 63 characters"),
    rule(APP, "spec.volumes[].csi.nodePublishSecretRef.name", SUBDOMAIN, SUBDOMAIN_MESSAGE),
    rule(APP, "spec.volumes[].ephemeral.volumeClaimTemplate.metadata.labels", LABEL_KEYS, LABEL_KEYS_MESSAGE),
    rule(APP, "spec.volumes[].ephemeral.volumeClaimTemplate.metadata.labels", LABEL_VALUES, LABEL_VALUES_MESSAGE),
    rule(APP, "spec.volumes[].ephemeral.volumeClaimTemplate.metadata.annotations", LABEL_KEYS, LABEL_KEYS_MESSAGE),
    rule(APP, "spec.volumes[].ephemeral.volumeClaimTemplate.spec.accessModes", MODES, MODES_MESSAGE),
    rule(APP, "spec.volumes[].ephemeral.volumeClaimTemplate.spec.accessModes", "self.all(m, m in ['ReadWriteOnce', 'ReadOnlyMany', 'ReadWriteMany', 'ReadWriteOncePod'])", "must be ReadWriteOnce, ReadOnlyMany, ReadWriteMany or ReadWriteOncePod"),
    rule(APP, "spec.volumes[].ephemeral.volumeClaimTemplate.spec.storageClassName", "self == '' || self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')", SUBDOMAIN_MESSAGE),
    rule(APP, "spec.volumes[].ephemeral.volumeClaimTemplate.spec.selector.matchExpressions[]", EXPRESSION, EXPRESSION_MESSAGE),
    rule(APP, "spec.volumes[].downwardAPI.items[]", "has(self.fieldRef) != has(self.resourceFieldRef)", "must have exactly one of fieldRef and resourceFieldRef"),
    rule(APP, "spec.volumes[].downwardAPI.items[].resourceFieldRef", "has(self.containerName)", "must be set within volumes: the App's container has the name of the App").of(".containerName"),
    rule(APP, "spec.volumes[].downwardAPI.items[].fieldRef.fieldPath", "self.matches(\"^metadata[.](name|namespace|uid|labels|annotations|(labels|annotations)[[]'[^']+'[]])$\")", "must be metadata.name, metadata.namespace, metadata.uid, metadata.labels or metadata.annotations, or one of these by its key, such as metadata.labels['team']"),
    rule(APP, "spec.availability", "!has(self.minAvailable) || !has(self.maxUnavailable)", "must be unset beside minAvailable").of(".maxUnavailable"),
    rule(APP, "spec.availability.minAvailable", "string(self).matches('^([0-9]+|[0-9]{1,2}%|100%)$')", "must be a number or a percentage up to 100%"),
    rule(APP, "spec.availability.maxUnavailable", "string(self).matches('^([0-9]+|[0-9]{1,2}%|100%)$')", "must be a number or a percentage up to 100%"),
    rule(APP, "spec", "!has(self.availability) || !has(self.availability.spread) || !has(self.pod) || !has(self.pod.topologySpreadConstraints) || size(self.pod.topologySpreadConstraints) == 0", "must be unset beside spec.pod.topologySpreadConstraints").of(".availability.spread"),
    rule(APP, "spec.rollout", "!has(self.strategy) || self.strategy == 'RollingUpdate' || (!has(self.maxSurge) && !has(self.maxUnavailable))", "must be RollingUpdate for maxSurge and maxUnavailable").of(".strategy"),
    rule(APP, "spec.rollout", "!has(self.maxSurge) || !has(self.maxUnavailable) || !(string(self.maxSurge) in ['0', '0%']) || !(string(self.maxUnavailable) in ['0', '0%'])", "must not be 0 when maxUnavailable is 0").of(".maxSurge"),
    rule(APP, "spec.rollout", "!has(self.maxSurge) || string(self.maxSurge).matches('^[0-9]+%?$')", "must be a number or a percentage").of(".maxSurge"),
    rule(APP, "spec.rollout", "!has(self.maxUnavailable) || string(self.maxUnavailable).matches('^([0-9]+|[0-9]{1,2}%|100%)$')", "must be a number or a percentage up to 100%").of(".maxUnavailable"),
    rule(APP, "spec.rollout", "!has(self.progressDeadlineSeconds) || self.progressDeadlineSeconds > (has(self.minReadySeconds) ? self.minReadySeconds : 0)", "must be more than minReadySeconds").of(".progressDeadlineSeconds"),
    rule(APP, "spec.rollout.ignoreChangesOf[].name", SUBDOMAIN, SUBDOMAIN_MESSAGE),
    rule(APP, "spec.serviceAccount", "!has(self.name) || (!has(self.annotations) && !has(self.imagePullSecrets))", "must be unset for annotations and imagePullSecrets, which are for an account of the App's own").of(".name"),
    rule(APP, "spec.serviceAccount.name", SUBDOMAIN, SUBDOMAIN_MESSAGE),
    rule(APP, "spec.service.annotations", LABEL_KEYS, LABEL_KEYS_MESSAGE),
    rule(APP, "spec.service.annotations", OWN_KEYS, OWN_KEYS_MESSAGE),
    rule(APP, "spec.serviceAccount.annotations", LABEL_KEYS, LABEL_KEYS_MESSAGE),
    rule(APP, "spec.serviceAccount.annotations", OWN_KEYS, OWN_KEYS_MESSAGE),
    rule(APP, "spec", "!has(self.monitoring) || has(self.ports) && size(self.ports) > 0", "must be unset unless spec.ports has the port of the metrics").of(".monitoring"),
    rule(APP, "spec", "!has(self.monitoring) || has(self.monitoring.port) || !has(self.ports) || size(self.ports) <= 1", "must name the port of the metrics when there is more than one port").of(".monitoring.port"),
    rule(APP, "spec", MONITORED_PORT, "must be the name of a TCP port in spec.ports, of an unnamed one as in the Service (tcp-8080)").of(".monitoring.port"),
    rule(APP, "spec.monitoring.path", "self.startsWith('/') && self.matches('^[^\\\\s?#]*$')", "must be a path such as /metrics, without spaces, '?' and '#'"),
    rule(APP, "spec.monitoring.interval", "self.matches('^([0-9]{1,9}y)?([0-9]{1,9}w)?([0-9]{1,9}d)?([0-9]{1,9}h)?([0-9]{1,9}m)?([0-9]{1,9}s)?([0-9]{1,9}ms)?$') && self.matches('[1-9]')", "must be a duration above zero, for example 30s or 1m30s"),
    rule(APP, "spec.monitoring.labels", LABEL_KEYS, LABEL_KEYS_MESSAGE),
    rule(APP, "spec.monitoring.labels", OWN_KEYS, OWN_KEYS_MESSAGE),
    rule(APP, "spec.monitoring.labels", LABEL_VALUES, LABEL_VALUES_MESSAGE),
    rule(CLAIM, "", "size(self.metadata.name) <= 63", "metadata.name must have at most 63 characters"),
    rule(CLAIM, "spec.size", QUANTITY, QUANTITY_MESSAGE),
    rule(CLAIM, "spec.accessModes", MODES, MODES_MESSAGE),
    rule(CLAIM, "spec.volumeName", SUBDOMAIN, SUBDOMAIN_MESSAGE),
    rule(REGISTRY, "", NAME, NAME_MESSAGE),
    rule(REGISTRY, "", "size(self.metadata.name) <= 55", "metadata.name must have at most 55 characters, as it begins the name of the claim"),
    rule(REGISTRY, "spec.image", IMAGE, IMAGE_MESSAGE),
    rule(REGISTRY, "spec.storage", "[has(self.volume), has(self.claim), has(self.emptyDir)].filter(x, x).size() == 1", "must have exactly one of volume, claim and emptyDir"),
    rule(REGISTRY, "spec.storage", "has(self.volume) == has(oldSelf.volume) && has(self.claim) == has(oldSelf.claim)", "must not be changed to another source; make a new Registry"),
    rule(REGISTRY, "spec", "!has(self.replicas) || self.replicas <= 1 || !has(self.storage.volume) || (has(self.storage.volume.accessModes) && 'ReadWriteMany' in self.storage.volume.accessModes)", "must be 1 unless spec.storage.volume.accessModes has ReadWriteMany").of(".replicas"),
    rule(REGISTRY, "spec", "!has(self.replicas) || self.replicas <= 1 || !has(self.storage.emptyDir)", "must be 1 with spec.storage.emptyDir, which pods can't share").of(".replicas"),
    rule(REGISTRY, "spec.storage.volume.size", QUANTITY, QUANTITY_MESSAGE),
    rule(REGISTRY, "spec.storage.volume.accessModes", MODES, MODES_MESSAGE),
    rule(REGISTRY, "spec.storage.claim.name", SUBDOMAIN, SUBDOMAIN_MESSAGE),
];
