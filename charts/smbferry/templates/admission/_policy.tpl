{{- /* Not empty if the chart creates admission policies, which are cluster-scoped and need Kubernetes 1.30. */ -}}
{{- define "smbferry.admissionPolicies" -}}
{{- if and (include "smbferry.admissionPoliciesWanted" .) (include "smbferry.admissionPoliciesServed" .) }}yes{{ end }}
{{- end -}}

{{- define "smbferry.admissionPoliciesWanted" -}}
{{- $create := .Values.admissionPolicy.create -}}
{{- if or (eq $create "Always") (and (eq $create "Auto") (not .Values.watchNamespaces)) }}yes{{ end }}
{{- end -}}

{{- define "smbferry.admissionPoliciesServed" -}}
{{- if semverCompare ">=1.30-0" .Capabilities.KubeVersion.Version }}yes{{ end }}
{{- end -}}

{{- /* The beginning of a policy. Takes (dict "root" $ "name" …). */ -}}
{{- define "smbferry.policyHead" -}}
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata:
  name: {{ include "smbferry.fullname" .root }}-{{ .name }}
  {{- include "smbferry.metadata" .root | nindent 2 }}
{{- end -}}

{{- /* The binding of a policy. Takes (dict "root" $ "name" …), and "params" if the policy has parameters. */ -}}
{{- define "smbferry.policyBinding" -}}
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata:
  name: {{ include "smbferry.fullname" .root }}-{{ .name }}
  {{- include "smbferry.metadata" .root | nindent 2 }}
spec:
  policyName: {{ include "smbferry.fullname" .root }}-{{ .name }}
  validationActions: [Deny]
  {{- with .params }}
  paramRef:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{- define "smbferry.byTheOperator" -}}
- name: by-the-operator
  expression: request.userInfo.username == 'system:serviceaccount:{{ .Release.Namespace }}:{{ include "smbferry.serviceAccountName" . }}'
{{- end -}}

{{- /* The names of an agent's objects begin with the name of their owner, as in decide/naming.py. */ -}}
{{- define "smbferry.ownerVariables" -}}
- name: owners
  expression: object.metadata.?ownerReferences.orValue([])
- name: owner
  expression: variables.owners[0]
- name: stem
  expression: "(variables.owner.kind == 'TransferRun' ? 'xrun-' : 'kid-') + variables.owner.name.replace('.', '-')"
- name: prefix
  expression: "variables.stem.substring(0, size(variables.stem) < 54 ? size(variables.stem) : 54).find('^.*[^-]') + '-'"
{{- end -}}

{{- define "smbferry.ownerRules" -}}
- message: expected one owner, a KerberosIdentity or a TransferRun that controls the object
  expression: >-
    size(variables.owners) == 1
    && variables.owner.apiVersion == 'smbferry.io/v1alpha1'
    && variables.owner.kind in ['KerberosIdentity', 'TransferRun']
    && variables.owner.?controller.orValue(false)
- message: expected a name that smbferry gives to objects of this owner
  messageExpression: "'expected a name that consists of ' + variables.prefix + ' and eight letters or digits, got ' + object.metadata.name"
  expression: >-
    object.metadata.name.startsWith(variables.prefix)
    && object.metadata.name.substring(size(variables.prefix)).matches('^[a-z2-7]{8}$')
{{- end -}}
