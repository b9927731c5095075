{{/* Names, labels, images and addresses. */}}

{{- define "homeostat.fullname" -}}
{{- if contains "homeostat" .Release.Name -}}
{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-homeostat" .Release.Name | trunc 40 | trimSuffix "-" }}
{{- end -}}
{{- end -}}

{{/* Arguments: root, component. */}}
{{- define "homeostat.name" -}}
{{ include "homeostat.fullname" .root }}-{{ .component }}
{{- end -}}

{{- define "homeostat.selector" -}}
app.kubernetes.io/name: homeostat
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "homeostat.labels" -}}
{{ include "homeostat.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: homeostat
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end -}}

{{- define "homeostat.metadata" -}}
name: {{ include "homeostat.name" . }}
namespace: {{ .root.Release.Namespace }}
labels: {{- include "homeostat.labels" . | nindent 2 }}
{{- end -}}

{{/* Arguments: root, image. */}}
{{- define "homeostat.image" -}}
{{- $image := .root.Values.image -}}
{{- with $image.registry }}{{ . | trimSuffix "/" }}/{{ end }}{{ .image }}:{{ $image.tag | default .root.Chart.AppVersion }}
{{- end -}}

{{- define "homeostat.scheme" -}}
{{ ternary "https" "http" (ne .Values.tls.existingSecret "") }}
{{- end -}}

{{/* The base URL of a component's Service. Arguments: root, component, port. */}}
{{- define "homeostat.url" -}}
{{ include "homeostat.scheme" .root }}://{{ include "homeostat.name" . }}:{{ .port }}
{{- end -}}

{{/* The base URL of each inference server, comma separated: of those that always run, where more come and go. */}}
{{- define "homeostat.servers" -}}
{{- $name := include "homeostat.name" (dict "root" . "component" "inference") -}}
{{- $urls := list -}}
{{- range $number := until (int .Values.inference.replicas) -}}
{{- $urls = append $urls (printf "%s://%s-%d.%s-servers.%s.svc:8000" (include "homeostat.scheme" $) $name $number $name $.Release.Namespace) -}}
{{- end -}}
{{ join "," $urls }}
{{- end -}}

{{/* The names by which a component is reached inside of the cluster, for the check of the Host header. */}}
{{- define "homeostat.hostNames" -}}
{{- $name := include "homeostat.name" . -}}
{{- $namespace := .root.Release.Namespace -}}
{{ printf "%s,%s.%s,%s.%s.svc,%s.%s.svc.cluster.local" $name $name $namespace $name $namespace $name $namespace }}
{{- end -}}

{{- define "homeostat.keysSecret" -}}
{{ .Values.keys.existingSecret | default (printf "%s-keys" (include "homeostat.fullname" .)) }}
{{- end -}}
