{{/* NetworkPolicies: peers and ports that several have in common. */}}

{{/* The head of the policy of a tier. */}}
{{- define "postern.policyHead" -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ include "postern.fullname" .root }}-{{ .component }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "postern.labels" . | nindent 4 }}
spec:
  podSelector:
    matchLabels:
      {{- include "postern.selector" . | nindent 6 }}
  policyTypes: [Ingress, Egress]
{{- end -}}

{{/* The pods of a component, as a peer. */}}
{{- define "postern.peer" -}}
- podSelector:
    matchLabels:
      {{- include "postern.selector" . | nindent 6 }}
{{- end -}}

{{/* Who reads metrics. */}}
{{- define "postern.ingressOfMetrics" -}}
{{- with .root.Values.networkPolicy.metricsFrom -}}
- from:
    {{- toYaml . | nindent 4 }}
  ports:
    - {protocol: TCP, port: {{ include "postern.adminPort" $.component }}}
{{- end }}
{{- end -}}

{{- define "postern.egressToDns" -}}
- to:
    {{- toYaml .Values.networkPolicy.dns | nindent 4 }}
  ports:
    - {protocol: UDP, port: 53}
    - {protocol: TCP, port: 53}
{{- end -}}

{{/* The collector of spans, if there is one. */}}
{{- define "postern.egressToCollector" -}}
{{- with .Values.tracing -}}
{{- if .endpoint -}}
- to:
    {{- toYaml .collector | nindent 4 }}
  ports:
    - {protocol: TCP, port: {{ regexFind "[0-9]+$" .endpoint }}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Of an address as dns_servers has it: 192.0.2.53, 192.0.2.53:53, [2001:db8::53], [2001:db8::53]:53. */}}
{{- define "postern.addressOf" -}}
{{- if hasPrefix "[" . -}}
{{ regexFind "[0-9a-fA-F:.]+" . }}/128
{{- else -}}
{{ regexFind "^[0-9.]+" . }}/32
{{- end -}}
{{- end -}}

{{- define "postern.portOf" -}}
{{ regexFind "^:[0-9]+$" (regexReplaceAll "^(\\[.*\\]|[0-9.]+)" . "") | trimPrefix ":" | default "53" }}
{{- end -}}
