"""The agent's pod: Pod Security `restricted`, optional Secrets mounted whole, a read-only root file system.

Its other settings are merged, installation < object (ADR 42):

| field | how layers merge |
|---|---|
| labels, annotations, nodeSelector | by key; the later layer's value wins |
| env, imagePullSecrets | by name; the later layer's entry wins |
| securityContext | by field; the later layer's value wins |
| topologySpreadConstraints | by topologyKey and whenUnsatisfiable; the later layer's constraint wins |
| tolerations | added up, without duplicates |
| affinity, priorityClassName, resources | the later layer's value replaces the earlier one's |
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from pydantic import JsonValue

from smbferry_api.agent_contract import (
    AGENT_CONTAINER,
    AGENT_USER,
    NAME_OPTION,
    NAMESPACE_OPTION,
    SCRATCH_DIR,
    SID_MAP_DIR,
    SPOOL_DIR,
    TERMINATION_MESSAGE_PATH,
    AgentCommand,
    Side,
    UserIds,
    keytab_dir,
    krb5_config_dir,
)
from smbferry_api.identity import KerberosIdentitySpec
from smbferry_api.pod_settings import EnvironmentVariable, PodSettings, PullSecret, SecurityContext
from smbferry_operator.decide.manifests.access import access_name
from smbferry_operator.decide.naming import ANNOTATION_OWNER_NAME, agent_labels, class_label
from smbferry_operator.decide.settings import AgentSettings
from smbferry_operator.model import Kind, Manifest, Meta

T = TypeVar("T")
Constraint = dict[str, JsonValue]
Named = TypeVar("Named", EnvironmentVariable, PullSecret)

LINUX: Final = PodSettings(node_selector={"kubernetes.io/os": "linux"})
"""The agent's image is for Linux. A cluster may have nodes that are not."""
SECRET_MODE: Final = 0o440
SCRATCH_SIZE: Final = "16Mi"
SPOOL_SIZE: Final = "4Gi"  # some 60 million files
QUEUE_KEYS: Final = "kueue.x-k8s.io/"
MAX_NAMESERVERS: Final = 3  # the limit of a pod's dnsConfig


@dataclass(frozen=True, slots=True)
class ExtraVolume:
    """A volume that only some agents have; `source` is its part of the pod's volume."""

    name: str
    path: str
    source: Manifest
    read_only: bool = False


SPOOL: Final = ExtraVolume("spool", SPOOL_DIR, {"emptyDir": {"sizeLimit": SPOOL_SIZE}})
"""For an agent that writes the records of a report to the node's disk."""


def sid_map_volume(config_map: str) -> ExtraVolume:
    """The ConfigMap with the SID map; optional, so that the agent reports a missing one."""
    source = {"configMap": {"name": config_map, "optional": True, "defaultMode": SECRET_MODE}}
    return ExtraVolume("sid-map", SID_MAP_DIR, source, read_only=True)


@dataclass(frozen=True, slots=True)
class AgentPod:
    """What distinguishes one agent's pod from another's."""

    kind: Kind
    owner: Meta
    command: AgentCommand
    identities: Mapping[Side, KerberosIdentitySpec]
    nameservers: tuple[str, ...]
    settings: PodSettings
    """Merged: nothing of the installation is added."""
    grace_seconds: int
    """How long it may take to finish its last request and remove its temporary files."""
    environment: Mapping[str, str] | None = None
    annotations: Mapping[str, str] | None = None
    volumes: tuple[ExtraVolume, ...] = ()
    arguments: tuple[str, ...] = ()


def union_of_nameservers(*lists: Iterable[str]) -> tuple[str, ...]:
    """All nameservers in order, each once, up to the limit of a pod."""
    return tuple(dict.fromkeys(ns for some in lists for ns in some))[:MAX_NAMESERVERS]


def build_pod_template(pod: AgentPod, settings: AgentSettings) -> Manifest:
    """A PodTemplateSpec."""
    spec: Manifest = {
        "serviceAccountName": access_name(pod.kind, pod.owner),
        "automountServiceAccountToken": True,
        "restartPolicy": "Never",
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": pod.grace_seconds,
        "securityContext": _security_context(settings.user_ids, pod.settings.security_context),
        "containers": [_container(pod, settings)],
        "volumes": _volumes(pod),
    }
    spec |= _dns(pod.nameservers) | _placement(pod.settings)
    own = {ANNOTATION_OWNER_NAME: pod.owner.name, **(pod.annotations or {})}
    return {
        "metadata": {
            "labels": pod_labels(pod.settings) | agent_labels(pod.kind, pod.owner) | class_label(settings.class_name),
            "annotations": (pod.settings.annotations or {}) | own,
        },
        "spec": spec,
    }


def pod_labels(settings: PodSettings) -> dict[str, str]:
    """Labels of the pod. A label of Kueue is for the Job: a pod that has it would be queued once more by itself."""
    return {key: value for key, value in (settings.labels or {}).items() if not key.startswith(QUEUE_KEYS)}


def _security_context(ids: UserIds, wanted: SecurityContext | None) -> Manifest:
    """Pod Security `restricted`, with the ids of the image unless the cluster assigns them."""
    context: Manifest = {"runAsNonRoot": True}
    if ids is UserIds.FIXED:
        context |= {"runAsUser": AGENT_USER, "runAsGroup": AGENT_USER, "fsGroup": AGENT_USER}
    context |= {"fsGroupChangePolicy": "OnRootMismatch", "seccompProfile": {"type": "RuntimeDefault"}}
    return context | (wanted.model_dump(mode="json", by_alias=True, exclude_none=True) if wanted else {})


def _container(pod: AgentPod, settings: AgentSettings) -> Manifest:
    mounts: list[Manifest] = [{"name": "scratch", "mountPath": SCRATCH_DIR}]
    for side in pod.identities:
        mounts.append({"name": f"{side}-keytab", "mountPath": keytab_dir(side), "readOnly": True})
        mounts.append({"name": f"{side}-krb5", "mountPath": krb5_config_dir(side), "readOnly": True})
    for volume in pod.volumes:
        mount = {"name": volume.name, "mountPath": volume.path}
        mounts.append(mount | {"readOnly": True} if volume.read_only else mount)
    return {
        "name": AGENT_CONTAINER,
        "image": settings.image,
        "imagePullPolicy": settings.image_pull_policy,
        "command": ["smbferry-agent"],
        "args": [pod.command.value, NAMESPACE_OPTION, pod.owner.namespace, NAME_OPTION, pod.owner.name, *pod.arguments],
        "env": [{"name": name, "value": value} for name, value in _environment(pod).items()],
        "resources": pod.settings.resources or {},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "terminationMessagePath": TERMINATION_MESSAGE_PATH,
        "terminationMessagePolicy": "File",
        "volumeMounts": mounts,
    }


def _environment(pod: AgentPod) -> dict[str, str]:
    """Ours comes last: a variable's value can refer only to earlier ones."""
    wanted = {variable.name: variable.value for variable in pod.settings.env or ()}
    return {**wanted, "TMPDIR": SCRATCH_DIR, **(pod.environment or {})}


def _volumes(pod: AgentPod) -> list[Manifest]:
    """Optional, so that the agent reports a missing Secret; otherwise its pod would never start."""
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
    volumes += [{"name": volume.name, **volume.source} for volume in pod.volumes]
    return volumes


def _dns(nameservers: tuple[str, ...]) -> Manifest:
    """A pod with its own nameservers does not ask the cluster's DNS: its NXDOMAIN would be final."""
    if not nameservers:
        return {}
    return {"dnsPolicy": "None", "dnsConfig": {"nameservers": list(nameservers)}}


def _placement(settings: PodSettings) -> Manifest:
    placement: dict[str, Any] = {
        "nodeSelector": settings.node_selector,
        "tolerations": list(settings.tolerations),
        "affinity": settings.affinity,
        "topologySpreadConstraints": list(settings.topology_spread_constraints or ()),
        "priorityClassName": settings.priority_class_name,
        "imagePullSecrets": [{"name": secret.name} for secret in settings.image_pull_secrets or ()],
    }
    return {field: value for field, value in placement.items() if value}


def run_settings(settings: AgentSettings, of_task: PodSettings, *, spread: Iterable[Manifest] = ()) -> PodSettings:
    """Settings of a run's pods. Those of its locations and identities concern their checks only.

    Args:
        spread: constraints of the stage, which apply unless the task says where its agents go.
    """
    placed = of_task.affinity or of_task.topology_spread_constraints
    of_stage = PodSettings(topology_spread_constraints=() if placed else tuple(spread))
    return merged(LINUX, of_stage, settings.pod, of_task)


def check_settings(settings: AgentSettings, *of_objects: PodSettings | None) -> PodSettings:
    """Settings of a check's pod.

    Args:
        of_objects: of the identity and, for a check of a location, then of the location. Checks with equal results may
            share a pod.
    """
    resources = PodSettings(resources=settings.check_resources)
    return merged(LINUX, settings.pod, resources, *of_objects)


def merged(*layers: PodSettings | None) -> PodSettings:
    """Merges the layers, the least specific one first; None and empty values say nothing."""
    found = [layer for layer in layers if layer is not None]
    return PodSettings.model_construct(  # each layer is valid; together they may exceed the limits of one
        labels=_by_key(layer.labels for layer in found),
        annotations=_by_key(layer.annotations for layer in found),
        node_selector=_by_key(layer.node_selector for layer in found),
        tolerations=_added_up(layer.tolerations for layer in found),
        affinity=_last(layer.affinity for layer in found),
        topology_spread_constraints=_by_pair(layer.topology_spread_constraints for layer in found),
        priority_class_name=_last(layer.priority_class_name for layer in found),
        security_context=_by_field(layer.security_context for layer in found),
        image_pull_secrets=_by_name(layer.image_pull_secrets for layer in found),
        resources=_last(layer.resources for layer in found),
        env=_by_name(layer.env for layer in found),
    )


def _by_key(maps: Iterable[Mapping[str, str] | None]) -> dict[str, str]:
    return {key: value for one in maps for key, value in (one or {}).items()}


def _by_name(lists: Iterable[tuple[Named, ...] | None]) -> tuple[Named, ...]:
    return tuple({item.name: item for one in lists for item in one or ()}.values())


def _by_field(contexts: Iterable[SecurityContext | None]) -> SecurityContext:
    known = (context for context in contexts if context is not None)
    set_ = {name: value for context in known for name, value in context if value is not None}
    return SecurityContext.model_construct(**set_)


def _by_pair(lists: Iterable[tuple[Constraint, ...] | None]) -> tuple[Constraint, ...]:
    """The API server refuses a pod with two constraints of one pair."""
    found = (constraint for one in lists for constraint in one or ())
    return tuple({_pair(constraint): constraint for constraint in found}.values())


def _pair(constraint: Constraint) -> str:
    return json.dumps([constraint.get(name) for name in ("topologyKey", "whenUnsatisfiable")], sort_keys=True)


def _added_up(lists: Iterable[tuple[T, ...] | None]) -> tuple[T, ...]:
    result: list[T] = []
    for item in (item for one in lists for item in one or ()):
        if item not in result:
            result.append(item)
    return tuple(result)


def _last(values: Iterable[T | None]) -> T | None:
    return next((value for value in reversed(list(values)) if value), None)
