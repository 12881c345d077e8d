"""What all runs together are, and the metrics of it.

A scrape reads each run once, and one that has ended not at all: there may be thousands of them.
"""

import re
from collections import Counter as Tally
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from prometheus_client.core import GaugeMetricFamily, Metric

from smbferry_api.conditions import ConditionType
from smbferry_api.reasons import LIMIT_REACHED, by_name
from smbferry_api.run_status import RunState
from smbferry_operator.decide.limits import Scope
from smbferry_operator.model import Kind, Manifest
from smbferry_operator.observe.cache import Cache
from smbferry_operator.observe.tags import STATE_OF_TAG, TAG_SERVING

OTHER: Final = "Other"
"""For reasons that are not ours: a label must not get new values from what others write."""
MOVING: Final = frozenset({RunState.TRANSFERRING, RunState.VERIFYING})
ACTIVE: Final = MOVING | {RunState.LAUNCHING, RunState.PREPARING, RunState.CANCELLING}
_FACTOR: Final = re.compile(r"\d{1,9}\.\d{1,9}")

Names = tuple[str, str]
"""Namespace and task."""


@dataclass
class RunTotals:
    """Sums over all runs."""

    states: Tally[tuple[str, str]] = field(default_factory=Tally)
    """By namespace and state."""
    rates: Tally[str] = field(default_factory=Tally)
    """Bytes per second, by namespace."""
    shares: dict[Names, float] = field(default_factory=dict)
    factors: dict[Names, float] = field(default_factory=dict)
    queued: Tally[tuple[str, str, str]] = field(default_factory=Tally)
    """By namespace, reason and limit."""
    servers: Tally[str] = field(default_factory=Tally)
    """Active runs, by server."""

    @classmethod
    def of(cls, cache: Cache) -> "RunTotals":
        """Of the runs in the cache."""
        totals = cls()
        for key in cache:
            if key.kind is not Kind.RUN:
                continue
            serving = TAG_SERVING in cache.tags_of(key)
            ended = next((state for tag in cache.tags_of(key) if (state := STATE_OF_TAG.get(tag))), None)
            if ended is not None:
                totals.states[key.namespace, ended] += not serving
            elif (body := cache.get(key)) is not None:
                totals._add(key.namespace, body, serving=serving)
        return totals

    def _add(self, namespace: str, run: Manifest, *, serving: bool) -> None:
        """A run that has not ended.

        Args:
            serving: whether it serves a run of another namespace, which is counted instead; only it knows its servers.
        """
        status = run.get("status") or {}
        state = str(status.get("state") or RunState.QUEUED.value)
        if state in ACTIVE:
            self.servers.update(_servers(status.get("task") or {}))
        if serving:
            return
        self.states[namespace, state] += 1
        if state == RunState.QUEUED:
            self.queued[namespace, *_waits_for(status)] += 1
        if state in MOVING:
            self.rates[namespace] += (status.get("counters") or {}).get("bytesPerSecond") or 0
            self._add_polite(namespace, run)

    def _add_polite(self, namespace: str, run: Manifest) -> None:
        """How it gives way. Agents write these figures, so only numbers are taken from them."""
        task = ((run.get("spec") or {}).get("taskRef") or {}).get("name")
        found = (run.get("status") or {}).get("politeness") or {}
        if not task or not found:
            return
        names = (namespace, str(task))
        if isinstance(percent := found.get("sharePercent"), int):
            self.shares[names] = min(percent / 100, self.shares.get(names, 1.0))
        if _FACTOR.fullmatch(str(found.get("factor"))):
            self.factors[names] = max(float(found["factor"]), self.factors.get(names, 0.0))


def run_metrics(totals: RunTotals) -> Iterator[Metric]:
    """States, rates, and how active runs give way."""
    family = GaugeMetricFamily("smbferry_runs", "Existing runs, by state.", labels=["namespace", "state"])
    for (namespace, state), count in sorted(totals.states.items()):
        family.add_metric([namespace, state], count)
    yield family
    speed = GaugeMetricFamily(
        "smbferry_transfer_rate_bytes_per_second", "Transfer rate of all active runs together.", labels=["namespace"]
    )
    for namespace, rate in sorted(totals.rates.items()):
        speed.add_metric([namespace], rate)
    yield speed
    share = GaugeMetricFamily(
        "smbferry_task_request_share_ratio",
        "Part of its usual requests that the task's active run may send at once.",
        labels=["namespace", "task"],
    )
    factor = GaugeMetricFamily(
        "smbferry_task_reply_time_ratio",
        "Current reply time of a server to the task's active run, in relation to its idle reply time.",
        labels=["namespace", "task"],
    )
    for family, values in ((share, totals.shares), (factor, totals.factors)):
        for names, value in sorted(values.items()):
            family.add_metric(list(names), value)
        yield family


def _waits_for(status: Manifest) -> tuple[str, str]:
    """The reason, and the limit if it waits for one."""
    conditions: list[dict[str, Any]] = status.get("conditions") or []
    reason = str(next((c.get("reason") for c in conditions if c.get("type") == ConditionType.SUCCEEDED), ""))
    scope = str((status.get("queue") or {}).get("waitingFor", "")).partition(" ")[0]
    limit = scope if reason == LIMIT_REACHED.name and scope in set(Scope) else ""
    return reason if by_name(reason) else OTHER, limit


def _servers(task: Manifest) -> set[str]:
    found = set()
    for side in ("source", "destination"):
        end = task.get(side)
        if isinstance(end, dict):
            place = end.get("dfsTarget") or end.get("spec") or {}
            found.add(str(place.get("server", "")).rstrip(".").casefold())
    return found - {""}
