//! What `kubectl explain` says of fields whose types are Kubernetes' own: its descriptions would make the CRDs several times as long,
//! and without any the reader is lost. One sentence each; what a field of that name means only there, has the name of the field that
//! holds it.

/// The sentence for a field within another one.
pub fn explanation(within: &str, field: &str) -> Option<&'static str> {
    let find = |within: &str| WORDS.iter().find(|(holder, name, _)| *holder == within && *name == field);
    find(within).or_else(|| find("")).map(|(_, _, text)| *text)
}

#[rustfmt::skip]
const WORDS: &[(&str, &str, &str)] = &[
    // env, envFrom
    ("env", "name", "Name of the variable."),
    ("env", "value", "Its value; $(NAME) stands for a variable further up in the list, $$ for a single $."),
    ("", "valueFrom", "Takes the value from elsewhere; exactly one of the fields within."),
    ("", "configMapKeyRef", "A key of a ConfigMap of the namespace."),
    ("", "secretKeyRef", "A key of a Secret of the namespace."),
    ("", "fieldRef", "A field of the pod, such as metadata.name or status.podIP."),
    ("", "fieldPath", "Path of the field within the pod, such as metadata.labels['app']."),
    ("fieldRef", "apiVersion", "Version that the path is written for; v1 unless set."),
    ("", "resourceFieldRef", "A request or limit of a container, such as limits.memory."),
    ("", "containerName", "The container whose it is; needed within volumes."),
    ("", "divisor", "The unit that the amount is given in, such as 1Mi; 1 unless set."),
    ("", "resource", "Which amount, such as limits.cpu or requests.memory."),
    ("", "configMapRef", "A ConfigMap of the namespace, all of whose keys become variables."),
    ("", "secretRef", "A Secret of the namespace, all of whose keys become variables."),
    ("envFrom", "prefix", "Stands before the name of each variable."),
    ("", "key", "Key of the entry."),
    ("tolerations", "key", "Key of the taint; empty with operator Exists tolerates every taint."),
    ("matchExpressions", "key", "Key of the label."),
    ("", "optional", "Whether pods start without it; if false, they wait until it is there."),
    ("", "name", "Name of the object, in the App's namespace."),

    // Probes and hooks
    ("", "exec", "Runs a command within the container; exit code 0 is success."),
    ("exec", "command", "The program and its arguments. No shell runs it: write /bin/sh, -c and a line if you need one."),
    ("", "httpGet", "Asks over HTTP; an answer from 200 to 399 is success."),
    ("", "tcpSocket", "Opens a TCP connection; that it opens is success."),
    ("", "grpc", "Asks the gRPC health service; the answer SERVING is success."),
    ("grpc", "port", "Number of the port."),
    ("", "service", "Name of the service to ask about, as grpc.health.v1 has it; the server as a whole unless set."),
    ("", "host", "Host to connect to; the pod's own address unless set, which is nearly always right."),
    ("", "httpHeaders", "Headers of the request; a host name goes here, as Host."),
    ("httpHeaders", "name", "Name of the header."),
    ("httpHeaders", "value", "Its value."),
    ("httpGet", "path", "Path of the request, with its query; / unless set."),
    ("httpGet", "port", "Name or number of the container's port."),
    ("tcpSocket", "port", "Name or number of the container's port."),
    ("", "scheme", "HTTP unless set. With HTTPS no certificate is checked."),
    ("", "initialDelaySeconds", "How long after its start the container is first asked; 0 unless set. A startupProbe fits slow starts better."),
    ("", "periodSeconds", "How often it is asked; every 10 seconds unless set."),
    ("", "timeoutSeconds", "How long an answer may take; 1 second unless set."),
    ("", "failureThreshold", "So many failures in a row count as one; 3 unless set."),
    ("", "successThreshold", "So many successes in a row count as one; 1 unless set, and for liveness and startup always."),
    ("livenessProbe", "terminationGracePeriodSeconds", "How long a container that this probe stops may take to end, in place of the pod's own."),
    ("startupProbe", "terminationGracePeriodSeconds", "How long a container that this probe stops may take to end, in place of the pod's own."),
    ("readinessProbe", "terminationGracePeriodSeconds", "Without effect: a readiness probe stops nothing."),
    ("", "postStart", "Runs right after the container was started, beside its program; if it fails, the container is stopped."),
    ("", "preStop", "Runs before the container is told to stop, within its grace period: time for routers to notice."),
    ("", "stopSignal", "The signal that tells the program to stop, on clusters that know the field."),
    ("", "sleep", "Waits."),
    ("sleep", "seconds", "For how long."),

    // Resources
    ("", "limits", "What a container may use at most: with more memory it is killed, CPU is slowed down."),
    ("", "requests", "What is set aside for a container on its node, and by which a node is chosen; the limits unless set."),
    ("resources", "claims", "Devices that the container uses, by the names of the pod's resource claims."),
    ("claims", "name", "Name of the pod's resource claim."),
    ("", "request", "Which request of the claim; all unless set."),

    // Security
    ("", "allowPrivilegeEscalation", "Whether the program may gain rights that its parent lacks, as by setuid; false unless set."),
    ("", "capabilities", "Linux capabilities; all are dropped but those that are added."),
    ("", "add", "Capabilities to have, such as NET_BIND_SERVICE."),
    ("", "drop", "Capabilities to lose; ALL, every one, unless set."),
    ("", "privileged", "Runs with all the rights of its node. Clusters with a restricted or baseline policy refuse it."),
    ("", "procMount", "How /proc is mounted; Default hides what the restricted profile hides."),
    ("", "readOnlyRootFilesystem", "Mounts the image read-only; what must be written goes to a volume."),
    ("", "runAsNonRoot", "Refuses to start as root; true unless set."),
    ("", "runAsUser", "Number of the user that the program runs as; the image's unless set."),
    ("", "runAsGroup", "Number of its group; the image's unless set."),
    ("", "fsGroup", "Number of a group that owns the volumes, and that every container is in."),
    ("", "fsGroupChangePolicy", "Whether the owner of all files in a volume is set at each start (Always), or only where the top folder's differs (OnRootMismatch)."),
    ("", "supplementalGroups", "Numbers of further groups that every container is in."),
    ("", "supplementalGroupsPolicy", "Whether the groups that the image's /etc/group gives the user count as well (Merge) or not (Strict)."),
    ("", "seccompProfile", "Which system calls are let through; RuntimeDefault unless set."),
    ("seccompProfile", "type", "RuntimeDefault, Localhost or Unconfined."),
    ("", "appArmorProfile", "AppArmor profile, on nodes that have it."),
    ("appArmorProfile", "type", "RuntimeDefault, Localhost or Unconfined."),
    ("", "localhostProfile", "Name of a profile on the node, for type Localhost."),
    ("", "seLinuxOptions", "SELinux context; the runtime chooses one unless set."),
    ("", "seLinuxChangePolicy", "How volumes get that context: by their mount (MountOption) or file by file (Recursive)."),
    ("", "level", "Level of the context."),
    ("", "role", "Role of the context."),
    ("seLinuxOptions", "type", "Type of the context."),
    ("", "user", "User of the context."),
    ("", "sysctls", "Kernel settings of the pod."),
    ("sysctls", "name", "Name of the setting."),
    ("sysctls", "value", "Its value."),
    ("", "windowsOptions", "For pods on Windows nodes."),
    ("", "gmsaCredentialSpec", "The GMSA credential spec itself."),
    ("", "gmsaCredentialSpecName", "Name of the GMSA credential spec."),
    ("", "hostProcess", "Runs as a process of the node."),
    ("", "runAsUserName", "Name of the Windows user."),

    // Scheduling
    ("tolerations", "operator", "Exists, or Equal (unless set), which compares the value."),
    ("tolerations", "value", "Value of the taint."),
    ("", "effect", "Effect of the taint: NoSchedule, PreferNoSchedule or NoExecute; every one unless set."),
    ("", "tolerationSeconds", "How long a pod stays on a node that gets the taint, for NoExecute; for ever unless set."),
    ("", "matchLabels", "Labels that must all be there with that value."),
    ("", "matchExpressions", "Conditions on labels that must all hold."),
    ("matchExpressions", "operator", "In, NotIn, Exists or DoesNotExist."),
    ("", "values", "Values to compare with, for In and NotIn; for Gt and Lt a number."),
    ("", "nodeAffinity", "Nodes, by their labels."),
    ("", "podAffinity", "Near to which other pods."),
    ("", "podAntiAffinity", "Away from which other pods, such as the App's own: label moorage.dev/app."),
    ("", "requiredDuringSchedulingIgnoredDuringExecution", "What must hold; a pod for which it can't waits."),
    ("", "preferredDuringSchedulingIgnoredDuringExecution", "What is better; a pod runs without it, too."),
    ("", "nodeSelectorTerms", "Sets of conditions, of which one must hold."),
    ("", "matchFields", "Conditions on the node itself: by name."),
    ("matchFields", "key", "The field; metadata.name."),
    ("matchFields", "operator", "In or NotIn."),
    ("", "preference", "The conditions."),
    ("", "podAffinityTerm", "Which pods, and what near means."),
    ("", "weight", "How much it counts, against others."),
    ("", "topologyKey", "Label of nodes: those with one value of it are one place, such as kubernetes.io/hostname."),
    ("podAffinityTerm", "labelSelector", "Labels of those pods; unset there are none."),
    ("requiredDuringSchedulingIgnoredDuringExecution", "labelSelector", "Labels of those pods; unset there are none."),
    ("topologySpreadConstraints", "labelSelector", "Labels of the pods that are counted; unset there are none."),
    ("", "namespaceSelector", "Labels of the namespaces of those pods; with namespaces unset as well, the App's own."),
    ("", "namespaces", "Names of the namespaces of those pods."),
    ("", "matchLabelKeys", "Labels that must be the same as the pod's own, such as pod-template-hash."),
    ("", "mismatchLabelKeys", "Labels that must be others than the pod's own."),
    ("", "maxSkew", "By how many pods places may differ."),
    ("", "minDomains", "So many places there must be at least; where there are fewer, the missing ones count as empty."),
    ("", "whenUnsatisfiable", "DoNotSchedule has the pod wait; ScheduleAnyway comes as near as can be."),
    ("", "nodeAffinityPolicy", "Whether only nodes count that the pod may be on (Honor, unless set) or all (Ignore)."),
    ("", "nodeTaintsPolicy", "Whether nodes don't count whose taints the pod does not tolerate (Honor) or do (Ignore, unless set)."),
    ("os", "name", "linux or windows."),
    ("", "conditionType", "Type of the condition of the pod, such as example.com/registered."),
    ("", "resourceClaimName", "A ResourceClaim of the namespace, which all pods share."),
    ("", "resourceClaimTemplateName", "A ResourceClaimTemplate of the namespace, of which each pod gets a claim of its own."),
    ("resourceClaims", "name", "Name of the claim within the pod."),

    // Names
    ("", "ip", "The address."),
    ("", "hostnames", "Its names."),
    ("", "nameservers", "Addresses of DNS servers, at most three."),
    ("", "searches", "Domains in which short names are looked for."),
    ("", "options", "Options of resolv.conf, such as ndots."),
    ("options", "name", "Name of the option."),
    ("options", "value", "Its value."),

    // Resizing
    ("", "resourceName", "cpu or memory."),
    ("resizePolicy", "restartPolicy", "NotRequired (unless set) or RestartContainer."),

    // Volumes
    ("", "items", "Which keys become files, and under which path; every key under its own name unless set."),
    ("items", "path", "Path of the file within the volume."),
    ("items", "mode", "Permissions of the file, as 0644 in YAML."),
    ("", "defaultMode", "Permissions of files that have none of their own, as 0644 in YAML."),
    ("", "medium", "Memory for a volume in memory, which counts as the container's; on the node's disk unless set."),
    ("", "sizeLimit", "How large it may grow; a pod that exceeds it is evicted."),
    ("", "sources", "What is put together in one volume."),
    ("sources", "configMap", "Keys of a ConfigMap."),
    ("sources", "secret", "Keys of a Secret."),
    ("sources", "downwardAPI", "Fields of the pod."),
    ("sources", "serviceAccountToken", "A token of the pod's ServiceAccount, which is renewed by itself."),
    ("sources", "clusterTrustBundle", "Certificates of authorities that the cluster publishes, where it serves that API."),
    ("secret", "secretName", "Name of the Secret."),
    ("serviceAccountToken", "path", "Path of the file within the volume."),
    ("clusterTrustBundle", "path", "Path of the file within the volume."),
    ("clusterTrustBundle", "name", "Name of one bundle."),
    ("", "labelSelector", "Labels of the bundles, of those with that signerName."),
    ("", "signerName", "Name of the signer whose bundles are taken."),
    ("", "audience", "Who the token is for; the API server unless set."),
    ("", "expirationSeconds", "For how long a token is good, at least; an hour unless set."),

    ("csi", "driver", "Name of the driver, as in its CSIDriver."),
    ("", "fsType", "Type of the file system, if the driver asks for one."),
    ("", "nodePublishSecretRef", "A Secret of the namespace that the driver is handed."),
    ("csi", "readOnly", "Whether the driver makes it read-only; false unless set."),
    ("", "volumeAttributes", "What the driver wants to know; its documentation says what."),
    ("", "reference", "The image or artifact, as an App's image; pulled with the same secrets."),
    ("image", "pullPolicy", "When it is pulled. Always for the tag latest, else IfNotPresent, unless set."),

    // The claim of a volume of each pod's own
    ("", "accessModes", "How the volume may be mounted."),
    ("", "resources", "Its size: requests.storage."),
    ("", "selector", "Labels of the PersistentVolume to take."),
    ("", "storageClassName", "StorageClass; the cluster's default class unless set."),
    ("", "volumeAttributesClassName", "VolumeAttributesClass, where the driver has some."),
    ("", "volumeMode", "Filesystem (unless set) or Block."),
    ("", "volumeName", "PersistentVolume to take; there is one only, so this is for one pod."),
    ("", "dataSource", "A VolumeSnapshot or PersistentVolumeClaim of the namespace that it is made from."),
    ("", "dataSourceRef", "Likewise, of any kind that has a populator."),
    ("", "apiGroup", "API group of that object."),
    ("", "kind", "Kind of that object."),
    ("dataSourceRef", "namespace", "Namespace of that object, where the cluster allows another one."),

    // Conditions
    ("conditions", "type", "What it is about."),
    ("conditions", "status", "True, False or Unknown."),
    ("conditions", "reason", "Why, in one word; docs/reasons has a page for each."),
    ("conditions", "message", "Which object, what is wrong and what to do."),
    ("conditions", "lastTransitionTime", "When the status changed last."),
    ("conditions", "observedGeneration", "Generation of the spec that it speaks of."),
];

#[cfg(test)]
mod tests {
    use super::WORDS;

    #[test]
    fn each_is_one_entry_and_a_sentence() {
        for (index, (within, field, text)) in WORDS.iter().enumerate() {
            assert!(text.ends_with('.') && text.len() < 200, "{within}.{field}: {text}");
            let again = WORDS[..index].iter().any(|(holder, name, _)| holder == within && name == field);
            assert!(!again, "{within}.{field} stands there twice");
        }
    }
}
