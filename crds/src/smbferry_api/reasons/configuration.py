"""Manifests and the objects that they reference."""

from smbferry_words.failure_class import FailureClass
from smbferry_words.reason import define

_CONFIGURATION = FailureClass.CONFIGURATION
_IDENTITY = FailureClass.IDENTITY
_POLICY = FailureClass.POLICY

IDENTITY_NOT_FOUND = define(
    "IdentityNotFound",
    "The KerberosIdentity named by identityRef does not exist in this namespace.",
    "Create it, or correct spec.identityRef.name. References cannot cross namespaces. Both objects need the same "
    "className.",
    _CONFIGURATION,
)
IDENTITY_NOT_READY = define(
    "IdentityNotReady",
    "The KerberosIdentity named by identityRef is not Ready.",
    "Check its conditions with kubectl describe kerberosidentity.",
    _IDENTITY,
)
LOCATION_NOT_FOUND = define(
    "LocationNotFound",
    "An SmbLocation named by the task does not exist in this namespace.",
    "Create it, or correct locationRef. For a location of another namespace, set locationRef.namespace. Both objects "
    "need the same className.",
    _CONFIGURATION,
)
LOCATION_NOT_SHARED = define(
    "LocationNotShared",
    "An SmbLocation of another namespace does not exist, or does not allow the task's namespace.",
    "Ask the owner of that namespace to add yours to allowedNamespaces of the SmbLocation, or correct locationRef.",
    _CONFIGURATION,
)
SERVING_RUN_REMOVED = define(
    "ServingRunRemoved",
    "The TransferRun that did the work of this run in the namespace of the SmbLocations was deleted.",
    "Ask the owner of that namespace. If the run should be repeated, create another run.",
    _CONFIGURATION,
)
LOCATION_NOT_READY = define(
    "LocationNotReady",
    "An SmbLocation of the task is not Ready.",
    "Check its conditions with kubectl describe smblocation.",
    _CONFIGURATION,
)
TASK_NOT_FOUND = define(
    "TaskNotFound",
    "The TransferTask named by taskRef does not exist in this namespace.",
    "Correct spec.taskRef.name of the TransferRun. A run needs the className of its task.",
    _CONFIGURATION,
)
SPEC_INVALID = define("SpecInvalid", "The spec is invalid.", "Correct the field named in the message.", _CONFIGURATION)
RUN_NOT_CREATED = define(
    "RunNotCreated",
    "A run is due, but the API server rejected its TransferRun.",
    "Fix the cause named in the message: a quota, an admission rule or the operator's role. smbferry retries "
    "automatically.",
    _CONFIGURATION,
)
OBJECT_UNREADABLE = define(
    "ObjectUnreadable",
    "The operator cannot parse the object. Its running agent continues.",
    "Upgrade the operator to the version of the CRDs, or correct the field named in the message.",
    _CONFIGURATION,
)
SECRET_NOT_FOUND = define(
    "SecretNotFound",
    "The Secret named by keytabSecretRef does not exist or is empty.",
    "Create it from a keytab: kubectl create secret generic NAME --from-file=keytab=FILE.",
    _CONFIGURATION,
)
SECRET_KEY_NOT_FOUND = define(
    "SecretKeyNotFound",
    "The Secret exists but does not contain the key named by keytabSecretRef.",
    "Add that key to the Secret, or correct spec.keytabSecretRef.key.",
    _CONFIGURATION,
)
CONFIG_MAP_NOT_FOUND = define(
    "ConfigMapNotFound",
    "The ConfigMap named by krb5ConfigMapRef, or by the task's sidMap, does not exist or is empty.",
    "Create it from a file: kubectl create configmap NAME --from-file=KEY=FILE, with the key krb5.conf, or sids for a "
    "SID map.",
    _CONFIGURATION,
)
CONFIG_MAP_KEY_NOT_FOUND = define(
    "ConfigMapKeyNotFound",
    "The ConfigMap exists but does not contain the key named by krb5ConfigMapRef or by the task's sidMap.",
    "Add that key to the ConfigMap, or correct the key in the reference.",
    _CONFIGURATION,
)
SID_MAP_INVALID = define(
    "SidMapInvalid",
    "The ConfigMap of options.sidMap contains a line that is no rule, two lines for one SID, or a rule whose result "
    "another rule replaces.",
    "Correct the line named in the message.",
    _CONFIGURATION,
)
SID_MAP_CHANGED = define(
    "SidMapChanged",
    "The ConfigMap of options.sidMap was changed during the run. All agents of a run, and its retries, must use the "
    "same map.",
    "Start another run, with compareBy: Metadata so that it also corrects what was copied with the old map.",
    _CONFIGURATION,
)
KRB5_CONFIG_INVALID = define(
    "Krb5ConfigInvalid",
    "The krb5.conf cannot be parsed, or does not define how to find the realm's KDCs.",
    "Correct the line named in the message. The realm needs a kdc in [realms] or DNS SRV records.",
    _CONFIGURATION,
)
KRB5_CONFIG_REFUSED = define(
    "Krb5ConfigRefused",
    "The krb5.conf contains a setting that loads or runs code, an unknown section, or a forbidden KDC address.",
    "Remove the line named in the message. smbferry reads only [libdefaults], [realms], [domain_realm] and [capaths].",
    _POLICY,
)
