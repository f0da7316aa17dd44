{{- define "vistrain.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "vistrain.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "vistrain.name" .) | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Names outside of namespaces carry the release's namespace: releases of one name may live in several. */}}
{{- define "vistrain.clusterName" -}}
{{- printf "%s:%s" .Release.Namespace (include "vistrain.fullname" .) -}}
{{- end -}}

{{- define "vistrain.selectorLabels" -}}
app.kubernetes.io/name: {{ include "vistrain.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end -}}

{{- define "vistrain.labels" -}}
{{ include "vistrain.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: vistrain
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "vistrain.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "vistrain.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- required "serviceAccount.name: name the service account, as serviceAccount.create is false" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* The Lease that the replicas elect a leader by. */}}
{{- define "vistrain.leaseName" -}}
{{- include "vistrain.fullname" . -}}
{{- end -}}

{{/* Reference of an image: list of its values and the tag that stands in for none. */}}
{{- define "vistrain.image" -}}
{{- $image := first . -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $image.repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $image.repository (default (last .) $image.tag) -}}
{{- end -}}
{{- end -}}
