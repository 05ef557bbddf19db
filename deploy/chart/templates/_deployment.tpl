{{/* The pods of a tier. (dict "root" $ "component" "store" "tier" … "port" (dict "name" … "number" …) "secrets" …)
     `secrets`: a list of (dict "volume" … "secret" … "items" (dict ENTRY FILE …)), each mounted at /etc/postern/VOLUME.
     `secretText`: of Secrets that the chart makes, so that a change of one restarts the pods. */}}

{{- define "postern.deployment" -}}
{{- $name := printf "%s-%s" (include "postern.fullname" .root) .component -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ $name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "postern.labels" . | nindent 4 }}
spec:
  replicas: {{ include "postern.replicas" . }}
  minReadySeconds: {{ int .tier.minReadySeconds }}
  revisionHistoryLimit: {{ int .tier.revisionHistoryLimit }}
  strategy:
    type: RollingUpdate
    rollingUpdate: {maxSurge: 1, maxUnavailable: 0}
  selector:
    matchLabels:
      {{- include "postern.selector" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "postern.podLabels" . | nindent 8 }}
        {{- with .tier.labels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      annotations:
        checksum/configuration: {{ include "postern.configuration" . | sha256sum }}
        {{- with .secretText }}
        checksum/secret: {{ sha256sum . }}
        {{- end }}
        {{- with .tier.annotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      {{- include "postern.podBasics" . | nindent 6 }}
      terminationGracePeriodSeconds: {{ include "postern.terminationGrace" . }}
      {{- include "postern.placement" . | trim | nindent 6 }}
      containers:
        - name: {{ .component }}
          image: {{ include "postern.image" (dict "root" .root "image" .tier.image) }}
          imagePullPolicy: {{ .root.Values.image.pullPolicy }}
          args: [--config, /etc/postern/configuration/{{ .component }}.yaml]
          securityContext:
            {{- include "postern.containerSecurity" . | nindent 12 }}
          {{- with .tier.extraEnv }}
          env:
            {{- toYaml . | nindent 12 }}
          {{- end }}
          ports:
            - {name: {{ .port.name }}, containerPort: {{ .port.number }}, protocol: TCP}
            - {name: admin, containerPort: {{ include "postern.adminPort" .component }}, protocol: TCP}
          {{- range $probe, $path := dict "startup" "/livez" "liveness" "/livez" "readiness" "/readyz" }}
          {{ $probe }}Probe:
            httpGet: {path: {{ $path }}, port: admin}
            {{- toYaml (get $.tier.probes $probe) | nindent 12 }}
          {{- end }}
          {{- if gt (int .tier.preStopSeconds) 0 }}
          lifecycle:
            preStop:
              sleep: {seconds: {{ int .tier.preStopSeconds }}}
          {{- end }}
          resources:
            {{- toYaml .tier.resources | nindent 12 }}
          volumeMounts:
            - {name: tmp, mountPath: /tmp}
            - {name: configuration, mountPath: /etc/postern/configuration, readOnly: true}
            {{- range .secrets }}
            - {name: {{ .volume }}, mountPath: /etc/postern/{{ .volume }}, readOnly: true}
            {{- end }}
            {{- with .tier.extraVolumeMounts }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
      volumes:
        - name: tmp
          emptyDir: {sizeLimit: 64Mi}
        - name: configuration
          configMap:
            name: {{ $name }}
        {{- range .secrets }}
        - name: {{ .volume }}
          secret:
            secretName: {{ .secret }}
            defaultMode: 0440
            items:
              {{- range $entry, $file := .items }}
              - {key: {{ $entry | quote }}, path: {{ $file }}}
              {{- end }}
        {{- end }}
        {{- with .tier.extraVolumes }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
{{- end -}}

{{/* What every pod of the chart is: no token, no links, no user of its own in the cluster. Its ServiceAccount is `serviceAccount`,
     or that of its tier. */}}
{{- define "postern.podBasics" -}}
serviceAccountName: {{ .serviceAccount | default (printf "%s-%s" (include "postern.fullname" .root) .component) }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- include "postern.pullSecrets" .root }}
securityContext:
  runAsNonRoot: true
  runAsUser: {{ int .tier.securityContext.runAsUser }}
  runAsGroup: {{ int .tier.securityContext.runAsGroup }}
  fsGroup: {{ int .tier.securityContext.fsGroup }}
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "postern.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
privileged: false
capabilities: {drop: [ALL]}
{{- end -}}

{{/* Where a pod goes, as lines that each begin with one of their own. */}}
{{- define "postern.placement" -}}
{{- with .tier.dnsConfig }}
dnsConfig:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tier.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .tier.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tier.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with include "postern.affinity" . | fromYaml }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if .tier.topologySpread.enabled }}
topologySpreadConstraints:
  {{- range .tier.topologySpread.topologyKeys }}
  - topologyKey: {{ . }}
    maxSkew: {{ int $.tier.topologySpread.maxSkew }}
    whenUnsatisfiable: {{ $.tier.topologySpread.whenUnsatisfiable }}
    {{- if eq $.tier.topologySpread.whenUnsatisfiable "DoNotSchedule" }}
    # Else a drained node counts as one with no pod, and the drain and the PodDisruptionBudget wait for each other.
    nodeTaintsPolicy: Honor
    {{- end }}
    matchLabelKeys: [pod-template-hash]
    labelSelector:
      matchLabels:
        {{- include "postern.selector" $ | nindent 8 }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* What the values say, and the preference for a node of one's own among what pods of others are avoided by. */}}
{{- define "postern.affinity" -}}
{{- $affinity := deepCopy .tier.affinity -}}
{{- if .tier.antiAffinity.enabled -}}
{{- $term := dict "topologyKey" "kubernetes.io/hostname" "matchLabelKeys" (list "pod-template-hash")
    "labelSelector" (dict "matchLabels" (include "postern.selector" . | fromYaml)) -}}
{{- $preference := dict "weight" (int .tier.antiAffinity.weight) "podAffinityTerm" $term -}}
{{- $preferred := "preferredDuringSchedulingIgnoredDuringExecution" -}}
{{- $apart := get $affinity "podAntiAffinity" | default dict -}}
{{- $_ := set $apart $preferred (append (get $apart $preferred | default list) $preference) -}}
{{- $_ := set $affinity "podAntiAffinity" $apart -}}
{{- end -}}
{{- toYaml $affinity -}}
{{- end -}}

{{- define "postern.serviceAccount" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "postern.fullname" .root }}-{{ .component }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "postern.labels" . | nindent 4 }}
  {{- with .tier.serviceAccount.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
automountServiceAccountToken: false
{{- end -}}

{{- define "postern.configMap" -}}
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ include "postern.fullname" .root }}-{{ .component }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "postern.labels" . | nindent 4 }}
data:
  {{ .component }}.yaml: |
    {{- include "postern.configuration" . | nindent 4 }}
{{- end -}}

{{/* A Secret of one entry. (… "suffix" "database" "entry" "uri" "text" …) */}}
{{- define "postern.secret" -}}
apiVersion: v1
kind: Secret
metadata:
  name: {{ include "postern.fullname" .root }}-{{ .suffix }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "postern.labels" . | nindent 4 }}
type: Opaque
data:
  {{ .entry }}: {{ .text | b64enc }}
{{- end -}}

{{/* The headless Service by which a tier is found: the ports of its pods, as nothing translates them.
     (… "name" … "port" (dict "name" … "number" … "protocol" …) or none) */}}
{{- define "postern.headlessService" -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "postern.labels" . | nindent 4 }}
spec:
  type: ClusterIP
  clusterIP: None
  {{- include "postern.ipFamilies" .root | nindent 2 }}
  selector:
    {{- include "postern.selector" . | nindent 4 }}
  ports:
    {{- with .port }}
    - {name: {{ .name }}, port: {{ .number }}, targetPort: {{ .name }}, protocol: TCP, appProtocol: {{ .protocol }}}
    {{- end }}
    - {name: admin, port: {{ include "postern.adminPort" .component }}, targetPort: admin, protocol: TCP, appProtocol: http}
{{- end -}}

{{- define "postern.ipFamilies" -}}
ipFamilyPolicy: {{ .Values.ipFamilyPolicy }}
{{- with .Values.ipFamilies }}
ipFamilies:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "postern.mtlsMount" -}}
volume: tls
secret: {{ include "postern.tlsSecret" . }}
items: {tls.crt: tls.crt, tls.key: tls.key, ca.crt: ca.crt}
{{- end -}}
