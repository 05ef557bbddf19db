{{/* How many pods there are, and how many may go at once. */}}

{{- define "postern.autoscaler" -}}
{{- $name := printf "%s-%s" (include "postern.fullname" .root) .component -}}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: {{ $name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "postern.labels" . | nindent 4 }}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: {{ $name }}}
  minReplicas: {{ int .tier.autoscaling.minReplicas }}
  maxReplicas: {{ int .tier.autoscaling.maxReplicas }}
  metrics:
    {{- if gt (int .tier.autoscaling.targetCPUUtilizationPercentage) 0 }}
    - type: Resource
      resource:
        name: cpu
        target: {type: Utilization, averageUtilization: {{ int .tier.autoscaling.targetCPUUtilizationPercentage }}}
    {{- end }}
    {{- if gt (int .tier.autoscaling.targetUnderWay) 0 }}
    - type: Pods
      pods:
        metric: {name: {{ printf "postern_%s_%s_under_way" .component (ternary "requests" "calls" (eq .component "gateway")) }}}
        target: {type: AverageValue, averageValue: {{ int .tier.autoscaling.targetUnderWay | quote }}}
    {{- end }}
    {{- with .tier.autoscaling.metrics }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  behavior:
    {{- if .tier.autoscaling.behavior }}
    {{- toYaml .tier.autoscaling.behavior | nindent 4 }}
    {{- else }}
    scaleUp:
      stabilizationWindowSeconds: 0
      selectPolicy: Max
      policies:
        - {type: Percent, value: 100, periodSeconds: 15}
        - {type: Pods, value: 2, periodSeconds: 15}
    scaleDown:
      stabilizationWindowSeconds: 300
      policies:
        - {type: Pods, value: 1, periodSeconds: 60}
    {{- end }}
{{- end -}}

{{- define "postern.disruptionBudget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "postern.fullname" .root }}-{{ .component }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "postern.labels" . | nindent 4 }}
spec:
  maxUnavailable: {{ .tier.podDisruptionBudget.maxUnavailable }}
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "postern.selector" . | nindent 6 }}
{{- end -}}

{{/* Both, where they are wanted: each after a line of its own. */}}
{{- define "postern.scaling" -}}
{{- if .tier.autoscaling.enabled }}
---
{{ include "postern.autoscaler" . }}
{{- end }}
{{- $fewest := ternary .tier.autoscaling.minReplicas .tier.replicas .tier.autoscaling.enabled | int }}
{{- if and .tier.podDisruptionBudget.enabled (gt $fewest 1) }}
---
{{ include "postern.disruptionBudget" . }}
{{- end }}
{{- end -}}
