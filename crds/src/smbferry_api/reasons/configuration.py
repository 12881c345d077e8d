"""What a manifest refers to, and what it says."""

from smbferry_api.exit_codes import FailureClass
from smbferry_api.reason import define

_CONFIGURATION = FailureClass.CONFIGURATION
_IDENTITY = FailureClass.IDENTITY
_POLICY = FailureClass.POLICY

IDENTITY_NOT_FOUND = define(
    "IdentityNotFound",
    "The KerberosIdentity that identityRef names is not in this namespace.",
    "Create it, or correct spec.identityRef.name; references do not cross namespaces.",
    _CONFIGURATION,
)
IDENTITY_NOT_READY = define(
    "IdentityNotReady",
    "The KerberosIdentity that identityRef names is not Ready.",
    "Look at its conditions: kubectl describe kerberosidentity.",
    _IDENTITY,
)
LOCATION_NOT_FOUND = define(
    "LocationNotFound",
    "An SmbLocation that the task names is not in this namespace.",
    "Create it, or correct locationRef.name; references do not cross namespaces.",
    _CONFIGURATION,
)
LOCATION_NOT_READY = define(
    "LocationNotReady",
    "An SmbLocation of the task is not Ready.",
    "Look at its conditions: kubectl describe smblocation.",
    _CONFIGURATION,
)
TASK_NOT_FOUND = define(
    "TaskNotFound",
    "The TransferTask that taskRef names is not in this namespace.",
    "Correct spec.taskRef.name of the TransferRun.",
    _CONFIGURATION,
)
SPEC_INVALID = define(
    "SpecInvalid", "The spec can't be used as it stands.", "Correct the field that the message names.", _CONFIGURATION
)
RUN_NOT_CREATED = define(
    "RunNotCreated",
    "A run is due, and the API server does not accept its TransferRun.",
    "Fix what the message names: a quota, an admission rule or the operator's role. smbferry tries again by itself.",
    _CONFIGURATION,
)
OBJECT_UNREADABLE = define(
    "ObjectUnreadable",
    "The operator can't read the object as it stands; the agent that works on it goes on.",
    "Upgrade the operator to the version of the CRDs, or correct the field that the message names.",
    _CONFIGURATION,
)
SECRET_NOT_FOUND = define(
    "SecretNotFound",
    "The Secret that keytabSecretRef names does not exist, or is empty.",
    "Create it from a keytab: kubectl create secret generic NAME --from-file=keytab=FILE.",
    _CONFIGURATION,
)
SECRET_KEY_NOT_FOUND = define(
    "SecretKeyNotFound",
    "The Secret exists but does not have the key that keytabSecretRef names.",
    "Add that key to the Secret, or correct spec.keytabSecretRef.key.",
    _CONFIGURATION,
)
CONFIG_MAP_NOT_FOUND = define(
    "ConfigMapNotFound",
    "The ConfigMap that krb5ConfigMapRef names does not exist, or is empty.",
    "Create it from a krb5.conf: kubectl create configmap NAME --from-file=krb5.conf=FILE.",
    _CONFIGURATION,
)
CONFIG_MAP_KEY_NOT_FOUND = define(
    "ConfigMapKeyNotFound",
    "The ConfigMap exists but does not have the key that krb5ConfigMapRef names.",
    "Add that key to the ConfigMap, or correct spec.krb5ConfigMapRef.key.",
    _CONFIGURATION,
)
KRB5_CONFIG_INVALID = define(
    "Krb5ConfigInvalid",
    "The krb5.conf can't be parsed, or lacks what the realm needs.",
    "Correct the line that the message names; [realms] with a kdc, or DNS SRV records, must cover the realm.",
    _CONFIGURATION,
)
KRB5_CONFIG_REFUSED = define(
    "Krb5ConfigRefused",
    "The krb5.conf holds something that loads or runs code, an unknown section, or a forbidden KDC address.",
    "Remove the line that the message names; only libdefaults, realms, domain_realm and capaths are read.",
    _POLICY,
)
