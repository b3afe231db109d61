{{- define "callstream.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 44 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) | trunc 44 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "callstream.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "callstream.labels" -}}
{{ include "callstream.selector" . }}
app.kubernetes.io/version: {{ default .Chart.AppVersion .Values.image.tag | quote }}
app.kubernetes.io/part-of: callstream
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "callstream.serviceAccount" -}}
{{- default (.Values.serviceAccount.create | ternary (include "callstream.fullname" .) "default") .Values.serviceAccount.name -}}
{{- end -}}

{{- /* The host of settings.public_url, for an Ingress or HTTPRoute. */ -}}
{{- define "callstream.publicHost" -}}
{{- $url := urlParse .Values.settings.public_url -}}
{{- if trimAll "/" $url.path -}}
{{- fail (printf "settings.public_url has the path %s: route it yourself, because an Ingress cannot remove a path in one way that all controllers understand" $url.path) -}}
{{- end -}}
{{- regexReplaceAll ":[0-9]+$" $url.host "" -}}
{{- end -}}

{{- /* The host of settings.ui_url, for an Ingress. */ -}}
{{- define "callstream.uiHost" -}}
{{- $url := urlParse (required "api.ingress.enabled needs settings.ui_url: where people reach the page" .Values.settings.ui_url) -}}
{{- if trimAll "/" $url.path -}}
{{- fail (printf "settings.ui_url has the path %s: route it yourself, because an Ingress cannot remove a path in one way that all controllers understand" $url.path) -}}
{{- end -}}
{{- regexReplaceAll ":[0-9]+$" $url.host "" -}}
{{- end -}}

{{- define "callstream.partitions" -}}
{{- default 12 .Values.settings.partitions | int -}}
{{- end -}}
