{{/* Labels of every object. */}}
{{- define "moorage.labels" -}}
{{- $ours := include "moorage.selector" . | fromYaml }}
{{- $_ := set $ours "app.kubernetes.io/instance" .Release.Name }}
{{- $_ := set $ours "app.kubernetes.io/version" .Chart.AppVersion }}
{{- $_ := set $ours "app.kubernetes.io/managed-by" .Release.Service }}
{{- $_ := set $ours "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_") }}
{{- toYaml (merge $ours .Values.commonLabels) }}
{{- end }}

{{/* Labels of the pods: no version, as one that changes restarts them. */}}
{{- define "moorage.podLabels" -}}
{{- toYaml (merge (include "moorage.selector" . | fromYaml) .Values.podLabels .Values.commonLabels) }}
{{- end }}

{{- define "moorage.monitorLabels" -}}
{{- toYaml (merge (include "moorage.labels" . | fromYaml) .Values.podMonitor.labels) }}
{{- end }}

{{- define "moorage.podAnnotations" -}}
{{- with .Values.podAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "moorage.accountAnnotations" -}}
{{- with .Values.serviceAccount.annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* No image is published, and a name that a stranger could register would let them run with the operator's rights. */}}
{{- define "moorage.image" -}}
{{- $repository := required "image.repository must be set: no image of Moorage is published yet. Build it from the Dockerfile, push it, and say where it is: --set image.repository=registry.example.com/team/moorage" .Values.image.repository }}
{{- if .Values.image.digest }}
{{- printf "%s@%s" $repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" $repository (.Values.image.tag | default .Chart.AppVersion) }}
{{- end }}
{{- end }}

{{/* What no schema can say. */}}
{{- define "moorage.checks" -}}
{{- if .Values.watchNamespaces }}
{{- range .Values.components.configSecrets }}
{{- if not (has . $.Values.watchNamespaces) }}
{{- fail (printf "components.configSecrets names %s, which must be in watchNamespaces" .) }}
{{- end }}
{{- end }}
{{- end }}
{{- if and (has "own-service-accounts" .Values.forbid) (has "service-account-names" .Values.forbid) }}
{{- fail "forbid must not have both own-service-accounts and service-account-names, as every App runs as an account of its own or as one that it names" }}
{{- end }}
{{- if and .Values.podMonitor.enabled .Values.components.metricsAuth (not .Values.podMonitor.tokenSecret) }}
{{- fail "podMonitor.tokenSecret must be set where components.metricsAuth is, as Prometheus is refused without a token" }}
{{- end }}
{{- end }}

{{- define "moorage.args" -}}
{{- with .Values.extraArgs }}
{{- toYaml . }}
{{- end }}
{{- end }}

{{- define "moorage.env" -}}
{{- with .Values.watchNamespaces }}
- name: MOORAGE_WATCH_NAMESPACE
  value: {{ join "," . | quote }}
{{- end }}
{{- if .Values.components.metricsAuth }}
- name: MOORAGE_METRICS_AUTH
  value: token
{{- end }}
{{- with .Values.log.filter }}
- name: MOORAGE_LOG
  value: {{ . | quote }}
{{- end }}
{{- with .Values.log.format }}
- name: MOORAGE_LOG_FORMAT
  value: {{ . | quote }}
{{- end }}
{{- with .Values.forbid }}
- name: MOORAGE_FORBID
  value: {{ join "," . | quote }}
{{- end }}
{{- with .Values.registryImage }}
- name: MOORAGE_REGISTRY_IMAGE
  value: {{ . | quote }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "moorage.container" -}}
{{- with .Values.image.pullPolicy }}
imagePullPolicy: {{ . }}
{{- end }}
{{- with .Values.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "moorage.pod" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . | quote }}
  {{- end }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- range $field := list "nodeSelector" "tolerations" "affinity" "topologySpreadConstraints" }}
{{- with get $.Values $field }}
{{ $field }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}

{{- define "moorage.endpoint" -}}
{{- with .Values.podMonitor.interval }}
interval: {{ . | quote }}
{{- end }}
{{- with .Values.podMonitor.tokenSecret }}
authorization:
  type: Bearer
  credentials:
    name: {{ . | quote }}
    key: token
{{- end }}
{{- end }}
