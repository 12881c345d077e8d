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
from smbferry_api.reasons import AGENT_SUSPENDED, LIMIT_REACHED, WINDOW_CLOSED, by_name
from smbferry_api.run_status import RunState
from smbferry_operator.decide.limits import Scope
from smbferry_operator.model import Kind, Manifest
from smbferry_operator.observe.cache import Cache
from smbferry_operator.observe.tags import STATE_OF_TAG, TAG_SERVING
from smbferry_operator.parse import parse_meta

OTHER: Final = "Other"
"""For reasons that are not ours: a label must not get new values from what others write."""
MOVING: Final = frozenset({RunState.TRANSFERRING, RunState.VERIFYING})
ACTIVE: Final = MOVING | {RunState.LAUNCHING, RunState.PREPARING, RunState.CANCELLING}
HANDLED: Final = ("listed", "transferred", "skipped", "verified", "deleted", "failed", "renamed")
"""Counters of files and folders that grow while a run makes progress."""
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
    waiting: dict[Names, float] = field(default_factory=dict)
    """When the oldest run that waits, but not for a window, was created."""
    moved: Tally[Names] = field(default_factory=Tally)
    """Bytes that active runs have read and written."""
    handled: Tally[Names] = field(default_factory=Tally)
    """Files and folders that active runs have dealt with."""

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
        names = (namespace, str(((run.get("spec") or {}).get("taskRef") or {}).get("name")))
        if state == RunState.QUEUED:
            self.queued[namespace, *_waits_for(status)] += 1
        if _is_held(state, status):
            created = parse_meta(run).created.timestamp()
            self.waiting[names] = min(created, self.waiting.get(names, created))
        elif state in ACTIVE:
            self._add_progress(names, status)
        if state in MOVING:
            self.rates[namespace] += (status.get("counters") or {}).get("bytesPerSecond") or 0
            self._add_polite(names, status.get("politeness") or {})

    def _add_progress(self, names: Names, status: Manifest) -> None:
        """What an active run has done so far, unless it waits for files that others use."""
        if (status.get("retry") or {}).get("nextTime"):
            return
        counters = status.get("counters") or {}
        self.moved[names] += sum((counters.get("bytes") or {}).get(name) or 0 for name in ("transferred", "written"))
        self.handled[names] += sum(
            (counters.get(kind) or {}).get(name) or 0 for kind in ("files", "directories") for name in HANDLED
        )

    def _add_polite(self, names: Names, found: Manifest) -> None:
        """How it gives way. Agents write these figures, so only numbers are taken from them."""
        if isinstance(percent := found.get("sharePercent"), int):
            self.shares[names] = min(percent / 100, self.shares.get(names, 1.0))
        if _FACTOR.fullmatch(str(found.get("factor"))):
            self.factors[names] = max(float(found["factor"]), self.factors.get(names, 0.0))


def run_metrics(totals: RunTotals) -> Iterator[Metric]:
    """States and rates."""
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


def _is_held(state: str, status: Manifest) -> bool:
    """Whether it waits for something that is not its task's own window."""
    reason = _reason(status)
    return reason == AGENT_SUSPENDED.name if state != RunState.QUEUED else reason != WINDOW_CLOSED.name


def _reason(status: Manifest) -> str:
    conditions: list[dict[str, Any]] = status.get("conditions") or []
    return str(next((c.get("reason") for c in conditions if c.get("type") == ConditionType.SUCCEEDED), ""))


def _waits_for(status: Manifest) -> tuple[str, str]:
    """The reason, and the limit if it waits for one."""
    reason = _reason(status)
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
