"""The agent's pod: Pod Security `restricted`, Secrets mounted whole and optional, nothing written but scratch."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from smbferry_api.agent_contract import (
    AGENT_CONTAINER,
    AGENT_USER,
    SCRATCH_DIR,
    SPOOL_DIR,
    TERMINATION_MESSAGE_PATH,
    AgentCommand,
    Side,
    keytab_dir,
    krb5_config_dir,
)
from smbferry_api.identity import KerberosIdentitySpec
from smbferry_api.task import AgentSpec
from smbferry_operator.decide.access import access_name
from smbferry_operator.decide.naming import ANNOTATION_OWNER_NAME, agent_labels
from smbferry_operator.decide.settings import AgentSettings
from smbferry_operator.model import Kind, Manifest, Meta

SECRET_MODE: Final = 0o440
SCRATCH_SIZE: Final = "16Mi"
SPOOL_SIZE: Final = "4Gi"  # some 60 million files
MAX_NAMESERVERS: Final = 3  # what a pod's dnsConfig may hold


@dataclass(frozen=True, slots=True)
class AgentPod:
    """All that distinguishes one agent's pod from another's."""

    kind: Kind
    owner: Meta
    command: AgentCommand
    identities: Mapping[Side, KerberosIdentitySpec]
    nameservers: tuple[str, ...]
    resources: Manifest
    grace_seconds: int
    """How long it may take to end its last frame and remove its temporaries."""
    placement: AgentSpec | None = None
    environment: Mapping[str, str] | None = None
    annotations: Mapping[str, str] | None = None
    spools: bool = False
    """It keeps records of a report, on the node's disk."""
    arguments: tuple[str, ...] = ()


def union_of_nameservers(*lists: Iterable[str]) -> tuple[str, ...]:
    """All of them in order, each once, as many as a pod may have."""
    return tuple(dict.fromkeys(ns for some in lists for ns in some))[:MAX_NAMESERVERS]


def build_pod_template(pod: AgentPod, settings: AgentSettings) -> Manifest:
    """A PodTemplateSpec."""
    spec: Manifest = {
        "serviceAccountName": access_name(pod.kind, pod.owner),
        "automountServiceAccountToken": True,
        "restartPolicy": "Never",
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": pod.grace_seconds,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": AGENT_USER,
            "runAsGroup": AGENT_USER,
            "fsGroup": AGENT_USER,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(pod, settings)],
        "volumes": _volumes(pod),
    }
    spec |= _dns(pod.nameservers) | (_placement(pod.placement) if pod.placement else {})
    if settings.priority_class:
        spec.setdefault("priorityClassName", settings.priority_class)
    if settings.image_pull_secrets:
        spec["imagePullSecrets"] = [{"name": name} for name in settings.image_pull_secrets]
    return {
        "metadata": {
            "labels": agent_labels(pod.kind, pod.owner),
            "annotations": {ANNOTATION_OWNER_NAME: pod.owner.name, **(pod.annotations or {})},
        },
        "spec": spec,
    }


def _container(pod: AgentPod, settings: AgentSettings) -> Manifest:
    mounts: list[Manifest] = [{"name": "scratch", "mountPath": SCRATCH_DIR}]
    for side in pod.identities:
        mounts.append({"name": f"{side}-keytab", "mountPath": keytab_dir(side), "readOnly": True})
        mounts.append({"name": f"{side}-krb5", "mountPath": krb5_config_dir(side), "readOnly": True})
    if pod.spools:
        mounts.append({"name": "spool", "mountPath": SPOOL_DIR})
    return {
        "name": AGENT_CONTAINER,
        "image": settings.image,
        "imagePullPolicy": settings.image_pull_policy,
        "command": ["smbferry-agent"],
        "args": [pod.command.value, "--namespace", pod.owner.namespace, "--name", pod.owner.name, *pod.arguments],
        "env": [
            {"name": name, "value": value} for name, value in {"TMPDIR": SCRATCH_DIR, **(pod.environment or {})}.items()
        ],
        "resources": pod.resources,
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "terminationMessagePath": TERMINATION_MESSAGE_PATH,
        "terminationMessagePolicy": "File",
        "volumeMounts": mounts,
    }


def _volumes(pod: AgentPod) -> list[Manifest]:
    """Optional, so that a missing Secret is the agent's verdict and not a pod that never starts."""
    volumes: list[Manifest] = [{"name": "scratch", "emptyDir": {"medium": "Memory", "sizeLimit": SCRATCH_SIZE}}]
    for side, identity in pod.identities.items():
        secret = {
            "secretName": identity.keytab_secret_ref.name,
            "optional": True,
            "defaultMode": SECRET_MODE,
        }
        config_map = {"name": identity.krb5_config_map_ref.name, "optional": True, "defaultMode": SECRET_MODE}
        volumes.append({"name": f"{side}-keytab", "secret": secret})
        volumes.append({"name": f"{side}-krb5", "configMap": config_map})
    if pod.spools:
        volumes.append({"name": "spool", "emptyDir": {"sizeLimit": SPOOL_SIZE}})
    return volumes


def _dns(nameservers: tuple[str, ...]) -> Manifest:
    """With servers of its own the pod must not ask the cluster's first: their NXDOMAIN would be the answer."""
    if not nameservers:
        return {}
    return {"dnsPolicy": "None", "dnsConfig": {"nameservers": list(nameservers)}}


def _placement(agent: AgentSpec) -> Manifest:
    placement: dict[str, Any] = {
        "nodeSelector": agent.node_selector,
        "tolerations": list(agent.tolerations),
        "affinity": agent.affinity,
        "priorityClassName": agent.priority_class_name,
    }
    return {field: value for field, value in placement.items() if value}
