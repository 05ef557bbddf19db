{{/* The services' own files. What the user says is overlaid by what the chart wires: names, ports, files, grace. */}}

{{- define "postern.betweenServices" -}}
{{- if .Values.mtls.enabled -}}
certificate_file: /etc/postern/tls/tls.crt
key_file: /etc/postern/tls/tls.key
ca_file: /etc/postern/tls/ca.crt
allowed_peers:
  - {{ .Values.mtls.callers.gateway | default (include "postern.callerName" (dict "root" . "component" "gateway")) }}
  {{- if .Values.mtls.certManager.operatorCertificate }}
  - {{ include "postern.callerName" (dict "root" . "component" "operator") }}
  {{- end }}
  {{- range .Values.mtls.callers.operators }}
  - {{ . }}
  {{- end }}
{{- else -}}
plaintext: true
{{- end -}}
{{- end -}}

{{/* (dict "root" $ "component" "gateway" "tier" …) */}}
{{- define "postern.configuration" -}}
{{- $wired := include (printf "postern.wiring.%s" .component) . | fromYaml -}}
{{- $config := deepCopy .tier.config -}}
{{- include "postern.overlay" (dict "base" $config "over" $wired) -}}
{{- include "postern.overlay" (dict "base" $config "over" (include "postern.betweenServices" .root | fromYaml)) -}}
{{- with .root.Values.tracing -}}
{{- if .endpoint -}}
{{- $_ := set $config "otlp_endpoint" .endpoint -}}
{{- if eq $.component "gateway" -}}{{- $_ := set $config "trace_sample_ratio" .sampleRatio -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- $_ := set $config "shutdown_grace" (printf "%ds" (int .tier.shutdownGraceSeconds)) -}}
{{- toYaml $config -}}
{{- end -}}

{{- define "postern.wiring.gateway" -}}
server_name: {{ .root.Values.serverName | quote }}
listen: {{ printf "%s:%s" .root.Values.listenAddress (include "postern.gatewayPort" .root) | quote }}
admin_listen: {{ printf "%s:9093" .root.Values.listenAddress | quote }}
admin_grpc_listen: 127.0.0.1:7103
store: {{ printf "dns:///%s:7102" (include "postern.host" (dict "root" .root "component" "store")) }}
validator: {{ printf "dns:///%s:7101" (include "postern.host" (dict "root" .root "component" "validator")) }}
signing_key_file: /etc/postern/signing-key/signing.key
{{- if include "postern.adminTokenSecret" .root }}
admin_token_file: /etc/postern/admin-token/token
{{- end }}
{{- with .root.Values.signingKey }}
{{- if .oldVerifyKeysKey }}
old_verify_keys_file: /etc/postern/signing-key/old_verify_keys
{{- end }}
{{- with .oldVerifyKeys }}
old_verify_keys:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- if .tier.tls.existingSecret }}
tls_certificate_file: /etc/postern/federation-tls/tls.crt
tls_key_file: /etc/postern/federation-tls/tls.key
{{- end }}
{{- end -}}

{{- define "postern.wiring.validator" -}}
listen: {{ printf "%s:7101" .root.Values.listenAddress | quote }}
admin_listen: {{ printf "%s:9091" .root.Values.listenAddress | quote }}
{{- end -}}

{{- define "postern.wiring.store" -}}
server_name: {{ .root.Values.serverName | quote }}
listen: {{ printf "%s:7102" .root.Values.listenAddress | quote }}
admin_listen: {{ printf "%s:9092" .root.Values.listenAddress | quote }}
database_uri_file: /etc/postern/database/uri
{{- end -}}

{{- define "postern.gatewayPort" -}}
{{ ternary "8448" "8008" (ne .Values.gateway.tls.existingSecret "") }}
{{- end -}}

{{- define "postern.gatewayScheme" -}}
{{ ternary "https" "http" (ne .Values.gateway.tls.existingSecret "") }}
{{- end -}}

{{- define "postern.adminPort" -}}
{{ get (dict "gateway" "9093" "validator" "9091" "store" "9092") . }}
{{- end -}}

{{/* What a cluster's gRPC Services say of their port. */}}
{{- define "postern.grpcProtocol" -}}
{{ ternary "https" "kubernetes.io/h2c" .Values.mtls.enabled }}
{{- end -}}
