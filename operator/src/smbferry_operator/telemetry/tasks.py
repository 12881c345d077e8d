"""Metrics of single tasks: from their own status, and from their runs that have not ended."""

from collections.abc import Iterator
from datetime import datetime

from prometheus_client.core import GaugeMetricFamily, Metric

from smbferry_api.conditions import ConditionType
from smbferry_api.fields import parse_duration
from smbferry_operator.model import Key, Kind, Manifest
from smbferry_operator.observe.cache import Cache
from smbferry_operator.parse import parse_meta, parse_time
from smbferry_operator.telemetry.families import add_moment, add_truth, gauge, names_of, single, timestamps
from smbferry_operator.telemetry.runs import RunTotals
from smbferry_operator.telemetry.selection import Selection


def task_metrics(cache: Cache, runs: RunTotals, selection: Selection) -> Iterator[Metric]:
    """Metrics of the selected tasks."""
    yield single(
        "smbferry_tasks_without_series",
        "Tasks beyond metrics.perTask.max, which have no series of their own.",
        selection.omitted,
    )
    statuses = _Statuses()
    for key in sorted(selection.shown):
        if (task := cache.get(key)) is not None:
            statuses.add(task)
    yield from statuses.families
    yield _identities(cache, selection)
    yield from _of_runs(runs, selection)


class _Statuses:
    """What the tasks' own specs and statuses say."""

    def __init__(self) -> None:
        self._success = timestamps("smbferry_task_last_success", "When the last successful run ended.", "task")
        self._upcoming = timestamps("smbferry_task_next_schedule", "When the task is due next.", "task")
        self._in_sync = gauge("smbferry_task_in_sync", "The condition InSync.", "task")
        self._on_schedule = gauge("smbferry_task_on_schedule", "The condition OnSchedule.", "task")
        self._objective = gauge(
            "smbferry_task_recovery_point_objective_seconds", "How old the copy may become, by the task's spec.", "task"
        )
        self._point = timestamps(
            "smbferry_task_recovery_point",
            "How new the copy is at least; the task's creation while no run has succeeded.",
            "task",
        )

    def add(self, task: Manifest) -> None:
        """Adds what one task says; its recovery point only if it has an objective."""
        status = task.get("status") or {}
        add_moment(self._success, task, (status.get("lastSuccessfulRun") or {}).get("completionTime"))
        add_moment(self._upcoming, task, status.get("nextScheduleTime"))
        add_truth(self._in_sync, task, ConditionType.IN_SYNC)
        add_truth(self._on_schedule, task, ConditionType.ON_SCHEDULE)
        objective = (task.get("spec") or {}).get("recoveryPointObjective")
        if objective is not None:
            self._objective.add_metric(names_of(task), parse_duration(objective).total_seconds())
            self._point.add_metric(names_of(task), recovery_point(task).timestamp())

    @property
    def families(self) -> Iterator[Metric]:
        """All metrics."""
        yield from (self._success, self._upcoming, self._in_sync, self._on_schedule, self._objective, self._point)


def recovery_point(task: Manifest) -> datetime:
    """The time of the files that the destination has; the task's creation while no run has succeeded."""
    last = (task.get("status") or {}).get("lastSuccessfulRun") or {}
    # Earlier operators wrote no recoveryPoint.
    known = last.get("recoveryPoint") or last.get("startTime") or last.get("completionTime")
    return parse_time(known) or parse_meta(task).created


def _identities(cache: Cache, selection: Selection) -> Metric:
    family = GaugeMetricFamily(
        "smbferry_task_identity_info",
        "1 for each identity that the task's locations use.",
        labels=["namespace", "task", "identity"],
    )
    for task in sorted(selection.shown):
        used = {identity for place in cache.references_of(task) for identity in cache.references_of(place)}
        for identity in sorted(key for key in used if key.namespace == task.namespace):  # the label is without one
            family.add_metric([task.namespace, task.name, identity.name], 1)
    return family


def _of_runs(runs: RunTotals, selection: Selection) -> Iterator[Metric]:
    families = (
        (
            gauge(
                "smbferry_task_request_share_ratio",
                "Part of its usual requests that the task's active run may send at once.",
                "task",
            ),
            runs.shares,
        ),
        (
            gauge(
                "smbferry_task_reply_time_ratio",
                "Current reply time of a server to the task's active run, in relation to its idle reply time.",
                "task",
            ),
            runs.factors,
        ),
        (
            timestamps(
                "smbferry_task_queued", "Creation of the task's oldest run that waits, but not for a window.", "task"
            ),
            runs.waiting,
        ),
        (gauge("smbferry_task_active_bytes", "Bytes that active runs have read and written.", "task"), runs.moved),
        (
            gauge("smbferry_task_active_items", "Files and folders that active runs have dealt with.", "task"),
            runs.handled,
        ),
    )
    for family, values in families:
        for (namespace, task), value in sorted(values.items()):
            if Key(Kind.TASK, namespace, task) in selection.shown:
                family.add_metric([namespace, task], value)
        yield family
