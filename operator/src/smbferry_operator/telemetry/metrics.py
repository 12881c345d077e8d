"""The operator's metrics, by Prometheus' conventions: base units, `_total` for counters, times as timestamps.

Gauges of objects are read from the cache at each scrape; events are counted. Only the leader exports object metrics and
counts runs, so that a standby does not double them. Label values are names of objects, namespaces, and our own reasons
and states, never names of files or messages.
"""

import platform
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any, Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from smbferry_api.reasons import by_name
from smbferry_api.run_status import RunState
from smbferry_operator.decide.limits import UNLIMITED, RunLimits
from smbferry_operator.model import OWN_KINDS, Key, Manifest
from smbferry_operator.observe.cache import Cache
from smbferry_operator.parse import parse_time
from smbferry_operator.settings import MAX_TASKS
from smbferry_operator.telemetry.build import product_version
from smbferry_operator.telemetry.deliveries import Deliveries
from smbferry_operator.telemetry.families import single
from smbferry_operator.telemetry.objects import object_metrics
from smbferry_operator.telemetry.queue import queue_metrics
from smbferry_operator.telemetry.runs import OTHER, RunTotals, run_metrics
from smbferry_operator.telemetry.selection import Selection
from smbferry_operator.telemetry.tasks import task_metrics

RUN_BUCKETS: Final = (1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 12 * 3600, 24 * 3600)
RECONCILE_BUCKETS: Final = (0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60)

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

    def __init__(
        self,
        cache: Cache,
        leading: Callable[[], bool],
        limits: RunLimits = UNLIMITED,
        class_name: str = "",
        max_tasks: int = MAX_TASKS,
    ) -> None:
        """Creates all metrics, with the value 0.

        Args:
            leading: whether this operator leads.
            limits: of the installation.
            class_name: the class of this operator; each sample has it as a label, unless it is empty.
            max_tasks: how many tasks have series of their own; 0 for none.
        """
        disable_created_metrics()  # type: ignore[no-untyped-call] # the library publishes no types for it
        self.leading = leading
        self.limits = limits
        self.max_tasks = max_tasks
        self._registry = CollectorRegistry()
        self._exposed = _OfClass(self._registry, class_name) if class_name else self._registry
        self._figures: Mapping[str, int] = {}
        ProcessCollector(registry=self._registry)
        Info("smbferry_build", "The version of the operator.", registry=self._registry).info(
            {"version": product_version(), "python": platform.python_version()}
        )
        self._registry.register(_StateCollector(cache, self))
        self._ended_runs = _EndedRuns(self._registry)
        self.deliveries = Deliveries(self._registry)
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
        """All metrics in Prometheus' text format. May be called in any thread.

        Args:
            figures: lengths of the work queue: ready, delayed, underWay.
        """
        self._figures = figures
        return generate_latest(self._exposed)

    def timed(self, reconcile: Reconcile) -> Reconcile:
        """The same function, with its duration and errors counted."""

        async def counted(key: Key) -> timedelta | None:
            with self._errors.labels(key.kind.value).count_exceptions(), self._rounds.labels(key.kind.value).time():
                return await reconcile(key)

        return counted

    def run_ended(self, body: Manifest) -> None:
        """Counts a run that ended; one that served another is counted as that one."""
        if self.leading() and not (body.get("spec") or {}).get("onBehalfOf"):
            self._ended_runs.add(body)


class _OfClass(Collector):
    """The same metrics with the label `class`, which tells the operators of several releases apart."""

    def __init__(self, registry: CollectorRegistry, class_name: str) -> None:
        self._registry = registry
        self._label = {"class": class_name}

    def collect(self) -> Iterator[Metric]:
        for metric in self._registry.collect():
            metric.samples = [sample._replace(labels={**sample.labels, **self._label}) for sample in metric.samples]
            yield metric


class _StateCollector(Collector):
    """Exports what the cache and the queue contain at a scrape."""

    def __init__(self, cache: Cache, metrics: Metrics) -> None:
        self._cache = cache
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        yield single("smbferry_leader", "Whether this operator leads.", int(self._metrics.leading()))
        figures = self._metrics.figures
        yield single("smbferry_queue_length", "Objects that are ready to be reconciled.", figures.get("ready", 0))
        yield single(
            "smbferry_queue_delayed", "Objects that are reconciled at a later time.", figures.get("delayed", 0)
        )
        yield single("smbferry_queue_under_way", "Objects that are being reconciled.", figures.get("underWay", 0))
        if self._metrics.leading():
            runs = RunTotals.of(self._cache)
            selection = Selection.of(self._cache, self._metrics.max_tasks)
            yield from object_metrics(self._cache, selection)
            yield from task_metrics(self._cache, runs, selection)
            yield from run_metrics(runs)
            yield from queue_metrics(runs, self._metrics.limits)


def _reason(word: str | None) -> str:
    return word if word and by_name(word) else OTHER
