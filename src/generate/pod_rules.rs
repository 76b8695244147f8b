//! Rules about pods and their containers, as CEL: what the API server would refuse of a pod template, refused with the App.
//!
//! Kubernetes has them in `pkg/apis/core/validation/validation.go` (1.36). Without them an App would be stored that never gets its pods.
//! What is deep within lists is a pattern in [`crate::api::schema`]: the API server grants rules only so much.

use super::rules::{
    APP, CLAIM, EXPRESSION, EXPRESSION_MESSAGE, LABEL_KEYS, LABEL_KEYS_MESSAGE, LABEL_NAME, LABEL_NAME_MESSAGE,
    LABEL_VALUES, LABEL_VALUES_MESSAGE, OWN_KEYS, OWN_KEYS_MESSAGE, PODS, REGISTRY, Rule, SUBDOMAIN, SUBDOMAIN_MESSAGE,
    rule,
};

const PROBE: &str = "[has(self.exec), has(self.grpc), has(self.httpGet), has(self.tcpSocket)].filter(x, x).size() == 1";
const PROBE_MESSAGE: &str = "must have exactly one of exec, grpc, httpGet and tcpSocket";
const HANDLER: &str =
    "[has(self.exec), has(self.httpGet), has(self.sleep), has(self.tcpSocket)].filter(x, x).size() == 1";
const HANDLER_MESSAGE: &str = "must have exactly one of exec, httpGet and sleep";
const LABEL_KEY: &str = "self.matches('^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$')";
const LABEL_KEY_MESSAGE: &str = "must be a key such as team or example.com/team";
const IP: &str = "isIP(self)";
const IP_MESSAGE: &str = "must be an IP address";
const OF_LABELS: &str = "!(self.operator in ['Gt', 'Lt'])";
const OF_LABELS_MESSAGE: &str = "must be In, NotIn, Exists or DoesNotExist";
const LABEL_KEYS_OF_TERM: &str = "!has(self.matchLabelKeys) && !has(self.mismatchLabelKeys) || has(self.labelSelector)";
const LABEL_KEYS_OF_TERM_MESSAGE: &str = "must be set for matchLabelKeys and mismatchLabelKeys";
const FOR_LINUX: &str = "must not be windows with what only Linux has: hostUsers, shareProcessNamespace, or any of securityContext but runAsNonRoot and windowsOptions";

/// CEL: a probe or hook asks a port by its number, or by a name that one has.
macro_rules! named_port {
    ($held:literal, $handler:literal) => {
        rule(
            APP,
            "spec",
            concat!(
                "!has(self.", $held, ") || !has(self.", $held, ".", $handler, ") || string(self.", $held, ".", $handler,
                ".port).matches('^[0-9]+$') || has(self.ports) && self.ports.exists(p, has(p.name) && p.name == string(self.",
                $held, ".", $handler, ".port))"
            ),
            "must be a number, or the name of one of spec.ports",
        )
        .of(concat!(".", $held, ".", $handler, ".port"))
    };
    (hook $held:literal, $handler:literal) => {
        rule(
            APP,
            "spec",
            concat!(
                "!has(self.lifecycle) || !has(self.lifecycle.", $held, ") || !has(self.lifecycle.", $held, ".", $handler,
                ") || string(self.lifecycle.", $held, ".", $handler,
                ".port).matches('^[0-9]+$') || has(self.ports) && self.ports.exists(p, has(p.name) && p.name == string(self.lifecycle.",
                $held, ".", $handler, ".port))"
            ),
            "must be a number, or the name of one of spec.ports",
        )
        .of(concat!(".lifecycle.", $held, ".", $handler, ".port"))
    };
}

/// CEL: containers of that list mount volumes of the App.
macro_rules! mounts_what_there_is {
    ($list:literal) => {
        rule(
            APP,
            "spec",
            concat!(
                "!has(self.", $list, ") || self.", $list, ".all(c, (!has(c.volumeMounts) || c.volumeMounts.all(m, has(self.volumes) && self.volumes.exists(v, v.name == m.name))) && (!has(c.volumeDevices) || c.volumeDevices.all(m, has(self.volumes) && self.volumes.exists(v, v.name == m.name))))"
            ),
            "must mount volumes that spec.volumes has",
        )
        .of(concat!(".", $list))
    };
}

/// Every one of these rules.
#[rustfmt::skip]
pub static POD_RULES: &[Rule] = &[
    rule(PODS, "spec.pod.labels", LABEL_KEYS, LABEL_KEYS_MESSAGE),
    rule(PODS, "spec.pod.labels", OWN_KEYS, OWN_KEYS_MESSAGE),
    rule(PODS, "spec.pod.labels", LABEL_VALUES, LABEL_VALUES_MESSAGE),
    rule(PODS, "spec.pod.annotations", LABEL_KEYS, LABEL_KEYS_MESSAGE),
    rule(PODS, "spec.pod.annotations", OWN_KEYS, OWN_KEYS_MESSAGE),
    rule(PODS, "spec.pod.nodeSelector", LABEL_KEYS, LABEL_KEYS_MESSAGE),
    rule(PODS, "spec.pod.nodeSelector", LABEL_VALUES, LABEL_VALUES_MESSAGE),
    rule(PODS, "spec.pod.priorityClassName", SUBDOMAIN, SUBDOMAIN_MESSAGE),
    rule(PODS, "spec.pod.runtimeClassName", SUBDOMAIN, SUBDOMAIN_MESSAGE),
    rule(PODS, "spec.pod.schedulerName", SUBDOMAIN, SUBDOMAIN_MESSAGE),
    rule(PODS, "spec.pod.readinessGates[].conditionType", LABEL_KEY, LABEL_KEY_MESSAGE),

    // Scheduling
    rule(PODS, "spec.pod**.matchExpressions[]", EXPRESSION, EXPRESSION_MESSAGE),
    rule(CLAIM, "spec.selector.matchExpressions[]", EXPRESSION, EXPRESSION_MESSAGE),
    rule(CLAIM, "spec.selector.matchExpressions[]", OF_LABELS, OF_LABELS_MESSAGE).of(".operator"),
    rule(PODS, "spec.pod**.labelSelector.matchExpressions[]", OF_LABELS, OF_LABELS_MESSAGE).of(".operator"),
    rule(PODS, "spec.pod**.namespaceSelector.matchExpressions[]", OF_LABELS, OF_LABELS_MESSAGE).of(".operator"),
    rule(PODS, "spec.pod**.matchFields[]", "self.key == 'metadata.name' && self.operator in ['In', 'NotIn'] && has(self.values) && size(self.values) == 1", "must compare metadata.name, by In or NotIn, with one value"),
    rule(PODS, "spec.pod**.podAffinityTerm", LABEL_KEYS_OF_TERM, LABEL_KEYS_OF_TERM_MESSAGE).of(".labelSelector"),
    rule(PODS, "spec.pod**.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[]", LABEL_KEYS_OF_TERM, LABEL_KEYS_OF_TERM_MESSAGE).of(".labelSelector"),
    rule(PODS, "spec.pod**.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[]", LABEL_KEYS_OF_TERM, LABEL_KEYS_OF_TERM_MESSAGE).of(".labelSelector"),
    rule(PODS, "spec.pod.topologySpreadConstraints[]", "!has(self.matchLabelKeys) || has(self.labelSelector)", "must be set for matchLabelKeys").of(".labelSelector"),
    rule(PODS, "spec.pod.topologySpreadConstraints[]", "!has(self.minDomains) || self.whenUnsatisfiable == 'DoNotSchedule'", "must be unset unless whenUnsatisfiable is DoNotSchedule").of(".minDomains"),

    // Names
    rule(PODS, "spec.pod.hostAliases[].ip", IP, IP_MESSAGE),
    rule(PODS, "spec.pod.hostAliases[].hostnames[]", SUBDOMAIN, SUBDOMAIN_MESSAGE),
    rule(PODS, "spec.pod", "!has(self.dnsPolicy) || self.dnsPolicy != 'None' || has(self.dnsConfig) && has(self.dnsConfig.nameservers) && size(self.dnsConfig.nameservers) > 0", "must be set, with nameservers, when spec.pod.dnsPolicy is None").of(".dnsConfig"),
    rule(PODS, "spec.pod.dnsConfig.nameservers[]", IP, IP_MESSAGE),
    rule(PODS, "spec.pod.dnsConfig.searches", "size(self.join(' ')) <= 2048", "must have at most 2048 characters together"),
    rule(PODS, "spec.pod.dnsConfig.searches[]", "self == '.' || self.matches('^[a-z0-9_]([-a-z0-9_.]*[a-z0-9_])?[.]?$')", "must be a domain of lower-case letters, digits, '-', '_' and '.'"),
    rule(PODS, "spec.pod.dnsConfig.options[]", "has(self.name) && self.name != ''", "must be set").of(".name"),
    rule(REGISTRY, "spec.pod", "!has(self.enableServiceLinks) || !self.enableServiceLinks", "must not be true, as a registry takes every variable REGISTRY_* for configuration").of(".enableServiceLinks"),

    // Devices
    rule(PODS, "spec.pod.resourceClaims[]", "has(self.resourceClaimName) != has(self.resourceClaimTemplateName)", "must have exactly one of resourceClaimName and resourceClaimTemplateName"),
    rule(PODS, "spec.pod.resourceClaims[].name", LABEL_NAME, LABEL_NAME_MESSAGE),
    rule(PODS, "spec.pod.resourceClaims[].resourceClaimName", SUBDOMAIN, SUBDOMAIN_MESSAGE),
    rule(PODS, "spec.pod.resourceClaims[].resourceClaimTemplateName", SUBDOMAIN, SUBDOMAIN_MESSAGE),
    rule(PODS, "spec", "!has(self.resources) || !has(self.resources.claims) || self.resources.claims.all(c, has(self.pod) && has(self.pod.resourceClaims) && self.pod.resourceClaims.exists(p, p.name == c.name))", "must have names of spec.pod.resourceClaims").of(".resources.claims"),

    // Linux and Windows
    rule(PODS, "spec.pod", "!has(self.os) || self.os.name != 'windows' || !has(self.hostUsers) && !has(self.shareProcessNamespace) && (!has(self.securityContext) || [has(self.securityContext.appArmorProfile), has(self.securityContext.fsGroup), has(self.securityContext.fsGroupChangePolicy), has(self.securityContext.runAsGroup), has(self.securityContext.runAsUser), has(self.securityContext.seLinuxChangePolicy), has(self.securityContext.seLinuxOptions), has(self.securityContext.seccompProfile), has(self.securityContext.supplementalGroups), has(self.securityContext.supplementalGroupsPolicy), has(self.securityContext.sysctls)].all(x, !x))", FOR_LINUX).of(".os.name"),
    rule(PODS, "spec.pod", "!has(self.os) || self.os.name != 'linux' || !has(self.securityContext) || !has(self.securityContext.windowsOptions)", "must be unset when spec.pod.os.name is linux").of(".securityContext.windowsOptions"),
    rule(APP, "spec", "!has(self.pod) || !has(self.pod.os) || self.pod.os.name != 'windows' || !has(self.securityContext) || [has(self.securityContext.allowPrivilegeEscalation), has(self.securityContext.appArmorProfile), has(self.securityContext.capabilities), has(self.securityContext.privileged), has(self.securityContext.procMount), has(self.securityContext.readOnlyRootFilesystem), has(self.securityContext.runAsGroup), has(self.securityContext.runAsUser), has(self.securityContext.seLinuxOptions), has(self.securityContext.seccompProfile)].all(x, !x)", FOR_LINUX).of(".pod.os.name"),
    rule(APP, "spec", "!has(self.pod) || !has(self.pod.os) || self.pod.os.name != 'linux' || !has(self.securityContext) || !has(self.securityContext.windowsOptions)", "must be unset when spec.pod.os.name is linux").of(".securityContext.windowsOptions"),
    rule(REGISTRY, "spec.pod.os.name", "self == 'linux'", "must be linux"),
    rule(APP, "spec", "!has(self.pod) || !has(self.pod.hostUsers) || self.pod.hostUsers || !has(self.volumes) || self.volumes.all(v, !has(v.devicePath))", "must not be false with a volume that has a devicePath, which users of their own can't be given").of(".pod.hostUsers"),

    // Ports by name
    named_port!("livenessProbe", "httpGet"),
    named_port!("livenessProbe", "tcpSocket"),
    named_port!("readinessProbe", "httpGet"),
    named_port!("readinessProbe", "tcpSocket"),
    named_port!("startupProbe", "httpGet"),
    named_port!("startupProbe", "tcpSocket"),
    named_port!(hook "postStart", "httpGet"),
    named_port!(hook "postStart", "tcpSocket"),
    named_port!(hook "preStop", "httpGet"),
    named_port!(hook "preStop", "tcpSocket"),

    // Variables
    rule(APP, "spec**.env[]", "!has(self.valueFrom) || !has(self.value) || size(self.value) == 0", "must be unset beside valueFrom").of(".value"),
    rule(APP, "spec**.env[].valueFrom", "[has(self.configMapKeyRef), has(self.fieldRef), has(self.resourceFieldRef), has(self.secretKeyRef)].filter(x, x).size() == 1", "must have exactly one of configMapKeyRef, fieldRef, resourceFieldRef and secretKeyRef"),
    rule(APP, "spec**.env[].valueFrom.fieldRef.fieldPath", "!(self in ['metadata.labels', 'metadata.annotations'])", "must name one label or annotation by its key, such as metadata.labels['team']"),
    rule(APP, "spec**.envFrom[]", "has(self.configMapRef) != has(self.secretRef)", "must have exactly one of configMapRef and secretRef"),

    // Containers beside the App's own
    rule(APP, "", "!has(self.spec.initContainers) || self.spec.initContainers.all(c, c.name != self.metadata.name)", "must not have the App's name, which is that of its own container").of(".spec.initContainers"),
    rule(APP, "", "!has(self.spec.sidecars) || self.spec.sidecars.all(c, c.name != self.metadata.name)", "must not have the App's name, which is that of its own container").of(".spec.sidecars"),
    rule(APP, "spec", "!has(self.sidecars) || !has(self.initContainers) || self.sidecars.all(c, !self.initContainers.exists(i, i.name == c.name))", "must have other names than spec.initContainers").of(".sidecars"),
    rule(APP, "spec.initContainers[]", "has(self.restartPolicy) || [has(self.lifecycle), has(self.livenessProbe), has(self.readinessProbe), has(self.startupProbe)].all(x, !x)", "must be set to Always for lifecycle, livenessProbe, readinessProbe and startupProbe").of(".restartPolicy"),
    rule(APP, "spec**.volumeMounts[]", "!has(self.subPath) || !has(self.subPathExpr)", "must be unset beside subPathExpr").of(".subPath"),
    mounts_what_there_is!("initContainers"),
    mounts_what_there_is!("sidecars"),
    rule(APP, "spec", "!has(self.volumes) || self.volumes.all(v, has(v.mountPath) || has(v.devicePath) || has(v.mounts) && size(v.mounts) > 0 || has(self.initContainers) && self.initContainers.exists(c, has(c.volumeMounts) && c.volumeMounts.exists(m, m.name == v.name) || has(c.volumeDevices) && c.volumeDevices.exists(m, m.name == v.name)) || has(self.sidecars) && self.sidecars.exists(c, has(c.volumeMounts) && c.volumeMounts.exists(m, m.name == v.name) || has(c.volumeDevices) && c.volumeDevices.exists(m, m.name == v.name)))", "must each have a mountPath or mounts, or be mounted by a container beside the App's own").of(".volumes"),
    rule(APP, "", "!has(self.spec.volumes) || self.spec.volumes.all(v, !has(v.mounts) || v.mounts.all(m, !has(m.container) || m.container == self.metadata.name || has(self.spec.sidecars) && self.spec.sidecars.exists(c, c.name == m.container) || has(self.spec.initContainers) && self.spec.initContainers.exists(c, c.name == m.container)))", "must have mounts whose container is one of the App's").of(".spec.volumes"),

    // Containers
    rule(APP, "spec**.terminationMessagePath", "self.startsWith('/')", "must be an absolute path"),
    rule(APP, "spec**.livenessProbe", PROBE, PROBE_MESSAGE),
    rule(APP, "spec**.readinessProbe", PROBE, PROBE_MESSAGE),
    rule(APP, "spec**.startupProbe", PROBE, PROBE_MESSAGE),
    rule(APP, "spec**.readinessProbe", "!has(self.terminationGracePeriodSeconds)", "must be unset, as this probe stops nothing").of(".terminationGracePeriodSeconds"),
    rule(APP, "spec**.livenessProbe", "!has(self.successThreshold) || self.successThreshold == 1", "must be 1").of(".successThreshold"),
    rule(APP, "spec**.startupProbe", "!has(self.successThreshold) || self.successThreshold == 1", "must be 1").of(".successThreshold"),
    rule(APP, "spec**.lifecycle.postStart", HANDLER, HANDLER_MESSAGE),
    rule(APP, "spec**.lifecycle.preStop", HANDLER, HANDLER_MESSAGE),
];
