{{/* Names, labels and images: what every object is called. */}}

{{- define "postern.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* The first part of every name; 40 characters, so that the rest fits. */}}
{{- define "postern.fullname" -}}
{{- $name := include "postern.name" . -}}
{{- $full := .Values.fullnameOverride | default (contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name)) -}}
{{- $full | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* What finds the pods of a tier. Never more than this: a selector cannot be changed. (dict "root" $ "component" "store") */}}
{{- define "postern.selector" -}}
app.kubernetes.io/name: {{ include "postern.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "postern.version" -}}
{{- .Values.image.tag | default .Chart.AppVersion | replace "+" "_" | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* Of objects. */}}
{{- define "postern.labels" -}}
{{ include "postern.selector" . }}
app.kubernetes.io/part-of: postern
app.kubernetes.io/version: {{ include "postern.version" .root | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Of pods: what changes with the chart alone is not among them, as that would restart them. */}}
{{- define "postern.podLabels" -}}
{{ include "postern.selector" . }}
app.kubernetes.io/part-of: postern
app.kubernetes.io/version: {{ include "postern.version" .root | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
{{- end -}}

{{/* (dict "root" $ "image" .Values.gateway.image) */}}
{{- define "postern.image" -}}
{{- $repository := .image.repository -}}
{{- with .root.Values.image.registry }}{{ $repository = printf "%s/%s" (trimSuffix "/" .) $repository }}{{ end -}}
{{- if .image.digest -}}
{{ $repository }}@{{ .image.digest }}
{{- else -}}
{{ $repository }}:{{ .root.Values.image.tag | default .root.Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- define "postern.pullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* The name by which gateways find a tier. (dict "root" $ "component" "store") */}}
{{- define "postern.host" -}}
{{ include "postern.fullname" .root }}-{{ .component }}.{{ .root.Release.Namespace }}.svc.{{ .root.Values.clusterDomain }}
{{- end -}}

{{/* The name in its certificate by which a tier, or an operator, is let in. (dict "root" $ "component" "gateway") */}}
{{- define "postern.callerName" -}}
{{ include "postern.fullname" .root }}-{{ .component }}.{{ .root.Release.Namespace }}.svc
{{- end -}}

{{/* The entries that hold secrets, and where they come from. */}}
{{- define "postern.signingKeySecret" -}}
{{ .Values.signingKey.existingSecret | default (printf "%s-signing-key" (include "postern.fullname" .)) }}
{{- end -}}

{{/* Empty: no token is asked for. */}}
{{- define "postern.adminTokenSecret" -}}
{{- with .Values.adminToken -}}
{{ .existingSecret | default (ternary (printf "%s-admin-token" (include "postern.fullname" $)) "" (ne .inline "")) }}
{{- end -}}
{{- end -}}

{{- define "postern.databaseSecret" -}}
{{- if .Values.database.cloudNativePG.enabled -}}
{{ include "postern.fullname" . }}-db-app
{{- else -}}
{{ .Values.database.existingSecret | default (printf "%s-database" (include "postern.fullname" .)) }}
{{- end -}}
{{- end -}}

{{/* (dict "root" $ "component" "store") */}}
{{- define "postern.tlsSecret" -}}
{{- if .root.Values.mtls.certManager.enabled -}}
{{ include "postern.fullname" .root }}-{{ .component }}-tls
{{- else -}}
{{ index .root.Values.mtls.existingSecrets .component }}
{{- end -}}
{{- end -}}
