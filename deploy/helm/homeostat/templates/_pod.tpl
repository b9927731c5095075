{{/* What all pods and containers have in common. */}}

{{/* Arguments: root, component, values (of the component), account (empty: the common one), usesApi (of the cluster). */}}
{{- define "homeostat.pod" -}}
serviceAccountName: {{ .account | default (include "homeostat.fullname" .root) }}
automountServiceAccountToken: {{ .usesApi | default false }}
# Otherwise the cluster sets variables such as HOMEOSTAT_DRIFT_PORT for every Service, which are settings of ours.
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Arguments: root, image, resources. */}}
{{- define "homeostat.container" -}}
image: {{ include "homeostat.image" . }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
resources: {{- toYaml .resources | nindent 2 }}
{{- end -}}

{{/* A port and its probes. Arguments: root, name, port, readiness (empty: none). Routes of probes need no API key. */}}
{{- define "homeostat.probes" -}}
{{- $scheme := include "homeostat.scheme" .root | upper -}}
ports:
  - {name: {{ .name }}, containerPort: {{ .port }}}
startupProbe:
  httpGet: {path: /health/live, port: {{ .name }}, scheme: {{ $scheme }}}
  periodSeconds: 2
  timeoutSeconds: 5
  failureThreshold: 150
livenessProbe:
  httpGet: {path: /health/live, port: {{ .name }}, scheme: {{ $scheme }}}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
{{- if .ready }}
readinessProbe:
  httpGet: {path: /health/ready, port: {{ .name }}, scheme: {{ $scheme }}}
  periodSeconds: 2
  timeoutSeconds: 5
  failureThreshold: 2
{{- end }}
{{- end -}}

{{/* Names of the passwords that a component needs of secrets.existingSecret, as a YAML list. Arguments: root, wants. */}}
{{- define "homeostat.passwords" -}}
{{- $values := .root.Values -}}
{{- $names := list -}}
{{- if has "kafka" .wants -}}
{{- if contains "SASL" $values.kafka.securityProtocol -}}{{ $names = append $names "kafka_password" }}{{- end -}}
{{- if $values.kafka.ca -}}{{ $names = append $names "kafka_ca.pem" }}{{- end -}}
{{- end -}}
{{- if and (has "grafana" .wants) $values.monitoring.grafanaUrl -}}{{ $names = append $names "grafana_password" }}{{- end -}}
{{- if and (has "watching" .wants) $values.monitoring.password -}}{{ $names = append $names "monitoring_password" }}{{- end -}}
{{- if and (has "ledger" .wants) $values.ledger.url $values.ledger.password -}}{{ $names = append $names "ledger_password" }}{{- end -}}
{{- if and $names (not $values.secrets.existingSecret) -}}
{{- fail (printf "secrets.existingSecret must be set: it holds %s" (join ", " $names)) -}}
{{- end -}}
{{ toYaml $names }}
{{- end -}}

{{/*
Volumes of a pod. Arguments: root, tmp (size), keys (by volume: names of files), apiKey (a name, or empty), wants (passwords).
*/}}
{{- define "homeostat.volumes" -}}
- name: tmp
  emptyDir: {sizeLimit: {{ .tmp }}}
- name: api-keys
  secret:
    secretName: {{ include "homeostat.keysSecret" .root }}
    defaultMode: 0440
    items: [{key: api_keys.json, path: api_keys.json}]
{{- range $name, $files := .keys }}
- name: {{ $name }}
  secret:
    secretName: {{ include "homeostat.keysSecret" $.root }}
    defaultMode: 0440
    items:
      {{- range $files }}
      - {key: {{ . }}, path: {{ . }}}
      {{- end }}
{{- end }}
{{- $passwords := include "homeostat.passwords" . | fromYamlArray }}
{{- if or $passwords .apiKey }}
- name: secrets
  projected:
    defaultMode: 0440
    sources:
      {{- with .apiKey }}
      - secret:
          name: {{ include "homeostat.keysSecret" $.root }}
          items: [{key: {{ . }}, path: {{ . }}}]
      {{- end }}
      {{- if $passwords }}
      - secret:
          name: {{ .root.Values.secrets.existingSecret }}
          items:
            {{- range $passwords }}
            - {key: {{ . }}, path: {{ . }}}
            {{- end }}
      {{- end }}
{{- end }}
{{- with .root.Values.tls.existingSecret }}
- name: tls
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- with .root.Values.sharedVolume.existingClaim }}
- name: shared
  persistentVolumeClaim: {claimName: {{ . }}}
{{- end }}
{{- end -}}

{{/* Where a container mounts them. Arguments: those of homeostat.volumes, keysVolume (empty: none), writesShared. */}}
{{- define "homeostat.mounts" -}}
- {name: tmp, mountPath: /tmp}
- {name: api-keys, mountPath: /data/api-keys, readOnly: true}
{{- with .keysVolume }}
- {name: {{ . }}, mountPath: /data/keys, readOnly: true}
{{- end }}
{{- $passwords := include "homeostat.passwords" . | fromYamlArray }}
{{- if or $passwords .apiKey }}
- {name: secrets, mountPath: /etc/homeostat/secrets, readOnly: true}
{{- end }}
{{- if .root.Values.tls.existingSecret }}
- {name: tls, mountPath: /etc/homeostat/tls, readOnly: true}
{{- end }}
{{- if .root.Values.sharedVolume.existingClaim }}
- {name: shared, mountPath: /data/shared, readOnly: {{ not .writesShared }}}
{{- end }}
{{- end -}}

{{/* A Service. Arguments: root, component, port, name; type, affinity. */}}
{{- define "homeostat.service" -}}
apiVersion: v1
kind: Service
metadata: {{- include "homeostat.metadata" . | nindent 2 }}
spec:
  type: {{ .type | default "ClusterIP" }}
  {{- with .affinity }}
  sessionAffinity: {{ . }}
  {{- end }}
  selector: {{- include "homeostat.selector" (dict "root" .root "component" (.of | default .component)) | nindent 4 }}
  ports:
    - {name: {{ .component }}, port: {{ .port }}, targetPort: {{ .component }}}
{{- end -}}

{{- define "homeostat.claim" -}}
accessModes: [{{ .accessMode | default "ReadWriteOnce" }}]
{{- with .storageClass }}
storageClassName: {{ . }}
{{- end }}
resources: {requests: {storage: {{ .size }}}}
{{- end -}}
