"""Settings of agents' pods: the same fields on the chart, identities, locations and tasks.

No field can make a pod leave Pod Security `restricted`, read a Secret that the agent does not mount, or pass for
another agent. Objects allow less than the chart: whoever may write an object may have no permission to create pods (ADR
42).
"""

from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field, JsonValue, WithJsonSchema

from smbferry_api.fields import ObjectName, Spec
from smbferry_api.forbidden import Forbidden

MAX_ENTRIES: Final = 32
ROOT_REFUSED: Final = 1
HIGHEST_ID: Final = 2147483647  # k8s.io/apimachinery/pkg/util/validation.IsValidUserID

_NAME: Final = r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_PREFIX: Final = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/"
QUALIFIED_NAME: Final = Forbidden(
    rf"^({_PREFIX})?{_NAME}$",
    "expected keys such as team or example.com/team",
    negated=True,
)

OWN_KEYS: Final = Forbidden(
    r"^([^/]*\.)?smbferry\.io/|^batch\.kubernetes\.io/|^(controller-uid|job-name)$"
    r"|^app\.kubernetes\.io/(name|component|managed-by)$",
    "reserved: smbferry.io/…, batch.kubernetes.io/…, controller-uid, job-name and app.kubernetes.io/name, component "
    "and managed-by identify agents",
)
"""Keys by which the operator, the Job controller and NetworkPolicies find agents."""

SECURITY_KEYS: Final = Forbidden(
    r"^(container\.)?(apparmor|seccomp)\.security\.(alpha|beta)\.kubernetes\.io/",
    "reserved: agents keep the node's default AppArmor and seccomp profiles",
)
"""Annotations that were fields of a securityContext before there were such fields. Pod Security looks at them, too."""

INJECTED_KEYS: Final = Forbidden(
    r"(^|\.)(istio\.io|linkerd\.io|kuma\.io|dapr\.io|hashicorp\.com|banzaicloud\.io|bank-vaults\.io|1password\.io|conjur\.org"
    r"|cyberark\.com|akeyless|opentelemetry\.io|dynatrace\.com|admission\.datadoghq\.com|cni\.cncf\.io|projectcalico\.org"
    r"|cilium\.io|antrea\.io|ovn\.org|ovn\.kubernetes\.io|openshift\.io|amazonaws\.com|workload\.identity)/",
    "expected keys other than those by which service meshes, injectors and network plugins add containers, volumes, "
    "addresses or permissions; those that turn an injector on or off are accepted, the others only on the chart",
    except_=(
        "sidecar.istio.io/inject",
        "istio.io/dataplane-mode",
        "linkerd.io/inject",
        "kuma.io/sidecar-injection",
        "dapr.io/enabled",
        "consul.hashicorp.com/connect-inject",
        "admission.datadoghq.com/enabled",
        "dynatrace.com/inject",
        "oneagent.dynatrace.com/inject",
    ),
)
"""Injectors run an image that an annotation names, or mount a Secret that it names, beside the agent's keytab."""

SYSTEM_CLASSES: Final = Forbidden(
    r"^system-", "expected a PriorityClass other than those of the system, which would evict pods of other namespaces"
)

READ_VARIABLES: Final = Forbidden(
    r"^(SMBFERRY_|KRB5|GSS|KDC_|PY|KUBERNETES_|JOB_COMPLETION_INDEX$|LD_|DL_|MALLOC_|GLIBC_|OPENSSL_|SSLKEYLOGFILE$"
    r"|NTLM_|CRYPTOGRAPHY_|(GCONV_PATH|GETCONF_DIR|HOSTALIASES|LOCALDOMAIN|LOCPATH|NIS_PATH|NLSPATH|RESOLV_HOST_CONF"
    r"|RES_OPTIONS|TZDIR|TMPDIR|TMP|TEMP|HOME|PATH|VIRTUAL_ENV|ENV|BASH_ENV)$)",
    "reserved: the agent, Kerberos, OpenSSL, Python or the loader reads this variable",
)
"""Variables with which code, another keytab or another krb5.conf could be loaded into the agent, or that lead its
temporary files and its requests elsewhere. Those of glibc are from sysdeps/generic/unsecvars.h."""

KubernetesObject = Annotated[
    dict[str, JsonValue],
    WithJsonSchema({"type": "object", "x-kubernetes-preserve-unknown-fields": True}),
]
"""Part of a pod's spec, passed on unchanged; the API server validates it when the Job is created."""

_LabelValue = Annotated[str, Field(max_length=63, pattern=r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$")]
_AnnotationValue = Annotated[str, Field(max_length=4096)]
NodeLabels = Annotated[dict[str, _LabelValue], Field(max_length=MAX_ENTRIES), QUALIFIED_NAME]
Labels = Annotated[NodeLabels, OWN_KEYS]
Annotations = Annotated[
    dict[str, _AnnotationValue], Field(max_length=MAX_ENTRIES), QUALIFIED_NAME, OWN_KEYS, SECURITY_KEYS
]

OWN_NAMESPACE: Final = {
    "rule": "!has(self.namespaces) && !has(self.namespaceSelector)",
    "message": "expected terms without namespaces and namespaceSelector: an agent's affinity to pods of other "
    "namespaces could keep those off the nodes; set it on the chart",
}
_OPEN: Final = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
_TERM: Final[dict[str, Any]] = {
    **_OPEN,
    "properties": {
        "namespaces": {"type": "array", "maxItems": MAX_ENTRIES, "items": {"type": "string", "maxLength": 63}},
        "namespaceSelector": _OPEN,
    },
    "x-kubernetes-validations": [OWN_NAMESPACE],
}
_REQUIRED, _PREFERRED = (f"{when}DuringSchedulingIgnoredDuringExecution" for when in ("required", "preferred"))
_POD_AFFINITY: Final[dict[str, Any]] = {
    **_OPEN,
    "properties": {
        _REQUIRED: {"type": "array", "maxItems": MAX_ENTRIES, "items": _TERM},
        _PREFERRED: {
            "type": "array",
            "maxItems": MAX_ENTRIES,
            "items": {**_OPEN, "properties": {"podAffinityTerm": _TERM}},
        },
    },
}


def _own_namespace_only(affinity: dict[str, JsonValue]) -> dict[str, JsonValue]:
    for kind in ("podAffinity", "podAntiAffinity"):
        for term in _terms(affinity.get(kind)):
            if "namespaces" in term or "namespaceSelector" in term:
                raise ValueError(f"{kind}: {OWN_NAMESPACE['message']}")
    return affinity


def _terms(pods: JsonValue) -> list[dict[str, JsonValue]]:
    """The PodAffinityTerms of a PodAffinity, as far as it is one."""
    if not isinstance(pods, dict):
        return []
    required, preferred = pods.get(_REQUIRED), pods.get(_PREFERRED)
    weighted = (
        [w.get("podAffinityTerm") for w in preferred if isinstance(w, dict)] if isinstance(preferred, list) else []
    )
    found = [*(required if isinstance(required, list) else ()), *weighted]
    return [term for term in found if isinstance(term, dict)]


OwnNamespaceAffinity = Annotated[
    dict[str, JsonValue],
    AfterValidator(_own_namespace_only),
    WithJsonSchema({**_OPEN, "properties": {"podAffinity": _POD_AFFINITY, "podAntiAffinity": _POD_AFFINITY}}),
]
"""An Affinity whose terms are about pods of the agent's own namespace. Required anti-affinity works both ways: it also
keeps the pods that it names off the node or zone where the agent runs."""

_Id = Annotated[int, Field(ge=ROOT_REFUSED, le=HIGHEST_ID)]


class SeLinuxType(StrEnum):
    """Types that Pod Security `restricted` permits."""

    CONTAINER = "container_t"
    CONTAINER_INIT = "container_init_t"
    CONTAINER_KVM = "container_kvm_t"


class SeLinuxOptions(Spec):
    """SELinux label of the agent's container; user and role stay those of the node."""

    level: Annotated[
        str | None, Field(max_length=256, pattern=r"^[a-z0-9:.,-]+$", description="Level such as s0:c26,c5.")
    ] = None
    type: Annotated[SeLinuxType | None, Field(description="Type.")] = None


class GroupChange(StrEnum):
    """When the files of volumes get the group of fsGroup."""

    ON_ROOT_MISMATCH = "OnRootMismatch"
    ALWAYS = "Always"


class SecurityContext(Spec):
    """The part of a PodSecurityContext that Pod Security `restricted` leaves open. An agent never runs as root."""

    run_as_user: Annotated[_Id | None, Field(description="User id.")] = None
    run_as_group: Annotated[_Id | None, Field(description="Group id.")] = None
    fs_group: Annotated[
        _Id | None, Field(description="Group that may read the mounted keytab and krb5.conf. The agent is a member.")
    ] = None
    fs_group_change_policy: Annotated[GroupChange | None, Field(description="When volumes get the group.")] = None
    supplemental_groups: Annotated[
        tuple[_Id, ...] | None, Field(max_length=16, description="Further groups of the agent.")
    ] = None
    se_linux_options: Annotated[SeLinuxOptions | None, Field(description="SELinux label.")] = None


class PullSecret(Spec):
    """A Secret in the agent's namespace that only the kubelet reads, to pull the image."""

    name: Annotated[ObjectName, Field(description="Name of the Secret.")]


class EnvironmentVariable(Spec):
    """A variable with a literal value."""

    name: Annotated[
        str,
        Field(min_length=1, max_length=128, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", description="Name of the variable."),
        READ_VARIABLES,
    ]
    value: Annotated[str, Field(max_length=4096, description="Literal value.")]


def _unique(items: Any) -> Any:
    names = [item.name for item in items]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"expected each name once, got {', '.join(twice)} several times")
    return items


class PodSettings(Spec):
    """Settings of agents' pods that the chart takes for all agents."""

    labels: Annotated[
        Labels | None,
        Field(description="Labels of the pods and their Jobs. Those of Kueue (kueue.x-k8s.io/…) are set on Jobs only."),
    ] = None
    annotations: Annotated[Annotations | None, Field(description="Annotations of the pods and their Jobs.")] = None
    node_selector: Annotated[
        NodeLabels | None,
        Field(description="Labels of nodes on which agents may run. Default: kubernetes.io/os: linux."),
    ] = None
    tolerations: Annotated[
        tuple[KubernetesObject, ...], Field(max_length=MAX_ENTRIES, description="Tolerations (core/v1 Toleration).")
    ] = ()
    affinity: Annotated[KubernetesObject | None, Field(description="Affinity (core/v1 Affinity).")] = None
    topology_spread_constraints: Annotated[
        tuple[KubernetesObject, ...] | None,
        Field(max_length=MAX_ENTRIES, description="How agents spread (core/v1 TopologySpreadConstraint)."),
    ] = None
    priority_class_name: Annotated[ObjectName | None, Field(description="PriorityClass of the agents.")] = None
    security_context: Annotated[
        SecurityContext | None, Field(description="Ids and SELinux label of the agents; all else is fixed.")
    ] = None
    image_pull_secrets: Annotated[
        Annotated[tuple[PullSecret, ...], Field(max_length=16), AfterValidator(_unique)] | None,
        Field(description="Secrets to pull the agent's image, in the namespace of the agent."),
    ] = None
    resources: Annotated[
        KubernetesObject | None, Field(description="Resource requests and limits (core/v1 ResourceRequirements).")
    ] = None
    env: Annotated[
        Annotated[tuple[EnvironmentVariable, ...], Field(max_length=MAX_ENTRIES), AfterValidator(_unique)] | None,
        Field(description="Environment variables with literal values, such as HTTPS_PROXY or SSL_CERT_FILE."),
    ] = None


class ObjectPodSettings(PodSettings):
    """Settings of agents' pods that an object takes. They are merged with those of the chart."""

    labels: Annotated[
        Annotated[Labels, INJECTED_KEYS] | None,
        Field(description="Labels of the pods and their Jobs. Those of Kueue (kueue.x-k8s.io/…) are set on Jobs only."),
    ] = None
    annotations: Annotated[
        Annotated[Annotations, INJECTED_KEYS] | None, Field(description="Annotations of the pods and their Jobs.")
    ] = None
    affinity: Annotated[
        OwnNamespaceAffinity | None,
        Field(description="Affinity (core/v1 Affinity) to nodes, and to pods of the same namespace."),
    ] = None
    priority_class_name: Annotated[
        Annotated[ObjectName, SYSTEM_CLASSES] | None, Field(description="PriorityClass of the agents.")
    ] = None
