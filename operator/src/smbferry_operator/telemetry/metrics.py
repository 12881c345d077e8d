"""The operator's metrics, by Prometheus' conventions: base units, `_total` for counters, times as timestamps.

Gauges of objects are read from the cache at each scrape; events are counted. Only the leader exports object metrics and
counts runs, so that a standby does not double them. Label values are names of objects, namespaces, and our own reasons
and states, never names of files or messages.
"""

import re
from collections import Counter as Tally
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any, Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from smbferry_api.conditions import ConditionType
from smbferry_api.reasons import KEYTAB_AGING, by_name
from smbferry_api.run_status import RunState
from smbferry_operator.decide.limits import UNLIMITED, RunLimits
from smbferry_operator.model import OWN_KINDS, Key, Kind, Manifest
from smbferry_operator.observe.cache import Cache
from smbferry_operator.parse import parse_time
from smbferry_operator.telemetry.queue import queue_metrics

RUN_BUCKETS: Final = (1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 12 * 3600, 24 * 3600)
RECONCILE_BUCKETS: Final = (0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60)
OTHER: Final = "Other"
"""For reasons that are not ours: a label must not get new values from what others write."""
_ACTIVE: Final = frozenset({RunState.TRANSFERRING, RunState.VERIFYING})
_FACTOR: Final = re.compile(r"\d{1,9}\.\d{1,9}")
_OFFSET: Final = re.compile(r"[+-]?\d+(?:\.\d+)?(?=s)")

Reconcile = Callable[[Key], Awaitable[timedelta | None]]


class _EndedRuns:
    """Counts runs that ended, and what they transferred."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, ["namespace", *labels], registry=registry)

        self._runs = counter("smbferry_runs_ended", "Runs that ended, by their last state.", "state")
        self._failures = counter("smbferry_run_failures", "Runs that failed as a whole, by reason.", "reason")
        self._bytes = counter("smbferry_transferred_bytes", "Bytes of file content that ended runs transferred.")
        self._files = counter("smbferry_transferred_files", "Files that ended runs transferred.")
        self._bad_files = counter("smbferry_failed_files", "Files that failed in ended runs.")
        self._deleted = counter("smbferry_deleted_files", "Files that ended runs deleted at the destination.")
        self._durations = Histogram(
            "smbferry_run_duration_seconds",
            "From start to end of a run, by its last state.",
            ["state"],
            buckets=RUN_BUCKETS,
            registry=registry,
        )

    def add(self, body: Manifest) -> None:
        namespace, status = body["metadata"].get("namespace", ""), body.get("status") or {}
        state = str(status.get("state"))
        self._runs.labels(namespace, state).inc()
        if state == RunState.FAILED:
            self._failures.labels(namespace, _reason((status.get("failure") or {}).get("reason"))).inc()
        start, end = parse_time(status.get("startTime")), parse_time(status.get("completionTime"))
        if start and end:
            self._durations.labels(state).observe(max(0.0, (end - start).total_seconds()))
        spec = body.get("spec") or {}
        if not (spec.get("dryRun") or spec.get("survey")):
            self._add_transferred(namespace, status.get("counters") or {})

    def _add_transferred(self, namespace: str, counters: Mapping[str, Any]) -> None:
        files, size = counters.get("files") or {}, counters.get("bytes") or {}
        self._bytes.labels(namespace).inc(size.get("transferred", 0))
        self._files.labels(namespace).inc(files.get("transferred", 0))
        self._bad_files.labels(namespace).inc(files.get("failed", 0))
        self._deleted.labels(namespace).inc(files.get("deleted", 0))


class Metrics:
    """All metrics of the operator."""

    def __init__(self, cache: Cache, leading: Callable[[], bool], limits: RunLimits = UNLIMITED) -> None:
        """Creates all metrics, with the value 0.

        Args:
            leading: whether this operator leads.
            limits: of the installation.
        """
        disable_created_metrics()  # type: ignore[no-untyped-call] # the library publishes no types for it
        self.leading = leading
        self.limits = limits
        self._registry = CollectorRegistry()
        self._figures: Mapping[str, int] = {}
        ProcessCollector(registry=self._registry)
        self._registry.register(_StateCollector(cache, self))
        self._ended_runs = _EndedRuns(self._registry)
        self._rounds = Histogram(
            "smbferry_reconcile_duration_seconds",
            "One round: observe, decide and apply.",
            ["kind"],
            buckets=RECONCILE_BUCKETS,
            registry=self._registry,
        )
        self._errors = Counter(
            "smbferry_reconcile_errors", "Rounds that failed and are retried.", ["kind"], registry=self._registry
        )
        for kind in OWN_KINDS:  # exported as 0, so that rate() sees the first error
            self._errors.labels(kind.value)

    @property
    def figures(self) -> Mapping[str, int]:
        """The lengths of the work queue, as of the last scrape."""
        return self._figures

    def exposed(self, figures: Mapping[str, int]) -> bytes:
        """All metrics in Prometheus' text format.

        Args:
            figures: lengths of the work queue: ready, delayed, underWay.
        """
        self._figures = figures
        return generate_latest(self._registry)

    def timed(self, reconcile: Reconcile) -> Reconcile:
        """The same function, with its duration and errors counted."""

        async def counted(key: Key) -> timedelta | None:
            with self._errors.labels(key.kind.value).count_exceptions(), self._rounds.labels(key.kind.value).time():
                return await reconcile(key)

        return counted

    def run_ended(self, body: Manifest) -> None:
        """Counts a run that ended."""
        if self.leading():
            self._ended_runs.add(body)


class _StateCollector(Collector):
    """Exports what the cache and the queue contain at a scrape."""

    def __init__(self, cache: Cache, metrics: Metrics) -> None:
        self._cache = cache
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        yield _single("smbferry_leader", "Whether this operator leads.", int(self._metrics.leading()))
        figures = self._metrics.figures
        yield _single("smbferry_queue_length", "Objects that are ready to be reconciled.", figures.get("ready", 0))
        yield _single(
            "smbferry_queue_delayed", "Objects that are reconciled at a later time.", figures.get("delayed", 0)
        )
        yield _single("smbferry_queue_under_way", "Objects that are being reconciled.", figures.get("underWay", 0))
        if self._metrics.leading():
            yield from object_metrics(self._cache)
            yield from queue_metrics(self._cache, self._metrics.limits)


def object_metrics(cache: Cache) -> Iterator[Metric]:
    """Metrics of the objects in the cache."""
    bodies: dict[Kind, list[Manifest]] = {kind: [] for kind in OWN_KINDS}
    for key in cache:
        body = cache.get(key)
        if body is not None and key.kind in bodies:
            bodies[key.kind].append(body)
    yield _readiness(bodies)
    yield from _of_runs(bodies[Kind.RUN])
    yield from _of_tasks(bodies[Kind.TASK])
    yield from _of_identities(bodies[Kind.IDENTITY])


def _readiness(bodies: Mapping[Kind, list[Manifest]]) -> Metric:
    family = GaugeMetricFamily(
        "smbferry_ready",
        "Whether an object is Ready; absent while it is Unknown.",
        labels=["kind", "namespace", "name"],
    )
    for kind in (Kind.IDENTITY, Kind.LOCATION, Kind.TASK):
        for body in bodies[kind]:
            _add_truth(family, body, ConditionType.READY, kind.value)
    return family


def _of_runs(runs: list[Manifest]) -> Iterator[Metric]:
    states = Tally((_names(r)[0], str((r.get("status") or {}).get("state") or RunState.QUEUED.value)) for r in runs)
    family = GaugeMetricFamily("smbferry_runs", "Existing runs, by state.", labels=["namespace", "state"])
    for (namespace, state), count in sorted(states.items()):
        family.add_metric([namespace, state], count)
    yield family
    rates: Tally[str] = Tally()
    for run in runs:
        status = run.get("status") or {}
        if status.get("state") in _ACTIVE:
            rates[_names(run)[0]] += (status.get("counters") or {}).get("bytesPerSecond") or 0
    speed = GaugeMetricFamily(
        "smbferry_transfer_rate_bytes_per_second", "Transfer rate of all active runs together.", labels=["namespace"]
    )
    for namespace, rate in sorted(rates.items()):
        speed.add_metric([namespace], rate)
    yield speed
    yield from _of_polite_runs(runs)


def _of_polite_runs(runs: list[Manifest]) -> Iterator[Metric]:
    """How active runs give way. Agents write these figures, so only numbers are taken from them."""
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
    shares: dict[tuple[str, str], float] = {}
    factors: dict[tuple[str, str], float] = {}
    for run in runs:
        status, task = run.get("status") or {}, ((run.get("spec") or {}).get("taskRef") or {}).get("name")
        found = status.get("politeness") or {}
        if status.get("state") not in _ACTIVE or not task or not found:
            continue
        key = (_names(run)[0], str(task))
        if isinstance(percent := found.get("sharePercent"), int):
            shares[key] = min(percent / 100, shares.get(key, 1.0))
        if _FACTOR.fullmatch(str(found.get("factor"))):
            factors[key] = max(float(found["factor"]), factors.get(key, 0.0))
    for family, values in ((share, shares), (factor, factors)):
        for key, value in sorted(values.items()):
            family.add_metric(list(key), value)
        yield family


def _of_tasks(tasks: list[Manifest]) -> Iterator[Metric]:
    success = _timestamps("smbferry_task_last_success", "When the last successful run ended.", "task")
    upcoming = _timestamps("smbferry_task_next_schedule", "When the task is due next.", "task")
    in_sync = GaugeMetricFamily("smbferry_task_in_sync", "The condition InSync.", labels=["namespace", "task"])
    on_schedule = GaugeMetricFamily(
        "smbferry_task_on_schedule", "The condition OnSchedule.", labels=["namespace", "task"]
    )
    for task in tasks:
        status = task.get("status") or {}
        _add_moment(success, task, (status.get("lastSuccessfulRun") or {}).get("completionTime"))
        _add_moment(upcoming, task, status.get("nextScheduleTime"))
        _add_truth(in_sync, task, ConditionType.IN_SYNC)
        _add_truth(on_schedule, task, ConditionType.ON_SCHEDULE)
    yield from (success, upcoming, in_sync, on_schedule)


def _of_identities(identities: list[Manifest]) -> Iterator[Metric]:
    offset = GaugeMetricFamily(
        "smbferry_identity_clock_offset_seconds",
        "The KDC's clock minus the agent's clock, at the last check.",
        labels=["namespace", "identity"],
    )
    ticket = _timestamps("smbferry_identity_ticket_expiry", "When the ticket of the last check expires.", "identity")
    keytab = _timestamps("smbferry_identity_keytab_key", "When the newest key was written to the keytab.", "identity")
    checked = _timestamps("smbferry_identity_last_check", "When the identity was last checked.", "identity")
    kvno = GaugeMetricFamily(
        "smbferry_identity_kvno_mismatch", "The condition KvnoMismatch.", labels=["namespace", "identity"]
    )
    aging = GaugeMetricFamily(
        "smbferry_identity_keytab_aging",
        "Whether the keytab nears spec.rotation.maxAge.",
        labels=["namespace", "identity"],
    )
    for identity in identities:
        status = identity.get("status") or {}
        if offset_found := _OFFSET.match((status.get("kdc") or {}).get("clockOffset") or ""):
            offset.add_metric(_names(identity), float(offset_found.group()))
        _add_moment(ticket, identity, (status.get("ticket") or {}).get("endTime"))
        entries = (status.get("keytab") or {}).get("entries") or ()
        _add_moment(keytab, identity, max((e["timestamp"] for e in entries if e.get("timestamp")), default=None))
        _add_moment(checked, identity, status.get("lastCheckTime"))
        _add_truth(kvno, identity, ConditionType.KVNO_MISMATCH)
        if (valid := _find(identity, ConditionType.KEYTAB_VALID)).get("status") in {"True", "False"}:
            aging.add_metric(_names(identity), int(valid.get("reason") == KEYTAB_AGING.name))
    yield from (offset, ticket, keytab, checked, kvno, aging)


def _single(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _timestamps(name: str, text: str, label: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"{name}_timestamp_seconds", text, labels=["namespace", label])


def _add_moment(family: GaugeMetricFamily, body: Manifest, text: str | None) -> None:
    moment = parse_time(text)
    if moment is not None:
        family.add_metric(_names(body), moment.timestamp())


def _add_truth(family: GaugeMetricFamily, body: Manifest, type_: ConditionType, *labels: str) -> None:
    """Adds 1 or 0 for a condition that is True or False, nothing while it is Unknown."""
    found = _find(body, type_).get("status")
    if found in {"True", "False"}:
        family.add_metric([*labels, *_names(body)], int(found == "True"))


def _names(body: Manifest) -> list[str]:
    return [body["metadata"].get("namespace", ""), body["metadata"]["name"]]


def _find(body: Manifest, type_: ConditionType) -> dict[str, Any]:
    conditions: list[dict[str, Any]] = (body.get("status") or {}).get("conditions") or []
    return next((c for c in conditions if c.get("type") == type_), {})


def _reason(word: str | None) -> str:
    return word if word and by_name(word) else OTHER
