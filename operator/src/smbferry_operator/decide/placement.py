"""Merges the settings of agents' pods: installation < object. Pure (ADR 42).

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
from typing import Final, TypeVar

from pydantic import JsonValue

from smbferry_api.pod_settings import EnvironmentVariable, PodSettings, PullSecret, SecurityContext
from smbferry_operator.decide.settings import AgentSettings
from smbferry_operator.model import Manifest

T = TypeVar("T")
Constraint = dict[str, JsonValue]
Named = TypeVar("Named", EnvironmentVariable, PullSecret)

LINUX: Final = PodSettings(node_selector={"kubernetes.io/os": "linux"})
"""The agent's image is for Linux. A cluster may have nodes that are not."""


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
