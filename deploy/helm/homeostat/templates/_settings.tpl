{{/* Environment variables: a dictionary as YAML each, and the list that a container has. */}}

{{- define "homeostat.settings.common" -}}
HOMEOSTAT_API_KEYS: /data/api-keys/api_keys.json
HOMEOSTAT_KAFKA: {{ .Values.kafka.bootstrapServers | quote }}
HOMEOSTAT_MODEL_STORE: {{ .Values.modelStore | quote }}
HOMEOSTAT_LAKE: {{ .Values.lake | quote }}
{{- with .Values.reports }}
HOMEOSTAT_REPORTS: {{ . | quote }}
{{- end }}
{{- if .Values.tls.existingSecret }}
HOMEOSTAT_TLS_CERTIFICATE: /etc/homeostat/tls/tls.crt
HOMEOSTAT_TLS_KEY: /etc/homeostat/tls/tls.key
HOMEOSTAT_TLS_CA: /etc/homeostat/tls/ca.crt
{{- end }}
{{- end -}}

{{- define "homeostat.settings.kafka" -}}
HOMEOSTAT_KAFKA_SECURITY_PROTOCOL: {{ .Values.kafka.securityProtocol }}
{{- if contains "SASL" .Values.kafka.securityProtocol }}
HOMEOSTAT_KAFKA_SASL_MECHANISM: {{ .Values.kafka.saslMechanism }}
HOMEOSTAT_KAFKA_USERNAME: {{ .Values.kafka.username | quote }}
HOMEOSTAT_KAFKA_PASSWORD_FILE: /etc/homeostat/secrets/kafka_password
{{- end }}
{{- if .Values.kafka.ca }}
HOMEOSTAT_KAFKA_CA: /etc/homeostat/secrets/kafka_ca.pem
{{- end }}
{{- end -}}

{{- define "homeostat.settings.grafana" -}}
{{- with .Values.monitoring.grafanaUrl }}
HOMEOSTAT_GRAFANA_URL: {{ . | quote }}
HOMEOSTAT_GRAFANA_USER: admin
HOMEOSTAT_GRAFANA_PASSWORD_FILE: /etc/homeostat/secrets/grafana_password
{{- end }}
{{- end -}}

{{- define "homeostat.settings.watching" -}}
{{- with .Values.monitoring }}
{{- with .prometheusUrl }}
HOMEOSTAT_PROMETHEUS_URL: {{ . | quote }}
{{- end }}
{{- with .alertmanagerUrl }}
HOMEOSTAT_ALERTMANAGER_URL: {{ . | quote }}
{{- end }}
{{- if .password }}
HOMEOSTAT_MONITORING_PASSWORD_FILE: /etc/homeostat/secrets/monitoring_password
{{- end }}
{{- end }}
{{- end -}}

{{- define "homeostat.settings.addresses" -}}
{{- $root := . -}}
HOMEOSTAT_INFERENCE_URL: {{ include "homeostat.url" (dict "root" $root "component" "inference" "port" 8000) }}
{{- $inference := include "homeostat.name" (dict "root" $root "component" "inference") }}
HOMEOSTAT_SHIPPER_URL: {{ printf "%s://%s-0.%s-servers.%s.svc:8001" (include "homeostat.scheme" $root) $inference $inference $root.Release.Namespace }}
HOMEOSTAT_DRIFT_URL: {{ include "homeostat.url" (dict "root" $root "component" "drift" "port" 8002) }}
HOMEOSTAT_RETRAINING_URL: {{ include "homeostat.url" (dict "root" $root "component" "retraining" "port" 8003) }}
HOMEOSTAT_SINK_URL: {{ include "homeostat.url" (dict "root" $root "component" "sink" "port" 8004) }}
{{- end -}}

{{/* The variables of a container. Arguments: root, parts (names of the dictionaries above), own (a dictionary), settings (of values). */}}
{{- define "homeostat.environment" -}}
{{- $all := dict -}}
{{- range .parts -}}
{{- $all = merge $all (include (printf "homeostat.settings.%s" .) $.root | fromYaml) -}}
{{- end -}}
{{- $all = mergeOverwrite $all (.own | default dict) .root.Values.objectStore.environment .root.Values.settings (.settings | default dict) -}}
env:
{{- range $name, $value := $all }}
  - {name: {{ $name }}, value: {{ $value | toString | quote }}}
{{- end }}
{{- with .root.Values.objectStore.existingSecret }}
envFrom:
  - secretRef: {name: {{ . }}}
{{- end }}
{{- end -}}
