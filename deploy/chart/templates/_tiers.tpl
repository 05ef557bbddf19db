{{/* What a tier's values come to: `pods`, and over it what the tier says itself. */}}

{{/* Writes `over` into `base`, map by map; false, 0 and "" count. (dict "base" … "over" …) */}}
{{- define "postern.overlay" -}}
{{- $base := .base -}}
{{- range $key, $value := .over -}}
{{- if and (kindIs "map" $value) (kindIs "map" (get $base $key)) -}}
{{- include "postern.overlay" (dict "base" (get $base $key) "over" $value) -}}
{{- else -}}
{{- $_ := set $base $key $value -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* As JSON. (dict "root" $ "component" "store") */}}
{{- define "postern.tier" -}}
{{- $tier := deepCopy .root.Values.pods -}}
{{- include "postern.overlay" (dict "base" $tier "over" (index .root.Values .component)) -}}
{{- toJson $tier -}}
{{- end -}}

{{/* How many there are. With an autoscaler: as many as run now, for an upgrade that said fewer would scale down. Needs the cluster:
     `helm template` knows no live count. (dict "root" $ "component" "store" "tier" …) */}}
{{- define "postern.replicas" -}}
{{- $count := int .tier.replicas -}}
{{- if .tier.autoscaling.enabled -}}
{{- $count = int .tier.autoscaling.minReplicas -}}
{{- $name := printf "%s-%s" (include "postern.fullname" .root) .component -}}
{{- with lookup "apps/v1" "Deployment" .root.Release.Namespace $name -}}
{{- $count = max $count (int (dig "spec" "replicas" 0 .)) -}}
{{- end -}}
{{- end -}}
{{- $count -}}
{{- end -}}

{{/* The seconds of a time as the services read it (1m30s), rounded up. */}}
{{- define "postern.seconds" -}}
{{- $ms := 0.0 -}}
{{- $units := dict "ms" 1.0 "s" 1000.0 "m" 60000.0 "h" 3600000.0 -}}
{{- range regexFindAll "[0-9.]+(ms|s|m|h)" . -1 -}}
{{- $unit := regexFind "[a-z]+$" . -}}
{{- $ms = addf $ms (mulf (float64 (trimSuffix $unit .)) (get $units $unit)) -}}
{{- end -}}
{{- divf $ms 1000.0 | ceil | int -}}
{{- end -}}

{{/* What must fit between a pod's being given up and SIGKILL: preStop, requests in flight and, of a gateway, what it is telling other
     servers. (dict "component" "gateway" "tier" …) */}}
{{- define "postern.graceNeeded" -}}
{{- $seconds := add (int .tier.preStopSeconds) (int .tier.shutdownGraceSeconds) | int -}}
{{- if eq .component "gateway" -}}
{{- $request := include "postern.seconds" (.tier.config.request_timeout | default "20s") | int -}}
{{- $sending := include "postern.seconds" (dig "sender" "request_timeout" "1m" .tier.config) | int -}}
{{- $seconds = add (int .tier.preStopSeconds) (max (int .tier.shutdownGraceSeconds) $request) $sending | int -}}
{{- end -}}
{{- $seconds -}}
{{- end -}}

{{- define "postern.terminationGrace" -}}
{{- $needed := include "postern.graceNeeded" . | int -}}
{{- $given := .tier.terminationGracePeriodSeconds -}}
{{- if kindIs "invalid" $given -}}
{{- add $needed 10 -}}
{{- else if le (int $given) $needed -}}
{{- fail (printf "%s.terminationGracePeriodSeconds is %d: preStopSeconds, shutdownGraceSeconds and what else must end take %d s; give more"
    .component (int $given) $needed) -}}
{{- else -}}
{{- int $given -}}
{{- end -}}
{{- end -}}
