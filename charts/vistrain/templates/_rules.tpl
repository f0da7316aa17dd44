{{/* What the operator does where runs live. tests/support/rbac.py compares it with an audit log: none missing, none unused. */}}
{{- define "vistrain.runRules" -}}
# delete: ttlAfterFinished.
- apiGroups: [vistrain.dev]
  resources: [detectortrainings]
  verbs: [delete, list, watch]
- apiGroups: [vistrain.dev]
  resources: [detectortrainings/status]
  verbs: [patch]
# One Job per attempt; suspending a run deletes it. get: whether one that the watch has not brought is really gone.
- apiGroups: [batch]
  resources: [jobs]
  verbs: [create, delete, get, list, watch]
# delete: a pod whose Job was deleted with --cascade=orphan.
- apiGroups: [""]
  resources: [pods]
  verbs: [delete, list, watch]
# The resolved manifest: immutable, owned by the run.
- apiGroups: [""]
  resources: [configmaps]
  verbs: [create]
# Whether the volumes that a run names are there.
- apiGroups: [""]
  resources: [persistentvolumeclaims]
  verbs: [get]
# list: why a Job makes no pod, or a pod gets no volume.
- apiGroups: [""]
  resources: [events]
  verbs: [create, list]
{{- end -}}

{{/* Which slices are offered, and whether a pod's node is lost. */}}
{{- define "vistrain.nodeRules" -}}
- apiGroups: [""]
  resources: [nodes]
  verbs: [list, watch]
{{- end -}}
