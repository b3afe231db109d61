{{- /* A setting's value as the text of an environment variable. */ -}}
{{- define "callstream.text" -}}
{{- if kindIs "string" . -}}
{{ . }}
{{- else if and (kindIs "slice" .) (not (kindIs "map" (first .))) -}}
{{ join "," . }}
{{- else -}}
{{ toJson . }}
{{- end -}}
{{- end -}}

{{- /* Settings or secrets of a role, as YAML. `of`: "settings" or "secrets". */ -}}
{{- define "callstream.ofRole" -}}
{{- $both := index .root.Values .of | default dict | deepCopy -}}
{{- range $name, $value := index .root.Values .role .of }}{{ $_ := set $both $name $value }}{{ end -}}
{{- if eq .of "settings" -}}
{{- if and (eq .role "worker") (not .root.Values.poller.enabled) }}{{ $_ := set $both "poll_sources" "none" }}{{ end -}}
{{- toYaml $both -}}
{{- else -}}
{{- $read := index (.root.Files.Get "secrets-by-role.yaml" | fromYaml) .role -}}
{{- range $name := keys $both }}{{ if not (has $name $read) }}{{ $_ := unset $both $name }}{{ end }}{{ end -}}
{{- toYaml $both -}}
{{- end -}}
{{- end -}}

{{- /* The environment of a role. Each secret is the name of a file. */ -}}
{{- define "callstream.env" -}}
{{- $settings := include "callstream.ofRole" (dict "root" .root "role" .role "of" "settings") | fromYaml -}}
{{- $secrets := include "callstream.ofRole" (dict "root" .root "role" .role "of" "secrets") | fromYaml -}}
- {name: CALLSTREAM_DATA_DIR, value: /var/lib/callstream/data}
{{- range $name, $value := $settings }}
- name: CALLSTREAM_{{ upper $name }}
  value: {{ include "callstream.text" $value | quote }}
{{- end }}
{{- range $name, $_ := $secrets }}
- name: CALLSTREAM_{{ upper $name }}{{ if not (or (hasSuffix "_file" $name) (eq $name "rules")) }}_FILE{{ end }}
  value: /run/secrets/callstream/{{ $name }}
{{- end }}
{{- end -}}
