"""Tasks that use SmbLocations of another namespace (ADR 56). Pure.

Their agents run where the keytabs are. So for each run of such a task, the requesting run, the operator creates a run
in the namespace of the locations, the serving run. That one has the Jobs; everything about it is decided as for any run
of its namespace. The requesting run has a copy of its status, as far as the locations' owner allows.

Both sides must consent: the task names the namespace, and each location allows the task's. Neither learns from a
refusal whether an object exists.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from smbferry_api import API_VERSION
from smbferry_api.names import LABEL_MANAGED_BY, LABEL_TASK, MANAGED_BY_OPERATOR
from smbferry_api.reasons import (
    LOCATION_NOT_READY,
    LOCATION_NOT_SHARED,
    SAME_DESTINATION,
    SPEC_INVALID,
)
from smbferry_api.run import NEVER, OnBehalfOf, TransferRunSpec
from smbferry_api.task import AgentSpec
from smbferry_operator.decide.grants import Grant
from smbferry_operator.decide.naming import HASH_LENGTH, label_value, short_hash
from smbferry_operator.decide.observation import Ends
from smbferry_operator.decide.readiness import Readiness, referent
from smbferry_operator.decide.resolve import Obstacle
from smbferry_operator.model import Kind, Location, Manifest, Meta, Run, Task

LONGEST_NAME: Final = 253
AT_ONCE: Final = "0s"
OWN_SETTINGS: Final = frozenset({"parallelism", "active_deadline"})
"""Fields of spec.agent that a task may set although its agents run in another namespace: all others are about pods."""


def other_namespace(task: Task) -> str | None:
    """The namespace of the task's locations if it is not the task's own."""
    named = task.spec.location_namespace
    return named if named is not None and named != task.meta.namespace else None


def grant(namespace: str, names: Iterable[str], ends: Ends, user: str, labels: Mapping[str, str] | None) -> Grant:
    """What the owner of the locations allows.

    Args:
        namespace: where the locations are.
        names: those of the task.
        user: the namespace that wants to use them, with its labels; None if they are unknown.
    """
    refused = tuple(
        f"{namespace}/{name} ({side})"
        for name, (side, location) in zip(names, ends.by_side, strict=False)
        if not _allows(location, user, labels, writes=side != "source")
    )
    found = [location for _, location in ends.by_side if location is not None]
    told = [each.spec.allowed_namespaces.details for each in found if each.spec.allowed_namespaces is not None]
    return Grant(namespace, refused, details=not refused and all(told))


def _allows(location: Location | None, user: str, labels: Mapping[str, str] | None, *, writes: bool) -> bool:
    if location is None or location.meta.deleting or location.spec.allowed_namespaces is None:
        return False
    return location.spec.allowed_namespaces.allows(user, labels, writes=writes)


# --- The task --------------------------------------------------------------------------------------------------------


def sharing_obstacle(task: Task, given: Grant, ends: Ends) -> Obstacle | None:
    """Why the task cannot use the locations of the other namespace; None if it can."""
    if problem := unservable(task, given.namespace):
        return Obstacle(SPEC_INVALID, problem, stalled=True)
    if given.refused:
        return Obstacle(LOCATION_NOT_SHARED, not_shared(given, task.meta.namespace))
    if given.details:
        return None
    for name, (side, location) in zip(task.spec.location_names, ends.by_side, strict=False):
        state = referent(location)
        if state.state is Readiness.NOT_READY and state.condition is not None:
            what = f"SmbLocation {given.namespace}/{name} ({side}) is not Ready: {state.condition.reason}."
            return Obstacle(
                LOCATION_NOT_READY, f"{what} Its owner sees the cause in its conditions.", stalled=state.stalled
            )
    return None


def not_shared(given: Grant, user: str) -> str:
    """The same words whether or not the location exists."""
    wanted = f"expected one that allows namespace {user}; it does not exist or does not allow it"
    return f"SmbLocation {', '.join(given.refused)}: {wanted}."


def unservable(task: Task, namespace: str) -> str | None:
    """Why no run in the other namespace can do the task's work; None if one can."""
    where = f"because the task's agents run in namespace {namespace}"
    own = task.spec.agent.model_fields_set - OWN_SETTINGS
    pods = sorted(name for name in own if getattr(task.spec.agent, name) != getattr(AgentSpec(), name))
    if pods:
        given = ", ".join(f"spec.agent.{AgentSpec.model_fields[name].alias or name}" for name in pods)
        return f"{given}: expected only parallelism and activeDeadline, {where}."
    if task.spec.options.sid_map is not None:
        return f"spec.options.sidMap: expected none, {where} and would read a ConfigMap there."
    return None


def discreet(obstacle: Obstacle | None, given: Grant) -> Obstacle | None:
    """The obstacle without the names of servers and folders, unless the owner allows them."""
    if obstacle is None or given.details or obstacle.reason is not SAME_DESTINATION:
        return obstacle
    return replace(obstacle, message="The source and the destination overlap.")


def as_served(task: Task, namespace: str) -> Task:
    """The task as one of the namespace of its locations. What concerns pods and ConfigMaps of its own is left out."""
    spec = task.spec
    ends = {
        side: end.model_copy(update={"location_ref": end.location_ref.model_copy(update={"namespace": None})})
        for side, end in (("source", spec.source), ("destination", spec.destination))
    }
    ref = spec.report.location_ref
    report = spec.report.model_copy(
        update={"location_ref": ref.model_copy(update={"namespace": None}) if ref is not None else None}
    )
    agent = AgentSpec(parallelism=spec.agent.parallelism, active_deadline=spec.agent.active_deadline)
    options = spec.options.model_copy(update={"sid_map": None})
    changes = {**ends, "report": report, "agent": agent, "options": options, "priority": _at_most_usual(spec.priority)}
    local = spec.model_copy(update=changes)
    return replace(task, meta=replace(task.meta, namespace=namespace), spec=local)


def _at_most_usual(priority: int) -> int:
    """Priorities order the runs of a namespace: a run for another one does not overtake its own."""
    return min(priority, 0)


# --- Runs ------------------------------------------------------------------------------------------------------------


def serving_name(run: Meta) -> str:
    """The name of the run that serves this one: readable, and unique by its uid."""
    stem = f"{run.namespace}.{run.name}"[: LONGEST_NAME - 1 - HASH_LENGTH].rstrip("-.")
    return f"{stem}-{short_hash(run.uid)}"


def serving_run(run: Run, namespace: str) -> Manifest:
    """The run that does the work of a run in the namespace of its locations. It has no owner: that cannot be in
    another namespace.
    """
    on_behalf_of = OnBehalfOf(namespace=run.meta.namespace, name=run.meta.name, uid=run.meta.uid)
    spec = TransferRunSpec(task_ref=run.spec.task_ref, on_behalf_of=on_behalf_of, class_name=run.spec.class_name)
    return {
        "apiVersion": API_VERSION,
        "kind": Kind.RUN.value,
        "metadata": {
            "name": serving_name(run.meta),
            "namespace": namespace,
            "labels": {LABEL_MANAGED_BY: MANAGED_BY_OPERATOR, LABEL_TASK: label_value(run.spec.task_ref.name)},
        },
        "spec": spec.model_dump(mode="json", by_alias=True, exclude_none=True),
    }


def as_asked(serving: Run, asking: Run | None, *, allowed: bool) -> Run:
    """A serving run with the spec of the run that it serves.

    It is cancelled if the other one is, or is gone, or if a location no longer allows its namespace. It is kept for as
    long as the other one exists.

    Args:
        asking: the run that it serves; None if it does not exist or asks for something else.
    """
    if asking is None:
        return replace(serving, spec=serving.spec.model_copy(update={"cancel": True, "ttl_after_finished": AT_ONCE}))
    cancel = serving.spec.cancel or asking.spec.cancel or asking.meta.deleting or not allowed
    own = {"cancel": cancel, "ttl_after_finished": NEVER, "on_behalf_of": serving.spec.on_behalf_of}
    own["priority"] = None if asking.spec.priority is None else _at_most_usual(asking.spec.priority)
    return replace(serving, spec=asking.spec.model_copy(update=own))
