{{- define "smbferry.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "smbferry.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (printf "%s-operator" (include "smbferry.fullname" .)) -}}
{{- else -}}
{{- required "serviceAccount.name is needed when serviceAccount.create is false" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "smbferry.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end -}}

{{- define "smbferry.labels" -}}
{{ include "smbferry.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- /* Common labels and annotations plus additional labels. Takes (dict "root" $ "labels" …). */ -}}
{{- define "smbferry.labelled" -}}
labels:
  {{- include "smbferry.labels" .root | nindent 2 }}
  {{- with .labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "smbferry.metadata" -}}
{{- include "smbferry.labelled" (dict "root" .) -}}
{{- end -}}

{{- /* An image reference; a digest takes precedence over a tag. Takes (dict "image" … "root" $). */ -}}
{{- define "smbferry.image" -}}
{{- if .image.digest -}}
{{- printf "%s@%s" .image.repository .image.digest -}}
{{- else -}}
{{- printf "%s:%s" .image.repository (.image.tag | default .root.Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{- /* Common part of every pod of the chart: identity, scheduling and image. */ -}}
{{- define "smbferry.podDefaults" -}}
securityContext:
  runAsNonRoot: true
  {{- if eq (include "smbferry.userIds" .) "Fixed" }}
  runAsUser: 65532
  runAsGroup: 65532
  {{- end }}
  seccompProfile: {type: RuntimeDefault}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
nodeSelector:
  {{- mergeOverwrite (dict "kubernetes.io/os" "linux") .Values.nodeSelector | toYaml | nindent 2 }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- /* Fixed or Assigned. */ -}}
{{- define "smbferry.userIds" -}}
{{- if ne .Values.userIds "Auto" -}}
{{- .Values.userIds -}}
{{- else -}}
{{- .Capabilities.APIVersions.Has "security.openshift.io/v1" | ternary "Assigned" "Fixed" -}}
{{- end -}}
{{- end -}}

{{- /* Settings of all agents' pods as JSON: the fields of spec.agent that are set. */ -}}
{{- define "smbferry.agentPod" -}}
{{- $pod := dict -}}
{{- range $field, $value := omit .Values.agent "checkResources" "startDeadline" "priorityClassName" "imagePullSecrets" -}}
{{- if $value -}}{{- $_ := set $pod $field $value -}}{{- end -}}
{{- end -}}
{{- with include "smbferry.priorityClassName" (dict "name" .Values.agent.priorityClassName "suffix" "agent" "root" $) -}}
{{- $_ := set $pod "priorityClassName" . -}}
{{- end -}}
{{- $secrets := list -}}
{{- range .Values.image.pullSecrets -}}{{- $secrets = append $secrets (dict "name" .) -}}{{- end -}}
{{- with concat $secrets .Values.agent.imagePullSecrets | uniq -}}{{- $_ := set $pod "imagePullSecrets" . -}}{{- end -}}
{{- toJson $pod -}}
{{- end -}}

{{/* Not empty if the chart creates its own PriorityClasses. */}}
{{- define "smbferry.priorityClasses" -}}
{{- if and .Values.priorityClasses.create (not .Values.watchNamespaces) }}yes{{ end }}
{{- end }}

{{/* The configured PriorityClass, or the chart's own with this suffix if it creates one. */}}
{{- define "smbferry.priorityClassName" -}}
{{- if .name }}{{ .name }}{{ else if include "smbferry.priorityClasses" .root }}{{ include "smbferry.fullname" .root }}-{{ .suffix }}{{ end }}
{{- end }}

{{- /* The port of events.sink. */ -}}
{{- define "smbferry.sinkPort" -}}
{{- $sink := urlParse .Values.events.sink -}}
{{- regexFind ":[0-9]+$" $sink.host | trimPrefix ":" | default (ternary "443" "80" (eq $sink.scheme "https")) -}}
{{- end -}}

{{/* A limit as the operator reads it: a number, which Helm may hold as a float, or none. */}}
{{- define "smbferry.limit" -}}
{{- if kindIs "invalid" . }}none{{ else }}{{ int64 . }}{{ end }}
{{- end }}
