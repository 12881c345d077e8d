"""Names shared by several packages: group, labels, finalizer, field managers."""

from typing import Final

GROUP: Final = "smbferry.io"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"
CATEGORY: Final = "smbferry"
PLURALS: Final = {
    "KerberosIdentity": "kerberosidentities",
    "SmbLocation": "smblocations",
    "TransferTask": "transfertasks",
    "TransferRun": "transferruns",
}
"""The resource of each kind, as URLs of the API server name it."""

LABEL_QUEUE: Final = "kueue.x-k8s.io/queue-name"
"""Set by people, by a pod's settings: the queue of Kueue that admits a Job."""

FINALIZER: Final = f"{GROUP}/finalizer"

# Set on objects that smbferry creates (Jobs, Roles, TransferRuns), never on the user's objects.
LABEL_MANAGED_BY: Final = "app.kubernetes.io/managed-by"
LABEL_NAME: Final = "app.kubernetes.io/name"
LABEL_COMPONENT: Final = "app.kubernetes.io/component"
LABEL_OWNER_KIND: Final = f"{GROUP}/owner-kind"
LABEL_OWNER_UID: Final = f"{GROUP}/owner-uid"
LABEL_TASK: Final = f"{GROUP}/task"
LABEL_RUN: Final = f"{GROUP}/run"
LABEL_CLASS: Final = f"{GROUP}/class"
"""Of Jobs and pods: the className of the release that created them; missing without one."""
ANNOTATION_OWNER_GENERATION: Final = f"{GROUP}/owner-generation"
ANNOTATION_TRIGGER: Final = f"{GROUP}/trigger"
ANNOTATION_RETRY_OF: Final = f"{GROUP}/retry-of"
ANNOTATION_RETRY: Final = f"{GROUP}/retry"
ANNOTATION_SCHEDULED_AT: Final = f"{GROUP}/scheduled-at"

# Set by a person on an identity, location or task to request a check now; any new value works.
ANNOTATION_REQUESTED_AT: Final = f"{GROUP}/requested-at"

MANAGED_BY_OPERATOR: Final = "smbferry-operator"
FIELD_MANAGER_OPERATOR: Final = "smbferry-operator"
FIELD_MANAGER_AGENT: Final = "smbferry-agent"
FIELD_MANAGER_CLI: Final = "smbferry-cli"
