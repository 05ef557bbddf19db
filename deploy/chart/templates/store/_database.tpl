{{/* What the chart has to say of PostgreSQL's servers; `database.cloudNativePG.spec` goes before it. */}}
{{- define "postern.clusterSpec" -}}
{{- with .Values.database.cloudNativePG -}}
instances: {{ int .instances }}
{{- with .imageName }}
imageName: {{ . }}
{{- end }}
inheritedMetadata:
  labels:
    app.kubernetes.io/part-of: postern
bootstrap:
  initdb: {database: postern, owner: postern, encoding: UTF8, localeCollate: C, localeCType: C}
storage:
  size: {{ .storage.size }}
  {{- with .storage.storageClass }}
  storageClass: {{ . }}
  {{- end }}
{{- if .walStorage.size }}
walStorage:
  size: {{ .walStorage.size }}
  {{- with .walStorage.storageClass }}
  storageClass: {{ . }}
  {{- end }}
{{- end }}
postgresql:
  parameters:
    {{- toYaml .parameters | nindent 4 }}
  {{- if gt (int .synchronousStandbys) 0 }}
  # A leave that was answered 200 is on two disks.
  synchronous: {method: any, number: {{ int .synchronousStandbys }}, dataDurability: {{ .dataDurability }}}
  {{- end }}
resources:
  {{- toYaml .resources | nindent 2 }}
{{- end }}
{{- end -}}
