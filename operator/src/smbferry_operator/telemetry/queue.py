"""Metrics of runs that wait and of what limits them."""

from collections import Counter as Tally
from collections.abc import Iterator
from typing import Any, Final

from prometheus_client.core import GaugeMetricFamily, Metric

from smbferry_api.conditions import ConditionType
from smbferry_api.reasons import LIMIT_REACHED, by_name
from smbferry_api.run_status import RunState
from smbferry_operator.decide.limits import RunLimits, Scope
from smbferry_operator.model import Kind, Manifest
from smbferry_operator.observe.cache import Cache

MAX_SERVERS: Final = 50
"""Servers with a series of their own; a person may name any, so all others together are one."""
OTHER: Final = "Other"
ACTIVE: Final = frozenset(
    {RunState.LAUNCHING, RunState.PREPARING, RunState.TRANSFERRING, RunState.VERIFYING, RunState.CANCELLING}
)


def queue_metrics(cache: Cache, limits: RunLimits) -> Iterator[Metric]:
    """Queued runs by what they wait for, active runs by file server, and the limits of the installation."""
    runs = [body for key in cache if key.kind is Kind.RUN and (body := cache.get(key)) is not None]
    queued = GaugeMetricFamily(
        "smbferry_queued_runs", "Queued runs, by what they wait for.", labels=["namespace", "reason", "limit"]
    )
    for labels, count in sorted(Tally(_waits_for(run) for run in runs if _state(run) == RunState.QUEUED).items()):
        queued.add_metric(labels, count)
    yield queued
    active = GaugeMetricFamily(
        "smbferry_server_active_runs", "Runs that are active at a file server.", labels=["server"]
    )
    for server, count in _by_server(runs):
        active.add_metric([server], count)
    yield active
    permitted = GaugeMetricFamily(
        "smbferry_limit_agents", "Agents at a time that a limit of the chart permits.", labels=["limit"]
    )
    for scope, most in (
        (Scope.SERVER, limits.per_server),
        (Scope.NAMESPACE, limits.per_namespace),
        (Scope.OPERATOR, limits.total),
    ):
        if most is not None:
            permitted.add_metric([scope.value], most)
    yield permitted


def _state(run: Manifest) -> str:
    return str((run.get("status") or {}).get("state") or RunState.QUEUED.value)


def _waits_for(run: Manifest) -> tuple[str, str, str]:
    status = run.get("status") or {}
    conditions: list[dict[str, Any]] = status.get("conditions") or []
    reason = str(next((c.get("reason") for c in conditions if c.get("type") == ConditionType.SUCCEEDED), ""))
    scope = str((status.get("queue") or {}).get("waitingFor", "")).partition(" ")[0]
    limit = scope if reason == LIMIT_REACHED.name and scope in set(Scope) else ""
    return run["metadata"].get("namespace", ""), reason if by_name(reason) else OTHER, limit


def _by_server(runs: list[Manifest]) -> list[tuple[str, int]]:
    """The servers with the most active runs, and all others together."""
    counts: Tally[str] = Tally()
    for run in runs:
        if _state(run) in ACTIVE:
            counts.update(_servers(((run.get("status") or {}).get("task")) or {}))
    most = counts.most_common()
    rest = sum(count for _, count in most[MAX_SERVERS:])
    return sorted(most[:MAX_SERVERS]) + ([(OTHER, rest)] if rest else [])


def _servers(task: Manifest) -> set[str]:
    found = set()
    for side in ("source", "destination"):
        end = task.get(side)
        if isinstance(end, dict):
            place = end.get("dfsTarget") or end.get("spec") or {}
            found.add(str(place.get("server", "")).rstrip(".").casefold())
    return found - {""}
