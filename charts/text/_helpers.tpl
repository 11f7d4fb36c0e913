{{/* Image reference. Arguments: the image's values, the tag when they give none. */}}
{{- define "tributary.image" -}}
{{- $image := index . 0 -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ $image.tag | default (index . 1) }}
{{- end -}}
{{- end -}}

{{/* The one address that the edge is given; without it nothing there could work. */}}
{{- define "tributary.hubAddress" -}}
{{- required "hub.address is required: host:port at which edge nodes reach the Service tributary-hub, for example --set hub.address=203.0.113.10:30843" .Values.hub.address -}}
{{- end -}}

{{/* A number or a percentage, as the DaemonSet wants it. */}}
{{- define "tributary.agentMaxUnavailable" -}}
{{- $value := .Values.agent.maxUnavailable | toString -}}
{{- if hasSuffix "%" $value }}{{ $value | quote }}{{ else }}{{ $value }}{{ end -}}
{{- end -}}
