{{/* Image reference. Arguments: the image's values, the tag when they give none. */}}
{{- define "tributary.image" -}}
{{- $image := index . 0 -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ $image.tag | default (index . 1) }}
{{- end -}}
{{- end -}}

{{/* The one address that the edge is given; without it nothing there could work. Checked here and not by the schema,
which would quote a pattern and not say what is right. */}}
{{- define "tributary.hubAddress" -}}
{{- $right := "host:port at which edge nodes reach the Service tributary-hub, for example --set hub.address=203.0.113.10:30843" -}}
{{- $address := required (printf "hub.address is required: %s" $right) .Values.hub.address -}}
{{- if not (regexMatch "^(\\[[0-9A-Fa-f:.]+\\]|[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?):[1-9][0-9]{0,4}$" $address) -}}
{{- fail (printf "hub.address is %q: it must be the %s" $address $right) -}}
{{- end -}}
{{- $address -}}
{{- end -}}

{{/* A number or a percentage, as the DaemonSet wants it. */}}
{{- define "tributary.agentMaxUnavailable" -}}
{{- $value := .Values.agent.maxUnavailable | toString -}}
{{- if hasSuffix "%" $value }}{{ $value | quote }}{{ else }}{{ $value }}{{ end -}}
{{- end -}}
